"""The section of a report on the cross-validation of a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from jaxcmr import plots
from jaxcmr._result_words import count_of
from jaxcmr.comparison import ApproximateCrossValidation, CrossValidation
from jaxcmr.fitting._trials import to_rows
from jaxcmr.front._report import find_differences
from jaxcmr.front._report_figures import Planned, draw_planned
from jaxcmr.front._report_uncertainty_methods import describe_subjects, with_subjects
from jaxcmr.front._report_uncertainty_words import CLOSE
from jaxcmr.reporting import Guide, Numbers, Section, cite
from jaxcmr.results import FitResult

__all__ = ["Validation", "caveat_of", "folds_of", "make_prediction_section"]

Validation: TypeAlias = CrossValidation | ApproximateCrossValidation

GUIDES: Mapping[str, Guide] = {
    "optimism": Guide(
        "For each subject, in order, by how much the lists are described better by parameters "
        "that were fitted to all of them than by parameters that were fitted to other lists.",
        "Bars about as high as the number of free parameters (gray line), where AIC puts them, or "
        "lower.",
        "Bars far above the gray line: parameters were fitted to what is peculiar to some lists. "
        "But with few folds bars are higher also for a right model, as it was fitted to fewer "
        "lists: in a linear regression with 11 parameters, 16.5 with two folds, 11.9 with seven.",
        "Compare models by their held-out log-likelihood. Fix parameters that the lists do not "
        "determine, or collect more lists.",
    ),
}
"""How to read the figure."""


def make_prediction_section(found: Validation, result: FitResult, prefix: str) -> Section:
    """Return the section on the cross-validation of a result's model.

    Args:
        found: predictions of the lists that were fitted.
        result: the result of a fit.
        prefix: of identifiers in figures, unlike that of any other section.

    Raises:
        ValueError: it is of other data, lists, losses or parameters.
    """
    check_is_of(found, result)
    subjects = list(dict.fromkeys(found.by_list["subject"]))
    details = [Numbers("Each subject, in nats.", plots.optimism_table(found, result), True)]
    if isinstance(found, ApproximateCrossValidation):
        details = [
            Numbers("Each subject, in nats. penalty: about the number of parameters if the model "
                    "is right. tic: Takeuchi's criterion.", found.by_subject, True)
        ]  # fmt: skip
    else:
        details.append(
            Numbers("Each fold: lists fitted (n_train) and held out (n_test), and the estimates.",
                    found.by_fold, True)
        )  # fmt: skip
    return Section(
        "prediction",
        f"Prediction of held-out lists, {folds_of(found)}",
        with_subjects(found.verdict(), subjects, result),
        "How well the model predicts further lists of these subjects, if it is fitted to so many. "
        "Compare it with that of another model, of the same folds.",
        "The number alone says little. A model that predicts better than another is not thereby "
        "right. " + caveat_of(found),
        warn_of_better(found, result),
        numbers=[
            Numbers(
                "Sums over subjects, in nats. optimism: in sample less held out.",
                summarize(found, result),
            ),
            *details,
        ],
        figures=draw_planned(plan_figures(found, result), prefix, GUIDES),
        methods=describe(found, result),
    )


CAVEATS = {
    "approximate": "These are approximations, too optimistic where one list moves the estimates "
    "far: decide between models by cross-validation itself.",
    "with starts": "The fits to folds started where those to all lists ended, and may have missed "
    "a lower loss: predictions then look better than they are. If two models differ by a few nats "
    "per subject, add random runs, cross_validate(..., search='quick').",
    "without": "",
}
"""What to keep in mind of an approximation, and of fits to folds that started from others."""


def caveat_of(found: Validation) -> str:
    """Return what to keep in mind of predictions."""
    if isinstance(found, ApproximateCrossValidation):
        return CAVEATS["approximate"]
    return CAVEATS["with starts" if found.has_starts else "without"]


def check_is_of(found: Validation, result: FitResult) -> None:
    """Check that predictions are of what was fitted in a result, and of its lists.

    Raises:
        ValueError: they are not.
    """
    if result.get("pooled"):
        raise ValueError(
            "The cross-validation is of each subject, and the result is one fit to all of them: it "
            "belongs to a fit of each subject."
        )
    other = find_differences({**found.about, **found.fitted}, result)
    ranges = dict(zip(result["fits"]["subject"], result.get("trials") or [], strict=False))
    for subject, of_one in found.by_list.groupby("subject", sort=False):
        if subject not in ranges or set(of_one["trial"]) != set(to_rows(ranges[subject]).tolist()):
            other.append("lists")
            break
    if isinstance(found, ApproximateCrossValidation):
        losses = dict(zip(result["fits"]["subject"], result["fitness"], strict=True))
        fits = [-losses.get(subject, np.nan) for subject in found.by_subject["subject"]]
        if not np.allclose(found.by_subject["in_sample"], fits, rtol=1e-9):
            other.append("estimates")
    if other:
        raise ValueError(
            f"The cross-validation is not of this result, as these differ: {', '.join(other)}. "
            "Make it for the result of the report, cross_validate(problem, start_from=result)."
        )


def warn_of_better(found: Validation, result: FitResult) -> list[str]:
    """Return a warning if held-out lists are predicted better than they were fitted.

    With the estimates u of all lists and v of all but those of a fold, at their lowest losses,
    ``L_fold(v) + L_rest(v) >= L_fold(u) + L_rest(u)`` and ``L_rest(v) <= L_rest(u)``, so that
    ``L_fold(v) >= L_fold(u)``.
    """
    if isinstance(found, ApproximateCrossValidation):
        return []
    gained = -plots.optimism_table(found, result)["optimism"]
    better = gained[gained > result.get("agree_within", CLOSE)]
    if not len(better):
        return []
    return [
        f"For {count_of(len(better), 'subject')} held-out lists are predicted better than they "
        f"were fitted, by up to {better.max():.2f} nats: the fit has missed its minimum, or these "
        "are predictions of another fit."
    ]


def summarize(found: Validation, result: FitResult) -> pd.DataFrame:
    """Return sums over the subjects for whom predictions are known, in one row."""
    table = plots.optimism_table(found, result)
    known = table[np.isfinite(table["held_out"])]
    row: dict[str, Any] = {"subjects": len(known), "lists": int(known["n_lists"].sum())}
    lists = found.by_list[found.by_list["subject"].isin(known["subject"])]
    row |= {
        name: float(known[name].sum(min_count=1)) for name in ("in_sample", "held_out", "optimism")
    }
    n_events = int(lists["n_events"].sum())
    if n_events > 0:
        row["held_out_per_event"] = row["held_out"] / n_events
    row["mean_optimism"] = float(known["optimism"].mean())
    return pd.DataFrame([row])


def plan_figures(found: Validation, result: FitResult) -> Iterator[Planned]:
    """Yield the figure of predictions by one model, if there are any."""

    def draw(ax: Any) -> pd.DataFrame:
        plots.plot_optimism(found, result, ax=ax)
        return plots.optimism_table(found, result)

    if np.isfinite(found.by_list["log_likelihood"]).any():
        yield Planned("optimism", "Lists fitted and held out", draw, 6.4, 3.4)


def describe(found: Validation, result: FitResult) -> str:
    """Return how lists were predicted, and how well, as sentences for the methods."""
    row = summarize(found, result).iloc[0]
    if not row["subjects"]:
        return ""
    subjects = list(dict.fromkeys(found.by_list["subject"]))
    whose = describe_subjects(subjects, result)
    unknown = ""
    if isinstance(found, ApproximateCrossValidation):
        how = (
            f"Predictions of held-out lists of {whose} were approximated by one Newton step per "
            f"list from the fit to all lists{cite(['jaeckel-1972'])}."
        )
        n_unknown = len(subjects) - int(row["subjects"])
        if n_unknown:
            unknown = (
                f" For {count_of(n_unknown, 'subject')} it is not known, as a step ended outside "
                "the bounds, or the loss does not curve upwards in all directions."
            )
    else:
        n = found.by_fold.groupby("subject", sort=False).size()
        each = f"{n.min()}" if n.min() == n.max() else f"{n.min()} to {n.max()}"
        how = (
            f"In cross-validation, the lists of {whose} were held out {folds_of(found)}, in {each} "
            "folds each, and predicted by the parameters that were fitted to the subject's other "
            "lists."
        )
        if found.has_starts:
            how += " These fits started where the fits to all lists had ended."
    return (
        f"{how} The held-out log-likelihood was {row['held_out']:.1f} nats for "
        f"{count_of(int(row['subjects']), 'subject')} with {count_of(int(row['lists']), 'list')}, "
        f"beside {row['in_sample']:.1f} in sample.{unknown}"
    )


def folds_of(found: Validation) -> str:
    """Return in words how lists were divided."""
    if isinstance(found, ApproximateCrossValidation):
        return "one list at a time by an approximation"
    if isinstance(found.folds, int):
        return f"one list in {found.folds} at a time"
    return f"one {found.folds} at a time"
