"""`fit`: from names to a fit that is looked up and checked, and then searched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import jax
import numpy as np

from jaxcmr._cache import keep_compiled
from jaxcmr._result_words import count_of, name_ids
from jaxcmr.datasets import generate_trial_mask, load
from jaxcmr.fitting import FitProblem, JaxDE, ScipyDE, Watcher, Workers, resolve_search
from jaxcmr.fitting._fitter import Fitter
from jaxcmr.front._sources import (
    Data,
    Pairs,
    PathLike,
    Results,
    Subjects,
    Where,
    as_path,
    check_mapping,
    check_switch,
    load_aligned,
    load_results,
)
from jaxcmr.names import describe_unknown, name_of
from jaxcmr.optimize import check_not_forked
from jaxcmr.results import FitResult
from jaxcmr.typing import Bounds, Features, Loss, Model, Parameters, Subject, TrialMask

__all__ = ["FITTERS", "Plan", "fit", "make_plan"]

FITTERS: Mapping[str, type[Fitter]] = {"jax": JaxDE, "scipy": ScipyDE}
PRECISIONS = {"float32": False, "float64": True}
OWN_ARGUMENTS = {"bounds": "bounds", "seed": "seed", "progress_bar": "progress"}
"""Hyperparameters that `fit` takes by an argument of their own."""


def fit(
    data: Data,
    model: Model = "cmr",
    loss: Loss = "sequence_likelihood",
    *,
    where: Where = None,
    subjects: Subjects = "all",
    pooled: bool = False,
    fixed: Parameters | None = None,
    bounds: Bounds | None = None,
    features: Features = None,
    similarities: Pairs = None,
    distances: Pairs = None,
    loss_options: Mapping[str, Any] | None = None,
    search: str | Mapping[str, Any] = "thorough",
    fitter: str = "jax",
    precision: str | None = None,
    seed: int = 0,
    start_from: Results = (),
    progress: bool = True,
    checkpoint: PathLike | None = None,
    part: str | None = None,
    workers: Workers | None = None,
    watchers: Sequence[Watcher] = (),
) -> FitResult:
    """Fit a model to each subject of a data set, or to all of them together.

    Args:
        data: a data set: the name of a bundled one, a path to an .h5 file or a .csv in psifr's
            form, such a table as a pandas DataFrame, or a mapping of arrays.
        model: name of a model (`jaxcmr.models.MODELS`), or a model factory.
        loss: name of a loss (`jaxcmr.loss.LOSSES`), or a loss-function generator.
        where: trials to use: a condition such as ``"listtype == -1"``, or a function of the data
            that returns a mask (see `jaxcmr.datasets.generate_trial_mask`). All by default.
        subjects: "all"; a list of subject ids; or a number of subjects, of which the first by id
            are fitted. ``subjects=63`` is the first 63 subjects, ``subjects=[63]`` subject 63.
        pooled: fit one parameter set to the trials of all subjects.
        fixed: values of parameters that are not fitted, by name.
        bounds: [low, high] by parameter, in place of the model's usual bounds of that parameter. A
            model that does not declare its parameters needs bounds for all that are not fixed.
        features: what the model needs to know of the items, such as word vectors: a DataFrame with
            the words as index, or a dict by word, which are matched by name; an array, whose row k
            is the item with id k; or a path to an .npy file or a .csv (with or without words in its
            first column).
        similarities: in place of vectors, how similar each pair of words is: a DataFrame with the
            words as index and columns, an array, or a path, as for `features`.
        distances: in place of `similarities`, which are then 1 - distance.
        loss_options: options of the loss by name.
        search: "thorough", "quick" or "classic" (`jaxcmr.fitting.SEARCHES`), or a dict of
            hyperparameters, which changes the thorough search or the one that its key "preset"
            names.
        fitter: "jax", or "scipy" for the cross-check `jaxcmr.fitting.ScipyDE`.
        precision: "float32" or "float64", of the search; by default that of JAX (float32). The
            polish is in double precision anyway.
        seed: of all randomness, from 0 to 2**32 - 1.
        start_from: earlier results, or paths to them; one more run per fit starts from each.
        progress: show a progress bar.
        checkpoint: a folder that keeps finished runs. If the fit is interrupted or killed,
            the same call goes on where it stopped, to the same result. ``best_of`` and the set of
            subjects may grow.
        part: "3/20" makes the third of twenty shares of the runs first, then what no other part has
            made; every part returns the whole result. It needs a `checkpoint` that all parts share.
        workers: processes to search in, on this machine or others: a
            `concurrent.futures.Executor` or a Dask ``Client``. By default this process.
        watchers: objects with ``update(report)`` and ``close()`` that follow the fit.

    Returns:
        A `FitResult`: a dict with ``fits``, ``fitness`` and the evidence for them, and the methods
        `table`, `runs_table`, `select`, `save`. Shown in a notebook, it is a table with a verdict.

    Raises:
        ValueError: a name, setting or parameter is unknown or does not fit the data; the message
            says which, and what to do.
        CheckpointMismatch: `checkpoint` holds the runs of another fit.
        FitInterrupted: Ctrl-C; its ``result`` holds the subjects done so far.

    >>> data = {"subject": [1, 1], "listLength": [3, 3], "pres_itemnos": [[1, 2, 3]] * 2,
    ...         "recalls": [[3, 1, 0], [2, 3, 0]]}
    >>> tiny = {"num_steps": 2, "pop_size": 2, "best_of": 2, "polish": False}
    >>> result = fit(data, search=tiny, fixed={"learning_rate": 0.5}, progress=False)
    >>> result["fits"]["learning_rate"], len(result["runs"][0])
    ([0.5], 2)
    """
    settings = dict(locals())  # the arguments, by name
    how = {name: settings.pop(name) for name in ("checkpoint", "part", "workers", "watchers")}
    plan = make_plan(**settings)
    if progress and isinstance(plan.settings["subjects"], int):
        print(f"Fitting {plan.describe_subjects()}.{plan.hint('subjects=[{}]')}")
    return plan.run(**how)


@dataclass(frozen=True)
class Plan:
    """A fit, looked up and checked: what is left to do is to search."""

    problem: FitProblem
    fitter: Fitter
    trial_mask: TrialMask
    start_from: list[FitResult]
    pooled: bool
    x64: bool
    settings: dict[str, Any]
    """Arguments of `fit` that repeat it, with everything left out filled in; plain values, where
    objects without a name are None."""

    def run(self, **how: Any) -> FitResult:
        """Search, and return the result.

        Args:
            how: `checkpoint`, `part`, `workers` and `watchers`, as for `fit`.
        """
        with jax.enable_x64(self.x64):
            fit = self.fitter.fit if self.pooled else self.fitter.fit_subjects
            return fit(self.trial_mask, start_from=self.start_from, **how)

    @property
    def n_subjects(self) -> int:
        """How many subjects have trials to fit."""
        return len(np.unique(self.problem.subjects[self.trial_mask]))

    def describe_subjects(self) -> str:
        """Return in words whom the fit is of: "2 subjects", or "the first 2 subjects (3, 7)"."""
        if not isinstance(self.settings["subjects"], int):
            return count_of(self.n_subjects, "subject")
        ids = np.unique(self.problem.subjects[self.trial_mask]).tolist()
        first = "the first subject" if len(ids) == 1 else f"the first {len(ids)} subjects"
        return f"{first} ({name_ids(ids)})"

    def hint(self, alone: str) -> str:
        """Return a sentence, after a space, if the number of subjects is also the id of one.

        `alone` is what to write for that subject alone, with {} for its id.
        """
        n = self.settings["subjects"]
        if not isinstance(n, int) or str(n) not in map(str, self.problem.subjects.tolist()):
            return ""
        return f" {n} is taken as a number of subjects; subject {n} alone is {alone.format(n)}."


def make_plan(
    data: Data,
    model: Model = "cmr",
    loss: Loss = "sequence_likelihood",
    *,
    where: Where = None,
    subjects: Subjects = "all",
    pooled: bool = False,
    fixed: Parameters | None = None,
    bounds: Bounds | None = None,
    features: Features = None,
    similarities: Pairs = None,
    distances: Pairs = None,
    loss_options: Mapping[str, Any] | None = None,
    search: str | Mapping[str, Any] = "thorough",
    fitter: str = "jax",
    precision: str | None = None,
    seed: int = 0,
    start_from: Results = (),
    progress: bool = True,
) -> Plan:
    """Return the `Plan` of a fit; the arguments are those of `fit`."""
    check_switch("pooled", pooled)
    check_switch("progress", progress)
    if fitter not in list(FITTERS):  # also of what cannot be hashed
        raise ValueError(describe_unknown("fitter", fitter, FITTERS))
    check_not_forked()
    keep_compiled()
    x64, subjects = as_x64(precision), as_choice(subjects)
    results, paths = load_results(start_from)
    with jax.enable_x64(x64):
        dataset = load(data)
        fixed = check_mapping("fixed", fixed)
        problem = FitProblem(
            dataset,
            model,
            loss,
            check_mapping("bounds", bounds),
            fixed=fixed,
            usual=True,
            features=load_aligned(dataset, features, similarities, distances),
            loss_options=check_mapping("loss_options", loss_options),
        )
        changes = resolve_search(search, polishes=problem.differentiable and fitter == "jax")
        for name, argument in OWN_ARGUMENTS.items():
            if name in changes:
                raise ValueError(f"search holds {name!r}: give it as the argument {argument}=...")
        fitting = FITTERS[fitter].of(problem, {**changes, "seed": seed, "progress_bar": progress})
    mask = choose_trials(problem, where, subjects)
    hyperparameters = fitting.hyperparameters
    settings = {
        "data": as_path(data),
        "model": name_of("model", model),
        "loss": name_of("loss", problem.loss),
        "where": where if isinstance(where, str) else None,
        "subjects": subjects,
        "pooled": pooled,
        "features": as_path(features),
        "similarities": as_path(similarities),
        "distances": as_path(distances),
        "fitter": fitter,
        "precision": "float64" if x64 else "float32",
        "seed": hyperparameters["seed"],
        "start_from": paths,
        "progress": progress,
        "fixed": problem.fixed,
        "bounds": problem.bounds,
        "loss_options": problem.loss_options,
        "search": {k: v for k, v in hyperparameters.items() if k not in OWN_ARGUMENTS},
    }
    return Plan(problem, fitting, mask, results, pooled, x64, settings)


def choose_trials(
    problem: FitProblem, where: Where, subjects: str | int | list[Subject]
) -> TrialMask:
    """Return the mask of the trials of the chosen subjects that meet the condition."""
    mask = generate_trial_mask(problem.dataset, where or None)
    if subjects == "all":
        return mask
    present = np.unique(problem.subjects[mask])
    if isinstance(subjects, int):
        return mask & np.isin(problem.subjects, present[:subjects])
    if present.dtype.kind == "U":  # a shell, or a file of settings, makes a number of "63"
        subjects = [str(subject) for subject in subjects]
    for subject in subjects:
        if subject not in present.tolist():
            raise ValueError(f"Subject {subject} has no trials; there are {present.tolist()}.")
    return mask & np.isin(problem.subjects.astype(object), subjects)


def as_choice(subjects: Subjects) -> str | int | list[Subject]:
    """Return "all", how many subjects, or a list of ids, as plain values."""
    if isinstance(subjects, str) and subjects == "all":
        return subjects
    if isinstance(subjects, Integral) and not isinstance(subjects, bool) and int(subjects) > 0:
        return int(subjects)
    if isinstance(subjects, Iterable) and not isinstance(subjects, str | Mapping):
        ids = list(subjects)
        if ids and all(isinstance(each, Integral) for each in ids):
            return [int(each) for each in ids]
        if ids and all(isinstance(each, str) for each in ids):
            return [str(each) for each in ids]
    raise ValueError(f"subjects must be 'all', how many, or a list of ids; got {subjects!r}.")


def as_x64(precision: str | None) -> bool:
    """Return whether a precision is double; None is that of JAX."""
    if precision is None:
        return bool(jax.config.jax_enable_x64)  # type: ignore[attr-defined]
    if precision not in list(PRECISIONS):
        raise ValueError(describe_unknown("precision", precision, PRECISIONS))
    return PRECISIONS[precision]
