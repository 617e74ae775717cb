"""Which parameters are taken for one another: correlations of truths and estimates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jaxcmr.plots._axes import make_axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from jaxcmr.recovery import Recovery

__all__ = ["plot_recovery_correlations", "recovery_correlations_table"]


def recovery_correlations_table(recovery: Recovery) -> pd.DataFrame:
    """Return one row per cell of the figure: a truth, an estimate, their correlation.

    Args:
        recovery: of `jaxcmr.recovery.recover_parameters`.

    Returns:
        Columns ``truth``, ``estimate`` and ``r``, which is missing where one is constant.

    Examples:
        >>> import pandas as pd
        >>> from jaxcmr.recovery import Recovery
        >>> table = pd.DataFrame({"subject": [1, 2], "copy": 1, "parameter": "rate",
        ...     "truth_place": [0.25, 0.75], "estimate_place": [0.375, 1.0]})
        >>> found = Recovery(table, pd.DataFrame(), 28, "fitted", 0)
        >>> recovery_correlations_table(found).values.tolist()
        [['rate', 'rate', 1.0]]
    """
    table = recovery.correlations().reset_index()
    return table.melt("truth", var_name="estimate", value_name="r")


def plot_recovery_correlations(recovery: Recovery, *, ax: Axes | None = None) -> Axes:
    """Draw the correlation of each truth with each estimate as a table of colors.

    Args:
        recovery: of `jaxcmr.recovery.recover_parameters`.
        ax: axes to draw into; by default those of a new figure.

    Returns:
        The axes.

    Examples:
        >>> import pandas as pd
        >>> from jaxcmr.recovery import Recovery
        >>> from matplotlib.figure import Figure
        >>> table = pd.DataFrame({"subject": [1, 2], "copy": 1, "parameter": "rate",
        ...     "truth_place": [0.25, 0.75], "estimate_place": [0.375, 1.0]})
        >>> found = Recovery(table, pd.DataFrame(), 28, "fitted", 0)
        >>> plot_recovery_correlations(found, ax=Figure().subplots()).get_xlabel()
        'estimate'
    """
    matrix = recovery.correlations()
    names, n = list(matrix.index), len(matrix)
    ax = make_axes(ax, 3.2 + 0.42 * n, 2.4 + 0.36 * n)
    values = matrix.to_numpy(float)
    ax.imshow(values, vmin=-1, vmax=1, cmap="RdBu_r", aspect="auto")
    for (i, j), r in np.ndenumerate(values):
        text = "-" if np.isnan(r) else f"{r:.2f}".replace("0.", ".")
        color = "white" if abs(r) > 0.65 else "black"
        ax.text(j, i, text, ha="center", va="center", fontsize=7, color=color)
    ax.set(xticks=range(n), yticks=range(n), xlabel="estimate", ylabel="truth")
    ax.set_xticklabels(names, rotation=40, ha="right", rotation_mode="anchor", fontsize=8)
    ax.set_yticklabels(names, fontsize=8)
    return ax
