"""``jaxcmr plot``: figures of results as files, and the numbers in them as JSON."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from jaxcmr import analyses, plots
from jaxcmr.cli._figure import make_fit_figure, note_cut
from jaxcmr.cli._json import numbers_beside, to_columns, to_json
from jaxcmr.cli._problem import beside, file_of, find_problem
from jaxcmr.cli._simulate import as_sweep, choose_trials
from jaxcmr.datasets import select_trials
from jaxcmr.files import replace_file, write_text
from jaxcmr.front import simulate_problem
from jaxcmr.names import describe_missing
from jaxcmr.results import FitResult
from jaxcmr.typing import RecallDataset

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["plot_results"]

Drawn: TypeAlias = "tuple[Figure, dict[str, pd.DataFrame]]"
"""A figure, and the tables of the numbers in it by name."""

DEFAULT = ("fit", "parameters", "restarts")
"""Figures that are drawn if none is named."""

WITHOUT_DATE: Mapping[str, Mapping[str, None]] = {
    "png": {},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}
"""Metadata by which the same figure gives the same file, by format."""


def plot_results(options: argparse.Namespace) -> int:
    """Draw figures of each result, write them beside it, and return the exit status.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: a path is not a result, the data are missing or not those that were fitted, or
            a figure cannot be drawn of the result.
    """
    names = list(dict.fromkeys(options.figures or DEFAULT))
    if bool(options.vary) != ("sweep" in names):
        raise ValueError("A sweep takes both: --figure sweep and --vary NAME=V1,V2,...")
    if options.out is not None and len(options.results) > 1:
        raise ValueError("--out is the folder of one result: leave it out for several.")
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(describe_missing("Figures", "matplotlib", "plots")) from error
    records = []
    with matplotlib.rc_context({"svg.hashsalt": "jaxcmr"}):
        for path in options.results:
            file = file_of(path)
            for name, (figure, tables) in draw_figures(file, names, options):
                records.append(save_figure(file, name, figure, tables, options))
                if not options.quiet and not options.json:
                    print(f"Wrote {records[-1]['file']}")
    if options.json:
        print(to_json(records))
    return 0


def draw_figures(
    file: Path, names: list[str], options: argparse.Namespace
) -> Iterator[tuple[str, Drawn]]:
    """Yield the name of each figure of a result and the figure; of a sweep, for each parameter."""
    result = select_subject(FitResult.load(file), options.subject)
    if "restart_estimates" in names and len(result["fits"]["subject"]) > 1:
        raise ValueError(
            "restart_estimates draws the runs of one fit: give --subject, one of "
            f"{result['fits']['subject'][:9]}."
        )
    yield from ((name, OF_RESULTS[name](result)) for name in names if name in OF_RESULTS)
    if set(names) <= set(OF_RESULTS):
        return
    problem = find_problem(file, result, options)
    mask = choose_trials(result, problem, options.where)
    data = select_trials(problem.dataset, mask)

    def simulate(vary: dict[str, list[float]] | None = None) -> RecallDataset:
        return simulate_problem(
            problem, result, mask, n_copies=options.copies, seed=options.seed, vary=vary
        )

    drawn = []
    if chosen := [name for name in names if name in OF_DATA]:
        simulated = {str(result["model"]): simulate()}
        drawn += [(name, OF_DATA[name](data, simulated)) for name in chosen]
    for parameter, values in as_sweep(options.vary).items():
        swept = simulate({parameter: values})
        drawn.append((f"sweep_{parameter}", draw_sweep(data, swept, parameter, options.measure)))
    for name, (figure, tables) in drawn:
        note_cut(figure, problem)
        yield name, (figure, tables)


def select_subject(result: FitResult, wanted: str | None) -> FitResult:
    """Return the fit of a subject, or the result itself if `wanted` is None.

    Raises:
        ValueError: the result has no fit of the subject.
    """
    subjects = result["fits"]["subject"]
    if wanted is None:
        return result
    for subject in subjects:
        if str(subject) == wanted:
            return result.select([subject])
    raise ValueError(f"Subject {wanted} was not fitted; the fits are of {subjects[:9]}.")


def draw_parameters(result: FitResult) -> Drawn:
    """Draw the estimates between their bounds."""
    figure = make_figure(7.2, 0.8 + 0.55 * len(result["free"]))
    plots.plot_parameters(result, ax=figure.subplots())
    return figure, {"estimates": plots.parameters_table(result)}


def draw_restarts(result: FitResult) -> Drawn:
    """Draw how far above the best loss each run ended."""
    figure = make_figure(6.0, 3.6)
    plots.plot_restarts(result, ax=figure.subplots())
    return figure, {"runs": plots.restarts_table(result)}


def draw_restart_estimates(result: FitResult) -> Drawn:
    """Draw where the runs of one fit ended."""
    figure = make_figure(3.2 + 0.45 * len(result["free"]), 3.8)
    plots.plot_restart_estimates(result, ax=figure.subplots())
    return figure, {"runs": plots.restarts_table(result)}


def draw_fit(data: RecallDataset, simulated: Mapping[str, RecallDataset]) -> Drawn:
    """Draw three curves of data and model."""
    [(name, copies)] = simulated.items()
    means = plots.mean_over_subjects(plots.fit_table(data, simulated))
    return make_fit_figure(data, copies, name), {"means": means}


def draw_fit_by_subject(data: RecallDataset, simulated: Mapping[str, RecallDataset]) -> Drawn:
    """Draw three curves of data and model for each subject."""
    n_subjects = len(np.unique(data["subject"]))
    figure = make_figure(7.6, 0.5 + 1.5 * n_subjects)
    grid = figure.subplots(n_subjects, 3, squeeze=False)
    plots.plot_fit_by_subject(data, simulated, ax=grid)
    return figure, {"curves": plots.fit_table(data, simulated)}


def draw_recalls_per_list(data: RecallDataset, simulated: Mapping[str, RecallDataset]) -> Drawn:
    """Draw how many items are recalled."""
    figure = make_figure(5.4, 3.4)
    plots.plot_recalls_per_list(data, simulated, ax=figure.subplots())
    measures = {"recalls per list": analyses.recalls_per_list}
    table = plots.fit_table(data, simulated, measures=measures)
    return figure, {"means": plots.mean_over_subjects(table)}


def draw_sweep(data: RecallDataset, swept: RecallDataset, parameter: str, name: str) -> Drawn:
    """Draw a curve at each value of a parameter, and of the data."""
    measure = analyses.MEASURES[name]
    figure = make_figure(5.4, 3.4)
    plots.plot_sweep(swept, parameter, measure, data=data, ax=figure.subplots())
    return figure, {
        "data": plots.mean_over_subjects(analyses.by_subject(data, measure)),
        "model": plots.mean_over_subjects(plots.sweep_table(swept, parameter, measure)),
    }


OF_RESULTS: Mapping[str, Callable[[FitResult], Drawn]] = {
    "parameters": draw_parameters,
    "restarts": draw_restarts,
    "restart_estimates": draw_restart_estimates,
}
"""Figures that need no data."""

OF_DATA: Mapping[str, Callable[[RecallDataset, Mapping[str, RecallDataset]], Drawn]] = {
    "fit": draw_fit,
    "fit_by_subject": draw_fit_by_subject,
    "recalls_per_list": draw_recalls_per_list,
}
"""Figures of data and model."""


def make_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches, which no window shows."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_figure(
    file: Path,
    name: str,
    figure: Figure,
    tables: Mapping[str, pd.DataFrame],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Write a figure and its numbers beside a result, and return the numbers as JSON holds them."""
    out = beside(file, f"{name}.{options.format}")
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        out = options.out / out.name
    with replace_file(out) as draft:
        figure.savefig(
            draft, format=options.format, dpi=150, metadata=dict(WITHOUT_DATE[options.format])
        )
    record = {
        "figure": name,
        "file": str(out),
        "result": str(file),
        "settings": {
            each: getattr(options, each)
            for each in ("subject", "where", "copies", "seed", "vary", "measure")
        },
        "tables": {each: to_columns(table) for each, table in tables.items()},
    }
    write_text(numbers_beside(out), to_json(record) + "\n")
    return record
