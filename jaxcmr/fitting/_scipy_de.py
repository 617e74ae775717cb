"""`ScipyDE`: the same fits by `scipy.optimize.differential_evolution`, as a cross-check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from jaxcmr.fitting._fitter import UNIT_CUBE, Fitter, Run
from jaxcmr.optimize import Box, LaneReport, OptimizeResults, in_double
from jaxcmr.typing import LossFn

__all__ = ["ScipyDE"]


class ScipyDE(Fitter):
    __doc__ = Fitter.__doc__

    def _search(self, runs: Sequence[Run]) -> Iterator[LaneReport]:
        options = {**self.hyperparameters, "bounds": UNIT_CUBE * len(self.free_names)}
        seed = self.hyperparameters["seed"]
        for lane, run in enumerate(runs):
            rng = np.random.default_rng([seed, run.subject % 2**32, run.number])
            result = minimize(run.loss, rng, options, run.start)
            if self._polishes(run.loss):
                result = polished(run.loss, options["bounds"], result)
            yield LaneReport(lane, int(result.nit), float(result.fun), result)


@eqx.filter_jit
def _evaluate(loss: LossFn, x: Any) -> Any:
    return loss(x)


@eqx.filter_jit
def _value_and_slope(loss: LossFn, x: Any) -> Any:
    return jax.value_and_grad(lambda x: loss(x))(x)


def minimize(
    loss: LossFn, rng: np.random.Generator, options: dict[str, Any], start: np.ndarray | None
) -> OptimizeResults:
    """SciPy's differential evolution, without its polish."""
    box = Box.from_bounds(options["bounds"])
    bounds = np.stack([box.lower, box.upper], axis=1).astype(float)

    def energies(x: np.ndarray) -> np.ndarray:
        values = np.asarray(_evaluate(loss, jnp.asarray(x, box.lower.dtype)), float)
        return np.where(np.isnan(values), np.inf, values)

    def is_level(intermediate_result: scipy.optimize.OptimizeResult) -> bool:
        found = intermediate_result.population_energies
        return bool(np.isfinite(found).all() and np.ptp(found) <= options["fatol"])

    found = scipy.optimize.differential_evolution(
        energies,
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
        callback=is_level,
    )
    success = found.success or is_level(found)
    fields: dict[str, Any] = dict(
        x=found.x,
        fun=found.fun,
        success=success,
        status=0 if success else (1 if np.isfinite(found.fun) else 2),
        nit=found.nit,
        nfev=len(found.population) * (found.nit + 1),
        population=found.population,
        population_energies=found.population_energies,
    )
    return OptimizeResults(**fields)


def polished(
    loss: LossFn, bounds: Sequence[tuple[float, float]], result: OptimizeResults
) -> OptimizeResults:
    """`result` after SciPy's L-BFGS-B with JAX's gradient, in double precision as in `JaxDE`.

    SciPy's own polish takes finite differences, which float32 cannot resolve.
    """
    try:
        with jax.enable_x64(True):
            end = minimize_locally(in_double([loss])[0], bounds, result.x)
    except TypeError:  # the loss works in single precision only
        end = minimize_locally(loss, bounds, result.x)
    if not np.isfinite(end.fun):
        return result
    return result._replace(x=end.x, fun=end.fun, jac=end.jac, nfev=result.nfev + end.nfev)


def minimize_locally(loss: LossFn, bounds: Sequence[tuple[float, float]], x: Any) -> Any:
    """SciPy's result of L-BFGS-B from `x`."""

    def value_and_slope(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = _value_and_slope(loss, jnp.asarray(x, jnp.result_type(float)))
        return float(value), np.asarray(slope, np.float64)

    return scipy.optimize.minimize(value_and_slope, x, jac=True, method="L-BFGS-B", bounds=bounds)


def _number_or_pair(mutation: Any) -> Any:
    return tuple(mutation) if isinstance(mutation, list) else mutation
