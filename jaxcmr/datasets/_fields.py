"""The entrance of this room: array-likes become numeric arrays with one row per trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def as_fields(data: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the fields of `data` as arrays of at least two dimensions, one row per trial.

    A vector with one entry per trial becomes a column (trials, 1), so that fields line up. Numbers
    get the byte order of this machine, and are at most 64 bits wide. Arrays that already have this
    form are not copied.

    Raises:
        ValueError: `data` is not a mapping, or a field is ragged, not numeric, a single value or
            has masked entries.

    Examples:
        >>> as_fields({"subject": [1, 1, 2]})["subject"].shape
        (3, 1)
    """
    if not isinstance(data, Mapping):
        advice = (
            "; convert a psifr table with jaxcmr.datasets.from_psifr(table)"
            if is_table(data)
            else ""
        )
        raise ValueError(
            f"a data set is a mapping of field names to arrays, got {type(data).__name__}{advice}"
        )
    return {name: _as_field(name, values) for name, values in data.items()}


def is_table(data: Any) -> bool:
    """Return True for a pandas DataFrame, without importing pandas."""
    return hasattr(data, "columns") and hasattr(data, "iloc")


def count_trials(fields: Mapping[str, np.ndarray]) -> int:
    """Return the number of rows that all `fields` share.

    Raises:
        ValueError: There is no field or no row, or two fields differ in their number of rows.
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
                "one row per trial."
                + (f" Its shape {array.shape} looks transposed: pass its .T" if transposed else "")
            )
    if trials == 0:
        raise ValueError("the data set has no trials (every field has 0 rows)")
    return trials


def is_whole(array: np.ndarray) -> np.ndarray:
    """Return True where a float is a whole number that int64 holds exactly: not NaN, not inf."""
    array = array.astype(np.float64)  # half precision has no 2**53
    return (np.abs(array) < 2**53) & (array == np.round(array))


def check_unmasked(what: str, values: Any) -> None:
    """Raise a ValueError if `values`, or a row of a list of them, has masked entries.

    NumPy would go on with the numbers under the mask.
    """
    rows = values if isinstance(values, list | tuple) else (values,)
    if any(isinstance(row, np.ma.MaskedArray) and np.ma.is_masked(row) for row in rows):
        raise ValueError(
            f"{what} has masked entries; fill them first, e.g. with np.ma.filled(x, 0)"
        )


def _as_field(name: str, values: Any) -> np.ndarray:
    if not isinstance(name, str):
        raise ValueError(f"field names are strings, got {name!r}")
    check_unmasked(f"'{name}'", values)
    try:
        array = np.asarray(values)
        if array.dtype == object:  # as pandas returns numbers; NumPy infers the type afresh
            array = np.asarray(array.tolist())
    except ValueError:
        raise ValueError(_describe_ragged(name, values)) from None
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"'{name}' has dtype {array.dtype}; fields are numeric arrays only. Code text and "
            "categories as integers, e.g. np.unique(values, return_inverse=True)[1]"
        )
    if array.ndim == 0:
        raise ValueError(f"'{name}' is the single value {array}; expected one row per trial")
    if array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    elif not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array[:, None] if array.ndim == 1 else array


def _describe_ragged(name: str, values: Any) -> str:
    sizes = [len(row) if hasattr(row, "__len__") else 1 for row in values]
    odd = next((trial for trial, size in enumerate(sizes) if size != sizes[0]), None)
    where = (
        "" if odd is None else f" (trial 0 has {sizes[0]} entries, trial {odd} has {sizes[odd]})"
    )
    return f"'{name}' is ragged{where}; pad every row to the same length, with 0 for no item"
