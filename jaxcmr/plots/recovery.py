"""Recovery of parameters: estimates against the truth, a panel per parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxcmr.plots._axes import COLORS, GRAY, as_panels, make_grid, open_up

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from jaxcmr.recovery import Recovery

__all__ = ["plot_recovery", "recovery_table"]


def recovery_table(recovery: Recovery) -> pd.DataFrame:
    """Return one row per point of the figure: truth and estimate on the search scale.

    Args:
        recovery: of `jaxcmr.recovery.recover_parameters`.

    Returns:
        Columns ``parameter``; ``subject``; ``copy``; ``truth`` and ``estimate``, places between the
        bounds from 0 to 1; and ``on_bound``, True for the estimates on a bound.

    Examples:
        >>> import pandas as pd
        >>> from jaxcmr.recovery import Recovery
        >>> table = pd.DataFrame({"subject": [1, 2], "copy": 1, "parameter": "rate",
        ...     "truth": [2, 6], "estimate": [3, 8], "at_bound": ["", "upper"],
        ...     "truth_place": [0.25, 0.75], "estimate_place": [0.375, 1.0]})
        >>> losses = pd.DataFrame({"missed": [False, False]})
        >>> recovery_table(Recovery(table, losses, 28, "fitted", 0))["on_bound"].tolist()
        [False, True]
    """
    table = recovery.table[["parameter", "subject", "copy", "truth_place", "estimate_place"]]
    names = {"truth_place": "truth", "estimate_place": "estimate"}
    return table.rename(columns=names).assign(on_bound=recovery.table["at_bound"] != "")


def plot_recovery(
    recovery: Recovery, *, ax: Sequence[Axes] | np.ndarray | None = None
) -> np.ndarray:
    """Draw estimates against the truth, a panel per parameter.

    Both are places between the bounds, on the scale of the search. The line is where the estimate
    is the truth. Points are hollow where the estimate is on a bound.

    Args:
        recovery: of `jaxcmr.recovery.recover_parameters`.
        ax: axes, one per parameter; by default those of a new figure.

    Returns:
        The axes, (parameters,).

    Examples:
        >>> import pandas as pd
        >>> from jaxcmr.recovery import Recovery
        >>> from matplotlib.figure import Figure
        >>> table = pd.DataFrame({"subject": [1, 2], "copy": 1, "parameter": "rate",
        ...     "truth": [2, 6], "estimate": [3, 8], "at_bound": ["", "upper"],
        ...     "truth_place": [0.25, 0.75], "estimate_place": [0.375, 1.0]})
        >>> found = Recovery(table, pd.DataFrame({"missed": [False] * 2}), 28, "fitted", 0)
        >>> [panel] = plot_recovery(found, ax=[Figure().subplots()])
        >>> panel.get_title().splitlines()
        ['rate', 'r 1.00, RMSE 0.20, bias +0.19']
    """
    points, summary = recovery_table(recovery), recovery.summary()
    names = list(summary["parameter"])
    n = len(names)
    panels = make_grid(n, 2.7, 2.7) if ax is None else as_panels(ax, n)
    for panel, row in zip(panels, summary.itertuples(index=False), strict=True):
        of_one = points[points["parameter"] == row.parameter]
        panel.plot([0, 1], [0, 1], color=GRAY, linewidth=0.8, zorder=0)
        for on_bound, face in ((False, COLORS[0]), (True, "none")):
            chosen = of_one[of_one["on_bound"] == on_bound]
            panel.scatter(
                chosen["truth"], chosen["estimate"], s=14, linewidths=0.8, alpha=0.7,
                facecolors=face, edgecolors=COLORS[0], clip_on=False,
            )  # fmt: skip
        words = f"r {row.r:.2f}, RMSE {row.rmse:.2f}, bias {row.bias:+.2f}".replace("nan", "-")
        panel.set_title(f"{row.parameter}\n{words}", fontsize=8)
        panel.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        panel.set(xlabel="truth", ylabel="estimate", aspect="equal")
        open_up(panel)
    return panels
