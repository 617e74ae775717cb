"""Tables of compared models: their criteria, and their differences from the reference."""

from __future__ import annotations

import pandas as pd

from jaxcmr.reporting._tables import Cell, Table

__all__ = ["criteria_table", "differences_table"]

CRITERIA = {"loss": "loss", "aic": "AIC", "aicc": "AICc", "bic": "BIC"}


def criteria_table(frame: pd.DataFrame, caption: str) -> Table:
    """Return one row per model: losses and criteria, summed over subjects, and wins.

    Args:
        frame: the table of a comparison.
        caption: how to read it.

    >>> row = {"model": "CMR", "k": 11, "loss": 700.0, "aic": 1422.0, "aicc": 1422.8, "bic": 1460.0}
    >>> table = criteria_table(pd.DataFrame([{**row, "wins": 1.0, "mean_weight": 1.0}]), "")
    >>> [cell.text for cell in table.rows[0]]
    ['CMR', '11', '700.00', '1422.00', '1422.80', '1460.00', '1', '1.00']
    """
    rows = [
        [
            Cell.of(row["model"]),
            Cell.of(row["k"]),
            *(two_digits(row[name]) for name in CRITERIA),
            Cell(f"{row['wins']:g}", repr(float(row["wins"]))),
            two_digits(row["mean_weight"]),
        ]
        for _, row in frame.iterrows()
    ]
    columns = ["model", "parameters", *CRITERIA.values(), "best for", "mean weight"]
    tips = {"best for": "subjects for whom the model is best, ties split"}
    return Table(caption, columns, rows, tips)


def differences_table(frame: pd.DataFrame, label: str, reference: str) -> Table:
    """Return one row per model but the reference: how much worse it is, with intervals.

    Args:
        frame: the table of a comparison.
        label: the criterion in words, such as "AICc".
        reference: model from which differences are taken.

    >>> from jaxcmr.comparison import compare
    >>> cmr = dict(fitness=[10.0, 9.0], fits={"a": [0.5, 0.4], "subject": [1, 2]},
    ...            free={"a": [0, 1]}, n_events=[50, 40], loss_label="NLL")
    >>> found = compare({"CMR": cmr, "other": {**cmr, "fitness": [13.0, 14.0]}})
    >>> table = differences_table(found.table, "AICc", "CMR")
    >>> [cell.text for cell in table.rows[0][:4]]
    ['other', '16.00', '8.00', '6.00 to 10.00']
    """
    rows = [
        [
            Cell.of(row["model"]),
            two_digits(row["difference"]),
            two_digits(row["mean_difference"]),
            interval(row["low"], row["high"]),
            two_digits(row["mean_loss_difference"]),
            interval(row["loss_low"], row["loss_high"]),
        ]
        for _, row in frame[frame["model"] != reference].iterrows()
    ]
    columns = [
        "model",
        f"sum of {label}",
        f"mean {label} per subject",
        "95 % interval",
        "mean loss per subject",
        "95 % interval of the loss",
    ]
    caption = f"Differences from {reference}, positive where a model is worse."
    return Table(caption, columns, rows)


def two_digits(value: float) -> Cell:
    """Return a cell with two decimals, as differences of large sums matter."""
    return Cell.of(float(value))._replace(text=f"{value:.2f}") if value == value else Cell("", "")


def interval(low: float, high: float) -> Cell:
    """Return the cell of an interval; empty if it is not known."""
    if not low <= high:
        return Cell("", "")
    return Cell(f"{low:.2f} to {high:.2f}", f"{float(low)!r} to {float(high)!r}")
