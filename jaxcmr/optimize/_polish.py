"""Bounded quasi-Newton minimization on the unit cube, for the last digits of an optimum.

A projected BFGS in a trust region, from several points side by side. Coordinates that would leave
the box are held; the others take a quasi-Newton step ``p = -B^-1 g``, clipped to the box and to the
radius. B, the Hessian, is measured where the search starts, by a gradient beside the point along
each coordinate, and updated at every step after that (BFGS with Powell's damping). Where no step
leads down, B is measured again; the search is at rest where a measured B promises no decrease, or
where steps gain rounding error only, again and again. No point is accepted that is not lower, so
rounding errors (float32) can end the search early but not spoil it. Sources: Bertsekas (1982), SIAM
J. Control Optim. 20:221; Nocedal & Wright (2006), Numerical Optimization, ch. 3, 4 and 18.

Points never meet except in calls of the function, which takes one per column: the losses of
different columns are independent, so the gradient of their sum holds the gradient of each.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend.core import jaxpr_as_fun
from jaxtyping import Array, Bool, Float, Int, PyTree

from jaxcmr.optimize._jit import Objective, is_array, is_raised_by_jax
from jaxcmr.optimize._space import Box

__all__ = [
    "DIFFERENCES",
    "EXACT",
    "HELPED",
    "MAX_GRADIENTS",
    "Coordinates",
    "PolishResult",
    "gradients_at",
    "points_per_call",
    "polish",
]

BLOCK = 8  # columns of a call for exact gradients: as many doubles as a 512-bit vector holds
COLUMNS = 64  # about as many of a call for differences: more do not make a column cheaper
LONGEST = 0.2  # most that a step may move any coordinate, in widths of the box
SHORTEST = 1e-7  # below this radius a direction is given up
FAR = 1e-3  # of a probe beside its point, if gradients are differences
PASSES = 3  # over the coordinates, to find those that bounds hold
GROWTH, SHRINKAGE = 2.0, 0.25  # of the radius after a step that was accepted, or was not
DECREASE = 1e-4  # c1 of Armijo's rule
DAMPING = 0.2  # Powell: s'r is at least this share of s'Bs
MAX_GRADIENTS = 2000  # of one point
MAX_STALLS = 3  # steps in a row that gain no more than rounding error, until B is measured again
EXACT, HELPED, DIFFERENCES = "exact", "helped", "differences"  # ways to take gradients
NOT_DIFFERENTIABLE = re.compile("differentiation|not support JVP", re.IGNORECASE)  # JAX's words


class Coordinates(eqx.Module):
    """The way from points of the unit cube to arguments of the function."""

    box: Box
    transforms: PyTree = None
    """A function ``(n_params, k) -> (n_params, k)`` of each point, its arrays stacked on a first
    axis: where points of the box lie for the function. None if they are its arguments."""

    def to_arguments(
        self, x: Float[Array, "k n_params"], points: Int[Array, " k"]
    ) -> Float[Array, "k n_params"]:
        """Return the arguments at places `x` of the box, each that of a point, given by number."""
        if self.transforms is None:
            return x
        arrays, static = eqx.partition(self.transforms, is_array)
        return jax.vmap(lambda x, own: eqx.combine(own, static)(x[:, None])[:, 0])(
            x, jax.tree.map(lambda leaf: jnp.asarray(leaf)[points], arrays)
        )


class PolishResult(NamedTuple):
    """Where the polish of a point, or of each of several, ended."""

    unit: Float[Array, "... n_params"]  # in the unit cube
    loss: Float[Array, "..."]
    jac: Float[Array, "... n_params"]  # in the units of the box
    hess_inv: Float[Array, "... n_params n_params"]  # in the units of the box
    nfev: Int[Array, "..."]
    njev: Int[Array, "..."]
    status: Int[Array, "..."]  # 1 exact gradients, 2 with finite differences, 3 none was finite
    at_rest: Bool[Array, "..."]  # False if it ran out of gradients or had no finite one


class Search(eqx.Module):
    """The lowest point so far, and what is known there."""

    # replaced by each step that is accepted
    unit: Float[Array, " n"]
    loss: Float[Array, ""]
    g: Float[Array, " n"]  # gradient
    # replaced at every turn
    B: Float[Array, "n n"]  # Hessian, or its estimate
    measures: Bool[Array, ""]  # B is measured at the next turn
    B_is_measured: Bool[Array, ""]  # at this point, not updated since
    radius: Float[Array, ""]  # most that the next step may move any coordinate
    stalls: Int[Array, ""]  # steps in a row that gained rounding error only
    at_rest: Bool[Array, ""]
    n_gradients: Int[Array, ""]
    n_differences: Int[Array, ""]  # gradients that took finite differences
    done: Bool[Array, ""]


class Request(NamedTuple):
    """Where a search wants gradients: at a place of its own, and beside its point to measure B."""

    units: Float[Array, "1+n n"]
    wanted: Bool[Array, " 1+n"]
    p: Float[Array, " n"]  # the quasi-Newton step before it was shortened


class Gradient(NamedTuple):
    """Losses, their gradients, and which of these take finite differences."""

    loss: Float[Array, "..."]
    value: Float[Array, "... n_params"]
    by_differences: Bool[Array, "..."]


def polish(
    func: Objective,
    coordinates: Coordinates,
    units: Float[Array, "k n_params"],
    maxiter: int | Int[Array, "..."] = MAX_GRADIENTS,
    way: str = HELPED,
    block: int = BLOCK,
) -> PolishResult:
    """Minimize `func` from each of `units`, points of the unit cube, by projected BFGS.

    Args:
        func: ``(n_params, k) -> (k,)``.
        coordinates: bounds of the points, and what they mean to `func`. Parameters that are whole
            numbers stay what they are.
        units: (k, n_params) starting points. A point is its own result if the gradient there is not
            finite.
        maxiter: most gradients taken from each point, one number or k; may be traced. With 0
            nothing is evaluated.
        way: how gradients are taken. "exact": by JAX; "helped": by JAX, and by central differences
            where that is not finite, which is more to compile; "differences": by forward
            differences, which are accurate in double precision, and sooner than "exact" if that
            takes more than n_params + 1 evaluations. The status says which were taken.
        block: points whose gradients one call of `func` serves; it is filled up with copies: the
            bits of a result do not depend on how many points are on their way.
    """
    n_points, n = units.shape
    limits = jnp.broadcast_to(jnp.asarray(maxiter, int), (n_points,))
    # What a probe measures is a difference of differences: it needs more room than rounding takes.
    probe = FAR if way == DIFFERENCES else float(jnp.finfo(units.dtype).eps) ** (1 / 3)

    def take_turn(here: Search) -> Search:
        """Take the gradients that all searches ask for, and move each."""
        requests = jax.vmap(partial(make_request, probe))(here, limits)
        found = gradients_at(func, coordinates, requests.units, requests.wanted, way, block)
        after, completes = jax.vmap(partial(take_step, probe))(here, requests, found, limits)
        B = jax.lax.cond(
            jnp.any(completes),
            lambda B: jnp.where(completes[:, None, None], jax.vmap(make_positive)(B), B),
            lambda B: B,
            after.B,
        )
        return eqx.tree_at(lambda search: search.B, after, B)

    start = jax.vmap(begin)(units, limits)
    end = jax.lax.while_loop(lambda here: jnp.any(~here.done), take_turn, start)
    # From the unit cube to the units of the box, x = low + w u: df/dx = df/du / w, and the inverse
    # Hessian has w_i w_j.
    w = coordinates.box.width[None]
    return PolishResult(
        unit=end.unit,
        loss=end.loss,
        jac=end.g / jnp.where(w > 0, w, 1.0),
        hess_inv=jnp.linalg.inv(end.B) * w[:, :, None] * w[:, None],
        nfev=end.n_gradients + (n if way == DIFFERENCES else 2 * n) * end.n_differences,
        njev=end.n_gradients,
        status=jnp.where(jnp.isinf(end.loss), 3, jnp.where(end.n_differences > 0, 2, 1)),
        at_rest=end.at_rest,
    )


# One point: where it wants gradients, and what it does with them


def begin(unit: Float[Array, " n"], limit: Int[Array, ""]) -> Search:
    """Return the search from a point, where nothing is known yet."""
    n, dtype = len(unit), unit.dtype
    return Search(
        unit=unit,
        loss=jnp.array(jnp.inf, dtype),
        g=jnp.zeros_like(unit),
        B=jnp.eye(n, dtype=dtype),
        measures=jnp.array(True),
        B_is_measured=jnp.array(False),
        radius=jnp.array(LONGEST, dtype),
        stalls=jnp.array(0),
        at_rest=jnp.array(False),
        n_gradients=jnp.array(0),
        n_differences=jnp.array(0),
        done=limit <= 0,
    )


def make_request(probe: float, here: Search, limit: Int[Array, ""]) -> Request:
    """Return where a search wants gradients next: none if it is done.

    The first is at its point if it has just begun, else after a step. The others are beside its
    point, at a distance of `probe` along each coordinate, into the box.
    """
    n = here.unit.shape[0]
    is_start = here.n_gradients == 0
    p = quasi_newton_step(here.unit, here.g, here.B)
    s = jnp.where(is_start, 0.0, shorten(p, here.radius))
    moves = jnp.concatenate([s[None], jnp.diag(into_box(here.unit, probe))])
    is_probe = jnp.arange(1 + n) > 0
    wanted = jnp.where(is_probe, here.measures, is_start | ~here.measures) & ~here.done
    wanted &= here.n_gradients + jnp.cumsum(wanted) <= limit
    return Request(jnp.clip(here.unit[None] + moves, 0.0, 1.0), wanted, p)


def take_step(
    probe: float, here: Search, request: Request, found: Gradient, limit: Int[Array, ""]
) -> tuple[Search, Bool[Array, ""]]:
    """Return the search after the gradients it asked for, and True if they measured B.

    That B is still as measured: neither symmetric nor positive definite.
    """
    is_start = here.n_gradients == 0
    is_step = ~here.measures
    trial, loss, g = request.units[0], found.loss[0], found.value[0]
    are_finite = jnp.isfinite(found.loss) & jnp.all(jnp.isfinite(found.value), axis=1)
    usable = are_finite[0]
    s, y = trial - here.unit, g - here.g

    # Accept the step if f(x) - f(x + s) >= -c1 g's, and only if it is lower.
    predicted = -jnp.sum(here.g * s)
    decrease = jnp.where(usable & is_step, here.loss - loss, -jnp.inf)
    accepted = (decrease > 0) & (decrease >= DECREASE * predicted)
    arrives = accepted | (usable & is_start)

    # B: row i is y / h_i of the probe along coordinate i; a step that is accepted updates it.
    g_here = jnp.where(is_start, g, here.g)
    rows = (found.value[1:] - g_here[None]) / into_box(here.unit, probe)[:, None]
    measured = jnp.where(are_finite[1:, None], rows, 0.0)
    updated = update_hessian(here.B, s, y)
    B = jnp.where(here.measures, measured, jnp.where(accepted, updated, here.B))
    B_is_measured = here.measures | (here.B_is_measured & ~accepted)

    # Trust region: twice the step if it was accepted, a quarter of it if it was not.
    length = jnp.max(jnp.abs(s))
    radius = jnp.where(accepted, jnp.maximum(here.radius, GROWTH * length), SHRINKAGE * length)
    radius = jnp.where(is_step, jnp.minimum(radius, LONGEST), LONGEST)

    # No progress: the model promises -g'p - p'Bp/2 = -g'p/2, no more than rounding error; or
    # steps have shrunk to nothing; or they have led down by rounding error, again and again.
    # That may be the fault of B, which is measured again first, unless it has just been.
    rounding = 4 * jnp.finfo(loss.dtype).eps * jnp.abs(here.loss)
    promised = -jnp.sum(here.g * request.p) / 2
    is_stuck = is_step & ~accepted & ((promised <= rounding) | (length <= SHORTEST))
    stalls = jnp.where(accepted, jnp.where(decrease <= rounding, here.stalls + 1, 0), here.stalls)
    at_rest = (is_stuck & here.B_is_measured) | (stalls >= 2 * MAX_STALLS)
    remeasures = is_stuck | (accepted & (stalls == MAX_STALLS))
    n_gradients = here.n_gradients + jnp.sum(request.wanted)
    after = Search(
        unit=jnp.where(arrives, trial, here.unit),
        loss=jnp.where(arrives, loss, here.loss),
        g=jnp.where(arrives, g, here.g),
        B=B,
        measures=remeasures & ~here.B_is_measured,
        B_is_measured=B_is_measured,
        radius=radius,
        stalls=stalls,
        at_rest=at_rest,
        n_gradients=n_gradients,
        n_differences=here.n_differences + jnp.sum(found.by_differences & request.wanted),
        done=at_rest | (is_start & ~usable) | (n_gradients >= limit),
    )
    after = jax.tree.map(lambda old, new: jnp.where(here.done, old, new), here, after)
    return after, here.measures & ~here.done


def into_box(unit: Float[Array, "... n"], distance: float) -> Float[Array, "... n"]:
    """Return moves of `distance` along each coordinate, away from the nearer bound."""
    return jnp.where(unit > 0.5, -distance, distance).astype(unit.dtype)


# Steps


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
    # Sums, not matrix products, whose rounding depends on how many points there are.
    B_s, s_y = jnp.sum(B * s[None], axis=1), jnp.sum(s * y)
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
    return jnp.sum((V * jnp.maximum(size, floor)[None])[:, None] * V[None], axis=2)


# Gradients of many points, a block of columns at a time


def gradients_at(
    func: Objective,
    coordinates: Coordinates,
    units: Float[Array, "k m n_params"],
    wanted: Bool[Array, "k m"],
    way: str,
    block: int,
) -> Gradient:
    """Return `func` and its gradient at `units`, m for each of k points, where they are wanted.

    Those wanted come first, so that no more blocks are evaluated than needed. The last one is
    filled up with copies. Results that are not wanted are 0.
    """
    n_points, m, n = units.shape
    rows, n_rows = units.reshape(-1, n), n_points * m
    order = jnp.argsort(~wanted.reshape(-1), stable=True)
    order = jnp.pad(order, (0, -n_rows % block))
    n_wanted = jnp.sum(wanted)

    def evaluate_block(i: Int[Array, ""], found: Gradient) -> Gradient:
        is_real = i * block + jnp.arange(block) < n_wanted
        places = jax.lax.dynamic_slice_in_dim(order, i * block, block)
        places = jnp.where(is_real, places, order[0])
        new = gradients_of_block(func, coordinates, rows[places], places // m, way)
        targets = jnp.where(is_real, places, n_rows)  # copies are dropped
        return jax.tree.map(lambda all, new: all.at[targets].set(new, mode="drop"), found, new)

    nothing = Gradient(
        jnp.zeros(n_rows, units.dtype), jnp.zeros_like(rows), jnp.zeros(n_rows, bool)
    )
    found = jax.lax.fori_loop(0, (n_wanted + block - 1) // block, evaluate_block, nothing)
    return jax.tree.map(lambda leaf: leaf.reshape(n_points, m, *leaf.shape[1:]), found)


def gradients_of_block(
    func: Objective,
    coordinates: Coordinates,
    units: Float[Array, "k n_params"],
    points: Int[Array, " k"],
    way: str,
) -> Gradient:
    """Return `func` and its gradient by the coordinates of the unit cube; 0 for whole numbers.

    Central differences take over where `func` cannot be differentiated and, if `way` is "helped",
    where its gradient is not finite.
    """
    if way == DIFFERENCES:
        return forward_differences(func, coordinates, units, points)
    box = coordinates.box

    def losses_at(x: Array) -> Array:
        return jnp.asarray(func(coordinates.to_arguments(x, points).T)).astype(x.dtype)

    def by_central_differences() -> Array:
        return central_differences(func, coordinates, units, points)

    # Not through `to_user`: where it clips, on a bound, the gradient would be halved.
    x = box.to_user(units)
    exact = value_and_gradient(losses_at, x)
    if exact is None:
        losses, values = losses_at(x), by_central_differences()
        by_differences = jnp.ones(len(units), bool)
    else:
        losses, values = exact[0], exact[1] * box.width[None]
        by_differences = jnp.isfinite(losses) & ~jnp.all(jnp.isfinite(values), axis=1)
    if exact is not None and way == HELPED:
        # A loop of one turn at most: of a batch, unlike `cond`, it costs only lanes that need it.
        values, _ = jax.lax.while_loop(
            lambda loop: loop[1],
            lambda loop: (
                jnp.where(by_differences[:, None], by_central_differences(), loop[0]),
                jnp.array(False),
            ),
            (values, jnp.any(by_differences)),
        )
    if box.whole is not None:
        values = jnp.where(box.whole[None], 0.0, values)
    return Gradient(losses, values, by_differences)


def value_and_gradient(
    losses_at: Callable[[Array], Array], x: Float[Array, "k n_params"]
) -> tuple[Float[Array, " k"], Float[Array, "k n_params"]] | None:
    """Return the losses and their exact gradients, or None if JAX cannot differentiate them.

    Reverse mode first, which costs a few evaluations however many parameters there are. It cannot
    pass through loops of unknown length; forward mode can.

    Errors inside the function are raised: it is traced once, and what is differentiated is that
    trace. So are errors of its own derivative rules (`jax.custom_jvp`, `jax.custom_vjp`).
    """
    traced = jaxpr_as_fun(jax.make_jaxpr(losses_at)(x))

    def all_losses(x: Array) -> Array:
        [losses] = traced(x)
        return losses

    def reverse(x: Array) -> tuple[Array, Array]:
        losses, pull_back = jax.vjp(all_losses, x)
        [gradients] = pull_back(jnp.ones_like(losses))
        return losses, gradients

    def forward(x: Array) -> tuple[Array, Array]:
        # The same direction in all columns gives one partial derivative of every loss.
        def along(direction: Array) -> tuple[Array, Array]:
            tangents = jnp.broadcast_to(direction[None], x.shape)
            return jax.jvp(all_losses, (x,), (tangents,))

        return jax.vmap(along, out_axes=(None, 1))(jnp.eye(x.shape[1], dtype=x.dtype))

    differentiate: Callable[[Array], tuple[Array, Array]]
    for differentiate in (reverse, forward):
        try:
            return differentiate(x)
        except (TypeError, ValueError, NotImplementedError) as error:
            if not (is_raised_by_jax(error) and NOT_DIFFERENTIABLE.search(str(error))):
                raise
    return None


def central_differences(
    func: Objective,
    coordinates: Coordinates,
    units: Float[Array, "k n_params"],
    points: Int[Array, " k"],
) -> Float[Array, "k n_params"]:
    """Return ``(f(u + h) - f(u - h)) / 2h`` for each coordinate, from 2 n_params evaluations.

    ``h = eps^(1/3)`` balances truncation and rounding. At a bound the difference is one-sided.
    """
    k, n = units.shape
    offsets = jnp.finfo(units.dtype).eps ** (1 / 3) * jnp.eye(n, dtype=units.dtype)[None]
    above = jnp.minimum(units[:, None] + offsets, 1.0)
    below = jnp.maximum(units[:, None] - offsets, 0.0)
    sides = jnp.stack([above, below]).reshape(-1, n)  # (2 k n, n)
    places = jnp.tile(jnp.repeat(points, n), 2)
    x = coordinates.to_arguments(coordinates.box.to_user(sides), places)
    losses = jnp.asarray(func(x.T)).astype(units.dtype).reshape(2, k, n)
    distances = jnp.diagonal(above - below, axis1=1, axis2=2)
    return (losses[0] - losses[1]) / distances


def forward_differences(
    func: Objective,
    coordinates: Coordinates,
    units: Float[Array, "k n_params"],
    points: Int[Array, " k"],
) -> Gradient:
    """Return `func` and ``(f(u + h) - f(u)) / h`` for each coordinate, all in one call.

    ``h = eps^(1/2)``, into the box, balances truncation and rounding.
    """
    k, n = units.shape
    h = into_box(units, float(jnp.finfo(units.dtype).eps) ** 0.5)
    beside = units[:, None] + h[:, :, None] * jnp.eye(n, dtype=units.dtype)[None]
    all_units = jnp.concatenate([units[:, None], beside], axis=1).reshape(-1, n)
    x = coordinates.to_arguments(
        coordinates.box.to_user(all_units),
        jnp.repeat(points, n + 1, total_repeat_length=len(all_units)),
    )
    losses = jnp.asarray(func(x.T)).astype(units.dtype).reshape(k, n + 1)
    values = (losses[:, 1:] - losses[:, :1]) / h
    if coordinates.box.whole is not None:
        values = jnp.where(coordinates.box.whole[None], 0.0, values)
    return Gradient(losses[:, 0], values, jnp.ones(k, bool))


def points_per_call(n_params: int, way: str) -> int:
    """Return how many points a call of the function serves on a CPU."""
    return max(1, COLUMNS // (n_params + 1)) if way == DIFFERENCES else BLOCK
