"""Category clustering of recall: LBC and ARC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike

from jaxcmr.analyses._measure import Fields, make_measure, to_ratio
from jaxcmr.analyses._transitions import first_outputs, is_in_pool, prepare_categories

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset

STATISTICS = ("lbc", "arc")


def score_clustering(
    positions: Int[Array, "trials outputs"],
    fields: Fields,
    statistic: str = "lbc",
    category: str = "category",
) -> tuple[Float[Array, " trials"], Bool[Array, " trials"]]:
    """Return the score of each list, and whether it has one.

    With r recalls of n items, of which o pairs in a row share a category, n_i recalls of category i
    and m items per category of the list: LBC is o - (r - 1)(m - 1) / (n - 1). ARC is
    (o - e) / (r - c - e), where e is the sum of n_i (n_i - 1) / r and c the number of categories
    that were recalled.
    """
    categories, is_item = fields[category], is_in_pool(fields)
    output = first_outputs(positions, is_item.shape[1])
    is_recalled = output <= positions.shape[1]
    is_same = categories[:, :, None] == categories[:, None, :]
    both_recalled = is_recalled[:, :, None] & is_recalled[:, None, :]
    # Intrusions and repeats leave no gap: the rank of a recall is how many came no later.
    rank = jnp.sum(both_recalled & (output[:, None, :] <= output[:, :, None]), axis=-1)
    in_a_row = both_recalled & (rank[:, None, :] == rank[:, :, None] + 1)
    observed = (in_a_row & is_same).sum((1, 2))
    n_recalls, n_items = is_recalled.sum(-1), is_item.sum(-1)
    if statistic == "lbc":
        per_category = n_items / jnp.maximum(_count_categories(is_item, is_same), 1)
        expected = (n_recalls - 1) * (per_category - 1) / jnp.maximum(n_items - 1, 1)
        is_scored = (n_recalls > 0) & (n_items > 1)
        return jnp.where(is_scored, observed - expected, 0.0), is_scored
    n_categories = _count_categories(is_recalled, is_same)
    pairs = (both_recalled & is_same).sum((1, 2)) - n_recalls  # the sum of n_i (n_i - 1)
    # The score times n_recalls / n_recalls: whole numbers, so that 0 / 0 is seen as such.
    above = observed * n_recalls - pairs
    most = (n_recalls - n_categories) * n_recalls - pairs
    is_scored = most != 0
    return jnp.where(is_scored, above / jnp.where(is_scored, most, 1), 0.0), is_scored


def _count_categories(
    is_counted: Bool[Array, "trials positions"], is_same: Bool[Array, "trials positions others"]
) -> Int[Array, " trials"]:
    """Return the number of categories of the positions that are counted."""
    places = jnp.arange(is_counted.shape[1])
    is_earlier = (places[None, :] < places[:, None])[None]
    has_earlier = jnp.any(is_same & is_earlier & is_counted[:, None, :], axis=-1)
    return (is_counted & ~has_earlier).sum(-1)


def _prepare(
    data: RecallDataset, *, statistic: str, category: str
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    if statistic not in STATISTICS:
        raise ValueError(f"statistic is one of {', '.join(STATISTICS)}; got {statistic!r}.")
    return prepare_categories(data, statistic=statistic, category=category)


@make_measure(score_clustering, prepare=_prepare, value="{statistic}")
def category_clustering(
    data: RecallDataset,
    mask: ArrayLike | None = None,
    *,
    statistic: str = "lbc",
    category: str = "category",
) -> Float[np.ndarray, ""]:
    """Return the clustering of recalls by category, as a mean over lists.

    List-based clustering (LBC; Stricker et al., 2002) is the number of successive recalls of one
    category, minus the number expected of a random order of the list's items. 0 is chance. The
    adjusted ratio of clustering (ARC; Roenker et al., 1971) compares it with a random order of the
    recalls: 0 is chance, 1 is perfect. Intrusions and repeats are taken out of the sequence first.
    These are the conventions of `psifr.fr.category_clustering`, but for lists without recalls,
    which have no LBC here.

    Args:
        data: recall data.
        mask: (trials,) booleans, which trials to count; all by default.
        statistic: "lbc" or "arc". Lists in which it is not defined are left out of the mean: for
            ARC, those with recalls of one category only, or with one recall per category.
        category: name of a field with the category of each studied item, (trials, positions).

    Returns:
        One number; NaN if no list has a score.

    Raises:
        ValueError: the field is missing or has an item without a category, or `statistic` is
            unknown.

    Examples:
        Two pairs in a row share a category; (4 - 1)(2 - 1) / (4 - 1) = 1 is expected:

        >>> data = {"listLength": [[4]], "pres_itemnos": [[1, 2, 3, 4]], "recalls": [[4, 3, 1, 2]],
        ...         "category": [["bird", "bird", "tree", "tree"]]}
        >>> float(category_clustering(data)), float(category_clustering(data, statistic="arc"))
        (1.0, 1.0)
    """
    return to_ratio(category_clustering, data, mask, statistic=statistic, category=category)
