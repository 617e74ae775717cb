"""Differential evolution as pure functions on a state: `init`, `step`, `converged`.

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
from jaxcmr.optimize._draws import Draws, draw
from jaxcmr.optimize._errors import ShapeError
from jaxcmr.optimize._history import Contest
from jaxcmr.optimize._populations import POPULATIONS
from jaxcmr.optimize._state import State
from jaxcmr.optimize._strategies import Custom, Strategy

__all__ = ["Settings", "State", "converged", "draws_after", "evaluate", "init", "step"]

Objective = Callable[[Float[Array, "n_params members"]], Float[Array, " members"]]


class Settings(eqx.Module):
    """Options of a run. Numbers are traced, so changing one compiles nothing anew."""

    mutation: Float[Array, "2"]
    recombination: Float[Array, ""]
    tol: Float[Array, ""]
    atol: Float[Array, ""]
    fatol: Float[Array, ""]  # negative: no such rule
    maxfun: Int[Array, ""]  # evaluations that the user allows
    budget: Int[Array, ""]  # evaluations that end the run: `maxfun`, or `maxiter` generations
    strategy: Strategy | Custom = eqx.field(static=True)
    init: str = eqx.field(static=True)
    updating: str = eqx.field(static=True)
    members: int = eqx.field(static=True)
    disp: bool = eqx.field(static=True)


def init(
    func: Objective | None,
    box: Box,
    settings: Settings,
    key: PRNGKeyArray,
    x0: Float[Array, " n_params"] | None = None,
    population: Float[Array, "members n_params"] | None = None,
) -> State:
    """The initial population, by default of the kind `settings.init`, and its energies.

    `population` is in the unit cube. `x0`, which becomes its first member, is in the user's units,
    and it is evaluated as it is: the way through the unit cube could cost its last digit. Without
    `func` nobody is evaluated, and the first step does that.
    """
    members = settings.members
    if population is None:
        make = POPULATIONS[settings.init]
        population = make(jax.random.fold_in(key, 0), members, box.lower.shape[0])
    population = population.astype(box.lower.dtype)
    x = box.to_user(population)
    if x0 is not None:
        population, x = population.at[0].set(box.to_unit(x0)), x.at[0].set(x0)
    history = settings.strategy.history
    memory = None if history is None else history.init(population)
    none = jnp.array(0, "int32")
    energies = jnp.full(members, jnp.inf, population.dtype)
    state = State(population, energies, none + members, memory, none - 1, none, none, key)
    if func is None:
        return state
    allowed = jnp.minimum(state.size, settings.budget)
    energies, nonfinite = evaluate(func, x, allowed)
    evaluated = state._replace(
        energies=energies, generation=none, nfev=allowed, nonfinite=nonfinite
    )
    return in_order(settings, evaluated)


def step(func: Objective, box: Box, settings: Settings, state: State) -> State:
    """One generation: a challenger for every member, whose place it takes unless it is worse.

    With deferred updating all challengers are made from, and judged against, the population the
    generation began with; with immediate updating each replacement is seen by the next member.
    Where nobody has been evaluated, each member is its own challenger.
    """
    draws = draws_after(settings, state)
    compete = all_at_once if settings.updating == "deferred" else one_by_one
    after, contest = compete(func, box, settings, draws, state)
    history = settings.strategy.history
    if history is not None and state.memory is not None:
        memory = history.learn(
            state.memory, contest, draws.scale, draws.rate, state.size, draws.place[0]
        )
        after = after._replace(memory=memory)
    return in_order(settings, after._replace(generation=state.generation + 1))


def draws_after(settings: Settings, state: State) -> Draws:
    """Everything random in the generation after `state`."""
    return draw(
        jax.random.fold_in(state.key, state.generation + 1),
        state.population,
        state.size,
        settings.strategy.n_partners,
        settings.mutation,
        settings.recombination,
        settings.strategy.history,
        state.memory,
    )


def all_at_once(
    func: Objective, box: Box, settings: Settings, draws: Draws, state: State
) -> tuple[State, Contest]:
    """Every member against its challenger: the state after, and how each contest ended."""
    allowed = jnp.minimum(state.size, settings.budget - state.nfev)
    is_first = state.generation < 0
    trials = challengers(settings, draws, state.population, state)
    trials = jnp.where(is_first, state.population, trials)
    energies, nonfinite = evaluate(func, box.to_user(trials), allowed, settings.strategy.block)
    wins = (energies <= state.energies) & (jnp.arange(settings.members) < allowed)
    after = state._replace(
        population=jnp.where(wins[:, None], trials, state.population),
        energies=jnp.where(wins, energies, state.energies),
        nfev=state.nfev + allowed,
        nonfinite=state.nonfinite + nonfinite,
    )
    before = jnp.where(is_first, energies, state.energies)
    return after, Contest(state.population, before, energies)


def one_by_one(
    func: Objective, box: Box, settings: Settings, draws: Draws, state: State
) -> tuple[State, Contest]:
    """The same, with each contest seen by the next."""

    def visit(
        loop: tuple[Int[Array, ""], State, Contest],
    ) -> tuple[Int[Array, ""], State, Contest]:
        i, now, contests = loop
        parent, before = now.population[i], now.energies[i]
        trial = challengers(settings, jax.tree.map(lambda draw: draw[i], draws), parent, now)
        trial = jnp.where(is_first, parent, trial)
        energies, nonfinite = evaluate(func, box.to_user(trial[None]), jnp.array(1, "int32"))
        wins = energies[0] <= before
        after = now._replace(
            population=now.population.at[i].set(jnp.where(wins, trial, parent)),
            energies=now.energies.at[i].min(energies[0]),
            nfev=now.nfev + 1,
            nonfinite=now.nonfinite + nonfinite,
        )
        contest = Contest(parent, jnp.where(is_first, energies[0], before), energies[0])
        contests = jax.tree.map(lambda all, one: all.at[i].set(one), contests, contest)
        return (
            i + 1,
            swapped(after, jnp.where(wins & (energies[0] <= now.energies[0]), i, 0)),
            contests,
        )

    def goes_on(loop: tuple[Int[Array, ""], State, Contest]) -> Bool[Array, ""]:
        i, now, _ = loop
        return (i < now.size) & (now.nfev < settings.budget)

    is_first = state.generation < 0
    contests = Contest(state.population, state.energies, state.energies)
    _, after, contests = jax.lax.while_loop(goes_on, visit, (jnp.array(0), state, contests))
    return after, contests


def challengers(
    settings: Settings, draws: Draws, parents: Float[Array, "... n_params"], state: State
) -> Float[Array, "... n_params"]:
    """The vectors that challenge `parents`; coordinates outside the cube are drawn anew.

    `draws` are those of all members, or of the one whose parent is given.
    """
    trials = settings.strategy.challengers(draws, parents, state.population, state.memory)
    return jnp.where((trials >= 0) & (trials <= 1), trials, draws.redrawn)


def evaluate(
    func: Objective,
    x: Float[Array, "members n_params"],
    allowed: Int[Array, ""],
    block: int | None = None,
) -> tuple[Float[Array, " members"], Int[Array, ""]]:
    """Energies of the first `allowed` members, and how many of these are not finite.

    An energy that is not a number counts as infinite; so does that of a member not allowed.
    `block` members are evaluated at a time, and no more blocks than needed; by default all are.
    """
    energies = energies_of(func, x) if block is None else in_blocks(func, x, allowed, block)
    counts = jnp.arange(len(x)) < allowed
    nonfinite = jnp.sum(counts & ~jnp.isfinite(energies), dtype="int32")
    usable = counts & ~jnp.isnan(energies)
    return jnp.where(usable, energies, jnp.inf).astype(x.dtype), nonfinite


def in_blocks(
    func: Objective, x: Float[Array, "members n_params"], allowed: Int[Array, ""], block: int
) -> Float[Array, " members"]:
    """Energies of the first `allowed` rows, and of those after them in the last block."""
    members = len(x)
    x = jnp.pad(x, ((0, -members % block), (0, 0)), mode="edge")

    def evaluate_block(i: Int[Array, ""], energies: Array) -> Array:
        rows = jax.lax.dynamic_slice_in_dim(x, i * block, block)
        found = energies_of(func, rows).astype(x.dtype)
        return jax.lax.dynamic_update_slice_in_dim(energies, found, i * block, 0)

    none = jnp.full(len(x), jnp.inf, x.dtype)
    n_blocks = (allowed + block - 1) // block
    return jax.lax.fori_loop(0, n_blocks, evaluate_block, none)[:members]


def energies_of(func: Objective, x: Float[Array, "members n_params"]) -> Float[Array, " members"]:
    """`func` of each row, one number a row."""
    energies = jnp.asarray(func(x.T))
    if jnp.iscomplexobj(energies):
        raise ShapeError("func(x, *args) must return a real number; it returned a complex one.")
    if energies.shape != x.shape[:1]:
        raise ShapeError(
            "The vectorized function must return an array of shape (S,) when given an array of "
            f"shape (len(x), S). Given {x.T.shape}, it returned {energies.shape}."
        )
    return energies


def in_order(settings: Settings, state: State) -> State:
    """The state with its best member first; where there is a history, with all in ascending order
    and as many as it lets live."""
    history = settings.strategy.history
    if history is None:
        return swapped(state, jnp.argmin(state.energies))
    order = jnp.argsort(state.energies)
    size = history.next_size(settings.members, state.size, state.nfev / settings.budget)
    energies = jnp.where(jnp.arange(settings.members) < size, state.energies[order], jnp.inf)
    return state._replace(population=state.population[order], energies=energies, size=size)


def swapped(state: State, i: Int[Array, ""]) -> State:
    """The state with members 0 and i in each other's place."""
    population, energies = state.population, state.energies
    return state._replace(
        population=population.at[i].set(population[0]).at[0].set(population[i]),
        energies=energies.at[i].set(energies[0]).at[0].set(energies[i]),
    )


def converged(settings: Settings, state: State) -> Bool[Array, ""]:
    """Whether all energies are finite and nearly equal, by either of two rules.

    SciPy's, ``std(energies) <= atol + tol |mean(energies)|``; or, if `fatol` is not negative,
    ``max(energies) - min(energies) <= fatol``, which an added constant does not change.
    """
    energies, active = state.energies, jnp.arange(settings.members) < state.size
    spread = jnp.std(energies, where=active)
    level = jnp.abs(jnp.mean(energies, where=active))
    extent = jnp.max(energies, where=active, initial=-jnp.inf) - energies[0]
    equal = (spread <= settings.atol + settings.tol * level) | (extent <= settings.fatol)
    return equal & jnp.all(jnp.isfinite(energies) | ~active)
