"""The section of a report on how frequent each model is among subjects."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxcmr import plots
from jaxcmr._result_words import count_of
from jaxcmr.bayes import HierarchicalMAP
from jaxcmr.comparison import (
    ApproximateCrossValidation,
    Comparison,
    CrossValidation,
    ModelSelection,
    information_criteria,
)
from jaxcmr.comparison._criteria import CRITERIA, name_count
from jaxcmr.front._report_figures import Planned, draw_planned
from jaxcmr.reporting import Guide, Numbers, Section, cite
from jaxcmr.results import FitResult

__all__ = ["Evidence", "known_evidence", "make_selection_section"]

GUIDES: Mapping[str, Guide] = {
    "frequencies": Guide(
        "Bars: the expected frequency of each model among subjects, with one standard deviation "
        "to each side. Hollow dots: the probability that it is the most frequent (exceedance); "
        "full dots: the same, protected against the case that all are equally frequent. Dashed: "
        "the frequency if all are equal.",
        "One full dot is close to 1, and the omnibus risk is close to 0.",
        "Full dots near the dashed line: that all are equally frequent cannot be ruled out.",
        "Report expected frequencies, protected exceedance probabilities, the omnibus risk, the "
        "prior, and which log evidence was taken.",
    ),
}
"""How to read the figure."""


class Evidence(NamedTuple):
    """A table of log evidence by subject and model, what it is, and what to think of it."""

    words: str
    caveat: str
    table: pd.DataFrame


def known_evidence(
    results: Mapping[str, FitResult],
    comparisons: Iterable[Comparison],
    groups: Mapping[str, HierarchicalMAP],
    validated: Mapping[str, Mapping[str, CrossValidation | ApproximateCrossValidation]],
) -> list[Evidence]:
    """Return all log evidence that the analyses of a report offer, so that it can be named.

    Args:
        results: by name.
        comparisons: of these results.
        groups: hierarchical fits by result.
        validated: cross-validations by result, by the words for their folds.
    """
    known = [by_criterion(results, kind, n) for kind in CRITERIA for n in ("events", "trials")]
    known += [of_criterion(each.criterion, each.counted, each.log_evidence())
              for each in comparisons]  # fmt: skip
    of_groups = {name: of_group(each) for name, each in groups.items()}
    known.append(
        Evidence(
            "the log evidence given the group (by Laplace's approximation)",
            "The means and standard deviations of the group were fitted to the same recalls: with "
            "few subjects this flatters the model with more parameters.",
            pd.DataFrame(of_groups),
        )
    )
    for folds, found in validated.items():
        known.append(
            Evidence(
                f"the held-out log-likelihood of cross-validation ({folds})",
                "Held-out log-likelihoods are not log evidence: the frequencies are of models that "
                "predict best.",
                pd.DataFrame({name: of_validation(each) for name, each in found.items()}),
            )
        )
    return known


def by_criterion(results: Mapping[str, FitResult], kind: str, n: str) -> Evidence:
    """Return minus half of a criterion of the results that have it."""
    columns, counted = {}, ""
    for name, result in results.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # few observations: the comparison has told
                table = information_criteria(result, n).iloc[:-1].set_index("subject")
        except ValueError:  # not a likelihood, or the result does not say how many n are
            continue
        columns[name], counted = -table[kind] / 2, name_count(result, n)
    return of_criterion(kind, counted, pd.DataFrame(columns))


def of_group(found: HierarchicalMAP) -> pd.Series:
    """Return the log evidence of a hierarchical fit, by subject."""
    return pd.Series(found.log_evidence, list(found.subjects))


def of_validation(found: CrossValidation | ApproximateCrossValidation) -> pd.Series:
    """Return the held-out log-likelihood by subject."""
    return found.by_subject.set_index("subject")["log_likelihood"]


def of_criterion(kind: str, counted: str, table: pd.DataFrame) -> Evidence:
    """Return what minus half of a criterion is."""
    label = CRITERIA[kind]
    words = f"minus half of {label}"
    if kind == "bic":
        caveat = f"Minus half of {label} approximates the log evidence only with many trials."
    else:
        caveat = (
            f"Minus half of {label} does not approximate the log evidence: the frequencies are of "
            "models that would predict new data best."
        )
    return Evidence(words if kind == "aic" else f"{words} (n: {counted})", caveat, table)


UNKNOWN = Evidence(
    "log evidence (say which)",
    "The report cannot tell which log evidence was taken: say it.",
    pd.DataFrame(),
)


def make_selection_section(
    found: ModelSelection,
    results: Mapping[str, FitResult],
    known: Iterable[Evidence],
    prefix: str,
) -> Section:
    """Return the section on random-effects model selection.

    Args:
        found: a selection among models that have the names of results.
        results: by name.
        known: log evidence of these results, to say which one was taken.
        prefix: of identifiers in figures, unlike that of any other section.

    Raises:
        ValueError: it is of other models or subjects.
    """
    check_selects(found, results)
    taken = next((each for each in known if is_same(each.table, found.log_evidence)), UNKNOWN)
    first = results[str(found.log_evidence.columns[0])]
    n, n_fits = found.n_subjects, len(first["fitness"])
    whose = "" if n == n_fits else f"Made for {n} of {n_fits} subjects. "
    shown = found.table()
    what = "model"
    if found.families:
        what = "family"
        shown = shown.rename(columns={"model": what})
        shown["models"] = [", ".join(found.families[name]) for name in shown[what]]
    numbers = [
        Numbers(
            f"alpha: subjects of a {what}, those of the prior included. expected_frequency, sd: "
            "of its frequency. exceedance: probability that it is the most frequent one.",
            shown,
        )
    ]
    if found.responsibilities is not None:
        numbers.append(
            Numbers(
                "Probability of each model for each subject.",
                found.responsibilities.rename_axis("subject").reset_index(),
                True,
            )
        )
    return Section(
        "selection",
        f"How frequent each {what} is",
        whose + found.verdict(),
        "How many subjects like these each model describes best, if subjects may differ in their "
        "model. Report the protected exceedance probability.",
        f"{taken.caveat} Frequencies are among these models alone: the most frequent one may "
        "describe recall badly. Another prior gives other numbers.",
        numbers=numbers,
        figures=draw_planned(plan_selection(found, what), prefix, GUIDES),
        methods=describe_selection(found, taken.words),
    )


def check_selects(found: ModelSelection, results: Mapping[str, FitResult]) -> None:
    """Check that a selection is among models and subjects of results.

    Raises:
        ValueError: it is not.
    """
    table = found.log_evidence
    unknown = [name for name in table.columns if name not in results]
    if unknown:
        raise ValueError(
            f"The selection is among {list(table.columns)}, the results are {list(results)}: name "
            "the columns of the log evidence as the results, as log_evidence(results) does."
        )
    for name in table.columns:
        if results[name].get("pooled"):
            raise ValueError(
                f"The result {name!r} is one fit to all subjects: how frequent a model is among "
                "subjects takes a fit of each."
            )
        fitted = set(results[name]["fits"]["subject"])
        others = [subject for subject in table.index.tolist() if subject not in fitted]
        if others:
            raise ValueError(
                f"The selection is of subject {others[0]!r}, whom the result {name!r} has not. The "
                "rows of the log evidence are named by the ids of the subjects."
            )


def is_same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Return whether a table of log evidence is another one, or a part of it."""
    if not set(other.columns) <= set(one.columns) or not other.index.isin(one.index).all():
        return False
    part = one.loc[other.index, other.columns].to_numpy(float)
    return bool(np.allclose(part, other.to_numpy(float), rtol=1e-9, atol=1e-9))


def plan_selection(found: ModelSelection, what: str) -> Iterator[Planned]:
    """Yield the figure of a selection among models, or families."""

    def draw(ax: Any) -> pd.DataFrame:
        plots.plot_model_frequencies(found, ax=ax)
        return plots.frequencies_table(found).rename(columns={"model": what})

    width = 4.4 + 0.8 * len(found.expected_frequency)
    yield Planned("frequencies", f"Frequency of each {what}", draw, width, 3.4)


def describe_selection(found: ModelSelection, taken: str) -> str:
    """Return how frequencies were estimated, and what they are, for the methods."""
    prior = {
        "spm": f"a prior count of 1 for each {'family' if found.families else 'model'}",
        "vba": "a prior count of 1 in all",
    }.get(found.prior, f"prior counts of {', '.join(f'{each:g}' for each in found.prior_counts)}")
    groups = ""
    if found.families:
        listed = "; ".join(
            f"{name}: {', '.join(models)}" for name, models in found.families.items()
        )
        groups = f" Models were put into families ({listed})."
    how = "by variational Bayes" if found.method == "variational" else "from the exact posterior"
    told = ", ".join(
        f"{row['model']} {row['expected_frequency']:.2f} (SD {row['sd']:.2f}; "
        f"{row['protected_exceedance']:.3f})"
        for row in found.table().to_dict("records")
    )
    return (
        "How frequent each model is among subjects was estimated by random-effects Bayesian model "
        f"selection{cite(['stephan-2009', 'rigoux-2014'])} from {taken} "
        f"of {count_of(found.n_subjects, 'subject')}, {how}, with {prior}.{groups} Expected "
        "frequencies, with standard deviations and protected exceedance probabilities, were: "
        f"{told}. The omnibus risk, that all are equally frequent, was {found.bor:.2g}."
    )
