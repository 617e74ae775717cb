"""The door of this room: array-likes of every kind become numeric arrays with one row a trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def as_fields(data: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The fields of `data` as NumPy arrays of at least two dimensions, one row a trial.

    A vector with one entry a trial becomes a column (trials, 1), so that fields line up. Arrays
    are not copied where they already have this form.

    Raises:
        ValueError: `data` is no mapping, or a field is ragged, not numeric or a single value.
    """
    if not isinstance(data, Mapping):
        raise ValueError(
            f"a data set is a mapping of field names to arrays, got {type(data).__name__}"
        )
    return {name: _as_field(name, values) for name, values in data.items()}


def count_trials(fields: Mapping[str, np.ndarray]) -> int:
    """The number of rows that all `fields` share.

    Raises:
        ValueError: there is no field or no row, or two fields differ in their number of rows.
    """
    if not fields:
        raise ValueError("the data set has no fields")
    reference = "subject" if "subject" in fields else next(iter(fields))
    trials = len(fields[reference])
    for name, array in fields.items():
        if len(array) != trials:
            transposed = array.shape[1] == trials
            raise ValueError(
                f"'{name}' has {len(array)} rows but '{reference}' has {trials}; every field has "
                "one row a trial."
                + (f" Its shape {array.shape} looks transposed: pass its .T" if transposed else "")
            )
    if trials == 0:
        raise ValueError("the data set has no trials (every field has 0 rows)")
    return trials


def is_whole(array: np.ndarray) -> np.ndarray:
    """Where an array of floats holds whole numbers that int64 holds as exactly: no NaN, no inf."""
    return (np.abs(array) < 2**53) & (array == np.round(array))


def _as_field(name: str, values: Any) -> np.ndarray:
    if not isinstance(name, str):
        raise ValueError(f"field names are strings, got {name!r}")
    try:
        array = np.asarray(values)
        if array.dtype == object:  # as pandas hands numbers over; NumPy infers the type afresh
            array = np.asarray(array.tolist())
    except ValueError:
        raise ValueError(_describe_ragged(name, values)) from None
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"'{name}' has dtype {array.dtype}; fields are numeric arrays only. Code text and "
            "categories as integers, e.g. np.unique(values, return_inverse=True)[1]"
        )
    if array.ndim == 0:
        raise ValueError(f"'{name}' is the single value {array}; expected one row a trial")
    return array[:, None] if array.ndim == 1 else array


def _describe_ragged(name: str, values: Any) -> str:
    sizes = [len(row) if hasattr(row, "__len__") else 1 for row in values]
    odd = next((trial for trial, size in enumerate(sizes) if size != sizes[0]), None)
    where = (
        "" if odd is None else f" (trial 0 has {sizes[0]} entries, trial {odd} has {sizes[odd]})"
    )
    return f"'{name}' is ragged{where}; pad every row to the same length, with 0 for no item"
