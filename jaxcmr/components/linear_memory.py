"""Linear associative memory: a matrix that Hebbian learning adds outer products to.

Source of the two initial states: Polyn, Norman & Kahana (2009), Morton & Polyn (2016).
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxcmr.typing import Parameters

__all__ = ["LinearMemory", "context_to_item", "item_to_context"]


class LinearMemory(eqx.Module):
    """Associations from one kind of pattern (rows) to another (columns)."""

    state: Float[Array, "n_in n_out"]

    def associate(
        self,
        in_pattern: Float[Array, " n_in"],
        out_pattern: Float[Array, " n_out"],
        rate: Float[Array, ""],
    ) -> LinearMemory:
        """Hebbian learning: adds ``rate`` times the outer product of the two patterns."""
        return LinearMemory(self.state + rate * in_pattern[:, None] * out_pattern[None, :])

    def probe(self, in_pattern: Float[Array, " n_in"]) -> Float[Array, " n_out"]:
        """What the memory returns for `in_pattern`: ``in_pattern @ state``."""
        return jnp.sum(in_pattern[:, None] * self.state, axis=0)


def item_to_context(n_items: int, parameters: Parameters) -> LinearMemory:
    """M_FC before study: item i points to its own unit i + 1 with weight ``1 - learning_rate``."""
    own_unit = jnp.eye(n_items, n_items + 1, k=1)
    return LinearMemory((1.0 - parameters["learning_rate"]) * own_unit)


def context_to_item(n_items: int, parameters: Parameters) -> LinearMemory:
    """M_CF before study: the start unit supports nothing; an item's unit supports the item with
    ``item_support`` and every other item with ``shared_support``."""
    own = jnp.eye(n_items + 1, n_items, k=-1)
    others = 1.0 - own.at[0].set(1.0)
    return LinearMemory(parameters["item_support"] * own + parameters["shared_support"] * others)
