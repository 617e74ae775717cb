"""`differential_evolution`: minimise one function in a box, with SciPy's names."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpy.typing import ArrayLike

from jaxcmr.optimize._box import Box
from jaxcmr.optimize._generation import Objective, Settings, State
from jaxcmr.optimize._run import OptimizeResults, advance, finish, has_converged, polished, start
from jaxcmr.optimize._settings import make_problem

__all__ = ["differential_evolution"]

compiled_start = eqx.filter_jit(start)
compiled_advance = eqx.filter_jit(advance)
compiled_finish = eqx.filter_jit(finish)
compiled_polished = eqx.filter_jit(polished)


class Columns(eqx.Module):
    """A function of one vector, applied to the columns of ``(n_params, S)``."""

    func: Callable[[Float[Array, " n_params"]], Float[Array, ""]]

    def __call__(self, x: Float[Array, "n_params S"]) -> Float[Array, " S"]:
        return jax.vmap(self.func, in_axes=1)(x)


def differential_evolution(
    func: Callable[[Any], Any],
    /,
    bounds: ArrayLike,
    *,
    key: PRNGKeyArray | None = None,
    strategy: str = "best1bin",
    maxiter: int = 1000,
    popsize: int = 15,
    tol: float = 0.01,
    atol: float = 0.0,
    mutation: float | Sequence[float] = (0.5, 1.0),
    recombination: float = 0.7,
    disp: bool = False,
    polish: bool = True,
    updating: str = "immediate",
    workers: int = 1,
    x0: ArrayLike | None = None,
    init: str = "latinhypercube",
    vectorized: bool = False,
) -> OptimizeResults:
    """Global minimum of `func` in a box by differential evolution (Storn & Price, 1997).

    Options mean what they mean in `scipy.optimize.differential_evolution`. Everything is compiled;
    `func` must be traceable by JAX.

    Args:
        func: ``(n_params,) -> ()``, or with `vectorized` ``(n_params, S) -> (S,)``. Values that
            are not a number count as infinite.
        bounds: (n_params, 2) finite (low, high) pairs.
        key: random key; `jax.random.key(0)` by default. The same key gives the same result.
        strategy: a name in `jaxcmr.optimize.STRATEGIES`.
        maxiter: most generations.
        popsize: the population has ``popsize * n_params`` members (at least 5).
        tol: relative tolerance: stop when ``std(energies) <= atol + tol |mean(energies)|``.
        atol: absolute tolerance.
        mutation: scale F of the difference vectors in [0, 2); or (low, high), from which F is
            drawn once a generation.
        recombination: crossover probability in [0, 1].
        disp: print the best value of each generation.
        polish: finish with a bounded quasi-Newton search from the best member.
        updating: "immediate" (a better vector is seen by the next member at once; evaluates one
            vector at a time) or "deferred" (once a generation; evaluates them together).
        workers: 1; other values are not supported yet.
        x0: (n_params,) a guess that joins the initial population; inside the bounds.
        init: a name in `jaxcmr.optimize.POPULATIONS`.
        vectorized: `func` takes all members at once; forces deferred updating.

    Returns:
        `OptimizeResults`: x, fun, success, status, message, nit, nfev, jac, population and
        population_energies.

    Raises:
        ValueError: an option is unknown or out of range, or `x0` is outside the bounds.

    Examples:
        >>> from jaxcmr.optimize import differential_evolution
        >>> result = differential_evolution(lambda x: ((x - 0.3) ** 2).sum(), [(0, 1), (-1, 1)])
        >>> [round(float(value), 3) for value in result.x]
        [0.3, 0.3]
    """
    if workers != 1:
        raise ValueError(f"workers={workers!r} is not supported yet; use 1 (the default).")
    if operator.index(maxiter) < 0:
        raise ValueError(f"maxiter must be at least 0; got {maxiter}.")
    box, settings = make_problem(
        bounds,
        popsize=popsize,
        strategy=strategy,
        mutation=mutation,
        recombination=recombination,
        tol=tol,
        atol=atol,
        updating="deferred" if vectorized else updating,
        init=init,
    )
    objective = func if vectorized else Columns(func)
    key = jax.random.key(0) if key is None else key
    state = compiled_start(objective, box, settings, key, check_x0(x0, box))
    if disp:
        state = advance_aloud(objective, box, settings, state, maxiter)
    else:
        state = compiled_advance(objective, box, settings, state, jnp.asarray(maxiter))
    result = compiled_finish(box, settings, state)
    return compiled_polished(objective, box, result) if polish else result


def check_x0(x0: ArrayLike | None, box: Box) -> Float[Array, " n_params"] | None:
    """`x0` as an array, if it fits the box."""
    if x0 is None:
        return None
    guess = jnp.asarray(x0, box.lower.dtype)
    if guess.shape != box.lower.shape:
        raise ValueError(f"x0 must have shape {box.lower.shape}; got {guess.shape}.")
    if not box.contains(guess):
        raise ValueError(f"x0 = {np.asarray(guess)} lies outside the bounds.")
    return guess


def advance_aloud(
    func: Objective, box: Box, settings: Settings, state: State, maxiter: int
) -> State:
    """`advance` to `maxiter` one generation at a time, printing as SciPy does."""
    for generation in range(1, maxiter + 1):
        state = compiled_advance(func, box, settings, state, jnp.asarray(generation))
        print(f"differential_evolution step {generation}: f(x)= {float(state.energies.min())}")
        if bool(has_converged(settings, state)):
            break
    return state
