"""Fits of several models to the same trials: criteria, paired differences, winners, words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from jaxcmr._result_words import count_of
from jaxcmr.comparison._criteria import (
    CRITERIA,
    Count,
    akaike_weights,
    information_criteria,
    name_count,
)
from jaxcmr.comparison._guards import check_comparable, find_warnings
from jaxcmr.names import describe_unknown

__all__ = ["Comparison", "compare"]

RESAMPLES = 9999
FEW = 10
"""Subjects below which a bootstrap interval is clearly too short."""

AGREE_WITHIN = 1e-3
"""How closely losses are known, in nats, of results that do not say it."""

Table = TypeVar("Table", pd.DataFrame, pd.Series)

ROUNDING = 1e-9
"""Criteria that differ by less differ by rounding."""


@dataclass(frozen=True)
class Comparison:
    """Several models of the same trials.

    - ``criterion``: by which they are ranked, lower is better. ``reference``: the model from which
      differences are taken: ``criterion - criterion of the reference``, positive where a model is
      worse. Intervals and tests hold for a reference that was named before the data were seen;
      ``is_named``: whether it was named at all, or is the best of these data. ``counted``: what n
      counts, in words.
    - ``known_to``: how closely the criterion of a subject is known: twice ``agree_within`` of the
      results. Subjects whose criteria differ by no more are tied.
    - ``table``: one row per model, the best first: ``loss``, ``aic``, ``aicc`` and ``bic``, summed
      over subjects; ``k`` per subject; ``difference`` of the sums; ``mean_difference`` per subject
      with its 95 % bootstrap interval over subjects (``low``, ``high``); the same of the loss,
      without the penalty (``mean_loss_difference``, ``loss_low``, ``loss_high``); ``wins``, the
      subjects for whom the model is best, ties split; ``mean_weight``.
    - ``by_subject``: one row per subject and model: ``loss``, ``k``, n, the criteria,
      ``above_best`` (the criterion above that of the subject's best model), ``difference`` and
      ``weight``.
    - ``tests``: paired tests of each model against the reference, over subjects: Student's t and
      Wilcoxon's signed ranks. A mean difference below ``known_to`` does not tell models apart,
      even if p is small.
    - ``warnings``: what limits the comparison, one sentence each.
    """

    criterion: str
    reference: str
    counted: str
    table: pd.DataFrame
    by_subject: pd.DataFrame
    tests: pd.DataFrame
    warnings: tuple[str, ...]
    known_to: float
    is_named: bool

    def criteria(self, kind: str | None = None) -> pd.DataFrame:
        """Return a criterion by subject (rows) and model (columns, the best first).

        By default it is that of the ranking.
        """
        if kind is not None and kind not in CRITERIA:
            raise ValueError(describe_unknown("criterion", kind, CRITERIA))
        return self.by_subject.pivot(
            index="subject", columns="model", values=kind or self.criterion
        ).loc[self.by_subject["subject"].unique(), self.table["model"]]

    def log_evidence(self) -> pd.DataFrame:
        """Return -criterion / 2 by subject and model, for `bayesian_model_selection`."""
        return -self.criteria() / 2

    def weights(self) -> pd.DataFrame:
        """Return the weights of the models: one row per subject, one column per model."""
        return akaike_weights(self.criteria())

    def differences(self, model: str, reference: str | None = None) -> pd.Series:
        """Return by how much a model is worse than the reference, per subject."""
        criteria = self.criteria()
        against = self.reference if reference is None else reference
        for name in (model, against):
            if name not in criteria:
                raise ValueError(describe_unknown("model", name, criteria.columns))
        return without_rounding(criteria[model] - criteria[against]).rename("difference")

    def verdict(self) -> str:
        """Return in words which model describes these subjects best, and how sure that is."""
        label, best = CRITERIA[self.criterion], self.table.iloc[0]
        n = self.by_subject["subject"].nunique()
        of_all = "" if n == 1 else f", summed over {n} subjects,"
        n_models = count_of(len(self.table), "model")
        words = [f"By {label}{of_all} {best['model']} is the best of {n_models}."]
        limit = best[self.criterion] + n * self.known_to
        level = self.table["model"][self.table[self.criterion] <= limit]
        if len(level) > 1:
            words = [
                f"By {label}{of_all} {', '.join(level)} are equal within what fits are known to, "
                f"of {n_models}."
            ]
        against = self.reference if self.is_named else str(best["model"])
        for name in self.table["model"]:
            if name != against:
                difference = self.differences(name, against).to_numpy()
                words.append(describe_difference(name, against, difference, self.known_to))
        if 1 < n < FEW:
            words.append(f"With fewer than {FEW} subjects, such intervals are too short.")
        if n > 1:
            wins = ", ".join(
                f"{row.model} for {row.wins:g}" for row in self.table.itertuples(index=False)
            )
            words.append(f"Best model by subject: {wins}.")
        if self.warnings:
            n_warnings = count_of(len(self.warnings), "warning")
            words.append(f"Read the {n_warnings} before you conclude.")
        return " ".join(words)

    def __repr__(self) -> str:
        table = self.table.to_string(index=False, float_format="{:.2f}".format)
        return "\n\n".join([self.header(), table, self.verdict(), *self.warnings])

    def header(self) -> str:
        """Return how to read the table, in a line."""
        return (
            f"Ranked by {CRITERIA[self.criterion]}; n counts {self.counted}; differences are from "
            f"{self.reference}, positive where a model is worse."
        )

    def _repr_html_(self) -> str:
        table = self.table.to_html(index=False, float_format="{:.2f}".format, border=0)
        words = [self.verdict(), *self.warnings]
        return f"<p>{escape(self.header())}</p>{table}" + "".join(
            f"<p>{escape(each)}</p>" for each in words
        )


def compare(
    results: Mapping[str, Mapping[str, Any]],
    criterion: str = "aicc",
    reference: str | None = None,
    *,
    n: Count = "events",
    nested: Iterable[tuple[str, str]] = (),
) -> Comparison:
    """Compare fits of several models to the same trials of the same subjects.

    Args:
        results: of fits by likelihoods, by the name of the model.
        criterion: "aicc", "aic" or "bic", by which models are ranked.
        reference: model from which differences are taken; by default the best of these data.
            Intervals and p-values hold only for a reference that was named in advance.
        n: what AICc and BIC count: "events" (by most losses scored recalls and stops), "trials", or
            numbers.
        nested: pairs of names (smaller, bigger) of which the first is a special case of the
            second. Fits of the same model with fewer free parameters are seen to be nested.

    Returns:
        A `Comparison`: tables, tests, warnings, and a verdict in words.

    Raises:
        ValueError: the results are of other subjects, trials, losses, events or precision, or not
            of likelihoods; criterion or reference are unknown.

    >>> cmr = dict(fitness=[100.0, 90.0], fits={"a": [0.5, 0.4], "subject": [1, 2]},
    ...            free={"a": [0, 1]}, n_events=[50, 40], loss_label="NLL")
    >>> found = compare({"CMR": cmr, "other": {**cmr, "fitness": [103.0, 94.0]}})
    >>> found.table[["model", "difference", "wins"]].values.tolist()
    [['CMR', 0.0, 2.0], ['other', 14.0, 0.0]]
    """
    named = check_comparable(results)
    if criterion not in list(CRITERIA):  # also of what cannot be hashed
        raise ValueError(describe_unknown("criterion", criterion, CRITERIA))
    if reference is not None and reference not in named:
        raise ValueError(describe_unknown("reference", reference, named))
    warnings = find_warnings(named, nested)
    by_model = {name: information_criteria(result, n) for name, result in named.items()}
    sums = {name: float(table[criterion].iloc[-1]) for name, table in by_model.items()}
    order = sorted(named, key=lambda name: sums[name])
    is_named = reference is not None
    reference = order[0] if reference is None else reference
    each = {name: by_model[name].iloc[:-1].set_index("subject") for name in order}
    criteria = pd.DataFrame({name: each[name][criterion] for name in order})
    if not np.isfinite(criteria.to_numpy()).all():
        raise ValueError(
            f"{CRITERIA[criterion]} is not finite for a subject: it has too few observations for "
            "its parameters, or its loss is not finite. Rank by another criterion."
        )
    weights = akaike_weights(criteria)
    differences = without_rounding(criteria.sub(criteria[reference], axis=0))
    losses = pd.DataFrame({name: each[name]["loss"] for name in order})
    loss_differences = without_rounding(losses.sub(losses[reference], axis=0))
    known_to = find_precision(named)
    wins = split_wins(criteria.to_numpy(), known_to)
    rows = []
    for place, name in enumerate(order):
        low, high = bootstrap_interval(differences[name].to_numpy())
        loss_low, loss_high = bootstrap_interval(loss_differences[name].to_numpy())
        sums_of = by_model[name].iloc[-1]
        rows.append(
            {
                "model": name,
                "k": int(each[name]["k"].iloc[0]),
                **{key: float(sums_of[key]) for key in ("loss", *CRITERIA)},
                "difference": sums[name] - sums[reference],
                "mean_difference": float(differences[name].mean()),
                "low": low,
                "high": high,
                "mean_loss_difference": float(loss_differences[name].mean()),
                "loss_low": loss_low,
                "loss_high": loss_high,
                "wins": float(wins[:, place].sum()),
                "mean_weight": float(weights[name].mean()),
            }
        )
    long = [
        each[name]
        .reset_index()
        .assign(
            model=name,
            above_best=(criteria[name] - criteria.min(axis=1)).to_numpy(),
            difference=differences[name].to_numpy(),
            weight=weights[name].to_numpy(),
        )
        for name in order
    ]
    return Comparison(
        criterion=criterion,
        reference=reference,
        counted=name_count(named[order[0]], n) if isinstance(n, str) else "what was given",
        table=pd.DataFrame(rows),
        by_subject=pd.concat(long, ignore_index=True),
        tests=pd.DataFrame(
            [
                {
                    "model": name,
                    "reference": reference,
                    **run_tests(differences[name].to_numpy()),
                    "known_to": known_to,
                }
                for name in order
                if name != reference
            ]
        ),
        warnings=tuple(warnings),
        known_to=known_to,
        is_named=is_named,
    )


def find_precision(results: Mapping[str, Mapping[str, Any]]) -> float:
    """Return how closely fits tell a subject's criterion: criteria hold the loss twice."""
    each = [result.get("agree_within") for result in results.values()]
    return 2 * max(AGREE_WITHIN if within is None else within for within in each) + ROUNDING


def split_wins(
    criteria: Float[np.ndarray, "subjects models"], known_to: float
) -> Float[np.ndarray, "subjects models"]:
    """Return for each subject 1 for the best model, in equal parts where models are tied."""
    is_best = criteria <= criteria.min(1, keepdims=True) + known_to
    return is_best / is_best.sum(1, keepdims=True)


def bootstrap_interval(values: Float[np.ndarray, " subjects"]) -> tuple[float, float]:
    """Return a 95 % interval of the mean: percentiles over subjects that are drawn again.

    The same values have the same interval. NaN for a single subject.
    """
    if len(values) < 2:
        return np.nan, np.nan
    found = stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(0)
    )
    low, high = found.confidence_interval
    return float(low), float(high)


def run_tests(differences: Float[np.ndarray, " subjects"]) -> dict[str, float]:
    """Return paired tests of differences against 0, over subjects; NaN where there is no test.

    Student's t needs differences that vary, Wilcoxon's ranks one that is not 0.
    """
    names = ("t", "df", "p_t", "wilcoxon", "p_wilcoxon")
    row = {"n": len(differences), "mean_difference": float(differences.mean())}
    row |= dict.fromkeys(names, np.nan)
    if len(differences) > 1 and np.ptp(differences) > ROUNDING:
        t = stats.ttest_1samp(differences, 0.0)
        row |= {"t": float(t.statistic), "df": float(t.df), "p_t": float(t.pvalue)}
    if len(differences) > 1 and np.any(differences != 0):
        ranks = stats.wilcoxon(differences)
        row |= {"wilcoxon": float(ranks.statistic), "p_wilcoxon": float(ranks.pvalue)}
    return row


def without_rounding(differences: Table) -> Table:
    """Return differences with 0 for those that are rounding, which tests would rank."""
    return differences.mask(differences.abs() <= ROUNDING, 0.0)


def describe_difference(
    name: str, against: str, differences: Float[np.ndarray, " subjects"], known_to: float
) -> str:
    """Return in words by how much a model is worse than another one, or better."""
    sum_is = float(differences.sum())
    total = f"{name} is {abs(sum_is):.1f} {'below' if sum_is < 0 else 'above'} {against}"
    if len(differences) < 2:
        return f"{total} (one fit, so that there is not an interval over subjects)."
    low, high = bootstrap_interval(differences)
    mean = f"{differences.mean():.2f} per subject, 95 % interval {low:.2f} to {high:.2f}"
    is_sure = low > 0 or high < 0 or max(-low, high) <= known_to
    if abs(differences.mean()) <= known_to and is_sure:
        return f"{total} ({mean}): equal within what fits are known to."
    if low > 0:
        return f"{total} ({mean}): worse for the average subject."
    if high < 0:
        return f"{total} ({mean}): better for the average subject."
    return f"{total} ({mean}): subjects like these do not decide between {name} and {against}."
