"""Functions in another precision than that of the run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jaxcmr.optimize._compiled import StaticPart, is_array, split
from jaxcmr.optimize._generation import Objective

__all__ = ["in_double", "works_in_double"]


def in_double(
    funcs: Sequence[Objective], converted: dict[int, np.ndarray] | None = None
) -> list[Objective]:
    """Return the functions with their real arrays in double precision.

    What they share stays shared. `converted` holds arrays, by the id of the original, that are in
    double precision already.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jaxcmr.optimize import in_double
        >>> [double] = in_double([jax.tree_util.Partial(jnp.add, jnp.ones(2))])
        >>> double.args[0].dtype
        dtype('float64')
    """
    doubles = dict(converted or {})

    def convert(leaf: Any) -> Any:
        if not is_array(leaf) or not jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        if id(leaf) not in doubles:
            doubles[id(leaf)] = np.asarray(leaf, np.float64)
        return doubles[id(leaf)]

    return [jax.tree.map(convert, func) for func in funcs]


def works_in_double(func: Objective, n_params: int) -> bool:
    """Return True if `func` can be traced with all real numbers in double precision.

    Some functions cannot: a loop whose counter is float32, say, must end with float32.
    """
    arrays, static = split(func)
    leaves, structure = jax.tree.flatten(arrays)
    shapes = tuple(
        (leaf.shape, np.dtype(float) if is_real(leaf) else leaf.dtype) for leaf in leaves
    )
    return _works_in_double(static, structure, shapes, n_params)


def is_real(array: Any) -> bool:
    """Return True for arrays of floating-point numbers."""
    return jnp.issubdtype(array.dtype, jnp.floating)


@lru_cache(maxsize=16)
def _works_in_double(
    static: StaticPart, structure: Any, shapes: tuple[Any, ...], n_params: int
) -> bool:
    with jax.enable_x64(True):
        arrays = structure.unflatten([jax.ShapeDtypeStruct(*shape) for shape in shapes])
        x = jax.ShapeDtypeStruct((n_params, 1), float)
        try:
            jax.eval_shape(lambda arrays, x: eqx.combine(arrays, static.tree())(x), arrays, x)
        except (TypeError, ValueError):  # what JAX raises where precisions do not go together
            return False
    return True
