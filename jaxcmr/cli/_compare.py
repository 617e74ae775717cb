"""``jaxcmr compare``: which model describes the subjects best, as a table, JSON and figures."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from jaxcmr.cli._json import to_json, to_rows
from jaxcmr.comparison import Comparison, ModelSelection, bayesian_model_selection
from jaxcmr.files import replace_file, write_text
from jaxcmr.front import compare
from jaxcmr.names import describe_missing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["compare_folders", "to_markdown"]


def compare_folders(options: argparse.Namespace) -> int:
    """Print a comparison of results, write it where asked, and return the exit status.

    Raises:
        ImportError: figures are asked for, and matplotlib is not installed.
        ValueError: a path is not a result, or the results cannot be compared.
    """
    check_exact(options)
    found = compare(options.results, options.criterion, options.reference, n=options.count)
    selection = select_models(found, options)
    record = to_json(to_record(found, selection))
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        draw_figures(options.out, found, selection)
        write_text(options.out / "comparison.md", to_markdown(found, selection))
        write_text(options.out / "comparison-numbers.json", record + "\n")
    if options.json:
        print(record)
    elif not options.quiet:
        print(describe(found, selection))
        if options.out is not None:
            print(f"\nTable, numbers and figures are in {options.out}.")
    return 0


def check_exact(options: argparse.Namespace) -> None:
    """Raise a ValueError if --exact is given without --bms."""
    if options.exact and not options.bms:
        raise ValueError("--exact is of --bms: give both.")


def select_models(found: Comparison, options: argparse.Namespace) -> ModelSelection | None:
    """Return how frequent each model is among subjects, if --bms asks for it."""
    if not options.bms:
        return None
    method = "exact" if options.exact else "variational"
    return bayesian_model_selection(found.log_evidence(), options.bms, method)


def to_record(found: Comparison, selection: ModelSelection | None) -> dict[str, Any]:
    """Return all numbers of a comparison as JSON holds them."""
    record: dict[str, Any] = {
        "criterion": found.criterion,
        "reference": found.reference,
        "n_counts": found.counted,
        "verdict": found.verdict(),
        "warnings": list(found.warnings),
        "models": to_rows(found.table),
        "tests": to_rows(found.tests),
        "subjects": to_rows(found.by_subject),
    }
    if selection is not None:
        shares = selection.responsibilities
        record["selection"] = {
            "prior": selection.prior,
            "method": selection.method,
            "omnibus_risk": selection.bor,
            "verdict": selection.verdict(),
            "models": to_rows(selection.table()),
            "responsibilities": None if shares is None else to_rows(shares.reset_index()),
        }
    return record


def describe(found: Comparison, selection: ModelSelection | None) -> str:
    """Return a comparison as text."""
    parts = [found.header()]
    parts += [table.to_string(index=False) for table in shown_tables(found, None)]
    parts.append(found.verdict())
    if found.warnings:
        parts.append("Warnings:\n" + "\n".join(f"- {each}" for each in found.warnings))
    if selection is not None:
        [table] = shown_tables(None, selection)
        parts += [table.to_string(index=False), selection.verdict()]
    return "\n\n".join(parts)


def to_markdown(found: Comparison, selection: ModelSelection | None) -> str:
    """Return a comparison as Markdown.

    >>> from jaxcmr.comparison import compare
    >>> cmr = dict(fitness=[10.0, 9.0], fits={"a": [0.5, 0.4], "subject": [1, 2]},
    ...            free={"a": [0, 1]}, n_events=[50, 40], loss_label="NLL")
    >>> text = to_markdown(compare({"CMR": cmr, "a|b": {**cmr, "fitness": [13.0, 14.0]}}), None)
    >>> "| CMR | 1 | 19.00 |" in text, r"| a\\|b | 1 | 27.00 |" in text
    (True, True)
    """
    parts = ["# Comparison of models", found.header()]
    parts += [as_grid(table) for table in shown_tables(found, None)]
    parts += [found.verdict(), "\n".join(f"- {each}" for each in found.warnings)]
    if selection is not None:
        parts += ["## Bayesian model selection"]
        parts += [as_grid(table) for table in shown_tables(None, selection)]
        parts.append(selection.verdict())
    return "\n\n".join(part for part in parts if part) + "\n"


def shown_tables(
    found: Comparison | None, selection: ModelSelection | None
) -> Iterator[pd.DataFrame]:
    """Yield the tables that are shown, in rounded numbers."""
    if found is not None:
        table = found.table.copy()
        for of in ("", "loss_"):
            ends = zip(table.pop(f"{of}low"), table.pop(f"{of}high"), strict=True)
            table[f"{of}interval"] = [
                f"{low:.2f} to {high:.2f}" if low == low else "-" for low, high in ends
            ]
        order = ["model", "k", "loss", "aic", "aicc", "bic", "difference", "mean_difference"]
        order += ["interval", "mean_loss_difference", "loss_interval", "wins", "mean_weight"]
        yield round_off(table[order], 2)
    if selection is not None:
        yield round_off(selection.table(), 3)


def round_off(table: pd.DataFrame, digits: int) -> pd.DataFrame:
    """Return a table with its numbers as text; whole numbers stay whole."""
    return pd.DataFrame(
        {
            name: [
                f"{each:.{digits}f}" if isinstance(each, float) else str(each) for each in column
            ]
            for name, column in table.items()
        }
    )


def as_grid(table: pd.DataFrame) -> str:
    """Return a table as Markdown."""
    rows = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", r"\|") for cell in row) + " |" for row in rows
    )


def draw_figures(folder: Path, found: Comparison, selection: ModelSelection | None) -> None:
    """Draw the figures of a comparison into a folder.

    Differences are drawn of each model but the reference.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(describe_missing("Figures", "matplotlib", "plots")) from error
    for name, size, draw in plan_figures(found, selection):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        with replace_file(folder / f"{name}.png") as draft:
            figure.savefig(draft, format="png", dpi=150)


def plan_figures(
    found: Comparison, selection: ModelSelection | None
) -> Iterator[tuple[str, tuple[float, float], Callable[[Axes], Any]]]:
    """Yield name, size and how to draw it of each figure."""
    from jaxcmr import plots

    models = list(found.table["model"])
    size = (6.5, 1.0 + 0.4 * len(models))
    yield "comparison", size, lambda ax: plots.plot_comparison(found, ax=ax)
    yield "weights", (7.0, 3.0), lambda ax: plots.plot_weights(found, ax=ax)
    others = [model for model in models if model != found.reference]
    for model, name in zip(others, name_files(others), strict=True):

        def draw(ax: Axes, model: str = model) -> None:
            plots.plot_differences(found, model, ax=ax)

        yield f"differences-{name}", (6.0, 3.4), draw
    if selection is not None:
        chosen = selection
        size = (4.0 + 0.8 * len(models), 3.4)
        yield "frequencies", size, lambda ax: plots.plot_model_frequencies(chosen, ax=ax)


def name_files(models: Sequence[str]) -> list[str]:
    """Return a part of a file name for each model, all different, also without regard to case.

    >>> name_files(["CMR", "no primacy", "cmr", "a/b", "a|b"])
    ['CMR', 'no_primacy', 'cmr-3', 'a_b', 'a_b-5']
    """
    names: list[str] = []
    for number, model in enumerate(models, 1):
        name = re.sub(r"[^\w.-]+", "_", model)
        while name.lower() in [each.lower() for each in names]:
            name += f"-{number}"
        names.append(name)
    return names
