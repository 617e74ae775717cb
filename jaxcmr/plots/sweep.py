"""What a parameter does: a curve at each of its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcmr.analyses import Measure, by_subject, serial_position_curve
from jaxcmr.names import table_of
from jaxcmr.parameters import declared_by
from jaxcmr.plots._axes import MARKERS, STYLES, add_legend, make_axes, shade
from jaxcmr.plots.fit import Where, choose
from jaxcmr.plots.measure import columns_of, plot_measure
from jaxcmr.typing import RecallDataset

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_sweep", "sweep_table"]


def sweep_table(
    simulated: RecallDataset,
    parameter: str,
    measure: Measure[...] = serial_position_curve,
    **options: Any,
) -> pd.DataFrame:
    """Return a measure of simulations at each value of a parameter, by subject.

    Args:
        simulated: what ``jaxcmr.simulate(..., vary={parameter: [...]})`` returned. If other
            parameters were varied as well, select one of their values first.
        parameter: which was varied.
        measure: of `jaxcmr.analyses`.
        **options: of the measure.

    Returns:
        The table of `jaxcmr.analyses.by_subject` with the value of the parameter as first column.

    Raises:
        ValueError: the simulated data have no field `parameter`, or another parameter of a model
            has several values, or as `by_subject`.

    Examples:
        >>> simulated = {"subject": [[1]] * 2, "listLength": [[2]] * 2,
        ...     "pres_itemnos": [[1, 2]] * 2, "recalls": [[2, 0], [1, 2]], "rate": [[0.1], [0.9]]}
        >>> simulated = {name: np.array(rows) for name, rows in simulated.items()}
        >>> sweep_table(simulated, "rate")[["rate", "input", "recall"]].values.tolist()
        [[0.1, 1.0, 0.0], [0.1, 2.0, 1.0], [0.9, 1.0, 1.0], [0.9, 2.0, 1.0]]
    """
    import pandas as pd

    if parameter not in simulated:
        raise ValueError(
            f"The simulated data have no field {parameter!r}: simulate them with "
            f"vary={{{parameter!r}: [...]}}."
        )
    check_one_varies(simulated, parameter)
    values = np.asarray(simulated[parameter]).reshape(-1)
    tables = []
    for value in np.unique(values):
        table = by_subject(simulated, measure, where=values == value, **options)
        table.insert(0, parameter, value)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def plot_sweep(
    simulated: RecallDataset,
    parameter: str,
    measure: Measure[...] = serial_position_curve,
    *,
    data: RecallDataset | None = None,
    where: Where = None,
    max_lag: int = 5,
    ax: Axes | None = None,
    **options: Any,
) -> Axes:
    """Draw a curve of simulated recalls at each value of a parameter, from low (dark) to high.

    Args:
        simulated: what ``jaxcmr.simulate(..., vary={parameter: [...]})`` returned.
        parameter: which was varied.
        measure: of `jaxcmr.analyses`; one with a single kind of bin.
        data: recall data to draw as dots beside the curves, of the simulated subjects.
        where: the trials to draw, of both: a condition as for `jaxcmr.fit`.
        max_lag: largest lag to draw, forward and backward.
        ax: axes to draw into; by default those of a new figure.
        **options: of the measure.

    Returns:
        The axes.

    Raises:
        ValueError: as `sweep_table`.

    Examples:
        >>> from matplotlib.figure import Figure
        >>> simulated = {"subject": [[1]] * 2, "listLength": [[2]] * 2,
        ...     "pres_itemnos": [[1, 2]] * 2, "recalls": [[2, 0], [1, 2]], "rate": [[0.1], [0.9]]}
        >>> simulated = {name: np.array(rows) for name, rows in simulated.items()}
        >>> ax = plot_sweep(simulated, "rate", ax=Figure().subplots())
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['0.1', '0.9']
    """
    table = sweep_table(choose(simulated, where), parameter, measure, **options)
    ax = make_axes(ax)
    if data is not None:
        observed = by_subject(choose(data, where), measure, **options)
        observed = observed[observed["subject"].isin(table["subject"])]
        plot_measure(observed, ax=ax, max_lag=max_lag, label="data", linestyle="none")
    values = table[parameter].unique()
    for number, (value, color) in enumerate(zip(values, shade(len(values)), strict=True)):
        of_value = table[table[parameter] == value].drop(columns=parameter)
        if len(columns_of(of_value)[0]) != 1:
            raise ValueError("A sweep is drawn of measures with one kind of bin, such as lags.")
        plot_measure(
            of_value,
            ax=ax,
            interval=None,
            max_lag=max_lag,
            label=f"{value:g}",
            color=color,
            marker=MARKERS[number % len(MARKERS)],
            linestyle=STYLES[number % len(STYLES)],
        )
    add_legend(ax, parameter)
    return ax


def check_one_varies(simulated: RecallDataset, parameter: str) -> None:
    """Raise a ValueError if another parameter was varied: curves would be means over its values."""
    known = {each.name for model in table_of("model").values() for each in declared_by(model)}
    for name in known & set(simulated) - {parameter}:
        n_values = len(np.unique(simulated[name]))
        if n_values > 1:
            raise ValueError(
                f"{name!r} has {n_values} values as well. Select the trials of one of them: "
                f"jaxcmr.select_trials(simulated, simulated[{name!r}][:, 0] == value)."
            )
