"""Recalls that any model can score: the first one of each item that was studied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jaxcmr.datasets._check import check_data
from jaxcmr.datasets._fields import as_fields, is_whole

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset


def first_recalls(data: RecallDataset) -> dict[str, np.ndarray]:
    """The data set without intrusions and repeats in ``recalls``, counted as `from_psifr` does.

    The recalls of a trial move up to where others were left out. An item that was studied twice is
    one item: recalling its other position is a repeat.

    Args:
        data: A data set whose ``recalls`` (trials, outputs) may hold, beside study positions,
            numbers below 0 for intrusions. ``rec_itemids``, where present, stay as they are.

    Returns:
        The checked data set (see `check_data`), with how many recalls were left out for being one
        in ``intrusions`` and ``repeats``, (trials, 1); where there are such fields, added to them.

    Raises:
        ValueError: ``recalls`` are not whole numbers, or the rest fails `check_data`.
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
    counts = {"intrusions": is_intrusion, "repeats": is_repeat}
    return {
        **checked,
        "recalls": moved_up(positions, ~is_repeat),
        **{
            name: checked.get(name, 0) + left_out.sum(axis=1, keepdims=True)
            for name, left_out in counts.items()
        },
    }


def moved_up(rows: np.ndarray, stays: np.ndarray) -> np.ndarray:
    """`rows` with the entries that stay moved up to the left, and 0 after them."""
    order = np.argsort(~stays, axis=-1, kind="stable")
    return np.take_along_axis(np.where(stays, rows, 0), order, axis=-1)
