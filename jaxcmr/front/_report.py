"""What a report is handed: words on models and losses, and figures with how to read them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np

from jaxcmr import plots
from jaxcmr.datasets import select_trials
from jaxcmr.diagnostics import CHECKS, is_trustworthy, verdict
from jaxcmr.fitting import FitProblem
from jaxcmr.fitting._trials import to_mask
from jaxcmr.front._report_figures import Planned, draw_planned
from jaxcmr.front._simulate import simulate_problem
from jaxcmr.front._sources import as_result
from jaxcmr.models import CATALOGUE
from jaxcmr.reporting import (
    About,
    Chapter,
    Figure,
    Guide,
    Section,
    describe_data,
)
from jaxcmr.results import FitResult
from jaxcmr.typing import RecallDataset

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "GUIDES",
    "LOSS_WORDS",
    "check_path",
    "find_differences",
    "make_chapter",
    "name_results",
]

Source: TypeAlias = Union[FitResult, str, "os.PathLike[str]"]

LIKELIHOOD_WORKS = ("kragel-2015", "morton-polyn-2016")
LOSS_WORDS: Mapping[str, About] = {
    "sequence_likelihood": About(
        "the negative log-likelihood of each trial's sequence of recalls", LIKELIHOOD_WORKS
    ),
    "set_likelihood": About(
        "the negative log-likelihood of the set of items recalled in each trial, in any order"
    ),
    "confusable_likelihood": About(
        "the negative log-likelihood of each trial's sequence of responses, intrusions and repeats "
        "included",
        ("logan-2021",),
    ),
    "spc_mse": About(
        "the mean squared difference of the observed and the simulated serial position curve"
    ),
    "category_spc_mse": About(
        "the mean squared difference of the observed and the simulated serial position curve of "
        "each category of items"
    ),
    "summary_mse": About("the mean squared difference of an observed and a simulated summary"),
}
"""What a fit by each loss minimizes, and whom to cite for it."""

MOST_PANELS = 6
"""Subjects whose curves are drawn one by one."""

GUIDES: Mapping[str, Guide] = {
    "fit": Guide(
        "Three curves of the data (dots: means over subjects, bars: 95 % intervals) and of recalls "
        "that the fitted model made of the same lists (line: mean over the same subjects).",
        "The line runs through the intervals, in the bends at the ends of the list too.",
        "The line leaves several neighboring intervals: the model lacks what produces that part of "
        "the curve, or the fits have missed it.",
        "If the search is not confirmed, repeat it with more runs first. If it is, compare with a "
        "model that has the missing mechanism.",
    ),
    "recalls": Guide(
        "The share of lists in which so many items were recalled, in the data (dots) and by the "
        "model (line). The legend has the means.",
        "The line follows the dots, and the means agree.",
        "The model's means are off, or its distribution is much narrower or wider: the stopping "
        "rule does not describe these subjects.",
        "Try another stopping rule. Judge the serial position curve only if the means agree: more "
        "recalls lift all of it.",
    ),
    "subjects": Guide(
        "The three curves of single subjects, data (dots) and model (line). With checks of the "
        "fits, they are those that failed most, the worst at the top; else the first ones.",
        "The lines follow the dots; single dots scatter, as a subject has few lists.",
        "A line that is flat, or wrong in the same way over many positions.",
        "Look at that subject's runs and lists before the averages: did the subject follow the "
        "instructions, and did the runs agree?",
    ),
    "parameters": Guide(
        "The estimates of each free parameter between its bounds: a dot per subject, hollow on a "
        "bound; the bar covers the middle half, the line is the median. A log scale spreads the "
        "decades that have ticks; smaller values, down to 0, are squeezed to the left end.",
        "Estimates are inside the bounds, and gather around the median.",
        "Many hollow dots at one end: the bound decides these estimates, or the mechanism is off. "
        "Dots over the whole range: the data may not determine the parameter.",
        "Count estimates on bounds and report them. Widen an upper bound and compare the losses; "
        "fix a parameter that does not change them.",
    ),
    "restarts": Guide(
        "For each fit (thin lines) and the median fit, how far above the best loss its runs ended, "
        "in order. The gray band holds runs that count as equal to the best.",
        "Several runs of each fit lie in the gray band.",
        "A line leaves the band at its second run: nothing confirms that fit's best run.",
        "Repeat fits with few agreeing runs with more of them (search={'best_of': 40}), or start "
        "from the fit of a smaller model.",
    ),
}
"""How to read each figure."""

GUIDES_WHERE_CUT: Mapping[str, Guide] = {
    **GUIDES,
    "fit": replace(
        GUIDES["fit"],
        shows="Three curves of the data (dots: means over subjects, bars: 95 % intervals) and of "
        "recalls that the fitted model made of the same lists (line: mean over the same subjects). "
        "The loss takes the number of recalls from the data: each list of the model is cut off "
        "after as many recalls as the subject made in it.",
    ),
    "recalls": Guide(
        "The share of lists in which so many items were recalled, in the data (dots) and by the "
        "model (line). The model does not predict these numbers: the loss takes them from the "
        "data, and the model's lists are cut off there.",
        "The line runs through the dots. It then does so by construction, and says nothing about "
        "the model.",
        "The line has more short lists than the data: the model's own stopping rule ended recall "
        "before the number that was observed.",
        "Do not report this figure as a prediction. To ask when subjects stop, fit a loss that "
        "scores stops, such as the sequence likelihood of all events.",
    ),
}
"""How to read them if the loss takes the number of recalls as given."""


def make_chapter(
    name: str,
    result: FitResult,
    prefix: str,
    problem: FitProblem | None,
    checks: pd.DataFrame | None,
    n_copies: int,
    seed: int,
    sections: Sequence[Section] = (),
) -> Chapter:
    """Return the chapter on a result.

    Args:
        name: of the result.
        result: the result of a fit.
        prefix: of identifiers in its figures, unlike that of any other chapter.
        problem: what was fitted; None leaves out all that takes the data.
        checks: a table of `jaxcmr.diagnose`, or None.
        n_copies: simulated recalls of each trial, for the curves.
        seed: of the simulation.
        sections: on its uncertainty and recovery.

    Raises:
        ValueError: the result does not say which trials of the data were fitted.
    """
    data = simulated = facts = None
    is_cut = False
    if problem is not None:
        mask = fitted_trials(result, problem)
        facts, data = describe_data(problem.dataset, mask), select_trials(problem.dataset, mask)
        simulated = simulate_problem(problem, result, mask, n_copies=n_copies, seed=seed)
        is_cut = problem.count_given_recalls() is not None
    grade, reason = grade_of(checks)
    figures = draw_figures(result, prefix, data, simulated, checks, is_cut)
    about = about_model(result), about_loss(result)
    meanings = {
        check: f"{one.statistic}: {one.passes} the threshold" for check, one in CHECKS.items()
    }
    return Chapter(name, result, *about, facts, figures, checks, grade, reason, meanings, sections)


def fitted_trials(result: FitResult, problem: FitProblem) -> np.ndarray:
    """Return the mask of the trials that were fitted."""
    if result.get("trials") is None:
        raise ValueError(
            "The result does not say which trials of the data were fitted: report it without data."
        )
    return to_mask(result["trials"], len(problem.subjects))


def about_model(result: FitResult) -> About:
    """Return the words, works and parameters of a result's model."""
    named = CATALOGUE.get(result.get("model") or "")
    if named is None:
        return About("a model of our own (describe it)")
    return About(named.about, named.works, named.parameters)


def about_loss(result: FitResult) -> About:
    """Return the words and works of a result's loss."""
    return LOSS_WORDS.get(result.get("loss") or "", About("a loss of our own (describe it)"))


def grade_of(checks: pd.DataFrame | None) -> tuple[str, str]:
    """Return the grade of a table of checks and its verdict in one line."""
    if checks is None:
        return "unknown", ""
    if not is_trustworthy(checks):
        return "bad", verdict(checks)
    all_passed = bool(checks["passed"].fillna(True).all())
    return "good" if all_passed else "caution", verdict(checks)


def draw_figures(
    result: FitResult,
    prefix: str,
    data: RecallDataset | None = None,
    simulated: RecallDataset | None = None,
    checks: pd.DataFrame | None = None,
    is_cut: bool = False,
) -> list[Figure]:
    """Return the figures of a result, those of the curves first.

    Args:
        result: the result of a fit.
        prefix: what identifiers begin with, unlike that of any other result in the page.
        data: the fitted trials.
        simulated: recalls that the fitted model made of them.
        checks: a table of `jaxcmr.diagnose`, whose worst subjects are drawn one by one.
        is_cut: whether the loss takes the number of recalls as given, where lists are cut off.
    """
    guides = GUIDES_WHERE_CUT if is_cut else GUIDES
    return draw_planned(plan_figures(result, data, simulated, checks, is_cut), prefix, guides)


def plan_figures(
    result: FitResult,
    data: RecallDataset | None,
    simulated: RecallDataset | None,
    checks: pd.DataFrame | None,
    is_cut: bool,
) -> Iterator[Planned]:
    """Yield the figures of a result."""
    if data is not None and simulated is not None:
        of_data, of_model = data, simulated

        def draw_fit(axes: Any) -> pd.DataFrame:
            plots.plot_fit(of_data, of_model, ax=axes)
            return mean_table(plots.fit_table(of_data, of_model))

        yield Planned("fit", "Data and model: three curves", draw_fit, 3.2, 3.1, 3)

        def draw_recalls(ax: Any) -> None:
            plots.plot_recalls_per_list(of_data, of_model, ax=ax)

        title = "Data and model: items recalled per list"
        if is_cut:
            title += " (taken from the data, not predicted)"
        yield Planned("recalls", title, draw_recalls, 5.4, 3.4)
        worst = choose_subjects(of_data, checks)

        def draw_subjects(axes: Any) -> None:
            grid = np.asarray(axes).reshape(len(worst), 3)
            plots.plot_fit_by_subject(of_data, of_model, subjects=worst, ax=grid)

        n, height = len(worst), 1.6 + 0.7 / len(worst)
        title = "Data and model: single subjects"
        yield Planned("subjects", title, draw_subjects, 2.8, height, 3 * n, columns=3)
    if result["free"] and result["fitness"]:

        def draw_parameters(ax: Any) -> None:
            plots.plot_parameters(result, ax=ax)

        height = 0.8 + 0.55 * len(result["free"])
        yield Planned("parameters", "Estimates between their bounds", draw_parameters, 7.2, height)
    if result["free"] and any(n_runs > 1 for _, n_runs in result.agreement()):

        def draw_restarts(ax: Any) -> None:
            plots.plot_restarts(result, ax=ax)

        yield Planned("restarts", "Runs: losses above the best", draw_restarts, 6.0, 3.6)


def mean_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return means over subjects of the curves, data and model side by side."""
    keys = ["measure", "bin"]
    means = table.groupby([*keys, "source"], sort=False)["value"].mean().unstack("source")
    return means.reset_index().sort_values(keys, key=lambda column: column, kind="stable")


def choose_subjects(data: RecallDataset, checks: pd.DataFrame | None) -> list[Any]:
    """Return the subjects to draw: the worst by the checks, or else the first."""
    present = dict.fromkeys(np.asarray(data["subject"]).reshape(-1).tolist())
    ranked = present if checks is None else dict.fromkeys(checks["subject"].tolist())
    return [subject for subject in ranked if subject in present][:MOST_PANELS] or [*present][
        :MOST_PANELS
    ]


OF_FIT: Mapping[str, str] = {
    "data": "data",
    "features": "features",
    "model": "model",
    "loss": "loss",
    "loss_options": "options of the loss",
    "free": "free parameters or bounds",
    "fixed": "fixed parameters",
}
"""What an analysis and the result that it is of must have alike, in words."""


def find_differences(fitted: Mapping[str, Any], result: FitResult) -> list[str]:
    """Return in words what was fitted otherwise in an analysis than in a result.

    Args:
        fitted: as `FitProblem.identify` returns it.
        result: the result of a fit. What it or `fitted` lacks is not compared.

    >>> find_differences({"model": "cru", "loss": "set_likelihood"}, FitResult(model="cmr"))
    ['model']
    """
    return [
        words
        for key, words in OF_FIT.items()
        if key in fitted and key in result and fitted[key] != result[key]
    ]


def check_path(path: str | os.PathLike[str]) -> None:
    """Check that a report gets a name of its own, so that it does not replace a result.

    Raises:
        ValueError: the path does not end in .html or .htm, or is not a path.
    """
    if not isinstance(path, str | os.PathLike):
        raise ValueError(
            f"The second argument, path, is the file to write, such as 'report.html'; got "
            f"{type(path).__name__}."
        )
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"A report is a file that ends in .html; got {os.fspath(path)!r}.")


def name_results(
    results: Source | Sequence[Source] | Mapping[str, Any],
) -> dict[str, FitResult]:
    """Return results by name: by that given, the folder or file, or else the model and loss."""
    if isinstance(results, Mapping) and "fits" not in results:
        return {str(name): as_result(each) for name, each in results.items()}
    if isinstance(results, str | os.PathLike | Mapping):
        results = [results]  # type: ignore[list-item]
    named: dict[str, FitResult] = {}
    for each in results:
        result = as_result(each)
        name = f"{result.get('model') or 'a model'} by {result.get('loss') or 'a loss'}"
        if isinstance(each, str | os.PathLike):
            file = Path(each)
            name = file.parent.name if file.name == "result.json" else file.stem
        numbered = (name if i == 1 else f"{name} ({i})" for i in itertools.count(1))
        named[next(one for one in numbered if one not in named)] = result
    return named
