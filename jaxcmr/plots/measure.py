"""A measure of behavior: its mean over subjects, with an interval."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import stdtrit

from jaxcmr.plots._axes import (
    COLORS,
    DATA,
    MARKERS,
    STYLES,
    add_legend,
    make_axes,
    number_wholly,
    open_up,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["LABELS", "mean_over_subjects", "plot_measure"]

COUNTS = ("actual", "possible")
LABELS = {
    "input": "serial position",
    "output": "output position",
    "recall": "recall probability",
    "recalls": "items recalled",
    "prob": "probability",
    "lag": "lag",
    "center": "distance",
}
"""Labels of axes by the column that they show; other columns are labeled by their names."""


def mean_over_subjects(table: pd.DataFrame, interval: float = 0.95) -> pd.DataFrame:
    """Return the mean of a measure over subjects in each bin, with its confidence interval.

    The interval is that of Student's t: the mean plus and minus a multiple of its standard error.
    Subjects without a value in a bin (NaN) are left out of that bin.

    Args:
        table: one row per subject and bin, such as `jaxcmr.analyses.by_subject` and psifr return
            it: ``subject``, the bins, the measure, and perhaps ``actual`` and ``possible``.
        interval: its confidence.

    Returns:
        One row per bin: its columns, ``mean``, ``low``, ``high`` and ``n_subjects``. The ends of
        the interval are NaN if fewer than two subjects have a value.

    Raises:
        ValueError: the table has no column ``subject`` or no measure, or has two rows of a subject
            in one bin.

    Examples:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"subject": [1, 2], "lag": [1, 1], "prob": [0.4, 0.6]})
        >>> mean_over_subjects(table).round(2)
           lag  mean   low  high  n_subjects
        0    1   0.5 -0.77  1.77           2
    """
    bins, value = columns_of(table)
    if not 0 < interval < 1:
        raise ValueError(f"interval is a confidence between 0 and 1, such as 0.95; got {interval}.")
    if table.duplicated(["subject", *bins]).any():
        raise ValueError(
            f"The table has several rows of one subject and bin ({', '.join(bins) or 'no bins'}). "
            "Make one table per condition, or per copy."
        )
    groups = table.groupby(bins, sort=False) if bins else table.groupby(lambda row: 0)
    found = groups[value].agg(["mean", "sem", "count"]).reset_index(drop=not bins)
    n = found["count"].to_numpy()
    factor = np.where(n > 1, stdtrit(np.maximum(n - 1, 1), 0.5 + interval / 2), np.nan)
    half = factor * found["sem"]
    return found[bins].assign(
        mean=found["mean"], low=found["mean"] - half, high=found["mean"] + half, n_subjects=n
    )


def plot_measure(
    table: pd.DataFrame,
    *,
    ax: Axes | None = None,
    x: str | None = None,
    interval: float | None = 0.95,
    max_lag: int = 5,
    label: str | None = None,
    color: Any = DATA,
    marker: str = "o",
    linestyle: Any = "-",
) -> Axes:
    """Draw the mean of a measure over subjects, with its confidence interval in each bin.

    If the table has further bins beside `x`, such as output positions or conditions, each has a
    line with a color, marker and line style of its own.

    Args:
        table: one row per subject and bin, as for `mean_over_subjects`.
        ax: axes to draw into; by default those of a new figure.
        x: the column of the horizontal axis; by default the last of the bins.
        interval: confidence of the interval; None draws none.
        max_lag: largest lag to draw, forward and backward.
        label: for the legend, which is left to the caller.
        color: of a single line, as matplotlib has it.
        marker: the same.
        linestyle: the same; "none" for markers alone.

    Returns:
        The axes.

    Raises:
        ValueError: as `mean_over_subjects`, or the measure has no bins, or `x` is not one of them.

    Examples:
        >>> import pandas as pd
        >>> from matplotlib.figure import Figure
        >>> table = pd.DataFrame(
        ...     {"subject": [1, 1, 2, 2], "lag": [-1, 1, -1, 1], "prob": [0.2, 0.4, 0.1, 0.6]}
        ... )
        >>> ax = plot_measure(table, ax=Figure().subplots())
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('lag', 'conditional response probability')
    """
    bins, value = columns_of(table)
    if not bins or (x is not None and x not in bins):
        raise ValueError(f"x is one of the bins of the table, {bins}; got {x!r}.")
    x = x or bins[-1]
    means = mean_over_subjects(table, interval or 0.95)
    if x == "lag":
        means = means[means["lag"].abs() <= max_lag]
    ax = make_axes(ax)
    others = [name for name in bins if name != x]
    looks: list[tuple[Any, str, Any]] = [(color, marker, linestyle)]
    if others:
        looks = list(zip(COLORS, MARKERS, STYLES, strict=True))
    series = means.groupby(others, sort=False) if others else [(label, means)]
    for (name, part), (hue, sign, line) in zip(series, cycle(looks)):
        text = name if not others else describe(others, name, label)
        draw_line(ax, part, x, interval, label=text, color=hue, marker=sign, linestyle=line)
    ax.set(xlabel=LABELS.get(x, x), ylabel=LABELS.get(value, value))
    if x == "lag" and value == "prob":
        ax.set_ylabel("conditional response probability")
    if value in ("recall", "prob"):
        top = ax.get_ylim()[1]  # of all lines so far; intervals of few subjects may pass 1
        ax.set_ylim(0, min(top, 1.03), auto=True)  # lines that follow may raise it
    if means[x].dtype.kind in "iu":
        number_wholly(ax)
    if others:
        add_legend(ax)
    open_up(ax)
    return ax


def draw_line(ax: Axes, means: pd.DataFrame, x: str, interval: float | None, **look: Any) -> None:
    """Draw one line of means, with bars if there is an interval; lag 0 leaves a gap."""
    means = means.sort_values(x)
    places, middle = means[x].to_numpy(), means["mean"].to_numpy()
    half = (means["high"] - means["mean"]).to_numpy()
    bars = half if interval is not None and np.isfinite(half).any() else None
    ax.errorbar(places, middle, bars, markersize=4, linewidth=1.5, elinewidth=1, **look)


def describe(names: list[str], values: Any, label: str | None) -> str:
    """Return the entry of the legend for a bin beside the horizontal axis."""
    pairs = zip(names, values, strict=True)
    text = ", ".join(f"{LABELS.get(name, name)} {value}" for name, value in pairs)
    return f"{label}, {text}" if label else text


def columns_of(table: pd.DataFrame) -> tuple[list[str], str]:
    """Return the names of the bins and of the measure: the last column that is not a count."""
    names = [name for name in table.columns if name not in ("subject", *COUNTS)]
    if "subject" not in table.columns or not names:
        raise ValueError(
            "Expected a table with the columns subject, bins and a measure, as "
            f"jaxcmr.analyses.by_subject returns it; got the columns {list(table.columns)}."
        )
    return names[:-1], names[-1]
