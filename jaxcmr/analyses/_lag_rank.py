"""Temporal clustering: the percentile rank of lags."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from jaxcmr.analyses._measure import Fields, make_measure, to_ratio
from jaxcmr.analyses._transitions import find_transitions, prepare_categories, sum_of_ranks

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset


def count_lag_ranks(
    positions: Int[Array, "trials outputs"],
    fields: Fields,
    within: str | None = None,
    across: str | None = None,
) -> tuple[Float[Array, " trials"], Int[Array, " trials"]]:
    """Return the sum of the ranks of transitions, and their number."""
    made, possible = find_transitions(positions, fields, within, across)
    places = jnp.arange(made.shape[-1])
    return sum_of_ranks(made, possible, abs(places[:, None] - places[None, :]))


@make_measure(count_lag_ranks, prepare=prepare_categories, value="rank")
def lag_rank(
    data: RecallDataset,
    mask: ArrayLike | None = None,
    *,
    within: str | None = None,
    across: str | None = None,
) -> Float[np.ndarray, ""]:
    """Return the mean percentile rank of the lags of transitions: temporal clustering.

    Each transition is ranked by its absolute lag among those that were possible: 1 is the nearest
    item left, 0 the farthest, 0.5 is chance. Equal lags share their mean rank, and a transition to
    the only item left does not count. These are the conventions of `psifr.fr.lag_rank`; which
    transitions count is explained at `lag_crp`.

    Args:
        data: recall data.
        mask: (trials,) booleans, which trials to count; all by default.
        within: see `lag_crp`.
        across: see `lag_crp`.

    Returns:
        One number; NaN if no transition counts.

    Raises:
        ValueError: a field is missing, or both `within` and `across` are given.

    Examples:
        From 4, position 2 is the second of three; from 2, positions 1 and 3 are equally near:

        >>> data = {"listLength": [[4]], "pres_itemnos": [[1, 2, 3, 4]], "recalls": [[4, 2, 1, 0]]}
        >>> float(lag_rank(data))
        0.5
    """
    return to_ratio(lag_rank, data, mask, within=within, across=across)
