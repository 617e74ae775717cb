"""Which model? Criteria, paired differences, and frequencies of models among subjects.

`compare` ranks fits of several models to the same trials; `bayesian_model_selection` lets subjects
differ in their model. `cross_validate` asks which model predicts lists that it was not fitted to,
and `likelihood_ratio_test` whether a model needs what its special case lacks. All say in words what
follows (`verdict`).

Files: `_criteria` (AIC, AICc, BIC, weights), `_guards` (what can be compared), `_compare`,
`_selection` (Bayesian model selection), `_exact` (its exact posterior), `_dirichlet` (exceedance
probabilities), `_cross_validation`, `_approximate` (the same without refitting), `_paired` (two
cross-validations), `_nested` (tests by likelihood ratios) and `_likelihood_ratio` (whether their
distribution is known).
"""

from jaxcmr.comparison._approximate import ApproximateCrossValidation, approximate_cross_validation
from jaxcmr.comparison._compare import Comparison, compare
from jaxcmr.comparison._criteria import akaike_weights, information_criteria, log_evidence
from jaxcmr.comparison._cross_validation import CrossValidation, cross_validate
from jaxcmr.comparison._nested import LikelihoodRatioTest, likelihood_ratio_test
from jaxcmr.comparison._paired import PairedDifferences, paired_differences
from jaxcmr.comparison._selection import ModelSelection, bayesian_model_selection

__all__ = [
    "ApproximateCrossValidation",
    "Comparison",
    "CrossValidation",
    "LikelihoodRatioTest",
    "ModelSelection",
    "PairedDifferences",
    "akaike_weights",
    "approximate_cross_validation",
    "bayesian_model_selection",
    "compare",
    "cross_validate",
    "information_criteria",
    "likelihood_ratio_test",
    "log_evidence",
    "paired_differences",
]
