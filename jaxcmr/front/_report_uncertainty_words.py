"""Words and tables of a report on standard errors, profiles and bootstraps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from jaxcmr._result_words import count_of
from jaxcmr.fitting import FitProblem
from jaxcmr.front._report_uncertainty_methods import (
    describe_ends,
    describe_errors,
    describe_subjects,
    with_subjects,
)
from jaxcmr.recovery._intervals import Z_95
from jaxcmr.recovery._truths import from_places
from jaxcmr.reporting import Numbers, Section, cite
from jaxcmr.results import FitResult
from jaxcmr.uncertainty import STATUSES, Bootstrap, Covariance, Profiles

__all__ = ["CLOSE", "TITLES", "drops_of", "of_bootstrap", "of_covariance", "of_profiles"]

MOST_ROWS = 400
"""Rows of the table of open directions."""

CLOSE = 0.05
"""Losses that differ by no more are equal, if the result does not say so itself (nats)."""

TITLES: Mapping[type, str] = {
    Covariance: "Uncertainty: standard errors",
    Profiles: "Uncertainty: profiles of the likelihood",
    Bootstrap: "Uncertainty: bootstrap",
}


def of_covariance(found: Covariance, result: FitResult, problem: FitProblem | None) -> Section:
    """Return words and tables on standard errors."""
    source, how, takes = {
        "hessian": (
            "the curvature of the loss",
            "the inverse of the Hessian of the loss",
            "the model is right",
        ),
        "sandwich": (
            "the sandwich",
            f"the sandwich of the Hessian and the gradients of single lists{cite(['white-1982'])}",
            "lists are independent",
        ),
    }[found.kind]
    is_open = found.open_directions()[["subject", "eigenvalue", "error", "direction"]]
    shown = is_open.head(MOST_ROWS)
    caption = f"Open directions: {len(shown)} of {len(is_open)}, by subject."
    return Section(
        "uncertainty",
        TITLES[Covariance],
        with_subjects(found.verdict(), found.subjects, result),
        f"How far a subject's estimate would vary over new lists, if {takes} and the loss is "
        "nearly quadratic. An open direction is a combination of parameters that these lists do "
        "not determine.",
        "An estimate without an error, as on a bound, is not an exact one: its uncertainty is not "
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
        methods=f"Standard errors of {describe_subjects(found.subjects, result)} are from {how} at "
        f"the estimates, by differences in double precision on the scale of the search. "
        f"{describe_errors(found)}",
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
    subjects = list(dict.fromkeys(found.table["subject"]))
    statuses = [status for status in STATUSES if (found.table["status"] == status).any()]
    meanings = pd.DataFrame(
        {"status": statuses, "meaning": [STATUSES[status] for status in statuses]}
    )
    return Section(
        "uncertainty",
        TITLES[Profiles],
        with_subjects(found.verdict(), subjects, result),
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
        methods=f"{level} confidence intervals of {describe_subjects(subjects, result)} are "
        f"profiles of the likelihood{cite(['venzon-moolgavkar-1988'])}: a limit is where the loss "
        f"has risen by {found.threshold:.2f} nats after all other parameters were fitted anew. "
        f"{describe_ends(found)}",
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


def drops_of(found: Profiles, result: FitResult) -> list[float]:
    """Return for each subject of profiles by how much they start below the loss of the fit."""
    losses = dict(zip(result["fits"]["subject"], result["fitness"], strict=True))
    starts = found.path[found.path["side"] == "estimate"].drop_duplicates("subject")
    return [
        losses[subject] - loss
        for subject, loss in zip(starts["subject"], starts["loss"], strict=True)
    ]


def summarize_ends(found: Profiles) -> pd.DataFrame:
    """Return one row per parameter: how many intervals are closed, and ends by status.

    Of the intervals with two limits, those are closed that no other parameter has blocked.

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
        row["two limits"] = int((has_limits & is_one).sum())
        row["closed"] = int(((ends == "closed").all(axis=1) & is_one).sum())
        for status in list(STATUSES)[1:]:
            row[status] = int((ends[is_one] == status).any(axis=1).sum())
        widths = (wide["upper"] - wide["lower"])[is_one & has_limits]
        rows.append({**row, "median width with two limits": float(widths.median())})
    return pd.DataFrame(rows)


def of_bootstrap(found: Bootstrap, result: FitResult) -> Section:
    """Return words and tables on a bootstrap."""
    limits = found.limits()
    subjects = list(dict.fromkeys(found.draws["subject"]))
    rows = []
    for name, of_one in limits.groupby("parameter", sort=False):
        rows.append(
            {
                "parameter": name,
                "subjects": int(of_one["mean"].notna().sum()),
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
        with_subjects(found.verdict(), subjects, result),
        f"How far estimates vary over data sets that could have been observed, if {takes}: also "
        "where they pile up on a bound, and how they vary together.",
        "Draws are fitted from the estimates and stay in their valley: a search that missed the "
        "lowest loss is not seen. Limits of an estimate on a bound are not confidence limits.",
        numbers=[
            Numbers("Draws over subjects; widths are of 95 % percentile intervals.",
                    pd.DataFrame(rows)),
            Numbers("95 % limits of each subject.", limits, True),
        ],
        methods=f"In a bootstrap, the parameters of {describe_subjects(subjects, result)} were "
        f"fitted anew to {int(found.draws['draw'].max())} sets of lists each, {lists}. Limits are "
        f"percentiles, corrected for bias and acceleration where these are known"
        f"{cite(['efron-1987'])}.",
    )  # fmt: skip
