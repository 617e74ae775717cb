"""Transitions between successive recalls, from every study position to every other."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxcmr.analyses._measure import Fields, n_positions_of
from jaxcmr.analyses._sequences import field_of
from jaxcmr.names import did_you_mean

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset


def first_outputs(
    positions: Int[Array, "trials outputs"], n_positions: int
) -> Int[Array, "trials positions"]:
    """Return the output position, from 1, at which each study position was first recalled.

    It is ``outputs + 2`` if that never happened: later than any, and one more than none.
    """
    n_outputs = positions.shape[1]
    outputs = jnp.arange(1, n_outputs + 1, dtype=jnp.int32)[None, :, None]
    is_recall = positions[:, :, None] == jnp.arange(1, n_positions + 1)[None, None, :]
    return jnp.min(jnp.where(is_recall, outputs, n_outputs + 2), axis=1, initial=n_outputs + 2)


def was_recalled(
    positions: Int[Array, "trials outputs"], n_positions: int
) -> Bool[Array, "trials positions"]:
    """Return True for each study position that was recalled."""
    return first_outputs(positions, n_positions) <= positions.shape[1]


def is_in_pool(fields: Fields) -> Bool[Array, "trials positions"]:
    """Return True for study positions that hold an item not studied before in the list."""
    items = fields["pres_itemnos"]
    places = jnp.arange(items.shape[1])
    is_earlier = places[None, None, :] < places[None, :, None]
    is_again = jnp.any((items[:, :, None] == items[:, None, :]) & is_earlier, axis=-1)
    return (places[None, :] < fields["listLength"]) & ~is_again


def find_transitions(
    positions: Int[Array, "trials outputs"],
    fields: Fields,
    within: str | None = None,
    across: str | None = None,
) -> tuple[Bool[Array, "trials start end"], Bool[Array, "trials start end"]]:
    """Return the transitions that were made and those that were possible.

    A transition leads from the recall of an item to the next recall of the list, if both are the
    first recalls of their items. So no transition leads to or from an intrusion or a repeat. When
    one was made, all transitions to items that had not been recalled before it were possible.

    Args:
        positions: see `jaxcmr.analyses.recall_positions`.
        fields: with ``listLength`` and ``pres_itemnos``, and the fields that follow.
        within: a field with a category of each studied item; only transitions between items of
            the same category count as made or as possible.
        across: the same, with transitions between items of different categories.

    Returns:
        Two arrays (trials, study position of the start, study position of the end).
    """
    output = first_outputs(positions, fields["pres_itemnos"].shape[1])
    made = output[:, None, :] == output[:, :, None] + 1
    possible = (output[:, None, :] > output[:, :, None]) & is_in_pool(fields)[:, None, :]
    for field, is_kept in ((within, True), (across, False)):
        if field is not None:
            is_same = fields[field][:, :, None] == fields[field][:, None, :]
            made, possible = (each & (is_same == is_kept) for each in (made, possible))
    return made, possible & jnp.any(made, axis=-1, keepdims=True)


def rows_by_lag(
    transitions: Bool[Array, "trials start end"],
) -> list[Bool[Array, "trials lags"]]:
    """Return the transitions from each start, by lag from -(positions - 1) to positions - 1.

    From the last position all lags are negative, so that its row begins at the first lag; that of
    each position before it is one place further to the right.
    """
    last = transitions.shape[-1] - 1
    return [
        jnp.pad(transitions[:, start], ((0, 0), (last - start, start))) for start in range(last + 1)
    ]


def count_by_lag(transitions: Bool[Array, "trials start end"]) -> Int[Array, "trials lags"]:
    """Return the number of transitions of each lag, in the order of `rows_by_lag`."""
    return reduce(jnp.add, [row.astype(jnp.int32) for row in rows_by_lag(transitions)])


def lags_of(n_positions: int, **options: Any) -> range:
    """Return the lags of a list, from the last position to the first and back."""
    return range(1 - n_positions, n_positions)


def sum_of_ranks(
    made: Bool[Array, "trials start end"],
    possible: Bool[Array, "trials start end"],
    distances: Int[Array, "*trials start end"],
) -> tuple[Float[Array, " trials"], Int[Array, " trials"]]:
    """Return the sum of the percentile ranks of transitions, and the number of transitions.

    The rank of a transition is 1 if its distance is the smallest of those that were possible, and 0
    if it is the largest; equal distances share their mean rank. A transition that was the only
    possible one has no rank and does not count.

    Args:
        made: see `find_transitions`.
        possible: see `find_transitions`.
        distances: of all transitions. Only their order matters.
    """
    if distances.ndim == 2:
        distances = jnp.broadcast_to(distances[None], made.shape)
    actual = jnp.sum(jnp.where(made, distances, 0), axis=-1, keepdims=True)
    n_less = jnp.sum(possible & (distances < actual), axis=-1)
    n_equal = jnp.sum(possible & (distances == actual), axis=-1)
    n_possible = jnp.sum(possible, axis=-1)
    is_ranked = n_possible > 1
    # The mean rank of equal distances, from 0, is n_less + (n_equal - 1) / 2.
    share = (2 * n_less + n_equal - 1) / (2 * jnp.where(is_ranked, n_possible - 1, 1))
    return jnp.where(is_ranked, 1 - share, 0.0).sum(-1), is_ranked.sum(-1)


def categories_of(data: RecallDataset, field: str) -> Int[np.ndarray, "trials positions"]:
    """Return the category of each studied item as a number from 0; 0 where nothing was studied.

    Raises:
        ValueError: the data set has no such field, or it does not hold one category per item.
    """
    positions = n_positions_of(data)
    if field not in data:
        raise ValueError(
            f"{field!r} is not a field of the data set: give the name of the field with the "
            f"category of each studied item, (trials, positions). {did_you_mean(field, data)}"
        )
    values = np.asarray(data[field])
    is_studied = np.arange(positions)[None] < field_of(data, "listLength")
    if values.ndim != 2 or values.shape[1] < positions:
        raise ValueError(
            f"Field {field!r} has shape {values.shape}; expected one category per studied item, "
            f"{is_studied.shape}."
        )
    values = values[:, :positions]
    is_missing = (values != values) | (values == ("" if values.dtype.kind == "U" else None))
    if (is_missing & is_studied).any():
        trial, place = np.argwhere(is_missing & is_studied)[0]
        raise ValueError(
            f"Field {field!r} has no category in trial {trial}, position {place + 1}. Every "
            "studied item needs one."
        )
    codes = np.unique(values[is_studied], return_inverse=True)[1]
    found = np.zeros(is_studied.shape, np.int32)
    found[is_studied] = codes
    return found


def prepare_categories(
    data: RecallDataset, **options: Any
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the categories that the options ``within``, ``across`` and ``category`` name.

    Raises:
        ValueError: as for `categories_of`; or both ``within`` and ``across`` are given.
    """
    named = [options.get(name) for name in ("within", "across", "category")]
    if named[0] is not None and named[1] is not None:
        raise ValueError(
            f"Give within={named[0]!r} or across={named[1]!r}, not both: transitions are within "
            "or across categories of one field."
        )
    return {name: categories_of(data, name) for name in named if name is not None}, dict(options)
