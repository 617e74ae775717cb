"""Recovery of parameters by the number of lists per subject."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxcmr.names import describe_unknown
from jaxcmr.plots._axes import COLORS, GRAY, MARKERS, STYLES, add_legend, make_axes, open_up

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from jaxcmr.recovery import PowerCurve

__all__ = ["plot_power", "power_table"]

LABELS = {
    "r": "correlation of truth and estimate",
    "rho": "rank correlation of truth and estimate",
    "rmse": "RMSE, as a share of the range",
    "bias": "bias, as a share of the range",
    "coverage": "intervals that hold the truth",
    "at_bound": "estimates on a bound",
}
"""What can be drawn, and the label of its axis."""


def power_table(curve: PowerCurve, statistic: str = "r") -> pd.DataFrame:
    """Return one row per number of lists, one column per parameter.

    Args:
        curve: of `jaxcmr.recovery.power_curve`.
        statistic: a column of its summaries, such as "r", "rmse" or "coverage".

    Raises:
        ValueError: the statistic is unknown, or was not computed.

    Examples:
        >>> import pandas as pd
        >>> from jaxcmr.recovery import PowerCurve, Recovery
        >>> table = pd.DataFrame({"subject": [1, 2], "copy": 1, "parameter": "rate",
        ...     "truth": [2, 6], "estimate": [3, 8], "at_bound": ["", "upper"],
        ...     "truth_place": [0.25, 0.75], "estimate_place": [0.375, 1.0]})
        >>> found = Recovery(table, pd.DataFrame(), 28, "fitted", 0)
        >>> power_table(PowerCurve({28: found}), "at_bound").loc[28, "rate"].item()
        0.5
    """
    table = curve.table
    known = [name for name in LABELS if name in table]
    if statistic not in known:
        raise ValueError(describe_unknown("statistic", statistic, known))
    order = list(table["parameter"].unique())
    return table.pivot(index="n_lists", columns="parameter", values=statistic)[order]


def plot_power(curve: PowerCurve, statistic: str = "r", *, ax: Axes | None = None) -> Axes:
    """Draw how well each parameter is recovered by the number of lists per subject.

    Args:
        curve: of `jaxcmr.recovery.power_curve`.
        statistic: as for `power_table`.
        ax: axes to draw into; by default those of a new figure.

    Returns:
        The axes.

    Examples:
        >>> import pandas as pd
        >>> from jaxcmr.recovery import PowerCurve, Recovery
        >>> from matplotlib.figure import Figure
        >>> table = pd.DataFrame({"subject": [1, 2], "copy": 1, "parameter": "rate",
        ...     "truth": [2, 6], "estimate": [3, 8], "at_bound": ["", "upper"],
        ...     "truth_place": [0.25, 0.75], "estimate_place": [0.375, 1.0]})
        >>> found = Recovery(table, pd.DataFrame(), 28, "fitted", 0)
        >>> plot_power(PowerCurve({28: found}), ax=Figure().subplots()).get_ylabel()
        'correlation of truth and estimate'
    """
    table = power_table(curve, statistic)
    ax = make_axes(ax, 6.5, 3.8)
    for i, name in enumerate(table.columns):
        look: dict[str, Any] = {
            "color": COLORS[i % len(COLORS)],
            "marker": MARKERS[i % len(MARKERS)],
        }
        style = STYLES[(i // len(COLORS)) % len(STYLES)]
        ax.plot(table.index, table[name], linestyle=style, markersize=4.5, label=name, **look)
    if statistic in ("r", "rho"):
        ax.axhline(1, color=GRAY, linewidth=0.8, zorder=0)
    if statistic == "coverage":
        ax.axhline(0.95, color=GRAY, linewidth=0.8, zorder=0)
    ax.set(xscale="log", xticks=table.index, xlabel="lists per subject", ylabel=LABELS[statistic])
    ax.set_xticklabels([str(n) for n in table.index])
    ax.minorticks_off()
    add_legend(ax)
    open_up(ax)
    return ax
