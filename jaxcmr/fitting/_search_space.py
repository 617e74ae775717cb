"""The coordinates in which a search moves: each parameter on a linear or a logarithmic scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from jaxcmr.names import did_you_mean
from jaxcmr.typing import LossFn

__all__ = ["SCALES", "SearchSpace", "choose_scales"]

SCALES = ("linear", "log")
DECADES = 4.0
"""How far down from its upper bound a logarithmic scale reaches; below that it is linear, so that
it goes on to the lower bound, 0 included."""


def choose_scales(
    scale: Any, bounds: Mapping[str, Sequence[float]], of_model: Mapping[str, str]
) -> dict[str, str]:
    """The scale of each parameter.

    Args:
        scale: "linear", "log", or "auto", the scale that the model names, and "linear" where it
            names none; or a dict of these by parameter, "auto" for those left out.
        bounds: [low, high] by parameter.
        of_model: scales that the model names, by parameter; "log" yields to a negative bound.

    Raises:
        ValueError: another word, an unknown parameter, or "log" with a negative bound.
    """
    by_name = dict(scale) if isinstance(scale, Mapping) else dict.fromkeys(bounds, scale)
    for name in by_name:
        if name not in bounds:
            raise ValueError(f"'scale' names {name!r}. {did_you_mean(name, list(bounds))}")
    chosen = {}
    for name, (low, _) in bounds.items():
        word = by_name.get(name, "auto")
        if word == "auto":
            word = of_model.get(name, "linear") if low >= 0 else "linear"
        if word not in SCALES:
            raise ValueError(f"The scale of {name!r} must be linear, log or auto; got {word!r}.")
        if word == "log" and low < 0:
            raise ValueError(
                f"{name!r} has a negative bound, {low}: search it on scale 'linear', not 'log'."
            )
        chosen[name] = word
    return chosen


class SearchSpace(eqx.Module):
    """The box that is searched, and the way from there to parameters.

    A parameter on a linear scale is searched as it is. One on a logarithmic scale is searched by a
    z in [0, 1], ``x = low + (high - low) (R^z - 1) / (R - 1)`` with ``R = 10^DECADES``: equal steps
    of z are equal ratios of x, down to a ten-thousandth of its range.
    """

    low: np.ndarray
    high: np.ndarray
    is_log: np.ndarray

    @classmethod
    def of(cls, bounds: Mapping[str, Sequence[float]], scales: Mapping[str, str]) -> SearchSpace:
        """The space of parameters with these bounds and scales."""
        low, high = np.array(list(bounds.values()), float).T
        return cls(low, high, np.array([scales[name] == "log" for name in bounds]))

    @property
    def bounds(self) -> list[tuple[float, float]]:
        """(low, high) of what is searched."""
        ends = np.where(self.is_log, 0.0, self.low), np.where(self.is_log, 1.0, self.high)
        return list(zip(*(end.tolist() for end in ends), strict=True))

    def to_user(self, z: Float[Array, "n_params ..."]) -> Float[Array, "n_params ..."]:
        """Parameters at the place(s) `z`, in the precision of `z`."""
        shape = (-1,) + (1,) * (z.ndim - 1)
        low, high = (jnp.asarray(end, z.dtype).reshape(shape) for end in (self.low, self.high))
        is_log, steepness = self.is_log.reshape(shape), DECADES * np.log(10.0)
        share = jnp.expm1(steepness * jnp.where(is_log, z, 0.0)) / np.expm1(steepness)
        return jnp.where(is_log, jnp.clip(low + (high - low) * share, low, high), z)

    def to_searched(self, x: ArrayLike) -> np.ndarray:
        """The place(s) of the parameters `x` (..., n_params)."""
        share = (np.asarray(x, float) - self.low) / (self.high - self.low)
        steepness = DECADES * np.log(10.0)
        return np.where(self.is_log, np.log1p(share * np.expm1(steepness)) / steepness, x)

    def loss(self, loss: LossFn) -> LossFn:
        """`loss` as a function of places."""
        return Rescaled(loss, self) if self.is_log.any() else loss


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
