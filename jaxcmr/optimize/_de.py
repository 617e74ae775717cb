"""One generation of differential evolution, as pure functions on a state.

`step` is the algorithm: draw, mutate, cross over, evaluate, select, adapt. Storn & Price (1997),
with the conventions of `scipy.optimize.differential_evolution`. Everything happens in the unit
cube. Randomness is a function of the key and the generation alone, never of how many problems run
together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, Real

from jaxcmr.optimize._adaptive import Contest, Memory
from jaxcmr.optimize._jit import Objective
from jaxcmr.optimize._settings import Settings
from jaxcmr.optimize._space import Box
from jaxcmr.optimize._strategies import Strategy, UserStrategy

__all__ = ["Draws", "ShapeError", "State", "draw", "evaluate", "is_level", "sort_members", "step"]


class ShapeError(ValueError, RuntimeError):
    """A function returned an array of the wrong shape; SciPy's error is a RuntimeError."""


class State(NamedTuple):
    """The population after a generation, in the unit cube.

    Generation 0 is the initial population; -1 is the same before it has been evaluated. The best
    member comes first; with an adaptive strategy all are in ascending order of loss. Only the first
    `size` members take part; the loss of the others is infinite.
    """

    population: Float[Array, "members n_params"]
    losses: Float[Array, " members"]
    size: Int[Array, ""]
    memory: Memory | None
    generation: Int[Array, ""]
    nfev: Int[Array, ""]
    nonfinite: Int[Array, ""]
    key: PRNGKeyArray

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the state as plain NumPy arrays, for a file or another process.

        Examples:
            >>> import jax
            >>> from jaxcmr.optimize import State, evolve_lanes
            >>> funcs, keys = [lambda x: (x**2).sum(0)], [jax.random.key(0)]
            >>> state = next(evolve_lanes(funcs, [(-1, 1)], keys, polish=False)).state
            >>> arrays = state.to_arrays()
            >>> State.from_arrays(arrays).to_arrays().keys() == arrays.keys()
            True
        """
        numbers = self._asdict()
        memory, key = numbers.pop("memory"), numbers.pop("key")
        if memory is not None:
            numbers |= {f"memory_{name}": value for name, value in vars(memory).items()}
        is_typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
        numbers["key"] = jax.random.key_data(key) if is_typed else key
        kind = str(jax.random.key_impl(key)) if is_typed else ""
        arrays = {name: np.asarray(jax.device_get(value)) for name, value in numbers.items()}
        return arrays | {"key_kind": np.array(kind)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> State:
        """Return the state that `to_arrays` wrote."""
        fields: dict[str, Any] = {
            name: np.asarray(arrays[name]) for name in cls._fields if name in arrays
        }
        of_memory: dict[str, Any] = {
            name.removeprefix("memory_"): np.asarray(value)
            for name, value in arrays.items()
            if name.startswith("memory_")
        }
        kind, key = str(arrays["key_kind"]), jnp.asarray(fields.pop("key"))
        return cls(
            **fields,
            memory=Memory(**of_memory) if of_memory else None,
            key=jax.random.wrap_key_data(key, impl=kind) if kind else key,
        )


# One generation


def step(func: Objective, box: Box, settings: Settings, state: State) -> State:
    """Return the state after one more generation.

    Each member x meets a trial vector v, which replaces it unless v is worse. All v are made from,
    and compared with, the population that the generation began with ("deferred" updating).
    Members that have not been evaluated are their own trial vectors.
    """
    if settings.updating == "immediate":
        return step_immediately(func, box, settings, state)
    is_first = state.generation < 0
    draws = draw(settings, state)

    # Mutation and crossover
    v = make_trial_vectors(settings.strategy, draws, state.population, state)
    v = jnp.where(is_first, state.population, v)

    # Evaluation of as many as the budget allows
    allowed = jnp.minimum(state.size, settings.budget - state.nfev)
    losses, nonfinite = evaluate(func, box.to_user(v), allowed, settings.strategy.block)

    # Selection: equal losses count as a win, so that the population moves on a plateau
    wins = (losses <= state.losses) & (jnp.arange(settings.population_size) < allowed)
    after = state._replace(
        population=jnp.where(wins[:, None], v, state.population),
        losses=jnp.where(wins, losses, state.losses),
        nfev=state.nfev + allowed,
        nonfinite=state.nonfinite + nonfinite,
        generation=state.generation + 1,
    )

    # Adaptation: nothing is learned from the first evaluation, where x and v are the same
    x_losses = jnp.where(is_first, losses, state.losses)
    return end_generation(settings, draws, Contest(state.population, x_losses, losses), after)


def step_immediately(func: Objective, box: Box, settings: Settings, state: State) -> State:
    """Return the state after a generation in which each win is seen by the next member.

    As `step`, member by member ("immediate" updating, SciPy's default).
    """
    is_first = state.generation < 0
    draws = draw(settings, state)

    def visit(
        loop: tuple[Int[Array, ""], State, Contest],
    ) -> tuple[Int[Array, ""], State, Contest]:
        i, now, contests = loop
        x, x_loss = now.population[i], now.losses[i]
        v = make_trial_vectors(settings.strategy, jax.tree.map(lambda d: d[i], draws), x, now)
        v = jnp.where(is_first, x, v)
        losses, nonfinite = evaluate(func, box.to_user(v[None]), jnp.array(1, "int32"))
        wins = losses[0] <= x_loss
        after = now._replace(
            population=now.population.at[i].set(jnp.where(wins, v, x)),
            losses=now.losses.at[i].min(losses[0]),
            nfev=now.nfev + 1,
            nonfinite=now.nonfinite + nonfinite,
        )
        contest = Contest(x, jnp.where(is_first, losses[0], x_loss), losses[0])
        contests = jax.tree.map(lambda all, one: all.at[i].set(one), contests, contest)
        is_best = wins & (losses[0] <= now.losses[0])
        return i + 1, swap_with_first(after, jnp.where(is_best, i, 0)), contests

    def has_next(loop: tuple[Int[Array, ""], State, Contest]) -> Bool[Array, ""]:
        i, now, _ = loop
        return (i < now.size) & (now.nfev < settings.budget)

    contests = Contest(state.population, state.losses, state.losses)
    start = (jnp.array(0), state, contests)
    _, after, contests = jax.lax.while_loop(has_next, visit, start)
    after = after._replace(generation=state.generation + 1)
    return end_generation(settings, draws, contests, after)


def make_trial_vectors(
    strategy: Strategy | UserStrategy, draws: Draws, x: Float[Array, "... n_params"], state: State
) -> Float[Array, "... n_params"]:
    """Return the trial vectors of members `x`: of all, or of the one whose draws are given.

    Coordinates outside the unit cube are replaced by uniform ones.
    """
    population = state.population
    if isinstance(strategy, UserStrategy):
        v = call_strategy(strategy, draws, population)
    else:
        if state.memory is None:
            best = jnp.expand_dims(population[0], range(x.ndim - 1))
            pool = population
        else:
            best = population[draws.pbest]
            pool = jnp.concatenate([population, state.memory.archive])
        partners = [pool[draws.partners[..., j]] for j in range(strategy.n_partners)]
        mutants = strategy.mutate(x, best, partners, draws.F[..., None])
        v = jnp.where(strategy.cross(draws.uniforms, draws.forced, draws.CR), mutants, x)
    return jnp.where((v >= 0) & (v <= 1), v, draws.replacements)


def call_strategy(
    strategy: UserStrategy, draws: Draws, population: Float[Array, "members n_params"]
) -> Float[Array, "... n_params"]:
    """Return the trial vectors that a function of the user makes."""

    def make(member: Int[Array, ""], key: PRNGKeyArray) -> Float[Array, " n_params"]:
        v = jnp.asarray(strategy.func(member, population, rng=key))
        if v.shape != population.shape[1:]:
            raise ShapeError(
                "strategy(candidate, population, rng) must return a vector of shape "
                f"{population.shape[1:]}; got {v.shape}."
            )
        return v.astype(population.dtype)

    is_batch = draws.member.ndim == 1
    return (jax.vmap(make) if is_batch else make)(draws.member, draws.keys)


def evaluate(
    func: Objective,
    x: Float[Array, "members n_params"],
    allowed: Int[Array, ""],
    block: int | None = None,
) -> tuple[Float[Array, " members"], Int[Array, ""]]:
    """Return the losses of the first `allowed` members, and how many of these are not finite.

    The loss of the other members is infinite; so is a loss that is NaN. With `block`, members are
    evaluated in blocks of that many, and no more blocks than needed; else all are, at once.
    """
    members = len(x)
    if block is None:
        losses = check_losses(func(x.T), x)
    else:
        rows = jnp.pad(x, ((0, -members % block), (0, 0)), mode="edge")

        def evaluate_block(i: Int[Array, ""], losses: Array) -> Array:
            part = jax.lax.dynamic_slice_in_dim(rows, i * block, block)
            found = check_losses(func(part.T), part).astype(x.dtype)
            return jax.lax.dynamic_update_slice_in_dim(losses, found, i * block, 0)

        n_blocks = (allowed + block - 1) // block
        nowhere = jnp.full(len(rows), jnp.inf, x.dtype)
        losses = jax.lax.fori_loop(0, n_blocks, evaluate_block, nowhere)[:members]
    counts = jnp.arange(members) < allowed
    nonfinite = jnp.sum(counts & ~jnp.isfinite(losses), dtype="int32")
    usable = counts & ~jnp.isnan(losses)
    return jnp.where(usable, losses, jnp.inf).astype(x.dtype), nonfinite


def check_losses(returned: Any, x: Float[Array, "members n_params"]) -> Real[Array, " members"]:
    """Return what the function of the user returned, as one real number per member."""
    losses = jnp.asarray(returned)
    if jnp.iscomplexobj(losses):
        raise ShapeError("func(x, *args) must return a real number; it returned a complex one.")
    if losses.shape != x.shape[:1]:
        raise ShapeError(
            "The vectorized function must return an array of shape (S,) when given an array of "
            f"shape (len(x), S). Given {x.T.shape}, it returned {losses.shape}."
        )
    return losses


def end_generation(settings: Settings, draws: Draws, contest: Contest, after: State) -> State:
    """Return the state as the next generation finds it: F and CR adapted, best member first."""
    history = settings.strategy.history
    if history is not None and after.memory is not None:
        slot = draws.archive_slot[0]
        memory = history.learn(after.memory, contest, draws.F, draws.CR, after.size, slot)
        after = after._replace(memory=memory)
    after = sort_members(settings, after)
    if settings.disp:
        line = "differential_evolution step {}: f(x)= {}"
        jax.debug.print(line, after.generation, after.losses[0])
    return after


def sort_members(settings: Settings, state: State) -> State:
    """Return the state with its best member first.

    With an adaptive strategy all are sorted by loss, and the population is cut to its next size.
    """
    history = settings.strategy.history
    if history is None:
        return swap_with_first(state, jnp.argmin(state.losses))
    order = jnp.argsort(state.losses)
    spent = state.nfev / settings.budget
    size = history.next_size(settings.population_size, state.size, spent)
    is_active = jnp.arange(settings.population_size) < size
    losses = jnp.where(is_active, state.losses[order], jnp.inf)
    return state._replace(population=state.population[order], losses=losses, size=size)


def swap_with_first(state: State, i: Int[Array, ""]) -> State:
    """Return the state with members 0 and i swapped."""
    population, losses = state.population, state.losses
    return state._replace(
        population=population.at[i].set(population[0]).at[0].set(population[i]),
        losses=losses.at[i].set(losses[0]).at[0].set(losses[i]),
    )


def is_level(settings: Settings, state: State) -> Bool[Array, ""]:
    """Return True if all losses are finite and nearly equal, by either of two rules.

    SciPy's, ``std(losses) <= atol + tol |mean(losses)|``; or, if `fatol` is not negative,
    ``max(losses) - min(losses) <= fatol``, which an added constant does not change.
    """
    losses, is_active = state.losses, jnp.arange(settings.population_size) < state.size
    spread = jnp.std(losses, where=is_active)
    level = jnp.abs(jnp.mean(losses, where=is_active))
    extent = jnp.max(losses, where=is_active, initial=-jnp.inf) - losses[0]
    equal = (spread <= settings.atol + settings.tol * level) | (extent <= settings.fatol)
    return equal & jnp.all(jnp.isfinite(losses) | ~is_active)


# Randomness


class Draws(eqx.Module):
    """Everything random in a generation: one row per member, or one member without that axis."""

    member: Int[Array, " members"]
    """The index of the member itself."""
    partners: Int[Array, "members k"]
    """Other members, all different. Numbers past the last member are slots of the archive."""
    uniforms: Float[Array, "members n_params"]
    """Crossover takes a coordinate of the mutant where these are below CR."""
    forced: Int[Array, " members"]
    """The coordinate that always crosses over."""
    replacements: Float[Array, "members n_params"]
    """Uniform replacements for coordinates outside the unit cube."""
    F: Float[Array, " members"]
    CR: Float[Array, " members"]
    pbest: Int[Array, " members"]
    """The member that takes the place of the best."""
    archive_slot: Float[Array, " members"]
    """Where a full archive is overwritten, in [0, 1); the first is used."""
    keys: Array
    """One key per member, for strategies of the user."""


def draw(settings: Settings, state: State) -> Draws:
    """Draw everything random in the generation after `state`.

    F is drawn once per generation from its interval, and CR is that of the user; with an adaptive
    strategy each member has its own F, CR and p-best.
    """
    members, n_params = state.population.shape
    history, k = settings.strategy.history, settings.strategy.n_partners
    key = jax.random.fold_in(state.key, state.generation + 1)
    key_of_rows, key_of_members = jax.random.split(key)
    # All uniform numbers at once: a column per member, and as many rows as each kind needs.
    rows = [k, n_params, n_params, 1, 1, 1] + ([3, 1] if history else [])
    uniforms = jax.random.uniform(key_of_rows, (sum(rows), members), state.population.dtype)
    for_partners, for_crossover, replacements, for_forced, for_F, archive_slot, *adaptive = (
        jnp.split(uniforms, [sum(rows[: i + 1]) for i in range(len(rows) - 1)])
    )
    if history is None or state.memory is None:
        low, high = settings.F
        F = jnp.full(members, low + for_F[0, 0] * (high - low))
        CR = jnp.full(members, settings.CR)
        pbest, archived = jnp.zeros(members, int), jnp.array(0)
    else:
        F, CR = history.draw_F_and_CR(state.memory, adaptive[0])
        pbest, archived = history.draw_pbest(state.size, adaptive[1][0]), state.memory.archived
    partners = draw_partners(for_partners, state.size, archived)
    return Draws(
        member=jnp.arange(members),
        partners=jnp.where(partners < state.size, partners, partners - state.size + members),
        uniforms=for_crossover.T,
        forced=jnp.floor(for_forced[0] * n_params).astype(int),
        replacements=replacements.T,
        F=F,
        CR=CR,
        pbest=pbest,
        archive_slot=archive_slot[0],
        keys=jax.random.split(key_of_members, members),
    )


def draw_partners(
    uniforms: Float[Array, "k members"], size: Int[Array, ""], extra: Int[Array, ""]
) -> Int[Array, "members k"]:
    """Return for each member k others below `size`, all different.

    The last may also be one of `extra` more, the numbers from `size` on. Each partner is drawn
    among the numbers that are not taken, then shifted past those that are, in ascending order: no
    permutation is sorted.
    """
    k, members = uniforms.shape
    taken = [jnp.arange(members)]  # ascending
    partners = []
    for j in range(k):
        n_free = size - len(taken) + (extra if j == k - 1 else 0)
        partner = jnp.floor(uniforms[j] * n_free).astype(taken[0].dtype)
        for other in taken:
            partner = partner + (partner >= other)
        partners.append(partner)
        carried, ascending = partner, []
        for other in taken:  # insert the partner in its place
            ascending.append(jnp.minimum(other, carried))
            carried = jnp.maximum(other, carried)
        taken = [*ascending, carried]
    return jnp.stack(partners, axis=-1) if partners else jnp.zeros((members, 0), int)
