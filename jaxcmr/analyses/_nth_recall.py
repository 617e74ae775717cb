"""Probability of recall by study position and output position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike

from jaxcmr.analyses._measure import Fields, make_measure, to_ratio
from jaxcmr.analyses._transitions import first_outputs, is_in_pool

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset


def count_nth_recalls(
    positions: Int[Array, "trials outputs"], fields: Fields
) -> tuple[Bool[Array, "trials positions inputs"], Bool[Array, "trials positions inputs"]]:
    """Return what was recalled at each output, and what had not been recalled before it.

    Both are (trials, output position, study position). Intrusions and repeats take no output.
    """
    n_positions = fields["pres_itemnos"].shape[1]
    output = first_outputs(positions, n_positions)
    is_recalled = output <= positions.shape[1]
    # The output of a position among first recalls: how many of them came no later.
    is_no_later = is_recalled[:, None, :] & (output[:, None, :] <= output[:, :, None])
    rank = jnp.where(is_recalled, is_no_later.sum(-1), n_positions + 1)
    outputs = jnp.arange(1, n_positions + 1)
    made = rank[:, None, :] == outputs[None, :, None]
    is_output = outputs[None, :] <= is_recalled.sum(-1, keepdims=True)
    is_left = (rank[:, None, :] >= outputs[None, :, None]) & is_in_pool(fields)[:, None, :]
    return made, is_left & is_output[:, :, None]


@make_measure(
    count_nth_recalls,
    lambda n_positions: dict.fromkeys(("output", "input"), range(1, n_positions + 1)),
)
def nth_recall(
    data: RecallDataset, mask: ArrayLike | None = None
) -> Float[np.ndarray, "outputs inputs"]:
    """Return the probability of recalling each study position at each output position.

    It is conditional: (trials in which the item was recalled at the output) / (trials that have a
    recall at the output and in which the item was not recalled before). Intrusions and repeats take
    no output position. These are the conventions of `psifr.fr.pnr`.

    Args:
        data: recall data.
        mask: (trials,) booleans, which trials to count; all by default.

    Returns:
        (output positions, study positions) probabilities, each axis as long as the longest list;
        NaN where no trial counts.

    Examples:
        >>> data = {"listLength": [[3]] * 2, "pres_itemnos": [[1, 2, 3]] * 2,
        ...         "recalls": [[3, 1, 0], [1, 0, 0]]}
        >>> nth_recall(data)
        array([[0.5, 0. , 0.5],
               [1. , 0. , nan],
               [nan, nan, nan]])
    """
    return to_ratio(nth_recall, data, mask)
