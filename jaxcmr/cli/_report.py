"""``jaxcmr report``: results into one HTML file, and its numbers as JSON."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from jaxcmr.cli import _compare
from jaxcmr.cli._json import numbers_beside, to_json
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
    check_options(options)
    results = name_results(options.results)
    out = options.out or file_of(options.results[0]).with_name("report.html")
    check_path(out)
    recoveries: dict[str, list[Found]] = {
        name: read_recoveries(file_of(path), name, results)
        for path, name in zip(options.results, results, strict=True)
    }
    found, selection = compare_results(results, options)
    problems = {}
    if not options.no_data:
        for path, (name, result) in zip(options.results, results.items(), strict=True):
            problems[name] = find_problem(path, result, options)
    of_all = [each for each in (found, selection) if each is not None]
    write_report(
        results,
        problems,
        out,
        sort_analyses(list(results), {**recoveries, "all results": of_all}),
        n_copies=options.copies,
        seed=options.seed,
        curvature=not options.no_curvature,
        title=options.title,
    )
    record: dict[str, Any] = {
        "report": str(out),
        "results": [to_record(*each) for each in results.items()],
    }
    if found is not None:
        record["comparison"] = _compare.to_record(found, selection)
    numbers = numbers_beside(out)
    write_text(numbers, to_json(record) + "\n")
    if options.json:
        print(to_json(record))
    elif not options.quiet:
        print(f"The report is in {out}, its numbers in {numbers}.")
    return 0


def check_options(options: argparse.Namespace) -> None:
    """Raise a ValueError for options of a comparison without what they need."""
    _compare.check_exact(options)
    if len(options.results) < 2 and is_compared(options):
        raise ValueError(
            "--criterion, --reference and --bms compare several results: name two folders or more."
        )


def is_compared(options: argparse.Namespace) -> bool:
    """Return whether an option asks for a comparison."""
    return any(each is not None for each in (options.criterion, options.reference, options.bms))


def compare_results(
    results: Mapping[str, FitResult], options: argparse.Namespace
) -> tuple[Comparison | None, ModelSelection | None]:
    """Return the comparison of several results, and the frequencies of models that --bms asks for.

    Without an option that asks for a comparison, it is that by AICc, or None for results that
    cannot be compared.

    Raises:
        ValueError: a comparison is asked for, and the results cannot be compared.
    """
    if len(results) < 2:
        return None, None
    try:
        found = compare(results, options.criterion or "aicc", options.reference)
    except ValueError:
        if is_compared(options):
            raise
        return None, None
    return found, _compare.select_models(found, options)


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
