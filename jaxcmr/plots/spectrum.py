"""Which combinations of parameters the data determine: standard errors along directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from jaxcmr.plots._axes import COLORS, GRAY, make_axes, open_up

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from jaxcmr.uncertainty import Covariance

__all__ = ["plot_spectrum", "spectrum_table"]

OPEN = 0.5
"""Standard error from which a direction is open, as a share of the searched range."""

TOP = 50.0
"""Standard error from which a direction is as good as flat."""


def spectrum_table(covariance: Covariance) -> pd.DataFrame:
    """Return one row per subject and direction, the least curved first.

    Args:
        covariance: from `jaxcmr.uncertainty.covariance`.

    Returns:
        Columns ``subject``; ``number`` from 0; ``eigenvalue`` of the Hessian; ``error``, the
        standard error along the direction as a share of the searched range, by the Hessian or the
        sandwich, missing for subjects without standard errors; ``direction`` in words; and
        ``is_open``, for the rows of `Covariance.open_directions`: an error of at least half the
        range, or a loss that does not curve upwards.

    Examples:
        >>> import numpy as np, pandas as pd
        >>> from jaxcmr.uncertainty import Covariance
        >>> table = pd.DataFrame({"subject": 1, "parameter": ["a", "b"], "status": "interior"})
        >>> spectrum = pd.DataFrame({"subject": [1, 1], "number": [0, 1], "eigenvalue": [1.0, 9.0],
        ...                          "error": [1.0, 1 / 3], "direction": ["a up", "b up"]})
        >>> found = Covariance("hessian", table, spectrum, np.eye(2)[None], ("a", "b"))
        >>> spectrum_table(found)["is_open"].tolist()
        [True, False]
    """
    table = covariance.spectrum[["subject", "number", "eigenvalue", "error", "direction"]].copy()
    table["is_open"] = table.index.isin(covariance.open_directions().index)
    return table


def plot_spectrum(covariance: Covariance, *, ax: Axes | None = None) -> Axes:
    """Draw the standard error along each direction in the space of the parameters, by subject.

    Each column is a subject, the one with the largest error first; each dash is a direction, an
    eigenvector of the Hessian. Above the dashed line a direction is open: its standard error is
    more than half the searched range. Directions along which the loss does not curve upwards, or
    hardly (an error of 50 ranges or more), are crosses at the top. Columns of subjects without
    standard errors hold crosses or nothing.

    Args:
        covariance: from `jaxcmr.uncertainty.covariance`, by the Hessian or the sandwich.
        ax: axes to draw into; by default those of a new figure.

    Returns:
        The axes.

    Examples:
        >>> import numpy as np, pandas as pd
        >>> from matplotlib.figure import Figure
        >>> from jaxcmr.uncertainty import Covariance
        >>> table = pd.DataFrame({"subject": 1, "parameter": ["a", "b"], "status": "interior"})
        >>> spectrum = pd.DataFrame({"subject": [1, 1], "number": [0, 1], "eigenvalue": [1.0, 9.0],
        ...                          "error": [1.0, 1 / 3], "direction": ["a up", "b up"]})
        >>> found = Covariance("hessian", table, spectrum, np.eye(2)[None], ("a", "b"))
        >>> plot_spectrum(found, ax=Figure().subplots()).get_xlabel()
        'subject, largest error first'
    """
    table = spectrum_table(covariance)
    is_open = table["is_open"].to_numpy()
    errors = np.minimum(table["error"].to_numpy(), TOP)
    errors[is_open & ~(table["eigenvalue"].to_numpy() > 0)] = TOP
    largest = pd.Series(errors).groupby(table["subject"].to_numpy(), sort=False).max()
    order = largest.sort_values(ascending=False, kind="stable").index
    column = table["subject"].map({subject: x for x, subject in enumerate(order)}).to_numpy()
    ax = make_axes(ax, float(np.clip(2.5 + 0.05 * len(order), 4.5, 9.0)), 3.4)
    half, is_known = 0.4, errors < TOP
    for chosen, color in ((is_known & ~is_open, COLORS[0]), (is_known & is_open, COLORS[1])):
        ax.hlines(
            errors[chosen], column[chosen] - half, column[chosen] + half, color=color, linewidth=1.2
        )
    is_flat = errors >= TOP
    ax.scatter(
        column[is_flat], errors[is_flat], marker="x", s=18, color=COLORS[1], zorder=3, clip_on=False
    )
    ax.axhline(OPEN, color=GRAY, linestyle="--", linewidth=0.9, zorder=0)
    ax.set(
        yscale="log",
        xlabel="subject, largest error first",
        ylabel="standard error (share of the range)",
        xlim=(-1, len(order)),
        xticks=[],
    )
    ax.yaxis.set_major_formatter(lambda value, place: f"{value:g}")  # not as an equation
    ax.yaxis.set_minor_formatter(lambda value, place: "")
    open_up(ax)
    return ax
