"""True parameters of simulated subjects: those fitted, or drawn."""

from __future__ import annotations

from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Float

from jaxcmr.fitting import FitProblem
from jaxcmr.fitting._search_space import choose_scales
from jaxcmr.parameters import ParameterSpace
from jaxcmr.results import FitResult

__all__ = ["Truths", "find_places", "from_places", "make_truths"]

Truths: TypeAlias = str | pd.DataFrame
"""A name of `WAYS`, or a table of true parameters."""

WAYS = ("fitted", "uniform", "normal")
"""Where true parameters come from: the fits themselves; uniform between the bounds on the search
scale; or a normal distribution fitted to the fits on that scale, whose draws beyond a bound are
moved onto it."""


def make_truths(
    problem: FitProblem, result: FitResult, parameters: Truths, n_copies: int, seed: int
) -> pd.DataFrame:
    """Return the true parameters of each simulated subject.

    Args:
        problem: whose free parameters they are.
        result: its fits.
        parameters: a name of `WAYS`; or a table with a column per free parameter and the column
            ``subject``, whose rows of one subject are its copies.
        n_copies: simulated subjects per fit, unless `parameters` is a table.
        seed: of the draws.

    Returns:
        Columns ``subject``, ``copy`` (from 1), and one per free parameter; copies one after
        another.

    Raises:
        ValueError: `parameters` is something else, or a true parameter is outside the bounds.
    """
    names, subjects = problem.free_names, list(result["fits"]["subject"])
    if isinstance(parameters, pd.DataFrame):
        return check_table(problem, subjects, parameters)
    if not isinstance(parameters, str) or parameters not in WAYS:
        raise ValueError(
            f"parameters must be one of {', '.join(WAYS)}, or a table with a row per simulated "
            f"subject; got {parameters!r}."
        )
    fitted = np.array([result["fits"][name] for name in names], float).T
    values = np.tile(fitted, (n_copies, 1))
    if parameters != "fitted":
        values = draw_parameters(problem, fitted, parameters, len(values), seed)
    table = pd.DataFrame(values, columns=names)
    table.insert(0, "copy", np.repeat(np.arange(1, n_copies + 1), len(subjects)))
    table.insert(0, "subject", pd.Series(subjects * n_copies, dtype=object))
    return table


def draw_parameters(
    problem: FitProblem, fitted: Float[np.ndarray, "fits n"], way: str, n: int, seed: int
) -> Float[np.ndarray, "draws n"]:
    """Return `n` parameter sets drawn on the search scale."""
    random = np.random.default_rng([seed, WAYS.index(way)])
    if way == "uniform":
        places = random.random((n, len(problem.free_names)))
    else:
        if len(fitted) < 2:
            raise ValueError("A normal distribution takes fits of two or more subjects; got one.")
        observed = find_places(problem, fitted)
        spread = np.atleast_2d(np.cov(observed, rowvar=False))
        drawn = random.multivariate_normal(observed.mean(0), spread, n, method="eigh")
        places = np.clip(drawn, 0.0, 1.0)
    return from_places(problem, places)


def check_table(
    problem: FitProblem, subjects: list[int | str], parameters: pd.DataFrame
) -> pd.DataFrame:
    """Return a table of true parameters in order of copy and subject.

    Raises:
        ValueError: a column or a subject is missing, or a value is outside the bounds.
    """
    table, names = parameters.copy(), problem.free_names
    missing = [name for name in ("subject", *names) if name not in table]
    if missing:
        raise ValueError(f"The table of true parameters lacks the column {missing[0]!r}.")
    table["subject"] = table["subject"].astype(object)
    table["copy"] = table.groupby("subject").cumcount() + 1
    counts = table["subject"].value_counts()
    if set(counts.index) != set(subjects) or counts.nunique() != 1:
        raise ValueError(
            "The table of true parameters must hold equally many rows for each subject that was "
            f"fitted; the fits are of {subjects[:5]}, the rows by subject {counts.to_dict()}."
        )
    for name, (low, high) in problem.bounds.items():
        outside = table[name][~table[name].between(low, high)]
        if len(outside):
            raise ValueError(
                f"A true {name!r} is {outside.iloc[0]}, outside its bounds [{low}, {high}]: no fit "
                "could find it."
            )
    order = {subject: i for i, subject in enumerate(subjects)}
    rank = table["subject"].map(order)
    rows = np.lexsort((rank.to_numpy(int), table["copy"].to_numpy()))
    return table.iloc[rows][["subject", "copy", *names]].reset_index(drop=True)


def space_of(problem: FitProblem) -> ParameterSpace:
    """Return the free parameters between their bounds, on the scales that the model declares."""
    return ParameterSpace.make(
        problem.bounds, choose_scales("auto", problem.bounds, problem.scales)
    )


def find_places(
    problem: FitProblem, values: Float[np.ndarray, "sets n"]
) -> Float[np.ndarray, "sets n"]:
    """Return parameters as places between their bounds, from 0 to 1, on the search scale."""
    with jax.enable_x64(True):
        space = space_of(problem)
        return np.array([space.to_unit(each.tolist()) for each in values]).reshape(values.shape)


def from_places(
    problem: FitProblem, places: Float[np.ndarray, "sets n"]
) -> Float[np.ndarray, "sets n"]:
    """Return the parameters at places between their bounds; NaN where a place is NaN."""
    with jax.enable_x64(True):
        values = space_of(problem).from_unit(jnp.asarray(np.nan_to_num(places).T))
        return np.where(np.isnan(places), np.nan, np.asarray(values, float).T)
