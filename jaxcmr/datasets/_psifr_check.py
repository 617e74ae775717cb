"""Checks of a psifr table before it becomes a data set."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcmr.datasets._fields import is_whole
from jaxcmr.names import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

INT64 = np.iinfo(np.int64)
COLUMNS = ("subject", "list", "position", "trial_type", "item")

ADVICE = {
    "subject": (
        "map subjects to integers, e.g. table['subject'] = table['subject'].factorize()[0] + 1"
    ),
    "list": "number the lists of each subject with integers",
    "position": "number study positions and outputs from 1",
    "item": "items are either all strings or all integers",
}


def check_table(table: pd.DataFrame) -> None:
    """Raise a ValueError unless `table` has the five columns, filled, and known trial types."""
    if not hasattr(table, "columns"):
        raise ValueError(f"expected a pandas DataFrame, got {type(table).__name__}")
    if not table.columns.is_unique:
        raise ValueError(f"two columns share a name: {', '.join(map(str, table.columns))}")
    for column in COLUMNS:
        if column not in table.columns:
            names = [str(name) for name in table.columns]
            raise ValueError(
                f"the table lacks the column '{column}'; it needs {', '.join(COLUMNS)}. "
                + did_you_mean(column, names)
            )
    if len(table) == 0:
        raise ValueError("the table has no rows")
    for column in COLUMNS:
        missing = table[column].isna().to_numpy()
        check_none(missing, table, f"'{column}' is missing (NaN); fill it in or drop the row")
    unknown = ~table["trial_type"].isin(["study", "recall"]).to_numpy(bool)
    check_none(unknown, table, "'trial_type' is '{trial_type}'; expected 'study' or 'recall'")


def check_events(
    table: pd.DataFrame, trial: np.ndarray, position: np.ndarray, study: np.ndarray
) -> None:
    """Raise a ValueError unless every list was studied and its events have an order.

    Args:
        table: The table, for the message.
        trial: (rows,) the trial of each row.
        position: (rows,) the position of each row.
        study: (rows,) True for study events.
    """
    check_none(~np.isin(trial, trial[study]), table, "the list has recalls but no study events")
    order = np.lexsort([position, study, trial])
    trial, position, study = trial[order], position[order], study[order]
    follows = (trial[1:] == trial[:-1]) & (study[1:] == study[:-1])
    twice = follows & (position[1:] == position[:-1])
    skips = study & (position != 1)
    skips[1:] &= ~(follows & (position[1:] == position[:-1] + 1))
    message = "{trial_type} position {position} occurs twice; each event has its own"
    check_none(_unsorted(np.append(False, twice), order), table, message)
    message = "study position {position} without the one before it; they run 1, 2, 3, ..."
    check_none(_unsorted(skips, order), table, message)


def whole_numbers(table: pd.DataFrame, column: str) -> np.ndarray:
    """Return a column of whole numbers as int64 (rows,), or as uint64 if subjects need it."""
    values = table[column].infer_objects().to_numpy()
    if values.dtype.kind == "f":
        broken = ~is_whole(values)
    elif values.dtype.kind == "O":
        broken = np.array([not _is_integer(value) for value in values])
    else:
        broken = np.full(len(values), values.dtype.kind not in "iu")
    check_none(broken, table, f"'{column}' is {{{column}}}, not an integer; {ADVICE[column]}")
    low, high = int(values.min()), int(values.max())
    if column == "subject" and low >= 0 and INT64.max < high < 2**64:
        return values.astype(np.uint64)
    if low < INT64.min or high > INT64.max:
        broken = np.array([not INT64.min <= int(value) <= INT64.max for value in values])
        limits = "from 0 to 2**64 - 1, or from" if column == "subject" else "from"
        message = f"'{column}' is {{{column}}}; expected integers {limits} -2**63 to 2**63 - 1"
        check_none(broken, table, message)
    return values.astype(np.int64)


def _is_integer(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool | np.timedelta64)


def check_none(broken: np.ndarray, table: pd.DataFrame, message: str) -> None:
    """Raise a ValueError that tells where `broken` (rows,) is first True, if it is anywhere.

    The names of the columns in braces in `message` are filled in from that row.
    """
    if not broken.any():
        return
    row = int(np.argmax(broken))
    values: dict[str, Any] = {column: table[column].iloc[row] for column in COLUMNS}
    raise ValueError(
        f"subject {values['subject']}, list {values['list']} (row {row} of the table): "
        + message.format(**values)
    )


def _unsorted(ordered: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Undo a sort: return the vector for which ``vector[order]`` is `ordered`."""
    vector = np.empty_like(ordered)
    vector[order] = ordered
    return vector
