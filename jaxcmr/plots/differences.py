"""Two models compared subject by subject: the differences, sorted."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from jaxcmr.plots._axes import COLORS, GRAY, make_axes, number_wholly, open_up
from jaxcmr.plots.comparison import LABELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from jaxcmr.comparison import Comparison, PairedDifferences

__all__ = [
    "differences_table",
    "paired_differences_table",
    "plot_differences",
    "plot_paired_differences",
]

LINE, LEGEND_LINE = 42, 56
"""Characters that fit beside axes of the usual size, and in the legend above them."""


NAMED = 12
"""Most subjects that are named at the axis."""


def differences_table(
    comparison: Comparison, model: str, reference: str | None = None
) -> pd.DataFrame:
    """Return one row per subject, those first whom the model describes best.

    Args:
        comparison: of `jaxcmr.comparison.compare`.
        model: name of a model.
        reference: the model it is compared with; by default the reference of the comparison.

    Returns:
        Columns ``rank``, from 1; ``subject``; and ``difference`` of the criterion, positive where
        `model` is worse.

    Raises:
        ValueError: a model is unknown, or the two are the same.

    Examples:
        >>> from jaxcmr.comparison import compare
        >>> cmr = dict(fitness=[10.0, 9.0], fits={"a": [0.5, 0.4], "subject": [1, 2]},
        ...            free={"a": [0, 1]}, n_events=[50, 40], loss_label="NLL")
        >>> found = compare({"CMR": cmr, "other": {**cmr, "fitness": [18.0, 14.0]}})
        >>> differences_table(found, "other").values.tolist()
        [[1.0, 2.0, 10.0], [2.0, 1.0, 16.0]]
    """
    if model == (comparison.reference if reference is None else reference):
        raise ValueError(f"{model!r} is the reference: name another model to compare it with.")
    return rank_subjects(comparison.differences(model, reference).reset_index())


def paired_differences_table(paired: PairedDifferences) -> pd.DataFrame:
    """Return one row per subject, those first whose lists the second model predicts better.

    Args:
        paired: of `jaxcmr.comparison.paired_differences`.

    Returns:
        Columns ``rank``, from 1; ``subject``; and ``difference`` of the held-out log-likelihood in
        nats, the first model minus the second: positive where the first predicts better.

    Examples:
        >>> from jaxcmr.comparison import PairedDifferences
        >>> by_subject = pd.DataFrame({"subject": [1, 2], "difference": [3.0, -1.0]})
        >>> found = PairedDifferences(("CMR", "CRU"), by_subject, 1.0, -1.0, 3.0, {}, False)
        >>> paired_differences_table(found).values.tolist()
        [[1.0, 2.0, -1.0], [2.0, 1.0, 3.0]]
    """
    return rank_subjects(paired.by_subject[["subject", "difference"]])


def plot_differences(
    comparison: Comparison,
    model: str,
    reference: str | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw the difference of two models for each subject as a bar, in order.

    Bars below 0 are subjects whom `model` describes better. The dashed line is the mean.

    Args:
        comparison: of `jaxcmr.comparison.compare`.
        model: name of a model.
        reference: the model it is compared with; by default the reference of the comparison.
        ax: axes to draw into; by default those of a new figure.

    Returns:
        The axes.

    Raises:
        ValueError: a model is unknown, or the two are the same.

    Examples:
        >>> from jaxcmr.comparison import compare
        >>> from matplotlib.figure import Figure
        >>> cmr = dict(fitness=[10.0, 9.0], fits={"a": [0.5, 0.4], "subject": [1, 2]},
        ...            free={"a": [0, 1]}, n_events=[50, 40], loss_label="NLL")
        >>> found = compare({"CMR": cmr, "other": {**cmr, "fitness": [18.0, 14.0]}})
        >>> plot_differences(found, "other", ax=Figure().subplots()).get_ylabel()
        'AICc of other above CMR'
    """
    against = comparison.reference if reference is None else reference
    ax = draw_bars(
        differences_table(comparison, model, reference), above=against, below=model, ax=ax
    )
    label = f"{LABELS[comparison.criterion]} of {model} above {against}"
    ax.set_ylabel(textwrap.fill(label, LINE))
    return ax


def plot_paired_differences(paired: PairedDifferences, *, ax: Axes | None = None) -> Axes:
    """Draw by how much one model predicts held-out lists better, a bar per subject, in order.

    Bars above 0 are subjects whose lists the first model predicts better. The dashed line is the
    mean.

    Args:
        paired: of `jaxcmr.comparison.paired_differences`.
        ax: axes to draw into; by default those of a new figure.

    Returns:
        The axes.

    Examples:
        >>> from jaxcmr.comparison import PairedDifferences
        >>> from matplotlib.figure import Figure
        >>> by_subject = pd.DataFrame({"subject": [1, 2], "difference": [3.0, -1.0]})
        >>> found = PairedDifferences(("CMR", "CRU"), by_subject, 1.0, -1.0, 3.0, {}, False)
        >>> plot_paired_differences(found, ax=Figure().subplots()).get_ylabel().splitlines()
        ['held-out log-likelihood (nats):', 'CMR above CRU']
    """
    first, second = paired.names
    ax = draw_bars(paired_differences_table(paired), above=first, below=second, ax=ax)
    how = "approximate " if paired.is_approximate else ""
    label = textwrap.fill(f"{first} above {second}", LINE)
    ax.set_ylabel(f"{how}held-out log-likelihood (nats):\n{label}")
    return ax


def rank_subjects(table: pd.DataFrame, by: str = "difference") -> pd.DataFrame:
    """Return a table by subject in order of a column, the lowest first, with ``rank`` from 1."""
    table = table.sort_values(by, kind="stable", ignore_index=True)
    table["subject"] = table["subject"].infer_objects()
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def draw_bars(table: pd.DataFrame, above: str, below: str, ax: Axes | None) -> Axes:
    """Draw differences in order, with their mean, and a legend above the axes.

    Args:
        table: of `rank_subjects`.
        above: the model that is better where the difference is positive.
        below: the model that is better where it is negative.
        ax: axes to draw into; by default those of a new figure.
    """
    ax = make_axes(ax, 5.6, 3.6)
    values = table["difference"].to_numpy()
    ax.bar(table["rank"], values, width=0.85, color=np.where(values > 0, COLORS[0], COLORS[1]))
    for name, is_better, color in (
        (above, values > 0, COLORS[0]),
        (below, values < 0, COLORS[1]),
    ):
        words = textwrap.fill(f"{name} better: {np.sum(is_better)}", LEGEND_LINE)
        ax.bar(0, 0, color=color, label=words)  # left of the axes: for the legend alone
    finish_bars(ax, table["difference"], table["subject"])
    return ax


def finish_bars(ax: Axes, values: pd.Series, subjects: pd.Series) -> None:
    """Add to bars by subject the line at 0, their mean, labels and a legend above the axes.

    Few subjects are named at the axis, many are numbered by their rank.
    """
    ax.axhline(0, color=GRAY, linewidth=0.8)
    if len(values):
        mean = round(float(values.mean()), 2) + 0.0  # not "-0.00"
        label = f"mean {mean:.2f}"
        ax.axhline(values.mean(), color="black", linewidth=1, linestyle="--", label=label)
    ax.set(xlabel="subject, in order of the difference", xlim=(0.5, len(values) + 0.5))
    number_wholly(ax)
    if len(values) <= NAMED:
        ax.set_xticks(range(1, len(values) + 1), [str(subject) for subject in subjects])
    ax.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    open_up(ax)
