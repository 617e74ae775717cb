"""The runs of a fit: their losses above the best, and where they ended."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcmr.plots._axes import (
    COLORS,
    DATA,
    GRAY,
    MARKERS,
    STYLES,
    make_axes,
    number_wholly,
    open_up,
)
from jaxcmr.plots.parameters import declared_scales, find_places

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_restart_estimates", "plot_restarts", "restarts_table"]

LABELED = 5
"""Basins with a color, marker and label of their own; further ones are gray."""


def restarts_table(
    result: Mapping[str, Any], subject: Hashable = None, *, within: float | None = None
) -> pd.DataFrame:
    """Return one row per run of each fit, the lowest loss first.

    Runs are in the same basin if their losses, in order, are not more than `within` apart.

    Args:
        result: the result of a fit.
        subject: whose fit; by default all.
        within: in units of the loss. By default the distance at which losses count as the same
            (``result["agree_within"]``).

    Returns:
        Columns ``subject``; ``rank`` and ``basin``, from 1; ``run``; ``loss``; ``above_best``; and
        for each free parameter its estimate's place between the bounds, from 0 to 1 as in
        `parameters_table`. Runs without a finite loss come last, without a basin.

    Raises:
        ValueError: the result holds no runs, or no fit of the subject.

    Examples:
        >>> runs = [{"run": i, "loss": loss, "scale": {"rate": "linear"},
        ...          "estimates": {"rate": 0.5}} for i, loss in enumerate([7.3, 7.0, 7.02])]
        >>> fits = {"rate": [0.5], "subject": [3]}
        >>> result = dict(fits=fits, free={"rate": [0, 1]}, runs=[runs], agree_within=0.05)
        >>> restarts_table(result)[["run", "basin", "above_best"]].round(2).values.tolist()
        [[1, 1, 0.0], [2, 1, 0.02], [0, 2, 0.3]]
    """
    import pandas as pd

    runs, fitted = result.get("runs") or [], list(result["fits"]["subject"])
    if not runs:
        raise ValueError("The runs of these fits were not kept: there is nothing to compare.")
    if subject is not None and subject not in fitted:
        raise ValueError(f"Subject {subject!r} was not fitted; the fits are of {fitted[:9]}.")
    within = result.get("agree_within", 0.0) if within is None else within
    free, scales = result["free"], declared_scales(result)
    tables = []
    for one, of_fit in zip(fitted, runs, strict=True):
        if subject is not None and one != subject:
            continue
        ordered = sorted(of_fit, key=lambda run: (not np.isfinite(run["loss"]), run["loss"]))
        losses = np.array([run["loss"] for run in ordered], float)
        losses = np.where(np.isfinite(losses), losses, np.nan)
        places = [find_places(run["estimates"], free, scales) for run in ordered]
        basins = 1.0 + np.cumsum(np.diff(losses, prepend=losses[:1]) > within)
        fixed = {
            "subject": one,
            "rank": np.arange(1, len(losses) + 1),
            "basin": pd.array(np.where(np.isnan(losses), np.nan, basins), dtype="Int64"),
            "run": [run["run"] for run in ordered],
            "loss": losses,
            "above_best": losses - losses[0],
        }
        tables.append(pd.DataFrame(fixed).join(pd.DataFrame(places)))
    return pd.concat(tables, ignore_index=True)


def plot_restarts(
    result: Mapping[str, Any], subject: Hashable = None, *, ax: Axes | None = None
) -> Axes:
    """Draw how far above the best loss each run of a fit ended, the lowest first.

    Runs in the gray band agree with the best. For one subject, runs in the same basin have the same
    color and marker. For several, each fit is a line.

    Args:
        result: the result of a fit.
        subject: whose fit; by default all.
        ax: axes to draw into; by default those of a new figure.

    Returns:
        The axes.

    Examples:
        >>> from matplotlib.figure import Figure
        >>> runs = [{"run": i, "loss": loss, "scale": {"rate": "linear"},
        ...          "estimates": {"rate": 0.5}} for i, loss in enumerate([7.3, 7.0, 7.02])]
        >>> fits = {"rate": [0.5], "subject": [3]}
        >>> result = dict(fits=fits, free={"rate": [0, 1]}, runs=[runs], agree_within=0.05)
        >>> plot_restarts(result, ax=Figure().subplots()).get_xlabel()
        'run, lowest loss first'
    """
    ax = make_axes(ax)
    table = restarts_table(result, subject)
    within = result.get("agree_within") or 0.05
    ax.axhspan(0, within, color="#D9D9D9", zorder=0, label=f"within {within:g} of the best")
    subjects = table["subject"].unique()
    if len(subjects) == 1:
        ax.plot(table["rank"], table["above_best"], color=GRAY, linewidth=0.8, zorder=1)
        for name, runs, look in each_basin(table):
            ax.plot(runs["rank"], runs["above_best"], linestyle="none", label=name, **look)
    else:
        alpha = float(np.clip(8 / len(subjects), 0.25, 1.0))
        for one in subjects:
            runs = table[table["subject"] == one]
            ax.plot(runs["rank"], runs["above_best"], color=COLORS[0], alpha=alpha, linewidth=0.9)
        median = table.groupby("rank")["above_best"].median()
        label = f"median of {len(subjects)} subjects"
        ax.plot(median.index, median, "o-", color=DATA, markersize=4, label=label)
    top = max(2 * table["above_best"].max(), 4 * within)
    decades = 10.0 ** np.arange(np.ceil(np.log10(within)), np.log10(top))
    ax.set_yscale("symlog", linthresh=within, linscale=0.5)
    ax.set(
        ylim=(-0.2 * within, top),
        yticks=[0.0, *decades],
        yticklabels=["0", *(f"{each:g}" for each in decades)],
        xlabel="run, lowest loss first",
        ylabel=f"{result.get('loss_label', 'loss')} above the best",
        title=f"Subject {subjects[0]}" if len(subjects) == 1 else "",
    )
    number_wholly(ax)
    ax.legend(frameon=False, fontsize=8)
    open_up(ax)
    return ax


def plot_restart_estimates(
    result: Mapping[str, Any], subject: Hashable = None, *, ax: Axes | None = None
) -> Axes:
    """Draw where the runs of one fit ended: a line per run across the parameters.

    The vertical axis spans the bounds of each parameter, on the scale of `parameters_table`. Runs
    in the same basin have the same color and line style, the best on top.

    Args:
        result: the result of a fit.
        subject: whose fit; may be left out if there is only one.
        ax: axes to draw into; by default those of a new figure.

    Returns:
        The axes.

    Raises:
        ValueError: the result has several fits, and `subject` is missing.

    Examples:
        >>> from matplotlib.figure import Figure
        >>> runs = [{"run": i, "loss": loss, "scale": {"rate": "linear"},
        ...          "estimates": {"rate": 0.5}} for i, loss in enumerate([7.3, 7.0, 7.02])]
        >>> fits = {"rate": [0.5], "subject": [3]}
        >>> result = dict(fits=fits, free={"rate": [0, 1]}, runs=[runs], agree_within=0.05)
        >>> plot_restart_estimates(result, 3, ax=Figure().subplots()).get_title()
        'Subject 3'
    """
    table, names = restarts_table(result, subject), list(result["free"])
    subjects = table["subject"].unique().tolist()
    if len(subjects) > 1:
        raise ValueError(f"Runs of one fit are drawn: give subject, one of {subjects[:9]}.")
    ax = make_axes(ax, 1.6 + 0.45 * len(names), 3.8)
    ax.hlines([0, 1], -0.4, len(names) - 0.6, color=GRAY, linewidth=1.2)
    for number, (name, runs, look) in reversed(list(enumerate(each_basin(table)))):
        style = {**look, "linestyle": STYLES[number % len(STYLES)], "zorder": 9 - number}
        lines = ax.plot(runs[names].to_numpy().T, linewidth=1.4, clip_on=False, **style)
        lines[0].set_label(name)
    ax.set(
        xticks=range(len(names)),
        xlim=(-0.4, len(names) - 0.6),
        ylim=(-0.05, 1.05),
        yticks=[0, 1],
        title=f"Subject {subjects[0]}",
    )
    ax.set_yticklabels(["lower\nbound", "upper\nbound"])
    ax.set_xticklabels(names, rotation=40, ha="right", rotation_mode="anchor")
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(
        handles[::-1],
        labels[::-1],
        frameon=False,
        fontsize=8,
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
    )
    open_up(ax)
    return ax


def each_basin(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame, dict[str, Any]]]:
    """Return the label, the runs and the look of each basin; those past the labeled as one."""
    finite = table[table["basin"].notna()]
    numbers = np.minimum(finite["basin"].to_numpy(int), LABELED + 1)
    basins = []
    for number in range(1, numbers.max(initial=0) + 1):
        runs = finite[numbers == number]
        above, n = runs["above_best"].min(), len(runs)
        count = f"{n} run{'s' if n > 1 else ''}"
        label = f"best: {count}" if number == 1 else f"+{above:.3g}: {count}"
        look: dict[str, Any] = {"color": COLORS[number - 1], "marker": MARKERS[number - 1]}
        if number > LABELED:
            label = f"+{above:.3g} and more: {count}"
            look = {"color": GRAY, "marker": "x"}
        basins.append((label, runs, {**look, "markersize": 5}))
    return basins
