"""The slope of an objective on the unit cube, by differentiation or by central differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import jaxpr_as_fun
from jaxtyping import Array, Bool, Float

from jaxcmr.optimize._box import Box

__all__ = ["Slope", "slope_at"]


class Slope(NamedTuple):
    """A value, its slope, and whether the slope takes central differences."""

    energy: Float[Array, ""]
    value: Float[Array, " n_params"]
    by_differences: Bool[Array, ""]


def slope_at(
    func: Callable[[Float[Array, "n_params k"]], Float[Array, " k"]],
    box: Box,
    unit: Float[Array, " n_params"],
    differences: bool,
) -> Slope:
    """`func` and its derivative by the coordinates of the unit cube; 0 for whole numbers.

    Where `func` cannot be differentiated, or, if `differences` are allowed, its derivative is not
    finite, central differences take over. They stay in the cube: at a bound they are one-sided.
    """
    exact = value_and_derivative(func, box, unit)
    if exact is None:
        energy = jnp.asarray(func(box.to_user(unit)[:, None])[0]).astype(unit.dtype)
        value, by_differences = central_differences(func, box, unit), jnp.array(True)
    else:
        energy, value = exact
        by_differences = jnp.isfinite(energy) & ~jnp.all(jnp.isfinite(value))
    if exact is not None and differences:
        # A loop of one turn at most: of a batch, unlike `cond`, it costs only lanes that need it.
        value, _ = jax.lax.while_loop(
            lambda loop: loop[1],
            lambda loop: (central_differences(func, box, unit), jnp.array(False)),
            (value, by_differences),
        )
    if box.whole is not None:
        value = jnp.where(box.whole, 0.0, value)
    return Slope(energy, value, by_differences)


def value_and_derivative(
    func: Callable[..., Array], box: Box, unit: Float[Array, " n_params"]
) -> tuple[Float[Array, ""], Float[Array, " n_params"]] | None:
    """The value and its exact slope, or None if there is none to be had.

    Reverse mode first, at the price of a few values however many parameters there are. It cannot
    pass through loops of unknown length; forward mode can.

    Errors inside `func` are raised: it is traced once, and what is differentiated is that trace.
    So only JAX, which raises errors of three types for programs that it cannot differentiate, and
    derivative rules of the user (`jax.custom_jvp`, `jax.custom_vjp`) can fail afterwards.
    """
    x = box.to_user(unit)
    traced = jaxpr_as_fun(
        jax.make_jaxpr(lambda x: jnp.asarray(func(x[:, None])[0]).astype(unit.dtype))(x)
    )

    def one(x: Array) -> Array:
        [energy] = traced(x)
        return energy

    def forward(x: Array) -> tuple[Array, Array]:
        directions = jnp.eye(len(x), dtype=x.dtype)
        return jax.vmap(lambda direction: jax.jvp(one, (x,), (direction,)), out_axes=(None, 0))(
            directions
        )

    for differentiate in (jax.value_and_grad(one), forward):
        try:
            energy, slope = differentiate(x)
            return energy, slope * box.width
        except (TypeError, ValueError, NotImplementedError):
            continue
    return None


def central_differences(
    func: Callable[..., Array], box: Box, unit: Float[Array, " n_params"]
) -> Float[Array, " n_params"]:
    """Slope from 2 n_params evaluations, at a distance that balances truncation and rounding."""
    offsets = jnp.finfo(unit.dtype).eps ** (1 / 3) * jnp.eye(len(unit), dtype=unit.dtype)
    above = jnp.minimum(unit[None] + offsets, 1.0)
    below = jnp.maximum(unit[None] - offsets, 0.0)
    energies = func(box.to_user(jnp.concatenate([above, below])).T).astype(unit.dtype)
    return (energies[: len(unit)] - energies[len(unit) :]) / jnp.diagonal(above - below)
