"""Differential evolution on the BBOB test bed, next to SciPy's.

24 functions (Hansen et al., 2009) in the box [-5, 5]^n, of which 15 instances each: shifted and
rotated copies, one run on each. Both engines get the same options and as many evaluations:
15 n members, 200 generations. What is measured is the gap, the best value so far less the optimum.

To repeat, in an environment that has jaxcmr::

    pip install ioh
    python benchmarks/bbob.py quality  # four functions, dimension 10: how far each engine gets
    python benchmarks/bbob.py ert      # all functions, dimensions 5 and 10: how fast

Prints Markdown tables and writes every run to ``OUT/bbob_quality.json`` or ``OUT/bbob_ert.json``.
`ert` is the expected running time: evaluations of all runs until they hit the target, by the
number of runs that do. A run that does not hit it counts with its whole budget.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import ioh
import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jaxtyping import Array, Float
from tqdm import tqdm

from jaxcmr.optimize import STRATEGIES, differential_evolution

jax.config.update("jax_enable_x64", True)

INSTANCES = range(1, 16)
POPSIZE, MAXITER = 15, 200
TARGETS = [10.0**k for k in range(2, -9, -1)]  # gaps whose first hit is noted
OPTIONS = {
    "popsize": POPSIZE,
    "maxiter": MAXITER,
    "mutation": 0.85,
    "recombination": 0.9,
    "tol": 0.0,
    "atol": 0.0,
    "updating": "deferred",
    "vectorized": True,
}

batches: list[np.ndarray] = []  # gaps of all evaluations of the run under way, a call each


class Run(NamedTuple):
    """One run; `hits` are the evaluations it took to each of `TARGETS`, None if it never did."""

    algorithm: str
    dimension: int
    function: int
    instance: int
    gap: float
    nfev: int
    seconds: float
    hits: list[int | None]


@cache
def problem(function: int, instance: int, dimension: int) -> Any:
    """A problem of the test bed."""
    return ioh.get_problem(function, instance, dimension, ioh.ProblemClass.BBOB)


def evaluate(x: Any, function: Any, instance: Any) -> np.ndarray:
    """Values at the columns of `x`; notes their gaps."""
    x = np.asarray(x)
    here = problem(int(function), int(instance), len(x))
    values = np.array(here(x.T.tolist()))
    batches.append(values - here.optimum.y)
    return values


def traceable(x: Float[Array, "n S"], function: Array, instance: Array) -> Float[Array, " S"]:
    """The same for JAX. The problem is data, so all problems of a dimension share one program."""
    shape = jax.ShapeDtypeStruct(x.shape[1:], x.dtype)
    return jax.pure_callback(evaluate, shape, x, function, instance)


def scipys(args: tuple[int, int], bounds: np.ndarray) -> Any:
    """A run of SciPy's."""
    return scipy.optimize.differential_evolution(
        evaluate, bounds, args=args, rng=args[1], polish=False, **OPTIONS
    )


def ours(args: tuple[int, int], bounds: np.ndarray, strategy: str, polish: bool = False) -> Any:
    """A run of ours."""
    key = jax.random.key(args[1])
    return differential_evolution(
        traceable, bounds, args=args, key=key, strategy=strategy, polish=polish, **OPTIONS
    )


SCIPY = "SciPy best1bin"
ALGORITHMS: dict[str, Callable[..., Any]] = {
    SCIPY: scipys,
    "best1bin": partial(ours, strategy="best1bin"),
    "shade": partial(ours, strategy="shade"),
    "lshade": partial(ours, strategy="lshade"),
    "best1bin + polish": partial(ours, strategy="best1bin", polish=True),
}


@cache
def active_sizes(strategy: str, members: int) -> list[int]:
    """How many members of each generation the engine counts.

    A population that shrinks keeps its shape; its members are evaluated in blocks, the last of
    which may hold some that were dropped. How many are left depends on nothing but the evaluations
    so far, so that the engine's own rule tells them apart, applied here once more. `run` checks
    the sum.
    """
    history, budget = STRATEGIES[strategy].history, members * (MAXITER + 1)
    sizes, size, nfev = [], members, 0
    while nfev < budget:
        sizes.append(min(size, budget - nfev))
        nfev += sizes[-1]
        if history is not None:
            size = int(history.next_size(members, jnp.array(size), jnp.array(nfev) / budget))
    return sizes


def counted(algorithm: str, members: int) -> np.ndarray:
    """Gaps of all counted evaluations of the run that has ended, in the order of evaluation."""
    gaps = np.concatenate(batches)
    block = STRATEGIES[algorithm].block if algorithm in STRATEGIES else None
    if block is None:
        return gaps
    kept, begin = [], 0
    for generation, size in enumerate(active_sizes(algorithm, members)):
        kept.append(gaps[begin : begin + size])
        begin += -(-size // block) * block if generation else size
    return np.concatenate(kept)


def run(algorithm: str, dimension: int, function: int, instance: int) -> Run:
    """One run, checked against what the engine says of it.

    SciPy's count with `vectorized` is that of calls. A polish may see lower values than it returns.
    """
    batches.clear()
    began = time.perf_counter()
    result = ALGORITHMS[algorithm]((function, instance), np.tile([-5.0, 5.0], (dimension, 1)))
    fun, nfev = float(result.fun), int(result.nfev)
    seconds = time.perf_counter() - began
    gaps = counted(algorithm, POPSIZE * dimension)
    gap = fun - problem(function, instance, dimension).optimum.y
    assert nfev == (len(batches) if algorithm == SCIPY else len(gaps))
    assert gap == gaps.min() or "polish" in algorithm
    reached = [gaps <= target for target in TARGETS]
    hits = [int(there.argmax()) + 1 if there.any() else None for there in reached]
    return Run(algorithm, dimension, function, instance, gap, len(gaps), seconds, hits)


def run_all(
    name: str, algorithms: Iterable[str], dimensions: list[int], functions: list[int], out: Path
) -> list[Run]:
    """Every algorithm on every instance; written to `out`."""
    todo = [
        (algorithm, dimension, function, instance)
        for algorithm in algorithms
        for dimension in dimensions
        for function in functions
        for instance in INSTANCES
    ]
    runs = [run(*one) for one in tqdm(todo, desc=name, unit="run")]
    out.mkdir(parents=True, exist_ok=True)
    with open(out / f"bbob_{name}.json", "w") as file:
        json.dump({"targets": TARGETS, "runs": [one._asdict() for one in runs]}, file)
    return runs


def select(runs: list[Run], **fields: Any) -> list[Run]:
    """The runs with these fields."""
    wanted = fields.items()
    return [one for one in runs if all(getattr(one, name) == value for name, value in wanted)]


def distinct(runs: list[Run], field: str) -> list[Any]:
    """The values of a field, in the order in which they come."""
    return list(dict.fromkeys(getattr(one, field) for one in runs))


def table(header: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def quality_table(runs: list[Run]) -> str:
    """Hits of 1e-8, median gap, and its ratio to SciPy's; gaps below 1e-8 count there as 1e-8."""

    def cell(algorithm: str, function: int) -> str:
        gaps, scipys = (
            [max(one.gap, 0.0) for one in select(runs, algorithm=name, function=function)]
            for name in (algorithm, SCIPY)
        )
        hits = sum(gap <= TARGETS[-1] for gap in gaps)
        ratio = max(np.median(gaps), TARGETS[-1]) / max(np.median(scipys), TARGETS[-1])
        return f"{hits}/{len(gaps)}, {np.median(gaps):.2g}, {ratio:.2g}"

    functions = distinct(runs, "function")
    rows = [[name, *(cell(name, f) for f in functions)] for name in distinct(runs, "algorithm")]
    return table(["hits, gap, ratio", *(f"f{f}" for f in functions)], rows)


def ert_table(runs: list[Run]) -> str:
    """Expected running time by dimension to some targets; with how many runs hit, if not all."""
    dimension, targets = runs[0].dimension, [10.0, 0.1, 1e-8]
    budget = POPSIZE * dimension * (MAXITER + 1)

    def cell(function: int, target: float, algorithm: str) -> str:
        some = select(runs, function=function, algorithm=algorithm)
        hits = [one.hits[TARGETS.index(target)] for one in some]
        successes = sum(hit is not None for hit in hits)
        if not successes:
            return "–"
        total = sum(budget if hit is None else hit for hit in hits)
        missed = "" if successes == len(hits) else f" ({successes})"
        return f"{total / successes / dimension:.0f}{missed}"

    columns = [(target, name) for target in targets for name in distinct(runs, "algorithm")]
    rows = [
        [f"f{function}", *(cell(function, *column) for column in columns)]
        for function in distinct(runs, "function")
    ]
    return table(["", *(f"{target:g}: {name}" for target, name in columns)], rows)


def times_table(runs: list[Run]) -> str:
    """Wall time; a run that compiles is among them, and counts in the total."""
    rows = []
    for algorithm in distinct(runs, "algorithm"):
        seconds, nfev = zip(
            *((one.seconds, one.nfev) for one in select(runs, algorithm=algorithm)), strict=True
        )
        times = f"{np.median(seconds):.3f}", f"{sum(seconds):.1f}"
        rows.append([algorithm, *times, f"{np.mean(nfev):.0f}"])
    return table(["", "seconds a run (median)", "in all", "evaluations a run"], rows)


PARTS: dict[str, tuple[list[str], list[int], list[int], Callable[[list[Run]], str]]] = {
    "quality": ([*ALGORITHMS], [10], [1, 8, 15, 21], quality_table),
    "ert": ([SCIPY, "best1bin", "lshade"], [5, 10], [*range(1, 25)], ert_table),
}
"""Algorithms, dimensions and functions of each part, and its table."""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--functions", type=int, nargs="+", help="some of 1 to 24")
    parser.add_argument("--dimensions", type=int, nargs="+")
    parser.add_argument("--out", type=Path, default=Path("build"), help="folder for the runs")
    options = parser.parse_args()
    algorithms, dimensions, functions, as_table = PARTS[options.part]
    dimensions, functions = options.dimensions or dimensions, options.functions or functions
    runs = run_all(options.part, algorithms, dimensions, functions, options.out)
    for dimension in dimensions:
        print(f"Dimension {dimension}\n\n{as_table(select(runs, dimension=dimension))}")
        print(times_table(select(runs, dimension=dimension)))


if __name__ == "__main__":
    main()
