"""What only plain Python can do with a run: call a function of the user between generations, or
let one polish its end."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray
from scipy.optimize import Bounds

from jaxcmr.optimize._box import Box
from jaxcmr.optimize._compiled import Compiled
from jaxcmr.optimize._generation import Objective, Settings
from jaxcmr.optimize._precision import in_double, works_in_double
from jaxcmr.optimize._result import OptimizeResults
from jaxcmr.optimize._run import advance, finish, polished, start, summarize

__all__ = ["polish_by", "solve_watched"]

compiled_start = Compiled(start)
compiled_advance = Compiled(advance)
compiled_summarize = Compiled(summarize)
compiled_finish = Compiled(finish)
compiled_polished = Compiled(polished)
compiled_value = Compiled(lambda objective, x: objective(x[:, None])[0])


def solve_watched(
    func: Objective,
    polish_func: Objective,
    box: Box,
    settings: Settings,
    key: PRNGKeyArray,
    x0: Array | None,
    population: Array | None,
    agree_tol: Array,
    polish_members: int,
    restarts: int,
    *,
    callback: Callable[..., Any],
) -> OptimizeResults:
    """`solve`, with `callback` called after every generation; it may stop the search."""
    if restarts > 1:
        raise ValueError("A callback follows one run; leave restarts at 1.")
    state = compiled_start(func, box, settings, key, x0, population)
    stopped = False
    while not stopped and not compiled_summarize(settings, state).has_ended:
        state = compiled_advance(func, box, settings, state, state.generation + 1)
        stopped = asks_to_stop(callback, compiled_finish(box, settings, state, x0), settings)
    result = compiled_finish(box, settings, state, x0)
    if stopped:
        result = result._replace(success=jnp.array(False), status=jnp.array(5))
    return compiled_polished(polish_func, box, result, polish_members) if polish_members else result


def asks_to_stop(callback: Callable[..., Any], result: OptimizeResults, settings: Settings) -> bool:
    """What `callback` says of the run so far; it has one of the two forms that SciPy knows."""
    try:
        if takes_result(callback):
            so_far = result._replace(success=jnp.array(True), status=jnp.array(-1))
            return bool(callback(intermediate_result=so_far))
        energies = np.asarray(result.population_energies)
        spread = np.std(energies) / (abs(np.mean(energies)) + np.finfo(float).eps)
        convergence = settings.tol / (spread + np.finfo(float).eps)
        return bool(callback(np.array(result.x), float(convergence)))
    except StopIteration:
        return True


def takes_result(callback: Callable[..., Any]) -> bool:
    """Whether `callback` is of SciPy's newer form; some built-in functions will not tell."""
    try:
        return set(inspect.signature(callback).parameters) == {"intermediate_result"}
    except ValueError:
        return False


def polish_by(
    polish: Callable[..., Any], func: Objective, box: Box, result: OptimizeResults
) -> OptimizeResults:
    """`result` with its best member polished by a function of the user.

    That function is given `func` in double precision, if it can be: it may take differences.

    Raises:
        ValueError: it returned something else than an OptimizeResult.
    """
    start = np.asarray(result.x)
    lower, upper = np.array(box.lower), np.array(box.upper)
    if box.whole is not None:
        whole = np.asarray(box.whole)
        lower[whole] = upper[whole] = start[whole]
    end = polish(
        partial(value_in_double, func),
        start.astype(float),
        bounds=Bounds(lower, upper),
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
    """Return ``func(x)`` in double precision, or in the working precision if it takes no other."""
    if works_in_double(func, len(x)):
        with jax.enable_x64(True):
            return float(compiled_value(in_double([func])[0], jnp.asarray(x, float)))
    return float(compiled_value(func, jnp.asarray(x, jnp.result_type(float))))
