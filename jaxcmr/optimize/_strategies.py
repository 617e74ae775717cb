"""How a trial vector is made: mutation strategies and crossovers, by SciPy's names.

A strategy names a mutation and a crossover (``best1bin``: best1 with binomial crossover). To add
one, write a function and add its line to `MUTATIONS` or `CROSSOVERS`. Source: Storn & Price (1997).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

__all__ = ["STRATEGIES", "Strategy"]

Population = Float[Array, "members n_params"]
Vector = Float[Array, " n_params"]


def best1(population: Population, best: Vector, partners: Int[Array, " k"], f: Array) -> Vector:
    """``best + F (r0 - r1)``"""
    r0, r1 = population[partners[:2]]
    return best + f * (r0 - r1)


def rand1(population: Population, best: Vector, partners: Int[Array, " k"], f: Array) -> Vector:
    """``r0 + F (r1 - r2)``"""
    r0, r1, r2 = population[partners[:3]]
    return r0 + f * (r1 - r2)


def binomial(
    mutant: Vector, parent: Vector, uniforms: Vector, fill_point: Int[Array, ""], rate: Array
) -> Vector:
    """Each coordinate from the mutant with probability `rate`; the one at `fill_point` always."""
    crossed = (uniforms < rate) | (jnp.arange(mutant.shape[0]) == fill_point)
    return jnp.where(crossed, mutant, parent)


class Strategy(NamedTuple):
    """A mutation, the number of distinct partners it takes, and a crossover."""

    mutate: Callable[..., Vector]
    n_partners: int
    cross: Callable[..., Vector]


MUTATIONS: Mapping[str, tuple[Callable[..., Vector], int]] = {
    "best1": (best1, 2),
    "rand1": (rand1, 3),
}
CROSSOVERS: Mapping[str, Callable[..., Vector]] = {"bin": binomial}

STRATEGIES: Mapping[str, Strategy] = {
    mutation + crossover: Strategy(mutate, n_partners, cross)
    for mutation, (mutate, n_partners) in MUTATIONS.items()
    for crossover, cross in CROSSOVERS.items()
}
"""Every strategy by name."""
