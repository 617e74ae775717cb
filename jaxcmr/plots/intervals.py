"""Estimates of one parameter with their confidence intervals, subject by subject."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jaxcmr.plots._axes import COLORS, GRAY, make_axes, open_up

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from jaxcmr.uncertainty import Profiles

__all__ = ["intervals_table", "plot_intervals"]

LIMITS = ("closed", "blocked")
"""Statuses of an end that is a confidence limit."""


def intervals_table(profiles: Profiles, parameter: str) -> pd.DataFrame:
    """Return one row per subject: the interval of a parameter, in order of the estimates.

    Args:
        profiles: from `jaxcmr.uncertainty.profile_likelihood`.
        parameter: its name.

    Returns:
        Columns ``subject``; ``estimate``; ``lower`` and ``upper``, where the profile ended;
        ``lower_is_limit`` and ``upper_is_limit``, False where the interval is open there; and
        ``lower_status`` and ``upper_status``, keys of `jaxcmr.uncertainty.STATUSES`.

    Raises:
        ValueError: there is no profile of the parameter.

    Examples:
        >>> from jaxcmr.uncertainty import Profiles
        >>> table = pd.DataFrame({"subject": [1, 1], "parameter": "b", "side": ["lower", "upper"],
        ...                       "estimate": 0.5, "status": ["closed", "flat"], "end": [0.4, 1.0]})
        >>> found = Profiles(table, pd.DataFrame(), 0.95, 1.92, None)
        >>> intervals_table(found, "b").values.tolist()
        [[1, 0.5, 0.4, 1.0, True, False, 'closed', 'flat']]
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
            "lower_is_limit": lower["status"].isin(LIMITS),
            "upper_is_limit": upper["status"].isin(LIMITS),
            "lower_status": lower["status"],
            "upper_status": upper["status"],
        }
    )
    return wide.sort_values("estimate", kind="stable").reset_index()


def plot_intervals(profiles: Profiles, parameter: str, *, ax: Axes | None = None) -> Axes:
    """Draw a parameter's estimate and interval for each subject, in order of the estimates.

    A bar ends in a cap where there is a limit; in a square where the limit holds only within the
    bounds of another parameter, which has reached one on the way ("blocked"); and in an arrow where
    the interval is open: the loss has not risen enough up to there, mostly a bound.

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
        draw_ends(ax, table[side].to_numpy(), table[f"{side}_status"].to_numpy(), arrow)
    ax.scatter(table["estimate"], rows, s=22, color=COLORS[0], zorder=3)
    handles = dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
    if list(handles) != ["limit"]:
        ax.legend(
            handles.values(), handles, frameon=False, fontsize=8, loc="lower left", ncols=2,
            bbox_to_anchor=(0, 1), borderaxespad=0.2, columnspacing=1.2, handletextpad=0.3,
        )  # fmt: skip
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


def draw_ends(ax: Axes, ends: np.ndarray, statuses: np.ndarray, arrow: str) -> None:
    """Draw the ends of the bars on one side, row by row: caps, squares and arrows."""
    rows = np.arange(len(ends))
    kinds = (
        ("limit", statuses == "closed", "|", 40),
        ("limit, another parameter on a bound", statuses == "blocked", "s", 16),
        ("open end", ~np.isin(statuses, LIMITS), arrow, 22),
    )
    for label, chosen, marker, size in kinds:
        look: dict[str, Any] = (
            {"color": COLORS[0]} if marker == "|" else {"fc": "white", "ec": COLORS[0]}
        )
        if chosen.any():
            ax.scatter(
                ends[chosen], rows[chosen], marker=marker, s=size, linewidth=1.2, zorder=2,
                clip_on=marker == "|", label=label, **look,
            )  # fmt: skip
