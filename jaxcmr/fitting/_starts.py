"""Earlier fits as places where searches start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxcmr.names import did_you_mean
from jaxcmr.typing import FitResult

__all__ = ["as_results", "estimates_for"]

POOLED = -1  # the subject of a fit to the trials of several


def as_results(start_from: Any) -> list[FitResult]:
    """`start_from` as a list of fit results; one alone will do, None is none.

    Raises:
        ValueError: something in it is no fit result.
    """
    alone = start_from is None or isinstance(start_from, Mapping)
    results: list[Any] = [start_from] if alone else list(start_from)
    for result in results:
        if result is not None and not (isinstance(result, Mapping) and "fits" in result):
            raise ValueError(
                "start_from takes results of fits, dicts that have 'fits'; got "
                f"{type(result).__name__}."
            )
    return [result for result in results if result is not None]


def estimates_for(
    subjects: Sequence[int], result: FitResult, names: Sequence[str]
) -> list[list[float]]:
    """The estimates of parameters `names` in `result`, for each of `subjects`; those of a pooled
    fit (subject -1) for all.

    Raises:
        ValueError: it has no value of a parameter, or one that is no number, or none for a subject.
    """
    fits = result["fits"]
    fitted = np.atleast_1d(fits.get("subject", POOLED)).tolist()
    values = [column_of(fits, name, len(fitted)) for name in names]
    rows = {subject: row for row, subject in enumerate(fitted)}
    if len(rows) < len(fitted):
        raise ValueError(f"start_from: a fit has more than one row of a subject: {fitted}.")
    missing = [subject for subject in subjects if subject not in rows and POOLED not in rows]
    if missing:
        whose = "all trials together" if missing == [POOLED] else f"subject(s) {missing[:5]}"
        raise ValueError(f"start_from: a fit has no estimates for {whose}; it has {fitted[:5]}.")
    chosen = [rows.get(subject, rows.get(POOLED)) for subject in subjects]
    return [[float(column[row]) for column in values] for row in chosen]


def column_of(fits: Mapping[str, Any], name: str, n_fits: int) -> np.ndarray:
    """The values of parameter `name`, one a fit."""
    if name not in fits:
        raise ValueError(
            f"start_from: a fit has no value of parameter {name!r}, which is free here. "
            f"{did_you_mean(name, [known for known in fits if known != 'subject'])} Where it is a "
            "special case, add the value that makes it one: "
            f"result['fits'][{name!r}] = [value] * {n_fits}."
        )
    try:
        values = np.asarray(fits[name], float)
    except (TypeError, ValueError):
        values = np.full(1, np.nan)
    if values.shape != (n_fits,) or not np.all(np.isfinite(values)):
        raise ValueError(
            f"start_from: a fit needs {n_fits} finite value(s) of {name!r}, one for each of its "
            f"subjects; got {fits[name]!r}."
        )
    return values
