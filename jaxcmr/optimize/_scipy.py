"""SciPy's face: `differential_evolution` with the options that only SciPy's users need.

Here, and nowhere else: functions with `args`, `workers`, callbacks after each generation, a polish
by a function of the user, and SciPy's errors and warnings.
"""

from __future__ import annotations

import inspect
import operator
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy  # imports scipy.optimize when it is first used, which takes long
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, PRNGKeyArray, PyTree
from numpy.typing import ArrayLike

from jaxcmr.optimize._de import ShapeError
from jaxcmr.optimize._fingerprint import Fingerprinted, add_fingerprint
from jaxcmr.optimize._jit import (
    Compiled,
    Objective,
    check_leaves,
    check_not_forked,
    in_double,
    is_traced,
    works_in_double,
)
from jaxcmr.optimize._result import OptimizeResults
from jaxcmr.optimize._run import advance, finish, has_ended, polish_result, solve, start
from jaxcmr.optimize._settings import Settings, as_float, make_problem
from jaxcmr.optimize._space import Box

__all__ = ["differential_evolution"]

OUTSIDE = "Some entries in x0 lie outside the specified bounds"

compiled_solve = Compiled(solve)
compiled_start = Compiled(start)
compiled_advance = Compiled(advance)
compiled_has_ended = Compiled(has_ended)
compiled_finish = Compiled(finish)
compiled_polish = Compiled(polish_result)
compiled_value = Compiled(lambda objective, x: objective(x[:, None])[0])


class OutOfBoundsError(ValueError, eqx.EquinoxRuntimeError, jax.errors.JaxRuntimeError):
    """A starting point outside the box.

    Where Python can see it, this is a ValueError, as in SciPy. Where only the running program can,
    it is an error of Equinox, or of JAX if the program is the user's own `jax.jit`.
    """

    __str__ = BaseException.__str__  # JAX's would look for members that only its own errors have


def differential_evolution(
    func: Callable[..., Any],
    /,
    bounds: ArrayLike | scipy.optimize.Bounds,
    *,
    args: Any = (),
    key: Array | None = None,
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
    """Minimize `func` in a box by differential evolution (Storn & Price, 1997).

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
            ``(n_params, S) -> (S,)``. NaN counts as infinite.
        bounds: (n_params, 2) finite (low, high) pairs, or `scipy.optimize.Bounds`. A parameter
            with low = high is fixed.
        args: a tuple of further arguments of `func`, or the only one. Arrays and numbers are
            traced.
        key: random key; `jax.random.key(0)` by default. The same key gives the same result.
        strategy: a name in `jaxcmr.optimize.STRATEGIES`, or a function
            ``strategy(candidate, population, rng=key) -> (n_params,)`` that returns the trial
            vector of member number `candidate`; `population` (S, n_params) is in the unit cube,
            best member first, and `rng` is a random key.
        maxiter: most generations, in terms of evaluations: ``(maxiter + 1) * S``. Of these a
            strategy that shrinks its population makes more, smaller generations.
        maxfun: most evaluations before the polish.
        popsize: the population has ``S = popsize * n_params`` members (at least 5); parameters
            that are fixed do not count.
        tol: relative tolerance: stop when ``std(losses) <= atol + tol |mean(losses)|``. By
            default 0.01, or 0 if `fatol` is given. Do not use it for a function like a
            log-likelihood, whose mean is far from 0: it stops as soon as losses differ by
            little compared with that.
        atol: absolute tolerance in the same rule.
        fatol: stop when ``max(losses) - min(losses) <= fatol``, in the units of `func`; a constant
            added to `func` changes nothing. None switches this rule off.
        mutation: scale F of the difference vectors in [0, 2); or (low, high), from which F is
            drawn once per generation. Adaptive strategies find their own.
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
            vector at a time) or "deferred" (once per generation; evaluates them together, which is
            faster).
        workers: devices of JAX that share the members, -1 for all; or a function
            ``workers(func, xs)`` that takes xs (S, n_params) to losses (S,). Other than 1 forces
            deferred updating.
        constraints: not supported.
        x0: (n_params,) a guess that becomes the first member; inside the bounds. Whole-number
            parameters are rounded.
        integrality: which parameters are whole numbers, (n_params,) booleans or one.
        vectorized: `func` takes all members at once; forces deferred updating.
        restarts: independent runs, side by side; the best is returned. The first is the run with
            restarts=1.
        agree_tol: how near to the best, in the units of `func`, a restart must end to be counted
            in ``result.agreed``.

    Returns:
        `OptimizeResults`.

    Raises:
        ValueError: an option is unknown or out of range, `x0` is outside the bounds, or `func`
            does not return a number. An `x0` that is traced raises when the program runs.
        TypeError: an argument in `args` is neither an array nor hashable, such as a pandas object.
        RuntimeError: this process was forked after JAX had started.
        NotImplementedError: constraints were given.

    Examples:
        >>> from jaxcmr.optimize import differential_evolution
        >>> def loss(x):
        ...     return ((x - 0.3) ** 2).sum()
        >>> result = differential_evolution(loss, [(0, 1), (-1, 1)], polish=False)
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
        updating=choose_updating(updating, workers, vectorized),
        init=init,
        integrality=integrality,
        disp=disp,
    )
    guess, key = as_guess(x0, box), as_key(key)
    n_polished = 0 if callable(polish) or not has_free(box) else as_count("polish", polish, 0)
    n_restarts = as_count("restarts", restarts, 1)
    for name, given in (("callback", callback), ("polish", polish)):
        if callable(given) and is_traced((objective, box, settings, key, guess, population)):
            raise ValueError(f"A {name} function cannot be called under jax.jit or jax.vmap.")
    try:
        traced = add_fingerprint(objective, box.lower.shape[0], settings.population_size)
        local = Fingerprinted(evaluate_here(objective), traced.fingerprint)
        run = traced, local, box, settings, key, guess, population
        if callback is None:
            result = compiled_solve(*run, as_float(agree_tol), n_polished, n_restarts)
        elif n_restarts > 1:
            raise ValueError("A callback follows one run; leave restarts at 1.")
        else:
            result = solve_with_callback(*run, n_polished, callback)
    except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError) as error:
        error.add_note(
            "differential_evolution compiles func: write it with jax.numpy, or call what cannot be "
            "compiled through jax.pure_callback."
        )
        raise
    if callable(polish):
        result = polish_by(polish, local, box, result)
    if disp:
        jax.effects_barrier()
    return result


# Options


def choose_updating(updating: str, workers: Any, vectorized: bool) -> str:
    """Return `updating`; "deferred", with SciPy's warning, if members are evaluated together."""
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
    """Return a typed key, by default that of 0."""
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


def as_guess(x0: ArrayLike | None, box: Box) -> Float[Array, " n_params"] | None:
    """Return `x0` as an array, whole numbers rounded; check that it lies in the box."""
    if x0 is None:
        return None
    guess = jnp.asarray(x0, jnp.result_type(float))
    if guess.shape != box.lower.shape:
        raise ValueError(f"x0 must have shape {box.lower.shape}; got {guess.shape}.")
    if is_traced((guess, box)):
        try:
            guess = eqx.error_if(guess, ~box.contains(guess), OUTSIDE)
        except eqx.EquinoxRuntimeError:  # under vmap without jit, the values are known
            raise OutOfBoundsError(f"{OUTSIDE} in some lane.") from None
    elif not box.contains(guess):
        raise OutOfBoundsError(
            f"{OUTSIDE}: {np.asarray(guess)} is not between {np.asarray(box.lower)} and "
            f"{np.asarray(box.upper)}."
        )
    return jnp.clip(box.round_whole(guess), box.lower, box.upper)


def has_free(box: Box) -> bool:
    """Return True if a polish could move any parameter."""
    if is_traced(box):
        return box.whole is None or not box.whole.all()
    movable = box.upper > box.lower
    return bool(np.any(movable if box.whole is None else movable & ~box.whole))


def as_count(name: str, value: Any, least: int) -> int:
    """Return an option that is a whole number; True is 1."""
    count = int(value) if isinstance(value, bool | np.bool_) else operator.index(value)
    if count < least:
        raise ValueError(f"{name} must be at least {least}; got {value}.")
    return count


# Objectives: the user's function as the engine calls it, (n_params, members) -> (members,)


def make_objective(
    func: Callable[..., Any], args: Any, vectorized: bool, workers: int | Callable[..., Any]
) -> Objective:
    """Return `func` with its `args`, for many members at once, evaluated by `workers`.

    Raises:
        ValueError: `workers` is neither a positive integer, -1 nor callable; or callable while
            `func` is vectorized; or an argument holds numbers that JAX would change.
        TypeError: an argument, or a leaf of `func`, is not hashable: a pandas object, say.
    """
    args = args if isinstance(args, tuple) else (args,)
    args = tuple(
        jax.tree.map(partial(as_data, f"args[{i}]"), argument) for i, argument in enumerate(args)
    )
    check_leaves("func", func)
    if callable(workers):
        owner = type(getattr(workers, "__self__", None)).__module__
        if owner.startswith(("multiprocessing", "concurrent")):
            raise ValueError(
                "workers is the map of a pool, but func is compiled, which other threads and "
                "processes cannot take part in. Take workers=-1, for all devices of JAX."
            )
        if vectorized:
            raise ValueError("If 'workers' is a callable, 'vectorized' must be False.")
        return Mapped(func, args, workers)
    objective = Vectorized(func, args) if vectorized else Columns(func, args)
    n_devices = count_devices(workers)
    return objective if n_devices == 1 else Sharded(objective, n_devices)


def evaluate_here(objective: Objective) -> Objective:
    """Return the function without its `workers`: a polish evaluates too few members to share."""
    if isinstance(objective, Mapped):
        return Columns(objective.func, objective.args)
    return objective.objective if isinstance(objective, Sharded) else objective


def as_data(name: str, leaf: Any) -> Any:
    """Return numbers as arrays, so that other numbers need no other program.

    NumPy arrays get the byte order of this machine, which JAX requires.
    """
    is_number = isinstance(leaf, int | float | complex) and not isinstance(leaf, bool)
    leaf = np.asarray(leaf) if is_number else leaf
    check_leaves(name, leaf)
    if isinstance(leaf, np.ndarray | np.generic):
        check_integers(name, leaf)
        leaf = leaf.astype(leaf.dtype.newbyteorder("="))
    return jnp.asarray(leaf) if is_number else leaf


def check_integers(name: str, array: np.ndarray | np.generic) -> None:
    """Raise a ValueError for whole numbers beyond the range that JAX would convert them to."""
    if array.dtype.kind not in "iu" or not array.size:
        return
    limits = np.iinfo(jax.dtypes.canonicalize_dtype(array.dtype))
    if np.min(array) < limits.min or np.max(array) > limits.max:
        raise ValueError(
            f"{name} holds whole numbers beyond {limits.dtype}, which JAX would wrap around: pass "
            "them as floats, or switch on double precision (jax_enable_x64)."
        )


def count_devices(workers: Any) -> int:
    """Return how many devices `workers` asks for, at most those that there are."""
    is_whole = isinstance(workers, int | np.integer) and not isinstance(workers, bool)
    if not is_whole or (workers < 1 and workers != -1):
        raise ValueError(
            "workers must be a positive integer or -1, for all devices, or a callable "
            f"workers(func, xs); got {workers!r}."
        )
    if workers == 1:
        return 1
    available = jax.local_device_count()
    if workers > available:
        warnings.warn(
            f"differential_evolution: workers={workers}, but JAX has {available} device(s). For "
            "more on a CPU, jax.config.update('jax_num_cpu_devices', ...) after importing JAX.",
            stacklevel=4,
        )
    return available if workers == -1 else min(int(workers), available)


class Vectorized(eqx.Module):
    """A function of all members at once."""

    func: Callable[..., Any]
    args: tuple[PyTree, ...] = ()

    def __call__(self, x: Float[Array, "n_params members"]) -> Array:
        return jnp.asarray(self.func(x, *self.args))


class Columns(eqx.Module):
    """A function of one vector, applied to every column."""

    func: Callable[..., Any]
    args: tuple[PyTree, ...] = ()

    def __call__(self, x: Float[Array, "n_params members"]) -> Array:
        return jax.vmap(partial(call_one, self.func, self.args), in_axes=1)(x)


class Mapped(eqx.Module):
    """A function of one vector, applied to every row by ``workers(func, xs)``."""

    func: Callable[..., Any]
    args: tuple[PyTree, ...]
    workers: Callable[..., Any]

    def __call__(self, x: Float[Array, "n_params members"]) -> Array:
        losses = self.workers(partial(call_one, self.func, self.args), x.T)
        losses = losses if eqx.is_array(losses) else jnp.stack(list(losses))
        if losses.shape != x.shape[1:]:
            raise ShapeError(
                f"workers(func, xs) must return shape {x.shape[1:]} for xs of shape {x.T.shape}; "
                f"got {losses.shape}."
            )
        return losses


class Sharded(eqx.Module):
    """An objective whose members are divided among devices."""

    objective: Objective
    n_devices: int = eqx.field(static=True)

    def __call__(self, x: Float[Array, "n_params members"]) -> Array:
        members = x.shape[1]
        padded = jnp.pad(x, ((0, 0), (0, -members % self.n_devices)), mode="edge")
        spec = PartitionSpec
        mesh = Mesh(np.array(jax.local_devices()[: self.n_devices]), ("members",))
        sharded = jax.shard_map(
            self.objective, mesh=mesh, in_specs=spec(None, "members"), out_specs=spec("members")
        )
        return sharded(padded)[:members]


def call_one(
    func: Callable[..., Any], args: tuple[Any, ...], x: Float[Array, " n_params"]
) -> Array:
    """Return ``func(x, *args)``, which must be a number or an array of one, as a scalar."""
    value = jnp.asarray(func(x, *args))
    if value.size != 1:
        raise ShapeError(f"func(x, *args) must return a scalar value; got shape {value.shape}.")
    return value.reshape(())


# Between generations and after the last: functions of the user


def solve_with_callback(
    func: Objective,
    polish_func: Objective,
    box: Box,
    settings: Settings,
    key: PRNGKeyArray,
    x0: Array | None,
    population: Array | None,
    polish_members: int,
    callback: Callable[..., Any],
) -> OptimizeResults:
    """Return what `solve` returns, calling `callback` after each generation; it may stop the run.

    `evolve_lanes` cannot take its place: it starts from an `x0` that went through the unit cube,
    and it polishes in double precision.
    """
    state = compiled_start(func, box, settings, key, x0, population)
    ended, stopped = compiled_has_ended(settings, state), False
    while not (ended or stopped):
        state, ended = compiled_advance(func, box, settings, state, state.generation + 1)
        stopped = asks_to_stop(callback, compiled_finish(box, settings, state, x0), settings)
    result = compiled_finish(box, settings, state, x0)
    if stopped:
        result = result._replace(success=jnp.array(False), status=jnp.array(5))
    return compiled_polish(polish_func, box, result, polish_members) if polish_members else result


def asks_to_stop(callback: Callable[..., Any], result: OptimizeResults, settings: Settings) -> bool:
    """Return True if `callback`, in either of SciPy's two forms, asks to stop the run."""
    try:
        if takes_result(callback):
            so_far = result._replace(success=jnp.array(True), status=jnp.array(-1))
            return bool(callback(intermediate_result=so_far))
        losses = np.asarray(result.population_energies)
        spread = np.std(losses) / (abs(np.mean(losses)) + np.finfo(float).eps)
        convergence = settings.tol / (spread + np.finfo(float).eps)
        return bool(callback(np.array(result.x), float(convergence)))
    except StopIteration:
        return True


def takes_result(callback: Callable[..., Any]) -> bool:
    """Return True if `callback` has SciPy's newer form; some built-ins have no signature."""
    try:
        return set(inspect.signature(callback).parameters) == {"intermediate_result"}
    except ValueError:
        return False


def polish_by(
    polish: Callable[..., Any], func: Objective, box: Box, result: OptimizeResults
) -> OptimizeResults:
    """Return `result` with its best member polished by a function of the user.

    That function is given `func` in double precision if it works there: it may take differences.

    Raises:
        ValueError: it did not return an OptimizeResult.
    """
    x0 = np.asarray(result.x)
    lower, upper = np.array(box.lower), np.array(box.upper)
    if box.whole is not None:
        whole = np.asarray(box.whole)
        lower[whole] = upper[whole] = x0[whole]
    end = polish(
        partial(value_in_double, func),
        x0.astype(float),
        bounds=scipy.optimize.Bounds(lower, upper),
        constraints=(),
    )
    if not (hasattr(end, "x") and hasattr(end, "fun")):
        raise ValueError(
            "The result from a user defined polishing function should return an OptimizeResult; "
            f"got {type(end).__name__}."
        )
    result = result._replace(
        nfev=result.nfev + int(getattr(end, "nfev", 0)),
        njev=result.njev + int(getattr(end, "njev", 0)),
    )
    inside = np.all((lower <= end.x) & (end.x <= upper))
    if not (inside and end.fun < result.fun):
        return result._replace(polish_status=jnp.array(5))
    x, fun = jnp.asarray(end.x, result.x.dtype), jnp.asarray(end.fun, result.fun.dtype)
    return result._replace(
        x=x,
        fun=fun,
        jac=getattr(end, "jac", None),
        polish_status=jnp.array(4),
        population=result.population.at[0].set(x),
        population_energies=result.population_energies.at[0].set(fun),
    )


def value_in_double(func: Objective, x: np.ndarray) -> float:
    """Return ``func(x)`` in double precision, or in the working precision if only that works."""
    if works_in_double(func, len(x)):
        with jax.enable_x64(True):
            return float(compiled_value(in_double([func])[0], jnp.asarray(x, float)))
    return float(compiled_value(func, jnp.asarray(x, jnp.result_type(float))))
