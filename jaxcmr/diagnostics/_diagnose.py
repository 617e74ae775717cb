"""The table of checks, and its verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from jaxcmr._result_words import count_of, name_subjects
from jaxcmr.diagnostics._criteria import (
    CHECKS,
    HALF_CHI2,
    SEARCH,
    Check,
    judge,
    not_available,
    thresholds_for,
)
from jaxcmr.diagnostics._curvature import Curvature, describe_direction, measure_curvature
from jaxcmr.diagnostics._prediction import PredictedCounts, check_prediction, compare_with_chance
from jaxcmr.diagnostics._runs import check_runs, compare_with_group
from jaxcmr.fitting import FitProblem
from jaxcmr.results import FitResult

__all__ = ["diagnose", "is_trustworthy", "verdict"]

AROUND = ("loss_reproduced", "lowest_nearby", "flat_direction")
PREDICTED = ("first_recall", "lag_crp", "serial_position_curve", "recalls_per_list")
ROUNDING = 1e-6
REQUIRED = ("runs_agree", "at_rest")  # of a fit that is trustworthy


def diagnose(
    result: FitResult,
    problem: FitProblem | None = None,
    *,
    chance: Sequence[float] | np.ndarray | str = "no chance level was given",
    predicted: Mapping[str, PredictedCounts | str] | str = "no simulated recall was given",
    curvature: bool = True,
    thresholds: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return how far each fit can be trusted, one row per fit and check.

    Args:
        result: the result of a fit.
        problem: what was fitted, for the checks that compute the loss.
        chance: log-likelihood of each fit's events by chance, in nats; or why it is not known.
        predicted: by check (``"first_recall"`` and others) its counts, or why they are missing; or
            why all are missing.
        curvature: whether to compute the loss around the estimates.
        thresholds: by check, in place of those in `CHECKS`.

    Returns:
        Columns ``subject``, ``check``, ``statistic``, ``threshold``, ``passed`` (missing where a
        check is not available) and ``comment``, which says why. Subjects whose search failed come
        first, then those that failed most checks.

    Raises:
        ValueError: `thresholds` names an unknown check.

    >>> result = FitResult(fitness=[7.0], fits={"learning_rate": [0.4], "subject": [3]}, free={})
    >>> table = diagnose(result)
    >>> print(table.loc[0, "check"], "|", table.loc[0, "comment"])
    runs_agree | not available: the result does not hold its runs
    """
    limits = thresholds_for(result.get("agree_within", 0.0), thresholds)
    subjects = result["fits"]["subject"]
    rows = [check for row in range(len(subjects)) for check in check_runs(result, row, limits)]
    rows += check_curvature(result, problem, curvature, limits)
    for row, subject in enumerate(subjects):
        if isinstance(chance, str):
            rows.append(not_available(subject, "better_than_chance", limits["better_than_chance"],
                                      chance))  # fmt: skip
        else:
            rows.append(compare_with_chance(subject, result["fitness"][row],
                                            result["n_events"][row], chance[row],
                                            limits["better_than_chance"]))  # fmt: skip
    rows += compare_with_group(result, limits["like_the_group"])
    for name in PREDICTED:
        reason = "it was not simulated"
        found = predicted if isinstance(predicted, str) else predicted.get(name, reason)
        if isinstance(found, str):
            rows += [not_available(subject, name, limits[name], found) for subject in subjects]
        else:
            rows += check_prediction(name, subjects, found, limits[name])
    return to_table(rows, subjects)


def check_curvature(
    result: FitResult, problem: FitProblem | None, wanted: bool, limits: Mapping[str, float]
) -> list[Check]:
    """Return the checks that compute the loss around the estimates."""
    subjects = result["fits"]["subject"]
    reason = "the loss was not computed around the estimates"
    if problem is None:
        reason = "it takes the data: hand them in"
    elif wanted:
        try:
            found = measure_curvature(problem, result)
            each = zip(subjects, result["fitness"], found, strict=True)
            return [row for fit in each for row in checks_around(*fit, limits)]
        except ValueError as error:
            reason = str(error)
    return [not_available(each, name, limits[name], reason) for each in subjects for name in AROUND]


def checks_around(
    subject: int | str, recorded: float, found: Curvature, limits: Mapping[str, float]
) -> list[Check]:
    """Return the checks of one fit that rest on its curvature."""
    distance, fall = abs(found.loss - recorded), found.loss - found.lowest
    lower = f"a loss lower by {fall:.2g} is beside the estimates"
    advice = ": fit again, with more steps" if fall > limits["lowest_nearby"] else ""
    rows = [
        judge(subject, "loss_reproduced", distance, limits["loss_reproduced"],
              f"computed anew {found.loss:.4f}, recorded {recorded:.4f}"),
        judge(subject, "lowest_nearby", fall, limits["lowest_nearby"],
              lower + advice if fall > ROUNDING else "the loss rises to all sides"),
    ]  # fmt: skip
    threshold = limits["flat_direction"]
    if not np.any(found.is_free):
        reason = "all estimates are on bounds"
        return [*rows, not_available(subject, "flat_direction", threshold, reason)]
    if not len(found.shares):
        reason = "the loss is not finite beside the estimates"
        return [*rows, not_available(subject, "flat_direction", threshold, reason)]
    flattest = int(np.argmax(found.shares))
    words = describe_direction(found, flattest)
    return [*rows, judge(subject, "flat_direction", found.shares[flattest], threshold, words)]


def to_table(rows: Sequence[Check], subjects: Sequence[int | str]) -> pd.DataFrame:
    """Return the rows as a table, worst subjects first, checks in the order of `CHECKS`."""
    failed = [row for row in rows if row.passed is False]
    of_search = Counter(row.subject for row in failed if CHECKS[row.check].of == SEARCH)
    of_all = Counter(row.subject for row in failed)
    places = {subject: place for place, subject in enumerate(subjects)}
    order = {name: place for place, name in enumerate(CHECKS)}
    ranked = sorted(
        rows,
        key=lambda row: (
            -of_search[row.subject],
            -of_all[row.subject],
            places[row.subject],
            order[row.check],
        ),
    )
    table = pd.DataFrame(ranked, columns=list(Check._fields))
    return table.astype({"statistic": float, "threshold": float, "passed": "boolean"})


def is_trustworthy(table: pd.DataFrame) -> bool:
    """Return whether the search found the lowest loss of every fit, as far as the checks can tell.

    Runs must agree and the best must be at rest, and no other check of the search may fail. A fit
    that is a single run, or a result without runs, is not trustworthy: nothing confirms it. Checks
    of estimates and subjects do not count: an estimate on a bound may be a finding.

    >>> runs = [{"loss": 7.0, "gradient": None, "at_bound": {}, "scale": {"b": "linear"},
    ...          "at_rest": False, "estimates": {"b": 0.5}}] * 2
    >>> result = FitResult(fitness=[7.0], fits={"b": [0.5], "subject": [3]}, runs=[runs],
    ...                    free={"b": [0, 1]}, converged=[True], agree_within=0.05)
    >>> is_trustworthy(diagnose(result)), is_trustworthy(diagnose(result, thresholds={
    ...     "runs_agree": 3}))
    (True, False)
    """
    return not len(failures_of_search(table)) and len(table) > 0


def failures_of_search(table: pd.DataFrame) -> list[int | str]:
    """Return the subjects whose fits are not trustworthy, in the order of the table."""
    is_search = table["check"].map(lambda name: CHECKS[name].of == SEARCH)
    failed = is_search & (table["passed"] == False).fillna(False)  # noqa: E712
    unknown = table["check"].isin(REQUIRED) & table["passed"].isna()
    return list(dict.fromkeys(table.loc[failed | unknown, "subject"]))


def verdict(table: pd.DataFrame) -> str:
    """Return the table of `diagnose` in one line.

    >>> result = FitResult(fitness=[7.0], fits={"learning_rate": [0.4], "subject": [3]}, free={})
    >>> verdict(diagnose(result))
    'Trust: 0 of 1 fit confirmed (not subject 3: too few runs kept to tell).'
    """
    subjects = list(dict.fromkeys(table["subject"]))
    if not subjects:
        return "Trust: no fits."
    doubtful = failures_of_search(table)
    many = f"{len(subjects) - len(doubtful)} of {count_of(len(subjects), 'fit')} confirmed"
    if doubtful:
        many += f" (not {name_subjects(doubtful)}{why_unknown(table)})"
    told = [words for name in CHECKS if (words := describe_failures(table, name))]
    return f"Trust: {'; '.join([many, *told])}."


def why_unknown(table: pd.DataFrame) -> str:
    """Return that the runs cannot tell, after a colon, where no check of them is available."""
    of_runs = table[table["check"] == "runs_agree"]
    return ": too few runs kept to tell" if of_runs["passed"].isna().all() else ""


PHRASES = {
    "loss_reproduced": "{} with another loss than recorded",
    "lowest_nearby": "{} with a lower loss beside the estimates",
    "second_basin": f"{{}} with a second basin within {HALF_CHI2} nats",
    "on_bounds": "{} with estimates on a bound",
    "estimates_agree": "{} whose agreeing runs differ in an estimate",
    "flat_direction": "{} with a flat direction",
    "better_than_chance": "{} not better than chance",
    "like_the_group": "{} described much worse than the group",
    "first_recall": "{} with another first-recall curve than predicted",
    "lag_crp": "{} with another lag-CRP than predicted",
    "serial_position_curve": "{} with another serial position curve than predicted",
    "recalls_per_list": "{} with another number of recalls than predicted",
}
"""What the verdict says of subjects that fail a check."""


def describe_failures(table: pd.DataFrame, check: str) -> str:
    """Return how many subjects fail a check, in words; nothing if all pass."""
    if check not in PHRASES:
        return ""
    n_failed = int((table["passed"] == False)[table["check"] == check].sum())  # noqa: E712
    return PHRASES[check].format(n_failed) if n_failed else ""
