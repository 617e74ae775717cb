"""Words and tables for a `FitResult`: title, table in text or HTML, verdict."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from jaxcmr._tables import format_number

if TYPE_CHECKING:
    from jaxcmr.results import FitResult

__all__ = ["title", "to_html", "to_text", "verdict"]

MARKS = {"upper": "^", "lower": "_", None: ""}
"""What follows an estimate that lies on a bound."""


def title(result: FitResult) -> str:
    """Return one line that names model, loss, and number of subjects and lists."""
    n, n_trials = len(result["fitness"]), sum(result.get("n_trials") or [])
    what = f"{result.get('model') or 'a model'} by {result.get('loss') or 'a loss'}"
    whose = "pooled" if result.get("pooled") else count_of(n, "subject")
    lists = f", {count_of(n_trials, 'list')}" if n_trials else ""
    cut = " (interrupted)" if result.get("interrupted") else ""
    return f"{what}: {whose}{lists}{cut}"


def verdict(result: FitResult) -> str:
    """Return plain words on how far the fits can be trusted; see `FitResult.verdict`."""
    if not result["fitness"]:
        return "No fits."
    if not result.get("runs"):
        return "The runs of these fits were not kept."
    return f"{describe_agreement(result)} {describe_bounds(result)}{describe_unconverged(result)}"


def describe_agreement(result: FitResult) -> str:
    """Return for how many subjects more than one run ended at the best loss."""
    counts, subjects = result.agreement(), result["fits"]["subject"]
    numbers = {n_runs for _, n_runs in counts}
    most, out_of = max(numbers), f" of {max(numbers)}" if len(numbers) == 1 else ""
    if most == 1:
        return "Each fit is a single run: whether another would end elsewhere is not known."
    unit = " nats" if result.get("loss_label") == "NLL" else ""
    near = f"ended within {result.get('agree_within', 0.0):g}{unit} of the best"
    if result.get("pooled"):
        agree = counts[0][0]
        return f"Runs {'agree' if agree > 1 else 'do not agree'}: {agree} of {most} {near}."
    alone = [subject for subject, (agree, _) in zip(subjects, counts, strict=True) if agree < 2]
    many = f"{len(subjects) - len(alone)} of {count_of(len(subjects), 'subject')}"
    exceptions = f" (not for {name_subjects(alone)})" if alone else ""
    return f"Runs agree for {many}: 2 or more{out_of} {near}{exceptions}."


def describe_bounds(result: FitResult) -> str:
    """Return which parameters sit on which bound for how many subjects, the most frequent first."""
    counts: dict[str, Counter[str]] = {}
    for bounds in result.at_bound():
        for name, end in bounds.items():
            counts.setdefault(name, Counter())[end] += 1
    if not counts:
        return "No estimate is on a bound."
    told = []
    for name, by_end in sorted(counts.items(), key=lambda item: -item[1].total()):
        ends = " and ".join(
            end if len(by_end) == 1 else f"{n} {end}" for end, n in sorted(by_end.items())
        )
        told.append(f"{name} for {by_end.total()} ({ends})")
    return f"Estimates on a bound: {', '.join(told)}."


def describe_unconverged(result: FitResult) -> str:
    """Return which fits have not converged, after a space; nothing if all have."""
    if not result.get("converged"):
        return ""
    fits = zip(result["fits"]["subject"], result["converged"], strict=True)
    subjects = [subject for subject, has_converged in fits if not has_converged]
    if not subjects:
        return ""
    return (
        " Not converged." if result.get("pooled") else f" Not converged: {name_subjects(subjects)}."
    )


def to_text(result: FitResult, width: int | None = None) -> str:
    """Return the table as text in blocks of at most `width` characters; see `FitResult.to_text`."""
    subject, *others = [align_right(*column) for column in format_cells(result).items()]
    width = width or shutil.get_terminal_size((100, 24)).columns
    blocks = [[subject]]
    for column in others:
        if sum(len(c[0]) + 2 for c in blocks[-1]) + len(column[0]) > width:
            blocks.append([subject])
        blocks[-1].append(column)
    return "\n\n".join(
        "\n".join("  ".join(row) for row in zip(*block, strict=True)) for block in blocks
    )


def to_html(result: FitResult) -> str:
    """Return title, table and verdict as HTML."""
    cells = format_cells(result)
    head = "".join(f"<th>{escape(name)}</th>" for name in cells)
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
        for row in zip(*cells.values(), strict=True)
    )
    return (
        f"<p><b>{escape(title(result))}</b></p><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table><p>{escape(verdict(result))}</p>"
    )


def format_cells(result: FitResult) -> dict[str, list[str]]:
    """Return the table in words and rounded numbers, by column."""
    fits, at_bound = result["fits"], result.at_bound()
    cells = {
        "subject": [str(subject) for subject in fits["subject"]],
        result.get("loss_label", "loss"): [format_loss(value) for value in result["fitness"]],
    }
    for name, values in fits.items():
        if name != "subject":
            pairs = zip(values, at_bound, strict=True)
            cells[name] = [
                f"{format_number(value)}{MARKS[ends.get(name)]}" for value, ends in pairs
            ]
    if result.get("runs"):
        cells["agree"] = [f"{agree}/{n_runs}" for agree, n_runs in result.agreement()]
    if result.get("converged"):
        cells["converged"] = ["yes" if ended else "no" for ended in result["converged"]]
    return cells


def align_right(name: str, cells: Sequence[str]) -> list[str]:
    """Return a column of equal width, its name first."""
    width = max(map(len, [name, *cells]))
    return [cell.rjust(width) for cell in [name, *cells]]


def format_loss(loss: float) -> str:
    """Return a loss with two decimals, or four significant digits where it is small."""
    return f"{loss:.2f}" if abs(loss) >= 10 else f"{loss:.4g}"


def count_of(n: int, noun: str) -> str:
    """Return a number with its noun: "1 subject", "2 subjects"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def name_subjects(subjects: Sequence[int | str], most: int = 5) -> str:
    """Return subjects in words, the first few by id."""
    return f"subject{'s' if len(subjects) > 1 else ''} {name_ids(subjects, most)}"


def name_ids(subjects: Sequence[int | str], most: int = 5) -> str:
    """Return the ids of subjects in words, the first few of them: "1, 2 and 3 more"."""
    named = ", ".join(str(subject) for subject in subjects[:most])
    more = f" and {len(subjects) - most} more" if len(subjects) > most else ""
    return f"{named}{more}"
