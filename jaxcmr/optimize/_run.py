"""The parts of a run: `start`, `advance`, `finish`, `polish_result`; and `solve`, all of it."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jaxcmr.optimize._de import State, evaluate, is_level, sort_members, step
from jaxcmr.optimize._jit import Objective
from jaxcmr.optimize._polish import Coordinates, PolishResult, polish
from jaxcmr.optimize._populations import POPULATIONS
from jaxcmr.optimize._result import OptimizeResults
from jaxcmr.optimize._settings import Settings
from jaxcmr.optimize._space import Box

__all__ = ["advance", "finish", "has_ended", "polish_result", "polish_results", "solve", "start"]

DISTINCT = 0.05  # members further apart than this in some coordinate of the unit cube are distinct
RESTARTS = 2**32 - 1  # folded into a key before a restart's number; no generation has this number


def start(
    func: Objective | None,
    box: Box,
    settings: Settings,
    key: PRNGKeyArray,
    x0: Float[Array, " n_params"] | None = None,
    population: Float[Array, "members n_params"] | None = None,
) -> State:
    """Return the state with the initial population, by default of the kind `settings.init`.

    `population` and `x0`, which becomes the first member, are in the user's units. The population
    is clipped to the box; `x0` is evaluated as it is, because the round trip through the unit cube
    may change its last bit. Without `func` the population is not evaluated: `step` does it.
    """
    members = settings.population_size
    if population is None:
        make = POPULATIONS[settings.init]
        population = make(jax.random.fold_in(key, 0), members, box.lower.shape[0])
    else:
        population = box.to_unit(population)
    population = population.astype(box.lower.dtype)
    x = box.to_user(population)
    if x0 is not None:
        population, x = population.at[0].set(box.to_unit(x0)), x.at[0].set(x0)
    history = settings.strategy.history
    zero = jnp.array(0, "int32")
    state = State(
        population=population,
        losses=jnp.full(members, jnp.inf, population.dtype),
        size=zero + members,
        memory=None if history is None else history.make_memory(population),
        generation=zero - 1,
        nfev=zero,
        nonfinite=zero,
        key=key,
    )
    if func is None:
        return state
    allowed = jnp.minimum(state.size, settings.budget)
    losses, nonfinite = evaluate(func, x, allowed)
    evaluated = state._replace(losses=losses, generation=zero, nfev=allowed, nonfinite=nonfinite)
    return sort_members(settings, evaluated)


def advance(
    func: Objective, box: Box, settings: Settings, state: State, stop_at: Int[Array, ""]
) -> tuple[State, Bool[Array, ""]]:
    """Return the state at generation `stop_at` or where the run ended, and True if it ended."""

    def goes_on(state: State) -> Bool[Array, ""]:
        return (state.generation < stop_at) & ~has_ended(settings, state)

    state = jax.lax.while_loop(goes_on, partial(step, func, box, settings), state)
    return state, has_ended(settings, state)


def has_ended(settings: Settings, state: State) -> Bool[Array, ""]:
    """Return True if the run has converged, is out of evaluations, or has no finite loss."""
    is_lost = (state.generation >= 0) & (state.losses[0] == jnp.inf)
    return has_converged(settings, state) | (state.nfev >= settings.budget) | is_lost


def has_converged(settings: Settings, state: State) -> Bool[Array, ""]:
    """Return True if the run has converged; as in SciPy, not before its first generation.

    A box with nothing to search has a population of one member, which has converged.
    """
    return ((state.generation > 0) | (settings.population_size == 1)) & is_level(settings, state)


def finish(
    box: Box, settings: Settings, state: State, x0: Float[Array, " n_params"] | None = None
) -> OptimizeResults:
    """Return the result of a run in its present state.

    An `x0` that is still the best member is returned to its last bit, as it was evaluated.
    """
    success = has_converged(settings, state)
    status = jnp.select(
        [success, state.losses[0] == jnp.inf, state.nfev > settings.maxfun],
        [0, 2, 3],
        jnp.where(state.nfev == settings.maxfun, 4, 1),
    )
    population = box.to_user(state.population)
    if x0 is not None:
        is_best = jnp.all(state.population[0] == box.to_unit(x0))
        population = population.at[0].set(jnp.where(is_best, x0, population[0]))
    return OptimizeResults(
        x=population[0],
        fun=state.losses[0],
        success=success,
        status=status,
        nit=state.generation,
        nfev=state.nfev,
        njev=jnp.array(0),
        population=population,
        population_energies=state.losses,
        nonfinite=state.nonfinite,
        agreed=jnp.array(1),
        polish_status=jnp.array(0),
        fun_search=state.losses[0],
        at_rest=jnp.array(False),
    )


def polish_result(
    func: Objective, box: Box, result: OptimizeResults, n_members: int = 1
) -> OptimizeResults:
    """Return `result` with its `n_members` best distinct members polished.

    The lowest end is kept if it is lower than the best member.
    """
    unit = box.to_unit(result.population)
    chosen = choose_distinct(unit, result.population_energies, n_members)
    ends = polish(func, Coordinates(box), unit[chosen])
    best = jax.tree.map(lambda leaf: leaf[jnp.argmin(ends.loss)], ends)
    return keep_end(box, result, best._replace(nfev=jnp.sum(ends.nfev), njev=jnp.sum(ends.njev)))


def polish_results(
    func: Objective,
    coordinates: Coordinates,
    way: str,
    block: int,
    results: OptimizeResults,
    limits: Int[Array, " runs"],
) -> OptimizeResults:
    """Return the results of several runs of one function, each with its best member polished.

    The box may be in a finer precision than the runs were. `limits` are the most gradients that
    each run may take; with 0 the result is what it was.
    """
    box = coordinates.box
    units = box.to_unit(results.population[:, 0].astype(box.lower.dtype))
    ends = polish(func, coordinates, units, limits, way, block)
    return jax.vmap(partial(keep_end, box))(results, ends)


def keep_end(box: Box, result: OptimizeResults, end: PolishResult) -> OptimizeResults:
    """Return the result of a run with the end of its polish, a single one, if that is lower.

    If the polish was in a finer precision, its value for the best member is taken, too.
    """
    is_finer = jnp.isfinite(end.loss) & (end.loss.dtype != result.fun.dtype)
    is_kept = (end.loss < result.fun) | is_finer
    x = jnp.where(is_kept, box.to_user(end.unit), result.x)
    fun = jnp.where(is_kept, end.loss, result.fun)
    return result._replace(
        x=x,
        fun=fun,
        nfev=result.nfev + end.nfev,
        njev=end.njev,
        jac=end.jac,
        hess_inv=end.hess_inv,
        population=result.population.astype(x.dtype).at[0].set(x),
        population_energies=result.population_energies.astype(fun.dtype).at[0].set(fun),
        polish_status=end.status,
        at_rest=end.at_rest,
    )


def choose_distinct(
    unit: Float[Array, "members n_params"], losses: Float[Array, " members"], count: int
) -> Int[Array, " count"]:
    """Return the best member, then repeatedly the best of those far from all chosen.

    If no member is far from all, the best of all is chosen again.
    """
    chosen = [jnp.array(0)]
    is_near = jnp.zeros(len(unit), bool)
    for _ in range(count - 1):
        is_near |= jnp.all(jnp.abs(unit - unit[chosen[-1]][None]) < DISTINCT, axis=1)
        chosen.append(jnp.argmin(jnp.where(is_near, jnp.inf, losses)))
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
    """Return the result of a run, or the best of several that differ in their keys."""

    def run(key: PRNGKeyArray) -> OptimizeResults:
        state = start(func, box, settings, key, x0, population)
        state, _ = advance(func, box, settings, state, jnp.array(jnp.iinfo(jnp.int32).max))
        result = finish(box, settings, state, x0)
        if not polish_members:
            return result
        if settings.disp:
            jax.debug.print("Polishing solution with BFGS, f(x)= {}", result.fun)
        return polish_result(polish_func, box, result, polish_members)

    if restarts == 1:
        return run(key)
    key_of_restarts = jax.random.fold_in(key, RESTARTS)
    others = jax.vmap(lambda i: jax.random.fold_in(key_of_restarts, i))(jnp.arange(1, restarts))
    results = jax.vmap(run)(jnp.concatenate([key[None], others]))
    best = jax.tree.map(lambda leaf: leaf[jnp.argmin(results.fun)], results)
    return best._replace(
        nfev=jnp.sum(results.nfev),
        njev=jnp.sum(results.njev),
        nonfinite=jnp.sum(results.nonfinite),
        agreed=jnp.sum((results.fun <= best.fun + agree_tol) & jnp.isfinite(results.fun)),
    )
