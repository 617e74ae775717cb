"""Recalls that any model can score: the first one of each item that was studied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jaxcmr.datasets._check import as_integers, check_data, check_lowest
from jaxcmr.datasets._fields import as_fields, is_whole

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset

MEANING = {
    "intrusions": "numbers below 0 in 'recalls'",
    "repeats": "recalls of an item that was recalled before",
}


def first_recalls(data: RecallDataset) -> dict[str, np.ndarray]:
    """Leave intrusions and repeats out of ``recalls``, and count them as `from_psifr` does.

    The recalls of a trial move up to where others were left out. An item that was studied twice is
    one item: recalling its other position is a repeat.

    Args:
        data: A data set whose ``recalls`` (trials, outputs) may hold, beside study positions,
            numbers below 0 for intrusions. ``rec_itemids``, where present, stay as they are.
            Fields ``intrusions`` and ``repeats`` may hold the number of recalls that were left out
            before, as (trials, 1), or may mark each output that is one with a number other than 0,
            as (trials, outputs).

    Returns:
        The checked data set (see `check_data`), with the number of recalls left out of each trial
        in ``intrusions`` and ``repeats``, (trials, 1). Numbers from before are added to.

    Raises:
        ValueError: ``recalls`` are not whole numbers, marks in ``intrusions`` or ``repeats``
            contradict ``recalls``, or the rest fails `check_data`.

    Examples:
        >>> data = {"subject": [1], "listLength": [3], "pres_itemnos": [[1, 2, 3]]}
        >>> found = first_recalls({**data, "recalls": [[3, -1, 3, 2]]})
        >>> found["recalls"]
        array([[3, 2, 0, 0]])
        >>> found["intrusions"].item(), found["repeats"].item()
        (1, 1)
    """
    fields = as_fields(data)
    recalls = fields.get("recalls", np.zeros((1, 1)))
    is_intrusion = (recalls < 0) & is_whole(recalls)
    # The rest must be data: only then is it known which item each recall is of.
    if "recalls" in fields and recalls.dtype.kind != "b":
        fields["recalls"] = moved_up(recalls, ~is_intrusion)
    checked = check_data(fields)

    positions = checked["recalls"]
    items = np.take_along_axis(np.pad(checked["pres_itemnos"], ((0, 0), (1, 0))), positions, axis=1)
    same_before = np.tril(items[:, :, None] == items[:, None, :], k=-1).any(axis=2)
    is_repeat = same_before & (items > 0)
    left_out = {"intrusions": is_intrusion, "repeats": is_repeat}
    return {
        **checked,
        "recalls": moved_up(positions, ~is_repeat),
        **{name: _count(name, checked.get(name), where) for name, where in left_out.items()},
    }


def moved_up(rows: np.ndarray, stays: np.ndarray) -> np.ndarray:
    """Return `rows` with the entries that stay moved to the left, and 0 after them."""
    order = np.argsort(~stays, axis=-1, kind="stable")
    return np.take_along_axis(np.where(stays, rows, 0), order, axis=-1)


def _count(name: str, field: np.ndarray | None, left_out: np.ndarray) -> np.ndarray:
    """Return how many recalls of each trial are left out, now and before: (trials, 1).

    Args:
        name: The field that will hold the counts.
        field: What it held: counts (trials, 1), marks of each output (trials, outputs), or None.
        left_out: (trials, outputs) True for recalls left out now.
    """
    counts = left_out.sum(axis=1, keepdims=True)
    if field is None:
        return counts
    if field.dtype.kind == "b":
        field = field.astype(np.int64)
    # One column holds counts, unless it marks exactly the only outputs there are.
    is_mark = (
        field.shape == left_out.shape and left_out.any() and not ((field != 0) ^ left_out).any()
    )
    if field.ndim != 2 or (field.shape[1] <= 1 and not is_mark):
        field = as_integers(name, field)
        check_lowest(name, field, 0)
        return field.astype(np.int64) + counts
    marks = np.count_nonzero(field, axis=1, keepdims=True)
    if (marks != counts).any():
        trial = int(np.argmax((marks != counts).ravel()))
        raise ValueError(
            f"'{name}' marks {marks[trial, 0]} outputs in trial {trial}, which has "
            f"{counts[trial, 0]} {name} ({MEANING[name]}). Correct one of the two fields, or leave "
            f"'{name}' out to have them counted"
        )
    return counts
