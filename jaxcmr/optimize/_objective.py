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

from jaxcmr.optimize._compiled import is_array
from jaxcmr.optimize._errors import ShapeError
from jaxcmr.optimize._generation import Objective

__all__ = ["check_leaves", "make_objective", "unshared"]


def make_objective(
    func: Callable[..., Any], args: Any, vectorized: bool, workers: Any
) -> Objective:
    """`func` with its `args`, evaluated for many members at once, by `workers`.

    Raises:
        ValueError: `workers` is neither a positive integer, -1 nor callable; or callable while
            `func` is vectorized; or an argument holds numbers that JAX would change.
        TypeError: an argument, or a leaf of `func`, is not hashable: a pandas object, say.
    """
    args = args if isinstance(args, tuple) else (args,)
    args = tuple(
        jax.tree.map(partial(as_data, f"args[{i}]"), argument) for i, argument in enumerate(args)
    )
    check_leaves("func", func)
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


def as_data(name: str, leaf: Any) -> Any:
    """Return numbers as arrays, so that another number compiles nothing anew.

    Arrays of NumPy's get the byte order of this machine, which JAX requires.
    """
    is_number = isinstance(leaf, int | float | complex) and not isinstance(leaf, bool)
    leaf = np.asarray(leaf) if is_number else leaf
    check_leaves(name, leaf)
    if isinstance(leaf, np.ndarray | np.generic):
        check_integers(name, leaf)
        leaf = leaf.astype(leaf.dtype.newbyteorder("="))
    return jnp.asarray(leaf) if is_number else leaf


def check_leaves(name: str, tree: Any) -> None:
    """Raise an error unless each leaf is an array that JAX can take, or hashable."""
    for leaf in jax.tree.leaves(tree):
        if isinstance(leaf, np.ma.MaskedArray):
            raise ValueError(
                f"{name} holds a masked array, whose mask JAX would drop: pass "
                "numpy.ma.filled(array, value) instead."
            )
        if isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.kind in "OSUMm":
            raise TypeError(
                f"{name} holds an array of dtype {leaf.dtype}, which JAX cannot compute with: pass "
                "an array of numbers."
            )
        try:
            is_array(leaf) or hash(leaf)
        except TypeError:
            raise TypeError(
                f"{name} holds a {type(leaf).__name__}, which is neither an array nor hashable: "
                "pass arrays, such as jax.numpy.asarray(...)."
            ) from None


def check_integers(name: str, array: np.ndarray | np.generic) -> None:
    """Raise a ValueError for whole numbers beyond the range that JAX would convert them to."""
    if array.dtype.kind not in "iu" or not array.size:
        return
    limits = np.iinfo(jax.dtypes.canonicalize_dtype(array.dtype))
    if np.min(array) < limits.min or np.max(array) > limits.max:
        raise ValueError(
            f"{name} holds whole numbers beyond {limits.dtype}, which JAX would wrap around: pass "
            "them as floats, or switch on double precision (jax_enable_x64)."
        )


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
