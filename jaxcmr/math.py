"""Formulas that models share. Each is finite in value and gradient everywhere it is used.

JAX differentiates both sides of a `where`, so a side that is not taken must still be finite: hence
the pattern ``where(ok, f(where(ok, x, safe)), other)``.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

__all__ = [
    "FLOOR",
    "LEAST",
    "behind_the_best",
    "exponential_stop",
    "nearly_unit_length",
    "primacy_gradient",
    "safe_log",
    "safe_sqrt",
    "scaled_power",
    "unit_length",
    "with_item_axis",
]

FLOOR = float(jnp.finfo(jnp.float32).eps)
"""The least support of a recallable item and least chance of not stopping: float32's epsilon,
in double precision too, so that no observed event is impossible."""


LEAST = float(jnp.finfo(jnp.float32).tiny) * 1e8
"""What counts as no support: within 1e8 of float32's smallest number, so that gradients, which may
square it, do not underflow. In double precision it is the same, and so is the model."""


def safe_sqrt(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Square root for ``x >= 0`` whose gradient at 0 is 0 (not infinite)."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1.0)), 0.0)


def safe_log(x: Float[Array, "..."], where: ArrayLike = True) -> Float[Array, "..."]:
    """Logarithm where `where` holds, else 0 with a gradient of 0."""
    return jnp.where(where, jnp.log(jnp.where(where, x, 1.0)), 0.0)


def unit_length(vector: Float[Array, " n"]) -> Float[Array, " n"]:
    """`vector` scaled to unit length; a zero vector stays zero."""
    squared = jnp.sum(vector * vector)
    positive = squared > 0
    return vector * jnp.where(positive, 1.0 / jnp.sqrt(jnp.where(positive, squared, 1.0)), 0.0)


def nearly_unit_length(vector: Float[Array, " n"]) -> Float[Array, " n"]:
    """``v / sqrt(v . v + eps)`` with float32's epsilon, the convention of some programs."""
    return vector / jnp.sqrt(jnp.sum(vector * vector) + FLOOR)


def with_item_axis(value: Float[Array, "..."]) -> Float[Array, "..."]:
    """`value` of several candidates with an axis for items in front; a single number as it is."""
    return value[None] if jnp.ndim(value) else value


def scaled_power(
    x: Float[Array, "n ..."],
    exponent: Float[Array, "..."],
    log_weights: Float[Array, "n ..."] | None = None,
) -> Float[Array, "n ..."]:
    """``x ** exponent`` times the weights, for ``x >= 0``, along the first axis, divided by the
    largest of these: the largest gives 1, a zero gives 0 (and so does weight 0, -inf of
    `log_weights`), what is no number stays none.

    Written with logarithms because the gradient of a quotient squares its denominator, which
    underflows. Entries up to `LEAST` count as zero for the same reason.
    """
    log_x = jnp.log(jnp.maximum(x, LEAST))
    log_ratio = log_x - jnp.log(jnp.maximum(jnp.max(x, axis=0), LEAST))[None]
    if log_weights is None:
        return jnp.where(x <= LEAST, 0.0, jnp.exp(with_item_axis(exponent) * log_ratio))
    log_strength = with_item_axis(exponent) * log_ratio
    behind, is_none = behind_the_best(log_strength, log_weights, x <= LEAST)
    return jnp.where(is_none, 0.0, jnp.exp(behind))


def behind_the_best(
    log_strength: Float[Array, "n ..."],
    log_weights: Float[Array, "n ..."],
    is_none: Bool[Array, "n ..."],
) -> tuple[Float[Array, "n ..."], Bool[Array, "n ..."]]:
    """``log(strength weight)`` less that of the strongest, 0 or below, and where there is none:
    where there was none, or the weight is 0."""
    is_none = is_none | jnp.isneginf(log_weights)
    weighted = log_strength + jnp.where(is_none, 0.0, log_weights)
    best = jnp.max(jnp.where(is_none, -jnp.inf, weighted), axis=0)
    best = jnp.where(jnp.isneginf(best), 0.0, best)
    return jnp.minimum(weighted - best[None], 0.0), is_none


def primacy_gradient(
    study_event: ArrayLike, scale: Float[Array, "..."], decay: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Attention to study event k (from 0): ``scale exp(-decay k) + 1`` (Sederberg et al., 2008).

    One number each, or events (n, 1) and parameters of several candidates, (candidates,).
    """
    fading = jnp.exp(with_item_axis(-decay) * study_event)
    return with_item_axis(scale) * fading + 1.0


def exponential_stop(
    output_position: ArrayLike, scale: Float[Array, ""], growth: Float[Array, ""]
) -> Float[Array, ""]:
    """Stop curve before capping: ``scale exp(growth j)`` at output position j (from 0).

    The exponent is held at 80, beyond which any scale above 1e-34 exceeds every cap anyway and
    float32 would overflow.
    """
    return scale * jnp.exp(jnp.minimum(growth * output_position, 80.0))
