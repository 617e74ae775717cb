"""Functions in another precision than that of the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jaxcmr.optimize._generation import Objective

__all__ = ["in_double"]


def in_double(funcs: Sequence[Objective]) -> list[Objective]:
    """The functions with their real arrays in double precision; what they share stays shared."""
    converted: dict[int, np.ndarray] = {}

    def convert(leaf: Any) -> Any:
        if not eqx.is_array(leaf) or not jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        return converted.setdefault(id(leaf), np.asarray(leaf, np.float64))

    return [jax.tree.map(convert, func) for func in funcs]
