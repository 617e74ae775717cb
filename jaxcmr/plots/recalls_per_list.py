"""How many items are recalled of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jaxcmr.analyses import recalls_per_list
from jaxcmr.plots._axes import make_axes
from jaxcmr.plots.fit import Simulated, Where, draw_sources, fit_table
from jaxcmr.typing import RecallDataset

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_recalls_per_list"]


def plot_recalls_per_list(
    data: RecallDataset,
    simulated: Simulated | None = None,
    *,
    where: Where = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the share of lists in which 0, 1, 2, ... items were recalled.

    Dots are means of the data over subjects, with 95 % confidence intervals; lines are means of
    models over the same subjects. The legend holds the mean number of items recalled.

    Args:
        data: recall data.
        simulated: what `jaxcmr.simulate` returned for them, or several of these by name of model.
        where: the trials to draw: a condition as for `jaxcmr.fit`.
        ax: axes to draw into; by default those of a new figure.

    Returns:
        The axes. The table behind them is that of `fit_table` with the measure
        `jaxcmr.analyses.recalls_per_list`.

    Raises:
        ValueError: as `fit_table`.

    Examples:
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> data = {"subject": [[1]] * 2, "listLength": [[2]] * 2, "pres_itemnos": [[1, 2]] * 2,
        ...         "recalls": [[2, 0], [1, 2]]}
        >>> data = {name: np.array(rows) for name, rows in data.items()}
        >>> ax = plot_recalls_per_list(data, ax=Figure().subplots())
        >>> ax.get_legend().get_texts()[0].get_text()
        'data, mean 1.5'
    """
    measures = {"recalls per list": recalls_per_list}
    table = fit_table(data, {} if simulated is None else simulated, where=where, measures=measures)
    means = {str(source): mean_number(rows) for source, rows in table.groupby("source")}
    ax = make_axes(ax)
    draw_sources(ax, table, recalls_per_list)
    ax.set_ylabel("share of lists")
    handles, labels = ax.get_legend_handles_labels()
    named = [f"{label}, mean {means[label]:.3g}" for label in labels]
    ax.legend(
        handles,
        named,
        frameon=False,
        fontsize=8,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),  # above the axes
        ncols=2,
    )
    return ax


def mean_number(rows: pd.DataFrame) -> float:
    """Return the mean number of items recalled, over subjects."""
    weighted = (rows["bin"] * rows["value"]).groupby(rows["subject"]).sum()
    return float(weighted.mean())
