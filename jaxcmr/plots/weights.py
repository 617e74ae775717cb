"""Weights of the models for each subject, stacked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jaxcmr.plots._axes import COLORS, add_legend, make_axes, number_wholly, open_up, shade
from jaxcmr.plots.comparison import LABELS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from jaxcmr.comparison import Comparison

__all__ = ["plot_weights", "weights_table"]


def weights_table(comparison: Comparison) -> pd.DataFrame:
    """Return one row per subject with the weight of each model, in the order of the figure.

    Args:
        comparison: of `jaxcmr.comparison.compare`.

    Returns:
        Columns ``subject``, and one per model, the best by its sum first. Subjects are in order of
        the model with the largest weight, and of that weight.

    Examples:
        >>> from jaxcmr.comparison import compare
        >>> cmr = dict(fitness=[10.0, 9.0], fits={"a": [0.5, 0.4], "subject": [1, 2]},
        ...            free={"a": [0, 1]}, n_events=[50, 40], loss_label="NLL")
        >>> found = compare({"CMR": cmr, "other": {**cmr, "fitness": [11.0, 9.0]}})
        >>> weights_table(found).round(2).values.tolist()
        [[1.0, 0.73, 0.27], [2.0, 0.5, 0.5]]
    """
    weights = comparison.weights()
    values = weights.to_numpy()
    order = np.lexsort((-values.max(1), values.argmax(1)))
    table = weights.iloc[order].reset_index()
    table["subject"] = table["subject"].infer_objects()
    return table.rename_axis(columns=None)


def plot_weights(comparison: Comparison, *, ax: Axes | None = None) -> Axes:
    """Draw the weights of the models for each subject, stacked to 1.

    Subjects are in order of their best model. A subject whose column has one color is decided.

    Args:
        comparison: of `jaxcmr.comparison.compare`.
        ax: axes to draw into; by default those of a new figure.

    Returns:
        The axes.

    Examples:
        >>> from jaxcmr.comparison import compare
        >>> from matplotlib.figure import Figure
        >>> cmr = dict(fitness=[10.0, 9.0], fits={"a": [0.5, 0.4], "subject": [1, 2]},
        ...            free={"a": [0, 1]}, n_events=[50, 40], loss_label="NLL")
        >>> found = compare({"CMR": cmr, "other": {**cmr, "fitness": [11.0, 9.0]}})
        >>> plot_weights(found, ax=Figure().subplots()).get_ylabel()
        'weight by AICc'
    """
    table = weights_table(comparison)
    ax = make_axes(ax, 5.6, 2.8)
    models = list(table.columns[1:])
    colors = COLORS if len(models) <= len(COLORS) else shade(len(models))
    edges, base = np.arange(len(table) + 1) + 0.5, np.zeros(len(table))
    for model, color in zip(models, colors, strict=False):
        top = base + table[model].to_numpy()
        ax.stairs(top, edges, baseline=base, fill=True, color=color, label=model)
        base = top
    ax.set(
        xlim=(0.5, len(table) + 0.5),
        ylim=(0, 1),
        xlabel="subject, in order of the best model",
        ylabel=f"weight by {LABELS[comparison.criterion]}",
    )
    number_wholly(ax)
    add_legend(ax)
    open_up(ax)
    return ax
