"""Bounded quasi-Newton minimization on the unit cube, for the last digits of an optimum.

A projected BFGS in a trust region. Coordinates that would leave the box are held; the others take a
quasi-Newton step ``p = -B^-1 g``, clipped to the box and to the radius. B, the Hessian, is measured
where the search starts, one gradient per coordinate, and updated at every step after that (BFGS
with Powell's damping). Where no step leads down, B is measured again; the search is at rest where a
measured B promises no decrease, or where steps gain rounding error only, again and again. No point
is accepted that is not lower, so rounding errors (float32) can end the search early but not spoil
it. Sources: Bertsekas (1982), SIAM J. Control Optim. 20:221; Nocedal & Wright (2006), Numerical
Optimization, ch. 3, 4 and 18.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend.core import jaxpr_as_fun
from jaxtyping import Array, Bool, Float, Int

from jaxcmr.optimize._jit import Objective, is_raised_by_jax
from jaxcmr.optimize._space import Box

__all__ = ["MAX_GRADIENTS", "PolishResult", "gradient_at", "polish"]

LONGEST = 0.2  # most that a step may move any coordinate, in widths of the box
SHORTEST = 1e-7  # below this radius a direction is given up
PASSES = 3  # over the coordinates, to find those that bounds hold
GROWTH, SHRINKAGE = 2.0, 0.25  # of the radius after a step that was accepted, or was not
DECREASE = 1e-4  # c1 of Armijo's rule
DAMPING = 0.2  # Powell: s'r is at least this share of s'Bs
MAX_GRADIENTS = 2000  # of one polish
MAX_STALLS = 3  # steps in a row that gain no more than rounding error, until B is measured again
NOT_DIFFERENTIABLE = re.compile("differentiation|not support JVP", re.IGNORECASE)  # JAX's words


class PolishResult(NamedTuple):
    """Where the polish ended."""

    unit: Float[Array, " n_params"]  # in the unit cube
    loss: Float[Array, ""]
    jac: Float[Array, " n_params"]  # in the user's units
    hess_inv: Float[Array, "n_params n_params"]  # in the user's units
    nfev: Int[Array, ""]
    njev: Int[Array, ""]
    status: Int[Array, ""]  # 1 exact gradients, 2 with central differences, 3 none was finite
    at_rest: Bool[Array, ""]  # False if it ran out of gradients or had no finite one


class Search(eqx.Module):
    """The lowest point so far, and what is known there."""

    # replaced by each step that is accepted
    unit: Float[Array, " n"]
    loss: Float[Array, ""]
    g: Float[Array, " n"]  # gradient
    # replaced at every turn
    B: Float[Array, "n n"]  # Hessian, or its estimate
    n_measured: Int[Array, ""]  # rows of B that have been measured; below n, it is being measured
    B_is_measured: Bool[Array, ""]  # at this point, not updated since
    radius: Float[Array, ""]  # most that the next step may move any coordinate
    stalls: Int[Array, ""]  # steps in a row that gained rounding error only
    at_rest: Bool[Array, ""]
    n_gradients: Int[Array, ""]
    n_differences: Int[Array, ""]  # gradients that took central differences
    done: Bool[Array, ""]


def polish(
    func: Objective,
    box: Box,
    unit: Float[Array, " n_params"],
    maxiter: int | Int[Array, ""] = MAX_GRADIENTS,
    differences: bool = True,
) -> PolishResult:
    """Minimize `func` in `box` from `unit`, a point of the unit cube, by projected BFGS.

    Args:
        func: ``(n_params, k) -> (k,)``.
        box: the bounds. Parameters that are whole numbers stay what they are.
        unit: (n_params,) starting point. It is the result if the gradient there is not finite.
        maxiter: most gradients taken; may be traced. With 0 nothing is evaluated.
        differences: let central differences help where a gradient is not finite. Without them there
            is less to compile, and the status says whether they are needed.
    """
    n = unit.shape[0]
    limit = jnp.asarray(maxiter, int)

    def take_gradient(here: Search) -> Search:
        """Take one gradient: at the start, beside it to measure B, or after a step."""
        is_start = here.n_gradients == 0
        is_probe = ~is_start & (here.n_measured < n)
        is_step = ~is_start & ~is_probe
        h = make_probe(here.unit, here.n_measured)
        p = quasi_newton_step(here.unit, here.g, here.B)
        move = jnp.where(is_start, 0.0, jnp.where(is_probe, h, shorten(p, here.radius)))
        trial = jnp.clip(here.unit + move, 0.0, 1.0)
        loss, g, by_differences = gradient_at(func, box, trial, differences)
        usable = jnp.isfinite(loss) & jnp.all(jnp.isfinite(g))
        s, y = trial - here.unit, g - here.g

        # Accept the step if f(x) - f(x + s) >= -c1 g's, and only if it is lower.
        predicted = -jnp.sum(here.g * s)
        decrease = jnp.where(usable & is_step, here.loss - loss, -jnp.inf)
        accepted = (decrease > 0) & (decrease >= DECREASE * predicted)
        arrives = accepted | (usable & is_start)

        # B: row i is y / h_i for a probe along coordinate i; a step that is accepted updates it.
        row = jnp.where(usable, y / jnp.sum(h), 0.0)
        with_row = here.B.at[here.n_measured].set(row)
        updated = update_hessian(here.B, s, y)
        B = jnp.where(is_probe, with_row, jnp.where(accepted, updated, here.B))
        is_complete = is_probe & (here.n_measured == n - 1)
        B = jnp.where(is_complete, make_positive(B), B)
        B_is_measured = is_complete | (here.B_is_measured & ~accepted)

        # Trust region: twice the step if it was accepted, a quarter of it if it was not.
        length = jnp.max(jnp.abs(s))
        radius = jnp.where(accepted, jnp.maximum(here.radius, GROWTH * length), SHRINKAGE * length)
        radius = jnp.where(is_step, jnp.minimum(radius, LONGEST), LONGEST)

        # No progress: the model promises -g'p - p'Bp/2 = -g'p/2, no more than rounding error; or
        # steps have shrunk to nothing; or they have led down by rounding error, again and again.
        # That may be the fault of B, which is measured again first, unless it has just been.
        rounding = 4 * jnp.finfo(loss.dtype).eps * jnp.abs(here.loss)
        promised = -jnp.sum(here.g * p) / 2
        is_stuck = is_step & ~accepted & ((promised <= rounding) | (length <= SHORTEST))
        stalls = jnp.where(accepted, jnp.where(decrease <= rounding, here.stalls + 1, 0),
                           here.stalls)  # fmt: skip
        at_rest = (is_stuck & here.B_is_measured) | (stalls >= 2 * MAX_STALLS)
        remeasures = is_stuck | (accepted & (stalls == MAX_STALLS))
        remeasures &= ~here.B_is_measured
        n_measured = jnp.where(is_probe, here.n_measured + 1, here.n_measured)
        return Search(
            unit=jnp.where(arrives, trial, here.unit),
            loss=jnp.where(arrives, loss, here.loss),
            g=jnp.where(arrives, g, here.g),
            B=B,
            n_measured=jnp.where(remeasures, 0, n_measured),
            B_is_measured=B_is_measured,
            radius=radius,
            stalls=stalls,
            at_rest=at_rest,
            n_gradients=here.n_gradients + 1,
            n_differences=here.n_differences + by_differences,
            done=at_rest | (is_start & ~usable) | (here.n_gradients + 1 >= limit),
        )

    start = Search(
        unit=unit,
        loss=jnp.array(jnp.inf, unit.dtype),
        g=jnp.zeros_like(unit),
        B=jnp.eye(n, dtype=unit.dtype),
        n_measured=jnp.array(0),
        B_is_measured=jnp.array(False),
        radius=jnp.array(LONGEST, unit.dtype),
        stalls=jnp.array(0),
        at_rest=jnp.array(False),
        n_gradients=jnp.array(0),
        n_differences=jnp.array(0),
        done=limit <= 0,
    )
    end = jax.lax.while_loop(lambda here: ~here.done, take_gradient, start)
    # From the unit cube to the user's units, x = low + w u: df/dx = df/du / w, and the inverse
    # Hessian has w_i w_j.
    w = box.width
    return PolishResult(
        unit=end.unit,
        loss=end.loss,
        jac=end.g / jnp.where(w > 0, w, 1.0),
        hess_inv=jnp.linalg.inv(end.B) * w[:, None] * w[None],
        nfev=end.n_gradients + 2 * n * end.n_differences,
        njev=end.n_gradients,
        status=jnp.where(jnp.isinf(end.loss), 3, jnp.where(end.n_differences > 0, 2, 1)),
        at_rest=end.at_rest,
    )


# Steps


def make_probe(unit: Float[Array, " n"], i: Int[Array, ""]) -> Float[Array, " n"]:
    """Return a move of ``eps^(1/3)`` along coordinate i, into the box."""
    n, dtype = len(unit), unit.dtype
    distance = jnp.where(unit > 0.5, -1.0, 1.0) * jnp.finfo(dtype).eps ** (1 / 3)
    return jnp.where(jnp.arange(n) == i, distance, 0.0).astype(dtype)


def quasi_newton_step(
    unit: Float[Array, " n"], g: Float[Array, " n"], B: Float[Array, "n n"]
) -> Float[Array, " n"]:
    """Return ``p = -B^-1 g`` among the coordinates that no bound holds.

    A bound holds a coordinate that is on it and would go on. Each pass leaves these out of B and g
    and finds those that the shorter system sends out of the box.
    """

    def leaves(direction: Array) -> Bool[Array, " n"]:
        return ((unit <= 0) & (direction < 0)) | ((unit >= 1) & (direction > 0))

    held, p = leaves(-g), -g
    for _ in range(PASSES):
        # Rows and columns of held coordinates become those of the identity and their g becomes 0,
        # so that one system of fixed size has p = 0 there and the shorter system's p elsewhere.
        B_free = jnp.where(held[:, None] | held[None], jnp.eye(len(held)), B)
        factor = jax.scipy.linalg.cho_factor(B_free)
        p = -jax.scipy.linalg.cho_solve(factor, jnp.where(held, 0.0, g))
        held |= leaves(p)
    return jnp.where(jnp.isfinite(p), p, 0.0)


def shorten(p: Float[Array, " n"], radius: Float[Array, ""]) -> Float[Array, " n"]:
    """Return the step, scaled down if it moves any coordinate by more than `radius`."""
    return p * (radius / jnp.maximum(jnp.max(jnp.abs(p)), radius))


def update_hessian(
    B: Float[Array, "n n"], s: Float[Array, " n"], y: Float[Array, " n"]
) -> Float[Array, "n n"]:
    """Return B after a step s that changed the gradient by y: BFGS with Powell's damping.

    ``B + r r' / s'r - (Bs)(Bs)' / s'Bs`` with ``r = theta y + (1 - theta) Bs``, which keeps B
    positive definite (Nocedal & Wright, 2006, eq. 18.14 to 18.16).
    """
    B_s, s_y = B @ s, jnp.sum(s * y)
    s_B_s = jnp.sum(s * B_s)
    # theta = 1 if s'y >= 0.2 s'Bs, else 0.8 s'Bs / (s'Bs - s'y), so that s'r = 0.2 s'Bs
    difference = jnp.where(s_B_s > s_y, s_B_s - s_y, 1.0)
    theta = jnp.where(s_y >= DAMPING * s_B_s, 1.0, (1 - DAMPING) * s_B_s / difference)
    r = theta * y + (1.0 - theta) * B_s
    s_r = jnp.sum(s * r)
    is_long = jnp.max(jnp.abs(s)) > 100 * jnp.finfo(s.dtype).eps  # y is not rounding error
    ok = (s_B_s > 0) & (s_r > 0) & is_long
    added = jnp.outer(r, r) / jnp.where(ok, s_r, 1.0)
    removed = jnp.outer(B_s, B_s) / jnp.where(ok, s_B_s, 1.0)
    return jnp.where(ok, B + added - removed, B)


def make_positive(B: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Return the symmetric part of B with positive eigenvalues.

    ``V max(|lambda|, sqrt(eps) max|lambda|) V'``: a direction of negative curvature leads down as
    steeply as it curves.
    """
    eigenvalues, V = jnp.linalg.eigh((B + B.T) / 2)
    size = jnp.abs(eigenvalues)
    largest = jnp.max(size)
    floor = jnp.where(largest > 0, jnp.finfo(size.dtype).eps ** 0.5 * largest, 1.0)
    return (V * jnp.maximum(size, floor)[None]) @ V.T


# Gradients


class Gradient(NamedTuple):
    """A loss, its gradient, and whether the gradient takes central differences."""

    loss: Float[Array, ""]
    value: Float[Array, " n_params"]
    by_differences: Bool[Array, ""]


def gradient_at(
    func: Objective, box: Box, unit: Float[Array, " n_params"], differences: bool
) -> Gradient:
    """Return `func` and its gradient by the coordinates of the unit cube; 0 for whole numbers.

    Central differences take over where `func` cannot be differentiated and, if `differences` are
    allowed, where its gradient is not finite.
    """
    exact = value_and_gradient(func, box, unit)
    if exact is None:
        loss = jnp.asarray(func(box.to_user(unit)[:, None])[0]).astype(unit.dtype)
        value, by_differences = central_differences(func, box, unit), jnp.array(True)
    else:
        loss, value = exact
        by_differences = jnp.isfinite(loss) & ~jnp.all(jnp.isfinite(value))
    if exact is not None and differences:
        # A loop of one turn at most: of a batch, unlike `cond`, it costs only lanes that need it.
        value, _ = jax.lax.while_loop(
            lambda loop: loop[1],
            lambda loop: (central_differences(func, box, unit), jnp.array(False)),
            (value, by_differences),
        )
    if box.whole is not None:
        value = jnp.where(box.whole, 0.0, value)
    return Gradient(loss, value, by_differences)


def value_and_gradient(
    func: Objective, box: Box, unit: Float[Array, " n_params"]
) -> tuple[Float[Array, ""], Float[Array, " n_params"]] | None:
    """Return the loss and its exact gradient, or None if JAX cannot differentiate `func`.

    Reverse mode first, which costs a few evaluations however many parameters there are. It cannot
    pass through loops of unknown length; forward mode can.

    Errors inside `func` are raised: it is traced once, and what is differentiated is that trace.
    So are errors of its own derivative rules (`jax.custom_jvp`, `jax.custom_vjp`).
    """
    x = box.to_user(unit)
    traced = jaxpr_as_fun(
        jax.make_jaxpr(lambda x: jnp.asarray(func(x[:, None])[0]).astype(unit.dtype))(x)
    )

    def one(x: Array) -> Array:
        [loss] = traced(x)
        return loss

    def forward(x: Array) -> tuple[Array, Array]:
        directions = jnp.eye(len(x), dtype=x.dtype)
        return jax.vmap(lambda direction: jax.jvp(one, (x,), (direction,)), out_axes=(None, 0))(
            directions
        )

    differentiate: Callable[[Array], tuple[Array, Array]]
    for differentiate in (jax.value_and_grad(one), forward):
        try:
            loss, gradient = differentiate(x)
            return loss, gradient * box.width
        except (TypeError, ValueError, NotImplementedError) as error:
            if not (is_raised_by_jax(error) and NOT_DIFFERENTIABLE.search(str(error))):
                raise
    return None


def central_differences(
    func: Objective, box: Box, unit: Float[Array, " n_params"]
) -> Float[Array, " n_params"]:
    """Return ``(f(u + h) - f(u - h)) / 2h`` for each coordinate, from 2 n_params evaluations.

    ``h = eps^(1/3)`` balances truncation and rounding. At a bound the difference is one-sided.
    """
    offsets = jnp.finfo(unit.dtype).eps ** (1 / 3) * jnp.eye(len(unit), dtype=unit.dtype)
    above = jnp.minimum(unit[None] + offsets, 1.0)
    below = jnp.maximum(unit[None] - offsets, 0.0)
    losses = func(box.to_user(jnp.concatenate([above, below])).T).astype(unit.dtype)
    return (losses[: len(unit)] - losses[len(unit) :]) / jnp.diagonal(above - below)
