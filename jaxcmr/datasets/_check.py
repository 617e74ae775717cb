"""Check recall data: array-likes become arrays of numbers or text, and these a data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from typing import TYPE_CHECKING, TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from jaxcmr.names import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from jaxcmr.typing import RecallDataset

REQUIRED = ("subject", "listLength", "pres_itemnos", "recalls")
COLUMNS = ("subject", "listLength")  # exactly one number per trial

# The fields of whole numbers, each with its lowest number; None: any number.
LOWEST = {
    "subject": None,
    "listLength": 1,
    "pres_itemnos": 0,
    "recalls": 0,
    "pres_itemids": 0,
    "rec_itemids": -1,
}

# The words that go with a field of items: text of its shape, "" exactly where it is padding.
WORDS = {"pres_items": "pres_itemnos", "rec_items": "rec_itemids"}


def check_data(data: RecallDataset) -> dict[str, np.ndarray]:
    """Check a data set and return it in its standard form.

    The following holds for a checked data set. A row is a trial, counted from 0.

    - ``subject`` and ``listLength`` are (trials, 1). Every array has at least two dimensions.
    - ``pres_itemnos`` (trials, positions) numbers the studied items from 1. An item studied twice
      has its first number again. Zeros pad the end of a row; ``listLength`` counts the rest.
    - ``recalls`` (trials, outputs) holds numbers from 1 to the list length. Zeros pad the end. An
      item may be recalled more than once, because some models score repeats.
    - ``pres_itemids`` and ``rec_itemids``, where present, name items across lists. A -1 in
      ``rec_itemids`` is the recall of an unknown item; zeros pad its end.
    - These fields are integers, but ``subject`` may be text. Any other field holds numbers or text,
      with one row per trial.
    - ``pres_items`` and ``rec_items``, where present, are the words that go with ``pres_itemnos``
      and ``rec_itemids``; "" pads the end.
    - Numbers have the byte order of this machine and at most 64 bits. No entry is masked.

    Args:
        data: Array-likes by field name. A vector with one entry per trial is read as (trials, 1),
            whole numbers stored as floats as integers.

    Returns:
        A new dict. Arrays that need no change are those of `data`, not copies.

    Raises:
        ValueError: The data are not as above. The message names the field, the trial and the value.

    Examples:
        >>> data = {"subject": [1], "listLength": [2], "pres_itemnos": [[1, 2]], "recalls": [[2]]}
        >>> check_data(data)["listLength"]
        array([[2]])
        >>> check_data({**data, "recalls": [[3]]})
        Traceback (most recent call last):
        ValueError: 'recalls' holds 3 in trial 0, column 0; expected at most 2, the list length. ...
    """
    fields = as_fields(data)
    for name in REQUIRED:
        if name not in fields:
            raise ValueError(
                f"The data set lacks '{name}'; it needs {', '.join(REQUIRED)}. "
                + did_you_mean(name, fields)
            )
    for name in COLUMNS:
        if fields[name].shape[1:] != (1,):
            raise ValueError(
                f"'{name}' has shape {fields[name].shape}; expected one number per trial, (trials, "
                "1)."
            )
    count_trials(fields)
    for name, lowest in LOWEST.items():
        if name == "subject" and is_text(fields[name]):
            _check_entries(name, fields[name], fields[name] == "", "expected a name.")
        elif name in fields:
            fields[name] = as_integers(name, fields[name], lowest)
    _check_study(fields["pres_itemnos"], fields["listLength"])
    _check_recalls(fields["recalls"], fields["listLength"])
    if "rec_itemids" in fields:
        ids = fields["rec_itemids"]
        expected = "expected the id of an item, or -1, because one follows. Zeros only pad the end."
        _check_entries("rec_itemids", ids, _is_gap(ids), expected)
    for name, numbers in WORDS.items():
        if name in fields:
            _check_words(name, fields[name], numbers, fields.get(numbers))
    return fields


def as_fields(data: Mapping[str, ArrayLike]) -> dict[str, np.ndarray]:
    """Return the fields of `data` as arrays of numbers or text, one row per trial.

    Arrays have at least two dimensions: a vector with one entry per trial becomes a column (trials,
    1), so that fields line up. Numbers get the byte order of this machine and at most 64 bits.
    Arrays that already have this form are not copied.

    Args:
        data: Array-likes by field name.

    Raises:
        ValueError: `data` is not a mapping; or a field is ragged, a single value, has masked
            entries, or mixes text with anything else.

    Examples:
        >>> as_fields({"subject": [1, 1, 2]})["subject"].shape
        (3, 1)
    """
    if not isinstance(data, Mapping):
        raise ValueError(
            f"A data set is a mapping of field names to arrays; got {type(data).__name__}."
            + (" Convert it with jaxcmr.datasets.from_psifr(table)." if is_table(data) else "")
        )
    return {name: _as_field(name, values) for name, values in data.items()}


def _as_field(name: str, values: ArrayLike) -> np.ndarray:
    if not isinstance(name, str):
        raise ValueError(f"Field names are strings; got {name!r}.")
    check_unmasked(f"'{name}'", values)
    try:
        array = np.asarray(values)
        if array.dtype == object:  # as pandas returns numbers; NumPy infers the type afresh
            array = np.asarray(array.tolist())
        if array.dtype.kind in "UT" and not _is_all_text(values):
            array = np.asarray(values, object)  # NumPy made text of numbers
    except ValueError:
        raise ValueError(_describe_ragged(name, values)) from None  # type: ignore[arg-type]
    if array.dtype.kind == "T":
        array = np.array(array.tolist(), str).reshape(array.shape)
    if array.dtype.kind not in "biufU":
        raise ValueError(
            f"'{name}' has dtype {array.dtype}; fields hold numbers or text, not both. A missing "
            'number is NaN, a missing text is "".'
        )
    if array.ndim == 0:
        raise ValueError(f"'{name}' is the single value {array}; expected one row per trial.")
    if array.dtype.itemsize > 8 and array.dtype.kind == "f":
        array = array.astype(np.float64)
    elif not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array[:, None] if array.ndim == 1 else array


def _is_all_text(values: ArrayLike) -> bool:
    if isinstance(values, np.ndarray) and values.dtype.kind in "UT":
        return True
    return all(isinstance(value, str) for value in np.asarray(values, object).ravel())


def _describe_ragged(name: str, rows: Iterable[object]) -> str:
    sizes = [_count_entries(row) for row in rows]
    odd = next((trial for trial, size in enumerate(sizes) if size != sizes[0]), None)
    where = (
        "" if odd is None else f" (trial 0 has {sizes[0]} entries, trial {odd} has {sizes[odd]})"
    )
    return f"'{name}' is ragged{where}. Pad every row to the same length, with 0 for no item."


def _count_entries(row: object) -> int:
    if isinstance(row, np.ndarray) and row.ndim == 0:
        return 1
    return len(row) if isinstance(row, Sized) else 1


def is_table(data: object) -> TypeGuard[pd.DataFrame]:
    """Return True for a pandas DataFrame, without importing pandas."""
    return hasattr(data, "columns") and hasattr(data, "iloc")


def is_text(array: np.ndarray) -> bool:
    """Return True for an array of text."""
    return array.dtype.kind == "U"


def is_whole(array: np.ndarray) -> np.ndarray:
    """Return True where a float is a whole number that int64 holds exactly."""
    array = array.astype(np.float64)  # half precision has no 2**53
    return (np.abs(array) < 2**53) & (array == np.round(array))


def count_trials(fields: Mapping[str, np.ndarray]) -> int:
    """Return the number of rows that all `fields` share.

    Raises:
        ValueError: `fields` is empty, has no rows, or two fields differ in their number of rows.
    """
    if not fields:
        raise ValueError("The data set has no fields.")
    reference = "subject" if "subject" in fields else next(iter(fields))
    trials = len(fields[reference])
    for name, array in fields.items():
        if len(array) != trials:
            transposed = array.shape[1] == trials
            raise ValueError(
                f"'{name}' has {len(array)} rows but '{reference}' has {trials}; every field has "
                "one row per trial."
                + (f" Its shape {array.shape} looks transposed: pass its .T." if transposed else "")
            )
    if trials == 0:
        raise ValueError("The data set has no trials: every field has 0 rows.")
    return trials


def check_unmasked(what: str, values: object) -> None:
    """Raise a ValueError if `values`, or a row of a list of them, has masked entries.

    NumPy would use the numbers under the mask.
    """
    rows = values if isinstance(values, list | tuple) else (values,)
    if any(isinstance(row, np.ma.MaskedArray) and np.ma.is_masked(row) for row in rows):
        raise ValueError(
            f"{what} has masked entries. Fill them first, e.g. with np.ma.filled(x, 0)."
        )


def as_integers(name: str, array: np.ndarray, lowest: int | None) -> np.ndarray:
    """Return a field (trials, columns) of whole numbers >= `lowest` as integers."""
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"'{name}' has shape {array.shape}; expected (trials, at least 1 column).")
    if array.dtype.kind in "bU":
        kind = "text" if is_text(array) else "booleans"
        raise ValueError(f"'{name}' holds {kind}; expected whole numbers.")
    if array.dtype.kind == "f":
        expected = "expected a whole number. Padding is 0, not NaN."
        _check_entries(name, array, ~is_whole(array), expected)
        array = array.astype(np.int64)
    if lowest is not None:
        advice = " Leave intrusions out with jaxcmr.datasets.first_recalls."
        expected = f"expected {lowest} or more.{advice if name == 'recalls' else ''}"
        _check_entries(name, array, array < lowest, expected)
    return array


def _check_study(items: np.ndarray, list_length: np.ndarray) -> None:
    is_gap = np.zeros(items.shape, bool)
    is_gap[:, :-1] = (items[:, :-1] <= 0) & (items[:, 1:] > 0)
    expected = "expected an item, because one follows. Zeros only pad the end of a list."
    _check_entries("pres_itemnos", items, is_gap, expected)
    counts = (items > 0).sum(axis=1, keepdims=True)
    expected = "expected {}, the number of items above 0 in 'pres_itemnos' there."
    _check_entries("listLength", list_length, list_length != counts, expected, counts)
    _check_at_most("pres_itemnos", items, list_length)


def _check_recalls(recalls: np.ndarray, list_length: np.ndarray) -> None:
    _check_at_most("recalls", recalls, list_length)
    is_gap = _is_gap(recalls)
    expected = "expected a recall, because one follows. Zeros only pad the end."
    _check_entries("recalls", recalls, is_gap, expected)


def _is_gap(recalled: np.ndarray) -> np.ndarray:
    """Return True for each 0 that another number follows directly, (trials, outputs)."""
    is_gap = np.zeros(recalled.shape, bool)
    is_gap[:, :-1] = (recalled[:, :-1] == 0) & (recalled[:, 1:] != 0)
    return is_gap


def _check_words(name: str, words: np.ndarray, of: str, numbers: np.ndarray | None) -> None:
    """Check that `words` are text that goes with the field of items `of`."""
    if not is_text(words):
        raise ValueError(f"'{name}' holds {words.dtype}; expected the words of '{of}', as text.")
    if numbers is None or words.shape != numbers.shape:
        shape = None if numbers is None else numbers.shape
        raise ValueError(f"'{name}' has shape {words.shape}; expected that of '{of}', {shape}.")
    expected = f"expected a word where '{of}' holds an item, and \"\" where it holds 0."
    _check_entries(name, words, (words == "") != (numbers == 0), expected)


def _check_at_most(name: str, array: np.ndarray, list_length: np.ndarray) -> None:
    expected = "expected at most {}, the list length. Items are numbered from 1 within their list."
    _check_entries(name, array, array > list_length, expected, list_length)


def _check_entries(
    name: str,
    array: np.ndarray,
    is_wrong: np.ndarray,
    expected: str,
    by_trial: np.ndarray | None = None,
) -> None:
    """Raise a ValueError that shows the first wrong entry of a field, if it has one.

    Args:
        name: The name of the field.
        array: (trials, columns) its values.
        is_wrong: (trials, columns) True for wrong entries.
        expected: What was expected; ``{}`` in it is filled from `by_trial`.
        by_trial: (trials, 1) the part of it that differs between trials.
    """
    if not is_wrong.any():
        return
    trial, column = np.argwhere(is_wrong)[0]
    if by_trial is not None:
        expected = expected.format(by_trial[trial, 0])
    entry = str(array[trial, column]) or '""'
    others = np.count_nonzero(is_wrong) - 1
    raise ValueError(
        f"'{name}' holds {entry} in trial {trial}, column {column}; {expected}"
        + (f" ({others} more entries like it.)" if others else "")
    )
