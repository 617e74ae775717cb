"""Parameters: their declarations, checks of their values, and the spaces that searches move in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MethodType
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jax.scipy.special import ndtr
from jaxtyping import Array, Float, Shaped

from jaxcmr.names import did_you_mean
from jaxcmr.optimize import Box
from jaxcmr.typing import Bounds, Declared, Parameters

__all__ = [
    "ABOVE_0",
    "BELOW_1",
    "DECADES",
    "Parameter",
    "ParameterSpace",
    "as_candidates",
    "bind",
    "check_given",
    "check_limits",
    "check_names",
    "count_axes",
    "declared_by",
    "function_of",
    "merge",
    "names_of",
    "reads",
    "to_double",
]

ABOVE_0, BELOW_1 = 2.220446049250313e-16, 0.9999999999999998
"""The usual bounds of a share that may be neither 0 nor 1, as in published fits of CMR."""

DECADES: Mapping[str, float] = {"linear": 0.0, "half-log": 2.0, "log": 4.0}
"""Factors of ten below the upper bound that a scale spaces logarithmically, 0 for a linear scale.
The rest, down to the lower bound (which may be 0), is linear."""

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Parameter:
    """A parameter of a model, declared beside the equation that reads it.

    >>> rate = Parameter("drift_rate", 0.0, 1.0, "β", "How far context moves.", limits=(0, 1))
    >>> rate.bounds, rate.scale
    ([0.0, 1.0], 'linear')
    """

    name: str
    low: float
    """Lower end of its usual bounds."""
    high: float
    """Upper end of its usual bounds."""
    symbol: str
    """How papers write it, in Unicode."""
    meaning: str
    """What it does, in one sentence."""
    scale: str = "linear"
    """Scale on which it is better searched: "log" for strengths, whose ratios matter."""
    limits: tuple[float, float] = (-np.inf, np.inf)
    """Lowest and highest value for which the model is defined, both included."""

    @property
    def bounds(self) -> list[float]:
        """Return its usual bounds, ``[low, high]``."""
        return [self.low, self.high]


def reads(*parameters: Parameter, vectorized: bool = False) -> Callable[[F], F]:
    """Declare the parameters that a function reads when it creates a part of a model.

    The function gets an attribute ``parameters``, from which those of a model are collected, and an
    attribute ``vectorized``.

    Args:
        parameters: what it reads.
        vectorized: whether the part can be created with the parameters of many candidates,
            (n_candidates,) each, and then keeps candidates on the last axis of all that it takes
            and returns, after items or units. Each candidate must come out as it does by itself.
            A model is played for a whole population at once, which is much faster, only if this
            holds for all of its parts. Broadcasting does most of it; what must be avoided are sums
            over all axes.

    >>> @reads(Parameter("threshold", 0.0, 1.0, "θ", "Support below which recall stops."))
    ... def create(n_items, parameters):
    ...     return parameters["threshold"]
    >>> [parameter.name for parameter in create.parameters]
    ['threshold']
    """

    def declare(create: F) -> F:
        create.parameters = parameters  # type: ignore[attr-defined]
        create.vectorized = vectorized  # type: ignore[attr-defined]
        return create

    return declare


def declared_by(create: object) -> tuple[Parameter, ...]:
    """Return the parameters that `create` reads, as `reads` declared them.

    Raises:
        ValueError: they are not declared.

    >>> declared_by(reads()(lambda n_items, parameters: None))
    ()
    """
    function = function_of(create)
    if not isinstance(function, Declared):
        raise ValueError(
            f"{create!r} does not say which parameters it reads: declare them with "
            "@jaxcmr.parameters.reads(...), which may be empty."
        )
    return tuple(function.parameters)


def function_of(create: object) -> object:
    """Return the function of a bound method, which is what holds its declarations.

    From Python 3.12 on, `isinstance` of a protocol does not look there by itself.

    >>> function_of("".join) == "".join  # a method of a built-in class has none
    True
    """
    return create.__func__ if isinstance(create, MethodType) else create


def merge(*groups: Iterable[Parameter]) -> tuple[Parameter, ...]:
    """Return the parameters of several parts, each once, in the order of declaration.

    Raises:
        ValueError: two parts declare one name differently.

    >>> a, b = (Parameter(name, 0.0, 1.0, name, "An example.") for name in "ab")
    >>> names_of(merge([a], [b, a]))
    ('a', 'b')
    """
    merged: dict[str, Parameter] = {}
    for parameter in (parameter for group in groups for parameter in group):
        if merged.setdefault(parameter.name, parameter) != parameter:
            raise ValueError(
                f"Two parts of the model declare the parameter {parameter.name!r} differently: "
                f"{merged[parameter.name]} and {parameter}. Rename one of them."
            )
    return tuple(merged.values())


def names_of(parameters: Iterable[Parameter]) -> tuple[str, ...]:
    """Return the names of parameters.

    >>> names_of([Parameter("rate", 0.0, 1.0, "β", "How far context moves.")])
    ('rate',)
    """
    return tuple(parameter.name for parameter in parameters)


def bind(base: Parameters, names: Sequence[str], x: Shaped[Any, "n_params ..."]) -> dict[str, Any]:
    """Return parameters by name: `base`, with ``names[i]`` set to ``x[i]``.

    >>> bind({"learning_rate": 0.5}, ["item_support"], [2.0])
    {'learning_rate': 0.5, 'item_support': 2.0}
    """
    return {**base, **{name: x[i] for i, name in enumerate(names)}}


def to_double(parameters: Parameters) -> dict[str, np.ndarray]:
    """Return parameters in double precision, from which any precision gets its nearest number.

    >>> to_double({"learning_rate": 1})["learning_rate"].dtype
    dtype('float64')
    """
    return {name: np.asarray(value, np.float64) for name, value in parameters.items()}


def as_candidates(
    parameters: Parameters, rank: int | None = None
) -> dict[str, Float[Array, "..."]]:
    """Return parameters as arrays of the working precision with equally many axes.

    Numbers that hold for all candidates have axes of length 1. A model has the same dtypes before
    and after its first step.

    Args:
        parameters: values by name, scalars or of several candidates.
        rank: number of axes of candidates; by default the most that a value has.

    >>> as_candidates({"learning_rate": 1})
    {'learning_rate': Array(1., dtype=float32)}
    >>> as_candidates({"learning_rate": 0, "item_support": jnp.array([1.0, 2.0])})["learning_rate"]
    Array([0.], dtype=float32)
    """
    dtype = jnp.result_type(float)
    values = {name: jnp.asarray(value, dtype) for name, value in parameters.items()}
    rank = count_axes(values) if rank is None else rank
    return {
        name: value.reshape((1,) * rank) if value.ndim == 0 else value
        for name, value in values.items()
    }


def count_axes(parameters: Parameters) -> int:
    """Return the number of axes of candidates: 0 if all parameters are scalars.

    >>> count_axes({"learning_rate": 0.5, "item_support": jnp.array([1.0, 2.0])})
    1
    """
    return max((jnp.ndim(value) for value in parameters.values()), default=0)


def check_given(parameters: Parameters, declared: Iterable[Parameter]) -> None:
    """Check that every declared parameter has a value.

    Raises:
        ValueError: one is missing.

    >>> check_given({}, [Parameter("rate", 0.0, 1.0, "β", "How far context moves.")])
    Traceback (most recent call last):
    ValueError: The model needs a value of parameter 'rate'. There are: none.
    """
    for name in names_of(declared):
        if name not in parameters:
            raise ValueError(
                f"The model needs a value of parameter {name!r}. {did_you_mean(name, parameters)}"
            )


def check_names(names: Iterable[str], declared: Sequence[Parameter]) -> None:
    """Check that a model has parameters of these names.

    Raises:
        ValueError: it does not declare one of them.

    >>> check_names(["rate"], [Parameter("rate", 0.0, 1.0, "β", "How far context moves.")])
    """
    known = names_of(declared)
    for name in names:
        if name not in known:
            raise ValueError(
                f"The model has no parameter {name!r}. {did_you_mean(name, known)} (A part of your "
                "own declares what it reads: see jaxcmr.parameters.reads.)"
            )


def check_limits(values: Mapping[str, Any], declared: Iterable[Parameter]) -> None:
    """Check that parameters are inside the limits of their model.

    Args:
        values: numbers or arrays of numbers by name, such as values, starting points or bounds.
        declared: parameters of the model.

    Raises:
        ValueError: a value is outside the limits, or NaN.

    >>> rate = Parameter("rate", 0.0, 1.0, "β", "How far context moves.", limits=(0.0, 1.0))
    >>> check_limits({"rate": [0.0, 1.0]}, [rate])
    >>> check_limits({"rate": 1.2}, [rate])
    Traceback (most recent call last):
    ValueError: Parameter 'rate' is 1.2, but the model is defined from 0.0 to 1.0 only. ...
    """
    limits = {parameter.name: parameter.limits for parameter in declared}
    for name, value in values.items():
        low, high = limits.get(name, (-np.inf, np.inf))
        if (low, high) == (-np.inf, np.inf):
            continue
        given = np.asarray(value, np.float64)
        outside = given[~((given >= low) & (given <= high))]
        if outside.size:
            to = "upwards" if high == np.inf else f"to {high}"
            raise ValueError(
                f"Parameter {name!r} is {outside.flat[0]}, but the model is defined from {low} "
                f"{to} only. Give a value, or bounds, inside these limits."
            )


class ParameterSpace(eqx.Module):
    """Bounded parameters, as places in a unit cube and as unconstrained numbers.

    - Unit cube, for searches. On a linear scale ``x = low + (high - low) z``; on a logarithmic one
      ``x = low + (high - low) (R^z - 1) / (R - 1)`` with ``R = 10^decades``: equal steps of z are
      equal ratios of x, down to the share 1 / R of its range.
    - Unconstrained, for samplers: ``z = 1 / (1 + exp(-y))``, or ``z = Phi(y)`` on the probit scale,
      where a standard normal y is uniform on the unit cube.

    Estimates are used in the working precision, whichever precision found them. So bounds are
    rounded inwards to numbers that the working precision can hold. Only the end of the cube is the
    upper bound: to float32 a learning rate of 1 - 1e-9 would be 1, at which CMR is another model.

    A space belongs to the precision it was made in: make it within ``jax.enable_x64`` for double.

    >>> space = ParameterSpace.make({"item_support": [0.0, 100.0]}, {"item_support": "log"})
    >>> float(space.from_unit(jnp.array([0.5]))[0].round(2))
    0.99
    >>> space.to_unit([100.0]).tolist()
    [1.0]
    """

    low: np.ndarray
    high: np.ndarray
    below_high: np.ndarray  # the next number below `high`, in the working precision
    decades: np.ndarray  # 0 on a linear scale

    @classmethod
    def make(cls, bounds: Bounds, scales: Mapping[str, str]) -> ParameterSpace:
        """Return the space of parameters with these bounds and scales (names of `DECADES`)."""
        box = Box.from_bounds(list(bounds.values()))
        low, high = np.asarray(box.lower), np.asarray(box.upper)
        return cls(
            low.astype(float),
            high.astype(float),
            np.nextafter(high, low).astype(float),
            np.array([DECADES[scales[name]] for name in bounds]),
        )

    def from_unit(self, z: Float[Array, "n_params ..."]) -> Float[Array, "n_params ..."]:
        """Return parameters at the place(s) `z`, in the precision of `z`."""
        shape = (-1,) + (1,) * (z.ndim - 1)
        low, high, below_high = (
            jnp.asarray(end, z.dtype).reshape(shape)
            for end in (self.low, self.high, self.below_high)
        )
        steepness = jnp.asarray(self.decades * np.log(10.0), z.dtype).reshape(shape)
        is_log = steepness > 0
        share = jnp.expm1(steepness * z) / jnp.where(is_log, jnp.expm1(steepness), 1.0)
        share = jnp.where(is_log, share, z)
        inside = jnp.clip(low + (high - low) * share, low, below_high)
        at_end = high + (high - low) * (share - 1)  # share is 1: `high`, kept differentiable
        return jnp.where(share < 1, inside, at_end)

    def to_unit(self, x: Sequence[float]) -> np.ndarray:
        """Return the places of parameters `x`, clipped to the bounds.

        Values below an upper bound map strictly below 1, in the working precision.
        """
        share = np.clip((np.asarray(x, float) - self.low) / (self.high - self.low), 0.0, 1.0)
        steepness = self.decades * np.log(10.0)
        is_log = steepness > 0
        log_share = np.log1p(share * np.expm1(steepness)) / np.where(is_log, steepness, 1.0)
        place = np.where(is_log, log_share, share)
        one = np.ones((), jnp.result_type(float))
        return np.where(share < 1, np.minimum(place, np.nextafter(one, 0 * one)), place)

    def from_unconstrained(self, y: Float[Array, " n_params"]) -> Float[Array, " n_params"]:
        """Return the parameters of unconstrained numbers, which may be any."""
        return self.from_unit(jax.nn.sigmoid(y))

    def to_unconstrained(self, x: Sequence[float]) -> np.ndarray:
        """Return the unconstrained numbers of parameters; infinite for those on a bound."""
        place = self.to_unit(x)
        with np.errstate(divide="ignore"):
            return np.log(place) - np.log1p(-place)

    def from_probit(self, y: Float[Array, "n_params ..."]) -> Float[Array, "n_params ..."]:
        """Return the parameters of numbers on the probit scale, ``z = Phi(y)``."""
        return self.from_unit(ndtr(y))

    def to_probit(self, x: Sequence[float]) -> np.ndarray:
        """Return the probit of the places of parameters; infinite for those on a bound."""
        return scipy.special.ndtri(self.to_unit(x))

    def log_jacobian(self, y: Float[Array, " n_params"]) -> Float[Array, ""]:
        """Return ``log |det dx/dy|`` of `from_unconstrained`, a sum over parameters.

        ``dx/dy = dx/dz z (1 - z)``, where ``dx/dz`` is ``high - low`` on a linear scale and
        ``(high - low) k exp(k z) / (exp(k) - 1)`` with ``k = decades log(10)`` on a logarithmic
        one. Adding it turns a log density of parameters into one of unconstrained numbers.
        """
        k = jnp.asarray(self.decades * np.log(10.0), y.dtype)
        width = jnp.asarray(self.high - self.low, y.dtype)
        is_log = k > 0
        safe = jnp.where(is_log, k, 1.0)
        log_scale = jnp.where(
            is_log, jnp.log(safe) + k * jax.nn.sigmoid(y) - jnp.log(jnp.expm1(safe)), 0.0
        )
        log_share = jax.nn.log_sigmoid(y) + jax.nn.log_sigmoid(-y)  # log z + log(1 - z)
        return jnp.sum(jnp.log(width) + log_scale + log_share)
