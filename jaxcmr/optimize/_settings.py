"""The bounds and options of a run, checked at the door."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from jaxcmr.optimize._box import Box, is_traced
from jaxcmr.optimize._fingerprint import fingerprint
from jaxcmr.optimize._generation import Settings
from jaxcmr.optimize._populations import POPULATIONS
from jaxcmr.optimize._strategies import STRATEGIES, Custom, Strategy

__all__ = ["Problem", "as_float", "make_problem"]

MOST = 2**31 - 1  # evaluations that can be counted
FEWEST_MEMBERS = 5  # of a population, as in SciPy


class Problem(NamedTuple):
    """A box, how to search it, and the population to begin with if the user gave one."""

    box: Box
    settings: Settings
    population: Float[Array, "members n_params"] | None


def make_problem(
    bounds: Any,
    *,
    maxiter: int | None = 1000,
    maxfun: float | None = None,
    popsize: int = 15,
    strategy: str | Any = "best1bin",
    mutation: float | Sequence[float] = (0.5, 1.0),
    recombination: float = 0.7,
    tol: float | None = None,
    atol: float = 0.0,
    fatol: float | None = None,
    updating: str = "immediate",
    init: str | ArrayLike = "latinhypercube",
    integrality: ArrayLike | None = None,
    disp: bool = False,
) -> Problem:
    """A run's box, settings and population, from options with SciPy's names and defaults.

    Numbers that are being traced are taken as they come.

    Raises:
        ValueError: an unknown choice, a number out of range, too few members for the strategy, or
            an initial population that does not fit.
    """
    box = Box.from_bounds(bounds, integrality)
    population = None if isinstance(init, str) else as_population(init, box.lower.shape[0])
    members = count_members(box, popsize, init, population)
    if members == 1:
        population, init = None, "random"
    chosen = as_strategy(strategy, members, box.lower.shape[0])
    if members <= chosen.n_partners and members > 1:
        raise ValueError(
            f"A population of {members} is too small: '{strategy}' needs at least "
            f"{chosen.n_partners + 1} members. Raise popsize."
        )
    if updating not in ("immediate", "deferred"):
        raise ValueError(f"updating must be 'immediate' or 'deferred'; got {updating!r}.")
    most = as_count("maxfun", maxfun, least=1, default=MOST)
    generations = as_count("maxiter", maxiter, least=0, default=1000)
    settings = Settings(
        mutation=as_mutation(mutation),
        recombination=as_number("recombination", recombination, 0.0, 1.0),
        tol=as_number("tol", (0.01 if fatol is None else 0.0) if tol is None else tol, 0.0),
        atol=as_number("atol", atol, 0.0),
        fatol=as_number("fatol", 0.0 if fatol is None else fatol, 0.0) - (fatol is None),
        maxfun=most.astype("int32"),
        budget=make_budget(members, generations, most, updating),
        strategy=chosen,
        init=init if isinstance(init, str) else "array",
        updating=updating,
        members=members,
        disp=bool(disp),
    )
    return Problem(box, settings, population)


def count_members(box: Box, popsize: int, init: str | ArrayLike, population: Array | None) -> int:
    """Members of the population: `popsize` for each parameter that is not fixed.

    Nothing to search takes one member; Sobol's sequence a power of two.
    """
    if operator.index(popsize) < 1:
        raise ValueError(f"popsize must be at least 1; got {popsize}.")
    n_free = box.lower.shape[0] if is_traced(box) else int(np.sum(box.upper > box.lower))
    if n_free == 0:
        return 1
    if population is not None:
        return len(population)
    check_known("init", init, POPULATIONS)
    members = max(FEWEST_MEMBERS, popsize * n_free)
    return 2 ** (members - 1).bit_length() if init == "sobol" else members


def as_population(init: ArrayLike, n_params: int) -> Float[Array, "members n_params"]:
    """The user's initial population, in the user's units."""
    population = jnp.asarray(init, jnp.result_type(float))
    if population.ndim != 2 or population.shape[1] != n_params or len(population) < FEWEST_MEMBERS:
        raise ValueError(
            f"The initial population must have shape (S, {n_params}) with S >= {FEWEST_MEMBERS}; "
            f"got {population.shape}."
        )
    if not is_traced(population) and np.isnan(population).any():
        raise ValueError("The initial population holds values that are not a number.")
    return population


def as_strategy(strategy: Any, members: int, n_params: int) -> Strategy | Custom:
    """Return an entry of `STRATEGIES`, or a function of the user with its fingerprint."""
    if callable(strategy):
        traced = fingerprint(
            lambda candidate, population, key: strategy(candidate, population, rng=key),
            jax.ShapeDtypeStruct((), jnp.result_type(int)),
            jax.ShapeDtypeStruct((members, n_params), jnp.result_type(float)),
            jax.eval_shape(jax.random.key, 0),
        )
        return Custom(strategy, fingerprint=traced)
    check_known("strategy", strategy, STRATEGIES)
    return STRATEGIES[strategy]


def as_mutation(mutation: Any) -> Float[Array, "2"]:
    """The ends of the interval from which F is drawn."""
    dither = as_float(mutation)
    if dither.shape not in ((), (1,), (2,)):
        raise ValueError(f"mutation must be a number or (low, high); got {mutation}.")
    if not is_traced(mutation):
        low, high = np.broadcast_to(dither, (2,))
        if not 0 <= low <= high < 2:
            raise ValueError(
                "mutation must be a number in [0, 2), or (low, high) with low <= high; got "
                f"{mutation}."
            )
    return (jnp if is_traced(mutation) else np).broadcast_to(dither, (2,))


def as_number(name: str, value: Any, least: float, most: float = np.inf) -> Float[Array, ""]:
    """An option that is a number between `least` and `most`."""
    number = as_float(value)
    if not is_traced(value) and not (number.ndim == 0 and least <= number <= most):
        limits = f"in [{least:g}, {most:g}]" if most < np.inf else f">= {least:g}"
        raise ValueError(f"{name} must be a number {limits}; got {value}.")
    return number


def as_float(value: Any) -> Any:
    """`value` in the working precision: an array of NumPy's, or of JAX's if it is traced."""
    return (jnp if is_traced(value) else np).asarray(value, jnp.result_type(float))


def as_count(name: str, value: Any, least: int, default: int) -> Any:
    """An option that is a count, cut at what can be counted; None is its default, as in SciPy."""
    if is_traced(value):
        return jnp.asarray(value, "int32")
    value = default if value is None else value
    if not value >= least:
        raise ValueError(f"{name} must be at least {least}; got {value}.")
    return np.asarray(min(value, MOST), "int64")


def make_budget(members: int, maxiter: Any, maxfun: Any, updating: str) -> Any:
    """Evaluations that end the run.

    `maxiter` allows as many as that number of generations of the whole population; a strategy that
    lets the population shrink makes more generations of them. Members that are visited one by one
    are visited until `maxfun` is exceeded, as in SciPy.
    """
    numpy = jnp if is_traced((maxiter, maxfun)) else np
    generations = numpy.minimum(maxiter, MOST // members - 1)
    exceeding = numpy.minimum(maxfun, MOST - 1) + (updating == "immediate")
    return numpy.minimum(members * (generations + 1), exceeding).astype("int32")


def check_known(option: str, value: Any, table: Mapping[str, Any]) -> None:
    """Raises a ValueError that names the closest entry if `value` is not in `table`."""
    if value not in table:
        close = get_close_matches(str(value), table, n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise ValueError(f"Unrecognized {option} {value!r}; known: {', '.join(table)}.{hint}")
