"""The front door: `fit`, `simulate`, `diagnose` and `report`, from names to objects.

`fit` is what ``jaxcmr fit`` runs as well: a `Plan` is a fit with everything looked up and checked,
before anything is searched.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import jax
import numpy as np
from numpy.typing import ArrayLike

from jaxcmr._cache import keep_compiled
from jaxcmr.datasets import align_features, fingerprint, generate_trial_mask, load
from jaxcmr.files import write_text
from jaxcmr.fitting import FitProblem, JaxDE, ScipyDE, Watcher, resolve_search
from jaxcmr.fitting._fitter import Fitter
from jaxcmr.names import describe_unknown, find_named, name_of
from jaxcmr.optimize import check_not_forked
from jaxcmr.results import FitResult
from jaxcmr.simulation import simulate_dataset
from jaxcmr.typing import (
    Bounds,
    Draws,
    Features,
    Loss,
    Model,
    Parameters,
    RecallDataset,
    Subject,
    Sweep,
    TrialMask,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FITTERS", "Plan", "diagnose", "fit", "make_plan", "problem_of", "report", "simulate"]

PathLike: TypeAlias = str | os.PathLike[str]
Data: TypeAlias = Union[PathLike, RecallDataset, "pd.DataFrame"]
Pairs: TypeAlias = Union["pd.DataFrame", np.ndarray, PathLike, None]
Where: TypeAlias = str | Callable[[RecallDataset], ArrayLike] | None
Results: TypeAlias = FitResult | PathLike | Sequence[FitResult | PathLike] | None
Reported: TypeAlias = FitResult | PathLike | Sequence[FitResult | PathLike] | Mapping[str, Any]
Subjects: TypeAlias = str | int | Iterable[Subject]

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
        subjects: "all", the first so many as an int, or a list of subject ids.
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
        watchers: objects with ``update(report)`` and ``close()`` that follow the fit.

    Returns:
        A `FitResult`: a dict with ``fits``, ``fitness`` and the evidence for them, and the methods
        `table`, `runs_table`, `select`, `save`. Shown in a notebook, it is a table with a verdict.

    Raises:
        ValueError: a name, setting or parameter is unknown or does not fit the data; the message
            says which, and what to do.
        FitInterrupted: Ctrl-C; its ``result`` holds the subjects done so far.

    >>> data = {"subject": [1, 1], "listLength": [3, 3], "pres_itemnos": [[1, 2, 3]] * 2,
    ...         "recalls": [[3, 1, 0], [2, 3, 0]]}
    >>> tiny = {"num_steps": 2, "pop_size": 2, "best_of": 2, "polish": False}
    >>> result = fit(data, search=tiny, fixed={"learning_rate": 0.5}, progress=False)
    >>> result["fits"]["learning_rate"], len(result["runs"][0])
    ([0.5], 2)
    """
    settings = dict(locals())  # the arguments, by name
    watchers = settings.pop("watchers")
    return make_plan(**settings).run(watchers)


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

    def run(self, watchers: Sequence[Watcher] = ()) -> FitResult:
        """Search, and return the result."""
        with jax.enable_x64(self.x64):
            fit = self.fitter.fit if self.pooled else self.fitter.fit_subjects
            return fit(self.trial_mask, start_from=self.start_from, watchers=watchers)

    @property
    def n_subjects(self) -> int:
        """How many subjects have trials to fit."""
        return len(np.unique(self.problem.subjects[self.trial_mask]))


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


def simulate(
    result: FitResult | PathLike,
    data: Data,
    *,
    where: Where = None,
    features: Features = None,
    similarities: Pairs = None,
    distances: Pairs = None,
    model: Model | None = None,
    n_copies: int = 1,
    seed: int = 0,
    draws: Draws | None = None,
    vary: Sweep | None = None,
) -> dict[str, np.ndarray]:
    """Return recalls that a fitted model makes of the lists of a data set.

    Args:
        result: the result of a fit, or a path to one.
        data: a data set, as for `fit`.
        where: trials to simulate, as for `fit`. By default those that were fitted, or in other data
            all trials of the fitted subjects.
        features: as for `fit`, for models that need them; so are `similarities` and `distances`.
        model: the model, where the result could not name it.
        n_copies: simulated recalls of each trial.
        seed: of the random draws.
        draws: a table of parameter values, such as draws from a posterior, with a column per
            parameter and the column ``subject``. Copy k has draw k of each subject.
        vary: values of parameters away from the fitted ones, by name. All trials are simulated at
            each value, with the same random numbers; of several parameters at each combination.

    Returns:
        A data set like `data`, each subject simulated with its own parameters. A field ``copy``
        numbers the copies, and a field of its name holds the values of each varied parameter; see
        `jaxcmr.simulation.simulate_dataset`.

    Raises:
        ValueError: a subject was not fitted, the model has no name, or as `fit`.

    >>> data = {"subject": [7, 7], "listLength": [3, 3], "pres_itemnos": [[1, 2, 3]] * 2,
    ...         "recalls": [[3, 1, 0], [2, 3, 0]]}
    >>> tiny = {"num_steps": 2, "pop_size": 2, "best_of": 2, "polish": False}
    >>> result = fit(data, search=tiny, progress=False)
    >>> swept = simulate(result, data, n_copies=5, vary={"learning_rate": [0.1, 0.5, 0.9]})
    >>> swept["recalls"].shape, np.unique(swept["learning_rate"]).tolist()
    ((30, 3), [0.1, 0.5, 0.9])
    """
    check_not_forked()
    result = result if isinstance(result, Mapping) else FitResult.load(result)
    model = model or result.get("model")
    if model is None:
        raise ValueError("The result is of a model without a name: hand it in with model=...")
    dataset = load(data)
    return simulate_dataset(
        find_named("model", model),
        dataset,
        result,
        features=load_aligned(dataset, features, similarities, distances),
        trial_mask=trials_to_simulate(result, dataset, data, where),
        n_copies=n_copies,
        seed=seed,
        draws=draws,
        vary=vary,
    )


def diagnose(
    result: FitResult | PathLike,
    data: FitProblem | Data | None = None,
    *,
    features: Features | PathLike = None,
    similarities: Pairs = None,
    distances: Pairs = None,
    model: Model | None = None,
    loss: Loss | None = None,
    curvature: bool = True,
    n_copies: int = 100,
    seed: int = 0,
    thresholds: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return how far each fit can be trusted, one row per subject and check, worst first.

    Args:
        result: the result of a fit, or a path to one.
        data: the data that were fitted, as for `fit`, or the `FitProblem`. Without them, only
            checks that need nothing but the result are made.
        features: those that were fitted, if any, as for `fit`, unless `data` is the problem.
        similarities: in place of `features`.
        distances: in place of `similarities`.
        model: the model, where the result could not name it.
        loss: the loss with its options, where the result could not name it.
        curvature: compute the loss around the estimates, for flat directions and lower losses.
        n_copies: simulated recalls of each trial, by which the data are compared with what the
            model predicts; 0 for no simulation.
        seed: of the simulation.
        thresholds: by check, in place of those in `jaxcmr.diagnostics.CHECKS`.

    Returns:
        A table: ``subject``, ``check``, ``statistic``, ``threshold``, ``passed`` (missing where a
        check is not available) and ``comment``. `jaxcmr.diagnostics.verdict` says it in one line.

    Raises:
        ValueError: the data or features are not those that were fitted, or `thresholds` names an
            unknown check.

    >>> data = {"subject": [1, 1], "listLength": [3, 3], "pres_itemnos": [[1, 2, 3]] * 2,
    ...         "recalls": [[3, 1, 0], [2, 3, 0]]}
    >>> tiny = {"num_steps": 2, "pop_size": 2, "best_of": 2, "polish": False}
    >>> table = diagnose(fit(data, search=tiny, progress=False))
    >>> table[["subject", "check"]].values[0].tolist()
    [1, 'runs_agree']
    """
    from jaxcmr import diagnostics
    from jaxcmr._trust import chance_of, predict

    check_not_forked()
    keep_compiled()
    result = FitResult(result) if isinstance(result, Mapping) else FitResult.load(result)
    if data is None:
        reason = "it takes the data: hand them in"
        return diagnostics.diagnose(result, chance=reason, predicted=reason, thresholds=thresholds)
    if not isinstance(data, FitProblem):
        data = problem_of(
            result,
            data,
            features,
            similarities=similarities,
            distances=distances,
            model=model,
            loss=loss,
        )
    check_is_of(result, data)
    return diagnostics.diagnose(
        result,
        data,
        chance=chance_of(data, result),
        predicted=predict(data, result, n_copies, seed) if n_copies else "n_copies is 0",
        curvature=curvature,
        thresholds=thresholds,
    )


def check_is_of(result: FitResult, problem: FitProblem) -> None:
    """Raise a ValueError if a result is of other data or parameters than a problem."""
    if result.get("data") and result["data"]["fingerprint"] != problem.data_fingerprint:
        raise ValueError("The result is of other data than this problem.")
    for name, here in (("free", problem.bounds), ("fixed", problem.fixed)):
        if result[name] != here:
            raise ValueError(
                f"The result has other {name} parameters than this problem: {result[name]} in "
                f"place of {here}."
            )


def problem_of(
    result: FitResult | PathLike,
    data: Data,
    features: Features | PathLike = None,
    *,
    similarities: Pairs = None,
    distances: Pairs = None,
    model: Model | None = None,
    loss: Loss | None = None,
) -> FitProblem:
    """Return the problem that a result is of, made again from its names and options.

    Args:
        result: the result of a fit, or a path to one.
        data: the data that were fitted, as for `fit`.
        features: those that were fitted, if any, as for `fit`.
        similarities: in place of `features`.
        distances: in place of `similarities`.
        model: the model, where the result could not name it.
        loss: the loss with its options, where the result could not name it.

    Raises:
        ValueError: other data or features than those fitted; a model or loss without a name.

    >>> data = {"subject": [1, 1], "listLength": [3, 3], "pres_itemnos": [[1, 2, 3]] * 2,
    ...         "recalls": [[3, 1, 0], [2, 3, 0]]}
    >>> tiny = {"num_steps": 2, "pop_size": 2, "best_of": 1, "polish": False}
    >>> result = fit(data, search=tiny, fixed={"learning_rate": 0.5}, progress=False)
    >>> problem = problem_of(result, data)
    >>> bool(np.allclose(problem.evaluate_result(result), result["fitness"]))
    True
    """
    result = result if isinstance(result, Mapping) else FitResult.load(result)
    dataset = load(data)
    aligned = load_aligned(dataset, features, similarities, distances)
    return FitProblem.from_result(FitResult(result), dataset, aligned, model=model, loss=loss)


def report(
    results: Reported,
    path: PathLike,
    data: FitProblem | Data | None = None,
    *,
    features: Features | PathLike = None,
    similarities: Pairs = None,
    distances: Pairs = None,
    n_copies: int = 100,
    seed: int = 0,
    curvature: bool = True,
    title: str = "Report of fits",
) -> Path:
    """Write a report of one result or several: one HTML file that needs no network.

    It holds a verdict, a methods paragraph with references, counts of the data, figures with how
    to read them, tables of the fits, parameters and search, what to report in a paper, and code
    that repeats the fit. The same results and data give the same file, byte for byte.

    Args:
        results: the result of a fit or a path to one, a list of these, or a dict of these by name.
        path: the file to write.
        data: the data that were fitted, as for `fit`, or for one result its `FitProblem`. Without
            them, the report has no curves, and only checks that need nothing but the result.
        features: those that were fitted, if any, as for `fit`.
        similarities: in place of `features`.
        distances: in place of `similarities`.
        n_copies: simulated recalls of each trial, for the curves and the checks.
        seed: of the simulation.
        curvature: compute the loss around the estimates, for the checks; see `diagnose`.
        title: heading of the report.

    Returns:
        The path of the file.

    Raises:
        ImportError: jinja2 or matplotlib is not installed.
        ValueError: `path` does not end in .html, the data or features are not those that were
            fitted, or there are no results.

    >>> from tempfile import TemporaryDirectory
    >>> result = FitResult(fitness=[7.0], fits={"b": [0.4], "subject": [3]}, free={"b": [0, 1]},
    ...                    fixed={})
    >>> with TemporaryDirectory() as folder:
    ...     report(result, f"{folder}/report.html").stat().st_size < 2_000_000
    True
    """
    from jaxcmr._report import check_path, name_results

    check_path(path)
    named = name_results(results)
    if isinstance(data, FitProblem):
        if len(named) > 1:
            raise ValueError("A FitProblem is of one result: hand in the data for several.")
        problems = {name: data for name in named}
    elif data is not None:
        dataset = load(data)
        aligned = load_aligned(dataset, features, similarities, distances)
        problems = {
            name: problem_of(result, dataset, aligned if result.get("features") else None)
            for name, result in named.items()
        }
    else:
        problems = {}
    return write_report(
        named, problems, path, n_copies=n_copies, seed=seed, curvature=curvature, title=title
    )


def write_report(
    results: Mapping[str, FitResult],
    problems: Mapping[str, FitProblem],
    path: PathLike,
    *,
    n_copies: int = 100,
    seed: int = 0,
    curvature: bool = True,
    title: str = "Report of fits",
) -> Path:
    """Write a report of results by name, each with its problem where there is one.

    The other arguments are those of `report`.
    """
    from jaxcmr._report import make_chapter
    from jaxcmr.reporting import to_html

    check_not_forked()
    keep_compiled()
    chapters = []
    for number, (name, result) in enumerate(results.items(), 1):
        problem = problems.get(name)
        checks = diagnose(result, problem, curvature=curvature, n_copies=n_copies, seed=seed)
        chapters.append(make_chapter(name, result, f"r{number}", problem, checks, n_copies, seed))
    write_text(path, to_html(chapters, title))
    return Path(path)


def trials_to_simulate(
    result: Mapping[str, Any], dataset: RecallDataset, source: Data, where: Where
) -> TrialMask:
    """Return the mask of `where`; without it that of the trials, or else the subjects, fitted.

    The data that were fitted are known by their fingerprint: as they were given or, where `fit`
    loaded them, as `dataset`.
    """
    if where is not None:
        return generate_trial_mask(dataset, where)
    subjects = np.asarray(dataset["subject"]).reshape(-1)
    of_data, ranges = result.get("data"), result.get("trials")
    forms = [dataset, source] if isinstance(source, Mapping) else [dataset]
    if of_data and ranges is not None and of_data["fingerprint"] in map(fingerprint, forms):
        mask = np.zeros(len(subjects), bool)
        for first, behind_last in (pair for of_fit in ranges for pair in of_fit):
            mask[first:behind_last] = True
        return mask
    fitted = result["fits"]["subject"]
    is_pooled = result.get("pooled", fitted == [-1])
    return np.ones(len(subjects), bool) if is_pooled else np.isin(subjects.astype(object), fitted)


def check_mapping(name: str, given: Any) -> dict[str, Any]:
    """Return an argument that is a dict by name; raise a ValueError if it is not."""
    if given is not None and not isinstance(given, Mapping):
        raise ValueError(f"{name} is a dict by name; got {given!r}.")
    return dict(given or {})


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


def load_results(start_from: Results) -> tuple[list[FitResult], list[str]]:
    """Return the results in `start_from`, and the paths of those that came from files."""
    if start_from is None:
        return [], []
    if isinstance(start_from, str | os.PathLike | Mapping):
        start_from = [start_from]
    results, paths = [], []
    for each in start_from:
        if isinstance(each, str | os.PathLike):
            results.append(FitResult.load(each))
            paths.append(str(each))
        elif isinstance(each, Mapping):
            results.append(FitResult(each))
        elif each is not None:
            raise ValueError(f"start_from is a list of results or paths to them; got {each!r}.")
    return results, paths


def as_path(source: Data | Features | Pairs) -> str | None:
    """Return a name or path as text; None for objects."""
    return str(source) if isinstance(source, str | os.PathLike) else None


def load_aligned(
    dataset: RecallDataset, features: Features, similarities: Pairs, distances: Pairs
) -> Features:
    """Return features in the order of item ids, read from files where they are paths."""
    return align_features(
        dataset,
        load_features(features),
        similarities=load_features(similarities),
        distances=load_features(distances),
    )


def load_features(features: Features | PathLike) -> Features:
    """Return features, read from a file if they are a path.

    A file is .npy, or a .csv of numbers; or a .csv with a header and the words in its first column.
    """
    if not isinstance(features, str | os.PathLike):
        return features
    path = Path(features)
    try:
        if path.suffix == ".npy":
            return np.load(path)
        return read_numbers(path)
    except (ValueError, EOFError, IsADirectoryError) as error:
        raise ValueError(
            f"{path} does not hold features: an array of numbers in .npy; or in .csv rows of "
            f"numbers with commas, or a header and words in the first column ({error})."
        ) from error


def read_numbers(path: Path) -> np.ndarray | pd.DataFrame:
    """Return the numbers of a .csv file; as a table by word if its first row is not numbers."""
    import pandas as pd

    with open(path, encoding="utf-8-sig") as file:
        first = file.readline().strip().split(",")
    try:
        [float(cell) for cell in first]
    except ValueError:  # words such as "null" are words
        if len(first) < 2:
            raise
        table = pd.read_csv(path, index_col=0, keep_default_na=False, encoding="utf-8-sig")
        if table.empty:
            raise ValueError("there is not a number below its first row") from None
        return table.astype(float)
    return np.loadtxt(path, delimiter=",", ndmin=2, encoding="utf-8-sig")


def check_switch(name: str, value: Any) -> None:
    """Raise a ValueError unless a setting is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False; got {value!r}.")
