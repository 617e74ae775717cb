"""``jaxcmr status`` and ``jaxcmr verify``: how far a fit is, and whether its losses hold."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from jaxcmr._result_words import count_of, name_subjects
from jaxcmr.cli._json import to_json
from jaxcmr.cli._problem import file_of, find_problem
from jaxcmr.fitting import Status, status_of
from jaxcmr.fitting._trials import to_rows
from jaxcmr.fitting._verify import evaluate_near, least_of, rounding_of
from jaxcmr.results import FitResult

__all__ = ["show_status", "verify_results"]


def show_status(options: argparse.Namespace) -> int:
    """Print how far each fit is, and return the exit status: 0 if all are done, else 1.

    A fit that has not begun is not done.

    Raises:
        ValueError: a folder is not that of a fit.
    """
    found = {folder: status_of(folder) for folder in options.folders}
    if options.json:
        records = [{"folder": str(f), **status._asdict()} for f, status in found.items()]
        print(to_json(records if len(records) > 1 else records[0]))
    elif not options.quiet:
        print("\n".join(describe(folder, status) for folder, status in found.items()))
    return int(not all(0 < status.n_runs <= status.n_runs_done for status in found.values()))


def describe(folder: Path, status: Status) -> str:
    """Return a status in words."""
    if not status.n_runs:
        damaged = f"; {count_of(status.n_damaged, 'line')} damaged" if status.n_damaged else ""
        return f"{folder}: no fit has written runs yet{damaged}."
    share = status.n_runs_done / status.n_runs
    lines = [
        f"{folder}: {status.n_fits_done} of {count_of(status.n_fits, 'subject')} and "
        f"{status.n_runs_done} of {count_of(status.n_runs, 'run')} are done ({share:.0%})."
    ]
    if status.seconds_per_fit:
        lines.append(f"{status.seconds_per_fit:.3g} s of one core per subject.")
    if status.begun:
        lines.append(f"Some runs are done of {name_subjects(status.begun)}.")
    if status.n_runs_done < status.n_runs:
        lines.append(describe_rate(status))
    elif not (folder / "result.json").exists() and (folder / "config.toml").exists():
        lines.append("The same 'jaxcmr fit' command once more writes result.json.")
    for name, n_runs in status.environments.items():
        lines.append(f"{count_of(n_runs, 'run')} made on {name}.")
    if status.n_damaged:
        lines.append(f"{count_of(status.n_damaged, 'line')} damaged or being written; set aside.")
    return "\n  ".join(lines)


def describe_rate(status: Status) -> str:
    """Return in words how fast runs are being made, and when they will be done."""
    if status.last is None:
        return "No run is done yet."
    if status.seconds_left is None:
        return (
            f"The last run was finished {timedelta(seconds=round(status.last))} ago: is the fit "
            "still running? The same command goes on from here."
        )
    end = datetime.now() + timedelta(seconds=status.seconds_left)
    return (
        f"{status.runs_per_second * 60:.3g} runs per minute: done in about "
        f"{timedelta(seconds=round(status.seconds_left))}, at {end:%H:%M on %d %B}."
    )


def verify_results(options: argparse.Namespace) -> int:
    """Compute the loss of every run of each result anew, and return the exit status.

    That is 1 if a loss differs by more than rounding.

    Raises:
        ValueError: a path is not a result, or the data are missing or not those that were fitted.
    """
    records = []
    for path in options.results:
        file = file_of(path)
        result = FitResult.load(file)
        problem = find_problem(file, result, options)
        there = [run["loss"] for of_fit in result["runs"] for run in of_fit]
        here = [loss for of_fit in problem.evaluate_runs(result) for loss in of_fit]
        fit_of = [i for i, of_fit in enumerate(result["runs"]) for _ in of_fit]
        estimates = [run["estimates"] for of_fit in result["runs"] for run in of_fit]
        sizes = np.maximum(np.abs(there), least_of(problem))
        differences = np.abs(np.subtract(here, there)) / sizes
        is_polished = problem.differentiable and result["hyperparameters"]["polish"]
        double = is_polished or result["precision"] == "float64"
        allowed = np.full(len(here), rounding_of(problem, double))
        for i in np.flatnonzero(~(differences <= allowed)):  # some losses amplify rounding
            rows = to_rows(result["trials"][fit_of[i]])
            allowed[i] = max(allowed[i], evaluate_near(problem, rows, estimates[i], double)[1])
        worst = int(np.argmax(differences / allowed))
        records.append(
            {
                "result": str(file),
                "n_runs": len(there),
                "largest_difference": float(differences[worst]),
                "subject": result["fits"]["subject"][fit_of[worst]],
                "stored": there[worst],
                "computed": here[worst],
                "verified": bool(differences[worst] <= allowed[worst]),
            }
        )
    if options.json:
        print(to_json(records if len(records) > 1 else records[0]))
    for record in records:
        text = (
            f"{record['result']}: the losses of {count_of(record['n_runs'], 'run')} computed anew; "
            f"the largest relative difference is {record['largest_difference']:.2g}, of subject "
            f"{record['subject']}."
        )
        if not record["verified"]:
            print(
                f"{text} It was {record['stored']:.10g}, and is {record['computed']:.10g}: the "
                "model, the loss or the file has changed.",
                file=sys.stderr,
            )
        elif not options.quiet and not options.json:
            print(text)
    return int(not all(record["verified"] for record in records))
