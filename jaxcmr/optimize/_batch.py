"""The pieces of a run over several lanes at once; arrays of a lane are stacked on a first axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray

from jaxcmr.optimize._box import Box
from jaxcmr.optimize._compiled import Compiled, StaticPart, is_array, split
from jaxcmr.optimize._generation import Objective, Settings
from jaxcmr.optimize._result import OptimizeResults
from jaxcmr.optimize._run import Summary, advance, finish, polished, start, summarize
from jaxcmr.optimize._state import State

__all__ = [
    "Form",
    "Objectives",
    "advance_lanes",
    "alike",
    "finish_lanes",
    "form",
    "polish_lanes",
    "share",
    "start_lanes",
]


class Form(NamedTuple):
    """What objectives have in common that differ only in the values of their arrays."""

    static: StaticPart
    arrays: tuple[tuple[tuple[int, ...], Any], ...]  # shapes and dtypes


def form(func: Objective) -> Form:
    """Return the form of an objective."""
    arrays, static = split(func)
    return Form(static, tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(arrays)))


def alike(funcs: Sequence[Objective]) -> bool:
    """Return True if the objectives differ only in the values of their arrays."""
    first = form(funcs[0])
    return all(form(func) == first for func in funcs[1:])


def share(funcs: Sequence[Objective]) -> tuple[list[Objective], Any]:
    """Hold arrays that are equal in all of the alike `funcs` once, by their position in the pytree.

    Returns:
        The functions, with such arrays replaced by those of the first; and a pytree like one of
        them, True for arrays that differ.
    """
    structure: Any = jax.tree.structure(funcs[0])
    rows = [jax.tree.leaves(func) for func in funcs]
    differs = [is_array(leaves[0]) and not all_equal(leaves) for leaves in zip(*rows, strict=True)]
    merged = [
        [own if is_own else first for own, first, is_own in zip(row, rows[0], differs, strict=True)]
        for row in rows
    ]
    return [structure.unflatten(row) for row in merged], structure.unflatten(differs)


def all_equal(arrays: Sequence[Any]) -> bool:
    """Return True if arrays of one shape and dtype are equal to the last bit."""
    first, *others = {id(array): array for array in arrays}.values()
    if not others:
        return True
    expected = as_bits(first)
    return all(np.array_equal(as_bits(other), expected) for other in others)


def as_bits(array: Any) -> np.ndarray:
    """Return the bytes of an array."""
    if eqx.is_array(array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    return np.ascontiguousarray(jax.device_get(array)).reshape(-1).view(np.uint8)


class Objectives(eqx.Module):
    """Alike objectives as one pytree: arrays that all lanes share are held once."""

    shared: Any
    own: Any  # stacked arrays; None for a single objective, which is wholly shared

    @classmethod
    def of(cls, funcs: Sequence[Objective], differs: Any) -> Objectives:
        """Stack the arrays of `funcs` that differ between lanes, as `share` found."""
        if len(funcs) == 1:
            return cls(funcs[0], None)
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
    objectives: Objectives,
    box: Box,
    results: OptimizeResults,
    differences: bool,
    maxiter: Int[Array, ""],
) -> OptimizeResults:
    """`polished` of every lane."""
    return objectives.map(
        lambda func, result: polished(func, box, result, differences=differences, maxiter=maxiter),
        results,
    )
