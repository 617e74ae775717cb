"""By how much lists are described better by parameters that were fitted to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from jaxcmr.plots._axes import COLORS, GRAY, make_axes
from jaxcmr.plots.differences import finish_bars, rank_subjects

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from jaxcmr.comparison import ApproximateCrossValidation, CrossValidation
    from jaxcmr.results import FitResult

__all__ = ["optimism_table", "plot_optimism"]


def optimism_table(
    validation: CrossValidation | ApproximateCrossValidation, result: FitResult
) -> pd.DataFrame:
    """Return one row per subject, those with the least optimism first.

    Args:
        validation: of `jaxcmr.comparison.cross_validate` or its approximation.
        result: of the fit to all of these lists.

    Returns:
        Columns ``rank``, from 1; ``subject``; ``n_lists``; ``in_sample``, the log-likelihood of
        these lists at the estimates of the fit to all of them; ``held_out``, that of
        cross-validation; and ``optimism``, the first less the second. All in nats.

    Raises:
        ValueError: a subject was not fitted.

    Examples:
        >>> import pandas as pd
        >>> from jaxcmr.comparison import CrossValidation
        >>> lists = pd.DataFrame({"subject": [1, 1], "fold": [1, 2], "trial": [0, 1],
        ...                       "n_events": 5, "log_likelihood": [-10.0, -11.0]})
        >>> found = CrossValidation(lists, lists, "list", {})
        >>> result = dict(fits={"subject": [1]}, fitness=[19.5])
        >>> optimism_table(found, result).values.tolist()
        [[1.0, 1.0, 2.0, -19.5, -21.0, 1.5]]
    """
    losses = dict(zip(result["fits"]["subject"], result["fitness"], strict=True))
    groups = validation.by_list.groupby("subject", sort=False)["log_likelihood"]
    held_out = groups.apply(lambda each: float(each.to_numpy().sum()))  # NaN if one is
    unknown = [subject for subject in held_out.index if subject not in losses]
    if unknown:
        raise ValueError(f"The result has not fitted subject {unknown[0]!r}: hand in that of all.")
    in_sample = np.array([-losses[subject] for subject in held_out.index])
    table = pd.DataFrame(
        {
            "subject": held_out.index,
            "n_lists": groups.size().to_numpy(),
            "in_sample": in_sample,
            "held_out": held_out.to_numpy(),
            "optimism": in_sample - held_out.to_numpy(),
        }
    )
    return rank_subjects(table, "optimism")


def plot_optimism(
    validation: CrossValidation | ApproximateCrossValidation,
    result: FitResult,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw for each subject by how much fitted lists are described better than held-out ones.

    Bars are log-likelihoods of the fit to all lists less those of cross-validation, in order. The
    dashed line is their mean, the gray one the number of free parameters, at which AIC puts them.
    With few folds they are higher also for a right model, which was fitted to fewer lists. Subjects
    whose predictions are missing are left out.

    Args:
        validation: of `jaxcmr.comparison.cross_validate` or its approximation.
        result: of the fit to all of these lists.
        ax: axes to draw into; by default those of a new figure.

    Returns:
        The axes.

    Raises:
        ValueError: a subject was not fitted.

    Examples:
        >>> import pandas as pd
        >>> from jaxcmr.comparison import CrossValidation
        >>> from matplotlib.figure import Figure
        >>> lists = pd.DataFrame({"subject": [1, 1], "fold": [1, 2], "trial": [0, 1],
        ...                       "n_events": 5, "log_likelihood": [-10.0, -11.0]})
        >>> found = CrossValidation(lists, lists, "list", {})
        >>> result = dict(fits={"subject": [1]}, fitness=[19.5], free={"learning_rate": [0, 1]})
        >>> ax = plot_optimism(found, result, ax=Figure().subplots())
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['1 free parameter (AIC)', 'mean 1.50']
    """
    table = optimism_table(validation, result).dropna(subset="optimism")
    ax = make_axes(ax, 5.6, 3.4)
    ax.bar(table["rank"], table["optimism"], width=0.85, color=COLORS[0])
    n = sum(low < high for low, high in result["free"].values())
    words = f"{n} free parameter{'s' if n != 1 else ''} (AIC)"
    ax.axhline(n, color=GRAY, linewidth=1, label=words)
    ax.set_ylabel("in sample less held out (nats)")
    finish_bars(ax, table["optimism"], table["subject"])
    return ax
