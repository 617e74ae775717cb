"""Which combinations of parameters the data determine: eigenvalues of the Hessian."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jaxcmr.plots._axes import COLORS, GRAY, make_axes, open_up

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from jaxcmr.uncertainty import Covariance

__all__ = ["plot_spectrum", "spectrum_table"]

OPEN = 4.0
"""Eigenvalue of a direction whose standard error is half the searched range."""


def spectrum_table(covariance: Covariance) -> pd.DataFrame:
    """Return one row per subject and direction, the least determined first.

    Args:
        covariance: from `jaxcmr.uncertainty.covariance`.

    Returns:
        Columns ``subject``; ``number`` from 0; ``eigenvalue``; ``error``, the standard error along
        the direction as a share of the searched range; ``direction`` in words; and ``is_open``, for
        those whose error is at least half the range, or that do not curve upwards.

    Examples:
        >>> import numpy as np, pandas as pd
        >>> from jaxcmr.uncertainty import Covariance
        >>> spectrum = pd.DataFrame({"subject": [1, 1], "number": [0, 1], "eigenvalue": [1.0, 9.0],
        ...                          "error": [1.0, 1 / 3], "direction": ["a up", "b up"]})
        >>> found = Covariance("hessian", pd.DataFrame(), spectrum, np.eye(2)[None], ("a", "b"))
        >>> spectrum_table(found)["is_open"].tolist()
        [True, False]
    """
    table = covariance.spectrum[["subject", "number", "eigenvalue", "error", "direction"]].copy()
    table["is_open"] = ~(table["eigenvalue"] > OPEN)
    return table


def plot_spectrum(covariance: Covariance, *, ax: Axes | None = None) -> Axes:
    """Draw the eigenvalues of each subject's Hessian, from the least determined direction.

    Each column is a subject, in order of the lowest eigenvalue; each dash is a direction. Below
    the dashed line a direction is open: its standard error is more than half the searched range.
    Directions that do not curve upwards are crosses at the bottom.

    Args:
        covariance: from `jaxcmr.uncertainty.covariance`.
        ax: axes to draw into; by default those of a new figure.

    Returns:
        The axes.

    Examples:
        >>> import numpy as np, pandas as pd
        >>> from matplotlib.figure import Figure
        >>> from jaxcmr.uncertainty import Covariance
        >>> spectrum = pd.DataFrame({"subject": [1, 1], "number": [0, 1], "eigenvalue": [1.0, 9.0],
        ...                          "error": [1.0, 1 / 3], "direction": ["a up", "b up"]})
        >>> found = Covariance("hessian", pd.DataFrame(), spectrum, np.eye(2)[None], ("a", "b"))
        >>> plot_spectrum(found, ax=Figure().subplots()).get_ylabel()
        'eigenvalue of the Hessian'
    """
    table = spectrum_table(covariance)
    lowest = table.groupby("subject", sort=False)["eigenvalue"].min().sort_values()
    column = table["subject"].map({subject: x for x, subject in enumerate(lowest.index)}).to_numpy()
    values, is_open = table["eigenvalue"].to_numpy(), table["is_open"].to_numpy()
    ax = make_axes(ax, float(np.clip(2.5 + 0.05 * len(lowest), 4.5, 9.0)), 3.4)
    bottom = OPEN / 1e4  # far below it, a direction is as good as flat
    is_up = values > bottom
    half = 0.4
    for chosen, color in ((is_up & ~is_open, COLORS[0]), (is_up & is_open, COLORS[1])):
        ax.hlines(
            values[chosen], column[chosen] - half, column[chosen] + half, color=color, linewidth=1.2
        )
    ax.scatter(
        column[~is_up], np.full((~is_up).sum(), bottom), marker="x", s=18, color=COLORS[1], zorder=3
    )
    ax.axhline(OPEN, color=GRAY, linestyle="--", linewidth=0.9, zorder=0)
    ax.set(yscale="log", xlabel="subject, in order", ylabel="eigenvalue of the Hessian")
    ax.set_xlim(-1, len(lowest))
    ax.set_xticks([])
    error = ax.secondary_yaxis(
        "right",
        functions=(
            lambda v: 1 / np.sqrt(np.maximum(v, 1e-12)),
            lambda e: 1 / np.square(np.maximum(e, 1e-6)),
        ),
    )
    error.set_ylabel("standard error (share of the range)")
    for axis in (ax.yaxis, error.yaxis):  # as plain text, where equations are not drawn
        axis.set_major_formatter(lambda value, place: f"{value:g}")
        axis.set_minor_formatter(lambda value, place: "")
    open_up(ax)
    return ax
