"""Would we know? Recovery of parameters and models on the user's own study lists.

`recover_parameters` simulates subjects with known parameters and fits them by the same search;
`power_curve` does so by number of lists; `recover_models` simulates with each of several models and
counts which one fits best. All runs can be kept in a folder and made by workers.

Files: `_simulated` (subjects, and their fits), `_truths` (true parameters), `_parameters`,
`_agreement` (of truth and estimate), `_power`, `_models`, `_words` (verdicts), and `_progress` (the
bar).
"""

from jaxcmr.recovery._models import (
    ModelRecovery,
    inversion_matrix,
    recover_models,
    wilson_interval,
)
from jaxcmr.recovery._parameters import Recovery, recover_parameters
from jaxcmr.recovery._power import PowerCurve, power_curve

__all__ = [
    "ModelRecovery",
    "PowerCurve",
    "Recovery",
    "inversion_matrix",
    "power_curve",
    "recover_models",
    "recover_parameters",
    "wilson_interval",
]
