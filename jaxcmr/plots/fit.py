"""Three curves of the data and of fitted models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from jaxcmr.analyses import Measure, by_subject, first_recall, lag_crp, serial_position_curve
from jaxcmr.datasets import generate_trial_mask
from jaxcmr.plots._axes import COLORS, DATA, MARKERS, STYLES, as_panels
from jaxcmr.plots.measure import columns_of, plot_measure
from jaxcmr.typing import RecallDataset

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["CURVES", "Simulated", "Where", "draw_sources", "fit_table", "plot_fit"]

Simulated: TypeAlias = RecallDataset | Mapping[str, RecallDataset]
Where: TypeAlias = str | Callable[[RecallDataset], ArrayLike] | None

CURVES: Mapping[str, Measure[...]] = {
    "first recall": first_recall,
    "lag-CRP": lag_crp,
    "serial position": serial_position_curve,
}
"""The three curves, in the order in which papers show them."""


def fit_table(
    data: RecallDataset,
    simulated: Simulated,
    *,
    where: Where = None,
    measures: Mapping[str, Measure[...]] = CURVES,
) -> pd.DataFrame:
    """Return measures of the data and of simulations, by subject.

    The data are cut to the simulated subjects.

    Args:
        data: recall data.
        simulated: what `jaxcmr.simulate` returned for them, or several of these by name of model.
        where: the trials to compare, of the data and of the simulations: a condition as for
            `jaxcmr.fit`.
        measures: measures of one bin by name.

    Returns:
        One row per measure, source, subject and bin. Columns ``measure``; ``source``, "data" or the
        name of a model ("model" by default); ``subject``; ``bin``, such as the serial position or
        lag; ``value``; ``actual``; and ``possible``. A value that a subject's data do not have, as
        of a lag that was never possible, is NaN for the models, too.

    Raises:
        ValueError: other trials were simulated than there are in the data, or as `by_subject`.

    Examples:
        >>> data = {"subject": [[1]], "listLength": [[2]], "pres_itemnos": [[1, 2]],
        ...         "recalls": [[2, 0]]}
        >>> data = {name: np.array(rows) for name, rows in data.items()}
        >>> table = fit_table(data, {**data, "recalls": np.array([[2, 1]])})
        >>> table.query("measure == 'serial position'")[["source", "bin", "value"]].values.tolist()
        [['data', 1, 0.0], ['data', 2, 1.0], ['model', 1, 1.0], ['model', 2, 1.0]]
    """
    import pandas as pd

    models = {"model": simulated} if "recalls" in simulated else simulated
    sources: dict[str, Any] = {"data": choose(data, where)}
    for name, of_model in models.items():
        chosen = choose(of_model, where)  # type: ignore[arg-type]
        sources["data"] = match_trials(sources["data"], chosen, name)
        sources[name] = chosen
    tables = []
    for measure_name, measure in measures.items():
        for source, trials in sources.items():
            table = by_subject(trials, measure)
            bins, value = columns_of(table)
            table = table.rename(columns={bins[0]: "bin", value: "value"})
            table.insert(0, "measure", measure_name)
            table.insert(1, "source", source)
            tables.append(table)
    return without_unobserved(pd.concat(tables, ignore_index=True))


def without_unobserved(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with NaN for what a subject's data do not have, such as a lag never possible.

    So means of data and model are over the same subjects in every bin.
    """
    import pandas as pd

    keys = ["measure", "subject", "bin"]
    observed = table[(table["source"] == "data") & table["value"].notna()]
    is_there = pd.MultiIndex.from_frame(table[keys]).isin(pd.MultiIndex.from_frame(observed[keys]))
    return table.assign(value=table["value"].where(is_there))


def plot_fit(
    data: RecallDataset,
    simulated: Simulated,
    *,
    where: Where = None,
    max_lag: int = 5,
    ax: Sequence[Axes] | np.ndarray | None = None,
) -> np.ndarray:
    """Draw three curves of the data and of fitted models: first recall, lag-CRP, serial position.

    Dots are means of the data over subjects, with 95 % confidence intervals; lines are means of the
    models over the same subjects.

    Args:
        data: recall data.
        simulated: what `jaxcmr.simulate` returned for them, or several of these by name of model.
        where: the trials to draw: a condition as for `jaxcmr.fit`.
        max_lag: largest lag to draw, forward and backward.
        ax: three axes to draw into; by default those of a new figure.

    Returns:
        The three axes.

    Raises:
        ValueError: as `fit_table`.

    Examples:
        >>> from matplotlib.figure import Figure
        >>> data = {"subject": [[1]], "listLength": [[2]], "pres_itemnos": [[1, 2]],
        ...         "recalls": [[2, 0]]}
        >>> data = {name: np.array(rows) for name, rows in data.items()}
        >>> panels = plot_fit(data, data, ax=Figure().subplots(1, 3))
        >>> [panel.get_xlabel() for panel in panels]
        ['serial position', 'lag', 'serial position']
    """
    table = fit_table(data, simulated, where=where)
    panels = as_panels(ax, len(CURVES))
    for panel, name in zip(panels, CURVES, strict=True):
        draw_sources(panel, table[table["measure"] == name], CURVES[name], max_lag=max_lag)
    panels[0].set_ylabel("probability of first recall")
    panels[2].set_ylim(0, 1.03)
    panels[0].legend(frameon=False, fontsize=8, loc="upper center")
    return panels


def draw_sources(
    ax: Axes, table: pd.DataFrame, measure: Measure[...], max_lag: int = 5, size: float = 1.0
) -> None:
    """Draw a measure of the data as dots with intervals, and of models as lines.

    Args:
        ax: axes to draw into.
        table: rows of `fit_table` that hold the measure.
        measure: names the bins.
        max_lag: largest lag to draw.
        size: of dots and lines, 1 in a panel of its own.
    """
    column = next(iter(measure.bins(1)))
    names = {"bin": column, "value": measure.value}
    for number, source in enumerate(table["source"].unique()):
        of_source = table[table["source"] == source].drop(columns=["measure", "source"])
        look: dict[str, Any] = {"color": DATA, "marker": "o", "linestyle": "none"}
        if source != "data":
            look = {
                "color": COLORS[(number - 1) % len(COLORS)],
                "marker": "" if number == 1 else MARKERS[(number - 1) % len(MARKERS)],
                "linestyle": STYLES[(number - 1) % len(STYLES)],
                "interval": None,
            }
        plot_measure(
            of_source.rename(columns=names), ax=ax, max_lag=max_lag, label=str(source), **look
        )
    for line in ax.lines:
        line.set_markersize(line.get_markersize() * size)
        line.set_linewidth(line.get_linewidth() * size)


def choose(data: RecallDataset, where: Where) -> RecallDataset:
    """Return the trials of a condition."""
    if where is None:
        return data
    mask = generate_trial_mask(data, where)
    if not mask.any():
        raise ValueError(f"No trial meets where={where!r}: there is nothing to draw.")
    return take(data, mask)


def match_trials(data: RecallDataset, simulated: RecallDataset, name: str) -> RecallDataset:
    """Return the data of the simulated subjects; raise a ValueError if trials do not correspond."""
    subjects, of_model = (np.asarray(each["subject"]).reshape(-1) for each in (data, simulated))
    n_copies = len(np.unique(simulated["copy"])) if "copy" in simulated else 1
    for subject, n_simulated in zip(*np.unique(of_model, return_counts=True), strict=True):
        n_observed = int((subjects == subject).sum())
        if n_simulated != n_copies * n_observed:
            raise ValueError(
                f"The data hold {n_observed} trials of subject {subject}, but the simulation "
                f"{name!r} holds {n_simulated} in {n_copies} copies. Compare the trials that were "
                "simulated (where=...), and of a sweep one value."
            )
    mask = np.isin(subjects, of_model)
    return data if mask.all() else take(data, mask)


def take(data: RecallDataset, mask: np.ndarray) -> RecallDataset:
    """Return the trials of a mask; fields may be text."""
    return {name: np.asarray(rows)[mask] for name, rows in data.items()}
