"""Fits of thousands of subjects in one call: memory, and time per subject.

CMR recalls two lists of six words for each subject, and is fitted to them by its likelihood with a
few short runs, in one process and into one folder. What the fit does apart from its searches shows
here: it must not grow faster than the number of subjects.

To repeat, in an environment that has jaxcmr::

    python benchmarks/many_subjects.py                  # 300, 1,200 and 10,000 subjects
    python benchmarks/many_subjects.py 300 1200
    python benchmarks/many_subjects.py 1200 --profile   # the functions that take longest

Each number of subjects has a process of its own. Prints a Markdown table, and writes what it
measured to ``OUT/many_subjects.json``.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

LISTS, WORDS = 2, 6
SEARCH = {"preset": "quick", "best_of": 2, "num_steps": 5, "pop_size": 4}
FREE = {"encoding_drift_rate": [0.01, 0.99], "recall_drift_rate": [0.01, 0.99]}


def make_lists(n_subjects: int) -> dict[str, np.ndarray]:
    """Return lists of distinct words without recalls."""
    n_trials = LISTS * n_subjects
    return {
        "subject": np.repeat(np.arange(1, n_subjects + 1), LISTS)[:, None],
        "listLength": np.full((n_trials, 1), WORDS),
        "pres_itemnos": np.tile(np.arange(1, WORDS + 1), (n_trials, 1)),
        "recalls": np.zeros((n_trials, WORDS), int),
    }


def measure(n_subjects: int, profile: bool) -> dict[str, Any]:
    """Return the seconds of a fit, and the memory of this process before and at most."""
    import jaxcmr as jc
    from jaxcmr.simulation import simulate_dataset

    middle = {
        name: (low * high) ** 0.5 if low > 0 else (low + high) / 2
        for name, (low, high) in jc.usual_bounds("cmr").items()
    }
    data = simulate_dataset("cmr", make_lists(n_subjects), middle, seed=1)
    fixed = {name: value for name, value in middle.items() if name not in FREE}
    how = {"fixed": fixed, "bounds": FREE, "search": SEARCH, "progress": False}
    jc.fit(data, subjects=2, **how)  # compile
    before = peak()
    profiler = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        if profile:
            profiler.enable()
        result = jc.fit(data, checkpoint=folder, **how)
        profiler.disable()
        seconds = time.perf_counter() - began
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        began = time.perf_counter()
        jc.fit(data, checkpoint=folder, **how)
        again = time.perf_counter() - began
    if profile:
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(25)
    return {
        "subjects": len(result["fitness"]),
        "seconds": seconds,
        "ms per subject": 1e3 * seconds / n_subjects,
        "seconds from the folder": again,
        "MB in the folder": size / 1e6,
        "MB of memory before": before,
        "MB of memory at most": peak(),
    }


def peak() -> float:
    """Return the most memory that this process has had, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main() -> None:
    """Measure what the command line asks for, each number of subjects in a process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("subjects", nargs="*", type=int, default=[300, 1200, 10_000])
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path("build"), help="folder for the times")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.subjects[0], options.profile)))
        return
    rows = []
    for n_subjects in options.subjects:
        command = [sys.executable, __file__, str(n_subjects), "--here"]
        command += ["--profile"] * options.profile
        shown = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        rows.append(json.loads(shown.splitlines()[-1]))
        if len(rows) == 1:
            print(f"| {' | '.join(rows[0])} |\n|{'---|' * len(rows[0])}")
        print(f"| {' | '.join(f'{value:.4g}' for value in rows[-1].values())} |", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "many_subjects.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
