"""The sections of a report on recovery: of parameters, by number of lists, and of models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import pandas as pd

from jaxcmr import plots
from jaxcmr._result_words import count_of
from jaxcmr.comparison._criteria import CRITERIA
from jaxcmr.front._report_figures import Planned, draw_planned
from jaxcmr.front._report_uncertainty import has_fits_of
from jaxcmr.recovery import ModelRecovery, PowerCurve, Recovery
from jaxcmr.recovery._words import OPTIMISTIC, show_r
from jaxcmr.reporting import Figure, Guide, Numbers, Section, cite
from jaxcmr.results import FitResult

__all__ = ["Recovered", "make_model_sections", "make_recovery_sections"]

Recovered: TypeAlias = Recovery | PowerCurve

WORKS = ("wilson-collins-2019",)

TRUTHS = {
    "fitted": "the estimates of the fits",
    "uniform": "drawn between the bounds on the scale of the search",
    "normal": "drawn from a normal distribution fitted to the estimates",
    "table": "given ones",
}
"""What the true parameters are, in the methods."""

GUIDES: Mapping[str, Guide] = {
    "grid": Guide(
        "Each dot is a simulated subject: the true parameter, and its estimate from lists that "
        "were recalled with it. Both go from 0 at the lower to 1 at the upper bound. Hollow dots "
        "are estimates on a bound.",
        "Dots lie close to the diagonal.",
        "A cloud, or dots at one height: the estimate does not follow the truth. Hollow dots at an "
        "end: the lists cannot tell these truths from the bound.",
        "Interpret only parameters whose dots follow the line. For others fit all subjects "
        "together, hold a parameter at a value, or collect more lists.",
    ),
    "correlations": Guide(
        "Correlations of each true parameter (row) with each estimate (column).",
        "Large on the diagonal, small elsewhere.",
        "A large one off the diagonal: a difference in one parameter is taken for one in another, "
        "unless the truths are correlated themselves.",
        "Interpret such parameters together, or hold one of them at a value.",
    ),
    "power": Guide(
        "How well each parameter is recovered, by the number of lists per subject: one panel per "
        "parameter, with the others in gray.",
        "Lines are high at the number of lists that you have, and flat from there on.",
        "A line that still rises: more lists would help. A low and flat one: they would not.",
        "Plan the number of lists by the parameters that your question is about.",
    ),
    "confusion": Guide(
        "Left: how often each model (column) is the best one for data of each model (row). Right: "
        "how probable each model (row) is, given the best one (column).",
        "Close to 1 on both diagonals.",
        "A row with a large value off the diagonal: its data are often best fitted by the other "
        "model.",
        "Report the matrix beside the comparison. Where models are taken for one another, do not "
        "name a winner for single subjects.",
    ),
}
"""How to read each figure."""


def make_recovery_sections(given: list[Recovered], result: FitResult, prefix: str) -> list[Section]:
    """Return a section on each recovery of a result's parameters.

    Args:
        given: recoveries of the result.
        result: the result of a fit.
        prefix: of identifiers in figures, unlike that of any other result.

    Raises:
        ValueError: a recovery is of other fits.
    """
    sections = []
    for number, found in enumerate(given, 1):
        for each in found.recoveries.values() if isinstance(found, PowerCurve) else [found]:
            check_is_of(each, result)
        figures = draw_planned(plan_figures(found), f"{prefix}-v{number}", GUIDES)
        sections.append(
            of_curve(found, figures) if isinstance(found, PowerCurve) else of_one(found, figures)
        )
    return sections


def check_is_of(found: Recovery, result: FitResult) -> None:
    """Check that a recovery is of the fits of a result.

    Raises:
        ValueError: subjects or parameters differ, or truths that were the estimates.
    """
    column = "truth" if found.parameters == "fitted" else None
    has_all = set(found.table["parameter"]) == set(result["free"])
    if not has_all or not has_fits_of(found.table, result, column):
        raise ValueError(
            "This recovery is of other fits than the result: make it for the result of the report."
        )


MAY = (
    "With so many lists, and subjects who differ as these do, differences between subjects can be "
    "interpreted in parameters with a high r, and means of groups where the bias is small."
)
MAY_NOT = (
    "The model recalled these data itself: recovery does not show that it describes the subjects. "
    "A parameter with a low r may still matter; its estimates for single subjects are mostly "
    "error, so that a missing correlation with something else tells nothing. r is higher where "
    "truths vary more: report RMSE and range beside it."
)


def may_not_of(found: Recovery) -> str:
    """Return what may not be concluded, also from truths that were estimates."""
    return f"{MAY_NOT} {OPTIMISTIC.get(found.parameters, '')}".rstrip()


def of_one(found: Recovery, figures: Sequence[Figure]) -> Section:
    """Return the section on a recovery."""
    summary = found.summary()
    listed = ", ".join(
        f"{str(row.parameter).replace('_', ' ')}{show_r(row) or ' unknown'}"
        for row in summary.itertuples(index=False)
    )
    return Section(
        "recovery",
        "Recovery of parameters",
        found.verdict(),
        MAY,
        may_not_of(found),
        warn_of_missed(found.n_missed, len(found.losses)),
        [
            Numbers("Places between the bounds (0 to 1). r_low, r_high: 95 % interval of r. "
                    "at_bound: share of estimates on a bound.", summary),
            Numbers("The same in the units of the parameters.", found.summary("user"), True),
        ],
        figures,
        describe_simulation(
            found,
            "whether parameters can be recovered",
            f"{count_of(len(found.losses), 'simulated subject')} with "
            f"{count_of(found.n_lists, 'list')} each",
        )
        + " Correlations r of truth and estimate on the scale of the search, with approximate "
        f"95 % intervals (the wider of Fisher's z and a bootstrap), were: {listed}.",
    )  # fmt: skip


def of_curve(found: PowerCurve, figures: Sequence[Figure]) -> Section:
    """Return the section on recoveries by number of lists."""
    first = next(iter(found.recoveries.values()))
    *others, last = (str(n) for n in found.recoveries)
    numbers = f"{', '.join(others)} and {last}" if others else last
    table = plots.power_table(found).reset_index().rename(columns={"n_lists": "lists"})
    table.columns.name = None
    missed = sum(each.n_missed for each in found.recoveries.values())
    n = sum(len(each.losses) for each in found.recoveries.values())
    return Section(
        "recovery",
        "Recovery by number of lists",
        found.verdict(),
        MAY,
        may_not_of(first),
        warn_of_missed(missed, n),
        [
            Numbers("r of truth and estimate on the scale of the search, by lists per simulated "
                    "subject.", table),
            Numbers("All statistics, by lists per simulated subject.", found.table, True),
        ],
        figures,
        describe_simulation(
            first,
            "how recovery of parameters depends on the number of lists",
            f"{count_of(len(first.losses), 'simulated subject')} for each of {numbers} lists",
        ),
    )  # fmt: skip


def warn_of_missed(n_missed: int, n: int) -> list[str]:
    """Return a warning if the search missed a minimum."""
    if not n_missed:
        return []
    return [
        f"For {n_missed} of {count_of(n, 'simulated subject')} the loss at the truth is lower than "
        "at the estimate: the search has missed the minimum. Repeat the recovery with a more "
        "thorough search before you read on."
    ]


def describe_simulation(found: Recovery, question: str, who: str) -> str:
    """Return what was simulated and fitted, as a sentence for the methods."""
    return (
        f"To see {question}{cite(WORKS)}, the model recalled the lists of the subjects with known "
        f"parameters, {TRUTHS[found.parameters]}, and was fitted to this recall by a search that "
        f"did not start from them ({who})."
    )


def plan_figures(found: Recovered) -> Iterator[Planned]:
    """Yield the figures of a recovery."""
    n = found.table["parameter"].nunique()
    if isinstance(found, PowerCurve):
        curve = found

        def draw_power(axes: Any) -> pd.DataFrame:
            plots.plot_power(curve, ax=axes)
            return plots.power_table(curve).reset_index()

        yield Planned("power", "Recovery by number of lists", draw_power, 2.5, 2.2, n)
        return
    recovery = found

    def draw_grid(axes: Any) -> pd.DataFrame:
        plots.plot_recovery(recovery, ax=axes)
        return plots.recovery_table(recovery)

    yield Planned("grid", "Estimates against the truth", draw_grid, 2.5, 2.6, n)

    def draw_correlations(ax: Any) -> pd.DataFrame:
        plots.plot_recovery_correlations(recovery, ax=ax)
        return plots.recovery_correlations_table(recovery)

    if n > 1:
        width, height = 3.2 + 0.42 * n, 2.4 + 0.36 * n
        yield Planned("correlations", "What is taken for what", draw_correlations, width, height)


def make_model_sections(
    given: Sequence[ModelRecovery], results: Mapping[str, FitResult]
) -> list[Section]:
    """Return a section on each recovery of models, which have the names of the results.

    Raises:
        ValueError: a recovery is of subjects that no result has.
    """
    sections = []
    known = {subject for result in results.values() for subject in result["fits"]["subject"]}
    for number, found in enumerate(given, 1):
        for subject in found.criteria["subject"].tolist():
            if subject not in known:
                raise ValueError(
                    f"A recovery of models is of subject {subject}, whom no result has: it is of "
                    "other data."
                )
        found = named_as(results, found)
        recovery, size = found, 2.4 + 0.7 * len(found.counts)

        def draw(axes: Any, recovery: ModelRecovery = recovery) -> pd.DataFrame:
            plots.plot_confusion(recovery, ax=axes)
            return plots.confusion_table(recovery)

        title = "Confusion and inversion matrix"
        planned = Planned("confusion", title, draw, size, size, 2)
        figures = draw_planned([planned], f"all-m{number}", GUIDES)
        sections.append(of_models(found, figures))
    return sections


def named_as(results: Mapping[str, FitResult], found: ModelRecovery) -> ModelRecovery:
    """Return a recovery with its models named as in the report.

    A model without a result of its name, such as "cmr", is the only other result of this model
    with as many parameters: the recovery names a result by its model if it has no other name.
    """
    names: dict[str, str] = {}
    others = [name for name in results if name not in found.counts.index]
    for model in found.counts.index.difference(list(results), sort=False):
        rows = found.criteria[found.criteria["fitted"] == model]
        k = (rows["aic"] / 2 - rows["loss"]).median()  # AIC = 2 loss + 2 k
        same = [
            name
            for name in others
            if results[name].get("model") == model and abs(len(results[name]["free"]) - k) < 0.5
        ]
        if len(same) == 1:
            names[model] = same[0]
    counts = found.counts.rename(index=names, columns=names)
    columns = {each: found.criteria[each].replace(names) for each in ("simulated", "fitted")}
    return replace(found, counts=counts, criteria=found.criteria.assign(**columns))


def of_models(found: ModelRecovery, figures: Sequence[Figure]) -> Section:
    """Return the section on a recovery of models."""
    label, models = CRITERIA[found.criterion], list(found.counts.index)
    n = round(float(found.counts.to_numpy()[0].sum()))
    winners = found.group_winners().rename_axis("simulated").reset_index()
    low, high = found.intervals()
    shares = ", ".join(
        f"{name} {found.confusion.loc[name, name]:.2f} (95 % interval {low.loc[name, name]:.2f} to "
        f"{high.loc[name, name]:.2f})"
        for name in models
    )
    return Section(
        "recovery",
        "Recovery of models",
        found.verdict(),
        f"How often {label} names the model that made the data of a subject, and how much a win "
        "says, for subjects and lists such as these. The sum over subjects is surer than a single "
        "one: the second table has its winner.",
        "The matrices hold for these models alone: if another one made the data, one of these "
        "still fits best. The right-hand matrix takes the models to be equally likely beforehand. "
        "Shares of few simulated subjects are uncertain: see the intervals.",
        numbers=[
            Numbers("count: simulated subjects of a model (simulated) that another (fitted) fits "
                    "best; equal models share a subject. confusion: its share, with 95 % interval "
                    "low to high. inversion: p(simulated | fits best).",
                    plots.confusion_table(found)),
            Numbers(f"The model with the lowest {label} summed over simulated subjects.", winners),
        ],
        figures=figures,
        methods=f"To see whether models can be told apart{cite(WORKS)}, {len(models)} models "
        f"({', '.join(models)}) recalled the lists of {count_of(n, 'simulated subject')} each with "
        f"their estimates, and all were fitted to this recall. By {label}, the model that made the "
        f"data was the best with a share of: {shares}.",
    )  # fmt: skip
