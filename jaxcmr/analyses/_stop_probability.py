"""Probability of stopping by output position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike

from jaxcmr.analyses._measure import Fields, make_measure, to_ratio
from jaxcmr.analyses._transitions import is_in_pool, was_recalled

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset


def count_stops(
    positions: Int[Array, "trials outputs"], fields: Fields
) -> tuple[Bool[Array, "trials positions"], Bool[Array, "trials positions"]]:
    """Return the output position at which recall stopped, and all at which it could have."""
    n_positions = fields["pres_itemnos"].shape[1]
    n_before = jnp.arange(n_positions)[None, :]  # recalls before the output
    n_recalled = was_recalled(positions, n_positions).sum(-1, keepdims=True)
    is_left = n_before < is_in_pool(fields).sum(-1, keepdims=True)
    return (n_before == n_recalled) & is_left, (n_before <= n_recalled) & is_left


@make_measure(count_stops, lambda n_positions: {"output": range(1, n_positions + 1)})
def stop_probability(
    data: RecallDataset, mask: ArrayLike | None = None
) -> Float[np.ndarray, " outputs"]:
    """Return the probability that recall stops at each output position.

    At output k it is (lists with k - 1 recalls) / (lists with k - 1 recalls or more). Lists of
    which every item has been recalled are left out: they cannot but stop. Intrusions and repeats
    take no output position.

    Args:
        data: recall data.
        mask: (trials,) booleans, which trials to count; all by default.

    Returns:
        (n,) probabilities, where n is the length of the longest list; NaN where no list counts.

    Examples:
        Of four lists one has no recall; of the other three, one stops after one recall:

        >>> data = {"listLength": [[3]] * 4, "pres_itemnos": [[1, 2, 3]] * 4,
        ...         "recalls": [[3, 1, 0], [2, 0, 0], [1, 2, 3], [0, 0, 0]]}
        >>> stop_probability(data).round(2)
        array([0.25, 0.33, 0.5 ])
    """
    return to_ratio(stop_probability, data, mask)
