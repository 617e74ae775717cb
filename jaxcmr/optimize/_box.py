"""The search box: between the user's units and the unit cube that the engine works on."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

__all__ = ["Box"]


class Box(eqx.Module):
    """Bounds ``lower <= x <= upper``, both (n_params,) and finite."""

    lower: Float[Array, " n_params"]
    upper: Float[Array, " n_params"]

    @classmethod
    def from_bounds(cls, bounds: ArrayLike) -> Box:
        """The box of `bounds`, (n_params, 2).

        Bounds that the working precision cannot hold are rounded into the box, not out of it: in
        float32 an upper bound of ``1 - 2.2e-16`` must not become 1.

        Raises:
            ValueError: wrong shape, not finite, or lower > upper.
        """
        wanted = np.asarray(bounds, dtype=np.float64)
        if wanted.ndim != 2 or wanted.shape[1] != 2 or not len(wanted):
            raise ValueError(
                f"bounds must be (low, high) pairs, shape (n_params, 2); got shape {wanted.shape}."
            )
        for i, (low, high) in enumerate(wanted):
            if not (np.isfinite(low) and np.isfinite(high)):
                raise ValueError(f"bounds[{i}] = ({low}, {high}) must be finite.")
            if low > high:
                raise ValueError(f"bounds[{i}] = ({low}, {high}) must have low <= high.")
        dtype = np.dtype(jnp.result_type(float))
        lower, upper = wanted[:, 0].astype(dtype), wanted[:, 1].astype(dtype)
        lower = np.where(lower < wanted[:, 0], np.nextafter(lower, dtype.type(np.inf)), lower)
        upper = np.where(upper > wanted[:, 1], np.nextafter(upper, dtype.type(-np.inf)), upper)
        return cls(jnp.asarray(lower), jnp.asarray(np.maximum(lower, upper)))

    def to_user(self, unit: Float[Array, "... n_params"]) -> Float[Array, "... n_params"]:
        """From the unit cube to the user's units; never outside the box by rounding."""
        return jnp.clip(self.lower + unit * (self.upper - self.lower), self.lower, self.upper)

    def to_unit(self, x: Float[Array, "... n_params"]) -> Float[Array, "... n_params"]:
        """From the user's units to the unit cube; a fixed coordinate (lower = upper) goes to 0."""
        width = self.upper - self.lower
        return jnp.where(width > 0, (x - self.lower) / jnp.where(width > 0, width, 1.0), 0.0)

    def contains(self, x: Any) -> bool:
        """Whether `x` (n_params,) lies in the box, up to the rounding of the bounds."""
        x = np.asarray(x, np.dtype(self.lower.dtype))
        slack = 2 * np.finfo(x.dtype).eps * np.maximum(abs(self.lower), abs(self.upper))
        return bool(np.all((x >= self.lower - slack) & (x <= self.upper + slack)))
