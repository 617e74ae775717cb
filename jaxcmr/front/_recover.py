"""`recover` at the front door: of parameters, by number of lists, or of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jaxcmr._cache import keep_compiled
from jaxcmr.front._after import problem_of
from jaxcmr.front._sources import Data, Pairs, PathLike, as_result
from jaxcmr.results import FitResult
from jaxcmr.typing import Features

if TYPE_CHECKING:
    import pandas as pd

    from jaxcmr.fitting import FitProblem, Workers
    from jaxcmr.recovery import ModelRecovery, PowerCurve, Recovery

__all__ = ["recover", "recover_problem"]


def recover(
    result: FitResult | PathLike,
    data: Data,
    *,
    models: Mapping[str, FitResult | PathLike] | None = None,
    parameters: str | pd.DataFrame = "fitted",
    n_copies: int = 1,
    n_lists: int | Sequence[int] | None = None,
    n: int = 50,
    criterion: str = "aicc",
    intervals: bool | str = False,
    seed: int = 0,
    search: str | Mapping[str, Any] | None = None,
    features: Features | PathLike = None,
    similarities: Pairs = None,
    distances: Pairs = None,
    progress: bool = True,
    checkpoint: PathLike | None = None,
    workers: Workers | None = None,
) -> Recovery | PowerCurve | ModelRecovery:
    """Simulate subjects with known parameters on the fitted lists, and fit them again.

    Args:
        result: the result of a fit by model and loss with names, or a path to one.
        data: the data that were fitted, as for `fit`.
        models: further results of the same trials, or paths to them, by name: then models are
            recovered, not parameters. `result` may be among them, to have a name of your own;
            otherwise it is named by its model.
        parameters: where true parameters come from: "fitted", "uniform" between the bounds on the
            search scale, "normal" around the estimates on that scale, or a table.
        n_copies: simulated subjects per fit.
        n_lists: lists per simulated subject; by default those that were fitted. Several numbers,
            such as (7, 14, 28), give a power curve.
        n: simulated subjects per model, with `models`.
        criterion: "aicc", "aic" or "bic", with `models`.
        intervals: also give 95 % intervals, and how many hold the truth: "profile" (or True), by
            profiles of the likelihood; or "hessian", by its curvature: quicker, and too short.
        seed: of the simulation.
        search: the search; by default that of the result.
        features: those that were fitted, if any, as for `fit`.
        similarities: in place of `features`.
        distances: in place of `similarities`.
        progress: show a progress bar.
        checkpoint: a folder that keeps finished runs and profiles: the same call goes on where it
            was interrupted.
        workers: processes to search in, as for `fit`.

    Returns:
        A `jaxcmr.recovery.Recovery` with ``summary()`` and ``verdict()``; for several `n_lists` a
        `PowerCurve`; with `models` a `ModelRecovery`.

    Raises:
        ValueError: the data or features are not those that were fitted, or an argument is invalid.

    >>> import jaxcmr as jc  # doctest: +SKIP
    >>> data = jc.load("peers_notask")  # doctest: +SKIP
    >>> result = jc.fit(data)  # doctest: +SKIP
    >>> recover(result, data, n_lists=(7, 14, 28)).verdict()  # doctest: +SKIP
    """
    from jaxcmr.recovery import recover_models

    keep_compiled()
    sources: dict[str, Any] = {
        "features": features,
        "similarities": similarities,
        "distances": distances,
    }
    how: dict[str, Any] = {
        "seed": seed,
        "search": search,
        "progress": progress,
        "checkpoint": checkpoint,
        "workers": workers,
    }
    first = as_result(result)
    if models is None:
        how |= {"n_copies": n_copies, "intervals": intervals}
        problem = problem_of(first, data, **sources)
        return recover_problem(problem, first, parameters, n_lists, **how)
    if n_lists is not None and not isinstance(n_lists, int):
        raise ValueError("With models, n_lists is one number of lists.")
    others = {key: as_result(each) for key, each in models.items()}
    name = next((key for key, each in others.items() if each == first), None)
    if name is None:
        name = str(first.get("model") or "a model")
        if name in others:
            raise ValueError(f"models names {name!r}, as `result` is: give it another name.")
    results = {name: first, **others}
    if len(results) < 2:
        raise ValueError("models needs a result of another fit than `result`.")
    problems = {
        key: problem_of(each, data, **(sources if each.get("features") else {}))
        for key, each in results.items()
    }
    return recover_models(problems, results, n, criterion, n_lists=n_lists, **how)


def recover_problem(
    problem: FitProblem,
    result: FitResult,
    parameters: str | pd.DataFrame,
    n_lists: int | Sequence[int] | None,
    **how: Any,
) -> Recovery | PowerCurve:
    """Recover parameters: once, or by number of lists."""
    from jaxcmr.recovery import power_curve, recover_parameters

    if n_lists is None or isinstance(n_lists, int):
        return recover_parameters(problem, result, parameters, n_lists=n_lists, **how)
    return power_curve(problem, result, n_lists, parameters=parameters, **how)
