"""`ScipyDE`: the same fits by `scipy.optimize.differential_evolution`, as a cross-check."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from jaxcmr.fitting._fitter import Fitter
from jaxcmr.optimize import Box, LaneReport, OptimizeResults
from jaxcmr.typing import LossFn

__all__ = ["ScipyDE"]


class ScipyDE(Fitter):
    __doc__ = Fitter.__doc__

    def _search(
        self, losses: Sequence[LossFn], subjects: Sequence[int], runs: Sequence[int]
    ) -> Iterator[LaneReport]:
        for lane, (loss, subject, run) in enumerate(zip(losses, subjects, runs, strict=True)):
            rng = np.random.default_rng([self.hyperparameters["seed"], subject % 2**32, run])
            result = minimize(loss, rng, self.hyperparameters)
            yield LaneReport(lane, int(result.nit), float(result.fun), result)


@eqx.filter_jit
def _evaluate(loss: LossFn, x: Any) -> Any:
    return loss(x)


@eqx.filter_jit
def _value_and_slope(loss: LossFn, x: Any) -> Any:
    return jax.value_and_grad(lambda x: loss(x))(x)


def minimize(loss: LossFn, rng: np.random.Generator, options: dict[str, Any]) -> OptimizeResults:
    """SciPy's differential evolution, then its L-BFGS-B with JAX's gradient.

    SciPy's own polish takes finite differences, which float32 cannot resolve.
    """
    box = Box.from_bounds(list(options["bounds"].values()))
    bounds = np.stack([box.lower, box.upper], axis=1).astype(float)

    def energies(x: np.ndarray) -> np.ndarray:
        values = np.asarray(_evaluate(loss, jnp.asarray(x, box.lower.dtype)), float)
        return np.where(np.isnan(values), np.inf, values)

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
        rng=rng,
        polish=False,
        updating="deferred",
        vectorized=True,
    )
    members = len(found.population)
    x, fun, nfev = found.x, found.fun, members * (found.nit + 1)
    jac = np.full(len(x), np.nan)
    if options["polish"] and np.isfinite(fun):
        polished = scipy.optimize.minimize(
            _in_float64(loss, box.lower.dtype), x, jac=True, method="L-BFGS-B", bounds=bounds
        )
        nfev += polished.nfev
        if polished.fun < fun:
            x, fun, jac = polished.x, polished.fun, polished.jac
    status = 0 if found.success else (1 if np.isfinite(fun) else 2)
    fields = dict(
        x=x,
        fun=fun,
        success=found.success,
        status=status,
        nit=found.nit,
        nfev=nfev,
        jac=jac,
        population=found.population,
        population_energies=found.population_energies,
    )
    return OptimizeResults(**{name: jnp.asarray(value) for name, value in fields.items()})


def _number_or_pair(mutation: Any) -> Any:
    return tuple(mutation) if isinstance(mutation, list) else mutation


def _in_float64(loss: LossFn, dtype: Any) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """Value and gradient of `loss` as the doubles that L-BFGS-B wants."""

    def value_and_slope(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = _value_and_slope(loss, jnp.asarray(x, dtype))
        return float(value), np.asarray(slope, float)

    return value_and_slope
