"""From finished runs to a `FitResult`: everything in it is in the user's units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxcmr._version import __version__
from jaxcmr.fitting._trials import to_ranges
from jaxcmr.optimize import LaneReport
from jaxcmr.parameters import ParameterSpace
from jaxcmr.results import SCHEMA, FitResult
from jaxcmr.typing import Subject

if TYPE_CHECKING:
    from jaxcmr.fitting._problem import FitProblem

__all__ = ["record_run", "to_result"]

ON_BOUND = 1e-3
"""How far from a bound an estimate counts as on it, as a share of the searched range."""

STOPPED = {
    0: "tolerance",
    1: "num_steps",
    2: "no finite loss",
    3: "evaluations",
    4: "evaluations",
}
"""Why a search ended, by the status of the optimizer's result."""

POLISHES = {1: "gradient", 2: "finite differences", 3: "no finite gradient"}
"""How the polish went, by its status; a status without an entry means no polish."""


def record_run(
    number: int, origin: str, scales: Mapping[str, str], space: ParameterSpace, lane: LaneReport
) -> dict[str, Any]:
    """Return what a result keeps of a finished run.

    Args:
        number: of the run, among those of its fit.
        origin: "random", or the earlier fit that it started from.
        scales: scale of each free parameter, by name.
        space: from the unit cube that was searched to the user's units.
        lane: the last report, with the result on the unit cube.
    """
    found = lane.result
    assert found is not None and found.fun_search is not None
    z = np.asarray(found.x)
    with jax.enable_x64(z.dtype == np.float64):
        x = np.asarray(from_unit(space, z), float)
    return {
        "run": number,
        "origin": origin,
        "scale": dict(scales),
        "loss_before_polish": float(found.fun_search),
        "loss": float(found.fun),
        "estimates": {name: float(value) for name, value in zip(scales, x, strict=True)},
        "generations": int(found.nit),
        "evaluations": int(found.nfev),
        "stopped": STOPPED[int(found.status)],
        "polish": POLISHES.get(int(found.polish_status)),
        "at_rest": bool(found.at_rest),
        "gradient": name_gradient(scales, found.jac),
        "at_bound": find_bounds_reached(scales, space.to_unit(x.tolist())),
        "seconds": round(float(lane.seconds), 6),
    }


@eqx.filter_jit
def from_unit(space: ParameterSpace, z: np.ndarray) -> Array:
    """Return the parameters at `z`, in one program in place of one per operation."""
    return space.from_unit(jnp.asarray(z))


def name_gradient(names: Iterable[str], jac: Any) -> dict[str, float | None] | None:
    """Return the gradient by parameter, per unit of the searched range; None without a polish.

    Of an estimate on a bound it need not be 0: the loss may fall beyond the bound.
    """
    if jac is None:
        return None
    return {
        name: float(partial) if np.isfinite(partial) else None
        for name, partial in zip(names, np.asarray(jac), strict=True)
    }


def find_bounds_reached(names: Iterable[str], place: np.ndarray) -> dict[str, str]:
    """Return which parameters lie on a bound, given their places in the unit cube."""
    lower = {n: "lower" for n, z in zip(names, place, strict=True) if z <= ON_BOUND}
    upper = {n: "upper" for n, z in zip(names, place, strict=True) if z >= 1 - ON_BOUND}
    return {name: (lower | upper)[name] for name in names if name in lower | upper}


def to_result(
    problem: FitProblem,
    hyperparameters: Mapping[str, Any],
    fits: Sequence[tuple[Subject, np.ndarray]],
    runs: Sequence[Sequence[Any]],
    *,
    pooled: bool,
    interrupted: bool,
    fit_time: float,
) -> FitResult:
    """Return the result of several fits.

    Args:
        problem: what was fitted.
        hyperparameters: complete hyperparameters.
        fits: subject id and ascending rows of the data set of each fit.
        runs: for each fit the records of its runs, of which the lowest wins (the first among
            equals).
        pooled: whether the fit is one to trials of all subjects together.
        interrupted: whether fits are missing.
        fit_time: seconds.
    """
    best = [min(of_fit, key=lambda run: run["loss"]) for of_fit in runs]
    counts = [problem.count_rows(rows) for _, rows in fits]
    estimates = {name: [run["estimates"][name] for run in best] for name in problem.free_names}
    fixed = {name: [value] * len(best) for name, value in problem.fixed.items()}
    return FitResult(
        schema=SCHEMA,
        version=__version__,
        **problem.describe(),
        pooled=pooled,
        precision=str(np.dtype(jnp.result_type(float))),
        fixed=dict(problem.fixed),
        free={name: list(pair) for name, pair in problem.bounds.items()},
        fitness=[run["loss"] for run in best],
        fits={**estimates, **fixed, "subject": [subject for subject, _ in fits]},
        n_trials=[n_trials for n_trials, _ in counts],
        n_events=[n_events for _, n_events in counts],
        counted=problem.generator.counted,
        stops_scored=problem.count_given_recalls() is None,
        nit=[run["generations"] for run in best],
        nfev=[sum(run["evaluations"] for run in of_fit) for of_fit in runs],
        converged=[run["stopped"] == "tolerance" or run["at_rest"] for run in best],
        hyperparameters=dict(hyperparameters),
        fit_time=fit_time,
        interrupted=interrupted,
        trials=[to_ranges(rows) for _, rows in fits],
        runs=[list(of_fit) for of_fit in runs],
    )
