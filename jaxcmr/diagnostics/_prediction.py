"""Does the model describe the subject? Chance, and recall that the fitted model predicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from jaxcmr.diagnostics._criteria import Check, judge, not_available

__all__ = ["PredictedCounts", "chance_log_likelihood", "compare_with_chance", "predictive_scores"]

SMALLEST = 1e-12  # mean square, whose logarithm is taken
ROUNDING = 1e-9  # copies whose logarithms have an SD of at most this count as all alike


def chance_log_likelihood(
    choices: Int[np.ndarray, "trials events"],
    n_items: Int[np.ndarray, " trials"],
    is_scored: Bool[np.ndarray, "trials events"],
) -> Float[np.ndarray, " trials"]:
    """Return the log-likelihood of recall by chance, in nats, of each trial.

    By chance each item that has not been recalled, and stopping, are equally likely: with k items
    left every outcome has probability 1 / (k + 1).

    Args:
        choices: item numbers in order of recall, without repeats; 0 is the stop.
        n_items: number of items studied.
        is_scored: which events count.

    >>> by_trial = chance_log_likelihood(
    ...     np.array([[3, 1, 0]]), np.array([3]), np.array([[True, True, True]])
    ... )
    >>> bool(np.isclose(by_trial[0], np.log(1 / 4 * 1 / 3 * 1 / 2)))
    True
    """
    n_before: np.ndarray = np.cumsum(choices > 0, axis=1) - (choices > 0)
    n_left = np.maximum(n_items[:, None] - n_before, 0)
    return -np.sum(np.where(is_scored, np.log(n_left + 1.0), 0.0), axis=1)


def compare_with_chance(
    subject: int | str, loss: float, n_events: int, chance: float, threshold: float
) -> Check:
    """Return whether a fit's log-likelihood is above that of chance."""
    if not n_events:
        return not_available(subject, "better_than_chance", threshold, "no event was scored")
    own, by_chance = -loss / n_events, chance / n_events
    comment = f"{own:.3f} nats per event; by chance {by_chance:.3f}"
    return judge(subject, "better_than_chance", own - by_chance, threshold, comment)


class PredictedCounts(NamedTuple):
    """Counts behind a measure, observed and of recall simulated with each fit's estimates.

    Every count is the sum over the trials of a fit; ``made / possible`` is the measure.
    """

    bins: Sequence[int | str]
    made: Num[np.ndarray, "fits bins"]
    possible: Num[np.ndarray, "fits bins"]
    simulated_made: Num[np.ndarray, "copies fits bins"]
    simulated_possible: Num[np.ndarray, "copies fits bins"]


def predictive_scores(counts: PredictedCounts) -> Float[np.ndarray, "fits bins"]:
    """Return how many standard deviations the data are from the prediction, in each bin.

    The mean and standard deviation are those of the measure over copies of the data that the model
    recalled. Where a rate varies less over the copies than so many draws at that rate would, for
    instance not at all, the standard deviation is that of draws, with half a success and half a
    failure added to the pooled counts. NaN where nothing was possible.

    >>> made, possible = np.array([[[2.0]], [[4.0]], [[6.0]]]), np.full((3, 1, 1), 10.0)
    >>> counts = PredictedCounts([1], np.array([[8.0]]), np.array([[10.0]]), made, possible)
    >>> predictive_scores(counts).round(2).tolist()  # (0.8 - 0.4) / 0.2
    [[2.0]]
    """
    return standardize(counts, counts.made, counts.possible)


def standardize(
    counts: PredictedCounts,
    made: Num[np.ndarray, "... fits bins"],
    possible: Num[np.ndarray, "... fits bins"],
) -> Float[np.ndarray, "... fits bins"]:
    """Return ``(made / possible - mean) / SD`` with mean and SD over the copies; see above."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = counts.simulated_made / counts.simulated_possible
        known = np.isfinite(rates)
        n_known = known.sum(axis=0)
        mean = np.where(known, rates, 0.0).sum(axis=0) / n_known
        squares = np.where(known, (rates - mean) ** 2, 0.0).sum(axis=0)
        sd = np.sqrt(squares / (n_known - 1.0))
        pooled_made = counts.simulated_made.sum(axis=0)
        rate = (pooled_made + 0.5) / (counts.simulated_possible.sum(axis=0) + 1.0)
        of_draws = np.sqrt(np.maximum(rate * (1 - rate), 0.0) / possible)
        return (made / possible - mean) / np.maximum(sd, of_draws)


def distances(counts: PredictedCounts) -> Float[np.ndarray, " fits"]:
    """Return how far each fit's data are from the prediction, in SDs of what copies are.

    The distance of a curve is the logarithm of the root mean square of its scores. That of the data
    is compared with those of the copies, which the model did recall: scores of bins with few
    observations are skewed, so that even copies are often far away. (Without the logarithm up to
    4 % of a true model's curves would be 3 SDs away; with it 1 or 2 %.) Copies in which nothing was
    possible do not count. If all others are alike, or for a single number, the distance is the root
    mean square of the scores itself.
    """
    own = predictive_scores(counts)
    if own.shape[1] == 1:
        return np.abs(own[:, 0])
    size = log_root_mean_square(own)
    copies = standardize(counts, counts.simulated_made, counts.simulated_possible)
    sizes = log_root_mean_square(copies)
    known = np.isfinite(sizes)
    n_known = known.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(known, sizes, 0.0).sum(axis=0) / n_known
        squares = np.where(known, (sizes - mean) ** 2, 0.0).sum(axis=0)
        sd = np.sqrt(squares / (n_known - 1.0))
        return np.where(sd > ROUNDING, (size - mean) / sd, np.exp(size))


def log_root_mean_square(scores: Float[np.ndarray, "... bins"]) -> Float[np.ndarray, "..."]:
    """Return the logarithm of the root mean square over bins that are not NaN; NaN if all are."""
    known = np.isfinite(scores)
    squares = np.where(known, scores, 0.0) ** 2
    with np.errstate(invalid="ignore"):
        mean = squares.sum(axis=-1) / known.sum(axis=-1)
    return np.log(np.maximum(mean, SMALLEST)) / 2


def check_prediction(
    check: str, subjects: Sequence[int | str], counts: PredictedCounts, threshold: float
) -> list[Check]:
    """Return for each fit whether the data look like the recall that it predicts."""
    scores, statistics = predictive_scores(counts), distances(counts)
    rows = []
    for row, (subject, z) in enumerate(zip(subjects, scores, strict=True)):
        known = np.flatnonzero(np.isfinite(z))
        if not len(known) or not np.isfinite(statistics[row]):
            reason = "too few observations, or copies, to tell"
            rows.append(not_available(subject, check, threshold, reason))
            continue
        worst = known[np.argmax(np.abs(z[known]))]
        observed = counts.made[row, worst] / counts.possible[row, worst]
        made, possible = counts.simulated_made[:, row], counts.simulated_possible[:, row]
        predicted = made[:, worst].sum() / possible[:, worst].sum()
        at = f"worst at {counts.bins[worst]}: " if len(z) > 1 else ""
        comment = f"{at}observed {observed:.2f}, predicted {predicted:.2f}, z {z[worst]:.1f}"
        rows.append(judge(subject, check, statistics[row], threshold, comment))
    return rows
