"""Where fits on many workers stop scaling: what a coordinator costs, measured and modeled.

    python benchmarks/scale.py constants          # what one subject, run, process costs here
    python benchmarks/scale.py workers 1 2        # real processes on this machine
    python benchmarks/scale.py simulated 10 100 1000
    python benchmarks/scale.py model              # the table of predicted times

Simulated workers are threads that sleep as long as a subject takes, and return records of the right
size: what plans the runs, divides them, receives the records and writes the journal is the real
code. So they show where one coordinator is saturated.
"""

from __future__ import annotations

import argparse
import multiprocessing
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np

import jaxcmr as jc
from jaxcmr._cache import keep_compiled
from jaxcmr.fitting import _workers
from jaxcmr.fitting._environment import describe_environment
from jaxcmr.fitting._runs import Progress, Run
from jaxcmr.fitting._verify import verify_record
from jaxcmr.fitting._workers import Block, to_recipe

SEARCH = {**jc.SEARCHES["thorough"], "progress_bar": False}


def make_fitter(n_subjects: int) -> tuple[jc.JaxDE, np.ndarray]:
    """Return a fitter of CMR, and the mask of so many subjects: PEERS's, and copies of them."""
    data = jc.load("peers_notask")
    subjects = np.unique(data["subject"])
    first = jc.select_trials(data, np.isin(data["subject"][:, 0], subjects[:n_subjects]))
    n_copies = -(-n_subjects // len(subjects))
    copies = [{**first, "subject": first["subject"] + 10_000 * copy} for copy in range(n_copies)]
    names = [name for name, array in first.items() if np.issubdtype(array.dtype, np.number)]
    data = {name: np.concatenate([copy[name] for copy in copies]) for name in names}
    wanted = np.unique(data["subject"])[:n_subjects]
    data = jc.select_trials(data, np.isin(data["subject"][:, 0], wanted))
    problem = jc.FitProblem(data, "cmr", "sequence_likelihood")
    return jc.JaxDE.of(problem, SEARCH), np.ones(len(data["subject"]), bool)


class Sleepers(ThreadPoolExecutor):
    """Workers that take as long as a subject takes, and do nothing."""

    def __init__(self, n: int, seconds_per_fit: float, record: dict[str, Any]) -> None:
        super().__init__(n)
        self.seconds, self.record = seconds_per_fit, record
        self.environment = describe_environment()

    def submit(self, function: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
        """Sleep for each fit in the block, and return a copy of the record for each of its runs."""
        runs: Sequence[Run] = arguments[2][0]  # of the task

        def make() -> Block:
            time.sleep(self.seconds * len({(run.subject, run.name) for run in runs}))
            records = [{**self.record, "run": run.number} for run in runs]
            made = [Progress(i, 50, r["loss"], 0.1, None, r) for i, r in enumerate(records)]
            return pickle.loads(pickle.dumps(Block(made, self.environment, None)))

        return super().submit(make)


def timed(fitter: jc.JaxDE, mask: np.ndarray, **how: Any) -> tuple[float, jc.FitResult]:
    """Return the seconds of a fit with a new folder, and its result."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        result = fitter.fit_subjects(mask, checkpoint=folder, **how)
        return time.perf_counter() - began, result


def measure_constants() -> None:
    """Print what a subject, a run, a process and the recipe cost on this machine."""
    fitter, mask = make_fitter(33)
    one = fitter.problem.subjects == fitter.problem.subjects[0]
    timed(fitter, one)  # compile
    few, _ = timed(fitter, one)
    many, result = timed(fitter, mask)
    cores = multiprocessing.cpu_count()
    print(f"a subject: {(many - few) / 32 * cores:.2f} s of one core")
    recipe = to_recipe(fitter)
    print(f"the recipe: {len(recipe) / 33 / 1e3:.1f} kB per subject")
    record = result["runs"][0][0]
    print(f"a record: {len(pickle.dumps(record))} bytes")
    code = "import jaxcmr as jc; jc.fit('peers_notask', subjects=1, search='quick', progress=False)"
    for _ in range(2):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
    print(f"a process, from its start to its first subject: {time.perf_counter() - began:.1f} s")
    for n_subjects in (500, 2000):
        fitter, mask = make_fitter(n_subjects)
        seconds, _ = timed(fitter, mask, workers=Sleepers(500, 0.0, record))
        print(
            f"coordinator, {n_subjects} subjects: {seconds / n_subjects / 12 * 1e6:.0f} us per run"
        )


def measure_workers(counts: Sequence[int], n_subjects: int = 64) -> None:
    """Print the time of a fit in real processes, after each has compiled."""
    fitter, mask = make_fitter(n_subjects)
    print(f"threads of this process: {min(timed(fitter, mask)[0] for _ in range(3)):.1f} s")
    for n in counts:
        clean = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(n, mp_context=clean) as pool:
            seconds = [timed(fitter, mask, workers=pool)[0] for _ in range(3)]
        print(f"{n} processes: first call {seconds[0]:.1f} s, then {min(seconds[1:]):.1f} s")


def measure_simulated(counts: Sequence[int], per_worker: int = 10, seconds: float = 1.0) -> None:
    """Print how well so many workers are used, at ten subjects of a second for each."""
    fitter, mask = make_fitter(1)
    record = timed(fitter, mask)[1]["runs"][0][0]
    for n in counts:
        fitter, mask = make_fitter(n * per_worker)
        taken, _ = timed(fitter, mask, workers=Sleepers(n, seconds, record))
        print(
            f"{n:5} workers, {n * per_worker:6} subjects: {taken:6.1f} s, of which "
            f"{per_worker * seconds:.0f} s work: used to {per_worker * seconds / taken:.0%}"
        )


def compute_anew(fitter, run, at, environment, differing) -> None:
    """Compute a loss as a check of a worker does, whatever comes out."""
    verify_record(fitter, run, at.record, differing)


def predict(
    n_subjects: int,
    n_workers: int,
    per_subject: float = 1.0,
    n_runs: int = 12,
    per_run: float = 120e-6,
    start: float = 6.0,
) -> float:
    """Return the seconds that a fit takes.

    Args:
        n_subjects: how many.
        n_workers: cores that search.
        per_subject: seconds of one core that the runs of a subject take.
        n_runs: runs per subject.
        per_run: seconds that the coordinator takes to plan a run, to check and to keep its record.
        start: seconds from the start of a process to its first subject, compiling included.
    """
    longest = -(-n_subjects // n_workers)  # subjects of the worker that ends last
    return start + n_subjects * n_runs * per_run + longest * per_subject


def print_model() -> None:
    """Print the predicted times as a table, and where the coordinator takes half of it."""
    workers = (1, 2, 8, 64, 1000)
    print("| subjects | " + " | ".join(map(str, workers)) + " |")
    for n in (10, 100, 1_000, 10_000, 100_000, 1_000_000):
        cells = [f"{predict(n, w):.3g} s" for w in workers]
        print(f"| {n:,} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("constants", "workers", "simulated", "model"))
    parser.add_argument("counts", nargs="*", type=int)
    options = parser.parse_args()
    keep_compiled()
    if options.what in ("constants", "simulated"):  # sleepers return records of another subject
        _workers.check_worker = compute_anew
    if options.what == "constants":
        measure_constants()
    elif options.what == "model":
        print_model()
    elif options.what == "workers":
        measure_workers(options.counts)
    else:
        measure_simulated(options.counts)
