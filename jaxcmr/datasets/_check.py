"""The check that a mapping of arrays is a recall data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jaxcmr.datasets._fields import as_fields, count_trials, is_whole
from jaxcmr.names import did_you_mean

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset

REQUIRED = ("subject", "listLength", "pres_itemnos", "recalls")
COLUMNS = ("subject", "listLength")  # exactly one number per trial

# The fields that hold whole numbers, with the lowest number each may hold. None: any.
LOWEST = {
    "subject": None,
    "listLength": 1,
    "pres_itemnos": 0,
    "recalls": 0,
    "pres_itemids": 0,
    "rec_itemids": -1,
}
ADVICE = {"recalls": "; jaxcmr.datasets.first_recalls leaves intrusions out"}


def check_data(data: RecallDataset) -> dict[str, np.ndarray]:
    """Check a data set and bring it into its one form.

    A checked data set keeps these promises, row by row (a row is a trial, counted from 0):

    - ``subject`` and ``listLength`` are (trials, 1); every array has at least two dimensions.
    - ``pres_itemnos`` (trials, positions) numbers the studied items from 1; an item studied twice
      carries its first number again. Zeros pad the end of a row; ``listLength`` counts the rest.
    - ``recalls`` (trials, outputs) holds numbers from 1 to the list length; zeros pad the end. An
      item may be recalled more than once: some models score repeats.
    - ``pres_itemids`` and ``rec_itemids``, where present, name items across lists; -1 in
      ``rec_itemids`` is a recall of no known item.
    - These fields are integers. Any other field is numeric with one row per trial.
    - Numbers have the byte order of this machine and at most 64 bits; nothing is masked.

    Args:
        data: Array-likes by field name. A vector with one entry per trial is read as (trials, 1),
            whole numbers stored as floats as integers.

    Returns:
        The checked data set: a new dict, whose arrays are those of `data` where nothing had to
        change.

    Raises:
        ValueError: A promise is broken; names the field, the trial and the value.

    Examples:
        >>> data = {"subject": [1], "listLength": [2], "pres_itemnos": [[1, 2]], "recalls": [[2]]}
        >>> check_data(data)["listLength"]
        array([[2]])
        >>> check_data({**data, "recalls": [[3]]})
        Traceback (most recent call last):
        ValueError: 'recalls' holds 3 in trial 0, column 0: expected at most 2, the list length; ...
    """
    fields = as_fields(data)
    _check_required(fields)
    for name in COLUMNS:
        _check_column(name, fields[name])
    count_trials(fields)
    for name, lowest in LOWEST.items():
        if name in fields:
            fields[name] = as_integers(name, fields[name])
            check_lowest(name, fields[name], lowest)
    _check_study(fields["pres_itemnos"], fields["listLength"])
    _check_recalls(fields["recalls"], fields["listLength"])
    return fields


def _check_required(fields: dict[str, np.ndarray]) -> None:
    for name in REQUIRED:
        if name not in fields:
            raise ValueError(
                f"the data set lacks '{name}'; it needs {', '.join(REQUIRED)}. "
                + did_you_mean(name, fields)
            )


def _check_column(name: str, array: np.ndarray) -> None:
    if array.shape[1:] != (1,):
        raise ValueError(
            f"'{name}' has shape {array.shape}; expected one number per trial: (trials, 1)"
        )


def as_integers(name: str, array: np.ndarray) -> np.ndarray:
    """Return a field (trials, columns) of whole numbers, as integers."""
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"'{name}' has shape {array.shape}; expected (trials, at least 1 column)")
    if array.dtype.kind == "b":
        raise ValueError(f"'{name}' holds booleans; expected whole numbers")
    if array.dtype.kind == "f":
        _check_none(
            ~is_whole(array), name, array, "expected a whole number; 0 is the padding, not NaN"
        )
        return array.astype(np.int64)
    return array


def check_lowest(name: str, array: np.ndarray, lowest: int | None) -> None:
    """Raise a ValueError if a field holds a number below `lowest`, where there is such a limit."""
    if lowest is not None:
        _check_none(array < lowest, name, array, f"expected {lowest} or more{ADVICE.get(name, '')}")


def _check_study(items: np.ndarray, list_length: np.ndarray) -> None:
    studied = items > 0
    gap = np.zeros_like(studied)
    gap[:, :-1] = ~studied[:, :-1] & studied[:, 1:]
    _check_none(gap, "pres_itemnos", items, "an item follows it; zeros only pad the end of a list")
    counts = studied.sum(axis=1, keepdims=True)
    expected = "expected {}, the number of items above 0 in 'pres_itemnos' there"
    _check_none(list_length != counts, "listLength", list_length, expected, counts)
    _check_not_beyond("pres_itemnos", items, list_length)


def _check_recalls(recalls: np.ndarray, list_length: np.ndarray) -> None:
    _check_not_beyond("recalls", recalls, list_length)
    gap = np.zeros(recalls.shape, bool)
    gap[:, :-1] = (recalls[:, :-1] == 0) & (recalls[:, 1:] > 0)
    advice = "a recall follows it; 0 only pads the end"
    _check_none(gap, "recalls", recalls, advice)


def _check_not_beyond(name: str, array: np.ndarray, list_length: np.ndarray) -> None:
    expected = "expected at most {}, the list length; items are numbered from 1 within their list"
    _check_none(array > list_length, name, array, expected, list_length)


def _check_none(
    broken: np.ndarray,
    name: str,
    array: np.ndarray,
    expected: str,
    by_trial: np.ndarray | None = None,
) -> None:
    """Raise a ValueError that shows the first entry of `array` where `broken` is True, if any.

    Args:
        broken: Booleans of the shape of `array` (trials, columns).
        name: The field that `array` is.
        array: The values.
        expected: What should have stood there; ``{}`` in it is filled from `by_trial`.
        by_trial: (trials, 1), for what is expected differently of each trial.
    """
    if not broken.any():
        return
    trial, column = np.argwhere(broken)[0]
    if by_trial is not None:
        expected = expected.format(by_trial[trial, 0])
    others = np.count_nonzero(broken) - 1
    raise ValueError(
        f"'{name}' holds {array[trial, column]} in trial {trial}, column {column}: {expected}"
        + (f" ({others} more entries like it)" if others else "")
    )
