"""Two models compared subject by subject: the differences, sorted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jaxcmr.plots._axes import COLORS, GRAY, make_axes, number_wholly, open_up
from jaxcmr.plots.comparison import LABELS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from jaxcmr.comparison import Comparison

__all__ = ["differences_table", "plot_differences"]


def differences_table(
    comparison: Comparison, model: str, reference: str | None = None
) -> pd.DataFrame:
    """Return one row per subject, those first whom the model describes best.

    Args:
        comparison: of `jaxcmr.comparison.compare`.
        model: name of a model.
        reference: the model it is compared with; by default the reference of the comparison.

    Returns:
        Columns ``rank``, from 1; ``subject``; and ``difference`` of the criterion, positive where
        `model` is worse.

    Raises:
        ValueError: a model is unknown, or the two are the same.

    Examples:
        >>> from jaxcmr.comparison import compare
        >>> cmr = dict(fitness=[10.0, 9.0], fits={"a": [0.5, 0.4], "subject": [1, 2]},
        ...            free={"a": [0, 1]}, n_events=[50, 40], loss_label="NLL")
        >>> found = compare({"CMR": cmr, "other": {**cmr, "fitness": [18.0, 14.0]}})
        >>> differences_table(found, "other").values.tolist()
        [[1.0, 2.0, 10.0], [2.0, 1.0, 16.0]]
    """
    if model == (comparison.reference if reference is None else reference):
        raise ValueError(f"{model!r} is the reference: name another model to compare it with.")
    table = comparison.differences(model, reference).sort_values(kind="stable").reset_index()
    table["subject"] = table["subject"].infer_objects()
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def plot_differences(
    comparison: Comparison,
    model: str,
    reference: str | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw the difference of two models for each subject as a bar, in order.

    Bars below 0 are subjects whom `model` describes better. The dashed line is the mean.

    Args:
        comparison: of `jaxcmr.comparison.compare`.
        model: name of a model.
        reference: the model it is compared with; by default the reference of the comparison.
        ax: axes to draw into; by default those of a new figure.

    Returns:
        The axes.

    Raises:
        ValueError: a model is unknown, or the two are the same.

    Examples:
        >>> from jaxcmr.comparison import compare
        >>> from matplotlib.figure import Figure
        >>> cmr = dict(fitness=[10.0, 9.0], fits={"a": [0.5, 0.4], "subject": [1, 2]},
        ...            free={"a": [0, 1]}, n_events=[50, 40], loss_label="NLL")
        >>> found = compare({"CMR": cmr, "other": {**cmr, "fitness": [18.0, 14.0]}})
        >>> plot_differences(found, "other", ax=Figure().subplots()).get_ylabel()
        'AICc of other above CMR'
    """
    table = differences_table(comparison, model, reference)
    against = comparison.reference if reference is None else reference
    ax = make_axes(ax, 5.6, 3.2)
    values = table["difference"].to_numpy()
    colors = np.where(values > 0, COLORS[0], COLORS[1])
    ax.bar(table["rank"], values, width=0.85, color=colors)
    ax.axhline(0, color=GRAY, linewidth=0.8)
    mean = values.mean()
    ax.axhline(mean, color="black", linewidth=1, linestyle="--", label=f"mean {mean:.2f}")
    for sign, better, color in ((1, against, COLORS[0]), (-1, model, COLORS[1])):
        n = int((sign * values > 0).sum())
        ax.bar(0, 0, color=color, label=f"{better} better: {n}")
    ax.set(
        xlabel="subject, in order of the difference",
        ylabel=f"{LABELS[comparison.criterion]} of {model} above {against}",
        xlim=(0.2, len(table) + 0.8),
    )
    number_wholly(ax)
    ax.legend(frameon=False, fontsize=8, loc="upper left")
    open_up(ax)
    return ax
