"""Errors that are caught by every name a user may know them by."""

from __future__ import annotations

import equinox as eqx
import jax

__all__ = ["OutOfBoundsError", "ShapeError"]


class OutOfBoundsError(ValueError, eqx.EquinoxRuntimeError, jax.errors.JaxRuntimeError):
    """A starting point outside the box.

    What Python can see is a ValueError, as in SciPy; what only the running program can see is an
    error of Equinox, or of JAX where the program is the user's own `jax.jit`.
    """

    __str__ = BaseException.__str__  # JAX's would look for what only its own errors hold


class ShapeError(ValueError, RuntimeError):
    """A function returned something of the wrong shape; SciPy's is a RuntimeError."""
