"""``jaxcmr diagnose``: checks of results, written beside them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from jaxcmr.cli._json import to_json, to_rows
from jaxcmr.cli._problem import beside, file_of, find_problem
from jaxcmr.diagnostics import CHECKS, is_trustworthy, verdict
from jaxcmr.files import write_text
from jaxcmr.front import diagnose
from jaxcmr.results import FitResult

__all__ = ["diagnose_folders"]

SHOWN = 10
"""Failed checks that are printed."""


def diagnose_folders(options: argparse.Namespace) -> int:
    """Diagnose each result, write its checks beside it, and return the exit status.

    Raises:
        ValueError: a path is not a result, or the data are missing or not those that were fitted.
    """
    is_fine = True
    records: list[dict[str, Any]] = []
    for path in options.results:
        file = file_of(path)
        table = diagnose_file(file, options)
        record = {"result": str(file), **to_record(table)}
        write_text(beside(file, "diagnostics.csv"), table.to_csv(index=False))
        write_text(beside(file, "diagnostics.json"), to_json(record) + "\n")
        records.append(record)
        is_fine &= record["trustworthy"]
        if not options.quiet and not options.json:
            print(describe(table, file))
    if options.json:
        print(to_json(records if len(records) > 1 else records[0]))
    return int(options.strict and not is_fine)


def diagnose_file(file: Path, options: argparse.Namespace) -> pd.DataFrame:
    """Return the checks of a result in a file."""
    result = FitResult.load(file)
    if options.quick:
        return diagnose(result)
    problem = find_problem(file, result, options)
    return diagnose(result, problem, n_copies=options.copies, seed=options.seed)


def to_record(table: pd.DataFrame) -> dict[str, Any]:
    """Return a table of checks, and the verdict on them, as JSON holds them."""
    return {
        "verdict": verdict(table),
        "trustworthy": is_trustworthy(table),
        "meaning": {name: f"{each.statistic}; {each.passes}" for name, each in CHECKS.items()},
        "checks": to_rows(table),
    }


def describe(table: pd.DataFrame, file: Path) -> str:
    """Return the verdict on a result and its worst checks, as text."""
    failed = table[~table["passed"].fillna(True)]
    shown = failed.head(SHOWN).drop(columns="passed")
    lines = [f"{file.parent}: {verdict(table)}"]
    if len(shown):
        text = shown.to_string(index=False, float_format="{:.3g}".format, justify="left")
        lines += ["", text, ""]
    hidden = f"{len(failed) - len(shown)} more failed checks" if len(failed) > len(shown) else ""
    lines.append(f"{hidden or 'All checks'} are in {beside(file, 'diagnostics.csv')}")
    return "\n".join(lines)
