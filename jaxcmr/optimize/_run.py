"""The pieces of a run: `start`, `advance`, `finish`, `polished`; and `solve`, the whole of it."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jaxcmr.optimize._box import Box
from jaxcmr.optimize._generation import Objective, Settings, State, converged, init, step
from jaxcmr.optimize._polish import MAX_SLOPES, polish
from jaxcmr.optimize._result import OptimizeResults

__all__ = ["Summary", "advance", "finish", "polished", "solve", "start", "summarize"]

DISTINCT = 0.05  # members further apart than this in some coordinate of the unit cube are distinct
RESTARTS = 2**32 - 1  # folded into a key before the number of the restart: no generation's number


class Summary(NamedTuple):
    """What is worth saying of a run between generations."""

    generation: Int[Array, ""]
    energy: Float[Array, ""]
    has_ended: Bool[Array, ""]


def has_converged(settings: Settings, state: State) -> Bool[Array, ""]:
    """Whether the run has converged; like SciPy's, not before its first generation.

    A population of one member stands for a box with nothing to search.
    """
    return ((state.generation > 0) | (settings.members == 1)) & converged(settings, state)


def has_ended(settings: Settings, state: State) -> Bool[Array, ""]:
    """Whether the run has converged, is out of evaluations, or has met no finite value yet."""
    lost = (state.generation >= 0) & (state.energies[0] == jnp.inf)
    return has_converged(settings, state) | (state.nfev >= settings.budget) | lost


def summarize(settings: Settings, state: State) -> Summary:
    """How far a run is."""
    return Summary(state.generation, state.energies[0], has_ended(settings, state))


def start(
    func: Objective | None,
    box: Box,
    settings: Settings,
    key: PRNGKeyArray,
    x0: Float[Array, " n_params"] | None = None,
    population: Float[Array, "members n_params"] | None = None,
) -> State:
    """The state of a run before its first generation; `x0` and `population` in the user's units.

    A `population` is clipped to the box. Without `func` nobody is evaluated yet.
    """
    if population is not None:
        population = box.to_unit(population)
    return init(func, box, settings, key, x0, population)


def advance(
    func: Objective, box: Box, settings: Settings, state: State, stop_at: Int[Array, ""]
) -> State:
    """The state at generation `stop_at`, or where the run ended before."""

    def next_generation(state: State) -> State:
        state = step(func, box, settings, state)
        if settings.disp:
            line = "differential_evolution step {}: f(x)= {}"
            jax.debug.print(line, state.generation, state.energies[0])
        return state

    return jax.lax.while_loop(
        lambda s: (s.generation < stop_at) & ~has_ended(settings, s), next_generation, state
    )


def finish(
    box: Box, settings: Settings, state: State, x0: Float[Array, " n_params"] | None = None
) -> OptimizeResults:
    """The result of a run as it stands.

    Where `x0` is still the best member it is returned as it was given, and evaluated: the way
    through the unit cube could cost its last digit.
    """
    success = has_converged(settings, state)
    status = jnp.select(
        [success, state.energies[0] == jnp.inf, state.nfev > settings.maxfun],
        [0, 2, 3],
        jnp.where(state.nfev == settings.maxfun, 4, 1),
    )
    population = box.to_user(state.population)
    if x0 is not None:
        is_best = jnp.all(state.population[0] == box.to_unit(x0))
        population = population.at[0].set(jnp.where(is_best, x0, population[0]))
    return OptimizeResults(
        x=population[0],
        fun=state.energies[0],
        success=success,
        status=status,
        nit=state.generation,
        nfev=state.nfev,
        njev=jnp.array(0),
        jac=None,
        hess_inv=None,
        population=population,
        population_energies=state.energies,
        nonfinite=state.nonfinite,
        agreed=jnp.array(1),
        polish_status=jnp.array(0),
        fun_search=state.energies[0],
        at_rest=jnp.array(False),
    )


def polished(
    func: Objective,
    box: Box,
    result: OptimizeResults,
    n_members: int = 1,
    differences: bool = True,
    maxiter: int | Int[Array, ""] = MAX_SLOPES,
) -> OptimizeResults:
    """`result` with its `n_members` best distinct members polished; the lowest end is kept if it
    is lower.

    In a finer precision than that of the run, the value of the best member is taken in that
    precision, too.
    """
    unit = box.to_unit(result.population.astype(box.lower.dtype))
    if n_members == 1:
        best = polish(func, box, unit[0], maxiter, differences)
        nfev, njev = best.nfev, best.njev
    else:
        chosen = distinct_members(unit, result.population_energies, n_members)
        ends = jax.vmap(lambda member: polish(func, box, member))(unit[chosen])
        best = jax.tree.map(lambda leaf: leaf[jnp.argmin(ends.energy)], ends)
        nfev, njev = jnp.sum(ends.nfev), jnp.sum(ends.njev)
    finer = jnp.isfinite(best.energy) & (best.energy.dtype != result.fun.dtype)
    lower = (best.energy < result.fun) | finer
    x = jnp.where(lower, box.to_user(best.unit), result.x)
    fun = jnp.where(lower, best.energy, result.fun)
    return result._replace(
        x=x,
        fun=fun,
        nfev=result.nfev + nfev,
        njev=njev,
        jac=best.jac,
        hess_inv=best.hess_inv,
        population=result.population.astype(x.dtype).at[0].set(x),
        population_energies=result.population_energies.astype(fun.dtype).at[0].set(fun),
        polish_status=best.status,
        at_rest=best.at_rest,
    )


def distinct_members(
    unit: Float[Array, "members n_params"], energies: Float[Array, " members"], count: int
) -> Int[Array, " count"]:
    """The best member, and again and again the best of those far from all chosen.

    If there are none left, the best of all is chosen again.
    """
    chosen = [jnp.array(0)]
    near = jnp.zeros(len(unit), bool)
    for _ in range(count - 1):
        near |= jnp.all(jnp.abs(unit - unit[chosen[-1]][None]) < DISTINCT, axis=1)
        chosen.append(jnp.argmin(jnp.where(near, jnp.inf, energies)))
    return jnp.stack(chosen)


def solve(
    func: Objective,
    polish_func: Objective,
    box: Box,
    settings: Settings,
    key: PRNGKeyArray,
    x0: Float[Array, " n_params"] | None,
    population: Float[Array, "members n_params"] | None,
    agree_tol: Float[Array, ""],
    polish_members: int,
    restarts: int,
) -> OptimizeResults:
    """A run from start to end, or the best of several that differ in their keys."""

    def run(key: PRNGKeyArray) -> OptimizeResults:
        state = start(func, box, settings, key, x0, population)
        state = advance(func, box, settings, state, jnp.array(jnp.iinfo(jnp.int32).max))
        result = finish(box, settings, state, x0)
        if not polish_members:
            return result
        if settings.disp:
            jax.debug.print("Polishing solution with BFGS, f(x)= {}", result.fun)
        return polished(polish_func, box, result, polish_members)

    if restarts == 1:
        return run(key)
    of_restarts = jax.random.fold_in(key, RESTARTS)
    others = jax.vmap(lambda i: jax.random.fold_in(of_restarts, i))(jnp.arange(1, restarts))
    results = jax.vmap(run)(jnp.concatenate([key[None], others]))
    best = jax.tree.map(lambda leaf: leaf[jnp.argmin(results.fun)], results)
    return best._replace(
        nfev=jnp.sum(results.nfev),
        njev=jnp.sum(results.njev),
        nonfinite=jnp.sum(results.nonfinite),
        agreed=jnp.sum((results.fun <= best.fun + agree_tol) & jnp.isfinite(results.fun)),
    )
