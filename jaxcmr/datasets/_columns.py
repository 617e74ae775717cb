"""Columns of a table of events as fields of a data set."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def keep_columns(
    table: pd.DataFrame,
    trial: np.ndarray,
    study: np.ndarray,
    recall: np.ndarray,
    taken: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return the columns of numbers or text as fields; `from_psifr` documents which.

    Args:
        table: One row per event, of columns to keep.
        trial: (rows,) the trial of each row.
        study: The rows that are study events, by trial and position.
        recall: The rows that are recalls, by trial and position.
        taken: Fields whose names are not free.

    Raises:
        ValueError: A field would have the name of another.
    """
    trials, first_row = np.unique(trial, return_index=True)
    fields: dict[str, np.ndarray] = {}
    for column in table.columns:
        values = as_values(table[column])
        found = {str(column): values}
        if values is not None and _is_same(values, values[first_row][trial]):
            found = {str(column): values[first_row][:, None]}
        elif values is not None:
            parts = {str(column): study, f"rec_{column}": recall}
            found = {
                name: lay_out(values, trial, rows, len(trials), pads_with_nan=True)
                for name, rows in parts.items()
                if not is_missing(values[rows]).all()
            }
        for name, field in found.items():
            if name in taken or name in fields:
                raise ValueError(
                    f"from_psifr makes a field '{name}' itself. Rename the column '{column}'."
                )
            if field is not None:
                fields[name] = field
    return fields


def as_values(column: pd.Series) -> np.ndarray | None:
    """Return a column as numbers, with NaN for missing, or as text, with "" for missing.

    None, if it holds anything else. The types of pandas for strings, categories and numbers that
    may be missing are read.
    """
    values, is_absent = column.to_numpy(), column.isna().to_numpy()
    if values.dtype.kind in "biuf" and values.dtype.itemsize <= 8:
        return values
    present = values[~is_absent].tolist()
    if all(isinstance(value, str) for value in present):
        text = np.full(len(values), "", object)
        text[~is_absent] = present
        return text.astype(str)
    if not all(isinstance(value, Real | np.bool_) for value in present):
        return None
    if not is_absent.any():
        exact = np.asarray(present)
        return exact if exact.dtype.kind in "biuf" else None
    numbers = np.full(len(values), np.nan)
    numbers[~is_absent] = present
    return numbers


def lay_out(
    values: np.ndarray,
    trial: np.ndarray,
    rows: np.ndarray,
    trials: int,
    columns: int = 1,
    *,
    pads_with_nan: bool = False,
) -> np.ndarray:
    """Return the `values` of `rows` as (trials, >= `columns`), padded with 0 or "" at the end.

    Args:
        values: (all rows,) what to lay out.
        trial: (all rows,) the trial of each.
        rows: The rows to take, by trial and in the order wanted.
        trials: The number of trials.
        columns: The least number of columns; more are made where a trial has more rows.
        pads_with_nan: Pad numbers with NaN. They become floats if there is any padding.
    """
    into = trial[rows]
    column = np.arange(len(rows)) - np.searchsorted(into, into)  # minus the trial's first row
    shape = (trials, max(columns, column.max(initial=0) + 1))
    chosen = values[rows]
    if chosen.dtype.kind == "U":  # as wide as what is laid out
        chosen = chosen.astype(f"U{np.strings.str_len(chosen).max(initial=1)}")
    matrix = np.zeros(shape, chosen.dtype)
    matrix[into, column] = chosen
    if pads_with_nan and len(rows) < matrix.size and values.dtype.kind != "U":
        is_padding = np.ones(shape, bool)
        is_padding[into, column] = False
        matrix = np.where(is_padding, np.nan, matrix)
    return matrix


def is_missing(values: np.ndarray) -> np.ndarray:
    """Return True where a number is NaN or a text is empty."""
    return values == "" if values.dtype.kind == "U" else np.isnan(values.astype(float))


def _is_same(values: np.ndarray, others: np.ndarray) -> bool:
    return np.array_equal(values, others, equal_nan=values.dtype.kind == "f")
