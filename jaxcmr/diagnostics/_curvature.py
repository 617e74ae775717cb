"""The loss around the estimates: Hessians, and the directions in which it hardly changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float

from jaxcmr._differences import STEP, evaluate, make_stencil, second_differences, to_user
from jaxcmr.diagnostics._criteria import format_value
from jaxcmr.fitting import FitProblem
from jaxcmr.fitting._search_space import choose_scales
from jaxcmr.fitting._trials import stack_trials, to_rows
from jaxcmr.optimize import check_not_forked, in_double, works_in_double
from jaxcmr.parameters import ParameterSpace
from jaxcmr.results import FitResult
from jaxcmr.typing import LossFn

__all__ = ["Curvature", "describe_direction", "measure_curvature"]

N_STEPS = 40  # along a direction, to each side
NAMED = 0.25  # parameters in the words of a direction move at least this share of the first's move
MOST_NAMED = 3
MOST_RATIO = 1e4  # a wider one tells nothing but that a value is close to 0


class Curvature(NamedTuple):
    """The loss around the estimates of a fit, on the unit cube of the scales that a model declares.

    The Hessian is of the parameters that are not on a bound; rows and columns of others are NaN.
    Each *direction* is a unit eigenvector of it, in order of the eigenvalues, the lowest first; the
    others have 0 in it. `ends` are the parameters at the farthest places, down and up the
    direction, up to which the loss is nowhere more than `cost` above that at the estimates. (It
    was computed at 40 places on each side, up to the end of the box.)
    """

    names: tuple[str, ...]
    scales: tuple[str, ...]
    is_free: Bool[np.ndarray, " n"]
    """Which parameters are not on a bound."""
    loss: float
    hessian: Float[np.ndarray, "n n"]
    eigenvalues: Float[np.ndarray, " m"]
    directions: Float[np.ndarray, "m n"]
    ends: Float[np.ndarray, "m 2 n"]
    shares: Float[np.ndarray, " m"]
    """Distance between the ends, as a share of the range of the parameter that moves most."""
    cost: float
    lowest: float
    """The lowest loss at any place where it was computed: beside the estimates, along the
    directions, and from estimates on a bound into the box."""


def measure_curvature(
    problem: FitProblem, result: FitResult, cost: float | None = None
) -> list[Curvature]:
    """Return the curvature of the loss at the estimates of each fit.

    Second derivatives are central differences in double precision. All fits share one compiled
    program.

    Args:
        problem: what was fitted.
        result: fits of `problem`.
        cost: how much the loss may increase along a direction. By default twice what counts as
            equal: 0.1 nats for likelihoods.

    Raises:
        ValueError: the loss has no gradient, or cannot be computed in double precision; or the
            result does not say which trials were fitted.

    >>> from jaxcmr.typing import LossFnGenerator
    >>> class Bowl(LossFnGenerator):
    ...     def __init__(self, model_factory, dataset, features): pass
    ...     def __call__(self, trials, base_params, names): return lambda x: 50 * (x[0] - 0.5) ** 2
    >>> problem = FitProblem({"subject": [[1]]}, "cmr", Bowl, {"learning_rate": [0, 1]})
    >>> fits = {"learning_rate": [0.5], "subject": [1]}
    >>> [found] = measure_curvature(problem, FitResult(fits=fits, trials=[[[0, 1]]]))
    >>> found.hessian.round(3)
    array([[100.]])
    """
    check_not_forked()
    if not problem.differentiable:
        raise ValueError("The loss has no gradient, hence no curvature: it simulates recall.")
    if result.get("trials") is None:
        raise ValueError("The result does not say which trials of the data were fitted.")
    cost = 2 * problem.generator.agree_within if cost is None else cost
    masks = [as_mask(to_rows(ranges), len(problem.subjects)) for ranges in result["trials"]]
    losses = [problem.loss_of(rows) for rows in stack_trials(masks)] if masks else []
    if not all(works_in_double(loss, len(problem.free_names)) for loss in losses[:1]):
        raise ValueError("The loss cannot be computed in double precision.")
    estimates = np.array([result["fits"][name] for name in problem.free_names], float).T
    scales = choose_scales("auto", problem.bounds, problem.scales)
    with jax.enable_x64(True):
        space = ParameterSpace.make(problem.bounds, scales)
        return [
            curvature_of(loss, space, x, cost, tuple(scales.items()))
            for loss, x in zip(in_double(losses), estimates, strict=True)
        ]


def curvature_of(
    loss: LossFn,
    space: ParameterSpace,
    x: Float[np.ndarray, " n"],
    cost: float,
    scales: Sequence[tuple[str, str]],
) -> Curvature:
    """Return the curvature of a loss at `x`."""
    names, words = zip(*scales, strict=True)
    place = space.to_unit(x.tolist())
    is_free = (place > STEP) & (place < 1 - STEP)
    (free,) = np.nonzero(is_free)
    stencil = place + STEP * make_stencil(len(place), free)
    off_bounds = walk(place, np.diag(np.where(place < 0.5, 1.0, -1.0))[~is_free])
    around = evaluate(loss, space, np.concatenate([stencil, *off_bounds]), x)
    loss_here = around[0]
    hessian = np.full((len(place), len(place)), np.nan)
    hessian[np.ix_(free, free)] = second_differences(around[: len(stencil)], len(free))
    known = hessian[np.ix_(free, free)]
    lowest = float(np.nanmin(around))
    if not len(free) or not np.all(np.isfinite(known)):
        none = np.zeros((0, len(place)))
        return Curvature(names, words, is_free, loss_here, hessian, none[:, 0], none,
                         none[:, None].repeat(2, 1), none[:, 0], cost, lowest)  # fmt: skip
    eigenvalues, vectors = np.linalg.eigh(known)
    directions = np.zeros((len(free), len(place)))
    directions[:, free] = vectors.T
    largest = np.argmax(np.abs(directions), axis=1)[:, None]
    directions *= np.sign(np.take_along_axis(directions, largest, axis=1))
    walks = np.stack([walk(place, -directions), walk(place, directions)], axis=1)
    losses = evaluate(loss, space, walks.reshape(-1, len(place))).reshape(walks.shape[:-1])
    ends = farthest_within(walks, losses - loss_here, cost, place)
    return Curvature(
        names,
        words,
        is_free,
        loss_here,
        hessian,
        eigenvalues,
        directions,
        np.stack([to_user(space, ends[:, side]) for side in (0, 1)], axis=1),
        np.max(np.abs(ends[:, 1] - ends[:, 0]), axis=1),
        cost,
        min(lowest, float(np.nanmin(losses))),
    )


# Directions


def walk(
    place: Float[np.ndarray, " n"], directions: Float[np.ndarray, "m n"]
) -> Float[np.ndarray, "m steps n"]:
    """Return places along each direction, in geometric steps up to the end of the unit cube."""
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(directions > 0, (1 - place) / directions, -place / directions)
    longest = np.min(np.where(directions == 0, np.inf, room), axis=1)
    steps = np.geomspace(np.minimum(STEP, longest), longest, N_STEPS, axis=1)
    return np.clip(place + steps[:, :, None] * directions[:, None], 0.0, 1.0)


def farthest_within(
    walks: Float[np.ndarray, "m 2 steps n"],
    increases: Float[np.ndarray, "m 2 steps"],
    cost: float,
    place: Float[np.ndarray, " n"],
) -> Float[np.ndarray, "m 2 n"]:
    """Return the last place on each walk before the loss first increases by more than `cost`."""
    n_within = np.cumprod(increases <= cost, axis=2).sum(axis=2)  # NaN is not within
    starts = np.broadcast_to(place, (*walks.shape[:2], 1, len(place)))
    places = np.concatenate([starts, walks], axis=2)
    return np.take_along_axis(places, n_within[:, :, None, None], axis=2)[:, :, 0]


def describe_direction(found: Curvature, which: int) -> str:
    """Return a direction in words, with the parameters at its ends.

    Args:
        found: from `measure_curvature`.
        which: number of the direction, from 0.

    >>> import numpy as np
    >>> ends = np.array([[[2.0, 8.0, 1.0], [10.0, 2.0, 1.0]]])
    >>> found = Curvature(("a", "b", "c"), ("log",) * 3, np.ones(3, bool), 5.0, np.eye(3),
    ...                   np.ones(1), np.array([[0.8, -0.6, 0.0]]), ends, np.ones(1), 0.1, 5.0)
    >>> describe_direction(found, 0)
    'a up (2 to 10) with b down (8 to 2) costs at most 0.1 over a factor of 5'
    """
    direction, (low, high) = found.directions[which], found.ends[which]
    order = np.argsort(-np.abs(direction))
    named = [i for i in order if abs(direction[i]) >= NAMED * abs(direction[order[0]])]
    moves = [
        f"{found.names[i]} {'up' if direction[i] > 0 else 'down'} "
        f"({format_value(low[i])} to {format_value(high[i])})"
        for i in named[:MOST_NAMED]
    ]
    told = " with ".join([moves[0], " and ".join(moves[1:])]) if len(moves) > 1 else moves[0]
    first, over = order[0], ""
    if found.scales[first] != "linear" and high[first] < MOST_RATIO * low[first]:
        over = f" over a factor of {high[first] / low[first]:.3g}"
    return f"{told} costs at most {found.cost:g}{over}"


def as_mask(rows: np.ndarray, n_trials: int) -> np.ndarray:
    """Return the mask of row numbers."""
    mask = np.zeros(n_trials, bool)
    mask[rows] = True
    return mask
