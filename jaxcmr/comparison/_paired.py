"""Paired differences between the predictions of two models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from jaxcmr._result_words import count_of
from jaxcmr._tables import to_html, to_text
from jaxcmr.comparison._approximate import ApproximateCrossValidation
from jaxcmr.comparison._compare import FEW, ROUNDING, bootstrap_interval, run_tests
from jaxcmr.comparison._cross_validation import CrossValidation, sum_by_subject

__all__ = ["PairedDifferences", "paired_differences"]

COLUMNS = ("subject", "difference")
"""Columns of paired differences beside those of the two models."""


@dataclass(frozen=True)
class PairedDifferences:
    """By how much one model predicts the held-out lists of each subject better than another one.

    ``by_subject`` has one row per subject: ``subject``, the held-out log-likelihood of both models
    under their names, and ``difference``, of the first minus the second: positive where the first
    predicts better. ``mean``, ``low`` and ``high``: its mean with a 95 % bootstrap interval over
    subjects. ``tests``: Student's t and Wilcoxon's test over subjects. Folds are not tested: their
    fits share lists.
    """

    names: tuple[str, str]
    by_subject: pd.DataFrame
    mean: float
    low: float
    high: float
    tests: dict[str, float]
    is_approximate: bool

    def verdict(self) -> str:
        """Return in words which model predicts better, for how many subjects, and how surely."""
        first, second = self.names
        difference = self.by_subject["difference"]
        better, worse = (first, second) if self.mean >= 0 else (second, first)
        n, n_better = len(difference), int((np.sign(self.mean) * difference > 0).sum())
        sure = "subjects like these do not decide between them"
        if self.low > 0 or self.high < 0:
            sure = "better for the average subject"
        interval = f", 95 % interval {self.low:.2f} to {self.high:.2f}: {sure}."
        if n < 2:
            interval = " (one subject, so that there is not an interval over subjects)."
        how = "By an approximation of cross-validation, " if self.is_approximate else ""
        words = (
            f"{how}{better} predicts held-out lists better than {worse} by "
            f"{abs(difference.sum()):.1f} nats, for {n_better} of {count_of(n, 'subject')}: "
            f"{self.mean:.2f} per subject ({first} minus {second}){interval}"
        )
        if abs(self.mean) <= ROUNDING:
            words = f"{how}{first} and {second} predict held-out lists equally well."
            if difference.any():
                ahead = [int((sign * difference > 0).sum()) for sign in (1, -1)]
                words = (
                    f"{how}{first} and {second} predict held-out lists equally well on average: "
                    f"{first} better for {ahead[0]} of {count_of(n, 'subject')}, {second} for "
                    f"{ahead[1]}; mean difference 0{interval}"
                )
        few = f" With fewer than {FEW} subjects, such intervals are too short."
        return words + (few if 1 < n < FEW and interval in words else "")

    def __repr__(self) -> str:
        return f"{to_text(self.by_subject)}\n\n{self.verdict()}"

    def _repr_html_(self) -> str:
        return f"<p>{self.verdict()}</p>{to_html(self.by_subject)}"


def paired_differences(
    first: CrossValidation | ApproximateCrossValidation,
    second: CrossValidation | ApproximateCrossValidation,
    names: tuple[str, str] = ("first", "second"),
) -> PairedDifferences:
    """Return by how much one model predicts each subject's held-out lists better than another.

    Lists and subjects may be in any order. Those of the result are in the order of `first`.

    Args:
        first: a model's cross-validation.
        second: that of another model, of the same lists and folds by the same loss.
        names: of the two models; not "subject" or "difference", which are other columns.

    Raises:
        ValueError: names are invalid; the two are of other data, losses, lists or folds; one is an
            approximation and the other is not; or a subject has a NaN.

    >>> lists = pd.DataFrame({"subject": [1, 1, 2], "fold": [1, 2, 1], "trial": [0, 1, 2],
    ...                       "n_events": 5, "log_likelihood": [-10.0, -11.0, -12.0]})
    >>> cmr = CrossValidation(lists, lists, "list", {})
    >>> cru = CrossValidation(lists.assign(log_likelihood=-12.0), lists, "list", {})
    >>> paired_differences(cmr, cru, ("CMR", "CRU")).by_subject["difference"].tolist()
    [3.0, 0.0]
    """
    labels = [str(name) for name in names]
    if len(labels) != 2 or len({*labels, *COLUMNS}) < 4:
        raise ValueError(
            f"names are two, and differ from each other and from {' and '.join(COLUMNS)}; got "
            f"{names!r}."
        )
    check_same_lists(first, second)
    sums = [sum_by_subject(each.by_list) for each in (first, second)]
    values = [
        each.set_index("subject")["log_likelihood"].loc[sums[0]["subject"]].to_numpy()
        for each in sums
    ]
    unknown = sums[0]["subject"][~np.isfinite(values[0] + values[1])]
    if len(unknown):
        raise ValueError(
            f"The log-likelihood of subject(s) {unknown.tolist()[:5]} is missing in one of the "
            "two: leave these subjects out of both."
        )
    difference = values[0] - values[1]
    difference[np.abs(difference) <= ROUNDING] = 0.0
    low, high = bootstrap_interval(difference)
    return PairedDifferences(
        names=(labels[0], labels[1]),
        by_subject=pd.DataFrame(
            {
                "subject": sums[0]["subject"],
                labels[0]: values[0],
                labels[1]: values[1],
                "difference": difference,
            }
        ),
        mean=float(difference.mean()),
        low=low,
        high=high,
        tests=run_tests(difference),
        is_approximate=first.is_approximate,
    )


def check_same_lists(
    first: CrossValidation | ApproximateCrossValidation,
    second: CrossValidation | ApproximateCrossValidation,
) -> None:
    """Raise a ValueError if two cross-validations cannot be compared."""
    if first.is_approximate != second.is_approximate:
        raise ValueError(
            "One of the two is an approximation and the other is not: compare two of a kind."
        )
    for what, value in first.about.items():
        if value != second.about.get(what):
            raise ValueError(
                f"The two are of other {what}: {value!r} and {second.about.get(what)!r}. Predict "
                "the same lists by the same loss."
            )
    keys = ["subject", "fold", "trial", "n_events"]
    one, other = (
        each.by_list[keys].sort_values(["trial", "fold"]).reset_index(drop=True)
        for each in (first, second)
    )
    if not one.equals(other):
        raise ValueError(
            f"The two are of other lists or folds: {len(one)} and {len(other)} lists. Use the same "
            "trial mask and the same folds for both."
        )
