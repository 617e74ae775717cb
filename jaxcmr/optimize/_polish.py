"""Bounded quasi-Newton minimisation on the unit cube, for the last digits of an optimum.

A projected BFGS in a trust region: coordinates that would leave the box are held; the others take a
quasi-Newton step, clipped to the box and no longer than steps have lately led down. The Hessian is
measured, slope by slope, where the search starts and where it comes to rest, which it does only if
that promises nothing more; in between it is learned, and Powell's damping keeps it positive
definite. Nothing is accepted that is not lower, so rounding noise (float32) can end the search
early but not spoil it. Sources: Bertsekas (1982), SIAM J. Control Optim. 20:221; Nocedal & Wright
(2006), Numerical Optimization, ch. 3, 4 and 18.
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

__all__ = ["MAX_SLOPES", "PolishResult", "polish"]

LONGEST = 0.2  # how far a step may move any coordinate, in units of the box
SHORTEST = 1e-7  # step at which a direction is given up
PASSES = 3  # to find the coordinates that bounds hold
GROWTH, SHRINKAGE = 2.0, 0.25  # of the next step against one that led down, or did not
DECREASE = 1e-4  # least gain of a step, by what its slope promises (Armijo's rule)
MAX_SLOPES = 2000  # taken by one polish
MAX_STALLS = 3  # steps in a row that gain no more than rounding error, until it is measured again


class PolishResult(NamedTuple):
    """Where the polish ended."""

    unit: Float[Array, " n_params"]  # in the unit cube
    energy: Float[Array, ""]
    jac: Float[Array, " n_params"]  # in the user's units
    hess_inv: Float[Array, "n_params n_params"]  # in the user's units
    nfev: Int[Array, ""]
    njev: Int[Array, ""]
    status: Int[Array, ""]  # 1 exact slope, 2 with central differences, 3 no finite slope
    at_rest: Bool[Array, ""]  # False if it ran out of steps or had no finite slope


class Search(eqx.Module):
    """The lowest point so far, and what is known of the ground around it."""

    unit: Float[Array, " n"]
    energy: Float[Array, ""]
    slope: Float[Array, " n"]
    hessian: Float[Array, "n n"]
    probed: Int[Array, ""]  # rows of it that have been measured; n of them unless under way
    is_fresh: Bool[Array, ""]  # it was measured here
    has_rested: Bool[Array, ""]  # it promises nothing more here, or steps gain rounding error only
    radius: Float[Array, ""]  # how far the next step may move any coordinate
    stalls: Int[Array, ""]
    nit: Int[Array, ""]
    by_differences: Int[Array, ""]  # slopes that took central differences
    done: Bool[Array, ""]


def polish(
    func: Callable[[Float[Array, "n_params k"]], Float[Array, " k"]],
    box: Box,
    unit: Float[Array, " n_params"],
    maxiter: int | Int[Array, ""] = MAX_SLOPES,
    differences: bool = True,
) -> PolishResult:
    """Minimises `func` in `box` from `unit` (unit cube) by projected BFGS.

    Args:
        func: ``(n_params, k) -> (k,)``.
        box: the bounds. Parameters that are whole numbers stay what they are.
        unit: (n_params,) starting point. It is the result if the slope there is not finite.
        maxiter: most slopes taken; may be traced. With 0 nothing is evaluated.
        differences: let central differences help where a slope is not finite. Without, there is
            less to compile, and the status says whether they are needed.
    """
    n = unit.shape[0]

    def iterate(s: Search) -> Search:
        starts, probes = s.nit == 0, (s.nit > 0) & (s.probed < n)
        aside = probe(s.unit, s.probed)
        step = quasi_newton_step(s.unit, s.slope, s.hessian)
        move = jnp.where(starts, 0.0, jnp.where(probes, aside, within(s.radius, step)))
        trial = jnp.clip(s.unit + move, 0.0, 1.0)
        energy, slope, by_differences = slope_at(func, box, trial, differences)
        usable = jnp.isfinite(energy) & jnp.all(jnp.isfinite(slope))

        promised = -jnp.sum(s.slope * (trial - s.unit))
        hoped = -jnp.sum(s.slope * step) / 2
        rounding = 4 * jnp.finfo(energy.dtype).eps * jnp.abs(s.energy)
        gain = jnp.where(usable & ~starts & ~probes, s.energy - energy, -jnp.inf)
        lower = (gain > 0) & (gain >= DECREASE * promised)
        lands = lower | (usable & starts)

        row = jnp.where(usable, (slope - s.slope) / jnp.sum(aside), 0.0)
        measured = s.hessian.at[s.probed].set(row)
        learned = update_hessian(s.hessian, trial - s.unit, slope - s.slope)
        hessian = jnp.where(probes, measured, jnp.where(lower, learned, s.hessian))
        is_measured = probes & (s.probed == n - 1)
        hessian = jnp.where(is_measured, positive(hessian), hessian)
        is_fresh = is_measured | (s.is_fresh & ~lower)

        reach = jnp.max(jnp.abs(trial - s.unit))
        radius = jnp.where(lower, jnp.maximum(s.radius, GROWTH * reach), SHRINKAGE * reach)
        stalls = jnp.where(lower, jnp.where(gain <= rounding, s.stalls + 1, 0), s.stalls)
        at_rest = ~starts & ~probes & ~lower & ((hoped <= rounding) | (reach <= SHORTEST))
        has_rested = (at_rest & s.is_fresh) | (stalls >= 2 * MAX_STALLS)
        remeasures = (at_rest | (lower & (stalls == MAX_STALLS))) & ~s.is_fresh
        return Search(
            unit=jnp.where(lands, trial, s.unit),
            energy=jnp.where(lands, energy, s.energy),
            slope=jnp.where(lands, slope, s.slope),
            hessian=hessian,
            probed=jnp.where(remeasures, 0, jnp.where(probes, s.probed + 1, s.probed)),
            is_fresh=is_fresh,
            has_rested=has_rested,
            radius=jnp.where(starts | probes, LONGEST, jnp.minimum(radius, LONGEST)),
            stalls=stalls,
            nit=s.nit + 1,
            by_differences=s.by_differences + by_differences,
            done=has_rested | (~usable & starts) | (s.nit + 1 >= limit),
        )

    limit = jnp.asarray(maxiter, int)
    start = Search(
        unit=unit,
        energy=jnp.array(jnp.inf, unit.dtype),
        slope=jnp.zeros_like(unit),
        hessian=jnp.eye(n, dtype=unit.dtype),
        probed=jnp.array(0),
        is_fresh=jnp.array(False),
        has_rested=jnp.array(False),
        radius=jnp.array(LONGEST, unit.dtype),
        stalls=jnp.array(0),
        nit=jnp.array(0),
        by_differences=jnp.array(0),
        done=limit <= 0,
    )
    end = jax.lax.while_loop(lambda s: ~s.done, iterate, start)
    width = box.width
    inverse = jnp.linalg.inv(end.hessian) * width[:, None] * width[None]
    return PolishResult(
        unit=end.unit,
        energy=end.energy,
        jac=end.slope / jnp.where(width > 0, width, 1.0),
        hess_inv=inverse,
        nfev=end.nit + 2 * n * end.by_differences,
        njev=end.nit,
        status=jnp.where(jnp.isinf(end.energy), 3, jnp.where(end.by_differences > 0, 2, 1)),
        at_rest=end.has_rested,
    )


def probe(unit: Float[Array, " n"], i: Int[Array, ""]) -> Float[Array, " n"]:
    """A short move along coordinate i, into the box."""
    n, dtype = len(unit), unit.dtype
    distance = jnp.where(unit > 0.5, -1.0, 1.0) * jnp.finfo(dtype).eps ** (1 / 3)
    return jnp.where(jnp.arange(n) == i, distance, 0.0).astype(dtype)


def positive(hessian: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Its symmetric part, with the curvatures made positive: their size where they are negative."""
    values, vectors = jnp.linalg.eigh((hessian + hessian.T) / 2)
    size = jnp.abs(values)
    largest = jnp.max(size)
    floor = jnp.where(largest > 0, jnp.finfo(size.dtype).eps ** 0.5 * largest, 1.0)
    return (vectors * jnp.maximum(size, floor)[None]) @ vectors.T


def quasi_newton_step(
    unit: Float[Array, " n"], slope: Float[Array, " n"], hessian: Float[Array, "n n"]
) -> Float[Array, " n"]:
    """The step among the coordinates that no bound holds: those that would not leave the box."""

    def leaving(direction: Array) -> Bool[Array, " n"]:
        return ((unit <= 0) & (direction < 0)) | ((unit >= 1) & (direction > 0))

    held, step = leaving(-slope), -slope
    for _ in range(PASSES):
        among_free = jnp.where(held[:, None] | held[None], jnp.eye(len(held)), hessian)
        factor = jax.scipy.linalg.cho_factor(among_free)
        step = -jax.scipy.linalg.cho_solve(factor, jnp.where(held, 0.0, slope))
        held |= leaving(step)
    return jnp.where(jnp.isfinite(step), step, 0.0)


def within(radius: Float[Array, ""], step: Float[Array, " n"]) -> Float[Array, " n"]:
    """The step, shortened if it moves a coordinate by more than `radius`."""
    return step * (radius / jnp.maximum(jnp.max(jnp.abs(step)), radius))


def update_hessian(
    hessian: Float[Array, "n n"], move: Float[Array, " n"], bend: Float[Array, " n"]
) -> Float[Array, "n n"]:
    """BFGS with Powell's damping, given how the slope bends over a move."""
    image, curvature = hessian @ move, jnp.sum(move * bend)
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
