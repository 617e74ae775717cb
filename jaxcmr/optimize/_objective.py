"""The user's function as the engine calls it: ``(n_params, S) -> (S,)``, a pytree."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float

from jaxcmr.optimize._errors import ShapeError
from jaxcmr.optimize._generation import Objective

__all__ = ["make_objective", "unshared"]


def make_objective(
    func: Callable[..., Any], args: Any, vectorized: bool, workers: Any
) -> Objective:
    """`func` with its `args`, evaluated for many members at once, by `workers`.

    Raises:
        ValueError: `workers` is neither a positive integer, -1 nor callable; or callable while
            `func` is vectorized.
    """
    args = args if isinstance(args, tuple) else (args,)
    args = jax.tree.map(as_data, args)
    if callable(workers):
        owner = type(getattr(workers, "__self__", None)).__module__
        if owner.startswith(("multiprocessing", "concurrent")):
            raise ValueError(
                "workers is the map of a pool, but func is compiled, which other threads and "
                "processes cannot take part in. Take workers=-1, for all devices of JAX."
            )
        if vectorized:
            raise ValueError("If 'workers' is a callable, 'vectorized' must be False.")
        return Mapped(func, args, workers)
    objective = Vectorized(func, args) if vectorized else Columns(func, args)
    n_devices = count_devices(workers)
    return objective if n_devices == 1 else Spread(objective, n_devices)


def unshared(objective: Objective) -> Objective:
    """The same function, evaluated here: a polish asks for too few members to share them out."""
    if isinstance(objective, Mapped):
        return Columns(objective.func, objective.args)
    return objective.objective if isinstance(objective, Spread) else objective


def as_data(leaf: Any) -> Any:
    """Numbers as arrays, so that another number compiles nothing anew."""
    is_number = isinstance(leaf, int | float | complex) and not isinstance(leaf, bool)
    return jnp.asarray(leaf) if is_number else leaf


def count_devices(workers: Any) -> int:
    """How many devices `workers` asks for, as far as there are any."""
    is_whole = isinstance(workers, int | np.integer) and not isinstance(workers, bool)
    if not is_whole or (workers < 1 and workers != -1):
        raise ValueError(
            "workers must be a positive integer or -1, for all devices, or a callable "
            f"workers(func, xs); got {workers!r}."
        )
    if workers == 1:
        return 1
    there = jax.local_device_count()
    if workers > there:
        warnings.warn(
            f"differential_evolution: workers={workers}, but JAX has {there} device(s). For more "
            "on a CPU: jax.config.update('jax_num_cpu_devices', ...) right after importing JAX.",
            stacklevel=4,
        )
    return there if workers == -1 else min(int(workers), there)


class Vectorized(eqx.Module):
    """A function of all members at once."""

    func: Callable[..., Any]
    args: tuple[Any, ...] = ()

    def __call__(self, x: Float[Array, "n_params S"]) -> Float[Array, " S"]:
        return jnp.asarray(self.func(x, *self.args))


class Columns(eqx.Module):
    """A function of one vector, applied to every column."""

    func: Callable[..., Any]
    args: tuple[Any, ...] = ()

    def __call__(self, x: Float[Array, "n_params S"]) -> Float[Array, " S"]:
        return jax.vmap(partial(scalar, self.func, self.args), in_axes=1)(x)


class Mapped(eqx.Module):
    """A function of one vector, applied to every row by ``workers(func, xs)``."""

    func: Callable[..., Any]
    args: tuple[Any, ...]
    workers: Callable[..., Any]

    def __call__(self, x: Float[Array, "n_params S"]) -> Float[Array, " S"]:
        energies = self.workers(partial(scalar, self.func, self.args), x.T)
        energies = energies if eqx.is_array(energies) else jnp.stack(list(energies))
        if energies.shape != x.shape[1:]:
            raise ShapeError(
                f"workers(func, xs) must return shape {x.shape[1:]} for xs of shape {x.T.shape}; "
                f"got {energies.shape}."
            )
        return energies


class Spread(eqx.Module):
    """An objective whose members are shared out among devices."""

    objective: Objective
    n_devices: int = eqx.field(static=True)

    def __call__(self, x: Float[Array, "n_params S"]) -> Float[Array, " S"]:
        members = x.shape[1]
        padded = jnp.pad(x, ((0, 0), (0, -members % self.n_devices)), mode="edge")
        spec = PartitionSpec
        mesh = Mesh(np.array(jax.local_devices()[: self.n_devices]), ("members",))
        spread = jax.shard_map(
            self.objective, mesh=mesh, in_specs=spec(None, "members"), out_specs=spec("members")
        )
        return spread(padded)[:members]


def scalar(
    func: Callable[..., Any], args: tuple[Any, ...], x: Float[Array, " n_params"]
) -> Float[Array, ""]:
    """``func(x, *args)``, which must be a number or an array of one."""
    value = jnp.asarray(func(x, *args))
    if value.size != 1:
        raise ShapeError(f"func(x, *args) must return a scalar value; got shape {value.shape}.")
    return value.reshape(())
