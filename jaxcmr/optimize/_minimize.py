"""`differential_evolution`: minimise one function in a box, with SciPy's names."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpy.typing import ArrayLike

from jaxcmr.optimize._box import Box, is_traced
from jaxcmr.optimize._compiled import Compiled
from jaxcmr.optimize._errors import OutOfBoundsError
from jaxcmr.optimize._fingerprint import Fingerprinted, with_fingerprint
from jaxcmr.optimize._fork import check_not_forked
from jaxcmr.optimize._objective import make_objective, unshared
from jaxcmr.optimize._result import OptimizeResults
from jaxcmr.optimize._run import solve
from jaxcmr.optimize._settings import as_float, make_problem
from jaxcmr.optimize._watched import polish_by, solve_watched

__all__ = ["differential_evolution"]

OUTSIDE = "Some entries in x0 lie outside the specified bounds"

compiled_solve = Compiled(solve)


def differential_evolution(
    func: Callable[..., Any],
    /,
    bounds: Any,
    *,
    args: Any = (),
    key: PRNGKeyArray | None = None,
    strategy: str | Callable[..., Any] = "best1bin",
    maxiter: int = 1000,
    maxfun: float | None = None,
    popsize: int = 15,
    tol: float | None = None,
    atol: float = 0.0,
    fatol: float | None = None,
    mutation: float | Sequence[float] = (0.5, 1.0),
    recombination: float = 0.7,
    callback: Callable[..., Any] | None = None,
    disp: bool = False,
    polish: bool | int | Callable[..., Any] = True,
    init: str | ArrayLike = "latinhypercube",
    updating: str = "immediate",
    workers: int | Callable[..., Any] = 1,
    constraints: Any = (),
    x0: ArrayLike | None = None,
    integrality: ArrayLike | None = None,
    vectorized: bool = False,
    restarts: int = 1,
    agree_tol: float = 0.01,
) -> OptimizeResults:
    """Global minimum of `func` in a box by differential evolution (Storn & Price, 1997).

    Options have the names and the meaning they have in `scipy.optimize.differential_evolution`;
    `maxfun`, `fatol`, `restarts` and `agree_tol` are added. Everything is compiled, so JAX must be
    able to trace `func` (wrap any other function in `jax.pure_callback`). Works under `jax.jit`
    and `jax.vmap`: `key`, `args`, `bounds`, `x0`, `init` and all numbers may be traced, and calls
    that differ only in these, or in the arrays that `func` holds as a pytree, share one program.

    `func` is traced at every call. Where what it computes has changed, because an attribute, a
    global, a variable of its closure or an array in place has, a new program is compiled. **A
    change is not seen where JAX keeps what it has traced: in your own `jax.jit` functions, in
    bodies of loops such as `jax.lax.scan` that are defined outside `func`, in derivative rules, and
    in NumPy arrays changed in place that JAX converts to another precision. Give what changes to
    `func` through `args`.**

    Args:
        func: ``func(x, *args)``, ``(n_params,) -> ()``; or with `vectorized`
            ``(n_params, S) -> (S,)``. Values that are not a number count as infinite.
        bounds: (n_params, 2) finite (low, high) pairs, or `scipy.optimize.Bounds`. A parameter
            with low = high is fixed.
        args: a tuple of further arguments of `func`, or the only one. Arrays and numbers are
            traced.
        key: random key; `jax.random.key(0)` by default. The same key gives the same result.
        strategy: a name in `jaxcmr.optimize.STRATEGIES`, or a function
            ``strategy(candidate, population, rng=key) -> (n_params,)`` that gives the challenger
            of member number `candidate`; `population` (S, n_params) is in the unit cube, best
            member first, and `rng` is a random key.
        maxiter: most generations, in terms of evaluations: ``(maxiter + 1) * S``. Of these a
            strategy that shrinks its population makes more, smaller generations.
        maxfun: most evaluations before the polish.
        popsize: the population has ``S = popsize * n_params`` members (at least 5); parameters
            that are fixed do not count.
        tol: relative tolerance: stop when ``std(energies) <= atol + tol |mean(energies)|``. By
            default 0.01, or 0 if `fatol` is given. Do not use it for a function like a
            log-likelihood, whose mean is far from 0: it stops as soon as energies differ by
            little compared with that.
        atol: absolute tolerance in the same rule.
        fatol: stop when ``max(energies) - min(energies) <= fatol``, in the units of `func`; a
            constant added to `func` changes nothing. None: no such rule.
        mutation: scale F of the difference vectors in [0, 2); or (low, high), from which F is
            drawn once a generation. Adaptive strategies find their own.
        recombination: crossover probability CR in [0, 1]. Adaptive strategies find their own.
        callback: ``callback(intermediate_result=OptimizeResults)`` or
            ``callback(x, convergence=...)``, called after every generation; returning True, or
            raising StopIteration, ends the search. Not under `jax.jit` or `jax.vmap`.
        disp: print the best value of each generation.
        polish: finish with a bounded quasi-Newton search from the best member; or a number, from
            that many distinct members; or a function ``polish(func, x, bounds=Bounds,
            constraints=()) -> scipy.optimize.OptimizeResult``, such as `scipy.optimize.minimize`.
            Its end is kept if it is lower and inside the bounds.
        init: a name in `jaxcmr.optimize.POPULATIONS`, or a population (S, n_params), which is
            clipped to the bounds; ``result.population`` goes on from a result.
        updating: "immediate" (a better vector is seen by the next member at once; evaluates one
            vector at a time) or "deferred" (once a generation; evaluates them together, which is
            faster).
        workers: devices of JAX that share the members, -1 for all; or a function
            ``workers(func, xs)`` that takes xs (S, n_params) to energies (S,). Other than 1 forces
            deferred updating.
        constraints: not supported.
        x0: (n_params,) a guess that becomes the first member; inside the bounds. Whole-number
            parameters are rounded.
        integrality: which parameters are whole numbers, (n_params,) booleans or one.
        vectorized: `func` takes all members at once; forces deferred updating.
        restarts: independent runs, side by side; the best is returned. The first is the run that
            there is without restarts.
        agree_tol: how near to the best, in the units of `func`, a restart must end to be counted
            in ``result.agreed``.

    Returns:
        `OptimizeResults`.

    Raises:
        ValueError: an option is unknown or out of range, `x0` is outside the bounds, or `func`
            returns no number. An `x0` that is traced raises when the program runs.
        TypeError: an argument in `args` is neither an array nor hashable, such as a pandas object.
        RuntimeError: this process was forked after JAX had started.
        NotImplementedError: constraints were given.

    Examples:
        >>> from jaxcmr.optimize import differential_evolution
        >>> result = differential_evolution(lambda x: ((x - 0.3) ** 2).sum(), [(0, 1), (-1, 1)])
        >>> [round(float(value), 3) for value in result.x]
        [0.3, 0.3]
    """
    if not (isinstance(constraints, tuple | list) and not constraints):
        raise NotImplementedError(
            "constraints are not supported: add a penalty to func, or use SciPy's."
        )
    check_not_forked()
    objective = make_objective(func, args, vectorized, workers)
    box, settings, population = make_problem(
        bounds,
        maxiter=maxiter,
        maxfun=maxfun,
        popsize=popsize,
        strategy=strategy,
        mutation=mutation,
        recombination=recombination,
        tol=tol,
        atol=atol,
        fatol=fatol,
        updating=deferred_if_needed(updating, workers, vectorized),
        init=init,
        integrality=integrality,
        disp=disp,
    )
    guess = as_guess(x0, box)
    n_polished = (
        0 if callable(polish) or not has_free(box) else count("polish", as_index(polish), 0)
    )
    rest = (
        as_float(agree_tol),
        n_polished,
        count("restarts", restarts, 1),
    )
    key = as_key(key)
    by_hand = [
        name for name, given in (("callback", callback), ("polish", polish)) if callable(given)
    ]
    if by_hand and is_traced((objective, box, settings, key, guess, population)):
        raise ValueError(f"A {by_hand[0]} function cannot be called under jax.jit or jax.vmap.")
    try:
        traced = with_fingerprint(objective, box.lower.shape[0], settings.members)
        to_polish = Fingerprinted(unshared(objective), traced.fingerprint)
        everything = (traced, to_polish, box, settings, key, guess, population)
        if callback is None:
            result = compiled_solve(*everything, *rest)
        else:
            result = solve_watched(*everything, *rest, callback=callback)
    except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError) as error:
        error.add_note(
            "differential_evolution compiles func: write it with jax.numpy, or call what cannot be "
            "compiled through jax.pure_callback."
        )
        raise
    if callable(polish):
        result = polish_by(polish, to_polish, box, result)
    if disp:
        jax.effects_barrier()
    return result


def deferred_if_needed(updating: str, workers: Any, vectorized: bool) -> str:
    """`updating`, unless members are evaluated together; then "deferred", with SciPy's warning."""
    overriding = "workers" if callable(workers) or workers != 1 else "vectorized"
    if updating != "immediate" or (overriding == "vectorized" and not vectorized):
        return updating
    warnings.warn(
        f"differential_evolution: the '{overriding}' keyword has overridden "
        "updating='immediate' to updating='deferred'",
        stacklevel=3,
    )
    return "deferred"


def as_key(key: Any) -> PRNGKeyArray:
    """A key of the new kind; 0's if there is none."""
    if key is None:
        return jax.random.key(0)
    if not eqx.is_array(key):
        raise ValueError(
            f"key must be a key of jax.random, such as jax.random.key(0); got {key!r}."
        )
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.wrap_key_data(key)
    if key.ndim:
        raise ValueError(f"key must be one key, not {key.shape}; for a batch use jax.vmap.")
    return key


def as_guess(x0: Any, box: Box) -> Float[Array, " n_params"] | None:
    """`x0` as an array that fits the box, as far as Python can see."""
    if x0 is None:
        return None
    guess = jnp.asarray(x0, jnp.result_type(float))
    if guess.shape != box.lower.shape:
        raise ValueError(f"x0 must have shape {box.lower.shape}; got {guess.shape}.")
    if is_traced((guess, box)):
        try:
            guess = eqx.error_if(guess, ~box.contains(guess), OUTSIDE)
        except eqx.EquinoxRuntimeError:  # under vmap without jit, it is known at once
            raise OutOfBoundsError(f"{OUTSIDE} in some lane.") from None
    elif not box.contains(guess):
        raise OutOfBoundsError(
            f"{OUTSIDE}: {np.asarray(guess)} is not between {np.asarray(box.lower)} and "
            f"{np.asarray(box.upper)}."
        )
    return jnp.clip(box.rounded(guess), box.lower, box.upper)


def has_free(box: Box) -> bool:
    """Whether there is a parameter that a polish could move."""
    if is_traced(box):
        return box.whole is None or not box.whole.all()
    movable = box.upper > box.lower
    return bool(np.any(movable if box.whole is None else movable & ~box.whole))


def as_index(polish: Any) -> Any:
    """How many members to polish: True is one."""
    return int(polish) if isinstance(polish, bool | np.bool_) else polish


def count(name: str, value: Any, least: int) -> int:
    """An option that is a whole number."""
    if operator.index(value) < least:
        raise ValueError(f"{name} must be at least {least}; got {value}.")
    return operator.index(value)
