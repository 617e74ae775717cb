"""The bounds and options of a run, checked at the door."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from jaxcmr.optimize._box import Box
from jaxcmr.optimize._generation import Settings
from jaxcmr.optimize._populations import POPULATIONS
from jaxcmr.optimize._strategies import STRATEGIES

__all__ = ["make_problem"]

UPDATING = ("immediate", "deferred")


def make_problem(
    bounds: ArrayLike,
    *,
    popsize: int = 15,
    strategy: str = "best1bin",
    mutation: float | Sequence[float] = (0.5, 1.0),
    recombination: float = 0.7,
    tol: float = 0.01,
    atol: float = 0.0,
    updating: str = "immediate",
    init: str = "latinhypercube",
) -> tuple[Box, Settings]:
    """The box and the settings of a run, from options with SciPy's names and defaults.

    Raises:
        ValueError: an unknown choice, a number out of range, or too few members for the strategy.
    """
    box = Box.from_bounds(bounds)
    if operator.index(popsize) < 1:
        raise ValueError(f"popsize must be at least 1; got {popsize}.")
    members = max(5, popsize * int(np.sum(np.asarray(box.upper > box.lower))))
    check_known("strategy", strategy, STRATEGIES)
    check_known("init", init, POPULATIONS)
    check_known("updating", updating, dict.fromkeys(UPDATING))
    needed = STRATEGIES[strategy].n_partners + 1
    if members < needed:
        raise ValueError(
            f"A population of {members} is too small: '{strategy}' needs at least {needed} members."
        )
    dither = np.broadcast_to(np.asarray(mutation, float), (2,))
    if not (np.all(dither >= 0) and np.all(dither < 2) and dither[0] <= dither[1]):
        raise ValueError(
            f"mutation must be a number in [0, 2), or (low, high) with low <= high; got {mutation}."
        )
    if not 0 <= recombination <= 1:
        raise ValueError(f"recombination must be in [0, 1]; got {recombination}.")
    for name, tolerance in (("tol", tol), ("atol", atol)):
        if not tolerance >= 0:
            raise ValueError(f"{name} must be a number >= 0; got {tolerance}.")
    dtype = jnp.result_type(float)
    settings = Settings(
        mutation=jnp.asarray(dither, dtype),
        recombination=jnp.asarray(recombination, dtype),
        tol=jnp.asarray(tol, dtype),
        atol=jnp.asarray(atol, dtype),
        strategy=strategy,
        init=init,
        updating=updating,
        members=members,
    )
    return box, settings


def check_known(option: str, value: Any, table: Mapping[str, Any]) -> None:
    """Raises a ValueError that names the closest entry if `value` is not in `table`."""
    if value not in table:
        close = get_close_matches(str(value), table, n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise ValueError(f"Unknown {option} {value!r}; known: {', '.join(table)}.{hint}")
