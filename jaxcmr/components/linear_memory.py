"""Linear associative memory: a matrix that Hebbian learning adds outer products to.

Source of the two initial states: Polyn, Norman & Kahana (2009), Morton & Polyn (2016).
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxcmr.math import append_axes, combine_rows, one_hot, with_item_axis
from jaxcmr.parameters import ABOVE_0, BELOW_1, Parameter, count_axes, reads
from jaxcmr.typing import Parameters, Pattern

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
    """Associations from one kind of pattern (rows) to another (columns).

    >>> memory = LinearMemory(jnp.zeros((2, 3)))
    >>> memory = memory.associate(jnp.array(2), jnp.array([0.0, 1.0, 0.5]), jnp.array(2.0))
    >>> memory.probe(jnp.array(2)).tolist(), memory.probe(jnp.array([0.5, 0.5])).tolist()
    ([0.0, 2.0, 1.0], [0.0, 1.0, 0.5])
    """

    state: Float[Array, "n_in n_out ..."]

    def associate(
        self, in_pattern: Pattern, out_pattern: Pattern, rate: Float[Array, "..."]
    ) -> LinearMemory:
        """Return the memory after Hebbian learning: ``M + rate in_pattern out_pattern^T``."""
        n_in, n_out, *_ = self.state.shape
        rank = self.state.ndim - 2
        rate = with_item_axis(rate)
        if is_one_unit(in_pattern):  # changes one row
            row = rate * as_weights(out_pattern, n_out, rank)
            state = broadcast_candidates(self.state, row)
            return LinearMemory(state.at[in_pattern - 1].add(jnp.where(in_pattern > 0, row, 0.0)))
        column = rate * as_weights(in_pattern, n_in, rank)
        if is_one_unit(out_pattern):  # changes one column
            state, learns = broadcast_candidates(self.state, column), out_pattern > 0
            return LinearMemory(state.at[:, out_pattern - 1].add(jnp.where(learns, column, 0.0)))
        return LinearMemory(
            self.state + column[:, None] * as_weights(out_pattern, n_out, rank)[None]
        )

    def probe(self, in_pattern: Pattern) -> Float[Array, "n_out ..."]:
        """Return what `in_pattern` retrieves: ``in_pattern @ state``."""
        return probe_rows(self.state, in_pattern)


def probe_rows(rows: Float[Array, "n m ..."], pattern: Pattern) -> Float[Array, "m ..."]:
    """Return ``sum_k pattern[k] rows[k]``: a single row, if the pattern is one unit."""
    if is_one_unit(pattern):
        return jnp.where(pattern > 0, rows[pattern - 1], 0.0)
    return combine_rows(as_weights(pattern, len(rows), rows.ndim - 2), rows)


def is_one_unit(pattern: Pattern) -> bool:
    """Return whether a pattern is a single unit, and the same one for all candidates."""
    return jnp.issubdtype(jnp.result_type(pattern), jnp.integer) and jnp.ndim(pattern) == 0


def as_weights(pattern: Pattern, n: int, rank: int) -> Float[Array, "n ..."]:
    """Return a pattern of `n` units as weights, with `rank` axes of candidates."""
    if jnp.issubdtype(jnp.result_type(pattern), jnp.integer):
        return one_hot(pattern, n, rank)
    return pattern


def broadcast_candidates(state: Float[Array, "n m ..."], change: Float[Array, "k ..."]) -> Array:
    """Return `state` with the axes of candidates that it has once `change` is added."""
    candidates = jnp.broadcast_shapes(state.shape[2:], change.shape[1:])
    return jnp.broadcast_to(state, state.shape[:2] + candidates)


@reads(LEARNING_RATE, vectorized=True)
def item_to_context(n_items: int, parameters: Parameters) -> LinearMemory:
    """Return M_FC before study: item i points to its own unit i + 1 with ``1 - learning_rate``.

    >>> item_to_context(2, {"learning_rate": 0.25}).state
    Array([[0.  , 0.75, 0.  ],
           [0.  , 0.  , 0.75]], dtype=float32)
    """
    own_unit = append_axes(jnp.eye(n_items, n_items + 1, k=1), count_axes(parameters))
    return LinearMemory(over_entries(1.0 - parameters["learning_rate"]) * own_unit)


@reads(SHARED_SUPPORT, ITEM_SUPPORT, vectorized=True)
def context_to_item(n_items: int, parameters: Parameters) -> LinearMemory:
    """Return M_CF before study: each item's unit supports it and, less or more, all others.

    The start unit supports nothing; an item's unit supports the item with ``item_support`` and
    every other item with ``shared_support``.

    >>> context_to_item(2, {"item_support": 3.0, "shared_support": 1.0}).state
    Array([[0., 0.],
           [3., 1.],
           [1., 3.]], dtype=float32)
    """
    own, rank = jnp.eye(n_items + 1, n_items, k=-1), count_axes(parameters)
    others = append_axes(1.0 - own.at[0].set(1.0), rank)
    item, shared = (over_entries(parameters[name]) for name in ("item_support", "shared_support"))
    return LinearMemory(item * append_axes(own, rank) + shared * others)


def over_entries(value: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return a parameter of several candidates with axes for rows and columns in front."""
    return with_item_axis(with_item_axis(value))
