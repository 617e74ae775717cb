"""The bounds and options of a run: checked once, here."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy  # imports scipy.optimize when it is first used, which takes long
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from jaxcmr.optimize._fingerprint import fingerprint
from jaxcmr.optimize._jit import is_traced
from jaxcmr.optimize._populations import POPULATIONS
from jaxcmr.optimize._space import Box
from jaxcmr.optimize._strategies import STRATEGIES, Strategy, UserStrategy

__all__ = ["Problem", "Settings", "as_float", "make_problem"]

MOST = 2**31 - 1  # evaluations that can be counted
FEWEST_MEMBERS = 5  # of a population, as in SciPy


class Settings(eqx.Module):
    """Options of a run. Numbers are traced, so that other numbers need no other program."""

    F: Float[Array, "2"]  # the interval from which F is drawn
    CR: Float[Array, ""]
    tol: Float[Array, ""]
    atol: Float[Array, ""]
    fatol: Float[Array, ""]  # negative if that rule is off
    maxfun: Int[Array, ""]  # evaluations that the user allows
    budget: Int[Array, ""]  # evaluations that end the run: `maxfun`, or `maxiter` generations
    strategy: Strategy | UserStrategy = eqx.field(static=True)
    init: str = eqx.field(static=True)
    updating: str = eqx.field(static=True)
    population_size: int = eqx.field(static=True)
    disp: bool = eqx.field(static=True)


class Problem(NamedTuple):
    """A box, how to search it, and the initial population if the user gave one."""

    box: Box
    settings: Settings
    population: Float[Array, "members n_params"] | None


def make_problem(
    bounds: ArrayLike | scipy.optimize.Bounds,
    *,
    maxiter: int | None = 1000,
    maxfun: float | None = None,
    popsize: int = 15,
    strategy: str | Callable[..., Array] = "best1bin",
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
    """Return a run's box, settings and population, from options with SciPy's names and defaults.

    Numbers that are traced are not checked.

    Raises:
        ValueError: an unknown choice, a number out of range, too few members for the strategy, or
            an initial population of the wrong shape.
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
        F=as_interval_of_F(mutation),
        CR=as_number("recombination", recombination, 0.0, 1.0),
        tol=as_number("tol", (0.01 if fatol is None else 0.0) if tol is None else tol, 0.0),
        atol=as_number("atol", atol, 0.0),
        fatol=as_number("fatol", 0.0 if fatol is None else fatol, 0.0) - (fatol is None),
        maxfun=most.astype("int32"),
        budget=make_budget(members, generations, most, updating),
        strategy=chosen,
        init=init if isinstance(init, str) else "array",
        updating=updating,
        population_size=members,
        disp=bool(disp),
    )
    return Problem(box, settings, population)


def count_members(box: Box, popsize: int, init: str | ArrayLike, population: Array | None) -> int:
    """Return the population size: `popsize` members for each parameter that is not fixed.

    Sobol's sequence takes a power of two. A box with nothing to search takes one member.
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
    """Return the user's initial population, in the user's units."""
    population = jnp.asarray(init, jnp.result_type(float))
    if population.ndim != 2 or population.shape[1] != n_params or len(population) < FEWEST_MEMBERS:
        raise ValueError(
            f"The initial population must have shape (S, {n_params}) with S >= {FEWEST_MEMBERS}; "
            f"got {population.shape}."
        )
    if not is_traced(population) and np.isnan(population).any():
        raise ValueError("The initial population holds NaN: every member needs numbers.")
    return population


def as_strategy(
    strategy: str | Callable[..., Array], members: int, n_params: int
) -> Strategy | UserStrategy:
    """Return an entry of `STRATEGIES`, or a function of the user with its fingerprint."""
    if callable(strategy):
        traced = fingerprint(
            lambda candidate, population, key: strategy(candidate, population, rng=key),
            jax.ShapeDtypeStruct((), jnp.result_type(int)),
            jax.ShapeDtypeStruct((members, n_params), jnp.result_type(float)),
            jax.eval_shape(jax.random.key, 0),
        )
        return UserStrategy(strategy, traced)
    check_known("strategy", strategy, STRATEGIES)
    return STRATEGIES[strategy]


def as_interval_of_F(mutation: Any) -> Float[Array, "2"]:
    """Return the ends of the interval from which F is drawn."""
    ends = as_float(mutation)
    if ends.shape not in ((), (1,), (2,)):
        raise ValueError(f"mutation must be a number or (low, high); got {mutation}.")
    if is_traced(mutation):
        return jnp.broadcast_to(ends, (2,))
    low, high = interval = np.broadcast_to(ends, (2,))
    if not 0 <= low <= high < 2:
        raise ValueError(
            f"mutation must be a number in [0, 2), or (low, high) with low <= high; got {mutation}."
        )
    return interval  # type: ignore[return-value]  # a NumPy array will do


def as_number(name: str, value: Any, least: float, most: float = np.inf) -> Float[Array, ""]:
    """Return an option that is a number between `least` and `most`."""
    number = as_float(value)
    if not is_traced(value) and not (number.ndim == 0 and least <= number <= most):
        limits = f"in [{least:g}, {most:g}]" if most < np.inf else f">= {least:g}"
        raise ValueError(f"{name} must be a number {limits}; got {value}.")
    return number


def as_float(value: Any) -> Any:
    """Return `value` in the working precision: a NumPy array, or a JAX array if it is traced."""
    return (jnp if is_traced(value) else np).asarray(value, jnp.result_type(float))


def as_count(name: str, value: Any, least: int, default: int) -> Any:
    """Return an option that is a count, clipped to `MOST`; None is its default, as in SciPy."""
    if is_traced(value):
        return jnp.asarray(value, "int32")
    value = default if value is None else value
    if not value >= least:
        raise ValueError(f"{name} must be at least {least}; got {value}.")
    return np.asarray(min(value, MOST), "int64")


def make_budget(members: int, maxiter: Any, maxfun: Any, updating: str) -> Any:
    """Return the number of evaluations that ends the run: ``min(N (maxiter + 1), maxfun)``.

    A strategy that shrinks its population makes more generations of the same evaluations. With
    immediate updating, members are visited until `maxfun` is exceeded, as in SciPy.
    """
    numpy = jnp if is_traced((maxiter, maxfun)) else np
    generations = numpy.minimum(maxiter, MOST // members - 1)
    limit = numpy.minimum(maxfun, MOST - 1) + (updating == "immediate")
    return numpy.minimum(members * (generations + 1), limit).astype("int32")


def check_known(option: str, value: Any, table: Mapping[str, Any]) -> None:
    """Raise a ValueError that names the closest entry if `value` is not in `table`."""
    if value not in table:
        close = get_close_matches(str(value), table, n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise ValueError(f"Unrecognized {option} {value!r}; known: {', '.join(table)}.{hint}")
