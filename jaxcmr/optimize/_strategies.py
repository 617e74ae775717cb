"""How a trial vector is made: mutations and crossovers, by SciPy's names.

A strategy is a mutation, a crossover, and where F and CR come from: ``best1bin`` is the mutation
best1 with binomial crossover and the F and CR of the user. To add one, write a function and add
its line to a table. `x` is the member that is challenged and `r` its partners: other members,
all different. Sources: Storn & Price (1997), J. Global Optim. 11:341; for the adaptive ones see
`_history`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jaxcmr.optimize._draws import Draws
from jaxcmr.optimize._errors import ShapeError
from jaxcmr.optimize._fingerprint import Fingerprint
from jaxcmr.optimize._history import History, Memory

__all__ = ["STRATEGIES", "Custom", "Strategy"]

BLOCK = 64  # members evaluated at a time where the population shrinks

Vector = Float[Array, "... n_params"]
Population = Float[Array, "members n_params"]


def best1(x: Vector, best: Vector, r: list[Vector], f: Array) -> Vector:
    """``best + F (r0 - r1)``"""
    return best + f * (r[0] - r[1])


def rand1(x: Vector, best: Vector, r: list[Vector], f: Array) -> Vector:
    """``r0 + F (r1 - r2)``"""
    return r[0] + f * (r[1] - r[2])


def best2(x: Vector, best: Vector, r: list[Vector], f: Array) -> Vector:
    """``best + F (r0 + r1 - r2 - r3)``"""
    return best + f * (r[0] + r[1] - r[2] - r[3])


def rand2(x: Vector, best: Vector, r: list[Vector], f: Array) -> Vector:
    """``r0 + F (r1 + r2 - r3 - r4)``"""
    return r[0] + f * (r[1] + r[2] - r[3] - r[4])


def rand_to_best1(x: Vector, best: Vector, r: list[Vector], f: Array) -> Vector:
    """``r0 + F (best - r0 + r1 - r2)``"""
    return r[0] + f * (best - r[0] + r[1] - r[2])


def current_to_best1(x: Vector, best: Vector, r: list[Vector], f: Array) -> Vector:
    """``x + F (best - x + r0 - r1)``"""
    return x + f * (best - x + r[0] - r[1])


def binomial(
    uniforms: Float[Array, "... n_params"], first: Int[Array, "..."], rate: Float[Array, "..."]
) -> Bool[Array, "... n_params"]:
    """Each coordinate with probability `rate`; the one at `first` always."""
    coordinates = jnp.expand_dims(jnp.arange(uniforms.shape[-1]), range(first.ndim))
    return (uniforms < rate[..., None]) | (coordinates == first[..., None])


def exponential(
    uniforms: Float[Array, "... n_params"], first: Int[Array, "..."], rate: Float[Array, "..."]
) -> Bool[Array, "... n_params"]:
    """A run of coordinates from `first` on, around the end; `rate` is the chance of going on."""
    n_params = uniforms.shape[-1]
    goes_on = (uniforms < rate[..., None]).at[..., 0].set(True)
    length = jnp.sum(jnp.cumprod(goes_on, axis=-1), axis=-1)
    coordinates = jnp.expand_dims(jnp.arange(n_params), range(first.ndim))
    return (coordinates - first[..., None]) % n_params < length[..., None]


class Strategy(NamedTuple):
    """A mutation, the number of partners it takes, a crossover, and a history if it adapts."""

    mutate: Callable[..., Vector]
    n_partners: int
    cross: Callable[..., Bool[Array, "... n_params"]]
    history: History | None = None

    @property
    def block(self) -> int | None:
        """How many members to evaluate at a time; None for all at once."""
        return BLOCK if self.history is not None and self.history.shrinks else None

    def challengers(
        self, draws: Draws, parents: Vector, population: Population, memory: Memory | None
    ) -> Vector:
        """The vectors that challenge `parents`: of all members, or of one."""
        if memory is None:
            best = jnp.expand_dims(population[0], range(parents.ndim - 1))
            mates = [population[draws.partners[..., j]] for j in range(self.n_partners)]
        else:
            best = population[draws.guide]
            pool = jnp.concatenate([population, memory.archive])
            mates = [pool[draws.partners[..., j]] for j in range(self.n_partners)]
        mutants = self.mutate(parents, best, mates, draws.scale[..., None])
        return jnp.where(self.cross(draws.uniforms, draws.first, draws.rate), mutants, parents)


class Custom(NamedTuple):
    """A strategy of the user: ``func(candidate, population, rng=key) -> (n_params,)``, as SciPy's.

    `candidate` is the number of the member that is challenged, `population` (members, n_params)
    is in the unit cube with the best member first, and `rng` is a random key of that member's own.
    """

    func: Callable[..., Float[Array, " n_params"]]
    n_partners: int = 0
    history: None = None
    block: None = None
    fingerprint: Fingerprint | None = None
    """What `func` computed when the call began; see `Fingerprinted`."""

    def challengers(
        self, draws: Draws, parents: Vector, population: Population, memory: Memory | None
    ) -> Vector:
        """The vectors that challenge `parents`: of all members, or of one."""

        def challenger(index: Int[Array, ""], key: PRNGKeyArray) -> Float[Array, " n_params"]:
            trial = jnp.asarray(self.func(index, population, rng=key))
            if trial.shape != population.shape[1:]:
                raise ShapeError(
                    "strategy(candidate, population, rng) must return a vector of shape "
                    f"{population.shape[1:]}; got {trial.shape}."
                )
            return trial.astype(population.dtype)

        all_members = draws.index.ndim == 1
        return (jax.vmap(challenger) if all_members else challenger)(draws.index, draws.keys)


MUTATIONS: Mapping[str, tuple[Callable[..., Vector], int]] = {
    "best1": (best1, 2),
    "rand1": (rand1, 3),
    "best2": (best2, 4),
    "rand2": (rand2, 5),
    "randtobest1": (rand_to_best1, 3),
    "currenttobest1": (current_to_best1, 2),
}
CROSSOVERS: Mapping[str, Callable[..., Bool[Array, "... n_params"]]] = {
    "bin": binomial,
    "exp": exponential,
}

STRATEGIES: Mapping[str, Strategy] = {
    mutation + crossover: Strategy(mutate, n_partners, cross)
    for mutation, (mutate, n_partners) in MUTATIONS.items()
    for crossover, cross in CROSSOVERS.items()
} | {
    "shade": Strategy(current_to_best1, 2, binomial, History(shrinks=False)),
    "lshade": Strategy(current_to_best1, 2, binomial, History(shrinks=True)),
}
"""Every strategy by name: SciPy's twelve, and two that set F and CR by themselves."""
