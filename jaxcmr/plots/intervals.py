"""Estimates of one parameter with their confidence intervals, subject by subject."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from jaxcmr.plots._axes import COLORS, GRAY, make_axes, open_up

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from jaxcmr.uncertainty import Profiles

__all__ = ["intervals_table", "plot_intervals"]

ENDS = ("closed", "blocked")


def intervals_table(profiles: Profiles, parameter: str) -> pd.DataFrame:
    """Return one row per subject: the interval of a parameter, in order of the estimates.

    Args:
        profiles: from `jaxcmr.uncertainty.profile_likelihood`.
        parameter: its name.

    Returns:
        Columns ``subject``; ``estimate``; ``lower`` and ``upper``, where the profile ended; and
        ``lower_is_limit`` and ``upper_is_limit``, False where the interval is open there.

    Raises:
        ValueError: there is no profile of the parameter.

    Examples:
        >>> from jaxcmr.uncertainty import Profiles
        >>> table = pd.DataFrame({"subject": [1, 1], "parameter": "b", "side": ["lower", "upper"],
        ...                       "estimate": 0.5, "status": ["closed", "flat"], "end": [0.4, 1.0]})
        >>> found = Profiles(table, pd.DataFrame(), 0.95, 1.92, None)
        >>> intervals_table(found, "b").values.tolist()
        [[1, 0.5, 0.4, 1.0, True, False]]
    """
    table = profiles.table
    if parameter not in set(table["parameter"]):
        known = ", ".join(dict.fromkeys(table["parameter"]))
        raise ValueError(f"There is no profile of {parameter!r}; there are: {known}.")
    of_parameter = table[table["parameter"] == parameter]
    sides = {side: part.set_index("subject") for side, part in of_parameter.groupby("side")}
    lower, upper = sides["lower"], sides["upper"]
    wide = pd.DataFrame(
        {
            "estimate": lower["estimate"],
            "lower": lower["end"],
            "upper": upper["end"],
            "lower_is_limit": lower["status"].isin(ENDS),
            "upper_is_limit": upper["status"].isin(ENDS),
        }
    )
    return wide.sort_values("estimate", kind="stable").reset_index()


def plot_intervals(profiles: Profiles, parameter: str, *, ax: Axes | None = None) -> Axes:
    """Draw a parameter's estimate and interval for each subject, in order of the estimates.

    A bar ends in a cap where there is a limit. It ends in an arrow where the interval is open: the
    loss has not risen enough up to there, mostly a bound.

    Args:
        profiles: from `jaxcmr.uncertainty.profile_likelihood`.
        parameter: its name.
        ax: axes to draw into; by default those of a new figure.

    Returns:
        The axes.

    Examples:
        >>> from matplotlib.figure import Figure
        >>> from jaxcmr.uncertainty import Profiles
        >>> table = pd.DataFrame({"subject": [1, 1], "parameter": "b", "side": ["lower", "upper"],
        ...                       "estimate": 0.5, "status": ["closed", "flat"], "end": [0.4, 1.0]})
        >>> found = Profiles(table, pd.DataFrame(), 0.95, 1.92, None)
        >>> plot_intervals(found, "b", ax=Figure().subplots()).get_xlabel()
        'b, 95 % interval'
    """
    table = intervals_table(profiles, parameter)
    n = len(table)
    ax = make_axes(ax, 4.5, float(np.clip(0.8 + 0.22 * n, 1.6, 12.0)))
    rows = np.arange(n)
    ax.hlines(rows, table["lower"], table["upper"], color=COLORS[0], linewidth=1.2, zorder=1)
    for side, arrow in (("lower", "<"), ("upper", ">")):
        is_limit = table[f"{side}_is_limit"].to_numpy()
        ends = table[side].to_numpy()
        ax.scatter(ends[is_limit], rows[is_limit], marker="|", s=40, color=COLORS[0])
        ax.scatter(
            ends[~is_limit], rows[~is_limit], marker=arrow, s=22, facecolor="white",
            edgecolor=COLORS[0], clip_on=False, zorder=2,
        )  # fmt: skip
    ax.scatter(table["estimate"], rows, s=22, color=COLORS[0], zorder=3)
    ax.set(
        yticks=rows,
        ylim=(n - 0.4, -0.6),
        ylabel="subject",
        xlabel=f"{parameter}, {100 * profiles.level:g} % interval",
    )
    ax.set_yticklabels(table["subject"], fontsize=8 if n < 40 else 5)
    ax.tick_params(axis="y", length=0, colors=GRAY)
    open_up(ax)
    return ax
