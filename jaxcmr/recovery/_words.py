"""What follows from a recovery, in words."""

from __future__ import annotations

import pandas as pd

from jaxcmr._result_words import count_of

__all__ = ["describe_confusion", "describe_recovery"]

GOOD, MODERATE = 0.9, 0.75
"""Correlations from which recovery is called good and moderate, as is usual of the reliability of
a measure."""

ROUNDING = 1e-9
"""Shares that differ by less differ by rounding."""

MANY = 0.25
"""Share of estimates on a bound that is mentioned."""


def describe_recovery(summary: pd.DataFrame, n: int, n_lists: int, n_missed: int) -> str:
    """Return in words which parameters can be interpreted, from the table of `Recovery.summary`."""
    words = [f"{count_of(n, 'simulated subject')} with {count_of(n_lists, 'list')} each."]
    r = summary.set_index("parameter")["r"]
    groups = (
        (f"Differences between subjects are recovered well (r at least {GOOD:g})", r >= GOOD),
        (f"moderately (r at least {MODERATE:g})", (r >= MODERATE) & (r < GOOD)),
        ("poorly, so that estimates of single subjects should not be interpreted", r < MODERATE),
        ("Not known, as all truths or all estimates are the same", r.isna()),
    )
    for what, chosen in groups:
        if chosen.any():
            listed = ", ".join(f"{k} ({v:.2f})" if v == v else str(k) for k, v in r[chosen].items())
            words.append(f"{what[0].upper()}{what[1:]}: {listed}.")
    often = summary[summary["at_bound"] >= MANY]
    if len(often):
        listed = ", ".join(
            f"{row.parameter} ({row.at_bound:.0%})" for row in often.itertuples(index=False)
        )
        words.append(f"Often on a bound: {listed}.")
    if n_missed:
        words.append(
            f"For {count_of(n_missed, 'simulated subject')} the search missed the minimum: the "
            "loss at the truth is lower than at the estimate. Use a more thorough search."
        )
    else:
        words.append("No estimate has a higher loss than the truth.")
    return " ".join(words)


def describe_confusion(
    confusion: pd.DataFrame, inversion: pd.DataFrame, criterion: str, n: int
) -> str:
    """Return in words how often each model is told from the others.

    Args:
        confusion: probability of each best-fitting model (column), given who simulated (row).
        inversion: probability of who simulated (row), given the best-fitting model (column), with
            equal prior probabilities.
        criterion: label of that by which models were compared.
        n: simulated subjects per model.
    """
    words = [f"{count_of(n, 'simulated subject')} per model, best by {criterion}."]
    for name in confusion.index:
        row = confusion.loc[name]
        others = row.drop(name)
        words.append(f"Data of {name} are best fitted by {name} in {row[name]:.0%} of cases")
        if others.max() > 0:
            most = [str(other) for other in others.index[others >= others.max() - ROUNDING]]
            words[-1] += f", most often mistaken for {' or '.join(most)} ({others.max():.0%}"
            words[-1] += " each)" if len(most) > 1 else ")"
        found = inversion.loc[name, name]
        if found == found:
            words[-1] += (
                f"; if {name} fits best, it made the data with probability {found:.2f}, given that "
                "all models were equally likely before"
            )
        words[-1] += "."
    return " ".join(words)
