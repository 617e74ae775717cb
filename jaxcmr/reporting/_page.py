"""The page: chapters into one HTML file that asks the network for nothing."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jaxcmr._result_words import title
from jaxcmr.names import describe_missing
from jaxcmr.reporting._data import data_table
from jaxcmr.reporting._figures import Figure
from jaxcmr.reporting._methods import Chapter, Section, methods, references, to_report
from jaxcmr.reporting._parameter_tables import bounds_table, estimates_table
from jaxcmr.reporting._repeat import code, version_of, versions
from jaxcmr.reporting._tables import (
    Table,
    checks_summary,
    checks_table,
    fits_overview,
    frame_table,
    runs_summary,
    search_table,
    subject_table,
)

__all__ = ["to_html"]

NUMBERS = "The numbers in the figure."
GRADES = {
    "good": "Trustworthy, as far as the checks can tell",
    "caution": "The search is trustworthy; some estimates or subjects need a closer look",
    "bad": "Some fits are not confirmed",
    "unknown": "Not checked",
}


def to_html(
    chapters: Sequence[Chapter],
    heading: str = "Report of fits",
    sections: Sequence[Section] = (),
) -> str:
    """Return a report as one HTML page, the same text for the same chapters.

    All names in it are escaped, and the page's policy allows its own script alone.

    Args:
        chapters: one per result.
        heading: of the page.
        sections: analyses of all results together, such as their comparison.

    Raises:
        ImportError: jinja2 is not installed.
        ValueError: `chapters` is empty.

    >>> from jaxcmr.reporting import About
    >>> from jaxcmr.results import FitResult
    >>> result = FitResult(fitness=[7.0], fits={"b": [0.4], "subject": ["<i>"]}, fixed={},
    ...                    free={"b": [0, 1]})
    >>> page = to_html([Chapter("one", result, About("a model"), About("a loss"))])
    >>> "<i>" in page, "&lt;i&gt;" in page
    (False, True)
    """
    if not chapters:
        raise ValueError("A report is of one result or more; got none.")
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise ImportError(describe_missing("Reports", "jinja2", "report")) from error
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = read("page.js")
    return (
        environment.from_string(read("page.html")).render(
            heading=heading,
            style=read("page.css"),
            script=script,
            script_hash=b64encode(sha256(script.encode()).digest()).decode(),
            chapters=[contents(number, chapter) for number, chapter in enumerate(chapters, 1)],
            overview=fits_overview({each.name: each.result for each in chapters}),
            warnings=warn_of_differences(chapters),
            sections=section_contents("all", sections, version_of(chapters[0].result)),
        )
        + "\n"
    )


def read(name: str) -> str:
    """Return the text of a file beside this one."""
    return files("jaxcmr.reporting").joinpath(name).read_text(encoding="utf-8")


def contents(number: int, chapter: Chapter) -> dict[str, Any]:
    """Return all that the page shows of a chapter, by name."""
    result, checks = chapter.result, chapter.checks
    failed = None
    if checks is not None:
        has_failed = ~checks["passed"].astype("boolean").fillna(True)
        failed = checks["subject"][has_failed].value_counts().to_dict()
    return {
        "id": f"r{number}",
        "name": chapter.name,
        "title": title(result),
        "about": chapter.model.words,
        "grade": chapter.grade,
        "grade_words": GRADES[chapter.grade],
        "verdict": chapter.verdict,
        "run_verdict": result.verdict(),
        "checks": None if checks is None else checks_summary(checks, chapter.meanings),
        "failures": None if checks is None else checks_table(checks),
        "methods": methods(chapter),
        "references": references(methods(chapter), version_of(result)),
        "data": None if chapter.data is None else data_table(chapter.data),
        "figures": with_numbers(chapter.figures),
        "sections": section_contents(f"r{number}", chapter.sections),
        "subjects": subject_table(result, chapter.model.parameters, failed),
        "parameters": bounds_table(result, chapter.model.parameters),
        "estimates": estimates_table(result) if result["free"] else None,
        "search": search_table(result),
        "runs": runs_summary(result),
        "to_report": to_report(chapter),
        "code": code(result),
        "versions": versions(result),
    }


def section_contents(
    prefix: str, sections: Sequence[Section], version: str | None = None
) -> list[dict[str, Any]]:
    """Return all that the page shows of sections, by name.

    Args:
        prefix: of their identifiers.
        sections: those of a chapter, or of all results.
        version: of jaxcmr, for the references of sections outside a chapter.
    """
    count: Counter[str] = Counter()
    shown = []
    for each in sections:
        count[each.kind] += 1
        number = f"-{count[each.kind]}" if count[each.kind] > 1 else ""
        shown.append(
            {
                "id": f"{prefix}-{each.kind}{number}",
                "title": each.title,
                "verdict": each.verdict,
                "conclusions": {
                    words: text
                    for words, text in (
                        ("What may be concluded", each.may),
                        ("What may not", each.may_not),
                    )
                    if text
                },
                "warnings": list(each.warnings),
                "tables": [
                    (one, False)
                    if isinstance(one, Table)
                    else (frame_table(one.table, one.caption), one.is_long)
                    for one in each.numbers
                ],
                "figures": with_numbers(each.figures),
                "methods": each.methods,
                "references": references(each.methods, version),
            }
        )
    return shown


def with_numbers(figures: Sequence[Figure]) -> list[tuple[Figure, Table | None]]:
    """Return figures, each with the table of its numbers if there are any."""
    return [
        (figure, None if figure.table is None else frame_table(figure.table, NUMBERS))
        for figure in figures
    ]


def warn_of_differences(chapters: Sequence[Chapter]) -> list[str]:
    """Return why the losses of the results cannot be compared, one sentence per reason."""
    results = [chapter.result for chapter in chapters]
    reasons: Mapping[str, Sequence[object]] = {
        "data": [(each.get("data") or {}).get("fingerprint") for each in results],
        "trials": [each.get("trials") for each in results],
        "losses": [(each.get("loss"), each.get("loss_options")) for each in results],
        "precision": [each.get("precision") for each in results],
        "numbers of events": [each.get("n_events") for each in results],
        "subjects": [each["fits"]["subject"] for each in results],
    }
    return [
        f"The results are of different {name}: do not compare their losses."
        for name, values in reasons.items()
        if any(value != values[0] for value in values)
    ]
