"""Formulas that models share. Each is finite in value and gradient everywhere it is used.

Items or units are on the first axis; further axes hold candidates (parameter sets), or simulations
of each. Sums and maxima over the first axis are written as chains, ``x[0] + x[1] + ...``: the
compiler turns these into loops over candidates that fill the vector units of a processor, but a
reduction into a loop over one number at a time, ten times slower.

JAX differentiates both sides of a `where`, so a side that is not taken must still be finite: hence
the pattern ``where(ok, f(where(ok, x, safe)), other)``.
"""

from __future__ import annotations

import math
from functools import reduce

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Num, Shaped

__all__ = [
    "FLOOR",
    "LEAST",
    "append_axes",
    "combine_rows",
    "exponential_stop",
    "highest",
    "is_any",
    "is_unit",
    "log_relative_strength",
    "nearly_unit_length",
    "one_hot",
    "primacy_gradient",
    "safe_log",
    "safe_sqrt",
    "scaled_power",
    "total",
    "unit_length",
    "with_item_axis",
]

FLOOR = float(jnp.finfo(jnp.float32).eps)
"""The least support of a recallable item and least chance of not stopping: float32's epsilon,
in double precision too, so that no observed event is impossible."""


LEAST = float(jnp.finfo(jnp.float32).tiny) * 1e8
"""The largest support that counts as zero: 1e8 times float32's smallest number, so that gradients,
which may square it, do not underflow. Double precision uses the same, so the model is the same."""

LOG_LEAST = math.log(LEAST) * (1 - 1e-6)
"""What its logarithm may be rounded to, at most."""


def total(x: Num[Array, "n ..."]) -> Num[Array, "..."]:
    """Return the sum over the first axis, from first to last: zeros in between change no bit."""
    return jnp.sum(x, axis=0) if x.ndim > 2 else reduce(jnp.add, x)


def highest(x: Num[Array, "n ..."]) -> Num[Array, "..."]:
    """Return the maximum over the first axis."""
    return jnp.max(x, axis=0) if x.ndim > 2 else reduce(jnp.maximum, x)


def is_any(x: Bool[Array, "n ..."]) -> Bool[Array, "..."]:
    """Return whether any is True along the first axis."""
    return reduce(jnp.logical_or, x)


@jax.custom_vjp
def combine_rows(
    weights: Float[Array, "n ..."], rows: Float[Array, "n m ..."]
) -> Float[Array, "m ..."]:
    """Return ``sum_k weights[k] rows[k]``, for every candidate.

    Axes of candidates are broadcast. JAX's own gradient of the chain would pad each of its terms to
    the shape of `rows`; this one is an outer product and a chain over the other axis.
    """
    return reduce(jnp.add, (w[None] * row for w, row in zip(weights, rows, strict=True)))


def _combine_rows_backward(
    given: tuple[Array, Array], cotangent: Float[Array, "m ..."]
) -> tuple[Array, Array]:
    weights, rows = given
    columns = jnp.swapaxes(rows, 0, 1)
    to_weights = combine_rows(cotangent, columns)
    to_rows = weights[:, None] * cotangent[None]
    return _sum_to_shape(to_weights, weights.shape), _sum_to_shape(to_rows, rows.shape)


combine_rows.defvjp(
    lambda weights, rows: (combine_rows(weights, rows), (weights, rows)), _combine_rows_backward
)


def _sum_to_shape(x: Array, shape: tuple[int, ...]) -> Array:
    """Return `x` summed over the axes that were broadcast from `shape`."""
    axes = tuple(i for i, size in enumerate(shape) if size == 1 and x.shape[i] != 1)
    return jnp.sum(x, axes, keepdims=True) if axes else x


def append_axes(x: ArrayLike, rank: int) -> Array:
    """Return `x` with `rank` axes of length 1 at the end, for candidates."""
    x = jnp.asarray(x)
    return x.reshape(x.shape + (1,) * rank)


def is_unit(choice: Int[Array, "..."], n: int, rank: int) -> Bool[Array, "n ..."]:
    """Return whether each of `n` units, numbered from 1, is `choice`: none is, if that is 0.

    `rank` is the number of axes of candidates; `choice` is one for all of them, or one for each.
    """
    numbers = append_axes(jnp.arange(1, n + 1, dtype=jnp.result_type(choice)), rank)
    return numbers == with_item_axis(choice)


def one_hot(choice: Int[Array, "..."], n: int, rank: int) -> Float[Array, "n ..."]:
    """Return weights of units that are 1 where `is_unit`, and 0 elsewhere."""
    return is_unit(choice, n, rank).astype(float)


def safe_sqrt(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the square root for ``x >= 0`` whose gradient at 0 is 0 (not infinite)."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1.0)), 0.0)


def safe_log(x: Float[Array, "..."], where: ArrayLike = True) -> Float[Array, "..."]:
    """Return the logarithm where `where` holds, else 0 with a gradient of 0."""
    return jnp.where(where, jnp.log(jnp.where(where, x, 1.0)), 0.0)


def unit_length(vector: Float[Array, "n ..."]) -> Float[Array, "n ..."]:
    """Return `vector` scaled to unit length; a zero vector stays zero."""
    squared = total(vector * vector)
    positive = squared > 0
    scale = jnp.where(positive, 1.0 / jnp.sqrt(jnp.where(positive, squared, 1.0)), 0.0)
    return vector * with_item_axis(scale)


def nearly_unit_length(vector: Float[Array, "n ..."]) -> Float[Array, "n ..."]:
    """Return ``v / sqrt(v . v + eps)`` with float32's epsilon, as some programs compute it."""
    return vector * with_item_axis(1.0 / jnp.sqrt(total(vector * vector) + FLOOR))


def with_item_axis(value: Shaped[Array, "..."]) -> Shaped[Array, "..."]:
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
    underflows. Entries up to `LEAST` count as zero for the same reason. (`x` is used once, in the
    logarithm: the compiler would compute cheap arithmetic, such as that of support, at every use.)
    """
    log_x = jnp.log(jnp.maximum(x, LEAST))
    is_zero = log_x <= LOG_LEAST
    log_strength = with_item_axis(exponent) * (log_x - with_item_axis(highest(log_x)))
    if log_weights is not None:
        log_strength, is_zero = log_relative_strength(log_strength, log_weights, is_zero)
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
    best = highest(jnp.where(is_zero, -jnp.inf, weighted))
    best = jnp.where(jnp.isneginf(best), 0.0, best)
    return jnp.minimum(weighted - with_item_axis(best), 0.0), is_zero


def primacy_gradient(
    study_event: ArrayLike, scale: Float[Array, "..."], decay: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Return attention to study event k (from 0), ``scale exp(-decay k) + 1``.

    Source: Sederberg, Howard & Kahana (2008).
    """
    return scale * jnp.exp(-decay * jnp.asarray(study_event, jnp.result_type(decay))) + 1.0


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
