"""Estimates of a parameter before and after they are drawn toward the group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jaxcmr.names import describe_unknown
from jaxcmr.plots._axes import COLORS, GRAY, make_axes, open_up

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_shrinkage", "shrinkage_table"]


def shrinkage_table(before: pd.DataFrame, after: pd.DataFrame, parameter: str) -> pd.DataFrame:
    """Return one row per subject: a parameter's estimate before and after shrinkage.

    Args:
        before: one row per subject with a column ``subject`` and one per parameter, such as
            ``before`` of `jaxcmr.bayes.hierarchical_map`.
        after: the same, such as its ``estimates``.
        parameter: a parameter of both.

    Raises:
        ValueError: an unknown parameter.

    Examples:
        >>> import pandas as pd
        >>> before = pd.DataFrame({"subject": [1, 2], "learning_rate": [0.2, 1.0]})
        >>> after = pd.DataFrame({"subject": [2, 1], "learning_rate": [0.7, 0.3]})
        >>> shrinkage_table(before, after, "learning_rate").values.tolist()
        [[1.0, 0.2, 0.3], [2.0, 1.0, 0.7]]
    """
    for table in (before, after):
        if parameter not in table:
            raise ValueError(describe_unknown("parameter", parameter, table.columns))
    both = before[["subject", parameter]].merge(after[["subject", parameter]], on="subject")
    return both.set_axis(["subject", "before", "after"], axis=1)


def plot_shrinkage(
    before: pd.DataFrame,
    after: pd.DataFrame,
    parameter: str,
    *,
    median: float | None = None,
    log_from: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw each subject's estimate of a parameter before and after shrinkage, joined by a line.

    Args:
        before: estimates, as in `shrinkage_table`.
        after: estimates drawn toward the group.
        parameter: a parameter of both.
        median: of the group; a dashed line.
        log_from: from this value on the axis is logarithmic, where values span a decade or more,
            and linear below, down to 0; by default it is linear.
        ax: axes to draw into; by default those of a new figure.

    Returns:
        The axes.

    Examples:
        >>> import pandas as pd
        >>> from matplotlib.figure import Figure
        >>> before = pd.DataFrame({"subject": [1, 2], "learning_rate": [0.2, 1.0]})
        >>> after = pd.DataFrame({"subject": [1, 2], "learning_rate": [0.3, 0.7]})
        >>> ax = plot_shrinkage(before, after, "learning_rate", ax=Figure().subplots())
        >>> ax.get_title(), len(ax.lines)
        ('learning_rate', 2)
    """
    table = shrinkage_table(before, after, parameter)
    ax = make_axes(ax, 2.8, 2.8)
    for pair in table[["before", "after"]].to_numpy():
        ax.plot([0, 1], pair, color=GRAY, linewidth=0.7, zorder=1)
    for place, column, face in ((0, "before", "white"), (1, "after", COLORS[0])):
        values = table[column]
        ax.scatter(
            [place] * len(values),
            values,
            s=14,
            facecolor=face,
            edgecolor=COLORS[0],
            zorder=3,
            clip_on=False,
        )
    if median is not None:
        ax.axhline(median, color="black", linestyle="--", linewidth=1)
    both = table[["before", "after"]].to_numpy()
    if log_from is not None and both.min() < log_from:
        ax.set_yscale("symlog", linthresh=log_from)
        ax.set_ylim(min(0.0, both.min()), None)
        ax.yaxis.set_major_formatter("{x:g}")
    elif log_from is not None and both.max() > 10 * both.min():
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")
    ax.set(title=parameter, ylabel="estimate", xlim=(-0.3, 1.3), xticks=[0, 1])
    ax.set_xticklabels(["fit", "shrunken"])
    open_up(ax)
    return ax
