"""Conditional response probability by the distance between items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike

from jaxcmr.analyses._distances import item_ids, match_distances, pair_values
from jaxcmr.analyses._measure import Fields, make_measure, to_ratio
from jaxcmr.analyses._transitions import find_transitions, prepare_categories

if TYPE_CHECKING:
    from jaxcmr.analyses._distances import Distances
    from jaxcmr.typing import RecallDataset


def count_distances(
    positions: Int[Array, "trials outputs"],
    fields: Fields,
    ids: Int[Array, " items"],
    bin_of_pair: Int[Array, "items items"],
    n_bins: int,
    count_unique: bool = False,
    within: str | None = None,
    across: str | None = None,
) -> tuple[Int[Array, "trials bins"], Int[Array, "trials bins"]]:
    """Return the number of transitions in each bin of distances, made and possible.

    Args:
        positions: see `jaxcmr.analyses.Measure`.
        fields: with ``pres_itemids``.
        ids: of all items, in order.
        bin_of_pair: the bin of the distance of each pair of items from 0; others are in no bin.
        n_bins: the number of bins.
        count_unique: see `jaxcmr.analyses.distance_crp`.
        within: see `jaxcmr.analyses.lag_crp`.
        across: see `jaxcmr.analyses.lag_crp`.
    """
    made, possible = find_transitions(positions, fields, within, across)
    bins = pair_values(fields, ids, bin_of_pair)

    def count(transitions: Bool[Array, "trials start end"]) -> Int[Array, "trials bins"]:
        in_bin = [transitions & (bins == number) for number in range(n_bins)]
        if count_unique:
            in_bin = [jnp.any(each, axis=-1, keepdims=True) for each in in_bin]
        return jnp.stack([each.sum((1, 2)) for each in in_bin], axis=-1)

    return count(made), count(possible)


def _prepare(
    data: RecallDataset, *, distances: Distances, edges: Sequence[float], **options: Any
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    limits = np.asarray(edges, float)
    if limits.ndim != 1 or len(limits) < 2 or not (np.diff(limits) > 0).all():
        raise ValueError(f"edges must be two or more increasing numbers; got {edges}.")
    fields, options = prepare_categories(data, **options)
    ids, matrix = match_distances(data, distances)
    # Bin k holds distances above edge k, up to and including edge k + 1.
    bins = np.searchsorted(limits, matrix).astype(np.int32) - 1
    made = {"ids": ids, "bin_of_pair": bins, "n_bins": len(limits) - 1}
    return {**fields, **item_ids(data)}, {**options, **made}


def _centers(n_positions: int, **options: Any) -> dict[str, list[float]]:
    edges = np.asarray(options["edges"], float)
    return {"center": (edges[:-1] + np.diff(edges) / 2).tolist()}


@make_measure(count_distances, _centers, prepare=_prepare)
def distance_crp(
    data: RecallDataset,
    mask: ArrayLike | None = None,
    *,
    distances: Distances,
    edges: Sequence[float],
    count_unique: bool = False,
    within: str | None = None,
    across: str | None = None,
) -> Float[np.ndarray, " bins"]:
    """Return the conditional response probability of each bin of distances between items.

    It is (transitions in the bin) / (items in the bin that were left to recall, over all
    transitions). These are the conventions of `psifr.fr.distance_crp`; which transitions count is
    explained at `lag_crp`.

    Args:
        data: recall data with ``pres_itemids``.
        mask: (trials,) booleans, which trials to count; all by default.
        distances: see `distance_rank`.
        edges: of the bins, increasing. A bin holds distances above its lower edge, up to and
            including its upper edge. Distances outside all bins are not counted.
        count_unique: whether a bin with several items left counts once for each transition.
        within: see `lag_crp`.
        across: see `lag_crp`.

    Returns:
        (bins,) probabilities; NaN where no transition was possible.

    Raises:
        ValueError: `edges` do not increase; or as for `distance_rank`.

    Examples:
        Distances are differences of ids. From 9, items at distances 4, 6 and 3 are left, and from
        5, items at distances 2 and 1:

        >>> data = {"listLength": [[4]], "pres_itemnos": [[1, 2, 3, 4]], "recalls": [[1, 2, 3, 0]],
        ...         "pres_itemids": [[9, 5, 3, 6]]}
        >>> ids = np.arange(1, 10)
        >>> distance_crp(data, distances=abs(ids[:, None] - ids), edges=[0, 2, 4, 6])
        array([0.5, 0.5, 0. ])
    """
    return to_ratio(
        distance_crp,
        data,
        mask,
        distances=distances,
        edges=edges,
        count_unique=count_unique,
        within=within,
        across=across,
    )
