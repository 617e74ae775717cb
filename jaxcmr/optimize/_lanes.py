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
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray
from numpy.typing import ArrayLike

from jaxcmr.optimize._batch import alike
from jaxcmr.optimize._box import Box
from jaxcmr.optimize._generation import Objective
from jaxcmr.optimize._program import Lane, Program
from jaxcmr.optimize._result import OptimizeResults
from jaxcmr.optimize._settings import Problem, make_problem

__all__ = ["LaneReport", "evolve_lanes"]

COPIES = 8  # of a population in one generation: members, challengers, what is drawn


@dataclass(frozen=True)
class LaneReport:
    """Where a lane stands after a chunk of generations."""

    lane: int
    """Its index in `funcs`."""
    generation: int
    """Generations so far."""
    energy: float
    """Best objective so far; infinite if none was finite yet."""
    result: OptimizeResults | None
    """The result, once the lane has finished."""


def evolve_lanes(
    funcs: Sequence[Objective],
    bounds: ArrayLike,
    keys: Sequence[PRNGKeyArray],
    *,
    x0: Sequence[ArrayLike | None] | None = None,
    polish: bool = True,
    chunk: int | None = None,
    lanes_per_program: int | None = None,
    n_programs: int | None = None,
    max_memory: float | None = None,
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
        x0: a member of each lane's first population, (n_params,), or None.
        polish: finish each lane with a bounded quasi-Newton search in double precision. The
            valleys of likelihoods are too flat for single precision to follow to their end.
        chunk: generations between reports; by default about a quarter of a second's worth.
        lanes_per_program: lanes advanced together; by default 1 on a CPU, else as many as fit.
        n_programs: programs that run at a time; by default the number of cores on a CPU, else 1.
        max_memory: bytes that the lanes under way may take; by default half of what an accelerator
            has, and no limit on a CPU, where a lane per core is under way. Lanes that do not fit
            wait their turn. At least one is under way; what waits holds its function and key only.
        options: maxiter, maxfun, popsize, strategy, mutation, recombination, tol, atol, fatol,
            updating ("deferred" by default), init and integrality, as for `differential_evolution`.

    Yields:
        A `LaneReport` per advanced lane. Closing the iterator, or an exception raised while it
        waits, ends the running chunks and drops the unfinished lanes.

    Raises:
        ValueError: an option is out of range, or an `x0` not in the box.
    """
    on_cpu = jax.default_backend() == "cpu"
    options = {"updating": "deferred", **options}
    problem = make_problem(bounds, **options)
    fits = lanes_that_fit(funcs, problem, max_memory)
    width = lanes_per_program or (1 if on_cpu or not alike(funcs) else min(fits, len(funcs)))
    n_programs = n_programs or (max(1, min(n_cores(), fits // width)) if on_cpu else 1)
    program = Program(bounds, options, polish, width, chunk)
    members = [None] * len(funcs) if x0 is None else [as_member(x, problem.box) for x in x0]
    lanes = zip(range(len(funcs)), funcs, keys, members, strict=True)
    waiting = deque(Lane(*lane) for lane in lanes)
    running: set[Future[list[Lane]]] = set()
    with ThreadPoolExecutor(n_programs) as pool:
        if polish and n_programs > 1 and waiting:  # or else it would wait for the first lane's end
            running.add(pool.submit(program.prepare, [waiting[0]]))
        while waiting or running:
            while waiting and len(running) < n_programs:
                group = [waiting.popleft() for _ in range(min(width, len(waiting)))]
                running.add(pool.submit(program, group))
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for lane in [lane for future in ended for lane in future.result()]:
                if lane.result is None:
                    waiting.appendleft(lane)
                yield LaneReport(lane.index, lane.generation, lane.energy, lane.result)


def lanes_that_fit(funcs: Sequence[Objective], problem: Problem, max_memory: float | None) -> int:
    """How many lanes may be under way at a time, by what evaluating a population takes."""
    if max_memory is None:
        statistics = jax.devices()[0].memory_stats() or {}
        max_memory = statistics.get("bytes_limit", np.inf) / 2
    if not funcs or max_memory == np.inf:
        return max(1, len(funcs))
    members, n_params = problem.settings.members, problem.box.lower.shape[0]
    x = jax.ShapeDtypeStruct((n_params, members), jnp.result_type(float))
    needs: Any = jax.jit(lambda x: funcs[0](x)).lower(x).compile().memory_analysis()
    population = COPIES * members * n_params * x.dtype.itemsize
    a_lane = needs.temp_size_in_bytes + needs.output_size_in_bytes + population
    return max(1, int(max_memory // a_lane))


def as_member(x0: ArrayLike | None, box: Box) -> Array | None:
    """`x0` in the unit cube."""
    if x0 is None:
        return None
    x = jnp.asarray(x0, box.lower.dtype)
    if x.shape != box.lower.shape or not box.contains(x):
        raise ValueError(
            f"x0 of a lane must be {len(box.lower)} numbers within the bounds; got {x0!r}."
        )
    return box.to_unit(x)


def n_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
