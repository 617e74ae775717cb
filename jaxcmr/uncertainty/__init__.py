"""How well is each parameter known? Errors, intervals, and directions that the data leave open.

`covariance` takes the curvature of the loss at the estimates: quick, and right where the loss is
nearly quadratic. `profile_likelihood` follows the loss up to the limits, and says why an interval
is open. `bootstrap` fits resampled or simulated lists. All take a `FitProblem` and a result of it.

Files: `_inputs` (losses and estimates on the scales of the search), `_covariance`, `_profile` with
`_profile_work` (all profiles of a fit) and `_walk` (one side of a profile), and `_bootstrap`.
"""

from jaxcmr.uncertainty._bootstrap import Bootstrap, bootstrap
from jaxcmr.uncertainty._covariance import Covariance, covariance
from jaxcmr.uncertainty._profile import STATUSES, Profiles, profile_likelihood

__all__ = [
    "STATUSES",
    "Bootstrap",
    "Covariance",
    "Profiles",
    "bootstrap",
    "covariance",
    "profile_likelihood",
]
