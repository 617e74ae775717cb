"""Tables of the parameters: their bounds and meanings, and their estimates over fits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxcmr.parameters import Parameter
from jaxcmr.reporting._tables import Cell, Table
from jaxcmr.results import FitResult

__all__ = ["bounds_table", "estimates_table"]


def bounds_table(result: FitResult, parameters: Sequence[Parameter]) -> Table:
    """Return one row per parameter: symbol, bounds or the value at which it is fixed, meaning."""
    declared, blank = {each.name: each for each in parameters}, Cell("", "")
    rows = []
    for name in [*result["free"], *result["fixed"]]:
        one = declared.get(name)
        symbol, meaning = ("", "") if one is None else (one.symbol, one.meaning)
        if name in result["free"]:
            ends = [Cell.of(float(end)) for end in result["free"][name]]
            values = [*ends, blank]
        else:
            values = [blank, blank, Cell.of(float(result["fixed"][name]))]
        rows.append([Cell.of(name), Cell.of(symbol), *values, Cell.of(meaning)])
    columns = ["parameter", "symbol", "low", "high", "fixed at", "meaning"]
    tips = {
        "low": "lower bound of the search",
        "high": "upper bound of the search",
        "fixed at": "value of a parameter that was not estimated",
    }
    if not result["fixed"]:
        columns.remove("fixed at")
        rows = [[*row[:4], row[-1]] for row in rows]
    return Table("Parameters with bounds, or the value of fixed ones.", columns, rows, tips)


def estimates_table(result: FitResult) -> Table:
    """Return one row per free parameter: its distribution over fits, and estimates on bounds."""
    on_bounds = result.at_bound()
    rows = []
    for name in result["free"]:
        ends = [bounds.get(name) for bounds in on_bounds]
        numbers = describe(np.asarray(result["fits"][name], float))
        counts = [ends.count(end) for end in ("lower", "upper")]
        rows.append([Cell.of(each) for each in (name, *numbers, *counts)])
    columns = ["parameter", "mean", "SD", "median", "min", "max", "at lower", "at upper"]
    tips = {
        "SD": "over fits, with n − 1",
        "at lower": "fits with the estimate on the lower bound",
        "at upper": "fits with the estimate on the upper bound",
    }
    return Table("Estimates of the free parameters over fits.", columns, rows, tips)


def describe(values: np.ndarray) -> list[float | None]:
    """Return mean, standard deviation, median, minimum and maximum; None where undefined."""
    if not len(values):
        return [None] * 5
    spread = float(values.std(ddof=1)) if len(values) > 1 else None
    ends = [float(np.median(values)), float(values.min()), float(values.max())]
    return [float(values.mean()), spread, *ends]
