"""Speed of differential evolution: jaxcmr next to mutax, evosax and SciPy.

Every engine searches in dimension 11 with 165 members, best1bin, F = 0.85 and CR = 0.9, for a fixed
200 generations, evaluates a generation in one call and does not polish. SciPy computes in double
precision, the others in single. evosax knows no box (nothing is clipped or drawn anew), has no test
of convergence and comes as the steps of a generation, which a compiled scan repeats here.

To repeat, in an environment that has jaxcmr::

    pip install mutax evosax scipy
    python benchmarks/engine_speed.py            # all parts
    python benchmarks/engine_speed.py one slow   # some of them

- ``one``: one sphere.
- ``many``: 128 spheres. SciPy makes four runs in a loop, counted 32 times.
- ``slow``: 16 problems together, one of which takes many times as many generations as the others.
- ``first``: the first call of a fresh process, with what is compiled for it, without the imports.

Prints Markdown tables and writes all times to ``OUT/engine_speed.json``. A time is the median of
some repetitions after a first one, listed apart, that compiles; the contenders take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jax.tree_util import Partial
from jaxtyping import Array, PRNGKeyArray

from jaxcmr.optimize import differential_evolution, evolve_lanes

try:
    import mutax
except ImportError:
    mutax = None

N_PARAMS, POPSIZE, GENERATIONS = 11, 15, 200
N_SPHERES, N_SCIPY, N_MIXED = 128, 4, 16
BOUNDS = np.tile([-5.0, 5.0], (N_PARAMS, 1))
OPTIONS: dict[str, Any] = {
    "maxiter": GENERATIONS,
    "popsize": POPSIZE,
    "mutation": 0.85,
    "recombination": 0.9,
    "tol": 0.0,
    "atol": 0.0,
}
CONVERGE: dict[str, Any] = {"maxiter": 20_000, "popsize": POPSIZE, "fatol": 1e-3}
DEPTH = 1e4  # of the valley that is slow to search
MISSING = [name for name in ("mutax", "evosax") if not find_spec(name)]
TARGETS = {
    "one": {"mutax": 10.0, "evosax": 2.0, "SciPy": 9.0},
    "many": {"mutax": 30.0, "evosax": 4.0, "SciPy": 15.0},
}
"""How many times as long as ours a peer should take at least."""

Contender = Callable[[], tuple[Any, Any]]
"""A call that gives lowest values and generations, computed or under way."""


class Timing(NamedTuple):
    """Wall seconds of the first call and of the others, and what the last one gave."""

    first: float
    rest: list[float]
    values: list[float]
    generations: list[int]
    factor: int = 1  # runs that one timed run stands for

    @property
    def seconds(self) -> float:
        """The median."""
        return float(np.median(self.rest)) * self.factor


def sphere(x: Any) -> Any:
    """Sum of squares over the first axis, in JAX or in NumPy."""
    return (x**2).sum(axis=0)


def valley(x: Array, depth: Array) -> Array:
    """A sphere about 1, and for a depth other than 0 Rosenbrock's bent valley."""
    return ((1 - x) ** 2).sum(axis=0) + depth * ((x[1:] - x[:-1] ** 2) ** 2).sum(axis=0)


def ours(key: PRNGKeyArray, polish: bool = False) -> tuple[Array, Array]:
    """A sphere by `jaxcmr.optimize.differential_evolution`."""
    result = differential_evolution(
        sphere, BOUNDS, key=key, vectorized=True, updating="deferred", polish=polish, **OPTIONS
    )
    return result.fun, result.nit


def mutaxs(key: PRNGKeyArray, polish: bool = False) -> tuple[Array, Array]:
    """A sphere by mutax, which counts the initial population as a generation."""
    box = jnp.asarray(BOUNDS)
    result = mutax.differential_evolution(
        sphere, box, key=key, vectorized=True, updating="deferred", polish=polish, **OPTIONS
    )
    return result.fun, result.nit - 1


def evosaxs(key: PRNGKeyArray) -> tuple[Array, Array]:
    """A sphere by the steps of evosax, from a uniform population."""
    from evosax.algorithms import DifferentialEvolution  # starts JAX: not before a first call

    engine = DifferentialEvolution(N_PARAMS * POPSIZE, jnp.zeros(N_PARAMS))
    scale, crossover = OPTIONS["mutation"], OPTIONS["recombination"]
    params = engine.default_params.replace(differential_weight=scale, crossover_rate=crossover)

    def generation(state: Any, key: PRNGKeyArray) -> tuple[Any, None]:
        to_ask, to_tell = jax.random.split(key)
        trials, state = engine.ask(to_ask, state, params)
        return engine.tell(to_tell, trials, sphere(trials.T), state, params)[0], None

    to_draw, to_start, to_run = jax.random.split(key, 3)
    low, high = BOUNDS.T
    members = jax.random.uniform(to_draw, (N_PARAMS * POPSIZE, N_PARAMS), minval=low, maxval=high)
    state = engine.init(to_start, members, sphere(members.T), params)
    state, _ = jax.lax.scan(generation, state, jax.random.split(to_run, GENERATIONS))
    return state.best_fitness, state.generation_counter


def scipys(seed: int) -> tuple[float, int]:
    """A sphere by SciPy."""
    result = scipy.optimize.differential_evolution(
        sphere, BOUNDS, rng=seed, vectorized=True, updating="deferred", polish=False, **OPTIONS
    )
    return result.fun, result.nit


def in_lanes(funcs: list[Any], keys: list[Any], options: dict[str, Any]) -> tuple[Any, Any]:
    """The functions by `jaxcmr.optimize.evolve_lanes`."""
    reports = evolve_lanes(funcs, BOUNDS, keys, polish=False, **options)
    results = {report.lane: report.result for report in reports if report.result is not None}
    ordered = [results[lane] for lane in range(len(funcs))]
    return [result.fun for result in ordered], [result.nit for result in ordered]


def in_loop(run: Callable[..., tuple[Any, Any]], *lanes: Any) -> tuple[Any, Any]:
    """A run for each of the lanes."""
    return tuple(zip(*map(run, *lanes), strict=True))


def take_turns(contenders: dict[str, Contender], repeats: int) -> dict[str, Timing]:
    """Times the contenders that are installed, all of them in every repetition."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders if name not in MISSING}
    outcomes = {}
    for turn in range(repeats + 1):
        for name, times in seconds.items():
            print(f"{turn}/{repeats} {name}", end="\033[K\r", file=sys.stderr, flush=True)
            began = time.perf_counter()
            outcomes[name] = jax.block_until_ready(contenders[name]())
            times.append(time.perf_counter() - began)
    print(end="\033[K", file=sys.stderr)
    return {
        name: Timing(first, rest, *(np.ravel(field).tolist() for field in outcomes[name]))
        for name, (first, *rest) in seconds.items()
    }


def time_one(repeats: int) -> dict[str, Timing]:
    """One sphere."""
    key, compiled = jax.random.key(0), jax.jit(evosaxs)
    contenders: dict[str, Contender] = {
        "ours": lambda: ours(key),
        "mutax": lambda: mutaxs(key),
        "evosax": lambda: compiled(key),
        "SciPy": lambda: scipys(0),
    }
    return take_turns(contenders, repeats)


def time_many(repeats: int) -> dict[str, Timing]:
    """Many spheres. The slowest contender takes a minute a run: three repetitions are enough."""
    keys = jax.random.split(jax.random.key(0), N_SPHERES)
    funcs, single_keys = [sphere] * N_SPHERES, list(keys)
    contenders: dict[str, Contender] = {
        "ours": partial(jax.jit(jax.vmap(ours)), keys),
        "ours, evolve_lanes": partial(in_lanes, funcs, single_keys, OPTIONS),
        "mutax": partial(jax.jit(jax.vmap(mutaxs)), keys),
        "evosax": partial(jax.jit(jax.vmap(evosaxs)), keys),
        "SciPy": partial(in_loop, scipys, range(N_SCIPY)),
    }
    timings = take_turns(contenders, min(repeats, 3))
    timings["SciPy"] = timings["SciPy"]._replace(factor=N_SPHERES // N_SCIPY)
    return timings


def single(depth: Array, key: PRNGKeyArray) -> tuple[Array, Array]:
    """A valley until it has converged."""
    args, options = (depth,), {"vectorized": True, "updating": "deferred", "polish": False}
    result = differential_evolution(valley, BOUNDS, args=args, key=key, **options, **CONVERGE)
    return result.fun, result.nit


def time_slow(repeats: int) -> dict[str, Timing]:
    """Lanes of which the one in the middle is slow, lanes none of which is, and single runs."""
    keys = jax.random.split(jax.random.key(0), N_MIXED)
    slow = slice(N_MIXED // 2, N_MIXED // 2 + 1)
    fast, mixed = jnp.zeros(N_MIXED), jnp.zeros(N_MIXED).at[slow].set(DEPTH)
    vmapped = jax.jit(jax.vmap(single))
    contenders: dict[str, Contender] = {
        "one by one": partial(in_loop, single, list(mixed), list(keys))
    }
    for which, depths, own_keys in (
        ("one slow", mixed, keys),
        ("all fast", fast, keys),
        ("slow alone", mixed[slow], keys[slow]),
    ):
        funcs = [Partial(valley, depth=depth) for depth in depths]
        lanes = partial(in_lanes, funcs, list(own_keys), CONVERGE)
        contenders[f"evolve_lanes, {which}"] = lanes
        contenders[f"vmap, {which}"] = partial(vmapped, depths, own_keys)
    return take_turns(contenders, repeats)


def time_first(repeats: int) -> dict[str, Timing]:
    """First calls, each in a process of its own that has no programs from before."""
    engines = [name for name in ("ours", "mutax") if name not in MISSING]
    variants = [(name, polish) for polish in ("", "polish") for name in engines]
    env = {name: value for name, value in os.environ.items() if "COMPILATION_CACHE" not in name}
    seconds: dict[str, list[float]] = {}
    for _ in range(repeats):
        for name, polish in variants:
            command = [sys.executable, __file__, "--fresh", name, *polish.split()]
            run = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
            seconds.setdefault(f"{name}, {polish}".strip(", "), []).append(float(run.stdout))
    return {name: Timing(some[0], some, [], []) for name, some in seconds.items()}


def print_fresh(name: str, polish: str = "") -> None:
    """Prints how long the first call takes in this process, from the key to the result."""
    run = {"ours": ours, "mutax": mutaxs}[name]
    began = time.perf_counter()
    jax.block_until_ready(run(jax.random.key(0), polish=bool(polish)))
    print(time.perf_counter() - began)


def table(header: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def speed_table(part: str, timings: dict[str, Timing]) -> str:
    """Times and their ratios to ours; that all made as many generations is checked."""
    us = [name for name in timings if name.startswith("ours")]
    rows = []
    for name, timing in timings.items():
        assert set(timing.generations) == {GENERATIONS}, name
        target = TARGETS[part].get(name)
        times = f"{timing.seconds * 1e3:.1f}", f"{timing.seconds / GENERATIONS * 1e6:.1f}"
        ratios = [f"{timing.seconds / timings[one].seconds:.2f}" for one in us]
        ratios.append("" if target is None else f"≥ {target:g}")
        rows.append([name, *times, *ratios, f"{timing.first:.2f}", f"{min(timing.values):.2g}"])
    header = ["", "ms a run", "µs a generation", *(f"ratio to {one}" for one in us)]
    return table([*header, "target", "first call, s", "lowest value"], rows)


def slow_table(part: str, timings: dict[str, Timing]) -> str:
    """What the slow lane costs, relative to two ways not to run it with the others."""
    singles = timings["one by one"]
    slow, fast = max(singles.generations), np.median(singles.generations)
    rows = [["one by one", f"{singles.seconds * 1e3:.0f}", *[""] * 5]]
    for name in ("evolve_lanes", "vmap"):
        mixed, even, alone = (
            timings[f"{name}, {which}"] for which in ("one slow", "all fast", "slow alone")
        )
        if name != "vmap":  # whose program may round the function itself in another way
            assert mixed.generations == singles.generations, name
        times = [f"{one.seconds * 1e3:.0f}" for one in (mixed, even, alone)]
        apart = mixed.seconds / (even.seconds + alone.seconds)
        relative = [f"{apart:.2f}", f"{mixed.seconds / singles.seconds:.2f}"]
        rows.append([name, *times, *relative, "≤ 2" if name == "evolve_lanes" else ""])
    text = f"The slow lane takes {slow} generations, {slow / fast:.0f} times the others' {fast:g}."
    header = ["", "one slow, ms", "all fast, ms", "slow alone, ms"]
    header += ["one slow : all fast + slow alone", "one slow : one by one", "target"]
    return f"{text}\n\n{table(header, rows)}"


def first_table(part: str, timings: dict[str, Timing]) -> str:
    """First calls."""
    targets = {"ours": "≤ 2", "ours, polish": "≤ 4"}
    rows = [[name, f"{one.seconds:.2f}", targets.get(name, "")] for name, one in timings.items()]
    return table(["first call", "seconds", "target"], rows)


PARTS: dict[str, tuple[str, Callable[[int], dict[str, Timing]], Callable[..., str]]] = {
    "one": ("One sphere", time_one, speed_table),
    "many": (f"{N_SPHERES} spheres", time_many, speed_table),
    "slow": (f"One slow lane among {N_MIXED}", time_slow, slow_table),
    "first": ("First call of a process", time_first, first_table),
}
"""Title of each part, what times it, and its table."""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("build"), help="folder for the times")
    parser.add_argument("--fresh", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", False)
    if options.fresh:
        return print_fresh(*options.fresh)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}")
    packages = [name for name in ("jax", "mutax", "evosax", "scipy") if name not in MISSING]
    versions = {name: version(name) for name in packages}
    setting = {"versions": versions, "device": str(jax.devices()[0]), "cores": os.cpu_count()}
    print(", ".join(f"{name} {value}" for name, value in versions.items()))
    print(f"{setting['device']}, {setting['cores']} cores")
    for name in MISSING:
        print(f"{name} is not installed: skipped.")
    saved: dict[str, Any] = {"setting": setting, "options": OPTIONS, "parts": {}}
    options.out.mkdir(parents=True, exist_ok=True)
    for part in options.parts or PARTS:
        title, measure, as_table = PARTS[part]
        timings = measure(options.repeats)
        print(f"\n{title}\n\n{as_table(part, timings)}", flush=True)
        saved["parts"][part] = {name: one._asdict() for name, one in timings.items()}
        with open(options.out / "engine_speed.json", "w") as file:
            json.dump(saved, file)


if __name__ == "__main__":
    main()
