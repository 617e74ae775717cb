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

__all__ = ["PolishResult", "polish"]

LADDER = tuple(3.0 ** (1 - k) for k in range(12))  # step lengths: 3, 1, 1/3, ... 1.7e-5
FIRST_MOVE = 0.1  # how far, in units of the box, step length 1 first moves any coordinate
MAX_STALLS = 3  # steps in a row that gain no more than rounding error


class PolishResult(NamedTuple):
    """Where the polish ended: `unit` and `jac` are in the unit cube's and the user's units."""

    unit: Float[Array, " n_params"]
    energy: Float[Array, ""]
    jac: Float[Array, " n_params"]
    nit: Int[Array, ""]
    nfev: Int[Array, ""]


class _Search(eqx.Module):
    unit: Float[Array, " n"]
    energy: Float[Array, ""]
    slope: Float[Array, " n"]
    hessian: Float[Array, "n n"]
    is_fresh: Bool[Array, ""]  # the Hessian estimate holds no curvature yet
    stalls: Int[Array, ""]
    nit: Int[Array, ""]
    done: Bool[Array, ""]


def polish(
    func: Callable[[Float[Array, "n_params k"]], Float[Array, " k"]],
    box: Box,
    unit: Float[Array, " n_params"],
    maxiter: int = 200,
) -> PolishResult:
    """Minimises `func` in `box` from `unit` (unit cube) by projected BFGS.

    Args:
        func: ``(n_params, k) -> (k,)``, differentiable.
        box: the bounds.
        unit: (n_params,) starting point; if the gradient there is not finite it is the result.
        maxiter: most quasi-Newton steps.
    """
    width = box.upper - box.lower

    def slope_at(unit: Array) -> tuple[Array, Array]:
        energy, jac = jax.value_and_grad(lambda x: func(x[:, None])[0])(box.to_user(unit))
        return energy.astype(unit.dtype), (jac * width).astype(unit.dtype)

    def iterate(s: _Search) -> _Search:
        ladder = ladder_of_steps(s)
        energies = func(box.to_user(ladder).T).astype(unit.dtype)
        energies = jnp.where(jnp.isnan(energies), jnp.inf, energies)
        k = jnp.argmin(energies)
        lower = energies[k] < s.energy
        gain = jnp.where(lower, s.energy - energies[k], 0.0)
        moved = jnp.where(lower, ladder[k], s.unit)
        _, slope = slope_at(moved)
        usable = lower & jnp.all(jnp.isfinite(slope))
        updated = update_hessian(s, moved - s.unit, slope - s.slope)
        negligible = gain <= 4 * jnp.finfo(unit.dtype).eps * jnp.abs(s.energy)
        stalls = jnp.where(negligible, s.stalls + 1, 0)
        return _Search(
            unit=moved,
            energy=jnp.where(lower, energies[k], s.energy),
            slope=jnp.where(usable, slope, s.slope),
            hessian=jnp.where(usable, updated, first_hessian(s.slope)),
            is_fresh=~usable,
            stalls=stalls,
            nit=s.nit + 1,
            done=(~usable & s.is_fresh) | (stalls >= MAX_STALLS),
        )

    energy, slope = slope_at(unit)
    start = _Search(
        unit=unit,
        energy=energy,
        slope=slope,
        hessian=first_hessian(slope),
        is_fresh=jnp.array(True),
        stalls=jnp.array(0),
        nit=jnp.array(0),
        done=~jnp.all(jnp.isfinite(slope)),
    )
    end = jax.lax.while_loop(lambda s: ~s.done & (s.nit < maxiter), iterate, start)
    jac = end.slope / jnp.where(width > 0, width, 1.0)
    return PolishResult(end.unit, end.energy, jac, end.nit, 1 + end.nit * (len(LADDER) + 1))


def first_hessian(slope: Float[Array, " n"]) -> Float[Array, "n n"]:
    """A multiple of the identity under which step length 1 makes the first move."""
    steepest = jnp.max(jnp.abs(slope))
    return jnp.eye(slope.shape[0]) * jnp.where(steepest > 0, steepest / FIRST_MOVE, 1.0)


def ladder_of_steps(s: _Search) -> Float[Array, "k n"]:
    """Points along the projected quasi-Newton step, one for each step length."""
    held = ((s.unit <= 0) & (s.slope > 0)) | ((s.unit >= 1) & (s.slope < 0))
    free = ~held
    hessian = jnp.where(free[:, None] & free[None, :], s.hessian, jnp.eye(len(free)))
    factor = jax.scipy.linalg.cho_factor(hessian)
    step = -jax.scipy.linalg.cho_solve(factor, jnp.where(free, s.slope, 0.0))
    lengths = jnp.asarray(LADDER, s.unit.dtype)
    return jnp.clip(s.unit + lengths[:, None] * step, 0.0, 1.0)


def update_hessian(s: _Search, move: Float[Array, " n"], bend: Float[Array, " n"]) -> Array:
    """BFGS with Powell's damping; the first update scales the identity to the curvature met."""
    squared = jnp.sum(move * move)
    curvature = jnp.sum(move * bend)
    scale = jnp.where(curvature > 0, curvature / jnp.where(squared > 0, squared, 1.0), 0.0)
    identity = jnp.eye(len(move)) * scale
    hessian = jnp.where(s.is_fresh & (scale > 0), identity, s.hessian)

    image = hessian @ move
    expected = jnp.sum(move * image)
    theta = jnp.where(
        curvature >= 0.2 * expected,
        1.0,
        0.8 * expected / jnp.where(expected > curvature, expected - curvature, 1.0),
    )
    damped = theta * bend + (1.0 - theta) * image
    grown = jnp.sum(move * damped)
    ok = (expected > 0) & (grown > 0)
    update = jnp.outer(damped, damped) / jnp.where(ok, grown, 1.0) - jnp.outer(
        image, image
    ) / jnp.where(ok, expected, 1.0)
    return jnp.where(ok, hessian + update, hessian)
