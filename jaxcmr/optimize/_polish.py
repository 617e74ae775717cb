"""Bounded quasi-Newton minimisation on the unit cube, for the last digits of an optimum.

A projected BFGS: coordinates on a bound whose gradient points out of the box are held; the others
take a quasi-Newton step, clipped to the box, of the best length of a ladder evaluated in one batch.
Powell's damping keeps the Hessian estimate positive definite. Nothing is accepted that is not
lower, so rounding noise (float32) can end the search early but not spoil it. Sources: Bertsekas
(1982), SIAM J. Control Optim. 20:221; Nocedal & Wright (2006), Numerical Optimization, ch. 18.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxcmr.optimize._box import Box
from jaxcmr.optimize._slope import slope_at

__all__ = ["PolishResult", "polish"]

LADDER = (0.0, *(3.0 ** (1 - k) for k in range(12)))  # lengths: stay; 3, 1, 1/3, ... 1.7e-5
FIRST_MOVE = 0.1  # how far, in units of the box, step length 1 first moves any coordinate
MAX_STALLS = 3  # steps in a row that gain no more than rounding error


class PolishResult(NamedTuple):
    """Where the polish ended."""

    unit: Float[Array, " n_params"]  # in the unit cube
    energy: Float[Array, ""]
    jac: Float[Array, " n_params"]  # in the user's units
    hess_inv: Float[Array, "n_params n_params"]  # in the user's units
    nfev: Int[Array, ""]
    njev: Int[Array, ""]
    status: Int[Array, ""]  # 1 exact slope, 2 with central differences, 3 no finite slope


class Search(eqx.Module):
    """A point, and where it came from: `energy`, `slope` and `hessian` belong to `last_unit`."""

    unit: Float[Array, " n"]
    last_unit: Float[Array, " n"]
    energy: Float[Array, ""]
    slope: Float[Array, " n"]
    hessian: Float[Array, "n n"]
    learned: Float[Array, "n n"]  # `hessian`, when it last held curvature
    is_fresh: Bool[Array, ""]  # `hessian` holds no curvature yet
    stalls: Int[Array, ""]
    nit: Int[Array, ""]
    by_differences: Int[Array, ""]  # slopes that took central differences
    usable: Bool[Array, ""]  # value and slope are finite
    done: Bool[Array, ""]


def polish(
    func: Callable[[Float[Array, "n_params k"]], Float[Array, " k"]],
    box: Box,
    unit: Float[Array, " n_params"],
    maxiter: int = 1000,
) -> PolishResult:
    """Minimises `func` in `box` from `unit` (unit cube) by projected BFGS.

    Args:
        func: ``(n_params, k) -> (k,)``.
        box: the bounds. Parameters that are whole numbers stay what they are.
        unit: (n_params,) starting point. It is the result if the slope there is not finite.
        maxiter: most slopes taken.
    """

    def iterate(s: Search) -> Search:
        slope, by_differences = slope_at(func, box, s.unit)
        is_fresh = jnp.all(s.unit == s.last_unit)
        hessian = jnp.where(is_fresh, first_hessian(slope), update_hessian(s, slope))
        ladder = ladder_of_steps(s.unit, slope, hessian)
        energies = func(box.to_user(ladder).T).astype(s.unit.dtype)
        energies = jnp.where(jnp.isnan(energies), jnp.inf, energies)
        usable = jnp.all(jnp.isfinite(slope)) & jnp.isfinite(energies[0])
        k = jnp.argmin(energies)
        lower = usable & (energies[k] < energies[0])
        gain = jnp.where(lower, energies[0] - energies[k], 0.0)
        negligible = gain <= 4 * jnp.finfo(gain.dtype).eps * jnp.abs(energies[0])
        stalls = jnp.where(negligible, s.stalls + 1, 0)
        done = ~usable | (~lower & is_fresh) | (stalls >= MAX_STALLS) | (s.nit + 1 >= maxiter)
        moves = lower & ~done  # so that energy and slope returned are those of the point returned
        return Search(
            unit=jnp.where(moves, ladder[k], s.unit),
            energy=energies[0],
            last_unit=s.unit,
            slope=slope,
            hessian=hessian,
            learned=jnp.where(is_fresh & (s.nit > 0), s.learned, hessian),
            is_fresh=is_fresh,
            stalls=stalls,
            nit=s.nit + 1,
            by_differences=s.by_differences + by_differences,
            usable=usable,
            done=done,
        )

    n = unit.shape[0]
    start = Search(
        unit=unit,
        energy=jnp.array(jnp.inf, unit.dtype),
        last_unit=unit,
        slope=jnp.zeros_like(unit),
        hessian=jnp.eye(n, dtype=unit.dtype),
        learned=jnp.eye(n, dtype=unit.dtype),
        is_fresh=jnp.array(True),
        stalls=jnp.array(0),
        nit=jnp.array(0),
        by_differences=jnp.array(0),
        usable=jnp.array(True),
        done=jnp.array(False),
    )
    end = jax.lax.while_loop(lambda s: ~s.done, iterate, start)
    width = box.width
    inverse = jnp.linalg.inv(end.learned) * width[:, None] * width
    skipped = (end.nit == 1) & ~end.usable
    return PolishResult(
        unit=end.unit,
        energy=end.energy,
        jac=end.slope / jnp.where(width > 0, width, 1.0),
        hess_inv=inverse,
        nfev=len(LADDER) * end.nit + 2 * n * end.by_differences,
        njev=end.nit,
        status=jnp.where(skipped, 3, jnp.where(end.by_differences > 0, 2, 1)),
    )


def first_hessian(slope: Float[Array, " n"]) -> Float[Array, "n n"]:
    """A multiple of the identity under which step length 1 makes the first move."""
    steepest = jnp.max(jnp.abs(slope))
    identity = jnp.eye(slope.shape[0], dtype=slope.dtype)
    return identity * jnp.where(steepest > 0, steepest / FIRST_MOVE, 1.0)


def ladder_of_steps(
    unit: Float[Array, " n"], slope: Float[Array, " n"], hessian: Float[Array, "n n"]
) -> Float[Array, "k n"]:
    """Points along the projected quasi-Newton step, one for each step length."""
    held = ((unit <= 0) & (slope > 0)) | ((unit >= 1) & (slope < 0))
    free = ~held
    among_free = jnp.where(free[:, None] & free[None, :], hessian, jnp.eye(len(free)))
    factor = jax.scipy.linalg.cho_factor(among_free)
    step = -jax.scipy.linalg.cho_solve(factor, jnp.where(free, slope, 0.0))
    step = jnp.where(jnp.isfinite(step), step, 0.0)
    lengths = jnp.asarray(LADDER, unit.dtype)
    return jnp.clip(unit + lengths[:, None] * step, 0.0, 1.0)


def update_hessian(s: Search, slope: Float[Array, " n"]) -> Float[Array, "n n"]:
    """BFGS with Powell's damping, given the slope that the last move led to.

    A fresh Hessian is first scaled to the curvature along that move.
    """
    move, bend = s.unit - s.last_unit, slope - s.slope
    squared, curvature = jnp.sum(move * move), jnp.sum(move * bend)
    scale = curvature / jnp.where(squared > 0, squared, 1.0)
    identity = jnp.eye(len(move), dtype=move.dtype)
    hessian = jnp.where(s.is_fresh & (scale > 0), identity * scale, s.hessian)

    image = hessian @ move
    expected = jnp.sum(move * image)
    shortfall = jnp.where(expected > curvature, expected - curvature, 1.0)
    theta = jnp.where(curvature >= 0.2 * expected, 1.0, 0.8 * expected / shortfall)
    damped = theta * bend + (1.0 - theta) * image
    grown = jnp.sum(move * damped)
    ok = (expected > 0) & (grown > 0)
    gained = jnp.outer(damped, damped) / jnp.where(ok, grown, 1.0)
    lost = jnp.outer(image, image) / jnp.where(ok, expected, 1.0)
    return jnp.where(ok, hessian + gained - lost, hessian)
