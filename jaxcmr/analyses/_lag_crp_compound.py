"""Conditional response probability by lag and by the lag of the transition before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike

from jaxcmr.analyses._measure import Fields, make_measure, to_ratio
from jaxcmr.analyses._transitions import find_transitions, lags_of, prepare_categories, rows_by_lag

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset


def count_compound_lags(
    positions: Int[Array, "trials outputs"],
    fields: Fields,
    within: str | None = None,
    across: str | None = None,
) -> tuple[Int[Array, "trials lags lags"], Int[Array, "trials lags lags"]]:
    """Return the number of transitions by previous and current lag, made and possible."""
    made, possible = find_transitions(positions, fields, within, across)
    n_trials, n_positions, _ = made.shape
    n_lags = 2 * n_positions - 1
    # The lag, numbered from 0, of the transition that arrived at each position; n_lags without one.
    places = jnp.arange(n_positions)
    lag = places[None, :] - places[:, None] + n_positions - 1  # from row to column
    arrival = jnp.sum(jnp.where(made, lag[None], 0), axis=1)
    arrival = jnp.where(jnp.any(made, axis=1), arrival, n_lags)
    trials = jnp.arange(n_trials)[:, None]

    def count(transitions: Bool[Array, "trials start end"]) -> Int[Array, "trials lags lags"]:
        rows = jnp.stack(rows_by_lag(transitions), axis=1).astype(jnp.int32)
        none = jnp.zeros((n_trials, n_lags, n_lags), jnp.int32)
        return none.at[trials, arrival].add(rows, mode="drop")

    return count(made), count(possible)


@make_measure(
    count_compound_lags,
    lambda n_positions, **options: dict.fromkeys(("previous", "current"), lags_of(n_positions)),
    prepare=prepare_categories,
)
def lag_crp_compound(
    data: RecallDataset,
    mask: ArrayLike | None = None,
    *,
    within: str | None = None,
    across: str | None = None,
) -> Float[np.ndarray, "previous current"]:
    """Return the conditional response probability of each lag after each lag.

    As `lag_crp`, of the second of two transitions in a row, which share an item. These are the
    conventions of `psifr.fr.lag_crp_compound`.

    Args:
        data: recall data.
        mask: (trials,) booleans, which trials to count; all by default.
        within: see `lag_crp`; both transitions must be of this kind.
        across: see `lag_crp`; both transitions must be of this kind.

    Returns:
        (previous lags, current lags) probabilities, both for lags from -(n - 1) to n - 1, where n
        is the length of the longest list. NaN where no transition was possible.

    Raises:
        ValueError: a field is missing, or both `within` and `across` are given.

    Examples:
        After lag -2, lags -1 and 1 are possible; -1 was made:

        >>> data = {"listLength": [[4]], "pres_itemnos": [[1, 2, 3, 4]], "recalls": [[4, 2, 1, 0]]}
        >>> lag_crp_compound(data)[1]  # after lag -2, of lags -3, -2, ..., 3
        array([nan, nan,  1., nan,  0., nan, nan])
    """
    return to_ratio(lag_crp_compound, data, mask, within=within, across=across)
