"""Cost of keeping finished runs in a folder, and of searching in other processes.

PEERS subjects are fitted by CMR's likelihood with the thorough search, in one process that has made
the fit once before: what is compiled is there.

To repeat, in an environment that has jaxcmr::

    python benchmarks/journal.py                  # 32 subjects, 5 repetitions
    python benchmarks/journal.py --subjects 4 --repetitions 3

- ``journal``: fits without and with a checkpoint take turns. A time is the median. Processor
  seconds are listed, too, and those of the checkpoint's own code apart: they hardly depend on what
  else the machine does. A part of the cost is the same for any number of subjects: the first losses
  of a run, by which another machine or loss is noticed, take a trace of the loss.
- ``workers``: two processes, one core each, next to threads in this process. They take turns. The
  first fit in the processes, in which they start and compile, is listed apart.

Prints a Markdown table and writes all times to ``OUT/journal.json``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial, wraps
from pathlib import Path
from typing import Any

import jaxcmr as jc
from jaxcmr.fitting import _fitter
from jaxcmr.fitting._checkpoint import Checkpoint

OWN = ("__init__", "follow", "read", "with_state", "close")
"""Methods of a checkpoint that a fit calls."""


def fit(n_subjects: int, **how: Any) -> None:
    """Fit the first subjects."""
    jc.fit("peers_notask", subjects=n_subjects, progress=False, **how)


def fit_with_checkpoint(n_subjects: int) -> None:
    """Fit the first subjects, in a new folder."""
    with tempfile.TemporaryDirectory() as folder:
        fit(n_subjects, checkpoint=folder)


def time_in_turns(
    contenders: dict[str, Callable[[], None]],
    n: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Return the seconds of each contender in each of `n` rounds, by a clock."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(n):
        for name, call in contenders.items():
            began = clock()
            call()
            seconds[name].append(clock() - began)
    return seconds


@contextmanager
def noted_time() -> Iterator[list[float]]:
    """Yield a list that grows by the processor seconds of each call of a checkpoint's methods.

    Those of the thread that fits.
    """
    spent: list[float] = []

    def timed(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*arguments: Any) -> Any:
            began = time.thread_time()
            try:
                return method(*arguments)
            finally:
                spent.append(time.thread_time() - began)

        return call

    methods = {name: timed(getattr(Checkpoint, name)) for name in OWN}
    _fitter.Checkpoint = type("TimedCheckpoint", (Checkpoint,), methods)  # type: ignore[misc]
    try:
        yield spent
    finally:
        _fitter.Checkpoint = Checkpoint  # type: ignore[misc]


def measure_journal(n_subjects: int, n: int) -> dict[str, Any]:
    """Return the seconds of fits without and with a checkpoint, and within it."""
    fit(n_subjects)
    contenders = {
        "without": partial(fit, n_subjects),
        "with": partial(fit_with_checkpoint, n_subjects),
    }
    seconds = time_in_turns(contenders, n)
    with noted_time() as spent:
        processor = time_in_turns(contenders, n, time.process_time)
    named = {f"{name}, processor": values for name, values in processor.items()}
    return {"wall": seconds, "processor": {**named, "checkpoint alone": sum(spent) / n}}


def measure_workers(n_subjects: int, n: int) -> dict[str, Any]:
    """Return the seconds of fits in threads and in two processes."""
    fit(n_subjects)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        began = time.perf_counter()
        fit(n_subjects, workers=pool)
        first = time.perf_counter() - began
        contenders = {
            "threads": partial(fit, n_subjects),
            "processes": partial(fit, n_subjects, workers=pool),
        }
        return {"workers": {**time_in_turns(contenders, n), "first": first}}


def show(measured: dict[str, dict[str, Any]]) -> None:
    """Print the medians, and what the second of two contenders costs more than the first."""
    print("| | s (median) | more |\n|---|---|---|")
    for times in measured.values():
        base = None
        for name, seconds in times.items():
            value = statistics.median(seconds) if isinstance(seconds, list) else seconds
            base = base or value
            share = value / base - isinstance(seconds, list)
            more = "" if value == base or name == "first" else f"{100 * share:+.2f} %"
            print(f"| {name} | {value:.3f} | {more} |")


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=["journal", "workers"])
    parser.add_argument("--subjects", type=int, default=32)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("build"), help="folder for the times")
    options = parser.parse_args()
    parts = {"journal": measure_journal, "workers": measure_workers}
    measured: dict[str, dict[str, Any]] = {}
    for name in options.parts:
        measured |= parts[name](options.subjects, options.repetitions)
    show(measured)
    options.out.mkdir(parents=True, exist_ok=True)
    about = {"subjects": options.subjects, **measured}
    (options.out / "journal.json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
