"""`ScipyDE`: the same fits by `scipy.optimize.differential_evolution`, as a cross-check."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy  # imports scipy.optimize when it is first used, which takes long

from jaxcmr.fitting._fitter import UNIT_CUBE, Fitter, words_of_id
from jaxcmr.fitting._runs import Run
from jaxcmr.optimize import Box, LaneReport, OptimizeResults, in_double, works_in_double
from jaxcmr.typing import LossFn

__all__ = ["ScipyDE"]


class ScipyDE(Fitter):
    __doc__ = Fitter.__doc__

    def search(self, runs: Sequence[Run], pool: Executor | None) -> Iterator[LaneReport]:
        """Make the runs one after the other; a pool is not used, nor is a state to go on with."""
        if any(run.state is not None for run in runs):
            raise ValueError("ScipyDE cannot go on with the state of a search; JaxDE can.")
        bounds = UNIT_CUBE * len(self.hyperparameters["bounds"])
        options = {**self.hyperparameters, "bounds": bounds}
        for lane, (run, loss) in enumerate(zip(runs, self.losses_of(runs), strict=True)):
            began = time.perf_counter()
            result = minimize(loss, self._rng(run), options, self.start_of(run))
            if self.polish:
                result = polish_run(loss, bounds, result, self.polish)
            seconds = time.perf_counter() - began
            yield LaneReport(lane, int(result.nit), float(result.fun), result, None, seconds)

    def _rng(self, run: Run) -> np.random.Generator:
        words = [self.hyperparameters["seed"], *words_of_id(run.subject), run.number % 2**32]
        return np.random.default_rng(words)


@eqx.filter_jit
def _evaluate(loss: LossFn, x: Any) -> Any:
    return loss(x)


@eqx.filter_jit
def _value_and_gradient(loss: LossFn, x: Any) -> Any:
    return jax.value_and_grad(lambda x: loss(x))(x)


def minimize(
    loss: LossFn, rng: np.random.Generator, options: dict[str, Any], start: np.ndarray | None
) -> OptimizeResults:
    """Return the end of SciPy's differential evolution, without its polish."""
    box = Box.from_bounds(options["bounds"])
    bounds = np.stack([box.lower, box.upper], axis=1).astype(float)

    errors: list[Exception] = []  # SciPy replaces a TypeError or ValueError by one of its own

    def losses_at(x: np.ndarray) -> np.ndarray:
        try:
            values = np.asarray(_evaluate(loss, jnp.asarray(x, box.lower.dtype)), float)
        except Exception as error:
            errors.append(error)
            raise
        return np.where(np.isnan(values), np.inf, values)

    def is_flat(intermediate_result: scipy.optimize.OptimizeResult) -> bool:
        found = intermediate_result.population_energies
        return bool(np.isfinite(found).all() and np.ptp(found) <= options["fatol"])

    try:
        found = scipy.optimize.differential_evolution(
            losses_at,
            bounds,
            strategy=options["strategy"],
            maxiter=options["num_steps"],
            popsize=options["pop_size"],
            tol=options["relative_tolerance"],
            atol=options["absolute_tolerance"],
            mutation=_number_or_pair(options["diff_w"]),
            recombination=options["cross_over_rate"],
            init=options["init"],
            x0=start,
            rng=rng,
            polish=False,
            updating="deferred",
            vectorized=True,
            callback=is_flat,
        )
    except RuntimeError:
        if errors:
            raise errors[0] from None
        raise
    success = found.success or is_flat(found)
    fields: dict[str, Any] = dict(
        x=found.x,
        fun=found.fun,
        success=success,
        status=0 if success else (1 if np.isfinite(found.fun) else 2),
        fun_search=found.fun,
        nit=found.nit,
        nfev=len(found.population) * (found.nit + 1),
        population=found.population,
        population_energies=found.population_energies,
    )
    return OptimizeResults(**fields)


def polish_run(
    loss: LossFn, bounds: Sequence[tuple[float, float]], result: OptimizeResults, way: str
) -> OptimizeResults:
    """Return `result` after SciPy's L-BFGS-B, in double precision if `loss` works there.

    `way` is how gradients are taken, "exact" or "differences". SciPy's own differences would call
    the loss once for each.
    """
    if works_in_double(lambda x: jnp.atleast_1d(loss(x[:, 0])), len(bounds)):
        with jax.enable_x64(True):
            end = minimize_locally(in_double([loss])[0], bounds, result.x, way)
    else:  # too coarse for differences
        way = "exact"
        end = minimize_locally(loss, bounds, result.x, way)
    if not np.isfinite(end.fun):
        return result._replace(polish_status=3)
    return result._replace(
        x=end.x,
        fun=end.fun,
        jac=end.jac,
        nfev=result.nfev + end.nfev * (len(bounds) + 1 if way == "differences" else 1),
        polish_status=2 if way == "differences" else 1,
        at_rest=bool(end.success),
    )


def minimize_locally(loss: LossFn, bounds: Sequence[tuple[float, float]], x: Any, way: str) -> Any:
    """Return SciPy's result of L-BFGS-B from `x`."""

    def value_and_gradient(x: np.ndarray) -> tuple[float, np.ndarray]:
        if way == "differences":
            h = np.where(x > 0.5, -1.0, 1.0) * np.finfo(np.float64).eps ** 0.5  # into the box
            columns = np.concatenate([x[:, None], x[:, None] + np.diag(h)], axis=1)
            value, *beside = np.asarray(_evaluate(loss, jnp.asarray(columns)))
            return float(value), (np.array(beside) - value) / h
        value, gradient = _value_and_gradient(loss, jnp.asarray(x, jnp.result_type(float)))
        return float(value), np.asarray(gradient, np.float64)

    return scipy.optimize.minimize(
        value_and_gradient, x, jac=True, method="L-BFGS-B", bounds=bounds
    )


def _number_or_pair(mutation: Any) -> Any:
    return tuple(mutation) if isinstance(mutation, list) else mutation
