"""The section of a report on a hierarchical fit: the group, and subjects drawn toward it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from jaxcmr import plots
from jaxcmr._result_words import count_of
from jaxcmr.bayes import HierarchicalMAP
from jaxcmr.bayes._hierarchical import CLEAR
from jaxcmr.front._report import find_differences
from jaxcmr.front._report_figures import Planned, draw_planned
from jaxcmr.front._report_uncertainty_methods import describe_subjects, with_subjects
from jaxcmr.front._report_uncertainty_words import CLOSE
from jaxcmr.parameters import DECADES
from jaxcmr.plots.parameters import declared_scales
from jaxcmr.reporting import Guide, Numbers, Section, cite
from jaxcmr.results import FitResult

__all__ = ["make_group_section"]

WORKS = ("huys-2011", "gershman-2016")

GUIDES: Mapping[str, Guide] = {
    "shrinkage": Guide(
        "For each parameter and subject, the estimate of the fit (hollow dot) and the one that is "
        "drawn toward the group (full dot), joined by a line. Dashed: the median of the group.",
        "Lines are nearly level over a wide range: each subject's own lists determine the "
        "parameter.",
        "All full dots lie close to the dashed line: subjects are alike, or the lists hardly say "
        "how they differ. "
        "Lines from a bound far into the range: such estimates were not determined.",
        "Report the median and spread of the group. Do not correlate shrunken estimates with "
        "something else.",
    ),
}
"""How to read the figure."""


def make_group_section(found: HierarchicalMAP, result: FitResult, prefix: str) -> Section:
    """Return the section on a hierarchical fit that started from a result.

    Args:
        found: of `jaxcmr.bayes.hierarchical_map`.
        result: the result of a fit of each subject.
        prefix: of identifiers in figures, unlike that of any other section.

    Raises:
        ValueError: it is of other subjects, parameters or estimates.
    """
    check_is_of(found, result)
    subjects = list(found.subjects)
    return Section(
        "group",
        "Shrunken estimates, given the group",
        with_subjects(found.verdict(), subjects, result),
        "How a parameter is distributed over subjects like these, if it is normally distributed on "
        "the probit scale; and the best guess for each subject, given its lists and the group. "
        "spread_gain is the log evidence (nats) that would be lost if all subjects had one value. "
        "Of groups without a difference, 1 to 2 % gain 2 or more in a parameter by chance, small "
        "groups perhaps more.",
        "A spread_gain below 2 does not show that subjects are equal. Shrunken estimates are drawn "
        "toward each other: do not test them, or correlate them with something else, as if they "
        "were data. The standard deviation of the group tends to be too small, and depends on the "
        "bounds, as all of this does: report them.",
        warn_of_better(found, result),
        [
            Numbers("The group: mean and standard deviation on the probit scale; median, and low "
                    "to high, between which 68 % of the group lie, in the units of the parameter.",
                    found.group),
            Numbers("Each subject. positive: the Hessian is positive definite, so that there is a "
                    "log evidence. at_rest: the gradient is zero.", found.table(), True),
        ],
        draw_planned(plan_figures(found, result), prefix, GUIDES),
        describe(found, result),
    )  # fmt: skip


def check_is_of(found: HierarchicalMAP, result: FitResult) -> None:
    """Check that a hierarchical fit is of what was fitted in a result, and of its lists.

    Raises:
        ValueError: it is not.
    """
    other = find_differences(found.fitted, result)
    subjects, names = result["fits"]["subject"], list(result["free"])
    ranges = dict(zip(subjects, result.get("trials") or [], strict=False))
    own = found.fitted.get("trials") or []
    if any(ranges.get(each) != lists for each, lists in zip(found.subjects, own, strict=False)):
        other.append("lists")
    if not set(found.subjects) <= set(subjects):
        other.append("subjects")
    elif set(found.names) != set(names):
        other.append("names of parameters")
    elif found.before is not None:
        places = [subjects.index(subject) for subject in found.subjects]
        fitted = np.array([result["fits"][name] for name in names])[:, places].T
        if not np.allclose(found.before[names].to_numpy(), fitted, rtol=1e-6, atol=1e-12):
            other.append("estimates")
    if other:
        raise ValueError(
            f"The hierarchical fit is not of this result, as these differ: {', '.join(other)}. "
            "Start it from the result of the report, hierarchical_map(problem, result)."
        )


def warn_of_better(found: HierarchicalMAP, result: FitResult) -> list[str]:
    """Return a warning if shrunken estimates have a lower loss than those of the fit."""
    losses = dict(zip(result["fits"]["subject"], result["fitness"], strict=True))
    drops = np.array([losses[subject] for subject in found.subjects]) + found.log_likelihood
    lower = drops[drops > result.get("agree_within", CLOSE)]
    if not len(lower):
        return []
    return [
        f"For {count_of(len(lower), 'subject')} the loss at the shrunken estimates is lower than "
        f"that of the fit, by up to {lower.max():.2f} nats: the fit has missed its minimum. Fit "
        "again with more runs."
    ]


def plan_figures(found: HierarchicalMAP, result: FitResult) -> Iterator[Planned]:
    """Yield the figure of estimates before and after shrinkage, if the first are known."""
    if found.before is None:
        return
    before, names = found.before, list(found.names)
    scales = declared_scales(result)
    medians = found.group.set_index("parameter")["median"]

    def draw(axes: Any) -> pd.DataFrame:
        for ax, name in zip(axes, names, strict=True):
            log_from = None
            if scales[name] != "linear":
                log_from = max(result["free"][name]) * 10.0 ** -DECADES[scales[name]]
            plots.plot_shrinkage(
                before, found.estimates, name, median=medians[name], log_from=log_from, ax=ax
            )
            ax.set_ylabel("")
        tables = [plots.shrinkage_table(before, found.estimates, name).assign(parameter=name)
                  for name in names]  # fmt: skip
        return pd.concat(tables, ignore_index=True)

    title = "Estimates before and after shrinkage"
    yield Planned("shrinkage", title, draw, 2.5, 2.5, len(names))


def describe(found: HierarchicalMAP, result: FitResult) -> str:
    """Return how the group was estimated, and its parameters, for the methods."""
    told = ", ".join(
        f"{row['parameter'].replace('_', ' ')} {row['median']:.3g} ({row['low']:.3g} to "
        f"{row['high']:.3g})"
        for row in found.group.to_dict("records")
    )
    ended = "" if found.converged else ", which had not converged"
    alike = found.group.loc[found.group["spread_gain"] < CLEAR, "parameter"].tolist()
    names = ", ".join(name.replace("_", " ") for name in alike)
    n_doubtful = int(np.sum(~found.at_rest | ~np.isfinite(found.log_evidence)))
    reserved = ""
    if alike:
        reserved = f" The data did not show that subjects differ in {names}."
    if n_doubtful:
        reserved += (
            f" For {count_of(n_doubtful, 'subject')} the likelihood has a kink at the estimates, "
            "or does not curve downwards in all directions, so that the approximation is rough or "
            "missing."
        )
    return (
        f"A hierarchical fit of {describe_subjects(list(found.subjects), result)} took the place "
        "of each parameter between its bounds, on the linear or logarithmic scale of the search, "
        "to be normally distributed over subjects after a probit transformation. Means and "
        "standard deviations were chosen by EM with "
        f"Laplace's approximation{cite(WORKS)}, accelerated by squared extrapolation"
        f"{cite(['varadhan-roland-2008'])}, in {len(found.rounds)} rounds{ended}. Medians of the "
        f"group, with the range of its middle 68 %, whose width such fits tend to underestimate, "
        f"were: {told}.{reserved}"
    )
