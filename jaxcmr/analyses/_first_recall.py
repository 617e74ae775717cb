"""Probability of first recall by study position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike

from jaxcmr.analyses._measure import Fields, make_measure, to_ratio
from jaxcmr.analyses._transitions import first_outputs, is_in_pool

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset


def count_first_recalls(
    positions: Int[Array, "trials outputs"], fields: Fields
) -> tuple[Bool[Array, "trials positions"], Bool[Array, "trials positions"]]:
    """Return which study position was recalled first, and all positions of a list with recalls."""
    output = first_outputs(positions, fields["pres_itemnos"].shape[1])
    first = output.min(axis=-1, keepdims=True)
    is_recalled = first <= positions.shape[1]
    return (output == first) & is_recalled, is_in_pool(fields) & is_recalled


@make_measure(count_first_recalls, lambda n_positions: {"input": range(1, n_positions + 1)})
def first_recall(
    data: RecallDataset, mask: ArrayLike | None = None
) -> Float[np.ndarray, " positions"]:
    """Return the probability that each study position is the first to be recalled.

    It is (trials whose first recall is the item) / (trials with a recall whose list has the
    position). Intrusions before the first recall are left out. These are the conventions of
    `psifr.fr.pnr`, of which this is the first output position.

    Args:
        data: recall data.
        mask: (trials,) booleans, which trials to count; all by default.

    Returns:
        (positions,) probabilities, as many as the longest list has; NaN where no trial counts.

    Examples:
        >>> data = {"listLength": [[3]] * 3, "pres_itemnos": [[1, 2, 3]] * 3,
        ...         "recalls": [[3, 1, 0], [1, 0, 0], [0, 0, 0]]}
        >>> first_recall(data)
        array([0.5, 0. , 0.5])
    """
    return to_ratio(first_recall, data, mask)
