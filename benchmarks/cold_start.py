"""The time from ``jaxcmr fit`` in a fresh process to the first fitted subject.

Each process is ``jaxcmr fit peers_notask --subjects 1 --model MODEL``: the thorough search of one
subject, with table, files and figure. It runs without a compile cache ("off"), with an empty one
("empty"), and with the one that such a process left ("filled"). To repeat::

    python benchmarks/cold_start.py                      # cmr
    python benchmarks/cold_start.py cmr cru instance_cmr --repeats 5
    python benchmarks/cold_start.py semantic_cmr -- --features vectors.npy

What follows ``--`` is handed to ``jaxcmr fit``. Prints a Markdown table, a row per model and cache,
with medians in seconds:

- "whole": the whole process, as the shell's ``time`` tells it. "CPU": of all its threads, which
  other work on the machine changes less.
- "fitted": from the start of the process to the end of the fit, before table and figure. It is the
  sum of the four columns after it.
- "imports": the start of Python, and the imports. "data": reading and checking data and settings.
  "compile": the part of the fit in which some thread traces, lowers, compiles or reads a program
  from the cache. "run": the rest of the fit.
- "figure": from the end of the fit to the end of the process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from statistics import median
from typing import TypeVar

T = TypeVar("T")
Interval = tuple[float, float]  # seconds since 1970

CACHES = ("off", "empty", "filled")
COLUMNS = ("whole", "CPU", "fitted", "imports", "data", "compile", "run", "figure")
TIMES = "times.json"
"""File into which a process writes when its parts began and ended."""


def measure(model: str, cache: str, folder: Path, options: Sequence[str]) -> dict[str, float]:
    """Return the seconds of one process by column.

    Args:
        model: name of the model.
        cache: folder of the compile cache, or "off".
        folder: an empty one, for the results.
        options: further arguments of ``jaxcmr fit``.
    """
    command = [sys.executable, __file__, "--process", str(folder), "fit", "peers_notask"]
    command += ["--subjects", "1", "--model", model, "--no-progress", "--out", str(folder)]
    environment = {**os.environ, "JAXCMR_COMPILE_CACHE": cache}
    cpu, began = os.times(), time.time()
    subprocess.run([*command, *options], env=environment, check=True, stdout=subprocess.DEVNULL)
    ended, cpu_then = time.time(), os.times()
    times = json.loads((folder / TIMES).read_text())
    compiling = length_of_union(times["compiling"], times["planned"], times["fitted"])
    return {
        "whole": ended - began,
        "CPU": cpu_then.children_user - cpu.children_user,
        "fitted": times["fitted"] - began,
        "imports": times["imported"] - began,
        "data": times["planned"] - times["imported"],
        "compile": compiling,
        "run": times["fitted"] - times["planned"] - compiling,
        "figure": ended - times["fitted"],
    }


def length_of_union(intervals: Sequence[Interval], low: float, high: float) -> float:
    """Return how much of the time from `low` to `high` lies in at least one of the intervals."""
    total, covered_until = 0.0, low
    for begin, end in sorted(intervals):
        begin, end = max(begin, covered_until), min(end, high)
        if end > begin:
            total, covered_until = total + end - begin, end
    return total


def run_process(folder: Path, arguments: Sequence[str]) -> int:
    """Run ``jaxcmr`` with `arguments` in this process, and write its times into `folder`."""
    from jaxcmr.cli import main, rare_collections

    with rare_collections():
        from jaxcmr.cli import _run
    from jax import monitoring

    times: dict[str, float] = {"imported": time.time()}
    compiling: list[Interval] = []

    def follow(event: str, duration_secs: float, **_: str | int) -> None:
        if event.startswith("/jax/core/compile/"):
            compiling.append((time.time() - duration_secs, time.time()))

    def timed(name: str, function: Callable[..., T]) -> Callable[..., T]:
        @wraps(function)
        def call(*args: object, **kwargs: object) -> T:
            result = function(*args, **kwargs)
            times[name] = time.time()
            return result

        return call

    monitoring.register_event_duration_secs_listener(follow)
    _run.plan_run = timed("planned", _run.plan_run)
    _run.Plan.run = timed("fitted", _run.Plan.run)  # type: ignore[method-assign]
    status = main(arguments)
    (folder / TIMES).write_text(json.dumps({**times, "compiling": compiling}))
    return status


def measure_model(model: str, repeats: int, options: Sequence[str]) -> list[str]:
    """Return the rows of a model, one per kind of cache; the kinds take turns."""
    found: dict[str, list[Mapping[str, float]]] = {cache: [] for cache in CACHES}
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as name:
            for cache in CACHES:
                folder = Path(name, cache)
                folder.mkdir()
                programs = "off" if cache == "off" else str(Path(name, "programs"))
                found[cache].append(measure(model, programs, folder, options))
                print(model, cache, format_row(found[cache][-1]), file=sys.stderr, flush=True)
    return [
        f"| {model} | {cache} | "
        + format_row({column: median(each[column] for each in runs) for column in COLUMNS})
        + " |"
        for cache, runs in found.items()
    ]


def format_row(seconds: Mapping[str, float]) -> str:
    """Return the seconds of all columns as cells of a table."""
    return " | ".join(f"{seconds[column]:.2f}" for column in COLUMNS)


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    if arguments[:1] == ["--process"]:
        return run_process(Path(arguments[1]), arguments[2:])
    given = list(arguments)
    mark = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(description="Time to the first fitted subject.")
    parser.add_argument("models", nargs="*", metavar="MODEL", default=["cmr"])
    parser.add_argument("--repeats", type=int, default=3, help="processes per model and cache")
    options = parser.parse_args(given[:mark])
    rows = ["| model | cache | " + " | ".join(COLUMNS) + " |", "| --- " * (2 + len(COLUMNS)) + "|"]
    for model in options.models:
        rows += measure_model(model, options.repeats, given[mark + 1 :])
    print("\n".join(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
