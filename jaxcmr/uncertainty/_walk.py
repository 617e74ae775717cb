"""One side of a profile: a walk away from the estimate, and the root where the loss has risen.

The profile of parameter i is ``PL(t) = min L`` over all other parameters, with parameter i at
distance t from its estimate. The limit is the root of ``r(t) = sqrt(2 (PL(t) - L*))`` at
``sqrt(2 rise)``. Of a quadratic loss r is a line, so the secant through two points of it is a good
guess for the root (Illinois variant of the regula falsi, which keeps the root in a bracket).

A walk asks for places where it wants the profile, and is sent what was found there: it is a
generator, so that the walks of all parameters and sides of a subject can be answered together.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

__all__ = ["ON_BOUND", "Asked", "Found", "Ray", "Side", "Walk", "walk_out"]

ON_BOUND = 1e-3
"""How far from a bound a place counts as on it, as a share of the searched range."""

LONGEST = 0.1  # step of a walk, as a share of the searched range
SHORTEST = 1e-4
BLIND = 0.02  # first step where the curvature says nothing
OVERSHOOT = 1.02  # of steps to the root, so that most brackets close at once
CLOSE = 1e-6  # in standard errors: |r - r*| of a root
NARROW = 1e-10  # width of a bracket, as a share of the searched range
MOST_STEPS = 200


class Asked(NamedTuple):
    """Where a walk wants the profile: the place of the parameter, and where to start others."""

    value: float
    start: Float[np.ndarray, " n"]


class Found(NamedTuple):
    """A point of a profile: the lowest loss found, and its place in the unit cube."""

    loss: float
    place: Float[np.ndarray, " n"]


class Side(NamedTuple):
    """What a walk to one side found."""

    status: str  # a key of `jaxcmr.uncertainty.STATUSES`
    limit: float  # place of the limit in the unit cube; NaN where the side is open
    path: list[Found]  # in the order away from the estimate


Walk = Generator[Asked, Found, Side]


class Point(NamedTuple):
    """A point of a walk: distance from the estimate, root of twice the rise, and what was found."""

    t: float
    r: float
    found: Found


class Ray(NamedTuple):
    """From the estimate of a parameter to one end of the box."""

    best: Found
    which: int  # number of the parameter
    side: int  # -1 or 1

    @property
    def room(self) -> float:
        """The distance to the end of the box."""
        z = float(self.best.place[self.which])
        return 1.0 - z if self.side > 0 else z

    def at(self, t: float) -> float:
        """Return the place at distance `t`; the end of the box exactly, where the room ends."""
        if t == self.room:
            return 1.0 if self.side > 0 else 0.0
        return float(self.best.place[self.which]) + self.side * t

    def point(self, t: float, found: Found) -> Point:
        """Return the point at distance `t`; a loss that is not finite is beyond any rise."""
        rise = found.loss - self.best.loss
        r = float(np.sqrt(2 * max(rise, 0.0))) if np.isfinite(rise) else np.inf
        return Point(t, r, found)


def walk_out(
    ray: Ray, follow: Float[np.ndarray, " n"], sd: float, rise: float, tolerance: float
) -> Walk:
    """Walk along the profile of a parameter, until the loss has risen or the box ends.

    Args:
        ray: the parameter and the side.
        follow: how all parameters are expected to move, per unit of this one.
        sd: standard error of the parameter, for the first step; NaN if not known.
        rise: of the loss at the limit.
        tolerance: a loss lower than the best by more than this is a better fit.
    """
    if ray.room <= ON_BOUND:
        return Side("at bound", np.nan, [])
    target = float(np.sqrt(2 * rise))
    points = [Point(0.0, 0.0, ray.best)]
    step = 0.5 * target * sd if np.isfinite(sd) and sd > 0 else BLIND
    for _ in range(MOST_STEPS):
        here = points[-1]
        t = min(here.t + min(max(step, SHORTEST), LONGEST), ray.room)
        t = ray.room if ray.room - t < SHORTEST else t
        found = yield Asked(ray.at(t), predict(points, t, ray.side * follow))
        points.append(ray.point(t, found))
        if ray.best.loss - found.loss > tolerance:
            return end("better fit", points)
        if not points[-1].r < target:
            return (yield from close(ray, points, target, tolerance))
        if t == ray.room:
            has_risen = max(point.r for point in points) ** 2 / 2 > tolerance
            return end("at bound" if has_risen else "flat", points)
        step = next_step(points, target)
    return end("not found", points)


def close(ray: Ray, points: list[Point], target: float, tolerance: float) -> Walk:
    """Find the root between the last two points of a walk, of which the last one is beyond it."""
    low, high = points[-2], points[-1]
    f_low, f_high = low.r - target, high.r - target
    moved = 0  # which end moved last: -1 low, 1 high
    for _ in range(MOST_STEPS):
        nearest = min((low, high), key=lambda point: abs(point.r - target))
        if abs(nearest.r - target) <= CLOSE or high.t - low.t <= NARROW:
            break
        share = f_low / (f_low - f_high) if np.isfinite(f_high) else 0.5
        t = low.t + share * (high.t - low.t)
        start = low.found.place + share * (high.found.place - low.found.place)
        found = yield Asked(ray.at(t), start)
        points.append(ray.point(t, found))
        if ray.best.loss - found.loss > tolerance:
            return end("better fit", points)
        f = points[-1].r - target
        if f < 0:  # an end that stays twice counts half: it is not to stay for ever
            low, f_low, f_high = points[-1], f, f_high / 2 if moved == -1 else f_high
            moved = -1
        else:
            high, f_high, f_low = points[-1], f, f_low / 2 if moved == 1 else f_low
            moved = 1
    else:
        return end("not found", points)
    return end("closed", points)._replace(limit=ray.at(nearest.t))


def next_step(points: list[Point], target: float) -> float:
    """Return the step to where the line through the last two points reaches the target."""
    before, here = points[-2:]
    last = here.t - before.t
    rate = (here.r - before.r) / last
    wanted = (target - here.r) / rate * OVERSHOOT if rate > 0 else np.inf
    return min(max(wanted, last / 4), 2 * last)


def predict(
    points: list[Point], t: float, follow: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Return where all parameters are expected at distance `t`, in the unit cube."""
    here = points[-1]
    if len(points) > 1:
        follow = (here.found.place - points[-2].found.place) / (here.t - points[-2].t)
    return np.clip(here.found.place + (t - here.t) * follow, 0.0, 1.0)


def end(status: str, points: list[Point]) -> Side:
    """Return a side without a limit, and its path in order."""
    path = sorted(points[1:], key=lambda point: point.t)
    return Side(status, np.nan, [point.found for point in path])
