"""Between a vector an optimiser moves and the names a model reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxcmr.names import did_you_mean
from jaxcmr.typing import Parameters

__all__ = [
    "Limits",
    "bind",
    "check_limits",
    "doubles",
    "names_read",
    "refuse_unread",
    "require",
    "scalar_arrays",
]

Limits = Mapping[str, tuple[float, float]]
"""Lowest and highest value of parameters for which a model is defined, both included. A limit may
be infinite; a parameter that is not named has no limits."""


def bind(base: Parameters, names: Sequence[str], x: Any) -> dict[str, Any]:
    """Parameters by name: `base`, with ``names[i]`` set to ``x[i]``."""
    return {**base, **{name: x[i] for i, name in enumerate(names)}}


def doubles(parameters: Parameters) -> dict[str, np.ndarray]:
    """Parameters in double precision, so that any working precision gets its nearest number."""
    return {name: np.asarray(value, np.float64) for name, value in parameters.items()}


def require(parameters: Parameters, names: Sequence[str]) -> None:
    """Raises a ValueError for a name of `names` that `parameters` lacks."""
    for name in names:
        if name not in parameters:
            raise ValueError(
                f"The model needs a value of parameter {name!r}. {did_you_mean(name, parameters)}"
            )


def check_limits(values: Parameters, limits: Limits | None) -> None:
    """Check that parameters are inside the limits of their model.

    Args:
        values: numbers or arrays of numbers by name, such as values, starting points or bounds.
        limits: lowest and highest value by name; None for no limits.

    Raises:
        ValueError: a value is outside the limits, or NaN.

    >>> check_limits({"learning_rate": [0.0, 1.0]}, {"learning_rate": (0.0, 1.0)})
    >>> check_limits({"learning_rate": 1.2}, {"learning_rate": (0.0, 1.0)})
    Traceback (most recent call last):
    ValueError: Parameter 'learning_rate' is 1.2, but the model is defined from 0.0 to 1.0 only. ...
    """
    for name, value in values.items():
        if limits is None or name not in limits:
            continue
        low, high = limits[name]
        given = np.asarray(value, np.float64)
        outside = given[~((given >= low) & (given <= high))]
        if outside.size:
            to = "upwards" if high == np.inf else f"to {high}"
            raise ValueError(
                f"Parameter {name!r} is {outside.flat[0]}, but the model is defined from {low} "
                f"{to} only. Give a value, or bounds, inside these limits."
            )


def refuse_unread(given: Parameters, read: Sequence[str]) -> None:
    """Raises a ValueError for a name in `given` that is not in `read`."""
    for name in given:
        if name not in read:
            raise ValueError(f"The model has no parameter {name!r}. {did_you_mean(name, read)}")


def scalar_arrays(parameters: Parameters) -> Mapping[str, Float[Array, ""]]:
    """Parameters as scalar arrays of the working precision, whatever numbers they were given as,
    so that a model's dtypes are the same before and after its first step."""
    if isinstance(parameters, _Recorder):
        return parameters
    dtype = jnp.result_type(float)
    return {name: jnp.asarray(value, dtype) for name, value in parameters.items()}


class _Recorder(dict[str, Any]):
    """Has every parameter, and afterwards holds those that were asked for."""

    def __missing__(self, name: str) -> float:
        return self.setdefault(name, 0.5)


def names_read(create_model: Callable[[Parameters], Any]) -> tuple[str, ...]:
    """The parameter names that `create_model` looks up, in the order it does so."""
    recorder = _Recorder()
    create_model(recorder)
    return tuple(recorder)
