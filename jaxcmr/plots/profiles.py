"""Profiles of the likelihood: how the loss rises as a parameter moves away from its estimate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxcmr.plots._axes import COLORS, DATA, GRAY, as_panels, make_grid, open_up

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from jaxcmr.uncertainty import Profiles

__all__ = ["plot_profiles", "profiles_table"]

ABOVE = 1.6
"""Height of a panel, in thresholds."""


def profiles_table(
    profiles: Profiles,
    subject: int | str | None = None,
    parameters: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the points of the profiles of a subject.

    Args:
        profiles: from `jaxcmr.uncertainty.profile_likelihood`.
        subject: whose profiles; the first subject's by default.
        parameters: names of parameters; all by default.

    Returns:
        Columns ``parameter``; ``value``; ``rise`` of the loss, in nats; ``at_bound``, the other
        parameters that are on a bound there; ``reached``, those of them that are not on a bound at
        the estimates; and ``is_limit``.

    Raises:
        ValueError: there is no profile of the subject or of a parameter.

    Examples:
        >>> import pandas as pd
        >>> from jaxcmr.uncertainty import Profiles
        >>> path = pd.DataFrame({"subject": 1, "parameter": "b", "side": ["estimate", "upper"],
        ...                      "value": [0.5, 0.7], "loss": [3.0, 4.92], "rise": [0.0, 1.92],
        ...                      "at_bound": ""})
        >>> table = pd.DataFrame({"subject": [1], "parameter": ["b"], "limit": [0.7]})
        >>> profiles_table(Profiles(table, path, 0.95, 1.92, None))["is_limit"].tolist()
        [False, True]
    """
    path, table = profiles.path, profiles.table
    subject = path["subject"].iloc[0] if subject is None else subject
    names = list(dict.fromkeys(path.loc[path["subject"] == subject, "parameter"]))
    wanted = [parameters] if isinstance(parameters, str) else list(parameters or names)
    missing = [name for name in wanted if name not in names]
    if missing or not names:
        raise ValueError(
            f"There is no profile of {missing or 'any parameter'} for subject {subject}; there are "
            f"profiles of subjects {list(dict.fromkeys(path['subject']))[:5]} for "
            f"{list(dict.fromkeys(path['parameter']))}."
        )
    chosen = path[(path["subject"] == subject) & path["parameter"].isin(wanted)]
    points = chosen[["parameter", "value", "rise", "at_bound"]].reset_index(drop=True)
    points["reached"] = name_reached(path[path["subject"] == subject], points["at_bound"])
    limits = table[table["subject"] == subject].groupby("parameter")["limit"].agg(list)
    points["is_limit"] = [
        bool(np.any(np.isclose(value, limits[name], rtol=1e-9, atol=0.0)))
        for name, value in zip(points["parameter"], points["value"], strict=True)
    ]
    order = points["parameter"].map({name: i for i, name in enumerate(wanted)})
    return points.loc[order.sort_values(kind="stable").index].reset_index(drop=True)


def name_reached(path: pd.DataFrame, at_bound: pd.Series) -> list[str]:
    """Return parameters on a bound, without those that are on one at a subject's estimates."""
    at_estimates = path.loc[path["side"] == "estimate", "at_bound"]
    known = {name for names in at_estimates for name in names.split(", ")}
    return [
        ", ".join(name for name in names.split(", ") if name not in known) for names in at_bound
    ]


def plot_profiles(
    profiles: Profiles,
    subject: int | str | None = None,
    parameters: str | Sequence[str] | None = None,
    *,
    ax: Sequence[Axes] | np.ndarray | None = None,
) -> np.ndarray:
    """Draw the profiles of the parameters of a subject, one panel each.

    The dashed line is the threshold; where a profile crosses it is a confidence limit, shaded in
    between. A marker is a point that was computed, hollow where another parameter has reached a
    bound on the way: the profile would rise less with wider bounds. Parameters that are on a bound
    at the estimates do not count. Between markers the root of the rise is interpolated.

    Args:
        profiles: from `jaxcmr.uncertainty.profile_likelihood`.
        subject: whose profiles; the first subject's by default.
        parameters: names of parameters; all by default.
        ax: one Axes per parameter; by default those of a new figure.

    Returns:
        The axes.

    Examples:
        >>> import pandas as pd
        >>> from matplotlib.figure import Figure
        >>> from jaxcmr.uncertainty import Profiles
        >>> path = pd.DataFrame({"subject": 1, "parameter": "b", "side": ["estimate", "upper"],
        ...                      "value": [0.5, 0.7], "loss": [3.0, 4.92], "rise": [0.0, 1.92],
        ...                      "at_bound": ""})
        >>> table = pd.DataFrame({"subject": [1], "parameter": ["b"], "limit": [0.7]})
        >>> found = Profiles(table, path, 0.95, 1.92, None)
        >>> plot_profiles(found, ax=[Figure().subplots()])[0].get_xlabel()
        'b'
    """
    table = profiles_table(profiles, subject, parameters)
    names = list(dict.fromkeys(table["parameter"]))
    panels = as_panels(ax, len(names)) if ax is not None else make_grid(len(names), 2.6, 2.2)
    for panel, name in zip(panels, names, strict=True):
        draw_profile(panel, table[table["parameter"] == name], profiles.threshold)
        panel.set_xlabel(name)
    for panel in panels[:: 4 if ax is None else len(panels)]:
        panel.set_ylabel("rise of the loss (nats)")
    return panels


def draw_profile(ax: Axes, points: pd.DataFrame, threshold: float) -> None:
    """Draw the profile of a parameter."""
    top = ABOVE * threshold
    shown = points[np.isfinite(points["rise"])]
    value, rise = shown["value"].to_numpy(), shown["rise"].to_numpy()
    is_free = (shown["reached"] == "").to_numpy()
    ax.axhline(threshold, color=GRAY, linewidth=0.9, linestyle="--", zorder=1)
    inside = value[rise <= threshold * (1 + 1e-4)]
    if len(inside):
        ax.axvspan(inside.min(), inside.max(), color="#E9EFF5", zorder=0)
    ax.plot(*curve_through(value, rise), color=COLORS[0], linewidth=1.2, zorder=2)
    for chosen, face in ((is_free, COLORS[0]), (~is_free, "white")):
        ax.scatter(value[chosen], rise[chosen], s=16, facecolor=face, edgecolor=COLORS[0], zorder=3)
    best = int(np.argmin(np.abs(rise)))  # the estimate
    ax.plot(value[best], rise[best], marker="|", markersize=12, color=DATA, zorder=4)
    ax.set_ylim(-0.06 * top, top)
    open_up(ax)


def curve_through(
    value: np.ndarray, rise: np.ndarray, n: int = 20
) -> tuple[np.ndarray, np.ndarray]:
    """Return a curve through points of a profile, whose signed root is a line between them.

    The root of the rise is a line if the loss is quadratic; so the curve is its parabola then.
    """
    best = int(np.argmin(np.abs(rise)))
    root = np.sqrt(np.maximum(rise, 0.0)) * np.where(np.arange(len(rise)) < best, -1.0, 1.0)
    places = np.arange((len(value) - 1) * n + 1) / n
    at = np.arange(len(value))
    return np.interp(places, at, value), np.interp(places, at, root) ** 2
