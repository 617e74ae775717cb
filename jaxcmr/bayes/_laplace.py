"""Modes of smooth densities by Newton's method, and Laplace's approximation of their integrals.

Around its mode m a log density f is nearly a quadratic form, so that
``log integral exp f(z) dz = f(m) + n/2 log 2 pi - 1/2 log det H``, with H the Hessian of -f at m.
Source: MacKay (2003), Information Theory, Inference, and Learning Algorithms, ch. 27.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

__all__ = ["Laplace", "Mode", "Quadratic", "find_mode", "integrate", "laplace", "newton_step"]

MAX_TURNS = 100  # evaluations of the quadratic from one start
PROMISED = 1e-9  # nats: at rest where a Newton step promises less
LONGEST = 1.0  # most that the first step may move a coordinate, in units of z
SHORTEST = 1e-6  # below this radius a search is stuck
GROWTH, SHRINKAGE = 2.0, 0.25  # of the radius after a step that was accepted, or was not


class Quadratic(NamedTuple):
    """A function at a point, with its gradient and Hessian."""

    value: Float[Array, ""]
    gradient: Float[Array, " n"]
    hessian: Float[Array, "n n"]


Measure: TypeAlias = Callable[[Float[Array, " n"]], Quadratic]
Complete: TypeAlias = Callable[[Float[Array, " n"], Quadratic], Quadratic]


def as_it_is(z: Float[Array, " n"], at: Quadratic) -> Quadratic:
    """Return what was measured: there is nothing to add."""
    return at


class Mode(NamedTuple):
    """Where a search for a minimum ended."""

    z: Float[Array, " n"]
    at: Quadratic  # as measured at z
    radius: Float[Array, ""]  # most that the next step may move any coordinate
    n_turns: Int[Array, ""]
    at_rest: Bool[Array, ""]
    done: Bool[Array, ""]


class Laplace(NamedTuple):
    """Laplace's approximation of a density around its mode, in double precision."""

    mode: Float[np.ndarray, " n"]
    log_density: float
    """At the mode."""
    hessian: Float[np.ndarray, "n n"]
    """Of minus the log density, at the mode."""
    log_evidence: float
    """Log of the integral; NaN if the Hessian is not positive definite."""
    at_rest: bool
    """True if the search ended where the gradient is zero."""

    @property
    def covariance(self) -> Float[np.ndarray, "n n"]:
        """Return the inverse Hessian; NaN if it is not positive definite."""
        if np.isnan(self.log_evidence):
            return np.full_like(self.hessian, np.nan)
        return np.linalg.inv(self.hessian)


def laplace(
    log_density: Callable[[Float[Array, " n"]], Float[Array, ""]], start: Sequence[float]
) -> Laplace:
    """Return Laplace's approximation of a density around the mode that a search finds.

    The result depends on the scale: on one where the density is nearer to a normal one, the
    integral is nearer to the truth. Gradients and Hessians are JAX's, in double precision.

    Args:
        log_density: ``(n,) -> ()``, smooth; it need not be normalized.
        start: (n,) where the search begins.

    >>> import jax
    >>> normal = lambda z: -0.5 * (z[0] - 3.0) ** 2 / 0.25
    >>> found = laplace(normal, [0.0])
    >>> found.mode.round(6), round(found.log_evidence, 6)  # log(0.5 sqrt(2 pi))
    (array([3.]), 0.225791)
    """
    with jax.enable_x64(True):
        z = jnp.asarray(np.asarray(start, float))
        if z.ndim != 1:
            raise ValueError(f"start has shape {z.shape}: give (n,) numbers.")

        def measure(z: Float[Array, " n"]) -> Quadratic:
            value, gradient = jax.value_and_grad(lambda z: -log_density(z))(z)
            return Quadratic(value, gradient, -jax.hessian(log_density)(z))

        found = eqx.filter_jit(find_mode)(measure, z, measure(z), tolerance=0.0)
        return Laplace(
            np.array(found.z),
            -float(found.at.value),
            np.array(found.at.hessian),
            float(integrate(found.at)),
            bool(found.at_rest),
        )


def integrate(at: Quadratic) -> Float[Array, ""]:
    """Return ``log integral exp(-f)`` of a function known at its minimum.

    NaN if the Hessian is not positive definite.
    """
    # Cholesky: H = L L', log det H = 2 sum log L_ii; L is NaN if H is not positive definite.
    L = jnp.linalg.cholesky(at.hessian)
    half_log_det = jnp.sum(jnp.log(jnp.diagonal(L)))
    return -at.value + len(at.gradient) / 2 * np.log(2 * np.pi) - half_log_det


def find_mode(
    measure: Measure,
    start: Float[Array, " n"],
    at: Quadratic,
    complete: Complete = as_it_is,
    tolerance: float = PROMISED,
) -> Mode:
    """Minimize a function from `start` by Newton's method in a trust region.

    A direction of negative curvature leads down as steeply as it curves. No point is accepted that
    is not lower.

    Args:
        measure: the function with its derivatives, or the part of it that is costly.
        start: where the search begins.
        at: ``measure(start)``.
        complete: ``(z, measured) -> Quadratic``, adds the rest of the function.
        tolerance: the search is at rest where a step promises less, in units of the function.
    """

    def take_turn(here: Mode) -> Mode:
        now = complete(here.z, here.at)
        s = newton_step(now)
        s = s * here.radius / jnp.maximum(jnp.max(jnp.abs(s)), here.radius)
        at = measure(here.z + s)
        new = complete(here.z + s, at)
        accepted = new.value < now.value  # False for NaN
        accepted &= jnp.all(jnp.isfinite(new.gradient)) & jnp.all(jnp.isfinite(new.hessian))
        length = jnp.max(jnp.abs(s))
        radius = jnp.where(accepted, jnp.maximum(here.radius, GROWTH * length), SHRINKAGE * length)
        at = jax.tree.map(lambda old, new: jnp.where(accepted, new, old), here.at, at)
        return judge(jnp.where(accepted, here.z + s, here.z), at, radius, here.n_turns + 1)

    def judge(
        z: Float[Array, " n"], at: Quadratic, radius: Float[Array, ""], n_turns: Int[Array, ""]
    ) -> Mode:
        """Return a search at `z`, and whether it is at rest, or done."""
        now = complete(z, at)
        promised = -jnp.sum(now.gradient * newton_step(now)) / 2  # -g's - s'Hs/2, s = -H^-1 g
        rounding = 4 * jnp.finfo(z.dtype).eps * jnp.abs(now.value)
        at_rest = promised <= jnp.maximum(tolerance, rounding)  # False for NaN
        is_lost = ~jnp.isfinite(promised) | (radius < SHORTEST) | (n_turns >= MAX_TURNS)
        return Mode(z, at, radius, n_turns, at_rest, at_rest | is_lost)

    begin = judge(start, at, jnp.array(LONGEST, start.dtype), jnp.array(0))
    return jax.lax.while_loop(lambda here: ~here.done, take_turn, begin)


def newton_step(at: Quadratic) -> Float[Array, " n"]:
    """Return ``-V max(|lambda|, floor)^-1 V'g``, where ``H = V lambda V'``."""
    eigenvalues, V = jnp.linalg.eigh((at.hessian + at.hessian.T) / 2)
    size = jnp.abs(eigenvalues)
    largest = jnp.max(size)
    floor = jnp.where(largest > 0, jnp.finfo(size.dtype).eps ** 0.75 * largest, 1.0)
    along = jnp.sum(V * at.gradient[:, None], axis=0)
    return -jnp.sum(V * (along / jnp.maximum(size, floor))[None], axis=1)
