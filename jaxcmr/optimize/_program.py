"""Groups of lanes on their way through compiled programs."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from jaxcmr.optimize._batch import (
    Objectives,
    advance_lanes,
    finish_lanes,
    polish_lanes,
    start_lanes,
)
from jaxcmr.optimize._box import Box
from jaxcmr.optimize._generation import Objective
from jaxcmr.optimize._polish import MAX_SLOPES
from jaxcmr.optimize._precision import in_double, works_in_double
from jaxcmr.optimize._result import OptimizeResults
from jaxcmr.optimize._settings import Problem
from jaxcmr.optimize._state import State

__all__ = ["Lane", "Program"]

CHUNK_SECONDS = 0.25
MOST = 2**31 - 1  # generations that can be counted


@dataclass(frozen=True)
class Lane:
    """A run on its way; `state` is None before it starts and after it ended."""

    index: int
    func: Objective
    key: PRNGKeyArray
    x0: Array | None = None  # in the unit cube
    state: State | None = None
    generation: int = 0
    energy: float = np.inf
    seconds: float = 0.0
    done: bool = False
    result: OptimizeResults | None = None


class Program:
    """Advances a group of at most `width` lanes by a chunk of generations.

    Groups are filled up to `width` with copies of their last lane, so that all share one compiled
    program; what the copies give is dropped.
    """

    def __init__(
        self,
        problem: Problem,
        double_box: Box,
        polish: bool,
        width: int,
        chunk: int | None,
        differs: Any,
        doubles: dict[int, np.ndarray],
    ) -> None:
        self.box, self.settings, self.population = problem
        self.double_box = double_box
        self.polish, self.width = polish, width
        self.differs = differs  # which arrays differ between lanes, if they share programs
        self.doubles = doubles  # arrays that all lanes share, in double precision
        self.chunk = chunk
        self.pace = chunk or 1
        # JAX keeps these settings by thread: the pool's threads take them from the caller's.
        self.x64 = jax.config.jax_enable_x64  # type: ignore[attr-defined]
        self.device = jax.config.jax_default_device  # type: ignore[attr-defined]

    def __call__(self, group: list[Lane]) -> list[Lane]:
        """The lanes of `group` after the next chunk; those that are done have their result."""
        with jax.enable_x64(self.x64), jax.default_device(self.device):
            fresh = [lane for lane in group if lane.state is None]
            under_way = [lane for lane in group if lane.state is not None]
            lanes = self._advance(under_way + self._start(fresh))
            finished = self._finish([lane for lane in lanes if lane.done])
            return [lane for lane in lanes if not lane.done] + finished

    def prepare(self, lanes: list[Lane]) -> list[Lane]:
        """Compile the polish for groups like `lanes`, by a polish of no steps; gives none back.

        A search compiles meanwhile what it needs itself.
        """
        with jax.enable_x64(self.x64), jax.default_device(self.device):
            full = self._fill(self._start(lanes))
            results = finish_lanes(self.box, self.settings, stack(full))
            self._polish(full, results, differences=False, maxiter=0)
        return []

    def _start(self, lanes: list[Lane]) -> list[Lane]:
        if not lanes:
            return []
        full = self._fill(lanes)
        keys = jnp.stack([lane.key for lane in full])
        states = start_lanes(self.box, self.settings, keys, self.population)
        return [
            replace(lane, state=with_member(take(states, i), lane.x0))
            for i, lane in enumerate(lanes)
        ]

    def _advance(self, lanes: list[Lane]) -> list[Lane]:
        full = self._fill(lanes)
        began = time.perf_counter()
        stop_at = np.array([min(lane.generation + self.pace, MOST) for lane in full])
        states, summaries = advance_lanes(
            Objectives.of([lane.func for lane in full], self.differs),
            self.box,
            self.settings,
            stack(full),
            jnp.asarray(stop_at),
        )
        generation, energy, has_ended = (np.asarray(field) for field in summaries)
        if np.any(generation >= stop_at):  # or all lanes ended early, and their time tells nothing
            self._set_pace(time.perf_counter() - began)
        seconds = (time.perf_counter() - began) / len(lanes)
        return [
            replace(
                lane,
                state=take(states, i),
                generation=int(generation[i]),
                energy=float(energy[i]),
                seconds=lane.seconds + seconds,
                done=bool(has_ended[i]),
            )
            for i, lane in enumerate(lanes)
        ]

    def _finish(self, lanes: list[Lane]) -> list[Lane]:
        if not lanes:
            return []
        began = time.perf_counter()
        full = self._fill(lanes)
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
                result=take(results, i),
                energy=float(results.fun[i]),
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
        maxiter: int = MAX_SLOPES,
    ) -> OptimizeResults:
        """Return the results polished in double precision, or in that of the run if the functions
        work in no other."""
        funcs, steps = [lane.func for lane in lanes], jnp.asarray(maxiter, "int32")
        if works_in_double(funcs[0], len(self.box.lower)):
            with jax.enable_x64(True):
                objectives = Objectives.of(in_double(funcs, self.doubles), self.differs)
                return polish_lanes(objectives, self.double_box, results, differences, steps)
        objectives = Objectives.of(funcs, self.differs)
        return polish_lanes(objectives, self.box, results, differences, steps)

    def _fill(self, lanes: list[Lane]) -> list[Lane]:
        return lanes + lanes[-1:] * (self.width - len(lanes))

    def _set_pace(self, seconds: float) -> None:
        """Longer chunks while they are too short; a chunk that compiled tells nothing."""
        if self.chunk is None and seconds < CHUNK_SECONDS / 2:
            self.pace *= 2


def with_member(state: State, x0: Array | None) -> State:
    """The state of a run that has evaluated nobody, with `x0` its first member."""
    if x0 is None:
        return state
    return state._replace(population=state.population.at[0].set(x0))


def stack(lanes: list[Lane]) -> State:
    """The states of the lanes, stacked."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *[lane.state for lane in lanes])


def take(stacked: Any, i: int) -> Any:
    """Lane i of a stacked pytree."""
    return jax.tree.map(lambda leaf: leaf[i], stacked)
