"""Groups of lanes in compiled programs. A lane is one run of one problem."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from jaxcmr.optimize._de import State
from jaxcmr.optimize._fingerprint import Fingerprint, to_bytes
from jaxcmr.optimize._jit import (
    QUICK_TO_COMPILE,
    WIDE_VECTORS,
    Compiled,
    Objective,
    StaticPart,
    in_double,
    is_array,
    split,
    works_in_double,
)
from jaxcmr.optimize._polish import (
    DIFFERENCES,
    EXACT,
    HELPED,
    MAX_GRADIENTS,
    Coordinates,
    points_per_call,
)
from jaxcmr.optimize._result import OptimizeResults
from jaxcmr.optimize._run import advance, finish, polish_results, start
from jaxcmr.optimize._settings import Problem, Settings
from jaxcmr.optimize._space import Box

__all__ = [
    "GROUP_SIZE",
    "Form",
    "Lane",
    "LaneFunction",
    "Objectives",
    "Program",
    "Transform",
    "advance_lanes",
    "polish_by_differences",
    "polish_exactly",
    "share",
]

T = TypeVar("T")
F = TypeVar("F", bound=Objective)
CHUNK_SECONDS = 0.25
GROUP_SIZE = 16  # most lanes polished together; on a CPU one program, so one rounding, for all
MOST = 2**31 - 1  # generations that can be counted

Transform = Callable[[Float[Array, "n_params members"]], Float[Array, "n_params members"]]
"""A change of coordinates, column by column."""


class LaneFunction(eqx.Module):
    """The objective of a lane, with its fingerprint.

    The fingerprint is static, so `Compiled` keeps one program for each version of the function.
    """

    func: Objective
    transform: Transform | None  # from the lane's coordinates to the arguments of `func`
    fingerprint: Fingerprint = eqx.field(static=True)

    def __call__(self, x: Float[Array, "n_params members"]) -> Array:
        return self.func(x if self.transform is None else self.transform(x))

    def without_transform(self) -> LaneFunction:
        """Return the objective of the function's own arguments."""
        return LaneFunction(self.func, None, self.fingerprint)


@dataclass(frozen=True)
class Lane:
    """A run on its way; `state` is None before it starts."""

    index: int
    func: LaneFunction
    group: int  # lanes of a group have the same function and are polished together
    key: PRNGKeyArray
    x0: Array | None = None  # in the unit cube
    state: State | None = None
    generation: int = 0
    loss: float = np.inf
    seconds: float = 0.0
    result: OptimizeResults | None = None  # not polished before `is_final`
    is_final: bool = False


class Program:
    """Advances `width` lanes by a chunk of generations, or polishes `n_groups` groups of lanes.

    What is missing to these numbers is filled up with copies, so that all calls use one compiled
    program; results of the copies are dropped.
    """

    def __init__(
        self,
        problem: Problem,
        double_box: Box,
        polish: str | None,
        width: int,
        group_size: int,
        chunk: int | None,
        differs: PyTree,
        doubles: dict[int, np.ndarray],
    ) -> None:
        self.box, self.settings, self.population = problem
        self.double_box = double_box
        self.polish, self.width = polish, width  # the way to take gradients; None: no polish
        on_cpu = jax.default_backend() == "cpu"
        self.group_size = GROUP_SIZE if on_cpu else group_size
        self.n_groups = max(1, width // self.group_size)
        self.on_cpu = on_cpu
        self.differs = differs  # True for arrays that differ between lanes, if they share programs
        self.doubles = doubles  # the arrays that all lanes share, in double precision
        # The row of each lane, by its index, in the stacks that follow: see `_stack_lanes`.
        self._stacks = dict[int, int](), Objectives(None, None), jnp.zeros(0)
        self.chunk = chunk
        self.chunk_length = chunk or 1  # in generations
        # JAX keeps these settings by thread: the pool's threads take them from the caller's.
        self.x64 = jax.config.jax_enable_x64  # type: ignore[attr-defined]
        self.device = jax.config.jax_default_device  # type: ignore[attr-defined]

    def advance(self, lanes: list[Lane]) -> list[Lane]:
        """Return the lanes after the next chunk; those whose search has ended have a result."""
        with jax.enable_x64(self.x64), jax.default_device(self.device):
            began = time.perf_counter()
            lanes = self._start(lanes)
            full = fill_up(lanes, self.width)
            stop_at = [min(lane.generation + self.chunk_length, MOST) for lane in full]
            objectives, keys = self._stack_lanes(full)
            states = stack_states(full, keys)
            stops = stack([np.asarray(generation) for generation in stop_at])
            called = time.perf_counter()
            states, has_ended, results = advance_lanes(
                objectives, (self.box, self.settings), states, stops
            )
            generations = np.asarray(states.generation).reshape(-1)
            returned = time.perf_counter()
            are_over = np.asarray(has_ended).reshape(-1)
            results = jax.tree.map(np.asarray, results)
            states_after = states_of_lanes(states, full)
            elapsed = time.perf_counter() - began
            if np.any(generations >= stop_at):  # if all lanes ended early, their time says nothing
                self._lengthen_chunks(returned - called, elapsed)
            seconds = elapsed / len(lanes)
        results_after = to_rows(results) if self.width > 1 else [results]
        rows = zip(states_after, results_after, are_over.tolist(), strict=True)
        return [
            replace(
                lane,
                state=state,
                generation=int(state.generation),
                loss=float(result.fun),
                seconds=lane.seconds + seconds,
                result=result if is_over else None,
                is_final=is_over and self.polish is None,
            )
            for lane, (state, result, is_over) in zip(lanes, rows, strict=False)
        ]

    def polish_groups(self, groups: list[list[Lane]]) -> list[Lane]:
        """Return the lanes of the groups, whose searches have ended, with polished results."""
        with jax.enable_x64(self.x64), jax.default_device(self.device):
            began = time.perf_counter()
            way = self._choose_way(groups[0][0])
            polished = self._polish(groups, way)
            failed = [needs_help(result, way) for result in polished]
            if any(failed):  # rare, and long to compile
                helped = self._polish(groups, HELPED)
                polished = [
                    new if has_failed else old
                    for old, new, has_failed in zip(polished, helped, failed, strict=True)
                ]
            seconds = (time.perf_counter() - began) / len(polished)
        lanes = [lane for group in groups for lane in group]
        return [
            replace(
                lane,
                result=result,
                loss=float(result.fun),
                seconds=lane.seconds + seconds,
                state=None,
                is_final=True,
            )
            for lane, result in zip(lanes, polished, strict=True)
        ]

    def warm_up_polish(self, lane: Lane) -> list[Lane]:
        """Compile the polish ahead of time, by a polish without steps; return no lanes.

        Meanwhile a search compiles what it needs itself.
        """
        with jax.enable_x64(self.x64), jax.default_device(self.device):
            state = jax.eval_shape(
                partial(start, None, self.box, self.settings), lane.key, None, self.population
            )
            result = jax.eval_shape(partial(finish, self.box, self.settings), state)
            result = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), result)
            self._polish([[replace(lane, result=result)]], self._choose_way(lane), maxiter=0)
        return []

    def _start(self, lanes: list[Lane]) -> list[Lane]:
        """Return the lanes with their initial states, not evaluated: there is one program less."""
        new = [lane for lane in lanes if lane.state is None]
        if not new:
            return lanes
        full = fill_up(new, self.width)
        _, keys = self._stack_lanes(full)
        states = start_lanes(self.box, self.settings, keys, self.population, self.width)
        of_new = iter(states_of_lanes(states, full))
        return [
            lane if lane.state is not None else replace(lane, state=with_member(next(of_new), lane))
            for lane in lanes
        ]

    def _stack_lanes(self, lanes: list[Lane]) -> tuple[Objectives, Array]:
        """Return the functions of the lanes as one, and their keys.

        Several are stacked once, and rows of the stacks taken from then on: most lanes come again.
        """
        if len(lanes) == 1:
            return Objectives(lanes[0].func, None), key_of(lanes[0])
        row_of, objectives, keys = self._stacks
        if any(lane.index not in row_of for lane in lanes):
            row_of = {lane.index: row for row, lane in enumerate(lanes)}
            objectives = Objectives.stack([lane.func for lane in lanes], self.differs)
            keys = stack_keys([key_of(lane) for lane in lanes])
            self._stacks = row_of, objectives, keys  # at once, as threads share them
        rows = np.array([row_of[lane.index] for lane in lanes])
        own, keys = take_rows((objectives.own, keys), rows)
        return Objectives(objectives.shared, own), keys

    def _choose_way(self, lane: Lane) -> str:
        """Return how gradients of the lane's function are taken.

        Single precision is too coarse for differences. An accelerator takes them where it can: it
        has columns to spare, and is slow at adding gradients up.
        """
        in_double = self.x64 or works_in_double(lane.func, len(self.box.lower))
        wanted = self.polish if self.on_cpu else DIFFERENCES
        return DIFFERENCES if in_double and wanted == DIFFERENCES else EXACT

    def _polish(
        self, groups: list[list[Lane]], way: str, maxiter: int = MAX_GRADIENTS
    ) -> list[OptimizeResults]:
        """Return the results of the lanes of the groups, polished in double precision.

        Functions that do not work in double precision are polished in that of the run.
        """
        full = fill_up([fill_up(group, self.group_size) for group in groups], self.n_groups)
        limits = np.zeros((self.n_groups, self.group_size), "int32")  # copies are not polished
        for of_group, group in zip(limits, groups, strict=False):
            of_group[: len(group)] = maxiter
        n_params = len(self.box.lower)
        as_double = works_in_double(groups[0][0].func, n_params)
        block = points_per_call(n_params, way) if self.on_cpu else self.group_size
        with jax.enable_x64(as_double or self.x64):
            funcs, transforms, results = [], [], []
            for group in full:
                wholes = [lane.func for lane in group]
                wholes = in_double(wholes, self.doubles) if as_double else wholes
                funcs.append(wholes[0].without_transform())
                transforms.append(stack_rows([whole.transform for whole in wholes]))
                results.append(stack_rows([lane.result for lane in group]))
            parts = [eqx.partition(each, is_array) for each in transforms]
            polish_lanes = polish_by_differences if way == DIFFERENCES else polish_exactly
            polished = polish_lanes(
                Objectives.stack(funcs, self.differs and self.differs.without_transform()),
                (self.double_box if as_double else self.box, parts[0][1], way, block),
                stack([arrays for arrays, _ in parts]),
                stack(results),
                stack(list(limits)),
            )
            polished = jax.tree.map(np.asarray, polished)
        of_groups = to_rows(polished) if self.n_groups > 1 else [polished]
        return [
            result
            for group, of_group in zip(groups, of_groups, strict=False)
            for result in to_rows(of_group)[: len(group)]
        ]

    def _lengthen_chunks(self, seconds: float, elapsed: float) -> None:
        """Double the chunk length until a chunk takes about `CHUNK_SECONDS` / 2.

        Or up to twice that, if what is done around the chunk takes even longer. A slow first
        chunk, which compiles, leaves the length unchanged.
        """
        around = min(elapsed - seconds, CHUNK_SECONDS)
        if self.chunk is None and seconds < max(CHUNK_SECONDS / 2, around):
            self.chunk_length *= 2


def key_of(lane: Lane) -> PRNGKeyArray:
    """Return the key of a lane's search, which never changes."""
    return lane.key if lane.state is None else lane.state.key


def stack_states(lanes: list[Lane], keys: Array) -> State:
    """Return the states of lanes, which have started, as one; `keys` are theirs."""
    states = [lane.state for lane in lanes if lane.state is not None]
    if len(states) == 1:
        return states[0]
    return stack([without_key(state) for state in states])._replace(key=keys)


def states_of_lanes(states: State, lanes: list[Lane]) -> list[State]:
    """Return the state of each lane, given those of all; of several, as arrays of the host."""
    if len(lanes) == 1:
        return [states]
    rows = to_rows(jax.tree.map(np.asarray, without_key(states)))
    return [row._replace(key=key_of(lane)) for row, lane in zip(rows, lanes, strict=True)]


def without_key(state: State) -> State:
    """Return a state with None in place of its key."""
    return state._replace(key=None)  # type: ignore[arg-type]


def with_member(state: State, lane: Lane) -> State:
    """Return a lane's initial state with the member that it is to start from, if any."""
    if lane.x0 is None:
        return state
    population = np.array(state.population)
    population[0] = lane.x0
    return state._replace(population=population)  # type: ignore[arg-type]


def needs_help(result: OptimizeResults, way: str) -> bool:
    """Return whether a polish met a gradient that was not finite."""
    status = int(result.polish_status)
    return status == 3 if way == DIFFERENCES else status != 1


def fill_up(items: list[T], count: int) -> list[T]:
    """Return `count` items: these and copies of the last."""
    return items + items[-1:] * (count - len(items))


# Objectives of many lanes


class Form(NamedTuple):
    """What objectives have in common that differ only in the values of their arrays."""

    static: StaticPart
    arrays: tuple[tuple[tuple[int, ...], Any], ...]  # shapes and dtypes

    @classmethod
    def of(cls, func: PyTree) -> Form:
        """Return the form of an objective, or of another pytree."""
        arrays, static = split(func)
        return cls(static, tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(arrays)))


def share(funcs: Sequence[F]) -> tuple[list[F], PyTree]:
    """Hold arrays once that are equal in all of `funcs`, which have the same form.

    Arrays are matched by their position in the pytree.

    Returns:
        The functions, with such arrays replaced by those of the first, and others on the host; and
        a pytree like one of them, True for arrays that differ.
    """
    structure: Any = jax.tree.structure(funcs[0])
    rows = [jax.tree.leaves(func) for func in funcs]
    differs = [is_array(leaves[0]) and not are_equal(leaves) for leaves in zip(*rows, strict=True)]
    merged = [
        [
            np.asarray(own) if is_own else first
            for own, first, is_own in zip(row, rows[0], differs, strict=True)
        ]
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
        parts = {id(func): eqx.partition(func, differs) for func in funcs}
        own, shared = zip(*(parts[id(func)] for func in funcs), strict=True)
        return cls(shared[0], jax.tree.map(stack_arrays, *own))


# The parts of a run over many lanes at once


def over_lanes(fn: Callable[..., T]) -> Callable[..., T]:
    """Return ``fn(objective, *common, *own)`` for a stack of objectives, by `jax.vmap`.

    `common` arguments are the same for all, the others are stacked. A single objective is not
    vmapped: its program is the faster one.
    """

    def call(objectives: Objectives, common: tuple[Any, ...], *own: PyTree) -> T:
        if objectives.own is None:
            return fn(objectives.shared, *common, *own)
        return jax.vmap(lambda func, *own: fn(eqx.combine(func, objectives.shared), *common, *own))(
            objectives.own, *own
        )

    return call


def advance_lane(
    func: Objective, box: Box, settings: Settings, state: State, stop_at: Int[Array, ""]
) -> tuple[State, Bool[Array, ""], OptimizeResults]:
    """Return a lane's next state, True if its search has ended, and its result so far."""
    state, is_over = advance(func, box, settings, state, stop_at)
    return state, is_over, finish(box, settings, state)


def polish_group(
    func: Objective,
    box: Box,
    static: PyTree,
    way: str,
    block: int,
    arrays: PyTree,
    results: OptimizeResults,
    limits: Int[Array, " lanes"],
) -> OptimizeResults:
    """Return the results of lanes of one function, polished.

    Their transforms come as arrays and what these have in common.
    """
    coordinates = Coordinates(box, eqx.combine(arrays, static))
    return polish_results(func, coordinates, way, block, results, limits)


advance_lanes = Compiled(over_lanes(advance_lane), on_cpu=WIDE_VECTORS)
polish_by_differences = Compiled(over_lanes(polish_group), on_cpu=WIDE_VECTORS)
polish_exactly = Compiled(over_lanes(polish_group), on_cpu=WIDE_VECTORS | QUICK_TO_COMPILE)


@Compiled
def start_lanes(
    box: Box, settings: Settings, keys: Array, population: Array | None, count: int
) -> State:
    """Return the initial states of `count` lanes, not evaluated."""
    if count == 1:
        return start(None, box, settings, keys, None, population)
    return jax.vmap(lambda key: start(None, box, settings, key, None, population))(keys)


def stack(items: list[T]) -> T:
    """Return pytrees of arrays as one, stacked on a first axis; a single one as it is."""
    return jax.tree.map(stack_arrays, *items) if len(items) > 1 else items[0]


def stack_arrays(*arrays: Any) -> Any:
    """Return arrays stacked: on the host, if they are there, to be sent in one piece."""
    on_host = all(isinstance(array, np.ndarray | np.generic) for array in arrays)
    return np.stack(arrays) if on_host else jnp.stack(arrays)


def stack_rows(items: list[T]) -> T:
    """Return pytrees as one, their arrays stacked on a first axis, on the host."""
    arrays, static = zip(*(eqx.partition(item, is_array) for item in items), strict=True)
    return eqx.combine(jax.tree.map(lambda *leaves: np.stack(leaves), *arrays), static[0])


def to_rows(stacked: T) -> list[T]:
    """Return the items of a pytree of arrays of the host, along their first axis."""
    structure: Any
    leaves, structure = jax.tree.flatten(stacked)
    return [structure.unflatten(row) for row in zip(*leaves, strict=True)]


def stack_keys(keys: list[PRNGKeyArray]) -> Array:
    """Return random keys as one array. (To stack them on an accelerator takes seconds.)"""
    data = jnp.asarray(np.stack([np.asarray(jax.random.key_data(key)) for key in keys]))
    is_raw = jnp.issubdtype(keys[0].dtype, jnp.unsignedinteger)  # of `jax.random.PRNGKey`
    return data if is_raw else jax.random.wrap_key_data(data, impl=jax.random.key_impl(keys[0]))


@Compiled
def take_rows(stacked: T, rows: np.ndarray) -> T:
    """Return rows of stacked arrays."""
    return jax.tree.map(lambda array: array[rows], stacked)
