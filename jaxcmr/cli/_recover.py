"""``jaxcmr recover``: would these parameters be found, with these lists and this search?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from jaxcmr._cache import keep_compiled
from jaxcmr.cli._json import to_json, to_rows
from jaxcmr.cli._problem import beside, file_of, find_problem
from jaxcmr.files import replace_file, write_text
from jaxcmr.front import recover_problem
from jaxcmr.recovery import PowerCurve, Recovery
from jaxcmr.results import FitResult

__all__ = ["recover_results"]


def recover_results(options: argparse.Namespace) -> int:
    """Recover the parameters of each result, write files beside it, and return the exit status.

    Raises:
        ValueError: a path is not a result, or the data are missing or not those that were fitted.
    """
    keep_compiled()
    records = []
    for path in options.results:
        file = file_of(path)
        found = recover_file(file, options)
        record = {"result": str(file), **to_record(found, options)}
        write_text(beside(file, "recovery.csv"), to_table(found).to_csv(index=False))
        write_text(beside(file, "recovery.json"), to_json(record) + "\n")
        has_figure = draw(beside(file, "recovery.png"), found)
        records.append(record)
        if not options.quiet and not options.json:
            print(describe(file, found, has_figure))
    if options.json:
        print(to_json(records if len(records) > 1 else records[0]))
    return 0


def recover_file(file: Path, options: argparse.Namespace) -> Recovery | PowerCurve:
    """Return the recovery of a result; its runs are kept beside the result."""
    result = FitResult.load(file)
    return recover_problem(
        find_problem(file, result, options),
        result,
        options.parameters,
        options.lists,
        n_copies=options.copies,
        intervals=options.intervals,
        seed=options.seed,
        search=options.search,
        progress=not (options.quiet or options.json),
        checkpoint=beside(file, f"recovery-{options.search or 'runs'}"),
    )


def to_table(found: Recovery | PowerCurve) -> pd.DataFrame:
    """Return the table of truths and estimates, of all numbers of lists."""
    if isinstance(found, Recovery):
        return found.table
    return pd.concat([each.table.assign(n_lists=n) for n, each in found.recoveries.items()])


def to_record(found: Recovery | PowerCurve, options: argparse.Namespace) -> dict[str, Any]:
    """Return summary and settings as JSON holds them."""
    each = [found] if isinstance(found, Recovery) else list(found.recoveries.values())
    summary = found.summary() if isinstance(found, Recovery) else found.table
    return {
        "verdict": found.verdict(),
        "parameters": options.parameters,
        "copies": options.copies,
        "lists": [one.n_lists for one in each],
        "seed": options.seed,
        "search": options.search,
        "missed": [one.n_missed for one in each],
        "summary": to_rows(summary),
    }


def describe(file: Path, found: Recovery | PowerCurve, has_figure: bool) -> str:
    """Return summary, verdict and where the files are, as text."""
    summary = found.summary() if isinstance(found, Recovery) else found.table
    text = summary.to_string(index=False, float_format="{:.3f}".format)
    figure = ", recovery.png" if has_figure else ""
    return f"{file.parent}\n{text}\n{found.verdict()}\nWrote recovery.csv, recovery.json{figure}"


def draw(path: Path, found: Recovery | PowerCurve) -> bool:
    """Draw the figure into a file, and return whether matplotlib is installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    from jaxcmr import plots

    figure = Figure(layout="constrained")
    if isinstance(found, Recovery):
        n = found.table["parameter"].nunique()
        n_columns = min(n, 4)
        n_rows = -(-n // n_columns)
        figure.set_size_inches(2.7 * n_columns, 2.7 * n_rows)
        panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
        for spare in panels[n:]:
            spare.set_axis_off()
        plots.plot_recovery(found, ax=panels[:n])
    else:
        figure.set_size_inches(6.5, 3.8)
        plots.plot_power(found, ax=figure.subplots())
    with replace_file(path) as draft:
        figure.savefig(draft, format="png", dpi=150)
    return True
