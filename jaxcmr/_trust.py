"""What the diagnostics of a fit are handed: chance levels of its loss."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from jaxcmr.diagnostics import chance_log_likelihood
from jaxcmr.fitting import FitProblem
from jaxcmr.fitting._trials import to_rows
from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.results import FitResult

__all__ = ["chance_of"]


def chance_of(problem: FitProblem, result: FitResult) -> Float[np.ndarray, " fits"] | str:
    """Return the log-likelihood of each fit's events by chance, or why it is not known."""
    generator = problem.generator
    if not isinstance(generator, MemorySearchLikelihoodFnGenerator):
        return "the loss is not a likelihood of events"
    if generator.data.factory.choices_are_ids or generator.data.factory.allows_repeats:
        return "the model chooses among other items than those left to recall"
    if result.get("trials") is None:
        return "the result does not say which trials were fitted"
    choices = np.asarray(generator.data.choices)
    studied = np.sort(np.asarray(problem.dataset["pres_itemnos"]), axis=1)
    n_items = (studied[:, 0] > 0) + np.sum((np.diff(studied, axis=1) > 0), axis=1)
    is_scored = np.pad(choices[:, :-1] > 0, ((0, 0), (1, 0)), constant_values=True)
    if generator.is_scored is not None:
        is_scored = np.asarray(generator.is_scored)
    by_trial = chance_log_likelihood(choices, n_items, is_scored)
    return np.array([by_trial[to_rows(ranges)].sum() for ranges in result["trials"]])
