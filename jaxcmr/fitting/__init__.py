"""Fit models to data: a data set, a model, a loss and hyperparameters in, estimates out.

`JaxDE` runs on the package's engine, `ScipyDE` on SciPy's; they are built and used alike.
"""

from jaxcmr.fitting._hyperparameters import DEFAULTS, defaults_for
from jaxcmr.fitting._jax_de import JaxDE
from jaxcmr.fitting._result import FitInterrupted
from jaxcmr.fitting._scipy_de import ScipyDE
from jaxcmr.fitting._trials import make_subject_trial_masks

__all__ = [
    "DEFAULTS",
    "FitInterrupted",
    "JaxDE",
    "ScipyDE",
    "defaults_for",
    "make_subject_trial_masks",
]
