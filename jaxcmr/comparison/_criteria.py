"""Information criteria of fits by likelihoods, per subject and summed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Float

from jaxcmr._result_words import name_subjects
from jaxcmr.comparison._guards import check_comparable, check_model_columns
from jaxcmr.names import describe_unknown

__all__ = ["COUNTS", "CRITERIA", "akaike_weights", "information_criteria", "log_evidence"]

COUNTS: Mapping[str, tuple[str, str]] = {
    "events": ("n_events", "scored events"),
    "trials": ("n_trials", "trials"),
}
"""What n may count: the key of a result, and words for it, unless the result has words."""

CRITERIA: Mapping[str, str] = {"aic": "AIC", "aicc": "AICc", "bic": "BIC"}
"""Criteria by the name of their column."""

Count: TypeAlias = str | int | Sequence[int] | np.ndarray


def information_criteria(result: Mapping[str, Any], n: Count = "events") -> pd.DataFrame:
    """Return loss, k, n, AIC, AICc and BIC of each subject, and their sums.

    With the loss L, a negative log-likelihood: ``AIC = 2 L + 2 k``, ``AICc = AIC + 2 k (k + 1) /
    (n - k - 1)`` and ``BIC = 2 L + k ln n``. k counts the free parameters of a subject's fit;
    those with equal bounds are not free. AICc is infinite if ``n <= k + 1``, unless k is 0, and BIC
    is NaN if n is 0. The sum of a column is NaN where that of a subject is.

    Args:
        result: of a fit by a likelihood.
        n: "events" counts what the loss scores, ``result["counted"]``: by most likelihoods the
            recalls and the stops, one per trial, as is usual for these models; "trials" counts
            trials. Or a number, or one per subject.

    Returns:
        One row per subject, and a last row "sum". The column of n is named by what it counts:
        ``n_events``, ``n_trials``, or ``n``.

    Raises:
        ValueError: the loss is not a negative log-likelihood, or n is not known.

    >>> result = dict(fitness=[100.0], fits={"a": [0.5], "subject": [3]}, free={"a": [0, 1]},
    ...               n_events=[50], loss_label="NLL")
    >>> table = information_criteria(result)
    >>> table[["subject", "k", "n_events", "aic", "aicc"]].round(2).values[0].tolist()
    [3, 1, 50, 202.0, 202.08]
    """
    check_likelihood(result)
    losses = np.asarray(result["fitness"], float)
    name, counts = count(result, n)
    k = count_free(result)
    aic = 2 * losses + 2 * k
    room = counts - k - 1
    if k and np.any(room <= 0):
        warnings.warn(
            f"AICc is infinite for {np.sum(room <= 0)} subject(s): they have no more than k + 1 = "
            f"{k + 1} {name_count(result, n)}.",
            stacklevel=2,
        )
    is_empty = counts < 1
    if is_empty.any():
        empty = [s for s, no in zip(result["fits"]["subject"], is_empty, strict=True) if no]
        warnings.warn(
            f"BIC is NaN for {name_subjects(empty)}, for whom n is 0: leave them out, with "
            "result.select(subjects).",
            stacklevel=2,
        )
    correction = np.where(room > 0, 2 * k * (k + 1) / np.maximum(room, 1), np.inf if k else 0.0)
    table = pd.DataFrame(
        {
            "subject": pd.Series(list(result["fits"]["subject"]), dtype=object),
            "loss": losses,
            "k": k,
            name: counts,
            "aic": aic,
            "aicc": aic + correction,
            "bic": np.where(is_empty, np.nan, 2 * losses + k * np.log(np.maximum(counts, 1))),
        }
    )
    sums = table.drop(columns="subject").sum(skipna=False).to_dict()
    total = pd.DataFrame({"subject": pd.Series(["sum"], dtype=object), **sums})
    return pd.concat([table, total], ignore_index=True).astype({"k": int, name: int})


def check_likelihood(result: Mapping[str, Any]) -> None:
    """Raise a ValueError unless the loss of a result is a negative log-likelihood."""
    if not isinstance(result, Mapping):
        raise ValueError(f"Information criteria need a result; got {type(result).__name__}.")
    if result.get("loss_label") != "NLL":
        raise ValueError(
            "Information criteria need a negative log-likelihood; the loss of this result is "
            f"{result.get('loss')!r}, labeled {result.get('loss_label')!r}. If it is one in nats, "
            "set result['loss_label'] = 'NLL'."
        )


def count_free(result: Mapping[str, Any]) -> int:
    """Return how many parameters are free: their bounds differ."""
    return sum(low < high for low, high in result["free"].values())


def count(result: Mapping[str, Any], n: Count) -> tuple[str, np.ndarray]:
    """Return the name of what is counted, and n of each subject."""
    n_fits = len(result["fitness"])
    if isinstance(n, str):
        if n not in COUNTS:
            raise ValueError(describe_unknown("count", n, COUNTS))
        name, words = COUNTS[n][0], name_count(result, n)
        found = result.get(name)
        if found is None or any(each is None for each in found):
            raise ValueError(
                f"The result does not say how many {words} were fitted: give n as a number, or "
                "one per subject."
            )
        return name, np.asarray(found, int)
    counts = np.asarray(n)
    whole = np.issubdtype(counts.dtype, np.integer) and bool((counts > 0).all())
    if not whole or counts.shape not in ((), (n_fits,)):
        raise ValueError(f"n must be a positive integer, or one per subject ({n_fits}); got {n!r}.")
    return "n", np.broadcast_to(counts, (n_fits,)).copy()


def name_count(result: Mapping[str, Any], n: Count) -> str:
    """Return in words what n counts."""
    if not isinstance(n, str):
        return "observations"
    return str(result.get("counted", COUNTS[n][1])) if n == "events" else COUNTS[n][1]


def akaike_weights(
    criteria: pd.DataFrame | Float[np.ndarray, "subjects models"],
) -> pd.DataFrame:
    """Return the weight of each model for each subject: ``exp(-D / 2)`` over their sum.

    D is the criterion above that of the subject's best model. Weights are computed per subject and
    may then be averaged. Those of sums over subjects are nearly always 0 and 1.

    Args:
        criteria: AIC, AICc or BIC; one row per subject, one column per model.

    Raises:
        ValueError: a criterion is NaN, a subject has no finite one, or a column is not a model.

    >>> akaike_weights(np.array([[630.730, 614.611]])).round(6).values.tolist()
    [[0.000316, 0.999684]]
    """
    table = pd.DataFrame(criteria)
    check_model_columns(table)
    values = table.to_numpy(float)
    if np.isnan(values).any() or not np.isfinite(values).any(1).all():
        raise ValueError("Weights need a finite criterion for each subject, and none that is NaN.")
    weights = np.exp(-(values - values.min(1, keepdims=True)) / 2)
    return pd.DataFrame(weights / weights.sum(1, keepdims=True), table.index, table.columns)


def log_evidence(
    results: Mapping[str, Mapping[str, Any]], kind: str = "bic", n: Count = "events"
) -> pd.DataFrame:
    """Return the approximate log evidence of each model for each subject: -criterion / 2.

    Args:
        results: results of fits of the same trials, by the name of the model.
        kind: "bic", "aic" or "aicc".
        n: as for `information_criteria`; one per subject is in the order of the first result.

    Returns:
        One row per subject and one column per model, as `bayesian_model_selection` takes it.

    Raises:
        ValueError: the results cannot be compared, as for `compare`.

    >>> one = dict(fitness=[100.0], fits={"a": [0.5], "subject": [3]}, free={"a": [0, 1]},
    ...            n_events=[50], loss_label="NLL")
    >>> two = {**one, "fitness": [98.0], "free": {"a": [0, 1], "b": [0, 1]}}
    >>> log_evidence({"one": one, "two": two}).round(2).values.tolist()
    [[-101.96, -101.91]]
    """
    if kind not in list(CRITERIA):  # also of what cannot be hashed
        raise ValueError(describe_unknown("criterion", kind, CRITERIA))
    return -criteria_by_model(results, kind, n) / 2


def criteria_by_model(
    results: Mapping[str, Mapping[str, Any]], kind: str, n: Count
) -> pd.DataFrame:
    """Return a column of the criteria of several results, one row per subject."""
    columns = {  # less the last row, of sums
        name: information_criteria(result, n).iloc[:-1].set_index("subject")[kind]
        for name, result in check_comparable(results).items()
    }
    return pd.DataFrame(columns).rename_axis("subject")
