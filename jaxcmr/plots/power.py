"""Recovery of parameters by the number of lists per subject."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxcmr.names import describe_unknown
from jaxcmr.plots._axes import COLORS, GRAY, as_panels, make_grid, open_up

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


def plot_power(
    curve: PowerCurve,
    statistic: str = "r",
    *,
    ax: Sequence[Axes] | np.ndarray | None = None,
) -> np.ndarray:
    """Draw how well each parameter is recovered by the number of lists per subject.

    Each parameter has a panel; the gray lines in it are the other parameters.

    Args:
        curve: of `jaxcmr.recovery.power_curve`.
        statistic: as for `power_table`.
        ax: axes, one per parameter; by default those of a new figure.

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
        >>> plot_power(PowerCurve({28: found}), ax=[Figure().subplots()])[0].get_title()
        'rate'
    """
    table = power_table(curve, statistic)
    n = len(table.columns)
    panels = make_grid(n, 2.5, 2.2) if ax is None else as_panels(ax, n)
    finite = table.to_numpy()[np.isfinite(table.to_numpy())]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    goal = {"r": 1.0, "rho": 1.0, "coverage": 0.95}.get(statistic)
    if goal is not None:
        low, high = min(low, goal), max(high, goal)
    for panel, name in zip(panels, table.columns, strict=True):
        panel.plot(table.index, table.drop(columns=name), color="#D0D0D0", linewidth=0.8, zorder=1)
        panel.plot(table.index, table[name], marker="o", color=COLORS[0], markersize=4.5, zorder=2)
        if goal is not None:
            panel.axhline(goal, color=GRAY, linewidth=0.8, linestyle="--", zorder=0)
        margin = 0.06 * (high - low) or 0.5
        panel.set_title(name, fontsize=9)
        panel.set(
            xscale="log",
            xticks=table.index,
            xticklabels=[str(number) for number in table.index],
            ylim=(low - margin, high + margin),
        )
        panel.minorticks_off()
        open_up(panel)
        panel.set_xlabel("lists per subject", fontsize=8)
        place = panel.get_subplotspec()
        if place is None or place.is_first_col():
            panel.set_ylabel(LABELS[statistic], fontsize=8)
    return panels
