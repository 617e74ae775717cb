"""``jaxcmr recover``: would parameters, or models, be found with these lists and this search?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxcmr._cache import keep_compiled
from jaxcmr.cli._json import to_json
from jaxcmr.cli._problem import beside, file_of, find_problem
from jaxcmr.cli._recovery_files import NAMES, Found, check_replaceable, write_recovery
from jaxcmr.files import replace_file
from jaxcmr.front import recover_problem
from jaxcmr.front._report import name_results
from jaxcmr.recovery import ModelRecovery, Recovery, recover_models
from jaxcmr.results import FitResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["recover_results"]

OF_PARAMETERS = {"copies": 1, "parameters": "fitted", "intervals": False}
OF_MODELS = {"n": 50, "criterion": "aicc"}
"""Options that only parameters, or only models, have, with their defaults."""


def recover_results(options: argparse.Namespace) -> int:
    """Recover parameters or models, write files beside results, and return the exit status.

    Raises:
        ValueError: a path is not a result, the data are missing or not those that were fitted,
            options do not belong together, or a recovery with other settings would be replaced.
    """
    set_defaults(options)
    keep_compiled()
    files = [file_of(path) for path in options.results]
    name = NAMES["models" if options.models else "parameters"]
    if not options.force:
        for file in files:
            check_replaceable(beside(file, f"{name}.json"), settings_of(file, options))
    records = []
    for file in files:
        if options.models:
            found, record = recover_models_of(file, options)
        else:
            found, record = recover_parameters_of(file, options)
        has_figure = draw(beside(file, f"{name}.png"), found)
        records.append(record)
        if not options.quiet and not options.json:
            suffixes = [".csv", ".json", *([".png"] if has_figure else [])]
            names = ", ".join(beside(file, f"{name}{suffix}").name for suffix in suffixes)
            print(f"{file.parent}\n{describe(found)}\n{found.verdict()}\nWrote {names}")
    if options.json:
        print(to_json(records if len(records) > 1 else records[0]))
    return 0


def set_defaults(options: argparse.Namespace) -> None:
    """Set the options that were not given.

    Raises:
        ValueError: an option is of parameters and models are recovered, or the reverse.
    """
    has_models = bool(options.models)
    for name in OF_PARAMETERS if has_models else OF_MODELS:
        if getattr(options, name) is not None:
            flag = "-n" if name == "n" else f"--{name}"
            raise ValueError(
                f"{flag} does not go with --models: leave it out."
                if has_models
                else f"{flag} is of the recovery of models: give --models RESULT."
            )
    for name, value in (OF_PARAMETERS | OF_MODELS).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if has_models and len(options.results) > 1:
        raise ValueError(
            f"With --models, give one RESULT before it; got {len(options.results)}. The files are "
            "written beside that one."
        )
    if has_models and isinstance(options.lists, list):
        raise ValueError("With --models, --lists is one number.")


def settings_of(file: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return the options that decide what a recovery finds, as its JSON file keeps them."""
    names = [*(OF_MODELS if options.models else OF_PARAMETERS), "lists", "seed", "search"]
    settings = {name: getattr(options, name) for name in names}
    if options.models:
        files = [file, *(file_of(path) for path in options.models)]
        of_name = zip(name_results(files), files, strict=True)
        settings["models"] = {name: each.resolve().as_posix() for name, each in of_name}
    return settings


def recover_parameters_of(file: Path, options: argparse.Namespace) -> tuple[Found, dict[str, Any]]:
    """Return the recovery of a result's parameters and its numbers.

    Its runs are kept beside the result.
    """
    result = FitResult.load(file)
    found = recover_problem(
        find_problem(file, result, options),
        result,
        options.parameters,
        options.lists,
        n_copies=options.copies,
        intervals=options.intervals,
        seed=options.seed,
        search=options.search,
        progress=not (options.quiet or options.json),
        checkpoint=runs_of(file, "parameters", options),
    )
    settings = settings_of(file, options)
    return found, write_recovery(file, {str(result.get("model")): result}, found, settings)


def recover_models_of(file: Path, options: argparse.Namespace) -> tuple[Found, dict[str, Any]]:
    """Return the recovery of the models of several results and its numbers.

    Its runs are kept beside the first result.
    """
    files = [file, *(file_of(path) for path in options.models)]
    results = name_results(files)
    of_name = dict(zip(results, files, strict=True))
    if len(results) < 2 or len({each.resolve() for each in files}) < len(files):
        raise ValueError("--models takes results of other fits than RESULT, each once.")
    found = recover_models(
        {name: find_problem(of_name[name], each, options) for name, each in results.items()},
        results,
        options.n,
        options.criterion,
        n_lists=options.lists,
        seed=options.seed,
        search=options.search,
        progress=not (options.quiet or options.json),
        checkpoint=runs_of(file, "models", options),
    )
    return found, write_recovery(file, results, found, settings_of(file, options))


def runs_of(file: Path, kind: str, options: argparse.Namespace) -> Path:
    """Return the folder beside a result that keeps the finished runs of a recovery."""
    return beside(file, f"{NAMES[kind]}-{options.search or 'runs'}")


def describe(found: Found) -> str:
    """Return the summary of parameters, or both matrices of models, as text."""
    if isinstance(found, ModelRecovery):
        matrices = {
            "p(fits best, column | simulated, row)": found.confusion,
            "p(simulated, row | fits best, column)": found.inversion(),
        }
        return "\n".join(
            f"{title}\n{matrix.to_string(float_format='{:.2f}'.format)}"
            for title, matrix in matrices.items()
        )
    summary = found.summary() if isinstance(found, Recovery) else found.table
    return summary.to_string(index=False, float_format="{:.3f}".format)


def draw(path: Path, found: Found) -> bool:
    """Draw the figure into a file, and return whether matplotlib is installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(layout="constrained")
    draw_into(figure, found)
    with replace_file(path) as draft:
        figure.savefig(draft, format="png", dpi=150)
    return True


def draw_into(figure: Figure, found: Found) -> None:
    """Draw the grid of parameters, the power curve, or the matrices of models."""
    from jaxcmr import plots
    from jaxcmr.plots._axes import make_grid, make_panels

    if isinstance(found, ModelRecovery):
        size = 2.6 + 0.7 * len(found.counts)
        plots.plot_confusion(found, ax=make_panels(1, 2, size, size, figure)[0])
        return
    panels = make_grid(found.table["parameter"].nunique(), 2.7, 2.7, figure)
    if isinstance(found, Recovery):
        plots.plot_recovery(found, ax=panels)
    else:
        plots.plot_power(found, ax=panels)
