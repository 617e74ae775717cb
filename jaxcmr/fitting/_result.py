"""From finished runs to a `FitResult`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxcmr.optimize import OptimizeResults
from jaxcmr.typing import FitResult

__all__ = ["FitInterrupted", "make_result"]


class FitInterrupted(KeyboardInterrupt):
    """Ctrl-C during a fit. `result` holds the fits of the subjects that were done."""

    def __init__(self, result: FitResult, n_subjects: int) -> None:
        done = len(result["fitness"])
        super().__init__(
            f"The fit was interrupted with {done} of {n_subjects} subjects done; their fits are in "
            "this exception's `result`."
        )
        self.result = result


def make_result(
    subjects: Sequence[int],
    runs: Sequence[Sequence[OptimizeResults]],
    fixed: Mapping[str, float],
    hyperparameters: Mapping[str, Any],
    fit_time: float,
) -> FitResult:
    """The fits of several subjects.

    Args:
        subjects: subject id of each fit.
        runs: for each fit its ``best_of`` runs, of which the lowest wins (the first among equals).
        fixed: parameters that were not free.
        hyperparameters: complete hyperparameters.
        fit_time: seconds.
    """
    bounds = hyperparameters["bounds"]
    best = [min(of_fit, key=lambda run: float(run.fun)) for of_fit in runs]
    fits: dict[str, list[Any]] = {
        name: [float(run.x[i]) for run in best] for i, name in enumerate(bounds)
    }
    for name, value in fixed.items():
        fits[name] = [value] * len(best)
    fits["subject"] = [int(subject) for subject in subjects]
    return FitResult(
        fixed=dict(fixed),
        free={name: list(pair) for name, pair in bounds.items()},
        fitness=[float(run.fun) for run in best],
        fits=fits,
        nit=[int(run.nit) for run in best],
        nfev=[int(np.sum([run.nfev for run in of_fit])) for of_fit in runs],
        converged=[bool(run.success) for run in best],
        hyperparameters=dict(hyperparameters),
        fit_time=fit_time,
    )
