"""Linear associative memory: a matrix that Hebbian learning adds outer products to.

Source of the two initial states: Polyn, Norman & Kahana (2009), Morton & Polyn (2016).
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxcmr.parameters import ABOVE_0, BELOW_1, Parameter, reads
from jaxcmr.typing import Parameters

__all__ = ["LinearMemory", "context_to_item", "item_to_context"]

LEARNING_RATE = Parameter(
    "learning_rate",
    ABOVE_0,
    BELOW_1,
    "γ",
    "Share of what an item reinstates that it learned during study; the rest is its own unit.",
    limits=(0.0, 1.0),
)
SHARED_SUPPORT = Parameter(
    "shared_support",
    ABOVE_0,
    100.0,
    "α",
    "Support of an item by the context units of the other items, before study.",
    scale="log",
    limits=(0.0, np.inf),
)
ITEM_SUPPORT = Parameter(
    "item_support",
    ABOVE_0,
    100.0,
    "δ",
    "Support of an item by its own context unit, before study.",
    scale="log",
    limits=(0.0, np.inf),
)


class LinearMemory(eqx.Module):
    """Associations from one kind of pattern (rows) to another (columns)."""

    state: Float[Array, "n_in n_out"]

    def associate(
        self,
        in_pattern: Float[Array, " n_in"],
        out_pattern: Float[Array, " n_out"],
        rate: Float[Array, ""],
    ) -> LinearMemory:
        """Return the memory after Hebbian learning: ``M + rate in_pattern out_pattern^T``."""
        return LinearMemory(self.state + rate * in_pattern[:, None] * out_pattern[None, :])

    def probe(self, in_pattern: Float[Array, " n_in"]) -> Float[Array, " n_out"]:
        """Return what `in_pattern` retrieves: ``in_pattern @ state``."""
        return jnp.sum(in_pattern[:, None] * self.state, axis=0)


@reads(LEARNING_RATE)
def item_to_context(n_items: int, parameters: Parameters) -> LinearMemory:
    """Return M_FC before study: item i points to its own unit i + 1 with ``1 - learning_rate``.

    >>> item_to_context(2, {"learning_rate": 0.25}).state
    Array([[0.  , 0.75, 0.  ],
           [0.  , 0.  , 0.75]], dtype=float32)
    """
    own_unit = jnp.eye(n_items, n_items + 1, k=1)
    return LinearMemory((1.0 - parameters["learning_rate"]) * own_unit)


@reads(SHARED_SUPPORT, ITEM_SUPPORT)
def context_to_item(n_items: int, parameters: Parameters) -> LinearMemory:
    """Return M_CF before study: each item's unit supports it and, less or more, all others.

    The start unit supports nothing; an item's unit supports the item with ``item_support`` and
    every other item with ``shared_support``.

    >>> context_to_item(2, {"item_support": 3.0, "shared_support": 1.0}).state
    Array([[0., 0.],
           [3., 1.],
           [1., 3.]], dtype=float32)
    """
    own = jnp.eye(n_items + 1, n_items, k=-1)
    others = 1.0 - own.at[0].set(1.0)
    return LinearMemory(parameters["item_support"] * own + parameters["shared_support"] * others)
