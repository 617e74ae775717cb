"""Recovery of models: confusion and inversion matrix, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxcmr.plots._axes import as_panels, make_panels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from jaxcmr.recovery import ModelRecovery

__all__ = ["confusion_table", "plot_confusion"]


def confusion_table(recovery: ModelRecovery) -> pd.DataFrame:
    """Return one row per pair of models: how often the second fits data of the first best.

    Args:
        recovery: of `jaxcmr.recovery.recover_models`.

    Returns:
        Columns ``simulated``; ``fitted``; ``count``; ``confusion``, p(fitted | simulated), with its
        95 % interval ``low`` to ``high``; and ``inversion``, p(simulated | fitted).

    Examples:
        >>> import pandas as pd
        >>> from jaxcmr.recovery import ModelRecovery
        >>> counts = pd.DataFrame([[9.0, 1.0], [3.0, 7.0]], index=["a", "b"], columns=["a", "b"])
        >>> table = confusion_table(ModelRecovery(counts, pd.DataFrame(), "aicc", 0))
        >>> table[["simulated", "fitted", "confusion", "inversion"]].values[1].tolist()
        ['a', 'b', 0.1, 0.125]
    """
    import pandas as pd

    low, high = recovery.intervals()
    tables = {
        "count": recovery.counts,
        "confusion": recovery.confusion,
        "low": low,
        "high": high,
        "inversion": recovery.inversion(),
    }
    rows, columns = list(recovery.counts.index), list(recovery.counts.columns)
    return pd.DataFrame(
        {
            "simulated": np.repeat(rows, len(columns)),
            "fitted": columns * len(rows),
            **{name: table.to_numpy().ravel() for name, table in tables.items()},
        }
    )


def plot_confusion(
    recovery: ModelRecovery, *, ax: Sequence[Axes] | np.ndarray | None = None
) -> np.ndarray:
    """Draw confusion and inversion matrix, with the numbers in the cells.

    The model that simulated is on the vertical axis, the one that fits best on top. Rows of the
    first sum to 1, columns of the second.

    Args:
        recovery: of `jaxcmr.recovery.recover_models`.
        ax: two axes; by default those of a new figure.

    Returns:
        The axes, (2,).

    Examples:
        >>> import pandas as pd
        >>> from jaxcmr.recovery import ModelRecovery
        >>> from matplotlib.figure import Figure
        >>> counts = pd.DataFrame([[9.0, 1.0], [3.0, 7.0]], index=["a", "b"], columns=["a", "b"])
        >>> found = ModelRecovery(counts, pd.DataFrame(), "aicc", 0)
        >>> [ax.get_title() for ax in plot_confusion(found, ax=Figure().subplots(1, 2))]
        ['p(fits best | simulated)', 'p(simulated | fits best)']
    """
    size = 1.9 + 0.7 * len(recovery.counts)
    panels = make_panels(1, 2, size, size)[0] if ax is None else as_panels(ax, 2)
    drawn = (
        (recovery.confusion, "p(fits best | simulated)"),
        (recovery.inversion(), "p(simulated | fits best)"),
    )
    for panel, (matrix, title) in zip(panels, drawn, strict=True):
        values = matrix.to_numpy(float)
        panel.imshow(np.nan_to_num(values), vmin=0, vmax=1, cmap="Blues")
        for (i, j), share in np.ndenumerate(values):
            text = "-" if share != share else f"{share:.2f}"
            color = "white" if share > 0.6 else "black"
            panel.text(j, i, text, ha="center", va="center", fontsize=9, color=color)
        panel.set(xticks=range(len(matrix.columns)), yticks=range(len(matrix.index)))
        panel.set_xticklabels(matrix.columns, rotation=30, ha="left", rotation_mode="anchor")
        panel.set_yticklabels(matrix.index)
        panel.xaxis.tick_top()
        panel.xaxis.set_label_position("top")
        panel.set(xlabel="fits best", ylabel="simulated")
        panel.set_title(title, fontsize=10)
    return panels
