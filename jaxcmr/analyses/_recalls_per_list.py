"""Distribution of the number of recalls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike

from jaxcmr.analyses._measure import Fields, make_measure, to_ratio
from jaxcmr.analyses._transitions import was_recalled

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset


def count_numbers_recalled(
    positions: Int[Array, "trials outputs"], fields: Fields
) -> tuple[Bool[Array, "trials numbers"], Bool[Array, "trials numbers"]]:
    """Return which number of items was recalled, and all numbers if it is a list."""
    n_positions = fields["pres_itemnos"].shape[1]
    numbers = jnp.arange(n_positions + 1)[None, :]
    n_recalled = was_recalled(positions, n_positions).sum(-1, keepdims=True)
    is_list = fields["listLength"] > 0
    return (numbers == n_recalled) & is_list, (numbers >= 0) & is_list


@make_measure(count_numbers_recalled, lambda n_positions: {"recalls": range(n_positions + 1)})
def recalls_per_list(
    data: RecallDataset, mask: ArrayLike | None = None
) -> Float[np.ndarray, " numbers"]:
    """Return the share of lists in which 0, 1, 2, ... items were recalled.

    Intrusions and repeats are not counted. The mean number of recalls is
    ``recalls_per_list(data) @ np.arange(n + 1)``.

    Args:
        data: recall data.
        mask: (trials,) booleans, which trials to count; all by default.

    Returns:
        (n + 1,) shares that sum to 1, where n is the length of the longest list; NaN without
        trials.

    Examples:
        >>> data = {"listLength": [[3]] * 4, "pres_itemnos": [[1, 2, 3]] * 4,
        ...         "recalls": [[3, 1], [2, 0], [1, 2], [0, 0]]}
        >>> recalls_per_list(data)
        array([0.25, 0.25, 0.5 , 0.  ])
    """
    return to_ratio(recalls_per_list, data, mask)
