"""The sections of a report on uncertainty: standard errors, profiles, bootstraps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from jaxcmr import plots
from jaxcmr.fitting import FitProblem
from jaxcmr.front._report import find_differences
from jaxcmr.front._report_figures import Planned, draw_planned
from jaxcmr.front._report_uncertainty_words import (
    CLOSE,
    TITLES,
    drops_of,
    of_bootstrap,
    of_covariance,
    of_profiles,
)
from jaxcmr.plots._axes import COLUMNS
from jaxcmr.reporting import Guide, Section
from jaxcmr.results import FitResult
from jaxcmr.uncertainty import Bootstrap, Covariance, Profiles, covariance

__all__ = ["Uncertainty", "has_fits_of", "make_uncertainty_sections"]

Uncertainty: TypeAlias = Covariance | Profiles | Bootstrap

GUIDES: Mapping[str, Guide] = {
    "spectrum": Guide(
        "For each subject (a column), the standard error along each direction in the space of the "
        "parameters, as a share of the searched range. Subjects without standard errors have none.",
        "All dashes are below the dashed line: every combination of parameters is determined.",
        "Dashes above the line: the subject's lists leave a combination open, with a standard "
        "error of half the searched range or more. Crosses at the top: the loss hardly curves, or "
        "not at all.",
        "See in the table of open directions which parameters make up for one another. Hold one of "
        "them at a value and fit again, or report the combination.",
    ),
    "profiles": Guide(
        "For the subject with the most open ends: how the loss rises as one parameter moves away "
        "from its estimate and all others are fitted anew. The interval is shaded.",
        "Each curve crosses the dashed line on both sides.",
        "A curve that stays below the line up to a bound: the interval is open there. Hollow "
        "points: another parameter, which is not on a bound at the estimates, has reached one.",
        "Do not report the bound as a limit. If a lower loss was found than that of the fit, fit "
        "again from there.",
    ),
    "intervals": Guide(
        "The estimate (dot) and interval (bar) of each subject with profiles, in order of the "
        "estimates. A cap is a confidence limit, a square one that holds only within the bounds of "
        "another parameter, an arrow an open end.",
        "Bars are short next to the spread of the dots: subjects differ by more than their "
        "uncertainty.",
        "Bars overlap nearly all others: differences between these subjects tell little.",
        "Rank subjects, or correlate an estimate with something else, only where bars are short.",
    ),
}
"""How to read each figure."""


def make_uncertainty_sections(
    given: list[Uncertainty], result: FitResult, problem: FitProblem | None, prefix: str
) -> list[Section]:
    """Return a section on each analysis; on standard errors also if they are not given.

    Args:
        given: analyses of the result.
        result: the result of a fit.
        problem: what was fitted. Standard errors are computed from it; None leaves them out.
        prefix: of identifiers in figures, unlike that of any other result.

    Raises:
        ValueError: an analysis is of other fits.
    """
    for found in given:
        check_is_of(found, result)
    sections = []
    if problem is not None and not any(isinstance(found, Covariance) for found in given):
        try:
            given = [covariance(problem, result), *given]
        except ValueError as error:  # such as a loss without a gradient
            why = f"Standard errors were not computed. {error}"
            sections.append(Section("uncertainty", TITLES[Covariance], why, is_made=False))
    for number, found in enumerate(given, 1):
        sections.append(make_section(found, result, problem, f"{prefix}-u{number}"))
    return sections


def check_is_of(found: Uncertainty, result: FitResult) -> None:
    """Check that an analysis is of the fits of a result.

    Raises:
        ValueError: subjects, parameters or estimates differ; or profiles, which begin with a polish
            of the estimates, start from a higher loss.
    """
    other = find_differences(found.fitted, result) if isinstance(found, Profiles) else []
    if isinstance(found, Profiles):
        is_of = (
            not other
            and has_fits_of(found.table, result, None)
            and not any(
                drop < -result.get("agree_within", CLOSE) for drop in drops_of(found, result)
            )
        )
    else:
        table = found.estimates if isinstance(found, Bootstrap) else found.table
        is_of = has_fits_of(table, result, "estimate")
    if not is_of:
        raise ValueError(
            f"This {type(found).__name__} is of other fits than the result"
            f"{', as these differ: ' if other else ''}{', '.join(other)}: compute it for the "
            "result of the report."
        )


def has_fits_of(table: pd.DataFrame, result: FitResult, column: str | None) -> bool:
    """Return whether subjects and parameters of a table are those of a result.

    Args:
        table: with columns ``subject`` and ``parameter``.
        result: the result.
        column: of the table, which must hold the estimates of the result; None compares names.
    """
    fitted = {
        (subject, name): value
        for name in result["free"]
        for subject, value in zip(result["fits"]["subject"], result["fits"][name], strict=True)
    }
    keys = list(zip(table["subject"], table["parameter"], strict=True))
    if not set(keys) <= set(fitted):
        return False
    expected = [fitted[key] for key in keys]
    return column is None or bool(np.allclose(table[column], expected, rtol=1e-6, atol=1e-12))


def make_section(
    found: Uncertainty, result: FitResult, problem: FitProblem | None, prefix: str
) -> Section:
    """Return the section on an analysis."""
    figures = draw_planned(plan_figures(found), prefix, GUIDES)
    if isinstance(found, Covariance):
        section = of_covariance(found, result, problem)
    elif isinstance(found, Profiles):
        section = of_profiles(found, result)
    else:
        section = of_bootstrap(found, result)
    return replace(section, figures=figures)


def plan_figures(found: Uncertainty) -> Iterator[Planned]:
    """Yield the figures of an analysis."""
    if isinstance(found, Covariance) and len(found.spectrum):
        errors = found
        width = float(np.clip(2.5 + 0.05 * len(errors.subjects), 5.0, 9.0))

        def draw_spectrum(ax: Any) -> None:
            plots.plot_spectrum(errors, ax=ax)

        title = "Which directions the data determine"
        yield Planned("spectrum", title, draw_spectrum, width, 3.4)
    if isinstance(found, Profiles):
        profiles = found
        names = list(dict.fromkeys(profiles.table["parameter"]))
        subject = choose_subject(profiles)

        def draw_profiles(axes: Any) -> None:
            plots.plot_profiles(profiles, subject, names, ax=axes)

        def draw_intervals(panels: Any) -> None:
            handles: dict[str, Any] = {}
            for i, (panel, name) in enumerate(zip(panels, names, strict=True)):
                plots.plot_intervals(profiles, name, ax=panel)
                panel.set(xlabel=name, ylabel="" if i % COLUMNS else "subject")
                if panel.get_legend():  # one for all panels
                    panel.get_legend().remove()
                found, labels = panel.get_legend_handles_labels()
                handles.update(zip(labels, found, strict=True))
            panels[0].figure.legend(
                handles.values(), handles, loc="outside upper left", ncols=3, frameon=False
            )

        n = len(names)
        yield Planned("profiles", f"Profiles of subject {subject}", draw_profiles, 2.5, 2.2, n)
        n_subjects = profiles.table["subject"].nunique()
        title = f"Estimates with {100 * profiles.level:g} % intervals"
        height = float(np.clip(1.0 + 0.12 * n_subjects, 1.8, 9.0))
        yield Planned("intervals", title, draw_intervals, 2.7, height, n)


def choose_subject(found: Profiles) -> Any:
    """Return the subject with the most open ends, the first of these."""
    is_open = ~found.table["status"].isin(["closed", "blocked"])
    return is_open.groupby(found.table["subject"], sort=False).sum().idxmax()
