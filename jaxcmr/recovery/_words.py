"""What follows from a recovery, in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from jaxcmr._result_words import count_of

__all__ = ["GOOD", "OPTIMISTIC", "describe_confusion", "describe_curve", "describe_recovery"]

GOOD, MODERATE = 0.9, 0.75
"""Recovery is called good or moderate if the whole 95 % interval of r is at least this, as is usual
of the reliability of a measure."""

FEW = 30
"""Of fewer simulated subjects no recovery is called good: one subject far from the others can make
r by itself, and intervals of r are too short."""

ROUNDING = 1e-9
"""Shares that differ by less differ by rounding."""

MANY = 0.25
"""Share of estimates on a bound that is mentioned."""

OPTIMISTIC = {
    way: "True parameters vary as the estimates do, which is more than subjects do, by the errors "
    "of the estimates: r is optimistic."
    for way in ("fitted", "normal")
}
"""What is said of true parameters that come from estimates, by the way they were chosen."""


def describe_recovery(
    summary: pd.DataFrame, n: int, n_lists: int, n_missed: int, parameters: str
) -> str:
    """Return in words which parameters can be interpreted, from the table of `Recovery.summary`."""
    words = [f"{count_of(n, 'simulated subject')} with {count_of(n_lists, 'list')} each."]
    r, low, high = summary["r"], summary["r_low"].round(2), summary["r_high"].round(2)  # as shown
    is_good = is_recovered_well(summary)
    groups = (
        (f"Recovered well (95 % interval of r from {GOOD:g} up)", is_good),
        (f"Recovered moderately (95 % interval of r from {MODERATE:g} up)",
         (low >= MODERATE) & ~is_good),
        (
            f"Not decided (the interval holds {MODERATE:g}: more simulated subjects can tell)",
            (low < MODERATE) & (high >= MODERATE),
        ),
        (
            f"Poorly (below {MODERATE:g}), so that estimates of single subjects should not be "
            "interpreted",
            high < MODERATE,
        ),
        ("Not known, as all truths or all estimates are the same", r.isna()),
    )  # fmt: skip
    for what, chosen in groups:
        if chosen.any():
            rows = summary[chosen].itertuples(index=False)
            words.append(f"{what}: {', '.join(f'{x.parameter}{show_r(x)}' for x in rows)}.")
    if n < FEW:
        words.append(f"None is called well recovered by fewer than {FEW}.")
    often = summary[summary["at_bound"] >= MANY]
    if len(often):
        columns = ("parameter", "at_bound", "rho")
        listed = ", ".join(
            f"{name} ({100 * share:.0f} %, rho {rho:.2f})"
            for name, share, rho in zip(*(often[each].tolist() for each in columns), strict=True)
        ).replace("nan", "unknown")
        words.append(f"Often on a bound, so that rho counts beside r: {listed}.")
    if parameters in OPTIMISTIC:
        words.append(OPTIMISTIC[parameters])
    if n_missed:
        words.append(
            f"For {count_of(n_missed, 'simulated subject')} the search missed the minimum: the "
            "loss at the truth is lower than at the estimate. Use a more thorough search."
        )
    else:
        words.append("No estimate has a higher loss than the truth.")
    return " ".join(words)


def is_recovered_well(summary: pd.DataFrame) -> pd.Series:
    """Return for each row of a summary whether the parameter can be called well recovered."""
    return (summary["r_low"].round(2) >= GOOD) & (summary["n"] >= FEW)


def show_r(row: Any) -> str:
    """Return r of a row of a summary and its interval, after a space; nothing if r is NaN."""
    return f" {row.r:.2f} ({row.r_low:.2f} to {row.r_high:.2f})" if row.r == row.r else ""


def describe_curve(table: pd.DataFrame, n_fitted: int | None, parameters: str) -> str:
    """Return in words how well parameters are recovered, and with how many lists well.

    Args:
        table: of a `PowerCurve`.
        n_fitted: lists per subject that were fitted, if known.
        parameters: where the truth came from.
    """
    numbers = sorted(table["n_lists"].unique())
    at = n_fitted if n_fitted is not None and n_fitted in numbers else int(numbers[-1])
    whose = f"{at} lists{' (yours)' if at == n_fitted else ''}"
    words = [f"{count_of(int(table['n'].iloc[0]), 'simulated subject')} per number of lists."]
    if n_fitted is not None and at != n_fitted:
        words.append(f"Yours, {n_fitted}, was not simulated.")
    for name, rows in table.groupby("parameter", sort=False):
        rows = rows.sort_values("n_lists")
        if rows["r"].isna().all():
            words.append(f"{name}: r is not known, as truths or estimates are the same.")
            continue
        [here] = rows[rows["n_lists"] == at].itertuples(index=False)
        with_these = show_r(here) or " not known, as truths or estimates are the same"
        words.append(f"{name}: r with {whose} is{with_these}{describe_enough(rows, at)}.")
    return " ".join([*words, *([OPTIMISTIC[parameters]] if parameters in OPTIMISTIC else [])])


def describe_enough(rows: pd.DataFrame, at: int) -> str:
    """Return in words from which number of lists on a parameter is recovered well.

    If with none, with which r is highest.

    Args:
        rows: of one parameter, by number of lists.
        at: the number of lists whose r was just said.
    """
    r, numbers = rows["r"].to_numpy(float), rows["n_lists"].to_numpy(int)
    is_good, best = is_recovered_well(rows).to_numpy(), int(np.nanargmax(r))
    enough = numbers[np.logical_and.accumulate(is_good[::-1])[::-1]]
    if len(enough):
        return f"; recovered well with {enough[0]} or more"
    if numbers[best] == at:
        return ", the highest" if len(numbers) > 1 else ""
    highest = f"; the highest is {r[best]:.2f}, with {numbers[best]}"
    return f"{highest}, but not well with more" if is_good.any() else highest


def describe_confusion(
    confusion: pd.DataFrame,
    intervals: tuple[pd.DataFrame, pd.DataFrame],
    inversion: pd.DataFrame,
    criterion: str,
    n: int,
) -> str:
    """Return in words how often each model is told from the others.

    A model's probability of having made the data is also given where all shares are at those ends
    of their intervals that make it lowest, and highest.

    Args:
        confusion: probability of each best-fitting model (column), given who simulated (row).
        intervals: lower and upper ends of its 95 % intervals.
        inversion: probability of who simulated (row), given the best-fitting model (column), with
            equal prior probabilities.
        criterion: label of that by which models were compared.
        n: simulated subjects per model.
    """
    low, high = intervals
    words = [f"{count_of(n, 'simulated subject')} per model, best by {criterion}."]
    for name in confusion.index:
        others = confusion.loc[name].drop(name)
        own, least, most = (100 * each.loc[name, name] for each in (confusion, low, high))
        words.append(
            f"Data of {name} are best fitted by {name} in {own:.0f} % of cases (95 % interval "
            f"{least:.0f} to {most:.0f} %)"
        )
        if others.max() > 0:
            most_often = [str(o) for o in others.index[others >= others.max() - ROUNDING]]
            words[-1] += f", most often mistaken for {' or '.join(most_often)} "
            each = " each" if len(most_often) > 1 else ""
            words[-1] += f"({100 * others.max():.0f} %{each})"
        found = inversion.loc[name, name]
        if found == found:
            ends = (
                share_of(low.loc[name, name], high[name].drop(name)),
                share_of(high.loc[name, name], low[name].drop(name)),
            )
            words[-1] += (
                f"; if {name} fits best, it made the data with probability {found:.2f} "
                f"({ends[0]:.2f} to {ends[1]:.2f} within the intervals), given that all models "
                "were equally likely before"
            )
        words[-1] += "."
    return " ".join(words)


def share_of(one: float, others: Iterable[float]) -> float:
    """Return the share of one number in the sum of all."""
    return one / (one + sum(others))
