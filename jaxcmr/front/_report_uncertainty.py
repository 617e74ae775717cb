"""The sections of a report on uncertainty: standard errors, profiles, bootstraps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from jaxcmr import plots
from jaxcmr._result_words import count_of
from jaxcmr.fitting import FitProblem
from jaxcmr.front._report import Planned, draw_planned
from jaxcmr.recovery._parameters import Z_95
from jaxcmr.recovery._truths import from_places
from jaxcmr.reporting import Guide, Numbers, Section, cite
from jaxcmr.results import FitResult
from jaxcmr.uncertainty import STATUSES, Bootstrap, Covariance, Profiles, covariance

__all__ = ["N_COLUMNS", "Uncertainty", "has_fits_of", "make_uncertainty_sections", "panels_of"]

Uncertainty: TypeAlias = Covariance | Profiles | Bootstrap

MOST_ROWS = 400
"""Rows of the table of open directions."""

CLOSE = 0.05
"""Losses that differ by no more are equal, if the result does not say so itself (nats)."""

N_COLUMNS = 4
"""Panels side by side."""

GUIDES: Mapping[str, Guide] = {
    "spectrum": Guide(
        "For each subject (a column), how strongly the loss curves along each direction in the "
        "space of the parameters; at the right, the standard error that follows.",
        "All dashes are above the dashed line: every combination of parameters is determined.",
        "Dashes below the line, or crosses: the subject's lists leave a combination open, with a "
        "standard error of half the searched range or more.",
        "See in the table of open directions which parameters make up for one another. Hold one of "
        "them at a value and fit again, or report the combination.",
    ),
    "profiles": Guide(
        "For the subject with the most open ends: how the loss rises as one parameter moves away "
        "from its estimate and all others are fitted anew. The interval is shaded.",
        "Each curve crosses the dashed line on both sides.",
        "A curve that stays below the line up to a bound: the interval is open there. Hollow "
        "points: another parameter sits on a bound.",
        "Do not report the bound as a limit. If a lower loss was found than that of the fit, fit "
        "again from there.",
    ),
    "intervals": Guide(
        "The estimate (dot) and interval (bar) of each subject, in order of the estimates. An "
        "arrow is an open end.",
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


TITLES: Mapping[type, str] = {
    Covariance: "Uncertainty: standard errors",
    Profiles: "Uncertainty: profiles of the likelihood",
    Bootstrap: "Uncertainty: bootstrap",
}


def check_is_of(found: Uncertainty, result: FitResult) -> None:
    """Check that an analysis is of the fits of a result.

    Raises:
        ValueError: subjects, parameters or estimates differ; or profiles, which begin with a polish
            of the estimates, start from a higher loss.
    """
    if isinstance(found, Profiles):
        is_of = has_fits_of(found.table, result, None) and not any(
            drop < -result.get("agree_within", CLOSE) for drop in drops_of(found, result)
        )
    else:
        table = found.estimates if isinstance(found, Bootstrap) else found.table
        is_of = has_fits_of(table, result, "estimate")
    if not is_of:
        raise ValueError(
            f"This {type(found).__name__} is of other fits than the result: compute it for the "
            "result of the report."
        )


def drops_of(found: Profiles, result: FitResult) -> list[float]:
    """Return for each subject of profiles by how much they start below the loss of the fit."""
    losses = dict(zip(result["fits"]["subject"], result["fitness"], strict=True))
    starts = found.path[found.path["side"] == "estimate"].drop_duplicates("subject")
    return [
        losses[subject] - loss
        for subject, loss in zip(starts["subject"], starts["loss"], strict=True)
    ]


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
        section = of_covariance(found, problem)
    elif isinstance(found, Profiles):
        section = of_profiles(found, result)
    else:
        section = of_bootstrap(found)
    return replace(section, figures=figures)


def of_covariance(found: Covariance, problem: FitProblem | None) -> Section:
    """Return words and tables on standard errors."""
    source = "the curvature of the loss" if found.kind == "hessian" else "the sandwich"
    how = (
        "the inverse of the Hessian of the loss"
        if found.kind == "hessian"
        else f"the sandwich of the Hessian and the gradients of single lists{cite(['white-1982'])}"
    )
    is_open = found.open_directions()[["subject", "eigenvalue", "error", "direction"]]
    shown = is_open.head(MOST_ROWS)
    caption = f"Open directions: {len(shown)} of {len(is_open)}, by subject."
    return Section(
        "uncertainty",
        TITLES[Covariance],
        found.verdict(),
        "How far a subject's estimate would vary over new lists, if the model is right"
        f"{'' if found.kind == 'hessian' else ' on average'} and the loss is nearly quadratic. "
        "An open direction is a combination of parameters that these lists do not determine.",
        "An estimate on a bound, or without an error, is not known exactly: its uncertainty is not "
        "known. A small error does not show that the model is right, or that the search found the "
        "lowest loss. Intervals of CMR by this method are often too short: profiles are surer.",
        numbers=[
            Numbers(
                f"Standard errors by {source}, over subjects. At lower, at upper: estimates on a "
                "bound, which have no error.",
                summarize_errors(found),
            ),
            *([Numbers(caption, shown, True)] if len(shown) else []),
            Numbers("Standard errors of each subject.", with_ends(found, problem), True),
        ],
        methods=f"Standard errors are from {how} at the estimates, by differences in double "
        f"precision on the scale of the search. {found.verdict()}",
    )


def summarize_errors(found: Covariance) -> pd.DataFrame:
    """Return one row per parameter: how many estimates have an error, and medians of these.

    >>> table = pd.DataFrame({"subject": [1, 2], "parameter": "b", "estimate": [0.5, 1.0],
    ...                       "error": [0.1, np.nan], "place": [0.5, 1.0],
    ...                       "place_error": [0.1, np.nan], "status": ["interior", "upper"]})
    >>> found = Covariance("hessian", table, pd.DataFrame(), np.zeros((2, 1, 1)), ("b",))
    >>> summarize_errors(found).values.tolist()
    [['b', 2, 1, 0, 1, 0, 0.1, 0.1]]
    """
    rows = []
    for name, of_one in found.table.groupby("parameter", sort=False):
        counts = {
            each: int((of_one["status"] == each).sum()) for each in ("interior", "lower", "upper")
        }
        rows.append(
            {
                "parameter": name,
                "subjects": len(of_one),
                "error known": counts["interior"],
                "at lower": counts["lower"],
                "at upper": counts["upper"],
                "missing": len(of_one) - sum(counts.values()),
                "median error": float(of_one["error"].median()),
                "share of the range": float(of_one["place_error"].median()),
            }
        )
    return pd.DataFrame(rows)


def with_ends(found: Covariance, problem: FitProblem | None) -> pd.DataFrame:
    """Return estimates and errors with the ends of 95 % intervals, if the problem is known.

    The ends are at 1.96 standard errors on the scale of the search, in the bounds.
    """
    table = found.table[["subject", "parameter", "estimate", "error", "status"]].copy()
    if problem is None:
        return table
    shape = len(found.subjects), len(found.names)
    place, error = (
        found.table[each].to_numpy().reshape(shape) for each in ("place", "place_error")
    )
    for name, sign in (("lower", -1), ("upper", 1)):
        ends = np.clip(place + sign * Z_95 * error, 0.0, 1.0)
        table.insert(table.shape[1] - 1, name, from_places(problem, ends).reshape(-1))
    return table


def of_profiles(found: Profiles, result: FitResult) -> Section:
    """Return words and tables on profiles."""
    level = f"{100 * found.level:g} %"
    statuses = [status for status in STATUSES if (found.table["status"] == status).any()]
    meanings = pd.DataFrame(
        {"status": statuses, "meaning": [STATUSES[status] for status in statuses]}
    )
    return Section(
        "uncertainty",
        TITLES[Profiles],
        found.verdict(),
        "A closed end is a confidence limit, without the assumption that the loss is quadratic. A "
        "blocked one holds within the bounds of the other parameters: report them with it.",
        "An open end is not a limit, and a bound is not one either. An interval says nothing on "
        "whether the model is right, and a second valley of the loss far away is not seen.",
        warnings=warn_of_better(found, result),
        numbers=[
            Numbers(f"{level} intervals over subjects: how their ends were reached.",
                    summarize_ends(found)),
            Numbers("What a side of a profile ends with.", meanings),
            Numbers(f"{level} intervals of each subject.", found.intervals(), True),
        ],
        methods=f"{level} confidence intervals are profiles of the likelihood"
        f"{cite(['venzon-moolgavkar-1988'])}: a limit is where the loss has risen by "
        f"{found.threshold:.2f} nats after all other parameters were fitted anew. "
        f"{found.verdict()}",
    )  # fmt: skip


def warn_of_better(found: Profiles, result: FitResult) -> list[str]:
    """Return warnings of losses that are lower than those of the fits."""
    warnings = []
    lower = [drop for drop in drops_of(found, result) if drop > result.get("agree_within", CLOSE)]
    if lower:
        warnings.append(
            f"For {count_of(len(lower), 'subject')} the profiles start from a loss that is lower "
            f"than that of the fit, by up to {max(lower):.2f} nats: the fit had not ended at a "
            "minimum, or the profiles are of another fit."
        )
    if found.better is not None:
        warnings.append(
            f"A lower loss was found for {count_of(len(found.better['fitness']), 'subject')}: fit "
            "again from there before you use these intervals."
        )
    return warnings


def summarize_ends(found: Profiles) -> pd.DataFrame:
    """Return one row per parameter: how many intervals are closed, and ends by status.

    >>> table = pd.DataFrame({"subject": 1, "parameter": "b", "side": ["lower", "upper"],
    ...                       "status": ["closed", "flat"], "estimate": 0.5, "limit": [0.4, None]})
    >>> found = Profiles(table, pd.DataFrame(), 0.95, 1.92, None)
    >>> summarize_ends(found)[["intervals", "closed", "flat"]].values.tolist()
    [[1, 0, 1]]
    """
    wide = found.intervals()
    ends = wide[["lower_status", "upper_status"]]
    has_limits = ends.isin(["closed", "blocked"]).all(axis=1)
    rows = []
    for name in dict.fromkeys(found.table["parameter"]):
        is_one = wide["parameter"] == name
        row: dict[str, Any] = {"parameter": name, "intervals": int(is_one.sum())}
        row["closed"] = int((has_limits & is_one).sum())
        for status in list(STATUSES)[1:]:
            row[status] = int((ends[is_one] == status).any(axis=1).sum())
        widths = (wide["upper"] - wide["lower"])[is_one & has_limits]
        rows.append({**row, "median width of closed ones": float(widths.median())})
    return pd.DataFrame(rows)


def of_bootstrap(found: Bootstrap) -> Section:
    """Return words and tables on a bootstrap."""
    limits = found.limits()
    rows = []
    for name, of_one in limits.groupby("parameter", sort=False):
        rows.append(
            {
                "parameter": name,
                "subjects": len(of_one),
                "median error": float(of_one["error"].median()),
                "median width": float((of_one["upper"] - of_one["lower"]).median()),
                "with BCa limits": int(of_one["bca_lower"].notna().sum()),
            }
        )
    lists = (
        "resampled with replacement" if found.kind == "lists" else "recalled by the fitted model"
    )
    takes = "lists are independent" if found.kind == "lists" else "the model is right"
    return Section(
        "uncertainty",
        TITLES[Bootstrap],
        found.verdict(),
        f"How far estimates vary over data sets that could have been observed, if {takes}: also "
        "where they pile up on a bound, and how they vary together.",
        "Draws are fitted from the estimates and stay in their valley: a search that missed the "
        "lowest loss is not seen. Limits of an estimate on a bound are not confidence limits.",
        numbers=[
            Numbers("Draws over subjects; widths are of 95 % percentile intervals.",
                    pd.DataFrame(rows)),
            Numbers("95 % limits of each subject.", limits, True),
        ],
        methods=f"In a bootstrap, the parameters were fitted anew to "
        f"{int(found.draws['draw'].max())} sets of each subject's lists, {lists}; limits are "
        f"percentiles, corrected for bias and acceleration where these are known"
        f"{cite(['efron-1987'])}.",
    )  # fmt: skip


def plan_figures(found: Uncertainty) -> Iterator[Planned]:
    """Yield the figures of an analysis."""
    if isinstance(found, Covariance) and len(found.spectrum):
        errors = found
        width = float(np.clip(2.5 + 0.05 * len(errors.subjects), 5.0, 9.0))

        def draw_spectrum(ax: Any) -> None:
            plots.plot_spectrum(errors, ax=ax)

        yield "spectrum", "Which directions the data determine", draw_spectrum, (width, 3.4), (1, 1)
    if isinstance(found, Profiles):
        profiles = found
        names = list(dict.fromkeys(profiles.table["parameter"]))
        subject = choose_subject(profiles)
        shape = -(-len(names) // N_COLUMNS), min(N_COLUMNS, len(names))

        def draw_profiles(axes: Any) -> None:
            plots.plot_profiles(profiles, subject, names, ax=panels_of(axes, len(names)))

        def draw_intervals(axes: Any) -> None:
            for i, (panel, name) in enumerate(zip(panels_of(axes, len(names)), names, strict=True)):
                plots.plot_intervals(profiles, name, ax=panel)
                panel.set(xlabel=name, ylabel="" if i % N_COLUMNS else "subject")

        size = 2.5 * shape[1], 2.2 * shape[0]
        yield "profiles", f"Profiles of subject {subject}", draw_profiles, size, shape
        n_subjects = profiles.table["subject"].nunique()
        size = 2.7 * shape[1], float(np.clip(1.0 + 0.12 * n_subjects, 1.8, 9.0)) * shape[0]
        yield (
            "intervals",
            f"Estimates with {100 * profiles.level:g} % intervals",
            draw_intervals,
            size,
            shape,
        )


def choose_subject(found: Profiles) -> Any:
    """Return the subject with the most open ends, the first of these."""
    is_open = ~found.table["status"].isin(["closed", "blocked"])
    return is_open.groupby(found.table["subject"], sort=False).sum().idxmax()


def panels_of(axes: Any, n: int) -> np.ndarray:
    """Return the first `n` axes of a grid, with the others switched off."""
    panels = np.atleast_1d(np.asarray(axes, dtype=object)).reshape(-1)
    for spare in panels[n:]:
        spare.set_axis_off()
    return panels[:n]
