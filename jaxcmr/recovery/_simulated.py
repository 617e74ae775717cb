"""Simulated subjects on the user's own study lists, and their fits."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Float

from jaxcmr.fitting import Fit, FitProblem, JaxDE, Watcher, Workers, resolve_search
from jaxcmr.fitting._checkpoint import TrialDigests
from jaxcmr.fitting._problem import check_problem
from jaxcmr.fitting._trials import pad_rows, to_rows
from jaxcmr.optimize import in_double
from jaxcmr.results import FitResult
from jaxcmr.simulation import simulate_dataset
from jaxcmr.typing import Subject

__all__ = [
    "Execution",
    "Lists",
    "SimulatedSubject",
    "choose_hyperparameters",
    "choose_lists",
    "losses_at",
    "name_lists",
    "names_of",
    "refit",
    "simulate_subjects",
]

Lists = list[tuple[Subject, np.ndarray]]
"""The study lists of each fit: its subject, and rows of the data set."""

BY_ARGUMENT = ("bounds", "progress_bar", "display_iterations")


class SimulatedSubject(NamedTuple):
    """Who is refitted: the simulated recall of one subject's lists in one copy."""

    subject: Subject
    copy: int  # from 1
    rows: np.ndarray  # of the simulated data set


class Execution(NamedTuple):
    """How fits are made; see `JaxDE.make_runs`."""

    checkpoint: str | os.PathLike[str] | None = None
    workers: Workers | None = None
    watchers: Sequence[Watcher] = ()


def choose_lists(problem: FitProblem, result: FitResult, n_lists: int | None) -> Lists:
    """Return the study lists of each fit: those fitted, or the first `n_lists` of them.

    Of a subject with fewer lists, they are used again from the first.

    Raises:
        ValueError: the result is of other data, or does not say which trials were fitted.
    """
    check_problem(problem)
    if result.get("trials") is None:
        raise ValueError("The result does not say which trials of the data were fitted.")
    if result["data"]["fingerprint"] != problem.data_fingerprint:
        raise ValueError("The result is of other data than this problem.")
    if n_lists is not None and (not isinstance(n_lists, int | np.integer) or n_lists < 1):
        raise ValueError(f"n_lists must be a positive integer; got {n_lists!r}.")
    fitted = [to_rows(ranges) for ranges in result["trials"]]
    rows = [each if n_lists is None else np.resize(each, n_lists) for each in fitted]
    return list(zip(result["fits"]["subject"], rows, strict=True))


def name_lists(n_lists: int | None) -> str:
    """Return words for the lists of a simulated subject, by which its runs are kept."""
    return "lists as fitted" if n_lists is None else f"{n_lists} lists"


def simulate_subjects(
    problem: FitProblem, lists: Lists, truths: pd.DataFrame, seed: int
) -> tuple[FitProblem, list[SimulatedSubject]]:
    """Return the problem of simulated recall, and who is in it.

    If the loss does not score stops, a simulated list is cut off after as many recalls as the
    subject made: otherwise simulated lists would hold more than the data.

    Args:
        problem: whose model recalls its lists.
        lists: of each fit.
        truths: ``subject``, ``copy``, and a column per free parameter.
        seed: of the simulation.
    """
    chosen = np.concatenate([rows for _, rows in lists])
    studied = {name: np.asarray(values)[chosen] for name, values in problem.dataset.items()}
    ordered = truths.sort_values("copy", kind="stable")
    simulated = simulate_dataset(
        problem.model,
        studied,
        problem.fixed,
        features=problem.features,
        seed=seed,
        draws=ordered[["subject", *problem.free_names]],
        n_recalls=problem.generator.count_given_recalls(chosen),
    )
    n_copies = int(truths["copy"].max())
    ends = np.cumsum([len(rows) for _, rows in lists])
    subjects = [
        SimulatedSubject(subject, copy + 1, np.arange(end - len(rows), end) + copy * len(chosen))
        for copy in range(n_copies)
        for (subject, rows), end in zip(lists, ends, strict=True)
    ]
    return problem.with_data(simulated), subjects


def choose_hyperparameters(
    problem: FitProblem,
    result: FitResult,
    search: str | Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the hyperparameters of the fits: those of the result, or of another search."""
    chosen = dict(result["hyperparameters"])
    if search is not None:
        polishes = problem.differentiable
        chosen = {**resolve_search(search, polishes=polishes), "seed": chosen.get("seed", 0)}
    kept = {name: value for name, value in chosen.items() if name not in BY_ARGUMENT}
    return {**kept, "progress_bar": False}  # see `RecoveryBar`


def refit(
    problem: FitProblem,
    subjects: Sequence[SimulatedSubject],
    hyperparameters: Mapping[str, Any],
    how: Execution,
    name: str = "",
    starts: Sequence[Sequence[np.ndarray]] | None = None,
) -> pd.DataFrame:
    """Return the loss and the estimates of each simulated subject's best run.

    Column ``steepest`` is the largest partial derivative at the estimate, per searched range, of
    parameters off their bounds; NaN without a gradient.

    Args:
        problem: the simulated recall, and the model that is fitted to it.
        subjects: who is fitted.
        hyperparameters: of the search.
        how: checkpoint, workers and watchers.
        name: beginning of the names of the fits.
        starts: places to start further runs from, for each simulated subject.
    """
    places = [()] * len(subjects) if starts is None else starts
    names = names_of(problem, subjects, name)
    fits = [
        Fit(each.subject, each.rows, of_fit, start)
        for each, of_fit, start in zip(subjects, names, places, strict=True)
    ]
    records = JaxDE.of(problem, hyperparameters).make_runs(
        fits, checkpoint=how.checkpoint, workers=how.workers, watchers=how.watchers
    )
    best = [min(runs, key=lambda run: run["loss"]) for runs in records]
    return pd.DataFrame(
        {
            "subject": pd.Series([each.subject for each in subjects], dtype=object),
            "copy": [each.copy for each in subjects],
            "loss": [run["loss"] for run in best],
            "steepest": [steepest_of(run) for run in best],
            **{n: [run["estimates"][n] for run in best] for n in problem.free_names},
        }
    )


def names_of(
    problem: FitProblem, subjects: Sequence[SimulatedSubject], beginning: str
) -> list[str]:
    """Return names of fits by which runs are kept, the same only if the simulated recall is.

    So where truths have changed, as the fit that they come from has grown, other runs are made.
    """
    digests = TrialDigests(problem.dataset)
    return [f"{beginning}copy {each.copy}, {digests.of(each.rows)}" for each in subjects]


def steepest_of(run: Mapping[str, Any]) -> float:
    """Return the largest partial derivative where a run ended, of parameters off their bounds."""
    gradient = run["gradient"] or {}
    inside = [partial for name, partial in gradient.items() if name not in run["at_bound"]]
    if run["gradient"] is None or any(partial is None for partial in inside):
        return float("nan")
    return max((abs(partial) for partial in inside), default=0.0)


def losses_at(
    problem: FitProblem,
    subjects: Sequence[SimulatedSubject],
    points: Float[np.ndarray, "subjects points n_params"],
) -> Float[np.ndarray, "subjects points"]:
    """Return the loss of each simulated subject at its points.

    In double precision, unless the loss draws random numbers. One program serves all.
    """
    losses = [problem.loss_of(rows) for rows in pad_rows([each.rows for each in subjects])]
    double = problem.differentiable
    with jax.enable_x64(double or bool(jax.config.jax_enable_x64)):  # type: ignore[attr-defined]
        made = in_double(losses) if double else losses
        dtype = jnp.result_type(float)
        values = [
            np.asarray(loss(jnp.asarray(at.T, dtype)), float)
            for loss, at in zip(made, points, strict=True)
        ]
    return np.array(values)
