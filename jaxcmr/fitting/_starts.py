"""Earlier fits as places where searches start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxcmr.names import did_you_mean
from jaxcmr.results import POOLED, FitResult
from jaxcmr.typing import Subject

__all__ = ["as_results", "estimates_for"]


def as_results(start_from: Any) -> list[FitResult]:
    """Return `start_from` as a list of fit results. Accepts None, one result or a sequence of them.

    Raises:
        ValueError: an entry is not the result of a fit.
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
    subjects: Sequence[Subject], result: FitResult, names: Sequence[str]
) -> list[list[float]]:
    """Return the estimates of parameters `names` in `result` for each of `subjects`.

    Those of a pooled fit, whose only subject is -1, hold for all.

    Raises:
        ValueError: a parameter or a subject is missing, or a value is not a number.
    """
    fits = result["fits"]
    fitted = np.atleast_1d(fits.get("subject", POOLED)).tolist()
    values = [column_of(fits, name, len(fitted)) for name in names]
    rows = {subject: row for row, subject in enumerate(fitted)}
    if len(rows) < len(fitted):
        raise ValueError(f"start_from: a fit has more than one row of a subject: {fitted}.")
    is_pooled = result.get("pooled", fitted == [POOLED]) and len(fitted) == 1
    missing = [] if is_pooled else [subject for subject in subjects if subject not in rows]
    if missing:
        whose = "all trials together" if missing == [POOLED] else f"subject(s) {missing[:5]}"
        raise ValueError(f"start_from: a fit has no estimates for {whose}; it has {fitted[:5]}.")
    chosen = [0 if is_pooled else rows[subject] for subject in subjects]
    return [[float(column[row]) for column in values] for row in chosen]


def column_of(fits: Mapping[str, Any], name: str, n_fits: int) -> np.ndarray:
    """Return the values of parameter `name`, one per fit."""
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
