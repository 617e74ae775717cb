"""Models compared: how much worse each is than the reference, with intervals over subjects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jaxcmr.plots._axes import COLORS, DATA, GRAY, make_axes, open_up

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from jaxcmr.comparison import Comparison

__all__ = ["comparison_table", "plot_comparison"]

LABELS = {"aic": "AIC", "aicc": "AICc", "bic": "BIC"}


def comparison_table(comparison: Comparison) -> pd.DataFrame:
    """Return one row per model, the best first: mean difference per subject, interval and wins.

    Args:
        comparison: of `jaxcmr.comparison.compare`.

    Returns:
        Columns ``model``; ``mean_difference`` from the reference, positive where the model is
        worse, with its 95 % bootstrap interval (``low``, ``high``); and ``wins``.

    Examples:
        >>> from jaxcmr.comparison import compare
        >>> cmr = dict(fitness=[10.0, 9.0], fits={"a": [0.5, 0.4], "subject": [1, 2]},
        ...            free={"a": [0, 1]}, n_events=[50, 40], loss_label="NLL")
        >>> found = compare({"CMR": cmr, "other": {**cmr, "fitness": [13.0, 14.0]}})
        >>> comparison_table(found).values.tolist()
        [['CMR', 0.0, 0.0, 0.0, 2.0], ['other', 8.0, 6.0, 10.0, 0.0]]
    """
    return comparison.table[["model", "mean_difference", "low", "high", "wins"]].copy()


def plot_comparison(comparison: Comparison, *, ax: Axes | None = None) -> Axes:
    """Draw the mean difference of each model from the reference, with its interval, best on top.

    Dots are means over subjects, bars 95 % bootstrap intervals. At the right are their numbers, as
    the interval of a model may be shorter than its dot, and the subjects for whom it is best.

    Args:
        comparison: of `jaxcmr.comparison.compare`.
        ax: axes to draw into; by default those of a new figure.

    Returns:
        The axes.

    Examples:
        >>> from jaxcmr.comparison import compare
        >>> from matplotlib.figure import Figure
        >>> cmr = dict(fitness=[10.0, 9.0], fits={"a": [0.5, 0.4], "subject": [1, 2]},
        ...            free={"a": [0, 1]}, n_events=[50, 40], loss_label="NLL")
        >>> found = compare({"CMR": cmr, "other": {**cmr, "fitness": [13.0, 14.0]}})
        >>> plot_comparison(found, ax=Figure().subplots()).get_xlabel()
        'AICc above CMR, mean per subject'
    """
    table = comparison_table(comparison)
    ax = make_axes(ax, 6.0, 1.0 + 0.38 * len(table))
    ax.axvline(0, color=GRAY, linewidth=0.8, zorder=0)
    for row, (_, mean, low, high, wins) in enumerate(table.itertuples(index=False)):
        is_reference = table["model"][row] == comparison.reference
        color = DATA if is_reference else COLORS[0]
        ax.hlines(row, low, high, color=color, linewidth=1.6)
        ax.plot(mean, row, "D" if is_reference else "o", color=color, markersize=6, clip_on=False)
        interval = "" if is_reference or not low <= high else f", {low:.1f} to {high:.1f}"
        annotate_row(ax, row, f"{wins:g}", f"{mean:.1f}{interval}", "black")
    annotate_row(ax, -0.75, "best for", "mean, 95 % interval", GRAY)
    ax.set(
        yticks=range(len(table)),
        ylim=(len(table) - 0.4, -0.6),
        xlabel=f"{LABELS[comparison.criterion]} above {comparison.reference}, mean per subject",
    )
    ax.set_yticklabels(table["model"])
    open_up(ax)
    return ax


def annotate_row(ax: Axes, row: float, wins: str, numbers: str, color: str) -> None:
    """Write the number of wins, and mean and interval, at the right of a row."""
    for x, text in ((8, wins), (52, numbers)):
        ax.annotate(
            text,
            (1.0, row),
            (x, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=color,
            annotation_clip=False,
        )
