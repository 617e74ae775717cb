"""The sections of a report on models compared by a criterion, and on a test of nested models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from jaxcmr import plots
from jaxcmr._result_words import count_of
from jaxcmr.comparison import Comparison, LikelihoodRatioTest
from jaxcmr.comparison._compare import FEW
from jaxcmr.comparison._criteria import CRITERIA, count_free
from jaxcmr.front._report import find_differences
from jaxcmr.front._report_figures import Planned, draw_planned
from jaxcmr.reporting import Guide, Numbers, Section, cite, criteria_table, differences_table
from jaxcmr.results import POOLED, FitResult

__all__ = ["make_comparison_section", "make_test_section"]

WORKS: Mapping[str, Sequence[str]] = {
    "aic": ["akaike-1974"],
    "aicc": ["hurvich-tsai-1989"],
    "bic": ["schwarz-1978"],
}
"""Whom to cite for a criterion."""

GUIDES: Mapping[str, Guide] = {
    "comparison": Guide(
        "For each model, by how much its criterion is above that of {reference}: mean per "
        "subject (dot) and 95 % bootstrap interval over subjects (line). At the right, the number "
        "of subjects for whom it is best, and the numbers of dot and line.",
        "Intervals away from 0: the model is worse than {reference} for the average subject, or "
        "better if its interval is below 0.",
        "An interval that includes 0: these subjects do not decide between the two models.",
        "Report the interval and the number of subjects, not the sum alone. Intervals hold for a "
        "reference that was named before the fits were seen, analyses=jc.compare(results, "
        "reference=...); from the best model of the same data, they are descriptions.",
    ),
    "weights": Guide(
        "The weights of the models for each subject, stacked to 1; subjects are in order of their "
        "best model.",
        "Most columns have one color: most subjects are decided.",
        "Several blocks of colors: subjects may differ in their model. Mixed columns: their data "
        "do not decide.",
        "If there are several blocks, ask how frequent each model is: "
        "analyses=bayesian_model_selection(...), or --bms in a shell.",
    ),
}
"""How to read each figure; {reference} is the model from which differences are taken."""

# Criteria


def make_comparison_section(
    found: Comparison, results: Mapping[str, FitResult], prefix: str
) -> Section:
    """Return the section on a comparison by a criterion.

    Args:
        found: a comparison of the results.
        results: by name.
        prefix: of identifiers in figures, unlike that of any other section.

    Raises:
        ValueError: it is of other fits.
    """
    check_compares(found, results)
    label = CRITERIA[found.criterion]
    may, caveat, tests = f"Which model describes these recalls better, by {label}.", "", []
    if found.by_subject["subject"].nunique() > 1:
        may = (
            "A model whose interval of differences lies above 0 describes recall worse than "
            f"{found.reference} by {label}, for the average of subjects like these."
        )
        named = "Intervals and p-values hold if the reference was named before the fits were seen."
        if not found.is_named:
            named = (
                f"{found.reference} was not named as the reference, but is the best of these data: "
                "intervals and p-values hold only for a reference that was named in advance."
            )
        caveat = " An interval that includes 0 is not evidence that two models are equally good. "
        caveat += named
        how = f"Paired tests of {label} against {found.reference}, over subjects: Student's t and "
        tests = [Numbers(f"{how}Wilcoxon's signed ranks.", found.tests, True)]
    guides = {
        name: Guide(*(text.replace("{reference}", found.reference) for text in guide_texts(guide)))
        for name, guide in GUIDES.items()
    }
    return Section(
        "comparison",
        "Comparison",
        found.verdict(),
        may,
        "The best of these models may describe recall badly: see its curves." + caveat,
        found.warnings,
        [
            criteria_table(found.table, found.header()),
            differences_table(found.table, label, found.reference),
            *tests,
        ],
        draw_planned(plan_comparison(found), prefix, guides),
        describe_comparison(found),
    )


def guide_texts(guide: Guide) -> tuple[str, ...]:
    """Return the four texts of a guide."""
    return guide.shows, guide.good, guide.bad, guide.action


def check_compares(found: Comparison, results: Mapping[str, FitResult]) -> None:
    """Check that a comparison is of the fits of results, by their names.

    Raises:
        ValueError: models, subjects, losses or numbers of free parameters differ.
    """
    fitted = {
        (name, subject): loss
        for name, result in results.items()
        for subject, loss in zip(result["fits"]["subject"], result["fitness"], strict=True)
    }
    compared = found.by_subject.set_index(["model", "subject"])["loss"].to_dict()
    k = found.table.set_index("model")["k"].to_dict()
    if (
        set(compared) != set(fitted)
        or any(abs(compared[key] - loss) > 1e-9 * abs(loss) for key, loss in fitted.items())
        or any(k[name] != count_free(result) for name, result in results.items())
    ):
        raise ValueError(
            "The comparison is of other fits than the results of the report: compare the same "
            "results by the same names, analyses=jc.compare(results, ...)."
        )


def plan_comparison(found: Comparison) -> Iterator[Planned]:
    """Yield the figures of a comparison."""

    def draw_comparison(ax: Any) -> pd.DataFrame:
        plots.plot_comparison(found, ax=ax)
        return plots.comparison_table(found)

    title = f"{CRITERIA[found.criterion]} above {found.reference}"
    yield Planned("comparison", title, draw_comparison, 7.2, 1.0 + 0.4 * len(found.table))

    def draw_weights(ax: Any) -> pd.DataFrame:
        plots.plot_weights(found, ax=ax)
        return plots.weights_table(found)

    yield Planned("weights", "Weights of the models by subject", draw_weights, 7.2, 3.0)


def describe_comparison(found: Comparison) -> str:
    """Return how models were compared, and their differences, as sentences for the methods."""
    label, n = CRITERIA[found.criterion], found.by_subject["subject"].nunique()
    n_is = "" if found.criterion == "aic" else f", with n the number of {found.counted}"
    if n_is and "n" in found.by_subject:  # given as numbers
        given = sorted(set(found.by_subject["n"]))
        n_is = f", with n = {' to '.join(str(each) for each in given[:: len(given) - 1 or 1])}"
    whose = f"each of {count_of(n, 'subject')}"
    if POOLED in found.by_subject["subject"].tolist():
        whose = "fits to all subjects together"
    told = []
    for row in found.table.to_dict("records"):
        if row["model"] != found.reference:
            low, high = row["low"], row["high"]
            interval = f" ({low:.2f} to {high:.2f})" if low <= high else ""
            told.append(f"{row['model']} {row['mean_difference']:.2f}{interval}")
    intervals = ", with 95 % percentile bootstrap intervals over subjects," if n > 1 else ""
    few = " Intervals over so few subjects are too short." if 1 < n < FEW else ""
    chosen = "" if found.is_named else ", the best model of these data"
    return (
        f"{count_of(len(found.table), 'model')} were compared by {label}"
        f"{cite(WORKS[found.criterion])} of {whose}{n_is}. Mean "
        f"differences of {label} per subject from {found.reference}{chosen}, positive where a "
        f"model is worse{intervals} were: {', '.join(told)}.{few}"
    )


# A test of nested models


def make_test_section(found: LikelihoodRatioTest, results: Mapping[str, FitResult]) -> Section:
    """Return the section on a likelihood-ratio test of two results.

    Raises:
        ValueError: no two results have its likelihood ratios.
    """
    small, big = find_tested(found, results)
    n = len(found.table)
    total = pd.DataFrame([{"subjects": n, **found.total}])
    exact = ""
    if found.method == "bootstrap":
        exact = " p_low, p_high: 95 % interval of p, by how exact the simulation is."
    return Section(
        "test",
        f"Test of {small!r} in {big!r}, {found.method}",
        replace(found, warnings=()).verdict(),
        f"A small p says that {big!r} fits the lists better than {small!r} could explain if it "
        "were right.",
        f"A large p is not evidence that {small!r} is right. A small one does not show that "
        f"{big!r} is right, nor that the difference matters: look at its size. Of several tests, "
        "some have a small p by chance.",
        found.warnings,
        [
            Numbers("statistic: twice the difference of the losses, summed over subjects." + exact,
                    total),
            Numbers("The same for each subject.", found.table, True),
        ],
        methods=describe_test(found, small, big),
    )  # fmt: skip


def describe_test(found: LikelihoodRatioTest, small: str, big: str) -> str:
    """Return how the special case was tested, as sentences for the methods."""
    n, p = len(found.table), found.total["p"]
    what = {
        "bootstrap": f"a parametric bootstrap of {draws_of(found)} simulated data sets per subject",
        "chi2": f"the chi-square distribution with {found.df} df per subject",
        "chibar": f"an equal mixture of chi-square with 0 and 1 df{cite(['self-liang-1987'])} per "
        "subject",
    }[found.method]
    told = f"p = {p:.3g}" if p == p else "without a p, as a loss is not finite"
    if draws_of(found) and p < 1.5 / (draws_of(found) + 1):  # no draw reaches the statistic
        told += ", the lowest that so many data sets allow"
    return " ".join([
        f"Whether the model {big!r} describes recall better than its special case {small!r} was "
        f"tested by the likelihood ratio, with {what}: twice the difference of the losses, summed "
        f"over {count_of(n, 'subject')}, was {found.total['statistic']:.2f}, {told}.",
        *found.warnings,
    ])  # fmt: skip


def draws_of(found: LikelihoodRatioTest) -> int:
    """Return the number of simulated data sets per subject."""
    return 0 if found.draws is None else int(found.draws["draw"].nunique())


def find_tested(found: LikelihoodRatioTest, results: Mapping[str, FitResult]) -> tuple[str, str]:
    """Return the names of the special case and of the bigger model of a test.

    Raises:
        ValueError: what was fitted, the likelihood ratios and the degrees of freedom are not those
            of two results.
    """
    statistics, subjects = found.table["statistic"].to_numpy(), found.table["subject"].tolist()
    for small, of_small in results.items():
        for big, of_big in results.items():
            differ = [
                find_differences(fitted, each)
                for fitted, each in zip(found.fitted, (of_small, of_big), strict=True)
            ]
            one, other = (dict(zip(each["fits"]["subject"], each["fitness"], strict=True))
                          for each in (of_small, of_big))  # fmt: skip
            if any(differ) or not {*subjects} <= one.keys() & other.keys():
                continue
            ratios = np.array([2 * (one[each] - other[each]) for each in subjects])
            df = count_free(of_big) - count_free(of_small)
            is_equal = np.allclose(ratios, statistics, rtol=1e-9, atol=1e-9, equal_nan=True)
            if df == found.df and is_equal:
                return small, big
    raise ValueError(
        "The likelihood-ratio test is of other fits: no two results of the report are of its "
        "models and have its likelihood ratios. Report the results that were tested."
    )
