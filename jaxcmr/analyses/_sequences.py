"""Recall sequences as study positions, intrusions and repeats included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from jaxcmr.names import did_you_mean

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset


def recall_positions(data: RecallDataset) -> Int[np.ndarray, "trials outputs"]:
    """Return the study position of every recall, with intrusions and repeats.

    If the data set has ``rec_itemids`` and ``pres_itemids``, every recalled item is looked up in
    its own list; an item that is not there is an intrusion. Otherwise the sequence is ``recalls``,
    in which a number below 0 is an intrusion.

    Args:
        data: recall data.

    Returns:
        (trials, outputs) study positions from 1 in order of recall, -1 for an intrusion, 0 for
        padding. Repeats are kept. An item that was studied twice has its first position.

    Raises:
        ValueError: a field is missing; or, without intrusions and repeats, ``rec_itemids`` and
            ``recalls`` are not the same sequence.

    Examples:
        The list is 7, 8, 9. Item 9 is recalled, then an item of another list, then 9 again and 7:

        >>> data = {"listLength": [[3]], "pres_itemnos": [[1, 2, 3]], "recalls": [[3, 1, 0]],
        ...         "pres_itemids": [[7, 8, 9]], "rec_itemids": [[9, 4, 9, 7, 0]]}
        >>> recall_positions(data)
        array([[ 3, -1,  3,  1,  0]])
        >>> del data["rec_itemids"]
        >>> recall_positions(data)
        array([[3, 1, 0]])
    """
    check_is_data(data)
    recalls = integers_of(data, "recalls")
    _check_in_list(recalls, integers_of(data, "listLength"))
    recalls = _to_first_positions(recalls, integers_of(data, "pres_itemnos"))
    if "rec_itemids" not in data or "pres_itemids" not in data:
        return recalls
    positions = _look_up(integers_of(data, "rec_itemids"), integers_of(data, "pres_itemids"))
    _check_same(positions, recalls)
    return positions


def field_of(data: RecallDataset, name: str) -> np.ndarray:
    """Return a field as an array of at least two dimensions, one row per trial.

    Raises:
        ValueError: the data set lacks it.
    """
    if name not in data:
        raise ValueError(f"The data set lacks the field {name!r}. {did_you_mean(name, data)}")
    values = np.asarray(data[name])
    return values.reshape(-1, 1) if values.ndim == 1 else values


def integers_of(data: RecallDataset, name: str) -> Int[np.ndarray, "trials columns"]:
    """Return a field of whole numbers as integers.

    Raises:
        ValueError: the data set lacks it, or it holds other values.
    """
    values = field_of(data, name)
    is_whole = values.dtype.kind in "iub" or (
        values.dtype.kind == "f" and bool((values == np.round(values)).all())
    )
    if not is_whole:
        raise ValueError(
            f"Field {name!r} must hold whole numbers; it holds {values.dtype}, with NaN or other "
            "values between. jaxcmr.check_data says where."
        )
    return values.astype(np.int64, copy=False)


def check_is_data(data: object) -> None:
    """Check that `data` is a mapping of fields.

    Raises:
        ValueError: it is something else, such as a table.
    """
    if not isinstance(data, Mapping):
        raise ValueError(
            "Expected a data set, a mapping of fields with one row per trial; got "
            f"{type(data).__name__}. Convert a table of events with jc.from_psifr(table)."
        )


def _check_in_list(
    recalls: Int[np.ndarray, "trials outputs"], lengths: Int[np.ndarray, "trials 1"]
) -> None:
    """Check that recalled positions are in their lists."""
    is_beyond = (recalls > lengths).any(axis=1)
    if is_beyond.any():
        trial = int(np.argmax(is_beyond))
        raise ValueError(
            f"'recalls' holds position {recalls[trial].max()} in trial {trial}, whose list has "
            f"{lengths[trial, 0]}. Positions are numbered from 1."
        )


def _to_first_positions(
    recalls: Int[np.ndarray, "trials outputs"], items: Int[np.ndarray, "trials positions"]
) -> Int[np.ndarray, "trials outputs"]:
    """Return positions with that of an item's first presentation, and -1 below 0."""
    if ((items == np.arange(1, items.shape[1] + 1)) | (items == 0)).all():
        return recalls.clip(min=-1)
    # Column 0 of the padded items makes padding, position 0, item 0.
    recalled = np.take_along_axis(np.pad(items, ((0, 0), (1, 0))), recalls.clip(min=0), axis=1)
    positions = _look_up(recalled, items)
    return np.where(recalls < 0, -1, positions)


def _look_up(
    recalled: Int[np.ndarray, "trials outputs"], studied: Int[np.ndarray, "trials positions"]
) -> Int[np.ndarray, "trials outputs"]:
    """Return the first position at which each recalled item was studied, or -1; 0 stays 0."""
    positions = np.full(recalled.shape, -1)
    for place in reversed(range(studied.shape[1])):
        np.copyto(positions, place + 1, where=recalled == studied[:, place, None])
    np.copyto(positions, 0, where=recalled == 0)
    return positions


def _check_same(
    positions: Int[np.ndarray, "trials outputs"], recalls: Int[np.ndarray, "trials others"]
) -> None:
    """Check that both are the same sequences of first recalls."""
    width = max(positions.shape[1], recalls.shape[1])
    recalls = np.pad(recalls, ((0, 0), (0, width - recalls.shape[1])))
    ours, theirs = _first_recalls(positions, width), recalls
    is_other = (ours != theirs).any(axis=1)
    if is_other.any():  # as where recalls hold repeats
        theirs = _first_recalls(recalls, width)
        is_other = (ours != theirs).any(axis=1)
    if is_other.any():
        trial = int(np.argmax(is_other))
        found, expected = (each[trial][each[trial] > 0].tolist() for each in (ours, theirs))
        raise ValueError(
            f"'rec_itemids' and 'recalls' differ in trial {trial}: without intrusions and repeats, "
            f"the recalled items have the study positions {found}, and 'recalls' are {expected}. "
            "If 'recalls' were changed, leave out 'rec_itemids'."
        )


def _first_recalls(
    positions: Int[np.ndarray, "trials outputs"], width: int
) -> Int[np.ndarray, "trials width"]:
    """Return positions without intrusions and repeats, gaps closed, padded with 0."""
    trials = np.arange(len(positions))
    was_recalled = np.zeros((len(positions), positions.max(initial=0) + 1), bool)
    n_recalled = np.zeros(len(positions), int)
    found = np.zeros((len(positions), width), positions.dtype)
    for position in positions.T:
        is_first = (position > 0) & ~was_recalled[trials, position]
        rows = trials[is_first]
        found[rows, n_recalled[rows]] = position[rows]
        was_recalled[rows, position[rows]] = True
        n_recalled[rows] += 1
    return found
