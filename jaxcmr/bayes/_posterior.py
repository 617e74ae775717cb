"""The posterior of each subject given a group: mode, Hessian, and the probability of the recalls.

A likelihood may have kinks, where its gradient jumps: the stop probability of CMR, for one, has a
cap, and a list that ends where the cap is met gains nothing from more. A mode may lie on a kink.
Its gradient is not zero there, and a Hessian of small differences says nothing about its width.
Both are then measured over distances of one posterior standard deviation to each side.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PyTree

from jaxcmr.bayes._laplace import Quadratic, find_mode, integrate, newton_step
from jaxcmr.bayes._log_density import LogDensity, Losses
from jaxcmr.parameters import ParameterSpace
from jaxcmr.typing import LossFn

__all__ = ["Posteriors", "find_posteriors", "measure_at"]

T = TypeVar("T")

STEP = 1e-4
"""Step of the differences of gradients on the probit scale. Rounding errors of a loss of 1000 nats
then change a second derivative by some 1e-8, of at least 1 with a standard normal prior."""

AT_ONCE = 8  # subjects in a call of the compiled program, one after the other; calls run in threads
WIDENINGS = 12  # rounds of a search on a kink, and of the search for the width of its posterior
SHARES = 0.5 ** np.arange(8)  # of a step, tried side by side on a kink


class Posteriors(NamedTuple):
    """Of each subject, given the group's mean and sd."""

    mode: Float[np.ndarray, "subjects n"]
    nll: Quadratic
    """The loss at the mode, as measured: without the prior."""
    hessian: Float[np.ndarray, "subjects n n"]
    """Of minus the log posterior at the mode; measured over one sd on a kink."""
    log_evidence: Float[np.ndarray, " subjects"]
    """NaN where the Hessian is not positive definite."""
    at_rest: Bool[np.ndarray, " subjects"]
    """False on a kink."""

    @property
    def is_positive(self) -> Bool[np.ndarray, " subjects"]:
        """Return which Hessians are positive definite."""
        return np.isfinite(self.log_evidence)

    @property
    def variance(self) -> Float[np.ndarray, "subjects n"]:
        """Return the diagonals of the inverse Hessians; NaN where not positive definite."""
        found = np.full(self.mode.shape, np.nan)
        usable = self.is_positive
        found[usable] = np.diagonal(np.linalg.inv(self.hessian[usable]), axis1=1, axis2=2)
        return found


def find_posteriors(
    density: LogDensity,
    starts: Float[np.ndarray, "subjects n"],
    nll: Quadratic,
    mean: Float[np.ndarray, " n"],
    sd: Float[np.ndarray, " n"],
    pool: Executor,
) -> Posteriors:
    """Return each subject's posterior given the group, searched for from `starts`.

    `nll` is the loss there, from `measure_at` or the round before.
    """

    def work(places: np.ndarray) -> Posteriors:
        with jax.enable_x64(True):  # a setting of each thread
            z, at, *group = jax.tree.map(jnp.asarray, (*take((starts, nll), places), mean, sd))
            found = posteriors_of(density.losses.take(places), density.space, z, at, *group)
            return Posteriors(*jax.tree.map(np.array, found))

    return in_blocks(work, len(starts), pool)


def measure_at(
    density: LogDensity, z: Float[np.ndarray, "subjects n"], pool: Executor
) -> Quadratic:
    """Return the loss of each subject at `z` with its gradient and Hessian."""

    def work(places: np.ndarray) -> Quadratic:
        with jax.enable_x64(True):
            losses = density.losses.take(places)
            found = quadratics_of(losses, density.space, jnp.asarray(z[places]))
            return jax.tree.map(np.array, found)

    return in_blocks(work, len(z), pool)


def in_blocks(work: Callable[[np.ndarray], T], n: int, pool: Executor) -> T:
    """Return the results of `work` on blocks of places of equal size, put together.

    The last block is filled up with copies, so that one compiled program serves all of them.
    """
    blocks = [np.minimum(np.arange(i, i + AT_ONCE), n - 1) for i in range(0, n, AT_ONCE)]
    parts = list(pool.map(work, blocks))
    found: T = jax.tree.map(lambda *rows: np.concatenate(rows)[:n], *parts)
    return found


def take(tree: PyTree, places: np.ndarray) -> PyTree:
    """Return some rows of every array."""
    return jax.tree.map(lambda leaf: leaf[places], tree)


# Compiled: subjects one after the other


@eqx.filter_jit
def quadratics_of(
    losses: Losses, space: ParameterSpace, z: Float[Array, "subjects n"]
) -> Quadratic:
    """Return the loss of each subject at its row of `z`, with gradient and Hessian."""

    def of_subject(row: tuple[PyTree, Float[Array, " n"]]) -> Quadratic:
        return differentiate(on_probit_scale(losses.of(row[0]), space), row[1])

    return jax.lax.map(of_subject, (losses.own, z))


@eqx.filter_jit
def posteriors_of(
    losses: Losses,
    space: ParameterSpace,
    starts: Float[Array, "subjects n"],
    nll: Quadratic,
    mean: Float[Array, " n"],
    sd: Float[Array, " n"],
) -> tuple[PyTree, ...]:
    """Return the fields of `Posteriors`, searched for from each subject's row of `starts`."""

    def with_prior(z: Float[Array, " n"], nll: Quadratic) -> Quadratic:
        log_prior = jnp.sum(jax.scipy.stats.norm.logpdf(z, mean, sd))
        return Quadratic(
            nll.value - log_prior,
            nll.gradient + (z - mean) / sd**2,
            nll.hessian + jnp.diag(1 / sd**2),
        )

    def of_subject(row: tuple[PyTree, Float[Array, " n"], Quadratic]) -> tuple[PyTree, ...]:
        function = on_probit_scale(losses.of(row[0]), space)

        def measure(z: Float[Array, " n"]) -> Quadratic:
            return differentiate(function, z)

        def settle(z: Float[Array, " n"]) -> tuple[Array, Quadratic, Array]:
            z, hessian = settle_on_kink(function, mean, sd, z)
            return z, measure(z), hessian

        found = find_mode(measure, row[1], row[2], with_prior)
        z, at, hessian = jax.lax.cond(
            found.at_rest,
            lambda z: (z, found.at, with_prior(z, found.at).hessian),
            settle,
            found.z,
        )
        whole = with_prior(z, at)
        log_evidence = integrate(Quadratic(whole.value, whole.gradient, hessian))
        return z, at, hessian, log_evidence, found.at_rest

    found: tuple[PyTree, ...] = jax.lax.map(of_subject, (losses.own, starts, nll))
    return found


def on_probit_scale(loss: LossFn, space: ParameterSpace) -> LossFn:
    """Return a loss as a function of columns of numbers on the probit scale."""
    return lambda columns: loss(space.from_probit(columns))


def differentiate(
    function: LossFn, z: Float[Array, " n"], h: Float[Array, " n"] | float = STEP
) -> Quadratic:
    """Return a function ``(n, k) -> (k,)`` at `z` with its gradient and Hessian.

    Row i of the Hessian is ``(g(z + h_i e_i) - g(z - h_i e_i)) / 2 h_i``. All gradients are taken
    in one call: models are fast for many columns, and some have no exact Hessian.
    """
    values, gradients, rows = gradients_around(function, z, h)
    return Quadratic(values[0], gradients[:, 0], (rows + rows.T) / 2)


def gradients_around(
    function: LossFn, z: Float[Array, " n"], h: Float[Array, " n"] | float
) -> tuple[Float[Array, " 2*n+1"], Float[Array, "n 2*n+1"], Float[Array, "n n"]]:
    """Return values and gradients at `z` and ``z +- h_i e_i``, and rows of the Hessian."""
    n = len(z)
    h = jnp.broadcast_to(jnp.asarray(h, z.dtype), (n,))
    moves = jnp.concatenate([jnp.zeros((n, 1), z.dtype), jnp.diag(h), -jnp.diag(h)], axis=1)
    values, pull_back = jax.vjp(function, z[:, None] + moves)
    [gradients] = pull_back(jnp.ones_like(values))  # columns are independent of each other
    up, down = gradients[:, 1 : n + 1], gradients[:, n + 1 :]
    return values, gradients, (up - down).T / (2 * h)[:, None]


def settle_on_kink(
    function: LossFn, mean: Float[Array, " n"], sd: Float[Array, " n"], z: Float[Array, " n"]
) -> tuple[Float[Array, " n"], Float[Array, "n n"]]:
    """Return the lowest point found along a kink, and the Hessian over one sd to each side.

    Gradients are averaged over the places ``z +- h_i e_i``, and the Hessian is measured between
    them. It gives a step, of which the share is taken that ends lowest, and the next
    ``h_i = 1 / sqrt(H_ii)``: at the end, each h_i is the sd of the posterior, others held.
    """
    shares = jnp.asarray(SHARES, z.dtype)

    def penalty(columns: Float[Array, "n k"]) -> Float[Array, " k"]:
        return jnp.sum(((columns - mean[:, None]) / sd[:, None]) ** 2, axis=0) / 2

    def turn(
        _: int, here: tuple[Float[Array, " n"], Float[Array, " n"], Float[Array, "n n"]]
    ) -> tuple[Float[Array, " n"], Float[Array, " n"], Float[Array, "n n"]]:
        z, h, _H = here
        values, gradients, rows = gradients_around(function, z, h)
        H = (rows + rows.T) / 2 + jnp.diag(1 / sd**2)
        smooth = jnp.mean(gradients[:, 1:], axis=1) + (z - mean) / sd**2
        s = newton_step(Quadratic(values[0], smooth, H))
        trials = (
            z[:, None] + jnp.minimum(1.0, 0.5 / jnp.max(jnp.abs(s))) * s[:, None] * shares[None]
        )
        totals = function(trials) + penalty(trials)
        totals = jnp.where(jnp.isfinite(totals), totals, jnp.inf)
        best = jnp.argmin(totals)
        is_lower = totals[best] < values[0] + penalty(z[:, None])[0]
        h = jnp.minimum(1 / jnp.sqrt(jnp.maximum(jnp.diagonal(H), 1 / sd**2)), 0.5)
        return jnp.where(is_lower, trials[:, best], z), h, H

    start = (z, jnp.full_like(z, 0.02), jnp.zeros((len(z), len(z)), z.dtype))
    z, _, H = jax.lax.fori_loop(0, WIDENINGS, turn, start)
    return z, H
