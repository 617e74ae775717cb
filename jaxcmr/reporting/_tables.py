"""Tables of a report: what a cell shows, and the exact value behind it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxcmr._result_words import format_loss
from jaxcmr._tables import format_number
from jaxcmr.parameters import Parameter
from jaxcmr.results import FitResult

__all__ = [
    "Cell",
    "Table",
    "checks_summary",
    "checks_table",
    "fits_overview",
    "frame_table",
    "runs_summary",
    "search_table",
    "subject_table",
]

ARROWS = {"upper": "↑", "lower": "↓"}
MOST_ROWS = 400
"""Rows of a table of failed checks."""


class Cell(NamedTuple):
    """What a cell shows; the exact value, which tables sort by; and a mark with its meaning."""

    text: str
    value: str
    mark: str = ""
    tip: str = ""

    @classmethod
    def of(cls, value: object, mark: str = "", tip: str = "") -> Cell:
        """Return a cell of a number, as `format_number` writes it, or of a text; None is empty.

        >>> Cell.of(0.123456)
        Cell(text='0.1235', value='0.123456', mark='', tip='')
        """
        if value is None or value is pd.NA:
            return cls("", "")
        if isinstance(value, bool | np.bool_):
            return cls("yes" if value else "no", "yes" if value else "no", mark, tip)
        if isinstance(value, Integral):
            return cls(f"{value:d}", f"{value:d}", mark, tip)
        if isinstance(value, Real):
            return cls(format_number(float(value)), repr(float(value)), mark, tip)
        return cls(str(value), str(value), mark, tip)


@dataclass(frozen=True)
class Table:
    """A table with a caption. Columns of numbers are aligned to the right, and sort as numbers."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    tips: Mapping[str, str] = field(default_factory=dict)
    is_sortable: bool = True

    @property
    def numeric(self) -> list[bool]:
        """Return for each column whether all of its values are numbers."""
        return [
            all(is_number(row[i].value) for row in self.rows if row[i].value)
            and any(row[i].value for row in self.rows)
            for i in range(len(self.columns))
        ]


def subject_table(
    result: FitResult, parameters: Sequence[Parameter], failed: Mapping[Hashable, int] | None
) -> Table:
    """Return one row per fit: loss, counts, estimates with marks where on a bound, evidence."""
    on_bounds, label = result.at_bound(), result.get("loss_label", "loss")
    names, symbols = list(result["free"]), {each.name: each.symbol for each in parameters}
    frame = result.table()
    rows = []
    for i, subject in enumerate(result["fits"]["subject"]):
        row = [Cell.of("all, pooled" if result.get("pooled") else subject)]
        row.append(Cell(format_loss(result["fitness"][i]), repr(float(result["fitness"][i]))))
        row += [Cell.of(whole(frame[key][i])) for key in ("n_trials", "n_events")]
        row += [estimate_cell(result["fits"][name][i], on_bounds[i].get(name)) for name in names]
        row += [Cell.of(whole(frame[key][i])) for key in ("agree", "n_runs")]
        row.append(Cell.of(frame["converged"][i]))
        row += [] if failed is None else [Cell.of(failed.get(subject, 0))]
        rows.append(row)
    columns = ["subject", label, "lists", "events", *names, "agree", "runs", "converged"]
    tips = {
        "agree": f"runs that ended within {result.get('agree_within', 0):g} of the best",
        "events": "recalls and stops that count in the loss",
        "converged": "the best run ended by its tolerance, or where the gradient is zero",
        **symbols,
    }
    columns += [] if failed is None else ["failed checks"]
    return Table("One row per fit. ↑ and ↓: on the upper or lower bound.", columns, rows, tips)


def estimate_cell(value: float, end: str | None) -> Cell:
    """Return the cell of an estimate, with an arrow if it is on a bound."""
    if end is None:
        return Cell.of(float(value))
    return Cell.of(float(value), ARROWS[end], f"on its {end} bound")


def search_table(result: FitResult) -> Table:
    """Return the hyperparameters of the search, one per row; bounds are among the parameters."""
    given = result.get("hyperparameters", {})
    hidden = ("bounds", "progress_bar", "display_iterations")
    rows = [
        [Cell.of(name), Cell.of(value if isinstance(value, Real) else str(value))]
        for name, value in given.items()
        if name not in hidden
    ]
    if result.get("precision"):
        rows.append([Cell.of("precision"), Cell.of(result["precision"])])
    return Table("Settings of the search.", ["setting", "value"], rows, is_sortable=False)


def runs_summary(result: FitResult) -> Table | None:
    """Return how many fits have how many runs that agree, the fewest first; None without runs."""
    counts = result.agreement()
    if not counts:
        return None
    numbers = sorted({agree for agree, _ in counts})
    rows = []
    for number in numbers:
        fits = [pair for pair in counts if pair[0] == number]
        out_of = sorted({n_runs for _, n_runs in fits})
        words = f"{out_of[0]}" if len(out_of) == 1 else f"{out_of[0]} to {out_of[-1]}"
        rows.append([Cell.of(number), Cell.of(words), Cell.of(len(fits))])
    columns = ["runs that agree", "of", "fits"]
    return Table("Runs that ended as low as the best.", columns, rows, is_sortable=False)


def checks_summary(checks: pd.DataFrame, meanings: Mapping[str, str]) -> Table:
    """Return one row per check: how many fits pass, fail, or could not be judged."""
    rows = []
    for name in dict.fromkeys(checks["check"]):
        of_check = checks[checks["check"] == name]
        passed = of_check["passed"].astype("boolean")
        counts = [int(passed.sum()), int((~passed).sum()), int(passed.isna().sum())]
        row = [Cell.of(name), *(Cell.of(count) for count in counts)]
        threshold = Cell.of(plain(of_check["threshold"].iloc[0]))
        rows.append([*row, threshold, Cell.of(meanings.get(name, ""))])
    columns = ["check", "pass", "fail", "not available", "threshold", "statistic"]
    return Table("Checks over all fits.", columns, rows)


def checks_table(checks: pd.DataFrame) -> Table:
    """Return the checks that failed, the worst subjects first."""
    failed = checks[~checks["passed"].astype("boolean").fillna(True)].drop(columns="passed")
    caption = "Checks that failed, worst subjects first."
    if len(failed) > MOST_ROWS:
        caption = (
            f"The first {MOST_ROWS} of {len(failed)} checks that failed, worst subjects first. "
            "jaxcmr.diagnose gives all."
        )
    return frame_table(failed.head(MOST_ROWS), caption)


def frame_table(frame: pd.DataFrame, caption: str) -> Table:
    """Return a table of pandas as a table of the report."""
    columns = [str(name) for name in frame.columns]
    rows = [[Cell.of(plain(value)) for value in row] for row in frame.itertuples(index=False)]
    return Table(caption, columns, rows)


def fits_overview(results: Mapping[str, FitResult]) -> Table:
    """Return one row per result: what was fitted to what, and the sum of the losses."""
    rows = []
    for name, result in results.items():
        lists = sum(result.get("n_trials") or [])
        data = (result.get("data") or {}).get("fingerprint", "")
        cells = [
            name,
            result.get("model"),
            result.get("loss"),
            len(result["fitness"]),
            lists or None,
        ]
        cells += [len(result["free"])]
        total = float(np.sum(result["fitness"]))
        of_total = Cell.of(total)._replace(text=f"{total:.2f}")  # differences of sums matter
        rows.append([*map(Cell.of, cells), of_total, Cell.of(short(data))])
    columns = [
        "result",
        "model",
        "loss",
        "fits",
        "lists",
        "free parameters",
        "sum of losses",
        "data",
    ]
    return Table("The results of this report.", columns, rows)


def short(fingerprint: str) -> str:
    """Return the first characters of a fingerprint."""
    return fingerprint.removeprefix("sha256:")[:12]


def whole(value: object) -> object:
    """Return a count as an int; None if it is missing."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    return int(value) if isinstance(value, int | float | np.number) else value


def plain(value: object) -> object:
    """Return a value of a table, with NaN as None."""
    return None if isinstance(value, float) and math.isnan(value) else value


def is_number(text: str) -> bool:
    """Return whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
