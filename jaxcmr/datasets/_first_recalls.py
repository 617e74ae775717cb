"""Leave out recalls that most models cannot score: intrusions and repeats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jaxcmr.datasets._check import as_fields, as_integers, check_data, is_whole

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset

MEANING = {
    "intrusions": "numbers below 0 in 'recalls'",
    "repeats": "recalls of an item that was recalled before",
}


def first_recalls(data: RecallDataset) -> dict[str, np.ndarray]:
    """Leave intrusions and repeats out of ``recalls``, and count them.

    They are counted as `from_psifr` does. The remaining recalls of a trial close the gaps. An item
    that was studied twice is one item: recalling its other position is a repeat.

    Args:
        data: A data set whose ``recalls`` (trials, outputs) may hold numbers below 0, which are
            intrusions. ``rec_itemids``, where present, stay as they are. Fields ``intrusions`` and
            ``repeats`` may hold the number of recalls that were left out before, as (trials, 1).
            Or they may mark each output that is one with a number other than 0, as (trials,
            outputs).

    Returns:
        The checked data set (see `check_data`). ``intrusions`` and ``repeats``, (trials, 1), hold
        the number of recalls left out of each trial, with those that were left out before.

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
    # Without intrusions these must be data: only then does each recall have a known item.
    if "recalls" in fields and recalls.dtype.kind != "b":
        fields["recalls"] = _drop(recalls, is_intrusion)
    checked = check_data(fields)

    positions = checked["recalls"]
    # Column 0 of the padded items makes padding, position 0, item 0.
    items = np.take_along_axis(np.pad(checked["pres_itemnos"], ((0, 0), (1, 0))), positions, axis=1)
    # [trial, output, earlier output]: the same item. The lower triangle keeps the earlier ones.
    was_recalled = np.tril(items[:, :, None] == items[:, None, :], k=-1).any(axis=2)
    is_repeat = was_recalled & (items > 0)
    return {
        **checked,
        "recalls": _drop(positions, is_repeat),
        "intrusions": _count("intrusions", checked.get("intrusions"), is_intrusion),
        "repeats": _count("repeats", checked.get("repeats"), is_repeat),
    }


def _drop(rows: np.ndarray, is_dropped: np.ndarray) -> np.ndarray:
    """Return `rows` without the dropped entries, padded with 0 at the end."""
    order = np.argsort(is_dropped, axis=-1, kind="stable")
    return np.take_along_axis(np.where(is_dropped, 0, rows), order, axis=-1)


def _count(name: str, field: np.ndarray | None, left_out: np.ndarray) -> np.ndarray:
    """Return the number of recalls left out, now and before, as (trials, 1).

    Args:
        name: "intrusions" or "repeats".
        field: The field of this name in the data: counts (trials, 1), marks of each output
            (trials, outputs), or None.
        left_out: (trials, outputs) True for recalls that are left out now.
    """
    counts = left_out.sum(axis=1, keepdims=True)
    if field is None:
        return counts
    if field.dtype.kind == "b":
        field = field.astype(np.int64)
    # One column holds counts, unless it marks exactly the only outputs there are.
    is_mark = (
        field.shape == left_out.shape and left_out.any() and np.array_equal(field != 0, left_out)
    )
    if field.ndim != 2 or (field.shape[1] <= 1 and not is_mark):
        return as_integers(name, field, lowest=0).astype(np.int64) + counts
    marks = np.count_nonzero(field, axis=1, keepdims=True)
    if (marks != counts).any():
        trial = int(np.argmax((marks != counts).ravel()))
        raise ValueError(
            f"'{name}' marks {marks[trial, 0]} outputs in trial {trial}, which has "
            f"{counts[trial, 0]} {name} ({MEANING[name]}). Correct one of the two fields, or leave "
            f"'{name}' out to have them counted."
        )
    return counts
