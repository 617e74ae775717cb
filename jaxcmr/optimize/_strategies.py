"""How a trial vector is made: mutations and crossovers, by SciPy's names.

A strategy is a mutation, a crossover, and where F and CR come from: ``best1bin`` is the mutation
best1 with binomial crossover and the F and CR of the user. To add a strategy, write a function and
add its line to a table. Source: Storn & Price (1997), J. Global Optim. 11:341; for the adaptive
strategies see `_adaptive`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxcmr.optimize._adaptive import SuccessHistory
from jaxcmr.optimize._fingerprint import Fingerprint

__all__ = ["STRATEGIES", "Strategy", "UserStrategy"]

BLOCK = 64  # members evaluated at a time if the population shrinks

Vector = Float[Array, "... n_params"]
Mask = Bool[Array, "... n_params"]
Mutation = Callable[[Vector, Vector, list[Vector], Float[Array, "... 1"]], Vector]
Crossover = Callable[[Vector, Int[Array, "..."], Float[Array, "..."]], Mask]


# Mutations. x: the member; best: the best member; r: its partners, other members, all different.


def best1(x: Vector, best: Vector, r: list[Vector], F: Float[Array, "... 1"]) -> Vector:
    """Return ``best + F (r0 - r1)``."""
    return best + F * (r[0] - r[1])


def rand1(x: Vector, best: Vector, r: list[Vector], F: Float[Array, "... 1"]) -> Vector:
    """Return ``r0 + F (r1 - r2)``."""
    return r[0] + F * (r[1] - r[2])


def best2(x: Vector, best: Vector, r: list[Vector], F: Float[Array, "... 1"]) -> Vector:
    """Return ``best + F (r0 + r1 - r2 - r3)``."""
    return best + F * (r[0] + r[1] - r[2] - r[3])


def rand2(x: Vector, best: Vector, r: list[Vector], F: Float[Array, "... 1"]) -> Vector:
    """Return ``r0 + F (r1 + r2 - r3 - r4)``."""
    return r[0] + F * (r[1] + r[2] - r[3] - r[4])


def rand_to_best1(x: Vector, best: Vector, r: list[Vector], F: Float[Array, "... 1"]) -> Vector:
    """Return ``r0 + F (best - r0 + r1 - r2)``."""
    return r[0] + F * (best - r[0] + r[1] - r[2])


def current_to_best1(x: Vector, best: Vector, r: list[Vector], F: Float[Array, "... 1"]) -> Vector:
    """Return ``x + F (best - x + r0 - r1)``."""
    return x + F * (best - x + r[0] - r[1])


# Crossovers. True where the trial vector takes the coordinate of the mutant.


def binomial(uniforms: Vector, forced: Int[Array, "..."], CR: Float[Array, "..."]) -> Mask:
    """Return True for each coordinate with probability CR, and for the `forced` one always."""
    coordinates = jnp.expand_dims(jnp.arange(uniforms.shape[-1]), range(forced.ndim))
    return (uniforms < CR[..., None]) | (coordinates == forced[..., None])


def exponential(uniforms: Vector, forced: Int[Array, "..."], CR: Float[Array, "..."]) -> Mask:
    """Return True for a run of coordinates from the `forced` one on, around the end.

    CR is the probability that the run goes on by one.
    """
    n_params = uniforms.shape[-1]
    goes_on = (uniforms < CR[..., None]).at[..., 0].set(True)
    length = jnp.sum(jnp.cumprod(goes_on, axis=-1), axis=-1)
    coordinates = jnp.expand_dims(jnp.arange(n_params), range(forced.ndim))
    return (coordinates - forced[..., None]) % n_params < length[..., None]


class Strategy(NamedTuple):
    """A mutation, its number of partners, a crossover, and a history if it adapts F and CR."""

    mutate: Mutation
    n_partners: int
    cross: Crossover
    history: SuccessHistory | None = None

    @property
    def block(self) -> int | None:
        """Members to evaluate at a time, or None for all at once."""
        return BLOCK if self.history is not None and self.history.shrinks else None


class UserStrategy(NamedTuple):
    """A function of the user: ``func(candidate, population, rng=key) -> (n_params,)``, as SciPy's.

    `candidate` is the index of the member, `population` (members, n_params) is in the unit cube
    with the best member first, and `rng` is a random key of that member's own.
    """

    func: Callable[..., Float[Array, " n_params"]]
    fingerprint: Fingerprint
    """What `func` computed when the call began; see `Fingerprinted`."""
    n_partners: int = 0
    history: None = None
    block: None = None


MUTATIONS: Mapping[str, tuple[Mutation, int]] = {
    "best1": (best1, 2),
    "rand1": (rand1, 3),
    "best2": (best2, 4),
    "rand2": (rand2, 5),
    "randtobest1": (rand_to_best1, 3),
    "currenttobest1": (current_to_best1, 2),
}
CROSSOVERS: Mapping[str, Crossover] = {"bin": binomial, "exp": exponential}

STRATEGIES: Mapping[str, Strategy] = {
    mutation + crossover: Strategy(mutate, n_partners, cross)
    for mutation, (mutate, n_partners) in MUTATIONS.items()
    for crossover, cross in CROSSOVERS.items()
} | {
    "shade": Strategy(current_to_best1, 2, binomial, SuccessHistory(shrinks=False)),
    "lshade": Strategy(current_to_best1, 2, binomial, SuccessHistory(shrinks=True)),
}
"""Every strategy by name: SciPy's twelve, and two that adapt F and CR."""
