"""Bounded quasi-Newton minimisation on the unit cube, for the last digits of an optimum.

A projected BFGS: coordinates on a bound whose gradient points out of the box are held; the others
take a quasi-Newton step, clipped to the box and shortened until it leads down. Powell's damping
keeps the Hessian estimate positive definite. Nothing is accepted that is not lower, so rounding
noise (float32) can end the search early but not spoil it. Sources: Bertsekas (1982), SIAM J.
Control Optim. 20:221; Nocedal & Wright (2006), Numerical Optimization, ch. 3 and 18.
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

FIRST_MOVE = 0.1  # how far, in units of the box, step length 1 first moves any coordinate
SHORTEST = 1e-7  # step length at which a direction is given up
DECREASE = 1e-4  # least gain of a step, by what its slope promises (Armijo's rule)
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
    """The lowest point so far, and the step that is being tried from there."""

    unit: Float[Array, " n"]
    energy: Float[Array, ""]
    slope: Float[Array, " n"]
    hessian: Float[Array, "n n"]
    learned: Float[Array, "n n"]  # `hessian`, when it last held curvature
    is_fresh: Bool[Array, ""]  # `hessian` holds no curvature yet
    step: Float[Array, " n"]
    length: Float[Array, ""]
    stalls: Int[Array, ""]
    nit: Int[Array, ""]
    by_differences: Int[Array, ""]  # slopes that took central differences
    done: Bool[Array, ""]


def polish(
    func: Callable[[Float[Array, "n_params k"]], Float[Array, " k"]],
    box: Box,
    unit: Float[Array, " n_params"],
    maxiter: int = 2000,
    differences: bool = True,
) -> PolishResult:
    """Minimises `func` in `box` from `unit` (unit cube) by projected BFGS.

    Args:
        func: ``(n_params, k) -> (k,)``.
        box: the bounds. Parameters that are whole numbers stay what they are.
        unit: (n_params,) starting point. It is the result if the slope there is not finite.
        maxiter: most slopes taken.
        differences: let central differences help where a slope is not finite. Without, there is
            less to compile, and the status says whether they are needed.
    """

    def iterate(s: Search) -> Search:
        trial = jnp.clip(s.unit + s.length * s.step, 0.0, 1.0)
        energy, slope, by_differences = slope_at(func, box, trial, differences)
        usable = jnp.isfinite(energy) & jnp.all(jnp.isfinite(slope))
        promised = jnp.sum(s.slope * (trial - s.unit))
        gain = jnp.where(usable, s.energy - energy, -jnp.inf)
        lower = (gain > 0) & (gain >= -DECREASE * promised)
        lands = lower | (usable & (s.nit == 0))

        curved = jnp.where(lower, update_hessian(s, trial, slope), s.hessian)
        given_up = ~lands & ((s.length <= SHORTEST) | jnp.all(trial == s.unit))
        is_fresh = jnp.where(lands, s.nit == 0, s.is_fresh | given_up)
        here, at = jnp.where(lands, slope, s.slope), jnp.where(lands, trial, s.unit)
        begins = (s.nit == 0) | given_up
        hessian = jnp.where(begins, first_hessian(here), curved)
        negligible = gain <= 4 * jnp.finfo(gain.dtype).eps * jnp.abs(energy)
        stalls = jnp.where(lower, jnp.where(negligible, s.stalls + 1, 0), s.stalls)
        return Search(
            unit=at,
            energy=jnp.where(lands, energy, s.energy),
            slope=here,
            hessian=hessian,
            learned=jnp.where(lower, curved, s.learned),
            is_fresh=is_fresh,
            step=jnp.where(lands | given_up, quasi_newton_step(at, here, hessian), s.step),
            length=jnp.where(lands | given_up, 1.0, s.length * shortened(gain, promised)),
            stalls=stalls,
            nit=s.nit + 1,
            by_differences=s.by_differences + by_differences,
            done=(given_up & s.is_fresh)
            | (stalls >= MAX_STALLS)
            | (~usable & (s.nit == 0))
            | (s.nit + 1 >= maxiter),
        )

    n = unit.shape[0]
    start = Search(
        unit=unit,
        energy=jnp.array(jnp.inf, unit.dtype),
        slope=jnp.zeros_like(unit),
        hessian=jnp.eye(n, dtype=unit.dtype),
        learned=jnp.eye(n, dtype=unit.dtype),
        is_fresh=jnp.array(True),
        step=jnp.zeros_like(unit),
        length=jnp.ones((), unit.dtype),
        stalls=jnp.array(0),
        nit=jnp.array(0),
        by_differences=jnp.array(0),
        done=jnp.array(False),
    )
    end = jax.lax.while_loop(lambda s: ~s.done, iterate, start)
    width = box.width
    inverse = jnp.linalg.inv(end.learned) * width[:, None] * width
    return PolishResult(
        unit=end.unit,
        energy=end.energy,
        jac=end.slope / jnp.where(width > 0, width, 1.0),
        hess_inv=inverse,
        nfev=end.nit + 2 * n * end.by_differences,
        njev=end.nit,
        status=jnp.where(jnp.isinf(end.energy), 3, jnp.where(end.by_differences > 0, 2, 1)),
    )


def shortened(gain: Float[Array, ""], promised: Float[Array, ""]) -> Float[Array, ""]:
    """Share of a step that is tried next: where a parabola has its minimum, within limits."""
    excess = jnp.where(jnp.isfinite(gain), -gain - promised, 1.0)
    best = -0.5 * promised / jnp.where(excess > 0, excess, 1.0)
    return jnp.where(jnp.isfinite(gain), jnp.clip(best, 0.1, 0.5), 0.1)


def first_hessian(slope: Float[Array, " n"]) -> Float[Array, "n n"]:
    """A multiple of the identity under which step length 1 makes the first move."""
    steepest = jnp.max(jnp.abs(slope))
    identity = jnp.eye(slope.shape[0], dtype=slope.dtype)
    return identity * jnp.where(steepest > 0, steepest / FIRST_MOVE, 1.0)


def quasi_newton_step(
    unit: Float[Array, " n"], slope: Float[Array, " n"], hessian: Float[Array, "n n"]
) -> Float[Array, " n"]:
    """The step among the coordinates that are not held by a bound."""
    held = ((unit <= 0) & (slope > 0)) | ((unit >= 1) & (slope < 0))
    free = ~held
    among_free = jnp.where(free[:, None] & free[None, :], hessian, jnp.eye(len(free)))
    factor = jax.scipy.linalg.cho_factor(among_free)
    step = -jax.scipy.linalg.cho_solve(factor, jnp.where(free, slope, 0.0))
    return jnp.where(jnp.isfinite(step), step, 0.0)


def update_hessian(
    s: Search, unit: Float[Array, " n"], slope: Float[Array, " n"]
) -> Float[Array, "n n"]:
    """BFGS with Powell's damping, given the slope at `unit`, where a step has led.

    A fresh Hessian is first scaled to the curvature along that step.
    """
    move, bend = unit - s.unit, slope - s.slope
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
    is_told = jnp.max(jnp.abs(move)) > 100 * jnp.finfo(move.dtype).eps  # not rounding error
    ok = (expected > 0) & (grown > 0) & is_told
    gained = jnp.outer(damped, damped) / jnp.where(ok, grown, 1.0)
    lost = jnp.outer(image, image) / jnp.where(ok, expected, 1.0)
    return jnp.where(ok, hessian + gained - lost, hessian)
