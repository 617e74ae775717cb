"""Many minimizations at once, in chunks of generations with plain Python in between.

A lane is one run of one problem. Lanes wait in line; a program takes some of them, advances them
by a chunk and puts the unfinished ones back at the head of the line. So lanes that have converged
cost no more, few states are alive at a time, and the caller of `evolve_lanes` gets its turn at
every chunk boundary: for progress bars, printing, checkpoints and Ctrl-C. Lanes of one function,
such as the runs of a subject, are polished together.

On a CPU a program takes one lane (its population fills the vector units) and every core runs a
program of its own; an accelerator takes many lanes at once.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree
from numpy.typing import ArrayLike

from jaxcmr.optimize._de import State
from jaxcmr.optimize._fingerprint import Fingerprint, fingerprint
from jaxcmr.optimize._jit import Compiled, Objective, check_leaves, check_not_forked, is_array
from jaxcmr.optimize._polish import DIFFERENCES, EXACT
from jaxcmr.optimize._program import GROUP_SIZE, Form, Lane, LaneFunction, Program, Transform, share
from jaxcmr.optimize._result import OptimizeResults
from jaxcmr.optimize._settings import Problem, make_problem
from jaxcmr.optimize._space import Box

__all__ = ["LaneReport", "evolve_lanes"]

NOTHING = Fingerprint("", ())
COPIES = 8  # of a population in one generation: members, trial vectors, draws


@dataclass(frozen=True)
class LaneReport:
    """Where a lane stands after a chunk of generations."""

    lane: int
    """Its index in `funcs`."""
    generation: int
    """Generations so far."""
    loss: float
    """The best loss so far; infinite if none was finite yet."""
    result: OptimizeResults | None
    """The result, once the lane has finished."""
    state: State | None = None
    """The population, from which `evolve_lanes(states=...)` goes on; None if the lane has finished.
    A lane that waits for its polish has one, too."""
    seconds: float = 0.0
    """Wall time spent on the lane in this call, compiling included. Lanes that are advanced
    together share their time equally."""


def evolve_lanes(
    funcs: Sequence[Objective],
    bounds: ArrayLike,
    keys: Sequence[PRNGKeyArray],
    *,
    transforms: Sequence[Transform | None] | None = None,
    x0: Sequence[ArrayLike | None] | None = None,
    states: Sequence[State | None] | None = None,
    polish: bool | str = True,
    chunk: int | None = None,
    lanes_per_program: int | None = None,
    n_programs: int | None = None,
    max_memory: float | None = None,
    pool: Executor | None = None,
    **options: Any,
) -> Iterator[LaneReport]:
    """Minimize each function of `funcs` in the same box, reporting after every chunk.

    A lane's result depends on its function and key alone: not on the other lanes, the chunks or
    the number of programs. Functions of the same form (same static parts, same shapes) share one
    compiled program, and arrays that are equal in all of them are held once, copied or not.

    One function of each form is traced at every call, and compiled again where what it computes has
    changed. **A change is not seen where JAX itself keeps what it has traced, such as in your own
    `jax.jit` functions: see `differential_evolution`.**

    Args:
        funcs: objectives ``(n_params, S) -> (S,)``, callable pytrees.
        bounds: (n_params, 2).
        keys: one random key per lane.
        transforms: changes of coordinates ``(n_params, S) -> (n_params, S)``, column by column,
            from each lane's box to the arguments of its function; callable pytrees, or None. So
            lanes may search for the minimum of one function on several scales.
        x0: a member of each lane's first population, (n_params,), or None. Whole-number parameters
            are rounded.
        states: an earlier `LaneReport.state` of each lane, or None. Such a lane goes on where it
            was, to the same result, bit for bit; its key and `x0` are not used again.
        polish: finish each lane with a bounded quasi-Newton search in double precision. The
            valleys of likelihoods are too flat for single precision to follow to their end. Its
            gradients are those of JAX (True or "exact"); or forward differences ("differences"),
            of n_params + 1 evaluations in one call, which is less to compile, and sooner for
            functions whose exact gradient takes more than that. Lanes
            that have the same object for a function are polished together, once all of them have
            searched; until then their reports have a state.
        chunk: generations between reports; by default about a quarter of a second's worth.
        lanes_per_program: lanes advanced together; by default 1 on a CPU, else as many as fit.
        n_programs: programs that run at a time; by default the number of threads of `pool`, or of
            cores on a CPU, else 1.
        max_memory: bytes that the lanes under way may take; by default half of what an accelerator
            has, and no limit on a CPU, where a lane per core is under way. Lanes that do not fit
            wait their turn. At least one is under way; a waiting lane holds its function and key.
        pool: threads that run the programs, any `concurrent.futures.Executor` of threads. It is not
            shut down. By default a pool of this call's own.
        options: maxiter, maxfun, popsize, strategy, mutation, recombination, tol, atol, fatol,
            updating ("deferred" by default), init and integrality, as for `differential_evolution`.

    Yields:
        A `LaneReport` per advanced lane. Closing the iterator, or an exception raised while it
        waits, ends the running chunks and drops the unfinished lanes.

    Raises:
        ValueError: an option is out of range, an `x0` is not in the box, a state is that of another
            search, or `lanes_per_program` is more than 1 for functions that cannot share a program.
        RuntimeError: this process was forked after JAX had started.

    Examples:
        >>> import jax
        >>> from jaxcmr.optimize import evolve_lanes
        >>> keys = jax.random.split(jax.random.key(0), 2)
        >>> funcs = [lambda x: (x**2).sum(0)] * 2
        >>> reports = evolve_lanes(funcs, [(-1, 1)], keys, polish=False)
        >>> sorted(report.lane for report in reports if report.result is not None)
        [0, 1]
    """
    way = as_way(polish)
    check_not_forked()
    on_cpu = jax.default_backend() == "cpu"
    options = {"updating": "deferred", **options}
    problem = make_problem(bounds, **options)
    with jax.enable_x64(True):
        double_box = Box.from_bounds(bounds, options.get("integrality"))
    groups = number_groups(funcs, transforms)
    distinct, numbers = add_fingerprints(funcs, transforms, problem)
    one_form = len({Form.of(func) for func in distinct}) == 1
    distinct, differs = share(distinct) if one_form else (distinct, None)
    lane_funcs = [distinct[number] for number in numbers]
    fits = count_fitting(lane_funcs, problem, max_memory)
    width = lanes_per_program or (1 if on_cpu or not one_form else min(fits, len(funcs)))
    if width > 1 and not one_form:
        raise ValueError(
            f"lanes_per_program is {width}, but the functions differ in more than the values of "
            "their arrays: leave it at 1, or make them pytrees of one class (see equinox.Module)."
        )
    threads = count_threads(pool) or (count_cores() if on_cpu else 1)
    n_programs = n_programs or max(1, min(threads, fits // width))
    doubles = double_shared_arrays(lane_funcs[0], differs) if one_form and way else {}
    sizes = Counter(groups)
    group_size = max(sizes.values(), default=1)
    program = Program(problem, double_box, way, width, group_size, chunk, differs, doubles)
    waiting = deque(make_lanes(lane_funcs, groups, keys, x0, states, problem))
    searched: dict[int, list[Lane]] = defaultdict(list)  # lanes to be polished, by group
    complete: deque[list[Lane]] = deque()  # groups whose searches have all ended
    running: set[Future[list[Lane]]] = set()
    warm_up: set[Future[list[Lane]]] = set()
    executor = pool or ThreadPoolExecutor(n_programs)
    try:
        if way and n_programs > 1 and waiting:  # beside the first search, not after it
            warm_up = {executor.submit(program.warm_up_polish, waiting[0])}
            running |= warm_up
        while waiting or running or complete:
            while (n_free := n_programs - len(running - warm_up)) > 0:
                is_last = not waiting and len(running - warm_up) == 0
                if len(complete) >= program.n_groups or (complete and is_last):
                    taken = [
                        complete.popleft() for _ in range(min(program.n_groups, len(complete)))
                    ]
                    n_parts = 1 if waiting or len(taken) > 1 else n_free // (1 + len(complete))
                    for part in divide(taken, n_parts):
                        running.add(executor.submit(program.polish_groups, part))
                elif waiting:
                    lanes = [waiting.popleft() for _ in range(min(width, len(waiting)))]
                    running.add(executor.submit(program.advance, lanes))
                else:
                    break
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            # Groups that failed come last, so that what ended together with them is not lost.
            for future in sorted(ended, key=lambda each: each.exception() is not None):
                for lane in future.result():
                    if lane.result is None:
                        waiting.appendleft(lane)
                    elif not lane.is_final:
                        searched[lane.group].append(lane)
                        if len(searched[lane.group]) == sizes[lane.group]:
                            complete.append(searched.pop(lane.group))
                            continue  # reported when it has been polished
                    yield report_on(lane)
    finally:
        wait({future for future in running if not future.cancel()})
        if pool is None:
            executor.shutdown()


def divide(groups: list[list[Lane]], n_parts: int) -> list[list[list[Lane]]]:
    """Return a single group in up to `n_parts` parts, for programs that would stand idle."""
    if len(groups) > 1 or n_parts <= 1:
        return [groups]
    [group] = groups
    return [[group[i::n_parts]] for i in range(min(n_parts, len(group)))]


def report_on(lane: Lane) -> LaneReport:
    """Return the report of a lane; its result only if that will not change."""
    return LaneReport(
        lane.index,
        lane.generation,
        lane.loss,
        lane.result if lane.is_final else None,
        None if lane.is_final else lane.state,
        lane.seconds,
    )


def number_groups(
    funcs: Sequence[Objective], transforms: Sequence[Transform | None] | None
) -> list[int]:
    """Return the number of each lane's group.

    Lanes of a group have the same object for a function, and transforms that differ in the values
    of their arrays only. There are at most `GROUP_SIZE` of them.
    """
    known: dict[Any, int] = {}
    sizes: Counter[Any] = Counter()
    numbers = []
    transforms = transforms or [None] * len(funcs)
    forms = {id(transform): Form.of(transform) for transform in transforms}
    for func, transform in zip(funcs, transforms, strict=True):
        alike = id(func), forms[id(transform)]
        key = alike, sizes[alike] // GROUP_SIZE
        sizes[alike] += 1
        numbers.append(known.setdefault(key, len(known)))
    return numbers


def as_way(polish: bool | str) -> str | None:
    """Return the way in which the polish takes gradients; None if there is no polish.

    Raises:
        ValueError: it is an unknown word.
    """
    if isinstance(polish, str) and polish not in (EXACT, DIFFERENCES):
        raise ValueError(
            f"polish is True, False, {EXACT!r} or {DIFFERENCES!r}, the ways to take gradients; got "
            f"{polish!r}."
        )
    return polish if isinstance(polish, str) else EXACT if polish else None


def add_fingerprints(
    funcs: Sequence[Objective], transforms: Sequence[Transform | None] | None, problem: Problem
) -> tuple[list[LaneFunction], list[int]]:
    """Return the distinct functions of the lanes with their fingerprints, and each lane's number.

    Lanes have the same function if they have the same objects for function and transform.
    Fingerprints are taken once for each form.
    """
    x = jax.ShapeDtypeStruct(
        (len(problem.box.lower), problem.settings.population_size), jnp.result_type(float)
    )
    known: dict[Form, Fingerprint] = {}
    number_of: dict[tuple[int, int], int] = {}
    distinct: list[LaneFunction] = []
    numbers: list[int] = []
    transforms = transforms or [None] * len(funcs)
    for i, (func, transform) in enumerate(zip(funcs, transforms, strict=True)):
        number = number_of.setdefault((id(func), id(transform)), len(distinct))
        numbers.append(number)
        if number < len(distinct):
            continue
        check_leaves(f"funcs[{i}]", func)
        check_leaves(f"transforms[{i}]", transform)
        lane = LaneFunction(func, transform, NOTHING)
        form = Form.of(lane)
        if form not in known:
            known[form] = fingerprint(lane, x)
        distinct.append(replace(lane, fingerprint=known[form]))
    return distinct, numbers


def double_shared_arrays(func: Objective, differs: PyTree) -> dict[int, np.ndarray]:
    """Return the real arrays that all lanes share, in double precision, by the original's id."""
    leaves = zip(jax.tree.leaves(func), jax.tree.leaves(differs), strict=True)
    return {
        id(leaf): np.asarray(leaf, np.float64)
        for leaf, is_own in leaves
        if not is_own and is_array(leaf) and jnp.issubdtype(leaf.dtype, jnp.floating)
    }


def make_lanes(
    funcs: Sequence[LaneFunction],
    groups: Sequence[int],
    keys: Sequence[PRNGKeyArray],
    x0: Sequence[ArrayLike | None] | None,
    states: Sequence[State | None] | None,
    problem: Problem,
) -> list[Lane]:
    """Return the lanes as they begin, each new or with the state it was given."""
    guesses = [None] * len(funcs) if x0 is None else x0
    earlier = [None] * len(funcs) if states is None else states
    lanes = []
    each = zip(funcs, groups, keys, guesses, earlier, strict=True)
    for i, (func, group, key, guess, state) in enumerate(each):
        if state is None:
            lanes.append(Lane(i, func, group, key, to_member(guess, problem.box)))
        else:
            check_state(f"states[{i}]", state, problem)
            generation, loss = int(state.generation), float(state.losses[0])
            lanes.append(Lane(i, func, group, key, None, state, generation, loss))
    return lanes


def to_member(x0: ArrayLike | None, box: Box) -> Array | None:
    """Return `x0` in the unit cube."""
    if x0 is None:
        return None
    x = jnp.asarray(x0, box.lower.dtype)
    if x.shape != box.lower.shape or not box.contains(x):
        raise ValueError(
            f"x0 of a lane must be {len(box.lower)} numbers within the bounds; got {x0!r}."
        )
    return box.to_unit(x)


def check_state(name: str, state: State, problem: Problem) -> None:
    """Raise a ValueError for the state of a search with another population or strategy."""
    lower, settings = problem.box.lower, problem.settings
    adapts = settings.strategy.history is not None
    expected = (settings.population_size, len(lower)), lower.dtype, adapts
    came = state.population.shape, state.population.dtype, state.memory is not None
    if came != expected:
        raise ValueError(
            f"{name} is of another search: its population is {came[0]} of {came[1]}, "
            f"{'with' if came[2] else 'without'} a memory; this search has {expected[0]} of "
            f"{expected[1]}, {'with' if expected[2] else 'without'} a memory."
        )


# How many lanes at a time


@Compiled
def compiled_loss(func: Objective, x: np.ndarray) -> Array:
    """Return the losses of a population; compiled to measure the memory that it takes."""
    return func(x)  # type: ignore[arg-type]  # an array of JAX when it runs


def count_fitting(funcs: Sequence[Objective], problem: Problem, max_memory: float | None) -> int:
    """Return how many lanes may be under way, by the memory that evaluating a population takes."""
    if max_memory is None:
        statistics = jax.devices()[0].memory_stats() or {}
        max_memory = statistics.get("bytes_limit", np.inf) / 2
    if not funcs or max_memory == np.inf:
        return max(1, len(funcs))
    members, n_params = problem.settings.population_size, problem.box.lower.shape[0]
    x = np.zeros((n_params, members), jnp.result_type(float))
    bytes_per_lane = compiled_loss.memory(funcs[0], x) + COPIES * x.nbytes
    return max(1, int(max_memory // bytes_per_lane))


def count_threads(pool: Executor | None) -> int | None:
    """Return the number of threads of a `ThreadPoolExecutor`, None for other executors.

    Raises:
        ValueError: it is a pool of processes, which compiled programs cannot be sent to.
    """
    if isinstance(pool, ProcessPoolExecutor):
        raise ValueError(
            "pool must be an Executor of threads, such as ThreadPoolExecutor; got one of processes."
        )
    return pool._max_workers if isinstance(pool, ThreadPoolExecutor) else None


def count_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
