"""How frequent each model is among subjects, and how sure it is that it is the most frequent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcmr.plots._axes import COLORS, DATA, GRAY, add_legend, make_axes, open_up

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from jaxcmr.comparison import ModelSelection

__all__ = ["frequencies_table", "plot_model_frequencies"]


def frequencies_table(selection: ModelSelection) -> pd.DataFrame:
    """Return one row per model or family, the most frequent first.

    Args:
        selection: of `jaxcmr.comparison.bayesian_model_selection`.

    Returns:
        Columns ``model``, ``expected_frequency``, ``sd``, ``exceedance``, ``protected_exceedance``.

    Examples:
        >>> import numpy as np
        >>> from jaxcmr.comparison import bayesian_model_selection
        >>> found = bayesian_model_selection(np.array([[0.0, -9.0], [0.0, -9.0]]))
        >>> frequencies_table(found)[["model", "expected_frequency"]].round(2).values.tolist()
        [['1', 0.75], ['2', 0.25]]
    """
    return selection.table().drop(columns="alpha")


def plot_model_frequencies(selection: ModelSelection, *, ax: Axes | None = None) -> Axes:
    """Draw the expected frequency of each model, with exceedance probabilities beside.

    Bars are expected frequencies, their lines one standard deviation to each side. The dashed line
    is 1 / models, where all are equally frequent. Hollow dots are exceedance probabilities, full
    ones the protected probabilities, on the same axis.

    Args:
        selection: of `jaxcmr.comparison.bayesian_model_selection`.
        ax: axes to draw into; by default those of a new figure.

    Returns:
        The axes.

    Examples:
        >>> import numpy as np
        >>> from jaxcmr.comparison import bayesian_model_selection
        >>> from matplotlib.figure import Figure
        >>> found = bayesian_model_selection(np.array([[0.0, -9.0], [0.0, -9.0]]))
        >>> plot_model_frequencies(found, ax=Figure().subplots()).get_title()
        'omnibus risk 0.43'
    """
    table = frequencies_table(selection)
    ax = make_axes(ax, 2.6 + 0.8 * len(table), 3.2)
    x = np.arange(len(table))
    ax.bar(
        x - 0.18,
        table["expected_frequency"],
        width=0.5,
        color=COLORS[4],
        yerr=table["sd"],
        error_kw={"elinewidth": 1.2},
        label="expected frequency ± SD",
    )
    look: dict[str, Any] = {
        "linestyle": "none",
        "marker": "o",
        "color": DATA,
        "markersize": 6,
        "clip_on": False,
    }
    ax.plot(x + 0.2, table["exceedance"], fillstyle="none", label="exceedance", **look)
    ax.plot(x + 0.32, table["protected_exceedance"], label="protected exceedance", **look)
    equal = 1 / len(table)
    ax.axhline(equal, color=GRAY, linewidth=1, linestyle="--", label=f"1/{len(table)}")
    ax.set(
        xticks=x,
        ylim=(0, 1),
        ylabel="frequency or probability",
        title=f"omnibus risk {selection.bor:.2g}",
    )
    ax.title.set_fontsize(9)
    long = max(map(len, table["model"])) > 8
    ax.set_xticklabels(table["model"], rotation=30 if long else 0, ha="right" if long else "center")
    add_legend(ax)
    open_up(ax)
    return ax
