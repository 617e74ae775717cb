"""Semantic cues: similarity in meaning, known before the list, guides recall.

Source: Morton & Polyn (2016), who compare ways in which similarity of meaning may enter CMR.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxcmr.components._item_values import entries_of_trial, item_values
from jaxcmr.components.linear_memory import as_weights
from jaxcmr.math import combine_rows, is_any, safe_log, with_item_axis
from jaxcmr.parameters import Parameter, count_axes
from jaxcmr.typing import CueCreator, Features, Parameters, Pattern, RecallDataset

__all__ = ["SEMANTIC_RULES", "SemanticCue", "SemanticCueMaker", "similarities"]

SEMANTIC_SCALE = Parameter(
    "semantic_scale",
    0.0,
    100.0,
    "s",
    "Weight of similarity in meaning; at 0 the model is plain CMR.",
    scale="log",
    limits=(0.0, np.inf),
)

KINDS = {"similarities", "distances"}
"""Keys of features that are a matrix with a row and a column per item."""

NO_ANGLE = 1e-12  # a cosine below this is rounding error of one that is 0

SEMANTIC_RULES = ("additive", "multiplicative", "associative")
"""Ways in which similarity enters; see `SemanticCue`."""


class SemanticCue(eqx.Module):
    """Similarity in meaning to the item just recalled, or to the items in context, as a cue.

    With C the similarities and s the `scale`, the `rule` is one of

    - "additive": the support of item i becomes ``a_i + s C[last, i]``, for the choice to power;
    - "multiplicative": the strength of item i in the choice is multiplied by ``C[last, i]^s``,
      where ``0^0`` is 1; support stays as it is;
    - "associative": support becomes ``a_i + s sum_j c_(j+1) C[j, i]``, as it would if the linear
      pre-experimental M_CF had s C in addition between the items' units and the items.

    Before the first recall (except by the associative rule), and at scale 0, it changes nothing.
    """

    similarity: Float[Array, "n_items n_items ..."]  # 0 on the diagonal
    last: Float[Array, "n_items ..."]  # weights of the items just recalled; all 0 before
    scale: Float[Array, "..."]
    rule: str = eqx.field(static=True)

    def experience(self, item: Pattern, attention: Float[Array, "..."]) -> SemanticCue:
        """Return the cue after a study event: unchanged, as meanings are known."""
        return self

    def start_retrieving(self) -> SemanticCue:
        """Return the cue ready for the first recall."""
        return self

    def retrieve(self, pattern: Pattern) -> SemanticCue:
        """Return the cue after recall of the items of `pattern`."""
        return replace(self, last=as_weights(pattern, len(self.last), self.last.ndim - 1))

    def __call__(
        self, support: Float[Array, "n_items ..."], context: Float[Array, "units ..."]
    ) -> Float[Array, "n_items ..."]:
        """Return `support` plus that of similarity, unless the rule is to multiply."""
        if self.rule == "multiplicative":
            return support
        about = self.last if self.rule == "additive" else context[1 : len(support) + 1]
        return support + with_item_axis(self.scale) * combine_rows(about, self.similarity)

    def log_weights(self) -> Float[Array, "n_items ..."] | None:
        """Return ``s log C[last, i]``, -inf for a weight of 0, if the rule is to multiply."""
        if self.rule != "multiplicative":
            return None
        scale = with_item_axis(self.scale)
        similar = combine_rows(self.last, self.similarity)
        of_others = jnp.where(scale > 0, -jnp.inf, 0.0)
        weights = jnp.where(similar > 0, scale * safe_log(similar, similar > 0), of_others)
        return jnp.where(with_item_axis(is_any(self.last > 0)), weights, 0.0)


class SemanticCueCreator(eqx.Module, CueCreator):
    """Creates the semantic cue of each trial."""

    similarity: np.ndarray  # (trials, n_items, n_items), in double precision
    rule: str = eqx.field(static=True)

    def __call__(self, trial_index: Int[Array, "..."], parameters: Parameters) -> SemanticCue:
        """Return the cue of trial `trial_index` (0-based row), before its first study event."""
        similarity = self._of_trial(trial_index, count_axes(parameters))
        return SemanticCue(
            similarity=similarity,
            last=jnp.zeros_like(similarity[0]),
            scale=parameters["semantic_scale"],
            rule=self.rule,
        )

    def study_lists(self) -> np.ndarray:
        """Return equal ids: study is the same in all trials, as meanings play no part in it."""
        return np.zeros(len(self.similarity), int)

    def move_to_trial(self, cue: SemanticCue, trial_index: Int[Array, "..."]) -> SemanticCue:
        """Return the cue with the similarities of another trial."""
        return replace(cue, similarity=self._of_trial(trial_index, cue.last.ndim - 1))

    def _of_trial(self, trial_index: Int[Array, "..."], rank: int) -> Array:
        return entries_of_trial(jnp.asarray(self.similarity, float), trial_index, rank)


@dataclass(frozen=True)
class SemanticCueMaker:
    """Finds similarities in ``(dataset, features)``: a cue for `jaxcmr.models.cmr.make_factory`.

    Args:
        rule: one of `SEMANTIC_RULES`.
        field: the field of the data set, (trials, positions), with the row of features of each
            presented item, counted from 1.

    >>> data = {"pres_itemnos": np.array([[1, 2]]), "pres_itemids": np.array([[1, 3]]),
    ...         "listLength": np.array([[2]])}
    >>> create = SemanticCueMaker()(data, np.array([[1.0, 0.0], [0.0, 1.0], [3.0, 4.0]]))
    >>> create.similarity.round(2).tolist()
    [[[0.0, 0.6], [0.6, 0.0]]]
    """

    rule: str = "additive"
    field: str = "pres_itemids"

    parameters: ClassVar[tuple[Parameter, ...]] = (SEMANTIC_SCALE,)
    vectorized: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.rule not in SEMANTIC_RULES:
            known = ", ".join(SEMANTIC_RULES)
            raise ValueError(f"'rule' must be one of {known}; got {self.rule!r}.")

    def __call__(self, dataset: RecallDataset, features: Features) -> SemanticCueCreator:
        """Return the creator of the cues of all trials; the errors are those of `similarities`."""
        return SemanticCueCreator(similarities(dataset, features, self.field), self.rule)


def similarities(dataset: RecallDataset, features: Features, field: str) -> np.ndarray:
    """Return cosine similarities within each list, (trials, n_items, n_items), by item number.

    Negative cosines, and the similarity of an item to itself, are set to 0.

    Args:
        dataset: recall data.
        features: (vocabulary, dimensions), one vector per row; or ``{"similarities": matrix}`` or
            ``{"distances": matrix}``, (vocabulary, vocabulary), where similarity is 1 - distance.
        field: as for `SemanticCueMaker`.

    Raises:
        ValueError: `features` is not such an array, `field` is not in the data, an id has no row,
            or a row that is used has length zero.
    """
    cosines, used, ids, is_studied = _cosines(dataset, features, field)
    cosines = np.where(cosines < NO_ANGLE, 0.0, cosines)  # negative ones too
    row = np.searchsorted(used, np.where(is_studied, ids, used[:1]))
    is_pair = is_studied[:, :, None] & is_studied[:, None, :] & (row[:, :, None] != row[:, None, :])
    return np.where(is_pair, cosines[row[:, :, None], row[:, None, :]], 0.0)


def _cosines(
    dataset: RecallDataset, features: Features, field: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the similarities of the ids that are used, these ids, and `item_values`."""
    wanted = "Semantic similarity needs features, one vector per row: (vocabulary, dimensions)"
    if features is None:
        raise ValueError(f"{wanted}; got None.")
    is_matrix = isinstance(features, Mapping) and len(features) == 1 and KINDS & features.keys()
    if isinstance(features, Mapping) and not is_matrix:
        raise ValueError(f"{wanted}; got a dict without a vector for any studied word.")
    given = next(iter(features.values())) if is_matrix else features
    vectors = np.asarray(given, np.float64)
    if vectors.ndim != 2 or (is_matrix and vectors.shape[0] != vectors.shape[1]):
        raise ValueError(f"{wanted}; got shape {vectors.shape}.")
    if not is_matrix:
        _check_vectors(vectors)
    if not np.all(np.isfinite(vectors)):
        odd = np.flatnonzero(~np.isfinite(vectors).all(axis=1)) + 1
        raise ValueError(f"{wanted}, all finite; row(s) {odd[:5].tolist()} are not.")
    ids, is_studied = item_values(dataset, field)
    outside = ids[is_studied & ~np.isin(ids, np.arange(1, len(vectors) + 1))]
    if outside.size:
        raise ValueError(
            f"{field!r} holds {outside[0]}, but the rows of features are 1 to {len(vectors)}."
        )
    used = np.unique(ids[is_studied]).astype(int)
    if is_matrix:
        pairs = vectors[np.ix_(used - 1, used - 1)]
        return (1 - pairs if "distances" in features else pairs), used, ids, is_studied
    length = np.linalg.norm(vectors[used - 1], axis=1)
    if np.any(length == 0):
        raise ValueError(
            f"Feature vectors of length zero are similar to nothing: {field} "
            f"{used[length == 0][:5].tolist()}. Give them features, or leave their trials out."
        )
    directions = vectors[used - 1] / length[:, None]
    return directions @ directions.T, used, ids, is_studied


def _check_vectors(vectors: np.ndarray) -> None:
    """Raise a ValueError if `vectors` are a matrix of distances or similarities."""
    n_rows, n_columns = vectors.shape
    if n_rows != n_columns or n_rows < 3 or not np.allclose(vectors, vectors.T):
        return
    diagonal, others = np.diagonal(vectors), vectors[~np.eye(n_rows, dtype=bool)]
    for value, name in ((0.0, "distances"), (1.0, "similarities")):
        if np.allclose(diagonal, value) and np.any(others != 0):
            raise ValueError(
                f"features is a square matrix with {value:.0f} on its diagonal, as {name} have; "
                f"expected one vector per row. Hand it in as {name}=, of jaxcmr.fit."
            )
