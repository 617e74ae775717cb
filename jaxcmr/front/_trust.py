"""What the diagnostics of a fit are handed: chance levels, and measures of simulated recall."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

from jaxcmr.analyses import first_recall, lag_crp, recalls_per_list, serial_position_curve
from jaxcmr.analyses._measure import Measure, add_up, n_positions_of
from jaxcmr.diagnostics import PredictedCounts, chance_log_likelihood
from jaxcmr.fitting import FitProblem
from jaxcmr.fitting._trials import to_rows
from jaxcmr.front._simulate import simulate_problem
from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.results import FitResult
from jaxcmr.typing import RecallDataset

__all__ = ["MEASURES", "chance_of", "predict"]

MEASURES: Mapping[str, Measure[...]] = {
    "first_recall": first_recall,
    "lag_crp": lag_crp,
    "serial_position_curve": serial_position_curve,
    "recalls_per_list": recalls_per_list,
}
"""Measures that simulated recall is compared by, by the name of the check."""

NOT_PREDICTED = (
    "the loss takes the number of recalls from the data, so that the fit does not predict it"
)


def chance_of(problem: FitProblem, result: FitResult) -> Float[np.ndarray, " fits"] | str:
    """Return the log-likelihood of each fit's events by chance, or why it is not known."""
    generator = problem.generator
    if not isinstance(generator, MemorySearchLikelihoodFnGenerator):
        return "the loss is not a likelihood of events"
    if generator.data.factory.choices_are_ids or generator.data.factory.allows_repeats:
        return "the model chooses among other items than those left to recall"
    if result.get("trials") is None or result.get("n_events") is None:
        return "the result does not say which trials and events were fitted"
    choices = np.asarray(generator.data.choices)
    studied = np.sort(np.asarray(problem.dataset["pres_itemnos"]), axis=1)
    n_items = (studied[:, 0] > 0) + np.sum((np.diff(studied, axis=1) > 0), axis=1)
    is_scored = np.pad(choices[:, :-1] > 0, ((0, 0), (1, 0)), constant_values=True)
    if generator.is_scored is not None:
        is_scored = np.asarray(generator.is_scored)
    by_trial = chance_log_likelihood(choices, n_items, is_scored)
    return np.array([by_trial[to_rows(ranges)].sum() for ranges in result["trials"]])


def predict(
    problem: FitProblem, result: FitResult, n_copies: int, seed: int
) -> dict[str, PredictedCounts | str] | str:
    """Return counts of the data and of recall simulated by each fit, or why they are missing.

    If the loss takes the number of recalls as given, simulated lists are cut off there, and the
    number itself is not compared: it would agree whichever the parameters are.
    """
    if result.get("trials") is None:
        return "the result does not say which trials were fitted"
    if problem.loss_options.get("events") in ("after_first", "recalls_after_first"):
        return "the loss does not score all events, so that the first recall was not fitted"
    fits = np.full(len(problem.subjects), -1)
    for fit, ranges in enumerate(result["trials"]):
        fits[to_rows(ranges)] = fit
    if not np.any(fits >= 0):
        return "no trials were fitted"
    simulated = simulate_problem(problem, result, fits >= 0, n_copies=n_copies, seed=seed)
    n_fits = len(result["trials"])
    groups = np.tile(fits[fits >= 0], n_copies)
    groups = groups + np.repeat(np.arange(n_copies), np.sum(fits >= 0)) * n_fits
    counts = {
        name: count(measure, problem.dataset, fits, simulated, groups, n_copies, n_fits)
        for name, measure in MEASURES.items()
    }
    is_given = problem.count_given_recalls() is not None
    of_number = NOT_PREDICTED if is_given else number_recalled(counts["recalls_per_list"])
    return {**counts, "recalls_per_list": of_number}


def count(
    measure: Measure[...],
    observed: RecallDataset,
    fits: Int[np.ndarray, " trials"],
    simulated: RecallDataset,
    groups: Int[np.ndarray, " simulated_trials"],
    n_copies: int,
    n_fits: int,
) -> PredictedCounts:
    """Return a measure's counts of the data of each fit, and of its simulated copies."""
    [bins] = measure.bins(n_positions_of(observed)).values()
    own = add_up(measure, observed, fits, n_fits, {})
    of_copies = add_up(measure, simulated, groups, n_copies * n_fits, {})
    shape = (n_copies, n_fits, len(bins))
    made, possible = of_copies.made.reshape(shape), of_copies.possible.reshape(shape)
    return PredictedCounts(list(bins), own.made, own.possible, made, possible)


def number_recalled(counts: PredictedCounts) -> PredictedCounts:
    """Return the counts of recalls in all, and of lists, given lists by their number of recalls."""
    numbers = np.array(counts.bins, float)
    return PredictedCounts(
        [0],
        (counts.made @ numbers)[:, None],
        counts.possible[:, :1],
        (counts.simulated_made @ numbers)[..., None],
        counts.simulated_possible[..., :1],
    )
