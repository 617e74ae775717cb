"""Which model? Criteria, paired differences, and frequencies of models among subjects.

`compare` ranks fits of several models to the same trials; `bayesian_model_selection` lets subjects
differ in their model. Both say in words what follows (`verdict`).

Files: `_criteria` (AIC, AICc, BIC, weights), `_guards` (what can be compared), `_compare`,
`_selection` (Bayesian model selection), `_exact` (its exact posterior) and `_dirichlet` (exceedance
probabilities).
"""

from jaxcmr.comparison._compare import Comparison, compare
from jaxcmr.comparison._criteria import akaike_weights, information_criteria, log_evidence
from jaxcmr.comparison._selection import ModelSelection, bayesian_model_selection

__all__ = [
    "Comparison",
    "ModelSelection",
    "akaike_weights",
    "bayesian_model_selection",
    "compare",
    "information_criteria",
    "log_evidence",
]
