"""Semantic clustering: the percentile rank of distances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from jaxcmr.analyses._distances import item_ids, match_distances, pair_values
from jaxcmr.analyses._measure import Fields, make_measure, to_ratio
from jaxcmr.analyses._transitions import find_transitions, prepare_categories, sum_of_ranks

if TYPE_CHECKING:
    from jaxcmr.analyses._distances import Distances
    from jaxcmr.typing import RecallDataset


def count_distance_ranks(
    positions: Int[Array, "trials outputs"],
    fields: Fields,
    ids: Int[Array, " items"],
    order: Int[Array, "items items"],
    within: str | None = None,
    across: str | None = None,
) -> tuple[Float[Array, " trials"], Int[Array, " trials"]]:
    """Return the sum of the ranks of transitions, and their number.

    Args:
        positions: see `jaxcmr.analyses.Measure`.
        fields: with ``pres_itemids``.
        ids: of all items, in order.
        order: numbers from 0 that stand in the order of the distances, equal where they are.
        within: see `jaxcmr.analyses.lag_crp`.
        across: see `jaxcmr.analyses.lag_crp`.
    """
    made, possible = find_transitions(positions, fields, within, across)
    return sum_of_ranks(made, possible, pair_values(fields, ids, order))


def _prepare(
    data: RecallDataset, *, distances: Distances, **options: Any
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    fields, options = prepare_categories(data, **options)
    ids, matrix = match_distances(data, distances)
    order = np.unique(matrix, return_inverse=True)[1].reshape(matrix.shape).astype(np.int32)
    return {**fields, **item_ids(data)}, {**options, "ids": ids, "order": order}


@make_measure(count_distance_ranks, prepare=_prepare, value="rank")
def distance_rank(
    data: RecallDataset,
    mask: ArrayLike | None = None,
    *,
    distances: Distances,
    within: str | None = None,
    across: str | None = None,
) -> Float[np.ndarray, ""]:
    """Return the mean percentile rank of the distances of transitions: semantic clustering.

    Each transition is ranked by the distance of its items among those that were possible: 1 is the
    nearest item left, 0 the farthest, 0.5 is chance. Equal distances share their mean rank, and a
    transition to the only item left does not count. These are the conventions of
    `psifr.fr.distance_rank`; which transitions count is explained at `lag_crp`.

    Args:
        data: recall data with ``pres_itemids``.
        mask: (trials,) booleans, which trials to count; all by default.
        distances: (items, items), row and column ``id - 1`` for an item id; or a table with words
            on both axes, which are matched with the words of ``pres_items``, or with item ids.
        within: see `lag_crp`.
        across: see `lag_crp`.

    Returns:
        One number; NaN if no transition counts.

    Raises:
        ValueError: a field is missing, an item has no distances, or one of them is NaN.

    Examples:
        Distances are differences of ids. From 9, item 5 is the second nearest of three; from 5,
        items 3 and 6 are left, and the farther one is recalled:

        >>> data = {"listLength": [[4]], "pres_itemnos": [[1, 2, 3, 4]], "recalls": [[1, 2, 3, 0]],
        ...         "pres_itemids": [[9, 5, 3, 6]]}
        >>> ids = np.arange(1, 10)
        >>> float(distance_rank(data, distances=abs(ids[:, None] - ids)))
        0.25
    """
    return to_ratio(distance_rank, data, mask, distances=distances, within=within, across=across)
