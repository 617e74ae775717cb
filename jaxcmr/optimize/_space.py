"""The search box: between the user's units and the unit cube that the engine works on."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import scipy  # imports scipy.optimize when it is first used, which takes long
from jaxtyping import Array, Bool, Float
from numpy.typing import ArrayLike

from jaxcmr.optimize._jit import is_array, is_traced

__all__ = ["Box"]


class Box(eqx.Module):
    """Bounds ``lower <= x <= upper``, both (n_params,) and finite.

    `whole` marks parameters that are whole numbers, as their bounds then are: each of these
    numbers owns an equal share of the unit interval.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxcmr.optimize import Box
        >>> box = Box.from_bounds([(-1.0, 3.0), (5.0, 5.0)])
        >>> box.to_user(jnp.array([0.25, 0.9])).tolist()
        [0.0, 5.0]
        >>> box.to_unit(jnp.array([0.0, 5.0])).tolist()
        [0.25, 0.0]
    """

    lower: Float[Array, " n_params"]
    upper: Float[Array, " n_params"]
    whole: Bool[Array, " n_params"] | None = None

    @classmethod
    def from_bounds(
        cls, bounds: ArrayLike | scipy.optimize.Bounds, integrality: ArrayLike | None = None
    ) -> Box:
        """Return the box of `bounds`: (n_params, 2) pairs, or a `scipy.optimize.Bounds`.

        Bounds that the working precision cannot hold are rounded into the box, not out of it: in
        float32 an upper bound of ``1 - 2.2e-16`` must not become 1. Bounds that are traced are not
        checked.

        Raises:
            ValueError: wrong shape, not finite, lower > upper, no whole number between them, or
                too wide or too narrow for the working precision.
        """
        is_pairs = isinstance(bounds, list | tuple) or is_array(bounds)
        if not is_pairs and isinstance(bounds, scipy.optimize.Bounds):
            bounds = np.stack(np.broadcast_arrays(bounds.lb, bounds.ub), axis=1)
        if is_traced(bounds):
            pairs = jnp.asarray(bounds, jnp.result_type(float))
            check_shape(pairs.shape)
            whole = as_mask(integrality, len(pairs))
            lower, upper = pairs.T if whole is None else narrow_to_whole(jnp, pairs, whole).T
            return cls(lower, upper, whole)  # type: ignore[arg-type]  # a NumPy array will do
        wanted = np.asarray(bounds, dtype=np.float64)
        check_shape(wanted.shape)
        check_order(wanted)
        whole = as_mask(integrality, len(wanted))
        if whole is not None:
            wanted = narrow_to_whole(np, wanted, whole)
            if np.any(wanted[:, 0] > wanted[:, 1]):
                raise ValueError(
                    "One of the integrality constraints does not have any possible integer values "
                    f"between the lower/upper bounds: {np.asarray(bounds).tolist()}."
                )
        low, high = round_inward(wanted)
        check_width(wanted, low, high)
        return cls(low, high, whole)  # type: ignore[arg-type]

    @property
    def low_edge(self) -> Float[Array, " n_params"]:
        """The start of the unit interval, in the user's units."""
        return self.lower if self.whole is None else self.lower - 0.5 * self.whole

    @property
    def width(self) -> Float[Array, " n_params"]:
        """The length of the unit interval, in the user's units."""
        width = self.upper - self.lower
        return width if self.whole is None else width + self.whole

    def to_user(self, unit: Float[Array, "... n_params"]) -> Float[Array, "... n_params"]:
        """Return the user's units of points of the unit cube, never outside the box by rounding.

        The bits do not depend on the program around it. The minimum, which changes no value, keeps
        the product and the sum from being fused into one operation in some programs only.
        """
        low_edge, width = in_rank_of(unit, self.low_edge), in_rank_of(unit, self.width)
        x = self.round_whole(low_edge + jnp.minimum(unit * width, width))
        return jnp.clip(x, in_rank_of(x, self.lower), in_rank_of(x, self.upper))

    def to_unit(self, x: Float[Array, "... n_params"]) -> Float[Array, "... n_params"]:
        """Return the points of the unit cube of `x`, clipped to the cube.

        A fixed coordinate (lower = upper) goes to 0.
        """
        is_wide = self.width > 0
        divisor = in_rank_of(x, jnp.where(is_wide, self.width, 1.0))
        unit = (x - in_rank_of(x, self.low_edge)) / divisor
        return jnp.clip(jnp.where(in_rank_of(x, is_wide), unit, 0.0), 0.0, 1.0)

    def round_whole(self, x: Float[Array, "... n_params"]) -> Float[Array, "... n_params"]:
        """Return `x` with whole-number parameters rounded; halves go to the even number."""
        if self.whole is None:
            return x
        return jnp.where(in_rank_of(x, self.whole), jnp.round(x), x)

    def contains(self, x: Float[Array, " n_params"]) -> Bool[Array, ""]:
        """Return True if `x` lies in the box, up to the rounding of the bounds."""
        slack = 2 * jnp.finfo(x.dtype).eps * jnp.maximum(jnp.abs(self.lower), jnp.abs(self.upper))
        high_edge = self.low_edge + self.width
        return jnp.all((x >= self.low_edge - slack) & (x <= high_edge + slack))


def in_rank_of(x: Array, row: Array | np.ndarray) -> Array:
    """Return the (n_params,) `row` with as many axes as `x`, (..., n_params).

    NumPy's broadcasting does this by itself; JAX can be set to raise an error instead.
    """
    return jnp.expand_dims(row, range(x.ndim - 1))


def check_shape(shape: tuple[int, ...]) -> None:
    """Raise a ValueError unless `shape` is that of bounds."""
    if len(shape) != 2 or shape[1] != 2 or not shape[0]:
        raise ValueError(
            f"bounds must be (low, high) pairs, shape (n_params, 2); got shape {shape}."
        )


def check_order(bounds: np.ndarray) -> None:
    """Raise a ValueError unless all `bounds` are finite and low <= high."""
    for i, (low, high) in enumerate(bounds):
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError(f"bounds[{i}] = ({low}, {high}) must be finite.")
        if low > high:
            raise ValueError(f"bounds[{i}] = ({low}, {high}) must have low <= high.")


def check_width(bounds: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> None:
    """Raise a ValueError where the working precision cannot hold the width of `bounds`."""
    too_narrow = (bounds[:, 0] < bounds[:, 1]) & (lower >= upper)
    if too_narrow.any():
        i = too_narrow.argmax()
        raise ValueError(
            f"bounds[{i}] = ({bounds[i, 0]}, {bounds[i, 1]}) are too narrow for {lower.dtype}, "
            "which cannot tell them apart: shift or rescale the parameter, switch on double "
            "precision (jax_enable_x64), or give the same number twice to fix it."
        )
    with np.errstate(over="ignore"):
        too_wide = ~np.isfinite(upper - lower)
    if too_wide.any():
        raise ValueError(
            f"bounds[{too_wide.argmax()}] are too wide for {lower.dtype}: narrow them, or switch "
            "on double precision (jax_enable_x64)."
        )


def as_mask(integrality: ArrayLike | None, n_params: int) -> np.ndarray | None:
    """Return `integrality` as (n_params,) booleans, or None if it is False everywhere."""
    if integrality is None:
        return None
    if is_traced(integrality):
        raise ValueError("integrality must be known when the program is compiled, not traced.")
    try:
        mask = np.broadcast_to(np.asarray(integrality, bool), (n_params,))
    except ValueError:
        raise ValueError(
            f"integrality must be one boolean or {n_params}; got {integrality!r}."
        ) from None
    return mask if mask.any() else None


def narrow_to_whole(numpy: ModuleType, bounds: Any, whole: np.ndarray) -> Any:
    """Return bounds with those of whole numbers narrowed; `numpy` is NumPy or JAX's."""
    low, high = bounds.T
    return numpy.stack(
        [numpy.where(whole, numpy.ceil(low), low), numpy.where(whole, numpy.floor(high), high)],
        axis=1,
    )


def round_inward(bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return lower and upper bounds in the working precision, not outside the given ones."""
    dtype = np.dtype(jnp.result_type(float))
    with np.errstate(over="ignore"):
        lower, upper = bounds[:, 0].astype(dtype), bounds[:, 1].astype(dtype)
    lower = np.where(lower < bounds[:, 0], np.nextafter(lower, dtype.type(np.inf)), lower)
    upper = np.where(upper > bounds[:, 1], np.nextafter(upper, dtype.type(-np.inf)), upper)
    return lower, np.maximum(lower, upper)
