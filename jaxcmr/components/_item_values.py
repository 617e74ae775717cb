"""Values of the items that a model may recall, from a field of the data set."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Shaped

from jaxcmr.math import append_axes
from jaxcmr.typing import RecallDataset

__all__ = ["entries_of_trial", "item_values"]


def entries_of_trial(
    table: Shaped[Array, "trials ..."], trial_index: Int[Array, "..."], rank: int
) -> Shaped[Array, "..."]:
    """Return the entries of one trial with `rank` axes of candidates at the end.

    Given a trial for each candidate, (n_candidates,), each has the entries of its own.
    """
    entries = table[trial_index]
    return jnp.moveaxis(entries, 0, -1) if jnp.ndim(trial_index) else append_axes(entries, rank)


def item_values(dataset: RecallDataset, field: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the value of each item in `field`, by item number, and whether it was studied.

    Args:
        dataset: recall data.
        field: name of a field (trials, positions) that goes with ``pres_itemnos``.

    Returns:
        Two arrays (trials, n_items), where n_items is the longest list's length. Items that were
        not studied have value 0.

    Raises:
        ValueError: the field is missing or has another shape, or an item has two values.
    """
    if field not in dataset:
        raise ValueError(
            f"The data set has no field {field!r}. It has: {', '.join(sorted(dataset))}."
        )
    items, values = np.asarray(dataset["pres_itemnos"]), np.asarray(dataset[field])
    if values.shape != items.shape:
        raise ValueError(
            f"{field!r} needs a value for each of 'pres_itemnos', shape {items.shape}; "
            f"got shape {values.shape}."
        )
    trials, positions = np.nonzero(items > 0)
    numbers, given = items[trials, positions] - 1, values[trials, positions]
    shape = (len(items), int(np.max(dataset["listLength"])))
    if np.max(items, initial=0) > shape[1]:
        raise ValueError(
            f"'pres_itemnos' holds {np.max(items)}, above the longest 'listLength', {shape[1]}: "
            "number the items of each list from 1."
        )
    by_item, is_studied = np.zeros(shape, values.dtype), np.zeros(shape, bool)
    by_item[trials, numbers], is_studied[trials, numbers] = given, True
    if values.dtype.kind == "f" and np.any(np.isnan(given)):
        at = np.flatnonzero(np.isnan(given))[0]
        raise ValueError(
            f"{field!r} is NaN for item {numbers[at] + 1} of trial {trials[at]}: give every item a "
            "value, or leave the trial out."
        )
    clash = np.flatnonzero(by_item[trials, numbers] != given)
    if clash.size:
        at = clash[0]
        raise ValueError(
            f"Item {numbers[at] + 1} of trial {trials[at]} has two values in {field!r}: "
            f"{given[at]} and {by_item[trials[at], numbers[at]]}."
        )
    return by_item, is_studied
