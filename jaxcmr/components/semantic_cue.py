"""Semantic cues: what recall owes to the meaning of words, known before the list.

Source: Morton & Polyn (2016), who compare ways in which similarity of meaning may enter CMR.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxcmr.components._item_values import item_values
from jaxcmr.math import safe_log
from jaxcmr.typing import Parameters, RecallDataset

__all__ = ["SEMANTIC_RULES", "SemanticCue", "SemanticCueMaker", "similarities"]

NO_ANGLE = 1e-12  # a cosine below this is rounding error of one that is 0
MOST_AHEAD = 40.0  # log of how far an item no longer recallable may outdo the best of the others
LEAST_SENSITIVITY = 2.220446049250313e-16


class SemanticCue(eqx.Module):
    """Similarity in meaning to the item just recalled, or to what context is about, as a cue.

    `rule` is one of `SEMANTIC_RULES`. Without a recall to go by, and at `scale` 0, support stays
    exactly as it is.
    """

    similarity: Float[Array, "n_items n_items"]  # 0 on the diagonal
    last: Float[Array, " n_items"]  # weights of the items just recalled; all 0 before
    scale: Float[Array, ""]
    sensitivity: Float[Array, ""] | None  # of the choice, where the rule needs it
    rule: str = eqx.field(static=True)

    def experience(
        self, item: Float[Array, " n_items"], attention: Float[Array, ""]
    ) -> SemanticCue:
        """The cue after a study event: the same, meanings being known."""
        return self

    def start_retrieving(self) -> SemanticCue:
        """The cue ready for the first recall."""
        return self

    def retrieve(self, pattern: Float[Array, " n_items"]) -> SemanticCue:
        """The cue after recall of the items of `pattern`."""
        return replace(self, last=pattern)

    def __call__(
        self,
        support: Float[Array, " n_items"],
        context: Float[Array, " units"],
        recallable: Bool[Array, " n_items"],
    ) -> Float[Array, " n_items"]:
        """`support` (of any unit) as the cue changes it."""
        return SEMANTIC_RULES[self.rule](self, support, context, recallable)

    def similar_to(self, pattern: Float[Array, " n_items"]) -> Float[Array, " n_items"]:
        """Similarity of each item to those of `pattern`, by their weights."""
        return jnp.sum(pattern[:, None] * self.similarity, axis=0)


def added(
    cue: SemanticCue,
    support: Float[Array, " n_items"],
    context: Float[Array, " units"],
    recallable: Bool[Array, " n_items"],
) -> Float[Array, " n_items"]:
    """``a_i + s C[last, i]``, for the choice rule to power."""
    return support + cue.scale * cue.similar_to(cue.last)


def multiplied(
    cue: SemanticCue,
    support: Float[Array, " n_items"],
    context: Float[Array, " units"],
    recallable: Bool[Array, " n_items"],
) -> Float[Array, " n_items"]:
    """``a_i C[last, i]^(s / t)``, which a choice of sensitivity t makes ``a_i^t C[last, i]^s``.

    ``0^0`` is 1. Similarities are divided by the best that is recallable, which leaves the choice
    as it is and numbers in range; an item that is then below the smallest float has only the
    floor of the choice rule. That is exact down to sensitivities of about 0.3 in single
    precision and 0.03 in double precision.
    """
    assert cue.sensitivity is not None
    similar = cue.similar_to(cue.last)
    is_similar = similar > 0
    log = safe_log(similar, is_similar)
    rivals = is_similar & recallable
    best = jnp.where(jnp.any(rivals), jnp.max(jnp.where(rivals, log, -jnp.inf)), 0.0)
    exponent = cue.scale / jnp.maximum(cue.sensitivity, LEAST_SENSITIVITY) * (log - best)
    lowest = math.log(jnp.finfo(support.dtype).tiny)
    factor = jnp.exp(jnp.clip(exponent, lowest, MOST_AHEAD))
    factor = jnp.where(is_similar, factor, jnp.where(cue.scale > 0, 0.0, 1.0))
    return jnp.where(jnp.any(cue.last > 0), support * factor, support)


def associated(
    cue: SemanticCue,
    support: Float[Array, " n_items"],
    context: Float[Array, " units"],
    recallable: Bool[Array, " n_items"],
) -> Float[Array, " n_items"]:
    """``a_i + s sum_j c_(j+1) C[j, i]``: the support if the pre-experimental M_CF had in addition
    s C between the items' units and the items, at the first recall as at any other. Exact where
    M_CF is linear."""
    return support + cue.scale * cue.similar_to(context[1 : len(support) + 1])


SEMANTIC_RULES: Mapping[str, Callable[..., Float[Array, " n_items"]]] = {
    "additive": added,
    "multiplicative": multiplied,
    "associative": associated,
}
"""How similarity changes support, by name."""


class SemanticCueCreator(eqx.Module):
    """Creates the semantic cue of each trial; reads ``semantic_scale`` (0 to 100) and, where the
    rule is multiplicative, ``choice_sensitivity``."""

    similarity: Float[Array, "trials n_items n_items"]
    rule: str = eqx.field(static=True)

    def __call__(self, trial_index: Int[Array, ""], parameters: Parameters) -> SemanticCue:
        """The cue of trial `trial_index` (0-based row), before its first study event."""
        similarity = self.similarity[trial_index]
        by_power = self.rule == "multiplicative"
        return SemanticCue(
            similarity=similarity,
            last=jnp.zeros_like(similarity[0]),
            scale=parameters["semantic_scale"],
            sensitivity=parameters["choice_sensitivity"] if by_power else None,
            rule=self.rule,
        )


@dataclass(frozen=True)
class SemanticCueMaker:
    """Finds similarities in ``(dataset, features)``: a cue for `jaxcmr.models.cmr.make_factory`.

    Args:
        rule: one of `SEMANTIC_RULES`.
        field: the field of the data set, (trials, positions), with the row of features of each
            presented item, counted from 1.
    """

    rule: str = "additive"
    field: str = "pres_itemids"

    def __post_init__(self) -> None:
        if self.rule not in SEMANTIC_RULES:
            known = ", ".join(SEMANTIC_RULES)
            raise ValueError(f"'rule' must be one of {known}; got {self.rule!r}.")

    def __call__(self, dataset: RecallDataset, features: Any) -> SemanticCueCreator:
        """The creator of the cues of all trials; the errors are those of `similarities`."""
        similarity = similarities(dataset, features, self.field)
        return SemanticCueCreator(jnp.asarray(similarity, jnp.result_type(float)), self.rule)


def similarities(dataset: RecallDataset, features: Any, field: str) -> np.ndarray:
    """Cosine similarity of the items of each list, (trials, n_items, n_items), by item number.

    Negative cosines count as 0, and so does an item's similarity to itself.

    Args:
        dataset: recall data.
        features: (vocabulary, dimensions), one vector a row.
        field: as for `SemanticCueMaker`.

    Raises:
        ValueError: `features` is no such array, `field` is not in the data, an id has no row, or a
            row that is used has length zero.
    """
    wanted = "Semantic similarity needs features, one vector a row: (vocabulary, dimensions)"
    if features is None:
        raise ValueError(f"{wanted}; got None.")
    vectors = np.asarray(features, np.float64)
    if vectors.ndim != 2 or not np.all(np.isfinite(vectors)):
        raise ValueError(f"{wanted}, all finite; got shape {vectors.shape}.")
    ids, is_studied = item_values(dataset, field)
    outside = ids[is_studied & ~np.isin(ids, np.arange(1, len(vectors) + 1))]
    if outside.size:
        raise ValueError(
            f"{field!r} holds {outside[0]}, but the rows of features are 1 to {len(vectors)}."
        )
    used = np.unique(ids[is_studied]).astype(int)
    length = np.linalg.norm(vectors[used - 1], axis=1)
    if np.any(length == 0):
        raise ValueError(
            f"Feature vectors of length zero are similar to nothing: {field} "
            f"{used[length == 0][:5].tolist()}. Give them features, or leave their trials out."
        )
    directions = vectors[used - 1] / length[:, None]
    cosines = directions @ directions.T
    cosines[cosines < NO_ANGLE] = 0.0  # negative ones too
    row = np.searchsorted(used, np.where(is_studied, ids, used[:1]))
    is_pair = is_studied[:, :, None] & is_studied[:, None, :] & ~np.eye(ids.shape[1], dtype=bool)
    return np.where(is_pair, cosines[row[:, :, None], row[:, None, :]], 0.0)
