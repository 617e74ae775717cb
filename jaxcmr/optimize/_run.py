"""The pieces of a run, `start`, `advance`, `finish` and `polished`, and what it returns."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jaxcmr.optimize._box import Box
from jaxcmr.optimize._generation import Objective, Settings, State, best, converged, init, step
from jaxcmr.optimize._polish import polish

__all__ = ["OptimizeResults", "Summary", "advance", "finish", "polished", "start", "summarize"]

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


def finish(box: Box, settings: Settings, state: State) -> OptimizeResults:
    """The result of a run as it stands."""
    x, fun = best(box, state)
    success = converged(settings, state)
    return OptimizeResults(
        x=x,
        fun=fun,
        success=success,
        status=jnp.where(success, 0, jnp.where(jnp.isfinite(fun), 1, 2)),
        nit=state.generation,
        nfev=state.energies.size * (state.generation + 1),
        jac=jnp.full_like(x, jnp.nan),
        population=box.to_user(state.population),
        population_energies=state.energies,
    )


def polished(func: Objective, box: Box, result: OptimizeResults) -> OptimizeResults:
    """`result` with its best member polished, which is kept only if it is lower.

    In a finer precision than that of the run, the value of the best member is taken in that
    precision, too.
    """
    fittest = jnp.argmin(result.population_energies)
    end = polish(func, box, box.to_unit(result.x.astype(box.lower.dtype)))
    lower = (end.energy < result.fun) | (end.energy.dtype != result.fun.dtype)
    x = jnp.where(lower, box.to_user(end.unit), result.x)
    fun = jnp.where(lower, end.energy, result.fun)
    return result._replace(
        x=x,
        fun=fun,
        nfev=result.nfev + end.nfev,
        jac=end.jac,
        population=result.population.astype(x.dtype).at[fittest].set(x),
        population_energies=result.population_energies.astype(fun.dtype).at[fittest].set(fun),
    )
