"""Fit models to data: a data set, a model, a loss and hyperparameters in, estimates out.

`JaxDE` runs on the package's engine, `ScipyDE` on SciPy's; they are built and used alike. Both are
a `FitProblem` and a search; `SEARCHES` names good ones.
"""

from jaxcmr.fitting._checkpoint import CheckpointMismatch
from jaxcmr.fitting._hyperparameters import DEFAULTS, SEARCHES, defaults_for, resolve_search
from jaxcmr.fitting._jax_de import JaxDE
from jaxcmr.fitting._problem import FitProblem
from jaxcmr.fitting._runs import Fit
from jaxcmr.fitting._scipy_de import ScipyDE
from jaxcmr.fitting._trials import make_subject_trial_masks
from jaxcmr.fitting._watchers import RunReport, Watcher
from jaxcmr.fitting._workers import Workers
from jaxcmr.results import FitInterrupted

__all__ = [
    "DEFAULTS",
    "SEARCHES",
    "CheckpointMismatch",
    "Fit",
    "FitInterrupted",
    "FitProblem",
    "JaxDE",
    "RunReport",
    "ScipyDE",
    "Watcher",
    "Workers",
    "defaults_for",
    "make_subject_trial_masks",
    "resolve_search",
]
