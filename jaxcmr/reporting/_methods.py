"""The texts of a report: methods to paste, and what to report."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd

from jaxcmr._result_words import count_of, describe_bounds
from jaxcmr._tables import format_number
from jaxcmr.parameters import Parameter
from jaxcmr.reporting._data import DataFacts, describe_lengths
from jaxcmr.reporting._figures import Figure
from jaxcmr.reporting._repeat import version_of
from jaxcmr.reporting._search_words import describe_search
from jaxcmr.reporting._tables import Table
from jaxcmr.reporting._works import WORKS, cite
from jaxcmr.results import FitResult

__all__ = [
    "About",
    "Chapter",
    "Numbers",
    "Section",
    "methods",
    "references",
    "to_report",
]


class About(NamedTuple):
    """A model or loss in words, the works to cite for it, and the parameters that it declares."""

    words: str
    works: Sequence[str] = ()
    parameters: Sequence[Parameter] = ()


class Numbers(NamedTuple):
    """A table of a section; a long one is folded."""

    caption: str
    table: pd.DataFrame
    is_long: bool = False


@dataclass(frozen=True)
class Section:
    """An analysis of a fit, or of several together, in words, tables and figures.

    `kind` is a word that stands in its address in the page, such as "recovery". `verdict` is what
    was found; `may` and `may_not` are what may be concluded from it and what not. `methods` are
    sentences for the methods section. An analysis that could not be made has its reason as the
    verdict, and `is_made` False.
    """

    kind: str
    title: str
    verdict: str
    may: str = ""
    may_not: str = ""
    warnings: Sequence[str] = ()
    numbers: Sequence[Numbers | Table] = ()
    figures: Sequence[Figure] = ()
    methods: str = ""
    is_made: bool = True


@dataclass(frozen=True)
class Chapter:
    """One result of a report, with all that is said of it.

    `grade` is "good", "caution" or "bad", or "unknown" without checks; `verdict` is its reason in
    one line. `checks` is a table of `jaxcmr.diagnose`, `meanings` the statistic of each check in
    words. `sections` are analyses of it.
    """

    name: str
    result: FitResult
    model: About
    loss: About
    data: DataFacts | None = None
    figures: Sequence[Figure] = ()
    checks: pd.DataFrame | None = None
    grade: str = "unknown"
    verdict: str = ""
    meanings: Mapping[str, str] = field(default_factory=dict)
    sections: Sequence[Section] = ()


def methods(chapter: Chapter) -> str:
    """Return a paragraph for a methods section, with every number as the result has it."""
    result = chapter.result
    sentences = [
        describe_fit(chapter),
        describe_parameters(result, chapter.model.parameters),
        describe_loss(chapter),
        describe_search(result),
        describe_evidence(result),
        *(section.methods for section in chapter.sections),
    ]
    text = " ".join(each for each in sentences if each)
    for name in [*result["free"], *result["fixed"], *(result.get("loss_options") or {})]:
        text = re.sub(rf"\b{re.escape(name)}\b", name.replace("_", " "), text)
    return text


def describe_fit(chapter: Chapter) -> str:
    """Return what was fitted to which data."""
    result, facts = chapter.result, chapter.data
    n_lists = sum(result.get("n_trials") or [])
    lists = f" ({count_of(n_lists, 'list')}" if n_lists else " ("
    if facts is not None:
        mean = facts.recalls_per_list[0]
        lists += f" of {describe_lengths(facts)} items, {mean:.2f} of them recalled on average"
    lists = f"{lists})" if lists != " (" else ""
    n = facts.n_subjects if facts and result.get("pooled") else len(result["fitness"])
    whose = f"each of {count_of(n, 'subject')}" if n != 1 else "one subject"
    if result.get("pooled"):
        whose = f"{count_of(n, 'subject')} together" if facts else "all subjects together"
    model = f"{chapter.model.words.split(';')[0]}{cite(chapter.model.works)}"
    version = version_of(result) or "(version not recorded in the result)"
    return f"We fitted {model} to the recalls of {whose}{lists} with jaxcmr {version}."


def describe_parameters(result: FitResult, declared: Sequence[Parameter]) -> str:
    """Return the free parameters with their bounds, and the fixed ones with their values."""
    symbols = {each.name: f" {each.symbol}" for each in declared}
    free = ", ".join(
        f"{name.replace('_', ' ')}{symbols.get(name, '')} ({format_number(low)} to "
        f"{format_number(high)})"
        for name, (low, high) in result["free"].items()
    )
    n = len(result["free"])
    told = (
        f"{count_of(n, 'parameter')} with these bounds {'was' if n == 1 else 'were'} free: {free}."
    )
    fixed = ", ".join(
        f"{name.replace('_', ' ')}{symbols.get(name, '')} = {format_number(value)}"
        for name, value in result["fixed"].items()
    )
    return f"{told} Fixed were {fixed}." if fixed else told


EVENTS = {
    "after_first": "The first recall of each list was not scored.",
    "recalls": "Recalls were scored, but not where recall stopped.",
    "recalls_after_first": "Neither the first recall of each list was scored, nor where recall "
    "stopped.",
}
"""What the option ``events`` of a likelihood leaves out, in words."""


def describe_loss(chapter: Chapter) -> str:
    """Return what was minimized, with its options, and whether lists were cut off."""
    result, options = chapter.result, dict(chapter.result.get("loss_options") or {})
    scored = EVENTS.get(options.get("events") or "", "")
    if scored or options.get("events") == "all":
        options.pop("events")
    given = ", ".join(f"{name} = {value}" for name, value in options.items())
    words = f"{chapter.loss.words}{cite(chapter.loss.works)}"
    told = f"Parameters were estimated by minimizing {words}{f' with {given}' if given else ''}."
    cut = ""
    if result.get("stops_scored") is False and chapter.data is not None:
        cut = (
            "Lists that the fitted model recalled were cut off after as many recalls as the "
            "subjects had made."
        )
    return " ".join(each for each in (told, scored, cut) if each)


def describe_evidence(result: FitResult) -> str:
    """Return for how many fits runs agree, and which estimates are on bounds."""
    counts = result.agreement()
    if not counts:
        return ""
    n_agree = sum(agree > 1 for agree, _ in counts)
    unit = " nats" if result.get("loss_label") == "NLL" else ""
    near = f"{result.get('agree_within', 0):g}{unit}"
    told = (
        f"For {n_agree} of {count_of(len(counts), 'fit')}, two or more runs ended within {near} of "
        "the lowest loss. "
    )
    on_bounds = describe_bounds(result).replace(
        "Estimates on a bound:", "Estimates were on a bound for so many fits:"
    )
    return told + on_bounds


def references(text: str, version: str | None) -> list[str]:
    """Return the works that a text cites, in full, sorted by author; and jaxcmr."""
    cited = [work.full for work in WORKS.values() if work.short in text]
    own = f"The jaxcmr developers. jaxcmr{f' (version {version})' if version else ''} [software]."
    return sorted([*cited, own], key=str.lower)


def to_report(chapter: Chapter) -> list[tuple[str, str, bool]]:
    """Return what a paper should report: the thing, what this report has on it, whether it does."""
    result, facts = chapter.result, chapter.data
    on_bounds = sum(bool(bounds) for bounds in result.at_bound())
    counts = result.agreement()
    has_runs = bool(counts) and max(n for _, n in counts) > 1
    n_agree, n = sum(agree > 1 for agree, _ in counts), len(counts)
    drawn = bool(facts and chapter.figures)
    version = version_of(result)
    return [
        ("Model, its parts and their sources", "Methods paragraph", bool(chapter.model.works)),
        ("Free parameters with bounds, fixed ones with values", "Parameters", True),
        ("Loss, and number of scored events", "Methods paragraph and table of fits", True),
        (
            "Subjects, lists and list lengths",
            "Data" if facts else "Hand in the data to have them counted",
            facts is not None,
        ),
        (
            "Trials and subjects that were left out, and why",
            f"{count_of(facts.n_left_out, 'list')} not fitted; write why"
            if facts
            else "Write this",
            False,
        ),
        (
            "Evidence that the lowest loss was found",
            f"Runs agree for {n_agree} of {n} fits" if has_runs else "Make more than one run",
            has_runs,
        ),
        ("Estimates on bounds", f"{on_bounds} of {len(result['fitness'])} fits have some", True),
        (
            "Whether the model reproduces the data",
            "Figures" if drawn else "Hand in the data to have the curves drawn",
            drawn,
        ),
        has_made(chapter, "uncertainty", "How well each parameter is known"),
        has_made(chapter, "recovery", "Whether each parameter can be recovered"),
        (
            "Software with version, seed",
            f"jaxcmr {version}" if version else "The version is not in the result",
            version is not None,
        ),
        ("Data and code where others can find them", "Deposit the folder of the result", False),
    ]


NOT_MADE = {
    "uncertainty": "Not in this report: hand in the data",
    "recovery": "Not in this report: hand in analyses=jc.recover(result, data), or run 'jaxcmr "
    "recover' before 'jaxcmr report'",
}
"""What to do for a section that a report lacks, by its kind."""


def has_made(chapter: Chapter, kind: str, thing: str) -> tuple[str, str, bool]:
    """Return the entry of `to_report` on a kind of sections."""
    made = [each.title for each in chapter.sections if each.kind == kind and each.is_made]
    return thing, "; ".join(made) or NOT_MADE[kind], bool(made)
