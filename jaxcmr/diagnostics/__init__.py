"""Can a fit be trusted? A table of checks, one row per subject and check.

`diagnose` makes the table, `verdict` says it in one line. `CHECKS` names the checks with their
thresholds. Problems, simulated recall and measures are handed in: `jaxcmr.diagnose` does that.

Files: `_criteria` (the checks and their thresholds), `_runs` (checks that a result alone answers),
`_curvature` (the loss around the estimates), `_prediction` (chance, and recall that the fitted
model predicts), `_diagnose` (the table and its verdict).
"""

from jaxcmr.diagnostics._criteria import CHECKS, Criterion
from jaxcmr.diagnostics._curvature import Curvature, describe_direction, measure_curvature
from jaxcmr.diagnostics._diagnose import diagnose, is_trustworthy, verdict
from jaxcmr.diagnostics._prediction import PredictedCounts, chance_log_likelihood, predictive_scores

__all__ = [
    "CHECKS",
    "Criterion",
    "Curvature",
    "PredictedCounts",
    "chance_log_likelihood",
    "describe_direction",
    "diagnose",
    "is_trustworthy",
    "measure_curvature",
    "predictive_scores",
    "verdict",
]
