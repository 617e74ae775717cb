"""Differential evolution as pure functions on a state: `init`, `step`, `converged`, `best`.

Storn & Price (1997), with the conventions of `scipy.optimize.differential_evolution`. Randomness
is a function of the key and the generation number alone, never of how many problems run together.
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jaxcmr.optimize._box import Box
from jaxcmr.optimize._populations import POPULATIONS
from jaxcmr.optimize._strategies import STRATEGIES, Strategy

__all__ = ["Settings", "State", "best", "converged", "evaluate", "init", "step"]

Objective = Callable[[Float[Array, "n_params members"]], Float[Array, " members"]]


class Settings(eqx.Module):
    """Options of a run. Numbers are traced, so changing one compiles nothing anew."""

    mutation: Float[Array, "2"]
    recombination: Float[Array, ""]
    tol: Float[Array, ""]
    atol: Float[Array, ""]
    strategy: str = eqx.field(static=True)
    init: str = eqx.field(static=True)
    updating: str = eqx.field(static=True)
    members: int = eqx.field(static=True)


class State(eqx.Module):
    """The population after a generation, in the unit cube. The start is generation 0."""

    population: Float[Array, "members n_params"]
    energies: Float[Array, " members"]
    generation: Int[Array, ""]
    key: PRNGKeyArray


class Draws(eqx.Module):
    """Everything random in one generation."""

    partners: Int[Array, "members k"]
    uniforms: Float[Array, "members n_params"]
    fill_point: Int[Array, " members"]
    scale: Float[Array, ""]
    redrawn: Float[Array, "members n_params"]


def evaluate(
    func: Objective, box: Box, unit: Float[Array, "members n_params"]
) -> Float[Array, " members"]:
    """Energies of members of the unit cube; one that is not a number counts as infinite."""
    energies = func(box.to_user(unit).T)
    return jnp.where(jnp.isnan(energies), jnp.inf, energies).astype(unit.dtype)


def init(
    func: Objective,
    box: Box,
    settings: Settings,
    key: PRNGKeyArray,
    x0: Float[Array, " n_params"] | None = None,
) -> State:
    """The initial population and its energies; `x0` (unit cube), if any, is its first member."""
    make = POPULATIONS[settings.init]
    population = make(jax.random.fold_in(key, 0), settings.members, box.lower.shape[0])
    population = population.astype(box.lower.dtype)
    if x0 is not None:
        population = population.at[0].set(x0)
    return State(population, evaluate(func, box, population), jnp.array(0), key)


def step(func: Objective, box: Box, settings: Settings, state: State) -> State:
    """One generation: a trial vector for every member, which replaces it unless it is worse.

    With deferred updating all trial vectors are made from, and judged against, the population the
    generation began with; with immediate updating each replacement is seen by the next member.
    """
    draws = draw(settings, state)

    def compete(i: Int[Array, " m"], population: Array, energies: Array) -> tuple[Array, Array]:
        trial = jax.vmap(lambda j: trial_vector(settings, draws, population, energies, j))(i)
        energy = evaluate(func, box, trial)
        wins = energy <= energies[i]
        return jnp.where(wins[:, None], trial, population[i]), jnp.where(wins, energy, energies[i])

    def one_by_one(i: Int[Array, ""], current: tuple[Array, Array]) -> tuple[Array, Array]:
        population, energies = current
        member, energy = compete(i[None], population, energies)
        return population.at[i].set(member[0]), energies.at[i].set(energy[0])

    current = (state.population, state.energies)
    if settings.updating == "deferred":
        current = compete(jnp.arange(settings.members), *current)
    else:
        current = jax.lax.fori_loop(0, settings.members, one_by_one, current)
    return State(*current, state.generation + 1, state.key)


def draw(settings: Settings, state: State) -> Draws:
    """The draws of the generation after `state`."""
    strategy = STRATEGIES[settings.strategy]
    members, n_params = state.population.shape
    dtype = state.population.dtype
    keys = jax.random.split(jax.random.fold_in(state.key, state.generation + 1), 5)
    low, high = settings.mutation
    return Draws(
        partners=draw_partners(keys[0], members, strategy.n_partners),
        uniforms=jax.random.uniform(keys[1], (members, n_params), dtype),
        fill_point=jax.random.randint(keys[2], (members,), 0, n_params),
        scale=jax.random.uniform(keys[3], (), dtype, low, high),
        redrawn=jax.random.uniform(keys[4], (members, n_params), dtype),
    )


def draw_partners(key: PRNGKeyArray, members: int, k: int) -> Int[Array, "members k"]:
    """For each member, k others, all different: an ordered sample without replacement.

    The j-th partner is drawn among the members not yet taken, then shifted past those taken, in
    ascending order: no sorting of permutations.
    """
    taken = jnp.arange(members)[:, None]
    for j in range(k):
        rank = jax.random.randint(jax.random.fold_in(key, j), (members,), 0, members - 1 - j)
        for other in jnp.sort(taken, axis=1).T:
            rank = rank + (rank >= other)
        taken = jnp.concatenate([taken, rank[:, None]], axis=1)
    return taken[:, 1:]


def trial_vector(
    settings: Settings, draws: Draws, population: Array, energies: Array, i: Int[Array, ""]
) -> Float[Array, " n_params"]:
    """The vector that challenges member i; coordinates outside the cube are drawn anew."""
    strategy: Strategy = STRATEGIES[settings.strategy]
    fittest = population[jnp.argmin(energies)]
    mutant = strategy.mutate(population, fittest, draws.partners[i], draws.scale)
    trial = strategy.cross(
        mutant, population[i], draws.uniforms[i], draws.fill_point[i], settings.recombination
    )
    return jnp.where((trial < 0) | (trial > 1), draws.redrawn[i], trial)


def converged(settings: Settings, state: State) -> Bool[Array, ""]:
    """SciPy's rule: ``std(energies) <= atol + tol |mean(energies)|``, all energies finite."""
    spread, level = jnp.std(state.energies), jnp.abs(jnp.mean(state.energies))
    finite = jnp.all(jnp.isfinite(state.energies))
    return finite & (spread <= settings.atol + settings.tol * level)


def best(box: Box, state: State) -> tuple[Float[Array, " n_params"], Float[Array, ""]]:
    """The fittest member, in the user's units, and its energy."""
    fittest = jnp.argmin(state.energies)
    return box.to_user(state.population[fittest]), state.energies[fittest]
