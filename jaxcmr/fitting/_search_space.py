"""The coordinates in which a search moves: each parameter on a linear or a logarithmic scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxcmr.names import did_you_mean
from jaxcmr.optimize import Box
from jaxcmr.typing import LossFn

__all__ = ["ALTERNATE", "SCALES", "SearchSpace", "choose_scales"]

SCALES: Mapping[str, float] = {"linear": 0.0, "half-log": 2.0, "log": 4.0}
"""Decades, by scale: how far down from its upper bound it is logarithmic. Below that it is linear,
so that it goes on to the lower bound, 0 included."""

ALTERNATE = ("log", "half-log")
"""The scales of runs 0, 1, ..., and again from the first."""


def choose_scales(
    scale: Any, bounds: Mapping[str, Sequence[float]], of_model: Mapping[str, str], run: int = 0
) -> dict[str, str]:
    """The scale of each parameter in run number `run`.

    Args:
        scale: "linear"; "log" or "half-log", which leave parameters linear that may be negative;
            "auto", the scale that the model names, and "linear" where it names none; "alternate",
            those of `ALTERNATE` by turns; or a dict of these by parameter, "auto" for those left
            out.
        bounds: [low, high] by parameter.
        of_model: scales that the model names, by parameter.

    Raises:
        ValueError: another word or an unknown parameter.
    """
    by_name = dict(scale) if isinstance(scale, Mapping) else dict.fromkeys(bounds, scale)
    for name in by_name:
        if name not in bounds:
            raise ValueError(f"'scale' names {name!r}. {did_you_mean(name, list(bounds))}")
    chosen = {}
    for name, (low, _) in bounds.items():
        word = by_name.get(name, "auto")
        meant = {"auto": of_model.get(name, "linear"), "alternate": ALTERNATE[run % len(ALTERNATE)]}
        word = meant.get(word, word)
        if word not in SCALES:
            known = ", ".join([*SCALES, *meant])
            raise ValueError(f"The scale of {name!r} must be one of {known}; got {word!r}.")
        chosen[name] = word if low >= 0 else "linear"
    return chosen


class SearchSpace(eqx.Module):
    """A unit cube, and the way from there to parameters.

    On a linear scale, ``x = low + (high - low) z``. On a logarithmic scale ``x = low + (high - low)
    (R^z - 1) / (R - 1)`` with ``R = 10^decades``: equal steps of z are equal ratios of x, down to
    the share 1 / R of its range.

    Estimates are used later in the working precision, whatever that of the polish. So bounds are
    numbers that it can hold, rounded inwards, and only the end of the cube is the upper bound: to
    float32 a learning rate of 1 - 1e-9 would be 1, at which CMR is another model.
    """

    low: np.ndarray
    high: np.ndarray
    below_high: np.ndarray  # the next number, in the working precision
    decades: np.ndarray  # 0 on a linear scale

    @classmethod
    def of(cls, bounds: Mapping[str, Sequence[float]], scales: Mapping[str, str]) -> SearchSpace:
        """The space of parameters with these bounds and scales."""
        box = Box.from_bounds(list(bounds.values()))
        low, high = np.asarray(box.lower), np.asarray(box.upper)
        return cls(
            low.astype(float),
            high.astype(float),
            np.nextafter(high, low).astype(float),
            np.array([SCALES[scales[name]] for name in bounds]),
        )

    def to_user(self, z: Float[Array, "n_params ..."]) -> Float[Array, "n_params ..."]:
        """Parameters at the place(s) `z`, in the precision of `z`."""
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
        at_end = high + (high - low) * (share - 1)  # `high`, with the slope that it has there
        return jnp.where(share < 1, inside, at_end)

    def to_unit(self, x: Sequence[float]) -> np.ndarray:
        """The place of parameters `x`, (n_params,), those out of bounds moved to the nearest. What
        is below an upper bound has a place below 1, in the working precision."""
        share = np.clip((np.asarray(x, float) - self.low) / (self.high - self.low), 0.0, 1.0)
        steepness = self.decades * np.log(10.0)
        is_log = steepness > 0
        log_share = np.log1p(share * np.expm1(steepness)) / np.where(is_log, steepness, 1.0)
        place = np.where(is_log, log_share, share)
        one = np.ones((), jnp.result_type(float))
        return np.where(share < 1, np.minimum(place, np.nextafter(one, one - one)), place)

    def loss(self, loss: LossFn) -> LossFn:
        """`loss` as a function of places."""
        return Rescaled(loss, self)


class Rescaled(eqx.Module):
    """A loss as a function of places in a search space."""

    of_user: LossFn
    space: SearchSpace

    @property
    def has_slope(self) -> bool:
        """Whether the loss has a slope to follow."""
        return getattr(self.of_user, "has_slope", True)

    def __call__(self, z: Float[Array, "n_params ..."]) -> Float[Array, "..."]:
        """The loss at `z`."""
        return self.of_user(self.space.to_user(z))
