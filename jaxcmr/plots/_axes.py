"""What the figures share: new axes, colors, markers and line styles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxcmr.names import describe_missing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLORS",
    "COLUMNS",
    "DATA",
    "GRAY",
    "MARKERS",
    "STYLES",
    "add_legend",
    "as_panels",
    "make_axes",
    "make_grid",
    "make_panels",
    "number_wholly",
    "open_up",
    "shade",
]

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Okabe and Ito's colors, which the color-blind tell apart; black is for data."""
STYLES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 3)))
MARKERS = ("s", "^", "D", "v", "P", "X")
COLUMNS = 4
"""Panels side by side."""
DATA, GRAY = "black", "#767676"


def make_axes(ax: Axes | None, width: float = 4.5, height: float = 3.2) -> Axes:
    """Return `ax`, or the axes of a new figure of this size in inches.

    Raises:
        ImportError: matplotlib is not installed.
    """
    if ax is not None:
        return ax
    return make_panels(1, 1, width, height)[0, 0]


def make_panels(
    n_rows: int, n_columns: int, width: float, height: float, figure: Figure | None = None
) -> np.ndarray:
    """Return axes (rows, columns) of a panel's `width` and `height`, in inches.

    They are of a new figure, or of a `figure` that is made as large as they need.

    Raises:
        ImportError: matplotlib is not installed.
    """
    if figure is None:
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError(describe_missing("Figures", "matplotlib", "plots")) from error
        figure = plt.figure(layout="constrained")
    figure.set_size_inches(width * n_columns, height * n_rows)
    return np.asarray(figure.subplots(n_rows, n_columns, squeeze=False))


def make_grid(
    n: int, width: float, height: float, figure: Figure | None = None, columns: int = COLUMNS
) -> np.ndarray:
    """Return `n` axes in rows of `columns`, as `make_panels` does; those left over are removed."""
    panels = make_panels(-(-n // columns), min(n, columns), width, height, figure).reshape(-1)
    for spare in panels[n:]:
        spare.remove()
    return panels[:n]


def as_panels(ax: Sequence[Axes] | np.ndarray | None, n: int) -> np.ndarray:
    """Return the axes given for `n` panels, or those of a new figure with one row.

    Raises:
        ValueError: other than `n` axes were given.
    """
    if ax is None:
        return make_panels(1, n, 3.1, 2.8)[0]
    panels = np.array(ax, dtype=object).reshape(-1)
    if len(panels) != n:
        raise ValueError(f"This figure has {n} panels: ax is a sequence of {n} Axes; got {ax!r}.")
    return panels


def open_up(ax: Axes) -> None:
    """Remove the frame at the top and on the right."""
    ax.spines[["top", "right"]].set_visible(False)


def number_wholly(ax: Axes) -> None:
    """Put ticks of the horizontal axis at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))


def add_legend(ax: Axes, title: str | None = None) -> None:
    """Add a legend to the right of the axes, where it covers nothing."""
    ax.legend(
        title=title,
        frameon=False,
        fontsize=8,
        title_fontsize=8,
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
    )


def shade(n: int) -> list[tuple[float, float, float, float]]:
    """Return `n` colors in order, from dark to light, which stay in order in gray."""
    from matplotlib import colormaps

    return [colormaps["viridis"](place) for place in np.linspace(0.0, 0.85, n)]
