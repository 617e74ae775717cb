"""What follows a fit: `simulate`, `diagnose` and `report`, from a result and the data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from jaxcmr._cache import keep_compiled
from jaxcmr.datasets import fingerprint, generate_trial_mask, load
from jaxcmr.files import write_text
from jaxcmr.fitting import FitProblem
from jaxcmr.fitting._trials import to_mask
from jaxcmr.front._simulate import check_n_recalls, count_given_by_result
from jaxcmr.front._sources import (
    Data,
    Pairs,
    PathLike,
    Reported,
    Where,
    as_result,
    load_aligned,
)
from jaxcmr.names import find_named
from jaxcmr.optimize import check_not_forked
from jaxcmr.results import FitResult
from jaxcmr.simulation import simulate_dataset
from jaxcmr.typing import Draws, Features, Loss, Model, RecallDataset, Sweep, TrialMask

if TYPE_CHECKING:
    import pandas as pd

    from jaxcmr.front._report_sections import Analyses, Given

__all__ = ["diagnose", "problem_of", "report", "simulate", "trials_to_simulate", "write_report"]


def simulate(
    result: FitResult | PathLike,
    data: Data,
    *,
    where: Where = None,
    features: Features = None,
    similarities: Pairs = None,
    distances: Pairs = None,
    model: Model | None = None,
    loss: Loss | None = None,
    n_copies: int = 1,
    seed: int = 0,
    draws: Draws | None = None,
    vary: Sweep | None = None,
    n_recalls: Literal["model"] | ArrayLike | None = None,
) -> dict[str, np.ndarray]:
    """Return recalls that a fitted model makes of the lists of a data set.

    If the loss of the fit takes the number of recalls as given, as ``events="recalls"`` and the
    losses by curves do, each list is cut off after as many recalls as `data` has in it: stopping
    was not fitted.

    Args:
        result: the result of a fit, or a path to one.
        data: a data set, as for `fit`.
        where: trials to simulate, as for `fit`. By default those that were fitted, or in other data
            all trials of the fitted subjects.
        features: as for `fit`, for models that need them; so are `similarities` and `distances`.
        model: the model, where the result could not name it.
        loss: the loss with its options, where the result could not name it. Only losses that take
            the number of recalls as given are needed.
        n_copies: simulated recalls of each trial.
        seed: of the random draws.
        draws: a table of parameter values, such as draws from a posterior, with a column per
            parameter and the column ``subject``. Copy k has draw k of each subject.
        vary: values of parameters away from the fitted ones, by name. All trials are simulated at
            each value, with the same random numbers; of several parameters at each combination.
        n_recalls: "model" lets the model decide when to stop, also where the loss takes the number
            of recalls as given. Or (trials,) numbers, one for each trial of `data`: at how many
            recalls each list is cut off, by any loss.

    Returns:
        A data set like `data`, each subject simulated with its own parameters. A field ``copy``
        numbers the copies, and a field of its name holds the values of each varied parameter; see
        `jaxcmr.simulation.simulate_dataset`.

    Raises:
        ValueError: a subject was not fitted, the model or loss has no name, `data` has no recalls
            where the loss takes their number as given, or as `fit`.

    >>> import jaxcmr as jc
    >>> data = {"subject": [7, 7], "listLength": [3, 3], "pres_itemnos": [[1, 2, 3]] * 2,
    ...         "recalls": [[3, 1, 0], [2, 3, 0]]}
    >>> tiny = {"num_steps": 2, "pop_size": 2, "best_of": 2, "polish": False}
    >>> result = jc.fit(data, search=tiny, progress=False)
    >>> swept = simulate(result, data, n_copies=5, vary={"learning_rate": [0.1, 0.5, 0.9]})
    >>> swept["recalls"].shape, np.unique(swept["learning_rate"]).tolist()
    ((30, 3), [0.1, 0.5, 0.9])
    """
    check_not_forked()
    result = as_result(result)
    model = model or result.get("model")
    if model is None:
        raise ValueError("The result is of a model without a name: hand it in with model=...")
    dataset = load(data)
    trial_mask = trials_to_simulate(result, dataset, data, where)
    if not trial_mask.any():
        raise ValueError(
            f"No trials to simulate: the fits are of subjects {result['fits']['subject'][:5]}, the "
            f"data of {np.unique(dataset['subject'])[:5].tolist()}; the condition is {where!r}."
        )
    aligned = load_aligned(dataset, features, similarities, distances)
    if n_recalls is None:
        numbers = count_given_by_result(result, dataset, aligned, model, loss)
        if numbers is not None and not np.any(numbers[trial_mask]):
            raise ValueError(
                "The loss of the fit takes the number of recalls as given, but the trials to "
                'simulate have no recalls. Let the model decide when to stop, n_recalls="model", '
                "or give a number for each trial."
            )
    else:
        numbers = check_n_recalls(n_recalls)
    return simulate_dataset(
        find_named("model", model),
        dataset,
        result,
        features=aligned,
        trial_mask=trial_mask,
        n_copies=n_copies,
        seed=seed,
        draws=draws,
        vary=vary,
        n_recalls=numbers,
    )


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
        return to_mask(ranges, len(subjects))
    fitted = result["fits"]["subject"]
    is_pooled = result.get("pooled", fitted == [-1])
    return np.ones(len(subjects), bool) if is_pooled else np.isin(subjects.astype(object), fitted)


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

    >>> import jaxcmr as jc
    >>> data = {"subject": [1, 1], "listLength": [3, 3], "pres_itemnos": [[1, 2, 3]] * 2,
    ...         "recalls": [[3, 1, 0], [2, 3, 0]]}
    >>> tiny = {"num_steps": 2, "pop_size": 2, "best_of": 1, "polish": False}
    >>> result = jc.fit(data, search=tiny, fixed={"learning_rate": 0.5}, progress=False)
    >>> problem = problem_of(result, data)
    >>> bool(np.allclose(problem.evaluate_result(result), result["fitness"]))
    True
    """
    result = as_result(result)
    dataset = load(data)
    aligned = load_aligned(dataset, features, similarities, distances)
    return FitProblem.from_result(result, dataset, aligned, model=model, loss=loss)


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

    >>> import jaxcmr as jc
    >>> data = {"subject": [1, 1], "listLength": [3, 3], "pres_itemnos": [[1, 2, 3]] * 2,
    ...         "recalls": [[3, 1, 0], [2, 3, 0]]}
    >>> tiny = {"num_steps": 2, "pop_size": 2, "best_of": 2, "polish": False}
    >>> table = diagnose(jc.fit(data, search=tiny, progress=False))
    >>> table[["subject", "check"]].values[0].tolist()
    [1, 'runs_agree']
    """
    from jaxcmr import diagnostics
    from jaxcmr.front._trust import chance_of, predict

    check_not_forked()
    keep_compiled()
    result = as_result(result)
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


def report(
    results: Reported,
    path: PathLike,
    data: FitProblem | Data | None = None,
    *,
    features: Features | PathLike = None,
    similarities: Pairs = None,
    distances: Pairs = None,
    analyses: Given = None,
    n_copies: int = 100,
    seed: int = 0,
    curvature: bool = True,
    title: str = "Report of fits",
) -> Path:
    """Write a report of one result or several: one HTML file that needs no network.

    It holds a verdict, a methods paragraph with references, counts of the data, figures with how
    to read them, tables of the fits, parameters and search, what to report in a paper, and code
    that repeats the fit. With the data it has standard errors, and a section on each analysis that
    is handed in. Several results of the same trials are compared as by `compare`.
    The same results and data give the same file, byte for byte.

    Args:
        results: the result of a fit or a path to one, a list of these, or a dict of these by name.
        path: the file to write.
        data: the data that were fitted, as for `fit`, or for one result its `FitProblem`. Without
            them, the report has no curves, and only checks that need nothing but the result.
        features: those that were fitted, if any, as for `fit`.
        similarities: in place of `features`.
        distances: in place of `similarities`.
        analyses: of the result, one or a list. For several results a dict by their names, in which
            those of all together have a word of yours: ``{"CMR": [profiles, recovery], "all":
            [compared, selection]}``. Of one result are those of `jaxcmr.uncertainty`,
            `cross_validate` and its approximation, `hierarchical_map`, and `recover`. Of all are
            `compare`, `bayesian_model_selection`, `likelihood_ratio_test` and a recovery of models.
            Standard errors, and a comparison of several results by AICc, are made without them.
        n_copies: simulated recalls of each trial, for the curves and the checks.
        seed: of the simulation.
        curvature: compute the loss around the estimates, for the checks and for standard errors;
            see `diagnose`.
        title: heading of the report.

    Returns:
        The path of the file.

    Raises:
        ImportError: jinja2 or matplotlib is not installed.
        ValueError: `path` does not end in .html, the data or features are not those that were
            fitted, there are no results, or an analysis is not of one of them.

    >>> from tempfile import TemporaryDirectory
    >>> result = FitResult(fitness=[7.0], fits={"b": [0.4], "subject": [3]}, free={"b": [0, 1]},
    ...                    fixed={})
    >>> with TemporaryDirectory() as folder:
    ...     report(result, f"{folder}/report.html").stat().st_size < 2_000_000
    True
    """
    from jaxcmr.front._report import check_path, name_results
    from jaxcmr.front._report_sections import sort_analyses

    check_path(path)
    named = name_results(results)
    sorted_analyses = sort_analyses(list(named), analyses)
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
        named,
        problems,
        path,
        sorted_analyses,
        n_copies=n_copies,
        seed=seed,
        curvature=curvature,
        title=title,
    )


def write_report(
    results: Mapping[str, FitResult],
    problems: Mapping[str, FitProblem],
    path: PathLike,
    analyses: Analyses | None = None,
    *,
    n_copies: int = 100,
    seed: int = 0,
    curvature: bool = True,
    title: str = "Report of fits",
) -> Path:
    """Write a report of results by name, each with its problem where there is one.

    The other arguments are those of `report`, with `analyses` by result.
    """
    from jaxcmr.front._report import make_chapter
    from jaxcmr.front._report_sections import Analyses, make_sections, make_sections_of_all
    from jaxcmr.reporting import to_html

    check_not_forked()
    keep_compiled()
    analyses = analyses or Analyses()
    of_all = make_sections_of_all(analyses, results)
    sections = {
        name: make_sections(
            analyses, name, result, problems.get(name) if curvature else None, f"r{number}"
        )
        for number, (name, result) in enumerate(results.items(), 1)
    }
    chapters = []
    for number, (name, result) in enumerate(results.items(), 1):
        problem, prefix = problems.get(name), f"r{number}"
        checks = diagnose(result, problem, curvature=curvature, n_copies=n_copies, seed=seed)
        chapters.append(
            make_chapter(name, result, prefix, problem, checks, n_copies, seed, sections[name])
        )
    write_text(path, to_html(chapters, title, of_all))
    return Path(path)
