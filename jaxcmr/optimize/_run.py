"""A run in three compiled pieces, `start`, `advance` and `finish`, and what it returns."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jaxcmr.optimize._box import Box
from jaxcmr.optimize._generation import Objective, Settings, State, best, converged, init, step
from jaxcmr.optimize._polish import polish

__all__ = ["OptimizeResults", "Summary", "advance", "finish", "start", "summarize"]

MESSAGES = (
    "Optimization terminated successfully.",
    "Maximum number of iterations has been exceeded.",
    "The objective was not finite anywhere in the population.",
)


class OptimizeResults(NamedTuple):
    """Result of a minimisation, in the user's units, with SciPy's names."""

    x: Float[Array, " n_params"]
    """The best parameters found."""
    fun: Float[Array, ""]
    """The objective there."""
    success: Bool[Array, ""]
    """Whether the population converged before `maxiter`."""
    status: Int[Array, ""]
    """0 converged, 1 `maxiter` reached, 2 no finite value met."""
    nit: Int[Array, ""]
    """Generations."""
    nfev: Int[Array, ""]
    """Evaluations of the objective; a gradient counts as one."""
    jac: Float[Array, " n_params"]
    """Gradient at `x`, if the polish made one; NaN otherwise."""
    population: Float[Array, "members n_params"]
    """The last population."""
    population_energies: Float[Array, " members"]
    """The objective of each of its members."""

    @property
    def message(self) -> str:
        """Why the run ended."""
        return MESSAGES[int(self.status)]


class Summary(NamedTuple):
    """What is worth saying of a run between generations."""

    generation: Int[Array, ""]
    energy: Float[Array, ""]
    has_converged: Bool[Array, ""]


def has_converged(settings: Settings, state: State) -> Bool[Array, ""]:
    """Whether the run has converged; like SciPy's, not before its first generation."""
    return (state.generation > 0) & converged(settings, state)


def summarize(settings: Settings, state: State) -> Summary:
    """How far a run is."""
    return Summary(state.generation, jnp.min(state.energies), has_converged(settings, state))


def start(
    func: Objective,
    box: Box,
    settings: Settings,
    key: PRNGKeyArray,
    x0: Float[Array, " n_params"] | None,
) -> State:
    """The state of a run before its first generation; `x0` is in the user's units."""
    return init(func, box, settings, key, None if x0 is None else box.to_unit(x0))


def advance(
    func: Objective, box: Box, settings: Settings, state: State, stop_at: Int[Array, ""]
) -> State:
    """The state at generation `stop_at`, or where the run converged before."""
    return jax.lax.while_loop(
        lambda s: (s.generation < stop_at) & ~has_converged(settings, s),
        lambda s: step(func, box, settings, s),
        state,
    )


def finish(
    func: Objective, box: Box, settings: Settings, state: State, with_polish: bool
) -> OptimizeResults:
    """The result of a run; the polished point is kept only if it is lower."""
    fittest = jnp.argmin(state.energies)
    x, fun = best(box, state)
    jac = jnp.full_like(x, jnp.nan)
    nfev = state.energies.size * (state.generation + 1)
    population, energies = state.population, state.energies
    if with_polish:
        polished = polish(func, box, population[fittest], fun)
        lower = polished.energy < fun
        x = jnp.where(lower, box.to_user(polished.unit), x)
        fun = jnp.where(lower, polished.energy, fun)
        jac = polished.jac
        nfev = nfev + polished.nfev
        population = population.at[fittest].set(
            jnp.where(lower, polished.unit, population[fittest])
        )
        energies = energies.at[fittest].set(fun)
    success = converged(settings, state)
    status = jnp.where(success, 0, jnp.where(jnp.isfinite(fun), 1, 2))
    return OptimizeResults(
        x, fun, success, status, state.generation, nfev, jac, box.to_user(population), energies
    )
