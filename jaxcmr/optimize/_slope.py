"""The slope of an objective on the unit cube, by differentiation or by central differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxcmr.optimize._box import Box

__all__ = ["Slope", "slope_at"]


class Slope(NamedTuple):
    """A slope, and whether central differences had to help."""

    value: Float[Array, " n_params"]
    by_differences: Bool[Array, ""]


def slope_at(
    func: Callable[[Float[Array, "n_params k"]], Float[Array, " k"]],
    box: Box,
    unit: Float[Array, " n_params"],
) -> Slope:
    """The derivative of `func` by the coordinates of the unit cube; 0 for whole numbers.

    Where `func` cannot be differentiated, or its derivative is not finite, central differences
    take over. They stay in the cube: at a bound they are one-sided.
    """
    exact = derivative(func, box, unit)
    if exact is None:
        value, by_differences = central_differences(func, box, unit), jnp.array(True)
    else:
        by_differences = ~jnp.all(jnp.isfinite(exact))
        # A loop of one turn at most: of a batch, unlike `cond`, it costs only lanes that need it.
        value, _ = jax.lax.while_loop(
            lambda loop: loop[1],
            lambda loop: (central_differences(func, box, unit), jnp.array(False)),
            (exact, by_differences),
        )
    return Slope(value if box.whole is None else jnp.where(box.whole, 0.0, value), by_differences)


def derivative(
    func: Callable[..., Array], box: Box, unit: Float[Array, " n_params"]
) -> Float[Array, " n_params"] | None:
    """The exact slope, or None if there is none to be had.

    Forward mode first: it needs no memory and goes through any loop. Its directions are columns of
    one batch, which is what `func` is fast at. Some functions have reverse mode only.
    """
    x = box.to_user(unit)
    columns = jnp.broadcast_to(x[:, None], (len(x), len(x)))

    def energies(x: Array) -> Array:
        return jnp.asarray(func(x)).astype(unit.dtype)

    try:
        return jax.jvp(energies, (columns,), (jnp.diag(box.width),))[1]
    except (TypeError, ValueError, NotImplementedError):
        pass
    try:
        return jax.grad(lambda x: energies(x[:, None])[0])(x) * box.width
    except (TypeError, ValueError, NotImplementedError):
        return None


def central_differences(
    func: Callable[..., Array], box: Box, unit: Float[Array, " n_params"]
) -> Float[Array, " n_params"]:
    """Slope from 2 n_params evaluations, at a distance that balances truncation and rounding."""
    offsets = jnp.finfo(unit.dtype).eps ** (1 / 3) * jnp.eye(len(unit), dtype=unit.dtype)
    above, below = jnp.minimum(unit + offsets, 1.0), jnp.maximum(unit - offsets, 0.0)
    energies = func(box.to_user(jnp.concatenate([above, below])).T).astype(unit.dtype)
    return (energies[: len(unit)] - energies[len(unit) :]) / jnp.diagonal(above - below)
