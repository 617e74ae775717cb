"""The analyses in a report: which result each is of, and the sections that are made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias, get_args

from jaxcmr.bayes import HierarchicalMAP
from jaxcmr.comparison import Comparison, LikelihoodRatioTest, ModelSelection, compare
from jaxcmr.fitting import FitProblem
from jaxcmr.front._report_comparison import make_comparison_section, make_test_section
from jaxcmr.front._report_group import make_group_section
from jaxcmr.front._report_prediction import Validation, folds_of, make_prediction_section
from jaxcmr.front._report_predictions import make_predictions_sections
from jaxcmr.front._report_recovery import Recovered, make_model_sections, make_recovery_sections
from jaxcmr.front._report_selection import known_evidence, make_selection_section
from jaxcmr.front._report_uncertainty import Uncertainty, make_uncertainty_sections
from jaxcmr.names import describe_unknown
from jaxcmr.recovery import ModelRecovery
from jaxcmr.reporting import Section
from jaxcmr.results import FitResult

__all__ = ["Analyses", "Given", "make_sections", "make_sections_of_all", "sort_analyses"]

OfResult: TypeAlias = Uncertainty | Validation | HierarchicalMAP | Recovered
OfAll: TypeAlias = Comparison | ModelSelection | LikelihoodRatioTest | ModelRecovery
Analysis: TypeAlias = OfResult | OfAll
Given: TypeAlias = (
    Analysis | Sequence[Analysis] | Mapping[str, Analysis | Sequence[Analysis]] | None
)
"""Analyses as they are handed in."""


class Analyses(NamedTuple):
    """Analyses by the name of the result that they are of, and those of all results together."""

    of_results: Mapping[str, list[OfResult]] = {}
    of_all: Sequence[OfAll] = ()


def sort_analyses(names: Sequence[str], given: Given) -> Analyses:
    """Return analyses by result.

    Args:
        names: of the results.
        given: one analysis or several of a single result, or a dict of these by result. Analyses of
            all results together may have another word as their key.

    Raises:
        ValueError: one is not an analysis, or it is not said which result it is of.
    """
    of_results: dict[str, list[OfResult]] = {}
    of_all: list[OfAll] = []
    by_key = given if isinstance(given, Mapping) else {None: given}
    for key, value in by_key.items():
        for found in value if isinstance(value, list | tuple) else [value]:
            if isinstance(found, OfAll):
                of_all.append(found)
            elif isinstance(found, OfResult):
                of_results.setdefault(name_of(key, names, found), []).append(found)
            elif found is not None:
                kinds = ", ".join(kind.__name__ for kind in get_args(Analysis))
                raise ValueError(f"An analysis is one of {kinds}; got {type(found).__name__}.")
    return Analyses(of_results, of_all)


def name_of(key: str | None, names: Sequence[str], found: OfResult) -> str:
    """Return the name of the result that an analysis is of.

    Raises:
        ValueError: the name is unknown, or missing where there are several results.
    """
    if key is None and len(names) == 1:
        return names[0]
    if key is None:
        raise ValueError(
            f"There are {len(names)} results: say which one this {type(found).__name__} is of, "
            f"analyses={{{names[0]!r}: ...}}."
        )
    if key not in names:
        raise ValueError(
            f"A {type(found).__name__} is of one result, by its name. "
            f"{describe_unknown('result', key, names)}"
        )
    return key


def make_sections(
    analyses: Analyses, name: str, result: FitResult, problem: FitProblem | None, prefix: str
) -> list[Section]:
    """Return the sections of a result's chapter.

    Args:
        analyses: of all results.
        name: of the result.
        result: the result of a fit.
        problem: what was fitted, from which standard errors are computed; None leaves them out.
        prefix: of identifiers in figures, unlike that of any other result.

    Raises:
        ValueError: an analysis is of other fits.
    """
    own = analyses.of_results.get(name, [])
    errors = [each for each in own if isinstance(each, Uncertainty)]
    groups = [each for each in own if isinstance(each, HierarchicalMAP)]
    predictions = [each for each in own if isinstance(each, Validation)]
    recovered = [each for each in own if isinstance(each, Recovered)]
    return [
        *make_uncertainty_sections(errors, result, problem, prefix),
        *(make_group_section(each, result, f"{prefix}-g{i}") for i, each in enumerate(groups, 1)),
        *(
            make_prediction_section(each, result, f"{prefix}-p{i}")
            for i, each in enumerate(predictions, 1)
        ),
        *make_recovery_sections(recovered, result, prefix),
    ]


def make_sections_of_all(analyses: Analyses, results: Mapping[str, FitResult]) -> list[Section]:
    """Return the sections on all results together.

    Without a comparison among the analyses, several results are compared by AICc.

    Args:
        analyses: of all results.
        results: by name.

    Raises:
        ValueError: an analysis is of other fits.
    """
    comparisons = [each for each in analyses.of_all if isinstance(each, Comparison)]
    selections = [each for each in analyses.of_all if isinstance(each, ModelSelection)]
    tests = [each for each in analyses.of_all if isinstance(each, LikelihoodRatioTest)]
    models = [each for each in analyses.of_all if isinstance(each, ModelRecovery)]
    sections: list[Section] = []
    if not comparisons and len(results) > 1:
        try:
            comparisons = [compare(results)]
        except ValueError as error:
            why = f"The models were not compared by a criterion. {error}"
            sections.append(Section("comparison", "Comparison", why, is_made=False))
    validated, groups = by_folds(analyses), last_groups(analyses)
    known = known_evidence(results, comparisons, groups, validated) if selections else []
    named = [each.reference for each in comparisons if each.is_named]
    return [
        *sections,
        *(
            make_comparison_section(each, results, f"all-c{i}")
            for i, each in enumerate(comparisons)
        ),
        *(
            make_selection_section(each, results, known, f"all-s{i}")
            for i, each in enumerate(selections)
        ),
        *make_predictions_sections(validated, named[0] if named else None, "all"),
        *(make_test_section(each, results) for each in tests),
        *make_model_sections(models, results),
    ]


def by_folds(analyses: Analyses) -> dict[str, dict[str, Validation]]:
    """Return cross-validations by the words for their folds, then by the name of their result.

    Raises:
        ValueError: one of several results has two by the same folds.
    """
    together: dict[str, dict[str, Validation]] = {}
    names = [name for name, own in analyses.of_results.items()
             if any(isinstance(each, Validation) for each in own)]  # fmt: skip
    for name in names:
        for each in analyses.of_results[name]:
            if isinstance(each, Validation):
                of_folds = together.setdefault(folds_of(each), {})
                if name in of_folds and len(names) > 1:
                    raise ValueError(
                        f"The result {name!r} has two cross-validations, {folds_of(each)}: which "
                        "one is compared with those of other models? Hand in one."
                    )
                of_folds[name] = each
    return together


def last_groups(analyses: Analyses) -> dict[str, HierarchicalMAP]:
    """Return the last hierarchical fit of each result that has one, by its name."""
    return {
        name: each
        for name, own in analyses.of_results.items()
        for each in own
        if isinstance(each, HierarchicalMAP)
    }
