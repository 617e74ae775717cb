"""Distances between items, matched with the items of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from jaxcmr.analyses._measure import Fields, n_positions_of
from jaxcmr.analyses._sequences import field_of, integers_of

if TYPE_CHECKING:
    import pandas as pd

    from jaxcmr.typing import RecallDataset

    Distances = np.ndarray | pd.DataFrame


def match_distances(
    data: RecallDataset, distances: Distances
) -> tuple[Int[np.ndarray, " items"], Float[np.ndarray, "items items"]]:
    """Return the ids of all items that were studied, in order, and the distances between them.

    Args:
        data: recall data with ``pres_itemids``.
        distances: a table with words on both axes, matched with ``pres_items``, or ids, matched
            with ``pres_itemids``; or, for data without words, an array (all items, all items), with
            row and column ``id - 1`` for an item id.

    Raises:
        ValueError: a field is missing, an item has no distances, or one of them is NaN.
    """
    is_studied = np.arange(n_positions_of(data))[None] < field_of(data, "listLength")
    ids = integers_of(data, "pres_itemids")[:, : is_studied.shape[1]][is_studied]
    known, first = np.unique(ids, return_index=True)
    distances = np.asarray(distances) if isinstance(distances, list) else distances
    matrix = np.asarray(distances, float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"distances must be square, (items, items); got shape {matrix.shape}. Make them of "
            "vectors with scipy.spatial.distance.squareform(pdist(vectors))."
        )
    if isinstance(distances, np.ndarray):
        if "pres_items" in data:
            raise ValueError(
                "distances is an array, which does not say which row is which word. Hand in a "
                "table of them by word: pandas.DataFrame(distances, words, words)."
            )
        if known[0] < 1 or known[-1] > len(matrix):
            raise ValueError(
                f"distances have {len(matrix)} rows, one per item id from 1; the ids in "
                f"'pres_itemids' are from {known[0]} to {known[-1]}."
            )
        rows = known - 1
    else:
        rows = _rows_by_label(data, distances, known, first, is_studied)
    found = matrix[np.ix_(rows, rows)]
    np.fill_diagonal(found, 0.0)  # no transition leads from an item to itself
    if np.isnan(found).any():
        one, other = np.argwhere(np.isnan(found))[0]
        raise ValueError(f"The distance between the items {known[one]} and {known[other]} is NaN.")
    return known, found


def _rows_by_label(
    data: RecallDataset,
    distances: pd.DataFrame,
    known: Int[np.ndarray, " items"],
    first: Int[np.ndarray, " items"],
    is_studied: Shaped[np.ndarray, "trials positions"],
) -> Int[np.ndarray, " items"]:
    """Return the row of each known item in a table with labels on both axes."""
    import pandas as pd

    rows, columns = distances.index, distances.columns
    if len(rows) != len(columns) or (rows != columns).any() or not rows.is_unique:
        raise ValueError(
            "distances must have the same labels, in one order, on both axes, each once."
        )
    labels: np.ndarray = known
    if rows.inferred_type == "string":
        words = field_of(data, "pres_items")[:, : is_studied.shape[1]]
        trials, places = np.divmod(np.flatnonzero(is_studied)[first], is_studied.shape[1])
        labels = words[trials, places]
    found = rows.get_indexer(pd.Index(labels))
    if (found < 0).any():
        lacking = labels[found < 0]
        raise ValueError(
            f"distances lack {len(lacking)} of the {len(labels)} items that were studied, such as "
            f"'{lacking[0]}'."
        )
    return found


def pair_values(
    fields: Fields, ids: Int[Array, " items"], values: Int[Array, "items items"]
) -> Int[Array, "trials start end"]:
    """Return the value of each pair of items of a list.

    Args:
        fields: with ``pres_itemids``.
        ids: of all items, in order.
        values: of all pairs of items.
    """
    ids, values = jnp.asarray(ids), jnp.asarray(values)
    rows = jnp.searchsorted(ids, fields["pres_itemids"]).clip(max=len(ids) - 1)
    return values[rows[:, :, None], rows[:, None, :]]


def item_ids(data: RecallDataset) -> Mapping[str, np.ndarray]:
    """Return the field with the id of each studied item."""
    return {"pres_itemids": integers_of(data, "pres_itemids")[:, : n_positions_of(data)]}
