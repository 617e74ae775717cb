"""Sentences for a methods section on standard errors, profiles and bootstraps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jaxcmr._result_words import count_of, name_ids
from jaxcmr.results import FitResult
from jaxcmr.typing import Subject
from jaxcmr.uncertainty import Covariance, Profiles
from jaxcmr.uncertainty._covariance import REASONS

__all__ = ["describe_ends", "describe_errors", "describe_subjects", "with_subjects"]


def describe_subjects(subjects: Sequence[Subject], result: FitResult) -> str:
    """Return of which fits of a result an analysis is, with the ids of subjects if not of all.

    >>> result = FitResult(fitness=[7.0] * 3, fits={"subject": [4, 5, 6]})
    >>> describe_subjects([4, 6], result), describe_subjects([4, 5, 6], result)
    ('2 of 3 subjects (4, 6)', 'all 3 subjects')
    """
    n, n_fits = len(subjects), len(result["fitness"])
    if result.get("pooled"):
        return "the pooled fit"
    if n == n_fits:
        return f"all {n} subjects" if n > 1 else "the subject"
    return f"{n} of {n_fits} subjects ({name_ids(subjects)})"


def with_subjects(verdict: str, subjects: Sequence[Subject], result: FitResult) -> str:
    """Return a verdict that says of which subjects it is, if it is not of all."""
    if len(subjects) == len(result["fitness"]):
        return verdict
    return f"Made for {describe_subjects(subjects, result)}. {verdict}"


def describe_errors(found: Covariance) -> str:
    """Return for how many subjects there are standard errors, in sentences."""
    subjects, status = found.table["subject"], found.table["status"]
    unknown = {why: subjects[status == key].nunique() for key, why in REASONS.items()}
    n_known = len(found.subjects) - sum(unknown.values())
    told = [f"They are known for {n_known} of {count_of(len(found.subjects), 'subject')}."]
    for why, count in unknown.items():
        if count:
            told.append(f"For {count_of(count, 'subject')} they are missing, as {why}.")
    n_on_bound = subjects[status.isin(["lower", "upper"])].nunique()
    if n_on_bound:
        told.append(
            f"For {count_of(n_on_bound, 'subject')} an estimate or more lies on a bound, and has "
            "no standard error."
        )
    n_open = found.open_directions()["subject"].nunique()
    if n_open:
        told.append(
            f"For {count_of(n_open, 'subject')} the lists leave open a combination of parameters "
            "or more."
        )
    return " ".join(told)


ENDS: Mapping[str, str] = {
    "closed": "{} closed",
    "blocked": "{} ended by another parameter that reached a bound",
    "at bound": "{} open at a bound",
    "flat": "{} open as the loss is flat up to a bound",
    "not found": "{} open as the end was not found",
    "better fit": "{} not known as a lower loss than that of the fit was met",
}
"""Intervals by the worse of their ends, in the methods; the worst is last."""


def describe_ends(found: Profiles) -> str:
    """Return how many intervals are closed and why others are not, as a sentence.

    >>> import pandas as pd
    >>> table = pd.DataFrame({"subject": 1, "parameter": "b", "side": ["lower", "upper"],
    ...                       "status": ["closed", "flat"], "estimate": 0.5, "limit": [0.4, None]})
    >>> describe_ends(Profiles(table, pd.DataFrame(), 0.95, 1.92, None))
    'Of 1 interval, 1 is open as the loss is flat up to a bound.'
    """
    ends = found.intervals()[["lower_status", "upper_status"]]
    worse = ends.map(list(ENDS).index).max(axis=1)
    told = []
    for rank, words in enumerate(ENDS.values()):
        count = int((worse == rank).sum())
        if count:
            told.append(words.format(f"{count} {'is' if count == 1 else 'are'}"))
    listed = " and ".join([", ".join(told[:-1]), told[-1]]) if len(told) > 1 else told[0]
    return f"Of {count_of(len(worse), 'interval')}, {listed}."
