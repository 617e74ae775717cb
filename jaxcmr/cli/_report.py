"""``jaxcmr report``: results into one HTML file, and its numbers as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from jaxcmr.cli._compare import check_exact, select_models
from jaxcmr.cli._problem import file_of, find_problem
from jaxcmr.cli._recovery_files import Found, read_recoveries
from jaxcmr.comparison import Comparison, ModelSelection
from jaxcmr.files import write_text
from jaxcmr.front import compare, write_report
from jaxcmr.front._report import check_path, name_results
from jaxcmr.front._report_sections import sort_analyses
from jaxcmr.results import FitResult

__all__ = ["report_folders"]


def report_folders(options: argparse.Namespace) -> int:
    """Write the report of all results, and return the exit status.

    Recoveries beside a result are sections of the report.

    Raises:
        ValueError: a path is not a result, the data are missing or not those that were fitted, or a
            comparison is asked for that cannot be made.
    """
    results = name_results(options.results)
    out = options.out or file_of(options.results[0]).with_name("report.html")
    check_path(out)
    recoveries: dict[str, list[Found]] = {
        name: read_recoveries(file_of(path), name, results)
        for path, name in zip(options.results, results, strict=True)
    }
    compared = compare_results(results, options)
    problems = {}
    if not options.no_data:
        for path, (name, result) in zip(options.results, results.items(), strict=True):
            problems[name] = find_problem(path, result, options)
    write_report(
        results,
        problems,
        out,
        sort_analyses(list(results), {**recoveries, "all results": compared}),
        n_copies=options.copies,
        seed=options.seed,
        curvature=not options.no_curvature,
        title=options.title,
    )
    record = {"report": str(out), "results": [to_record(*each) for each in results.items()]}
    numbers = out.with_name(f"{out.stem}-numbers.json")  # not a name that a result has
    write_text(numbers, json.dumps(record, indent=1) + "\n")
    if options.json:
        print(json.dumps(record, indent=1))
    elif not options.quiet:
        print(f"The report is in {out}, its numbers in {numbers}.")
    return 0


def compare_results(
    results: Mapping[str, FitResult], options: argparse.Namespace
) -> list[Comparison | ModelSelection]:
    """Return the comparison that is asked for, and the frequencies of the models.

    Raises:
        ValueError: the results cannot be compared.
    """
    if options.criterion is None and options.reference is None and options.bms is None:
        check_exact(options)
        return []
    compared = compare(results, options.criterion or "aicc", options.reference)
    selection = select_models(compared, options)
    return [compared] if selection is None else [compared, selection]


def to_record(name: str, result: FitResult) -> dict[str, Any]:
    """Return the numbers of a result: losses and estimates per fit, and runs that agree."""
    return {
        "name": name,
        "model": result.get("model"),
        "loss": result.get("loss"),
        "fitness": result["fitness"],
        "fits": result["fits"],
        "agree": [list(pair) for pair in result.agreement()],
        "at_bound": result.at_bound(),
    }
