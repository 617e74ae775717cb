"""Conditional response probability by lag."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from jaxcmr.analyses._measure import Fields, make_measure, to_ratio
from jaxcmr.analyses._transitions import count_by_lag, find_transitions, lags_of, prepare_categories

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset


def count_lags(
    positions: Int[Array, "trials outputs"],
    fields: Fields,
    within: str | None = None,
    across: str | None = None,
) -> tuple[Int[Array, "trials lags"], Int[Array, "trials lags"]]:
    """Return the number of transitions of each lag, made and possible."""
    made, possible = find_transitions(positions, fields, within, across)
    return count_by_lag(made), count_by_lag(possible)


@make_measure(
    count_lags,
    lambda n_positions, **options: {"lag": lags_of(n_positions)},
    prepare=prepare_categories,
)
def lag_crp(
    data: RecallDataset,
    mask: ArrayLike | None = None,
    *,
    within: str | None = None,
    across: str | None = None,
) -> Float[np.ndarray, " lags"]:
    """Return the conditional response probability of each lag (Kahana, 1996).

    The lag of a transition is the study position of an item minus that of the item recalled just
    before it. The probability is (transitions of that lag) / (transitions at which an item at that
    lag was left to recall). A transition counts if both its recalls are the first of their items:
    transitions to or from intrusions and repeats are left out. These are the conventions of
    `psifr.fr.lag_crp`.

    Args:
        data: recall data.
        mask: (trials,) booleans, which trials to count; all by default.
        within: name of a field with the category of each studied item, (trials, positions). Only
            transitions between items of one category count, as made and as possible.
        across: the same, for transitions between items of different categories.

    Returns:
        (2 n - 1,) probabilities for lags from -(n - 1) to n - 1, where n is the length of the
        longest list; the middle one is lag 0. NaN where no transition was possible.

    Raises:
        ValueError: a field is missing, or both `within` and `across` are given.

    Examples:
        From item 2 of three, lags -1 and 1 are possible; then from 3, lag -2:

        >>> data = {"listLength": [[3]], "pres_itemnos": [[1, 2, 3]], "recalls": [[2, 3, 1]]}
        >>> lag_crp(data)  # of lags -2, -1, 0, 1, 2
        array([ 1.,  0., nan,  1., nan])
    """
    return to_ratio(lag_crp, data, mask, within=within, across=across)
