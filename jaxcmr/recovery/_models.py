"""`recover_models`: simulate with each of several models, fit them all, count which is best."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from jaxtyping import Float

from jaxcmr.comparison import information_criteria
from jaxcmr.comparison._criteria import CRITERIA
from jaxcmr.comparison._guards import check_comparable, where_nested
from jaxcmr.fitting import FitProblem, Watcher, Workers
from jaxcmr.fitting._problem import check_problem
from jaxcmr.names import describe_unknown
from jaxcmr.recovery._intervals import Z_95
from jaxcmr.recovery._progress import RecoveryBar
from jaxcmr.recovery._simulated import (
    Execution,
    SimulatedSubject,
    choose_hyperparameters,
    choose_lists,
    name_lists,
    refit,
    simulate_subjects,
)
from jaxcmr.recovery._truths import make_truths
from jaxcmr.recovery._words import describe_confusion
from jaxcmr.results import FitResult
from jaxcmr.simulation import check_count

__all__ = ["ModelRecovery", "inversion_matrix", "recover_models", "wilson_interval"]

TIED = 1e-3
"""Criteria that differ by less count as equal: the models share the simulated subject."""

Grid = Float[np.ndarray, "simulated fitted"] | pd.DataFrame


@dataclass(frozen=True)
class ModelRecovery:
    """How often each model is found where it made the data.

    Rows are the models that simulated, columns those that were fitted.

    - ``counts``: for how many simulated subjects each model was the best; models that are equal
      share a subject.
    - ``criteria``: one row per simulated subject and fitted model: ``simulated``, ``subject``,
      ``copy``, ``fitted``, ``loss``, ``aic``, ``aicc``, ``bic``.
    - ``criterion``: by which models were compared. ``seed``: of the simulation.
    """

    counts: pd.DataFrame
    criteria: pd.DataFrame
    criterion: str
    seed: int

    @property
    def confusion(self) -> pd.DataFrame:
        """Probability of each best-fitting model, given the model that simulated; rows sum to 1."""
        return self.counts.div(self.counts.sum(axis=1), axis=0)

    def inversion(self, prior: Sequence[float] | None = None) -> pd.DataFrame:
        """Return the probability of each model that simulated, given the best-fitting one.

        Args:
            prior: probability of each model before the data; by default equal.
        """
        found = inversion_matrix(self.confusion, prior)
        assert isinstance(found, pd.DataFrame)
        return found

    def intervals(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the lower and upper ends of 95 % intervals of the confusion matrix (Wilson's)."""
        total = self.counts.sum(axis=1).to_numpy(float)[:, None]
        ends = wilson_interval(
            self.counts.to_numpy(float), np.broadcast_to(total, self.counts.shape)
        )
        index, columns = self.counts.index, self.counts.columns
        return pd.DataFrame(ends[0], index, columns), pd.DataFrame(ends[1], index, columns)

    def group_winners(self) -> pd.Series:
        """Return the model with the lowest criterion summed over subjects, per simulating model.

        Models whose sums differ by less than 0.001 per subject are named together: "cru = cmr".
        "not known" where a criterion is NaN.
        """
        grouped = self.criteria.groupby(["simulated", "fitted"], sort=False)[self.criterion]
        sums = grouped.agg(lambda each: each.to_numpy().sum())  # NaN if one is NaN
        table = sums.unstack("fitted").loc[self.counts.index, self.counts.columns]
        tied = self.criteria.groupby("simulated")["subject"].count() / len(table.columns) * TIED
        is_best = table.le(table.min(axis=1, skipna=False) + tied.loc[table.index], axis=0)
        winners = [
            " = ".join(map(str, table.columns[row])) or "not known" for row in is_best.to_numpy()
        ]
        return pd.Series(winners, table.index, name="best by the sum")

    def verdict(self) -> str:
        """Return in words how often each model is told from the others."""
        label, n = CRITERIA[self.criterion], round(self.counts.iloc[0].sum())
        return describe_confusion(self.confusion, self.intervals(), self.inversion(), label, n)

    def __repr__(self) -> str:
        return f"{self.verdict()}\n\n{self.confusion.to_string(float_format='{:.2f}'.format)}"

    def _repr_html_(self) -> str:
        tables = "".join(
            f"<p>{title}</p>{table.to_html(float_format='{:.2f}'.format, border=0)}"
            for title, table in (
                ("Probability of the best-fitting model (column), given who simulated (row)",
                 self.confusion),
                ("Probability of who simulated (row), given the best-fitting model (column)",
                 self.inversion()),
            )
        )  # fmt: skip
        return f"<p>{self.verdict()}</p>{tables}"


def inversion_matrix(confusion: Grid, prior: Sequence[float] | None = None) -> Grid:
    """Return p(simulated | fitted) from a confusion matrix p(fitted | simulated).

    By Bayes' rule each row is weighted with the prior of its model, and each column divided by its
    sum (Wilson & Collins, 2019). A column of a model that never fits best is NaN.

    Args:
        confusion: rows are the models that simulated, columns those that fit best; rows sum to 1.
        prior: probability of each model that simulated; by default equal.

    Raises:
        ValueError: rows do not sum to 1, or the prior is not of probabilities.

    >>> inversion_matrix(np.array([[0.9, 0.1], [0.3, 0.7]])).round(3).tolist()
    [[0.75, 0.125], [0.25, 0.875]]
    """
    rows = np.asarray(confusion, float)
    if rows.ndim != 2 or (rows < 0).any() or not np.allclose(rows.sum(axis=1), 1.0):
        raise ValueError(
            "A confusion matrix has a row of probabilities, which sum to 1, per model that "
            f"simulated; the sums are {rows.sum(axis=-1).round(3).tolist()}."
        )
    weights = np.full(len(rows), 1 / len(rows)) if prior is None else np.asarray(prior, float)
    if weights.shape != (len(rows),) or (weights < 0).any() or not np.isclose(weights.sum(), 1.0):
        raise ValueError(
            f"prior must hold {len(rows)} probabilities, which sum to 1; got {prior!r}."
        )
    joint = rows * weights[:, None]
    total = joint.sum(axis=0)
    inverted = np.where(total > 0, joint / np.where(total > 0, total, 1.0), np.nan)
    if isinstance(confusion, pd.DataFrame):
        return pd.DataFrame(inverted, confusion.index, confusion.columns)
    return inverted


def wilson_interval(
    counts: Float[np.ndarray, "..."], n: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "2 ..."]:
    """Return both ends of the 95 % interval of a share by Wilson's score.

    With p = counts / n and z = 1.96, the ends are
    ``(p + z²/2n ± z sqrt(p (1 - p) / n + z²/4n²)) / (1 + z²/n)``. Counts may be fractions.

    >>> wilson_interval(np.array([8.0]), np.array([10.0])).round(4).tolist()
    [[0.4902], [0.9433]]
    """
    share, half = counts / n, Z_95**2 / (2 * n)
    spread = Z_95 * np.sqrt(share * (1 - share) / n + Z_95**2 / (4 * n**2))
    lower = np.where(counts <= 0, 0.0, (share + half - spread) / (1 + 2 * half))
    upper = np.where(counts >= n, 1.0, (share + half + spread) / (1 + 2 * half))
    return np.stack([lower, upper])


def recover_models(
    problems: Mapping[str, FitProblem],
    results: Mapping[str, FitResult],
    n: int = 50,
    criterion: str = "aicc",
    *,
    n_lists: int | None = None,
    seed: int = 0,
    search: str | Mapping[str, Any] | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    workers: Workers | None = None,
    watchers: Sequence[Watcher] = (),
) -> ModelRecovery:
    """Simulate subjects with each model, fit all models to each, and count which is best.

    Truths are estimates of the results; `n` subjects are drawn, each once before any again. A model
    that is a special case of another, by names and bounds, is fitted first, and the other one also
    starts from its estimates: the bigger model never loses by its search.

    Args:
        problems: what was fitted, by the name of the model.
        results: the fits of the same trials, by the same names.
        n: simulated subjects per model.
        criterion: "aicc", "aic" or "bic".
        n_lists: lists per simulated subject; by default those that were fitted.
        seed: of the simulation, and of the choice of subjects. All models recall with the same
            random numbers, so that their order does not matter.
        search: the search, as for `jaxcmr.fit`; by default each result's own.
        progress: show progress bars.
        checkpoint: a folder that keeps finished runs, in one folder per model.
        workers: processes to search in; see `JaxDE.fit`.
        watchers: what follows the fits.

    Raises:
        ValueError: the results cannot be compared, names differ, or an argument is invalid.

    >>> import jaxcmr as jc  # doctest: +SKIP
    >>> data = jc.load("peers_notask")  # doctest: +SKIP
    >>> results = {name: jc.fit(data, name) for name in ("cru", "cmr")}  # doctest: +SKIP
    >>> problems = {
    ...     name: FitProblem.from_result(result, data) for name, result in results.items()
    ... }  # doctest: +SKIP
    >>> recover_models(problems, results, n=50).confusion  # doctest: +SKIP
    """
    check_count("n", n)
    if criterion not in list(CRITERIA):  # also of what cannot be hashed
        raise ValueError(describe_unknown("criterion", criterion, CRITERIA))
    for problem in problems.values():
        check_problem(problem)
    results = check_comparable(results)
    if set(problems) != set(results):
        raise ValueError(f"Problems are of {list(problems)}, results of {list(results)}.")
    first = next(iter(results.values()))
    chosen = choose_subjects(list(first["fits"]["subject"]), n, seed)
    nested = find_nested(results)
    tables, n_pairs = [], len(results) ** 2
    pair = itertools.count(1)
    with (
        jax.enable_x64(first["precision"] == "float64"),
        RecoveryBar(n_pairs * len(chosen), progress) as bar,
    ):
        for name, result in results.items():
            problem = problems[name]
            lists = choose_lists(problem, result, n_lists)
            truths = make_truths(problem, result, "fitted", max(c for _, c in chosen), seed)
            simulated, everyone = simulate_subjects(problem, lists, truths, seed)
            subjects = [each for each in everyone if (each.subject, each.copy) in chosen]
            fits: dict[str, pd.DataFrame] = {}
            for fitted in sorted(results, key=lambda each: len(problems[each].free_names)):
                what = f"{fitted} fitted to data of {name} ({next(pair)} of {n_pairs})"
                with bar.step(what, len(subjects)):
                    fits[fitted] = refit(
                        problems[fitted].with_data(simulated.dataset),
                        subjects,
                        choose_hyperparameters(problems[fitted], results[fitted], search),
                        Execution(folder_of(checkpoint, fitted), workers, [bar, *watchers]),
                        f"{name}, seed {seed}, {name_lists(n_lists)}, ",
                        starts_of(problems, fitted, [(s, fits[s]) for s in nested[fitted]]),
                    )
            for fitted in results:
                target = problems[fitted].with_data(simulated.dataset)
                table = criteria_of(target, subjects, fits[fitted])
                tables.append(table.assign(simulated=name, fitted=fitted))
    criteria = pd.concat(tables, ignore_index=True)
    order = ["simulated", "subject", "copy", "fitted", "loss", *CRITERIA]
    return ModelRecovery(
        count_best(criteria, list(results), criterion), criteria[order], criterion, seed
    )


def choose_subjects(subjects: Sequence[int | str], n: int, seed: int) -> set[tuple[int | str, int]]:
    """Return `n` of (subject, copy): every subject in a random order, then again in copy 2, ..."""
    order = np.random.default_rng([seed, len(subjects)]).permutation(len(subjects))
    return {(subjects[order[i % len(order)]], i // len(order) + 1) for i in range(n)}


def find_nested(results: Mapping[str, FitResult]) -> dict[str, list[str]]:
    """Return for each model those that are special cases of it, by names and bounds."""
    return {
        big: [
            small
            for small in results
            if small != big and bool(where_nested(results[small], results[big]).all())
        ]
        for big in results
    }


def starts_of(
    problems: Mapping[str, FitProblem], fitted: str, smaller: Iterable[tuple[str, pd.DataFrame]]
) -> list[list[np.ndarray]] | None:
    """Return for each simulated subject the estimates of smaller models, in the bigger one."""
    names, columns = problems[fitted].free_names, []
    for small, fits in smaller:
        whole = fits.assign(**problems[small].fixed)
        columns.append(whole[names].to_numpy(float))
    return [list(places) for places in zip(*columns, strict=True)] if columns else None


def criteria_of(
    problem: FitProblem, subjects: Sequence[SimulatedSubject], fits: pd.DataFrame
) -> pd.DataFrame:
    """Return the criteria of fits to simulated recall."""
    counts = problem.generator.count_events(np.arange(len(problem.subjects)))
    if counts is None:
        raise ValueError("The loss does not count its events: there are no criteria.")
    pieces = dict(
        fitness=fits["loss"].tolist(),
        fits={"subject": list(range(len(subjects)))},
        free=problem.bounds,
        n_events=[int(counts[each.rows].sum()) for each in subjects],
        loss_label=problem.generator.label,
    )
    with warnings.catch_warnings():  # of an infinite AICc, which the table shows
        warnings.simplefilter("ignore")
        table = information_criteria(pieces).iloc[:-1]
    return fits[["subject", "copy", "loss"]].join(table[list(CRITERIA)])


def count_best(criteria: pd.DataFrame, models: list[str], criterion: str) -> pd.DataFrame:
    """Return how often each model is best; those within `TIED` of the best share the subject.

    >>> table = pd.DataFrame({"simulated": ["a"] * 4, "subject": [1, 1, 2, 2], "copy": 1,
    ...                       "fitted": ["a", "b"] * 2, "aic": [7.0, 9.0, 8.0, 8.0]})
    >>> count_best(table, ["a", "b"], "aic").loc["a"].tolist()
    [1.5, 0.5]
    """
    keys = ["simulated", "subject", "copy"]
    wide = criteria.pivot(index=keys, columns="fitted", values=criterion)[models]
    values = wide.to_numpy(float)
    if not np.isfinite(values.min(axis=1)).all():
        raise ValueError(
            f"{CRITERIA[criterion]} is infinite for every model of a simulated subject, whose "
            "events are too few, or NaN for one: take another criterion, or more lists."
        )
    best = values <= values.min(axis=1, keepdims=True) + TIED
    shares = pd.DataFrame(best / best.sum(axis=1, keepdims=True), wide.index, models)
    counts = shares.groupby(level="simulated").sum().reindex(models).fillna(0.0)
    return counts.rename_axis(index="simulated", columns="fitted")


def folder_of(
    checkpoint: str | os.PathLike[str] | None, model: str
) -> str | os.PathLike[str] | None:
    """Return the folder for the runs of a model."""
    return None if checkpoint is None else Path(checkpoint, model.replace(os.sep, "-"))
