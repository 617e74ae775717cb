"""The pieces of a run over several lanes at once; arrays of a lane are stacked on a first axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from jaxcmr.optimize._box import Box
from jaxcmr.optimize._compiled import Compiled
from jaxcmr.optimize._generation import Objective, Settings, State
from jaxcmr.optimize._result import OptimizeResults
from jaxcmr.optimize._run import Summary, advance, finish, polished, start, summarize

__all__ = ["Objectives", "advance_lanes", "alike", "finish_lanes", "polish_lanes", "start_lanes"]


def alike(funcs: Sequence[Objective]) -> bool:
    """Whether the objectives differ in nothing but the values of their arrays."""

    def form(func: Objective) -> Any:
        arrays, static = eqx.partition(func, eqx.is_array)
        return static, jax.tree.map(lambda array: (array.shape, array.dtype), arrays)

    first = form(funcs[0])
    return all(eqx.tree_equal(first, form(func)) is True for func in funcs[1:])


class Objectives(eqx.Module):
    """Alike objectives as one pytree: what is the same object in all is held once."""

    shared: Any
    own: Any  # stacked arrays; None for a single objective, which is wholly shared

    @classmethod
    def of(cls, funcs: Sequence[Objective]) -> Objectives:
        """Stacks the arrays that differ between `funcs`."""
        if len(funcs) == 1:
            return cls(funcs[0], None)
        differs = jax.tree.map(
            lambda *leaves: eqx.is_array(leaves[0]) and any(x is not leaves[0] for x in leaves),
            *funcs,
        )
        own, shared = zip(*(eqx.partition(func, differs) for func in funcs), strict=True)
        return cls(shared[0], jax.tree.map(lambda *leaves: jnp.stack(leaves), *own))

    def map(self, fn: Callable[..., Any], *stacked: Any) -> Any:
        """``fn(objective, *arrays)`` of every lane, stacked; a single lane is not vmapped."""
        if self.own is None:
            one = fn(self.shared, *jax.tree.map(lambda leaf: leaf[0], stacked))
            return jax.tree.map(lambda leaf: leaf[None], one)
        return jax.vmap(lambda own, *rest: fn(eqx.combine(own, self.shared), *rest))(
            self.own, *stacked
        )


@Compiled
def start_lanes(
    box: Box, settings: Settings, keys: PRNGKeyArray, population: Array | None
) -> State:
    """`start` of every lane, with nobody evaluated: so there is one program less to compile."""
    return jax.vmap(lambda key: start(None, box, settings, key, None, population))(keys)


@partial(Compiled, wide_vectors=True)
def advance_lanes(
    objectives: Objectives,
    box: Box,
    settings: Settings,
    states: State,
    stop_at: Int[Array, " lanes"],
) -> tuple[State, Summary]:
    """`advance` of every lane, with a summary of each."""

    def one(func: Objective, state: State, stop_at: Array) -> tuple[State, Summary]:
        state = advance(func, box, settings, state, stop_at)
        return state, summarize(settings, state)

    return objectives.map(one, states, stop_at)


@Compiled
def finish_lanes(box: Box, settings: Settings, states: State) -> OptimizeResults:
    """`finish` of every lane."""
    return jax.vmap(lambda state: finish(box, settings, state))(states)


@partial(Compiled, wide_vectors=True)
def polish_lanes(
    objectives: Objectives, box: Box, results: OptimizeResults, differences: bool
) -> OptimizeResults:
    """`polished` of every lane."""
    return objectives.map(
        lambda func, result: polished(func, box, result, differences=differences), results
    )
