"""Formulas that models share. Each is finite in value and gradient everywhere it is used.

JAX differentiates both sides of a `where`, so a side that is not taken must still be finite: hence
the pattern ``where(ok, f(where(ok, x, safe)), other)``.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

__all__ = [
    "FLOOR",
    "exponential_stop",
    "nearly_unit_length",
    "primacy_gradient",
    "safe_log",
    "safe_sqrt",
    "scaled_power",
    "unit_length",
]

FLOOR = float(jnp.finfo(jnp.float32).eps)
"""The least support of a recallable item and least chance of not stopping: float32's epsilon,
in double precision too, so that no observed event is impossible."""


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


def scaled_power(x: Float[Array, "n ..."], exponent: Float[Array, "..."]) -> Float[Array, "n ..."]:
    """``(x / max(x)) ** exponent`` for ``x >= 0``, along the first axis: the largest entry gives 1,
    a zero gives 0.

    Written with logarithms because the gradient of a quotient squares its denominator, which
    underflows. Entries within 1e8 of the smallest float count as zero for the same reason.
    """
    least = jnp.finfo(x.dtype).tiny * 1e8
    log_ratio = jnp.log(jnp.maximum(x, least)) - jnp.log(jnp.maximum(jnp.max(x, axis=0), least))
    return jnp.where(x > least, jnp.exp(exponent * log_ratio), 0.0)


def primacy_gradient(
    study_event: ArrayLike, scale: Float[Array, ""], decay: Float[Array, ""]
) -> Float[Array, ""]:
    """Attention to study event k (from 0): ``scale exp(-decay k) + 1`` (Sederberg et al., 2008)."""
    return scale * jnp.exp(-decay * study_event) + 1.0


def exponential_stop(
    output_position: ArrayLike, scale: Float[Array, ""], growth: Float[Array, ""]
) -> Float[Array, ""]:
    """Stop curve before capping: ``scale exp(growth j)`` at output position j (from 0).

    The exponent is held at 80, beyond which any scale above 1e-34 exceeds every cap anyway and
    float32 would overflow.
    """
    return scale * jnp.exp(jnp.minimum(growth * output_position, 80.0))
