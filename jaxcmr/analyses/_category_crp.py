"""Conditional response probability of transitions within a category."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from jaxcmr.analyses._measure import Fields, make_measure, to_ratio
from jaxcmr.analyses._transitions import find_transitions, prepare_categories

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset


def count_category_transitions(
    positions: Int[Array, "trials outputs"], fields: Fields, category: str = "category"
) -> tuple[Int[Array, " trials"], Int[Array, " trials"]]:
    """Return the number of transitions within a category, made and possible."""
    made, possible = find_transitions(positions, fields)
    categories = fields[category]
    is_same = categories[:, :, None] == categories[:, None, :]
    return (made & is_same).sum((1, 2)), jnp.any(possible & is_same, axis=-1).sum(-1)


@make_measure(count_category_transitions, prepare=prepare_categories)
def category_crp(
    data: RecallDataset, mask: ArrayLike | None = None, *, category: str = "category"
) -> Float[np.ndarray, ""]:
    """Return the probability of a transition to the same category, where there was one.

    It is (transitions between items of one category) / (transitions at which an item of the
    category was left to recall). These are the conventions of `psifr.fr.category_crp`; which
    transitions count is explained at `lag_crp`.

    Args:
        data: recall data.
        mask: (trials,) booleans, which trials to count; all by default.
        category: name of a field with the category of each studied item, (trials, positions).

    Returns:
        One number; NaN if no transition counts.

    Raises:
        ValueError: the field is missing or has an item without a category.

    Examples:
        From 4 to 3 and from 1 to 2 within a category; from 3, no item of its category is left:

        >>> data = {"listLength": [[4]], "pres_itemnos": [[1, 2, 3, 4]], "recalls": [[4, 3, 1, 2]],
        ...         "category": [["bird", "bird", "tree", "tree"]]}
        >>> float(category_crp(data))
        1.0
    """
    return to_ratio(category_crp, data, mask, category=category)
