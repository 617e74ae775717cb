"""The checks, their thresholds, and the rows of the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan, nan
from typing import NamedTuple

from jaxcmr.names import describe_unknown

__all__ = [
    "CHECKS",
    "HALF_CHI2",
    "Check",
    "Criterion",
    "format_value",
    "judge",
    "not_available",
    "thresholds_for",
]

HALF_CHI2 = 1.92
"""Nats by which the log-likelihood falls at the ends of a 95 % interval: half of 3.84, the quantile
of chi-squared with one degree of freedom."""

AS_GOOD_AS_0 = 1e-12
SEARCH, ESTIMATES, SUBJECT = "search", "estimates", "subject"
DISTANCE = "log distance of the curve from that predicted, in SDs of simulated curves"


@dataclass(frozen=True)
class Criterion:
    """A check: what its statistic is, and which values pass.

    - ``of``: "search" (was the lowest loss found?), "estimates" (are the parameters determined?) or
      "subject" (does the model describe this subject?). Only checks of the search decide whether a
      fit `is_trustworthy`.
    - ``passes``: "at least" or "at most" the threshold.
    - ``threshold``: None stands for a threshold in the units of the loss, which results declare as
      ``agree_within``: 0.05 nats for likelihoods.
    """

    of: str
    statistic: str
    passes: str
    threshold: float | None


CHECKS: Mapping[str, Criterion] = {
    "runs_agree": Criterion(
        SEARCH, "runs that ended as low as the best, the best included", "at least", 2
    ),
    "at_rest": Criterion(
        SEARCH, "steepest partial derivative off the bounds, per searched range", "at most", nan
    ),
    "loss_reproduced": Criterion(
        SEARCH, "distance of the loss, computed anew, from that in the result", "at most", None
    ),
    "lowest_nearby": Criterion(
        SEARCH, "decrease of the loss at the lowest of the places beside", "at most", None
    ),
    "second_basin": Criterion(
        ESTIMATES, "loss of the next basin above the best, in nats", "at least", HALF_CHI2
    ),
    "on_bounds": Criterion(ESTIMATES, "estimates on a bound", "at most", 0),
    "estimates_agree": Criterion(
        ESTIMATES, "widest spread over agreeing runs, as a share of the range", "at most", 0.1
    ),
    "flat_direction": Criterion(
        ESTIMATES, "move at nearly the same loss, as a share of the range", "at most", 0.2
    ),
    "better_than_chance": Criterion(
        SUBJECT, "nats per event above choice by chance", "at least", 0.0
    ),
    "like_the_group": Criterion(
        SUBJECT, "log-likelihood per event from the median, in robust SDs", "at least", -3.0
    ),
    "first_recall": Criterion(SUBJECT, DISTANCE, "at most", 3.0),
    "lag_crp": Criterion(SUBJECT, DISTANCE, "at most", 3.0),
    "serial_position_curve": Criterion(SUBJECT, DISTANCE, "at most", 3.0),
    "recalls_per_list": Criterion(
        SUBJECT, "distance of the mean from that predicted, in SDs", "at most", 3.0
    ),
}
"""The checks by name, in the order of the table. ``at_rest`` has no threshold of its own: it passes
if the polish ended at rest, which includes kinks of the loss.

A flat direction is one along which 0.1 nats buy a move by a fifth of a parameter's searched range.
Of a parabola these ends are 0.9 standard errors apart, so that a 95 % interval, 3.9 standard errors
wide, would cover nearly all of the range."""


class Check(NamedTuple):
    """A row of the table."""

    subject: int | str
    check: str
    statistic: float
    threshold: float
    passed: bool | None  # None: not available
    comment: str


def thresholds_for(agree_within: float, given: Mapping[str, float] | None) -> dict[str, float]:
    """Return the threshold of each check.

    Args:
        agree_within: losses that differ by less count as the same.
        given: thresholds by check, in place of those of `CHECKS`.

    Raises:
        ValueError: a check is unknown.
    """
    for name in given or {}:
        if name not in CHECKS:
            raise ValueError(f"thresholds: {describe_unknown('check', name, CHECKS)}")
    usual = {
        name: agree_within if each.threshold is None else each.threshold
        for name, each in CHECKS.items()
    }
    return {**usual, **(given or {})}


def judge(
    subject: int | str, check: str, statistic: float, threshold: float, comment: str
) -> Check:
    """Return the row of a check whose statistic is known; NaN does not pass."""
    at_least = CHECKS[check].passes == "at least"
    passed = statistic >= threshold if at_least else statistic <= threshold
    return Check(subject, check, float(statistic), float(threshold), bool(passed), comment)


def not_available(subject: int | str, check: str, threshold: float, reason: str) -> Check:
    """Return the row of a check that cannot be made, with the reason."""
    shown = nan if isnan(threshold) else float(threshold)
    return Check(subject, check, nan, shown, None, f"not available: {reason}")


def format_value(x: float) -> str:
    """Return a parameter with three digits; a bound that stands for 0 is 0."""
    return f"{0.0 if abs(x) < AS_GOOD_AS_0 else x:.3g}"
