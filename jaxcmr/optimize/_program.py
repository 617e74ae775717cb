"""Groups of lanes in compiled programs. A lane is one run of one problem."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from jaxcmr.optimize._de import State
from jaxcmr.optimize._fingerprint import to_bytes
from jaxcmr.optimize._jit import (
    Compiled,
    Objective,
    StaticPart,
    in_double,
    is_array,
    split,
    works_in_double,
)
from jaxcmr.optimize._polish import MAX_GRADIENTS
from jaxcmr.optimize._result import OptimizeResults
from jaxcmr.optimize._run import advance, finish, polish_result, start
from jaxcmr.optimize._settings import Problem, Settings
from jaxcmr.optimize._space import Box

__all__ = ["Form", "Lane", "Objectives", "Program", "advance_lanes", "polish_lanes", "share"]

T = TypeVar("T")
CHUNK_SECONDS = 0.25
MOST = 2**31 - 1  # generations that can be counted


@dataclass(frozen=True)
class Lane:
    """A run on its way; `state` is None before it starts and after it has ended."""

    index: int
    func: Objective
    key: PRNGKeyArray
    x0: Array | None = None  # in the unit cube
    state: State | None = None
    generation: int = 0
    loss: float = np.inf
    seconds: float = 0.0
    result: OptimizeResults | None = None


class Program:
    """Advances groups of at most `width` lanes by a chunk of generations.

    Groups are padded to `width` with copies of their last lane, so that all use one compiled
    program; results of the copies are dropped.
    """

    def __init__(
        self,
        problem: Problem,
        double_box: Box,
        polish: bool,
        width: int,
        chunk: int | None,
        differs: PyTree,
        doubles: dict[int, np.ndarray],
    ) -> None:
        self.box, self.settings, self.population = problem
        self.double_box = double_box
        self.polish, self.width = polish, width
        self.differs = differs  # True for arrays that differ between lanes, if they share programs
        self.doubles = doubles  # the arrays that all lanes share, in double precision
        self.chunk = chunk
        self.chunk_length = chunk or 1  # in generations
        # JAX keeps these settings by thread: the pool's threads take them from the caller's.
        self.x64 = jax.config.jax_enable_x64  # type: ignore[attr-defined]
        self.device = jax.config.jax_default_device  # type: ignore[attr-defined]

    def __call__(self, group: list[Lane]) -> list[Lane]:
        """Return the lanes of a group after the next chunk; those that ended have their result."""
        with jax.enable_x64(self.x64), jax.default_device(self.device):
            lanes = [lane for lane in group if lane.state is not None]
            lanes += self._start([lane for lane in group if lane.state is None])
            began = time.perf_counter()
            full = self._pad(lanes)
            stop_at = np.array([min(lane.generation + self.chunk_length, MOST) for lane in full])
            states, has_ended = advance_lanes(
                Objectives.stack([lane.func for lane in full], self.differs),
                (self.box, self.settings),
                stack(full),
                jnp.asarray(stop_at),
            )
            generations, ended = np.asarray(states.generation), np.asarray(has_ended)
            losses = np.asarray(states.losses)[:, 0]
            elapsed = time.perf_counter() - began
            if np.any(generations >= stop_at):  # if all lanes ended early, their time says nothing
                self._lengthen_chunks(elapsed)
            lanes = [
                replace(
                    lane,
                    state=get_lane(states, i),
                    generation=int(generations[i]),
                    loss=float(losses[i]),
                    seconds=lane.seconds + elapsed / len(lanes),
                )
                for i, lane in enumerate(lanes)
            ]
            going = [lane for lane, is_over in zip(lanes, ended, strict=False) if not is_over]
            over = [lane for lane, is_over in zip(lanes, ended, strict=False) if is_over]
            return going + self._finish(over)

    def warm_up_polish(self, lanes: list[Lane]) -> list[Lane]:
        """Compile the polish ahead of time, by a polish without steps; return no lanes.

        Meanwhile a search compiles what it needs itself.
        """
        with jax.enable_x64(self.x64), jax.default_device(self.device):
            full = self._pad(self._start(lanes))
            results = finish_lanes(self.box, self.settings, stack(full))
            self._polish(full, results, differences=False, maxiter=0)
        return []

    def _start(self, lanes: list[Lane]) -> list[Lane]:
        """Return lanes with their initial states."""
        if not lanes:
            return []
        keys = jnp.stack([lane.key for lane in self._pad(lanes)])
        states = start_lanes(self.box, self.settings, keys, self.population)
        started = []
        for i, lane in enumerate(lanes):
            state = get_lane(states, i)
            if lane.x0 is not None:
                state = state._replace(population=state.population.at[0].set(lane.x0))
            started.append(replace(lane, state=state))
        return started

    def _finish(self, lanes: list[Lane]) -> list[Lane]:
        """Return lanes that have ended with their results, polished if that was asked for."""
        if not lanes:
            return []
        began = time.perf_counter()
        full = self._pad(lanes)
        results = finish_lanes(self.box, self.settings, stack(full))
        if self.polish:
            polished = self._polish(full, results, differences=False)
            if np.any(np.asarray(polished.polish_status) != 1):  # rare, and long to compile
                polished = self._polish(full, results, differences=True)
            results = polished
        results = jax.tree.map(np.asarray, results)
        seconds = (time.perf_counter() - began) / len(lanes)
        return [
            replace(
                lane,
                result=get_lane(results, i),
                loss=float(results.fun[i]),
                seconds=lane.seconds + seconds,
                state=None,
            )
            for i, lane in enumerate(lanes)
        ]

    def _polish(
        self,
        lanes: list[Lane],
        results: OptimizeResults,
        differences: bool,
        maxiter: int = MAX_GRADIENTS,
    ) -> OptimizeResults:
        """Return the results polished in double precision.

        Functions that do not work in double precision are polished in that of the run.
        """
        funcs, limit = [lane.func for lane in lanes], jnp.asarray(maxiter, "int32")
        if works_in_double(funcs[0], len(self.box.lower)):
            with jax.enable_x64(True):
                objectives = Objectives.stack(in_double(funcs, self.doubles), self.differs)
                return polish_lanes(objectives, (self.double_box, differences, limit), results)
        objectives = Objectives.stack(funcs, self.differs)
        return polish_lanes(objectives, (self.box, differences, limit), results)

    def _pad(self, lanes: list[Lane]) -> list[Lane]:
        """Return `width` lanes: these and copies of the last."""
        return lanes + lanes[-1:] * (self.width - len(lanes))

    def _lengthen_chunks(self, seconds: float) -> None:
        """Double the chunk length until a chunk takes about `CHUNK_SECONDS` / 2.

        A slow first chunk, which compiles, leaves it unchanged.
        """
        if self.chunk is None and seconds < CHUNK_SECONDS / 2:
            self.chunk_length *= 2


# Objectives of many lanes


class Form(NamedTuple):
    """What objectives have in common that differ only in the values of their arrays."""

    static: StaticPart
    arrays: tuple[tuple[tuple[int, ...], Any], ...]  # shapes and dtypes

    @classmethod
    def of(cls, func: Objective) -> Form:
        """Return the form of an objective."""
        arrays, static = split(func)
        return cls(static, tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(arrays)))


def share(funcs: Sequence[Objective]) -> tuple[list[Objective], PyTree]:
    """Hold arrays once that are equal in all of `funcs`, which have the same form.

    Arrays are matched by their position in the pytree.

    Returns:
        The functions, with such arrays replaced by those of the first; and a pytree like one of
        them, True for arrays that differ.
    """
    structure: Any = jax.tree.structure(funcs[0])
    rows = [jax.tree.leaves(func) for func in funcs]
    differs = [is_array(leaves[0]) and not are_equal(leaves) for leaves in zip(*rows, strict=True)]
    merged = [
        [own if is_own else first for own, first, is_own in zip(row, rows[0], differs, strict=True)]
        for row in rows
    ]
    return [structure.unflatten(row) for row in merged], structure.unflatten(differs)


def are_equal(arrays: Sequence[Any]) -> bool:
    """Return True if the arrays are equal to the last bit."""
    first, *others = {id(array): array for array in arrays}.values()
    if not others:
        return True
    expected = to_bytes(first)
    return all(to_bytes(other) == expected for other in others)


class Objectives(eqx.Module):
    """Objectives of one form as one pytree; arrays that all lanes share are held once."""

    shared: PyTree
    own: PyTree  # stacked arrays; None for a single objective, which is wholly shared

    @classmethod
    def stack(cls, funcs: Sequence[Objective], differs: PyTree) -> Objectives:
        """Stack the arrays of `funcs` that differ between lanes, as `share` found."""
        if len(funcs) == 1:
            return cls(funcs[0], None)
        own, shared = zip(*(eqx.partition(func, differs) for func in funcs), strict=True)
        return cls(shared[0], jax.tree.map(lambda *leaves: jnp.stack(leaves), *own))


# The parts of a run over many lanes at once


def over_lanes(fn: Callable[..., T]) -> Callable[..., T]:
    """Return ``fn(objective, *common, *stacked)`` for a stack of lanes, by `jax.vmap`.

    `common` arguments are the same for all lanes. A single lane is not vmapped: its program is the
    faster one.
    """

    def call(objectives: Objectives, common: tuple[Any, ...], *stacked: PyTree) -> T:
        if objectives.own is None:
            one = fn(objectives.shared, *common, *jax.tree.map(lambda leaf: leaf[0], stacked))
            return jax.tree.map(lambda leaf: leaf[None], one)
        return jax.vmap(lambda own, *lane: fn(eqx.combine(own, objectives.shared), *common, *lane))(
            objectives.own, *stacked
        )

    return call


def polish_lane(
    func: Objective,
    box: Box,
    differences: bool,
    maxiter: Int[Array, ""],
    result: OptimizeResults,
) -> OptimizeResults:
    """Return the result of a lane with its best member polished."""
    return polish_result(func, box, result, differences=differences, maxiter=maxiter)


advance_lanes = Compiled(over_lanes(advance), wide_vectors=True)
polish_lanes = Compiled(over_lanes(polish_lane), wide_vectors=True)


@Compiled
def start_lanes(box: Box, settings: Settings, keys: Array, population: Array | None) -> State:
    """Return the initial state of every lane, not evaluated: there is one program less."""
    return jax.vmap(lambda key: start(None, box, settings, key, None, population))(keys)


@Compiled
def finish_lanes(box: Box, settings: Settings, states: State) -> OptimizeResults:
    """Return the result of every lane in its present state."""
    return jax.vmap(lambda state: finish(box, settings, state))(states)


def stack(lanes: list[Lane]) -> State:
    """Return the states of the lanes, stacked."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *[lane.state for lane in lanes])


def get_lane(stacked: Any, i: int) -> Any:
    """Return lane i of a stacked pytree."""
    return jax.tree.map(lambda leaf: leaf[i], stacked)
