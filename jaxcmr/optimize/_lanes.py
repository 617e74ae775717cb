"""Many minimisations at once, in chunks of generations with plain Python in between.

A lane is one run of one problem. Lanes wait in line; a program takes some of them, advances them
by a chunk and puts the unfinished ones back at the head of the line. So lanes that have converged
stop costing, few states are alive at a time, and whoever iterates over `evolve_lanes` is called at
every chunk boundary: progress bars, printing, checkpoints and Ctrl-C live there.

On a CPU a program takes one lane (its population fills the vector units) and every core runs a
program of its own; an accelerator takes many lanes at once.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray
from numpy.typing import ArrayLike

from jaxcmr.optimize._batch import Objectives, advance_lanes, alike, finish_lanes, start_lanes
from jaxcmr.optimize._box import Box
from jaxcmr.optimize._generation import Objective, Settings, State
from jaxcmr.optimize._run import OptimizeResults
from jaxcmr.optimize._settings import make_problem

__all__ = ["LaneReport", "evolve_lanes"]

CHUNK_SECONDS = 0.25


@dataclass(frozen=True)
class LaneReport:
    """Where a lane stands after a chunk of generations."""

    lane: int
    """Its index in `funcs`."""
    generation: int
    energy: float
    """Best objective so far; infinite if none was finite yet."""
    result: OptimizeResults | None
    """The result, once the lane has finished."""


@dataclass(frozen=True)
class Lane:
    """A run on its way; `state` is None before it starts."""

    index: int
    func: Objective
    key: PRNGKeyArray
    state: State | None = None
    generation: int = 0
    energy: float = np.inf
    done: bool = False
    result: OptimizeResults | None = None


def evolve_lanes(
    funcs: Sequence[Objective],
    bounds: ArrayLike,
    keys: Sequence[PRNGKeyArray],
    *,
    maxiter: int = 1000,
    polish: bool = True,
    chunk: int | None = None,
    lanes_per_program: int | None = None,
    n_programs: int | None = None,
    **options: Any,
) -> Iterator[LaneReport]:
    """Minimises each function of `funcs` in the same box, reporting after every chunk.

    A lane's result depends on its function and key alone: not on the other lanes, the chunks or
    the number of programs. Alike functions (same static parts, same shapes) share one compiled
    program.

    Args:
        funcs: objectives ``(n_params, S) -> (S,)``, callable pytrees.
        bounds: (n_params, 2).
        keys: a random key per lane.
        maxiter: most generations of a lane.
        polish: finish each lane with a bounded quasi-Newton search.
        chunk: generations between reports; by default about a quarter of a second's worth.
        lanes_per_program: lanes advanced together; by default 1 on a CPU, else up to 64.
        n_programs: programs that run at a time; by default the number of cores on a CPU, else 1.
        options: popsize, strategy, mutation, recombination, tol, atol, updating ("deferred" by
            default) and init, as for `differential_evolution`.

    Yields:
        A `LaneReport` per advanced lane. Closing the iterator, or an exception raised while it
        waits, ends the running chunks and drops the unfinished lanes.
    """
    box, settings = make_problem(bounds, **{"updating": "deferred", **options})
    on_cpu = jax.default_backend() == "cpu"
    width = lanes_per_program or (1 if on_cpu or not alike(funcs) else min(64, len(funcs)))
    program = Program(box, settings, maxiter, polish, width, chunk)
    n_programs = n_programs or (n_cores() if on_cpu else 1)
    waiting = deque(Lane(i, *lane) for i, lane in enumerate(zip(funcs, keys, strict=True)))
    running: set[Future[list[Lane]]] = set()
    with ThreadPoolExecutor(n_programs) as pool:
        while waiting or running:
            while waiting and len(running) < n_programs:
                group = [waiting.popleft() for _ in range(min(width, len(waiting)))]
                running.add(pool.submit(program, group))
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for lane in [lane for future in ended for lane in future.result()]:
                if lane.result is None:
                    waiting.appendleft(lane)
                yield LaneReport(lane.index, lane.generation, lane.energy, lane.result)


class Program:
    """Advances a group of at most `width` lanes by a chunk of generations.

    Groups are filled up to `width` with copies of their last lane, so that all share one compiled
    program; what the copies give is dropped.
    """

    def __init__(
        self,
        box: Box,
        settings: Settings,
        maxiter: int,
        polish: bool,
        width: int,
        chunk: int | None,
    ) -> None:
        self.box, self.settings, self.maxiter, self.polish = box, settings, maxiter, polish
        self.width = width
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

    def _start(self, lanes: list[Lane]) -> list[Lane]:
        if not lanes:
            return []
        full = self._fill(lanes)
        keys = jnp.stack([lane.key for lane in full])
        states = start_lanes(self._objectives(full), self.box, self.settings, keys)
        return [replace(lane, state=take(states, i)) for i, lane in enumerate(lanes)]

    def _advance(self, lanes: list[Lane]) -> list[Lane]:
        full = self._fill(lanes)
        began = time.perf_counter()
        stop_at = np.array([min(lane.generation + self.pace, self.maxiter) for lane in full])
        states, summaries = advance_lanes(
            self._objectives(full), self.box, self.settings, stack(full), jnp.asarray(stop_at)
        )
        generation, energy, converged = (np.asarray(field) for field in summaries)
        self._set_pace(time.perf_counter() - began)
        done = converged | (generation >= self.maxiter)
        return [
            replace(
                lane,
                state=take(states, i),
                generation=int(generation[i]),
                energy=float(energy[i]),
                done=bool(done[i]),
            )
            for i, lane in enumerate(lanes)
        ]

    def _finish(self, lanes: list[Lane]) -> list[Lane]:
        if not lanes:
            return []
        full = self._fill(lanes)
        results = finish_lanes(
            self._objectives(full), self.box, self.settings, stack(full), self.polish
        )
        results = jax.tree.map(np.asarray, results)
        return [
            replace(lane, result=take(results, i), energy=float(results.fun[i]), state=None)
            for i, lane in enumerate(lanes)
        ]

    def _fill(self, lanes: list[Lane]) -> list[Lane]:
        return lanes + lanes[-1:] * (self.width - len(lanes))

    def _objectives(self, lanes: list[Lane]) -> Objectives:
        return Objectives.of([lane.func for lane in lanes])

    def _set_pace(self, seconds: float) -> None:
        """Longer chunks while they are too short; a chunk that compiled tells nothing."""
        if self.chunk is None and seconds < CHUNK_SECONDS / 2:
            self.pace *= 2


def stack(lanes: list[Lane]) -> State:
    """The states of the lanes, stacked."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *[lane.state for lane in lanes])


def take(stacked: Any, i: int) -> Any:
    """Lane i of a stacked pytree."""
    return jax.tree.map(lambda leaf: leaf[i], stacked)


def n_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
