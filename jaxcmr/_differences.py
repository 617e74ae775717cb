"""Derivatives of losses by differences, on the unit cube of the scales of a search."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxcmr.parameters import ParameterSpace
from jaxcmr.typing import LossFn

__all__ = [
    "KINK",
    "STEP",
    "evaluate",
    "losses_at",
    "make_stencil",
    "second_differences",
    "steepest_side",
    "to_user",
]

STEP = 1e-3
"""Step of the differences, as a share of the searched range. Rounding errors of a loss of 1000 nats
then change a second derivative by some 1e-6; coordinates nearer to a bound are held."""

KINK = 0.01
"""Partial derivative, in units of the loss per searched range, above which an estimate off the
bounds is not at a smooth minimum: polishes end far below it, or at a kink far above."""

N_COLUMNS = 128  # candidates per call of the loss


def make_stencil(n: int, free: np.ndarray) -> Float[np.ndarray, "points n"]:
    """Return the steps of the differences: none; up, then down; then pairs up, then pairs down."""
    unit = np.eye(n)[free]
    first, second = np.triu_indices(len(free), 1)
    pairs = unit[first] + unit[second]
    return np.concatenate([np.zeros((1, n)), unit, -unit, pairs, -pairs])


def second_differences(losses: Float[np.ndarray, " points"], m: int, h: float = STEP) -> np.ndarray:
    """Return the Hessian from the losses on the stencil of `m` parameters, with steps of `h`.

    ``H_ii = (f(+i) - 2 f + f(-i)) / h^2`` and
    ``H_ij = (f(+i+j) + f(-i-j) - f(+i) - f(-i) - f(+j) - f(-j) + 2 f) / 2 h^2``.
    """
    here, beside = losses[0], losses[1:]
    sums = beside[:m] + beside[m : 2 * m] - 2 * here  # f(+i) + f(-i) - 2 f
    up, down = np.split(beside[2 * m :], 2)
    first, second = np.triu_indices(m, 1)
    hessian = np.diag(sums)
    hessian[first, second] = (up + down - 2 * here - sums[first] - sums[second]) / 2
    hessian[second, first] = hessian[first, second]
    return hessian / h**2


def steepest_side(
    loss: LossFn,
    space: ParameterSpace,
    place: Float[np.ndarray, " n"],
    free: np.ndarray,
    h: float = STEP,
) -> float:
    """Return the largest partial derivative, to either side, of parameters off their bounds.

    With ``D(h) = (f(+h) - f(-h)) / 2h`` and ``B(h) = (f(+h) - 2 f + f(-h)) / 2h`` the derivatives
    to both sides are D ± B at h = 0. There ``D = (4 D(h/2) - D(h)) / 3`` and
    ``B = 2 B(h/2) - B(h)``, which is 0 where the loss is smooth. At a kink B is half the jump of
    the derivative, which neither D nor an automatic derivative may show.
    """
    moves = h * np.eye(len(place))[free]
    points = np.concatenate([place[None], place + moves, place - moves,
                             place + moves / 2, place - moves / 2])  # fmt: skip
    losses = evaluate(loss, space, points)
    up, down, half_up, half_down = losses[1:].reshape(4, len(free))
    mean = (8 * (half_up - half_down) - (up - down)) / (6 * h)
    half_jump = (4 * (half_up - 2 * losses[0] + half_down) - (up - 2 * losses[0] + down)) / (2 * h)
    return float(np.max(np.abs(mean) + np.abs(half_jump), initial=0.0))


def evaluate(
    loss: LossFn,
    space: ParameterSpace,
    places: Float[np.ndarray, "points n"],
    first: Float[np.ndarray, " n"] | None = None,
    n_columns: int = N_COLUMNS,
) -> Float[np.ndarray, " points"]:
    """Return the loss at places of the unit cube, in calls of `n_columns` candidates.

    `first` are the parameters at the first place, to the last digit.
    """
    x = to_user(space, places)
    if first is not None:
        x[0] = first
    padded = np.pad(x, ((0, -len(x) % n_columns), (0, 0)), mode="edge")
    blocks = padded.reshape(-1, n_columns, x.shape[1])
    losses = [np.asarray(losses_at(loss, jnp.asarray(block.T))) for block in blocks]
    return np.concatenate(losses)[: len(x)]


def to_user(
    space: ParameterSpace, places: Float[np.ndarray, "points n"]
) -> Float[np.ndarray, "points n"]:
    """Return the parameters at places of the unit cube."""
    return np.array(space.from_unit(jnp.asarray(places.T))).T


@eqx.filter_jit
def losses_at(loss: LossFn, x: Float[Array, "n_params points"]) -> Float[Array, " points"]:
    """Return the loss of each column of `x`, in one program for all losses of a kind."""
    return loss(x)
