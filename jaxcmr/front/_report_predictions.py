"""The sections of a report on models compared by their predictions of held-out lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from jaxcmr import plots
from jaxcmr._result_words import count_of
from jaxcmr.comparison import PairedDifferences, paired_differences
from jaxcmr.front._report_figures import Planned, draw_planned
from jaxcmr.front._report_prediction import Validation, caveat_of, folds_of
from jaxcmr.reporting import Guide, Numbers, Section

__all__ = ["make_predictions_sections"]

GUIDES: Mapping[str, Guide] = {
    "paired": Guide(
        "For each subject, in order, by how much the reference predicts held-out lists better "
        "than another model, in nats. The dashed line is the mean.",
        "Nearly all bars are on one side of 0: one model predicts better for nearly all subjects.",
        "Bars on both sides: subjects differ, or their lists do not decide.",
        "Report the mean with its interval and the number of subjects on each side.",
    ),
}
"""How to read the figure."""


def make_predictions_sections(
    validated: Mapping[str, Mapping[str, Validation]], reference: str | None, prefix: str
) -> list[Section]:
    """Return a section for each way to divide lists by which several models have predictions.

    Where a model has predictions by other folds than all others, a section says so.

    Args:
        validated: predictions by the words for their folds, then by the name of the model.
        reference: the model with which others are compared, if it was named.
        prefix: of identifiers in figures, unlike that of any other sections.
    """
    sections = [
        make_predictions_section(found, reference, f"{prefix}-p{number}")
        for number, found in enumerate(validated.values(), 1)
        if len(found) > 1
    ]
    alone = [
        (name, folds) for folds, found in validated.items() if len(found) == 1 for name in found
    ]
    if alone and len({name for found in validated.values() for name in found}) > 1:
        told = "; ".join(f"{name}, {folds}" for name, folds in alone)
        why = f"Predictions that are of one model alone by their folds were not compared: {told}."
        title = "Predictions that were not compared"
        sections.append(Section("predictions", title, why, is_made=False))
    return sections


def make_predictions_section(
    found: Mapping[str, Validation], reference: str | None, prefix: str
) -> Section:
    """Return the section on how well models predict the same held-out lists.

    Args:
        found: predictions by the name of the model, all of one kind.
        reference: the model with which others are compared, if it was named; by default that with
            the highest held-out log-likelihood.
        prefix: of identifiers in figures, unlike that of any other section.
    """
    sums = {  # NaN if one of the lists is
        name: float(each.by_list["log_likelihood"].to_numpy().sum()) for name, each in found.items()
    }
    best = max(sums, key=lambda name: np.nan_to_num(sums[name], nan=-np.inf))
    against = best if reference is None or reference not in found else reference
    folds = folds_of(next(iter(found.values())))
    title = f"Predictions of held-out lists compared, {folds}"
    pairs, warnings = {}, []
    for name, each in found.items():
        if name == against:
            continue
        try:
            pairs[name] = paired_differences(found[against], each, (against, name))
        except ValueError as error:  # other lists or folds, or predictions that are missing
            warnings.append(f"{name} was not compared with {against}. {error}")
    if not pairs:
        return Section("predictions", title, " ".join(warnings), is_made=False)
    chosen = "" if against == reference else (
        f" {against} was not named as the reference, but chosen from the same data: intervals and "
        "p-values hold only for a reference that was named in advance."
    )  # fmt: skip
    several = any(len(pair.by_subject) > 1 for pair in pairs.values())
    over = ", with 95 % bootstrap intervals and paired tests over subjects"
    caveats = " ".join(dict.fromkeys(caveat_of(each) for each in found.values()))
    return Section(
        "predictions",
        title,
        " ".join(pair.verdict() for pair in pairs.values()),
        "Which model predicts further lists of subjects like these better, fitted to so many "
        f"lists{', if the interval does not include 0' if several else ''}.",
        "That the better model is the true one. An interval that includes 0 is not evidence that "
        f"two models predict equally well.{chosen} {caveats}".rstrip(),
        warnings,
        numbers=[
            Numbers(f"Held-out log-likelihood, and that of {against} less that of the model, per "
                    f"subject{over if several else ''}.", compare_table(pairs, sums, against)),
            Numbers("Each subject, in nats.", subject_table(pairs), True),
        ],
        figures=draw_planned(plan_pairs(pairs), prefix, GUIDES),
        methods=describe_pairs(pairs, sums, against, folds),
    )  # fmt: skip


def compare_table(
    pairs: Mapping[str, PairedDifferences], sums: Mapping[str, float], against: str
) -> pd.DataFrame:
    """Return one row per model, the reference first: held-out log-likelihood and differences."""
    rows: list[dict[str, Any]] = [{"model": against, "held_out": sums[against]}]
    for name, pair in pairs.items():
        difference = pair.by_subject["difference"]
        rows.append(
            {
                "model": name,
                "held_out": sums[name],
                "mean_difference": pair.mean,
                "low": pair.low,
                "high": pair.high,
                f"{against} better for": int((difference > 0).sum()),
                "model better for": int((difference < 0).sum()),
                "p_t": pair.tests["p_t"],
                "p_wilcoxon": pair.tests["p_wilcoxon"],
            }
        )
    return pd.DataFrame(rows, dtype=object)  # counts stay whole numbers


def subject_table(pairs: Mapping[str, PairedDifferences]) -> pd.DataFrame:
    """Return one row per subject: the held-out log-likelihood of each model."""
    tables = [
        pair.by_subject.drop(columns="difference").set_index("subject") for pair in pairs.values()
    ]
    table = pd.concat(tables, axis=1)
    return table.loc[:, ~table.columns.duplicated()].reset_index()


def plan_pairs(pairs: Mapping[str, PairedDifferences]) -> Iterator[Planned]:
    """Yield the figure of paired differences, one panel per model."""

    def draw(axes: Any) -> pd.DataFrame:
        tables = []
        for ax, (name, pair) in zip(axes, pairs.items(), strict=True):
            plots.plot_paired_differences(pair, ax=ax)
            tables.append(plots.paired_differences_table(pair).assign(model=name))
        return pd.concat(tables, ignore_index=True)

    title = "Held-out log-likelihood, by subject"
    yield Planned("paired", title, draw, 5.0, 3.4, len(pairs), columns=2)


def describe_pairs(
    pairs: Mapping[str, PairedDifferences], sums: Mapping[str, float], against: str, folds: str
) -> str:
    """Return how predictions were compared, and their differences, for the methods."""
    totals = ", ".join(f"{name} {sums[name]:.1f}" for name in [against, *pairs])
    told = ", ".join(
        f"{name} {each.mean:.2f}" + (f" ({each.low:.2f} to {each.high:.2f})"
                                     if each.low <= each.high else "")
        for name, each in pairs.items()
    )  # fmt: skip
    n = len(next(iter(pairs.values())).by_subject)
    intervals = " and with 95 % bootstrap intervals over subjects" if n > 1 else ""
    return (
        f"Models were compared by the held-out log-likelihood of {count_of(n, 'subject')}, {folds} "
        f"(nats: {totals}). That of {against} less that of other models, per subject{intervals}, "
        f"was on average: {told}."
    )
