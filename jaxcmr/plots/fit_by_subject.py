"""Three curves of the data and of fitted models, of each subject."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np

from jaxcmr.plots._axes import make_panels
from jaxcmr.plots.fit import CURVES, Simulated, Where, draw_sources, fit_table
from jaxcmr.typing import RecallDataset

__all__ = ["plot_fit_by_subject"]

LARGEST = 60
"""Most subjects that are drawn without being asked for."""


def plot_fit_by_subject(
    data: RecallDataset,
    simulated: Simulated,
    *,
    subjects: Iterable[Hashable] | None = None,
    where: Where = None,
    max_lag: int = 5,
    ax: np.ndarray | None = None,
) -> np.ndarray:
    """Draw the three curves of `plot_fit` for each subject: a grid with one row per subject.

    Dots are the subject's data, lines are the models.

    Args:
        data: recall data.
        simulated: what `jaxcmr.simulate` returned for them, or several of these by name of model.
        subjects: whose curves, in this order; by default all that were simulated, up to 60.
        where: the trials to draw: a condition as for `jaxcmr.fit`.
        max_lag: largest lag to draw, forward and backward.
        ax: (subjects, 3) axes to draw into; by default those of a new figure.

    Returns:
        (subjects, 3) axes. The table behind them is `fit_table`.

    Raises:
        ValueError: as `fit_table`, or there are more than 60 subjects and `subjects` is missing, or
            a subject was not simulated.

    Examples:
        >>> from matplotlib.figure import Figure
        >>> data = {"subject": [[1], [2]], "listLength": [[2], [2]],
        ...         "pres_itemnos": [[1, 2]] * 2, "recalls": [[2, 0], [1, 2]]}
        >>> data = {name: np.array(rows) for name, rows in data.items()}
        >>> grid = plot_fit_by_subject(data, data, ax=Figure().subplots(2, 3))
        >>> grid.shape, grid[1, 0].get_ylabel()
        ((2, 3), '2')
    """
    table = fit_table(data, simulated, where=where)
    present = table["subject"].unique().tolist()
    wanted = present if subjects is None else list(subjects)
    missing = [subject for subject in wanted if subject not in present]
    if missing or not wanted:
        raise ValueError(f"No simulation of subject(s) {missing[:5]}; there are {present[:9]}.")
    if subjects is None and len(wanted) > LARGEST:
        raise ValueError(f"There are {len(wanted)} subjects: choose some with subjects=[...].")
    grid = make_panels(len(wanted), len(CURVES), 2.4, 1.5) if ax is None else np.asarray(ax)
    if grid.shape != (len(wanted), len(CURVES)):
        raise ValueError(f"ax is a ({len(wanted)}, {len(CURVES)}) array; got {grid.shape}.")
    for row, subject in zip(grid, wanted, strict=True):
        of_subject = table[table["subject"] == subject]
        for panel, (name, measure) in zip(row, CURVES.items(), strict=True):
            curves = of_subject[of_subject["measure"] == name]
            draw_sources(panel, curves, measure, max_lag=max_lag, size=0.75)
            panel.set(xlabel="", ylabel="", ylim=(0, 1.05))
            panel.tick_params(labelsize=8)
        row[0].set_ylabel(str(subject), rotation=0, ha="right", va="center")
    for panel, name in zip(grid[0], CURVES, strict=True):
        panel.set_title(name, fontsize=9)
    for panel, label in zip(grid[-1], ("serial position", "lag", "serial position"), strict=True):
        panel.set_xlabel(label)
    grid[0, 0].legend(frameon=False, fontsize=7)
    return grid
