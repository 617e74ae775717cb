"""Earlier fits as places where searches start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxcmr.names import did_you_mean
from jaxcmr.typing import FitResult

__all__ = ["as_results", "estimates_for"]


def as_results(start_from: Any) -> list[FitResult]:
    """`start_from` as a list of fit results; one alone will do.

    Raises:
        ValueError: something in it is no fit result.
    """
    results: list[Any] = [start_from] if isinstance(start_from, Mapping) else list(start_from)
    for result in results:
        if not isinstance(result, Mapping) or "fits" not in result:
            raise ValueError(
                "start_from takes results of fits, dicts that have 'fits'; got "
                f"{type(result).__name__}."
            )
    return results


def estimates_for(
    subjects: Sequence[int], result: FitResult, names: Sequence[str]
) -> list[list[float]]:
    """The estimates of parameters `names` in `result`, for each of `subjects`; those of a pooled
    fit (subject -1) for all.

    Raises:
        ValueError: it has no value of a parameter, or none for a subject.
    """
    fits = result["fits"]
    for name in names:
        if name not in fits:
            raise ValueError(
                f"start_from: a fit has no value of parameter {name!r}, which is free here. "
                f"{did_you_mean(name, [known for known in fits if known != 'subject'])} Where it "
                "is a special case, add the value that makes it one: result['fits'][name] = "
                "[value] * n_fits."
            )
    row_of = {int(subject): row for row, subject in enumerate(fits["subject"])}
    pooled = row_of.get(-1)
    missing = [subject for subject in subjects if row_of.get(subject, pooled) is None]
    if missing:
        raise ValueError(
            f"start_from: a fit has no estimates for subject(s) {missing[:5]}; it has "
            f"{sorted(row_of)[:5]}, ..."
        )
    rows = [row_of.get(subject, pooled) for subject in subjects]
    return [[float(np.asarray(fits[name])[row]) for name in names] for row in rows]
