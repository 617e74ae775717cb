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
    "exponential_stop",
    "log_relative_strength",
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
"""The largest support that counts as zero: 1e8 times float32's smallest number, so that gradients,
which may square it, do not underflow. Double precision uses the same, so the model is the same."""


def safe_sqrt(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the square root for ``x >= 0`` whose gradient at 0 is 0 (not infinite)."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1.0)), 0.0)


def safe_log(x: Float[Array, "..."], where: ArrayLike = True) -> Float[Array, "..."]:
    """Return the logarithm where `where` holds, else 0 with a gradient of 0."""
    return jnp.where(where, jnp.log(jnp.where(where, x, 1.0)), 0.0)


def unit_length(vector: Float[Array, " n"]) -> Float[Array, " n"]:
    """Return `vector` scaled to unit length; a zero vector stays zero."""
    squared = jnp.sum(vector * vector)
    positive = squared > 0
    return vector * jnp.where(positive, 1.0 / jnp.sqrt(jnp.where(positive, squared, 1.0)), 0.0)


def nearly_unit_length(vector: Float[Array, " n"]) -> Float[Array, " n"]:
    """Return ``v / sqrt(v . v + eps)`` with float32's epsilon, as some programs compute it."""
    return vector / jnp.sqrt(jnp.sum(vector * vector) + FLOOR)


def with_item_axis(value: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return `value` of several candidates with an axis for items in front; a scalar unchanged."""
    return value[None] if jnp.ndim(value) else value


def scaled_power(
    x: Float[Array, "n ..."],
    exponent: Float[Array, "..."],
    log_weights: Float[Array, "n ..."] | None = None,
) -> Float[Array, "n ..."]:
    """Return ``x ** exponent`` times the weights, divided by its maximum along the first axis.

    The largest gives 1; a zero, or a weight of 0 (log weight -inf), gives 0; NaNs propagate. For
    ``x >= 0``.

    Written with logarithms because the gradient of a quotient squares its denominator, which
    underflows. Entries up to `LEAST` count as zero for the same reason.
    """
    log_x = jnp.log(jnp.maximum(x, LEAST))
    log_ratio = log_x - jnp.log(jnp.maximum(jnp.max(x, axis=0), LEAST))[None]
    if log_weights is None:
        return jnp.where(x <= LEAST, 0.0, jnp.exp(with_item_axis(exponent) * log_ratio))
    log_strength = with_item_axis(exponent) * log_ratio
    log_strength, is_zero = log_relative_strength(log_strength, log_weights, x <= LEAST)
    return jnp.where(is_zero, 0.0, jnp.exp(log_strength))


def log_relative_strength(
    log_strength: Float[Array, "n ..."],
    log_weights: Float[Array, "n ..."],
    is_zero: Bool[Array, "n ..."],
) -> tuple[Float[Array, "n ..."], Bool[Array, "n ..."]]:
    """Return log(strength x weight) minus its maximum, and a mask of items of zero strength.

    Zero strength is that of items in `is_zero`, and of items with a weight of 0.
    """
    is_zero = is_zero | jnp.isneginf(log_weights)
    weighted = log_strength + jnp.where(is_zero, 0.0, log_weights)
    best = jnp.max(jnp.where(is_zero, -jnp.inf, weighted), axis=0)
    best = jnp.where(jnp.isneginf(best), 0.0, best)
    return jnp.minimum(weighted - best[None], 0.0), is_zero


def primacy_gradient(
    study_event: ArrayLike, scale: Float[Array, "..."], decay: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Return attention to study event k (from 0), ``scale exp(-decay k) + 1``.

    Source: Sederberg, Howard & Kahana (2008). One number each, or events (n, 1) and parameters of
    several candidates, (candidates,).
    """
    fading = jnp.exp(with_item_axis(-decay) * jnp.asarray(study_event, jnp.result_type(decay)))
    return with_item_axis(scale) * fading + 1.0


def exponential_stop(
    output_position: ArrayLike, scale: Float[Array, "..."], growth: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Return the stop curve before capping: ``scale exp(growth j)`` at output position j (from 0).

    The exponent is clipped at 80. Beyond, any scale above 1e-34 gives more than the cap of 1, and
    float32 would overflow.
    """
    return scale * jnp.exp(
        jnp.minimum(growth * jnp.asarray(output_position, jnp.result_type(growth)), 80.0)
    )
