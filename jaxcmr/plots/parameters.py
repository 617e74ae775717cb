"""Distributions of the estimates over subjects, between their bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcmr._tables import format_number
from jaxcmr.names import table_of
from jaxcmr.parameters import DECADES, ParameterSpace, declared_by
from jaxcmr.plots._axes import COLORS, DATA, GRAY, make_axes, open_up
from jaxcmr.results import FitResult

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["parameters_table", "plot_parameters"]

SPREAD = 0.2
"""Half the height over which the points of a row are spread, in rows."""

ON_BOUND = 1e-3
"""How far from a bound an estimate counts as on it, for results that do not say."""


def parameters_table(result: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row per fit and free parameter: the estimate, and its place between the bounds.

    Args:
        result: the result of a fit.

    Returns:
        Columns ``subject``; ``parameter``; ``estimate``; ``low`` and ``high``, its bounds;
        ``scale``, "log" for strengths, whose ratios matter, as the model declares it; ``place``,
        from 0 at the lower bound to 1 at the upper bound on that scale; and ``at_bound``: "lower",
        "upper" or empty, as `FitResult.at_bound` has it. Of a model without a name, the scale is
        that of the search.

    Examples:
        >>> from jaxcmr.results import FitResult
        >>> fits = {"learning_rate": [0.25, 1.0], "subject": [1, 2]}
        >>> free = {"learning_rate": [0.0, 1.0]}
        >>> table = parameters_table(FitResult(fits=fits, free=free, fitness=[7.0, 8.0]))
        >>> table[["subject", "estimate", "place", "at_bound"]].values.tolist()
        [[1, 0.25, 0.25, ''], [2, 1.0, 1.0, 'upper']]
    """
    import pandas as pd

    free, scales = result["free"], declared_scales(result)
    on_bounds = FitResult(result).at_bound() if result.get("runs") else []
    rows = []
    for i, subject in enumerate(result["fits"]["subject"]):
        estimates = {name: result["fits"][name][i] for name in free}
        places = find_places(estimates, free, scales)
        for name, place in places.items():
            low, high = free[name]
            end = on_bounds[i].get(name, "") if on_bounds else find_end(place)
            rows.append((subject, name, estimates[name], low, high, scales[name], place, end))
    columns = ["subject", "parameter", "estimate", "low", "high", "scale", "place", "at_bound"]
    return pd.DataFrame(rows, columns=columns)


def plot_parameters(result: Mapping[str, Any], *, ax: Axes | None = None) -> Axes:
    """Draw the estimates of each free parameter over subjects, between their bounds.

    Each parameter has a row, which spans its bounds; they are written at its ends. A logarithmic
    scale has ticks at the decades that it spreads: the last four below the upper bound ("half-log":
    two). Smaller values, down to a bound of 0, are squeezed to the left end. A dot is a
    subject's estimate, hollow if it lies on a bound. The bar covers the middle half of the
    subjects. The line across it is the median, whose value is above.

    Args:
        result: the result of a fit.
        ax: axes to draw into; by default those of a new figure.

    Returns:
        The axes.

    Examples:
        >>> from matplotlib.figure import Figure
        >>> from jaxcmr.results import FitResult
        >>> fits = {"learning_rate": [0.25, 0.5], "subject": [1, 2]}
        >>> result = FitResult(fits=fits, free={"learning_rate": [0, 1]}, fitness=[7.0, 8.0])
        >>> ax = plot_parameters(result, ax=Figure().subplots())
        >>> ax.get_xlabel()
        'place between the bounds'
    """
    table = parameters_table(result)
    names = list(result["free"])
    ax = make_axes(ax, 6.0, 0.6 + 0.55 * len(names))
    for row, name in enumerate(names):
        of_parameter = table[table["parameter"] == name]
        draw_row(ax, row, of_parameter)
    ax.set(
        xlim=(-0.02, 1.02),
        ylim=(len(names) - 0.4, -0.6),
        xticks=[0.0, 0.5, 1.0],
        yticks=range(len(names)),
        xlabel="place between the bounds",
    )
    ax.set_yticklabels([describe(name, table) for name in names])
    ax.tick_params(axis="y", length=0)
    open_up(ax)
    ax.spines["left"].set_visible(False)
    return ax


def draw_row(ax: Axes, row: int, estimates: pd.DataFrame) -> None:
    """Draw the dots, quartiles, median and bounds of a parameter."""
    places = estimates["place"].to_numpy()
    low, middle, high = quartile_places(estimates)
    heights = row + spread_evenly(places)
    is_inside = (estimates["at_bound"] == "").to_numpy()
    ax.hlines(row, 0, 1, color=GRAY, linewidth=0.6, zorder=0)
    ax.vlines([0, 1], row - 0.3, row + 0.3, color=GRAY, linewidth=1.0, zorder=0)
    for chosen, face in ((is_inside, COLORS[0]), (~is_inside, "white")):
        ax.scatter(
            places[chosen],
            heights[chosen],
            s=float(np.clip(360 / len(places), 7, 18)),
            facecolor=face,
            edgecolor=COLORS[0],
            linewidth=0.9 if len(places) < 50 else 0.6,
            alpha=1.0 if len(places) < 50 else 0.7,
            zorder=3,
            clip_on=False,
        )
    for text, x in zip(*decade_ticks(estimates), strict=True):
        ax.vlines(x, row - 0.06, row + 0.06, color=GRAY, linewidth=0.8, zorder=0)
        ax.annotate(text, (x, row + 0.24), ha="center", va="top", fontsize=6, color=GRAY)
    if len(places) > 1:
        ax.barh(row, high - low, 0.34, left=low, color="#D9D9D9", zorder=1)
        ax.vlines([low, high], row - 0.17, row + 0.17, color=DATA, linewidth=0.8, zorder=4)
        ax.vlines(middle, row - 0.3, row + 0.3, color=DATA, linewidth=2, zorder=4)
    value = f"{estimates['estimate'].median():.3g}"
    ends = [format_number(float(estimates[end].iloc[0])) for end in ("low", "high")]
    texts = zip((0, middle, 1), (ends[0], value, ends[1]), strict=True)
    for x, text in texts:
        is_value = text is value
        ax.annotate(
            text,
            (x, row - 0.3),
            (0, 1),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=7.5,
            color=DATA if is_value else GRAY,
            fontweight="bold" if is_value else "normal",
        )


def decade_ticks(estimates: pd.DataFrame) -> tuple[list[str], list[float]]:
    """Return labels and places of the decades that a parameter's scale spreads; none if linear."""
    name, low, high, scale = estimates[["parameter", "low", "high", "scale"]].iloc[0]
    decades = high * 10.0 ** -np.arange(1, DECADES[scale] + 1)
    values = decades[decades > low]
    places = [find_places({name: v}, {name: [low, high]}, {name: scale})[name] for v in values]
    return [f"{value:g}" for value in values], places


def quartile_places(estimates: pd.DataFrame) -> list[float]:
    """Return the places of the quartiles of a parameter's estimates."""
    name, low, high, scale = estimates[["parameter", "low", "high", "scale"]].iloc[0]
    quartiles = estimates["estimate"].quantile([0.25, 0.5, 0.75])
    return [find_places({name: q}, {name: [low, high]}, {name: scale})[name] for q in quartiles]


def spread_evenly(places: np.ndarray) -> np.ndarray:
    """Return heights that keep dots at the same place apart: a fixed sequence, not noise."""
    golden = 0.6180339887498949  # its multiples modulo 1 fill an interval evenly
    order = np.argsort(np.argsort(places, kind="stable"), kind="stable")
    return SPREAD * (2 * ((order + 1) * golden % 1) - 1) * (len(places) > 1)


def describe(name: str, table: pd.DataFrame) -> str:
    """Return the label of a parameter's row: its name, and its scale if it is not linear."""
    scale = table.loc[table["parameter"] == name, "scale"].iloc[0]
    return name if scale == "linear" else f"{name}\n({scale} scale)"


def find_end(place: float) -> str:
    """Return the bound that a place lies on, "lower" or "upper"; empty if it is inside."""
    if place <= ON_BOUND:
        return "lower"
    return "upper" if place >= 1 - ON_BOUND else ""


def declared_scales(result: Mapping[str, Any]) -> dict[str, str]:
    """Return the scale of each free parameter that its model declares, or else of the search."""
    model = table_of("model").get(result.get("model") or "")
    declared = {} if model is None else {each.name: each.scale for each in declared_by(model)}
    return {**search_scales(result), **{n: declared[n] for n in result["free"] if n in declared}}


def search_scales(result: Mapping[str, Any]) -> dict[str, str]:
    """Return for each free parameter the scale with the most decades that a run searched on."""
    runs = [run for of_fit in result.get("runs") or [] for run in of_fit]
    used = {name: [run["scale"][name] for run in runs] for name in result["free"]}
    return {name: max(used[name], key=DECADES.__getitem__, default="linear") for name in used}


def find_places(
    values: Mapping[str, float], free: Mapping[str, Sequence[float]], scales: Mapping[str, str]
) -> dict[str, float]:
    """Return the places of parameter values between their bounds, from 0 to 1."""
    if not free:
        return {}
    space = ParameterSpace.make(free, {name: scales[name] for name in free})
    places = space.to_unit([values[name] for name in free])
    return dict(zip(free, places.tolist(), strict=True))
