"""How likely each frequency is the largest, for a Dirichlet distribution and for a mixture."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.special import gammainc, gammainccinv, gammaln

__all__ = ["exceedance", "mixture_exceedance"]

AS_GOOD_AS_0 = 1e-18
NEGLIGIBLE = 1e-9
"""Weight of a mixture that is left out."""

MOST_CELLS = 1_000_000
"""Components times nodes that are computed at once, to bound the memory."""


def exceedance(alpha: Float[np.ndarray, " models"]) -> Float[np.ndarray, " models"]:
    """Return the probability that each frequency is the largest of a Dirichlet distribution."""
    return mixture_exceedance(np.asarray(alpha, float)[None], np.ones(1))


def mixture_exceedance(
    alpha: Float[np.ndarray, "components models"], weights: Float[np.ndarray, " components"]
) -> Float[np.ndarray, " models"]:
    """Return the same of a mixture of Dirichlet distributions, without random numbers.

    Frequencies of a Dirichlet distribution are independent gamma variables over their sum. So that
    of model k is the largest with probability ``int g(q; a_k) prod_{j != k} P(a_j, q) dq``, with
    the density g and the distribution function P of gamma variables. With ``q = exp(t)`` the
    integrand is smooth and falls to 0 at both ends, where the trapezoid rule has errors far below
    rounding.

    Args:
        alpha: parameters of each component.
        weights: of the components, which sum to 1. The lightest are left out, up to 1e-9 in all.
    """
    order = np.argsort(weights)
    kept = order[np.cumsum(weights[order]) > NEGLIGIBLE]
    alpha, weights = alpha[kept], weights[kept] / weights[kept].sum()
    values, places = np.unique(alpha, return_inverse=True)
    places = places.reshape(alpha.shape)
    # left of `low`, the integrand is below exp(t * sum(alpha)); the narrowest peak is 1/sqrt wide
    low = np.log(AS_GOOD_AS_0) / alpha.sum(1).min() - 1.0
    high = np.log(gammainccinv(values[-1], AS_GOOD_AS_0))
    step = min(0.1, 0.5 / np.sqrt(values[-1]))
    t = np.arange(low, high + step, step)
    density = np.exp(values[:, None] * t - np.exp(t) - gammaln(values)[:, None]) * step
    below = gammainc(values[:, None], np.exp(t))
    total = np.zeros(alpha.shape[1])
    n_models = alpha.shape[1]
    for part in np.array_split(np.arange(len(alpha)), 1 + len(alpha) * len(t) // MOST_CELLS):
        rows = [below[places[part, k]] for k in range(n_models)]
        behind = [weights[part, None]]  # products of the rows behind, from the last on
        for row in rows[:0:-1]:
            behind.append(behind[-1] * row)
        before = np.ones(1)
        for k, row in enumerate(rows):
            product = np.broadcast_to(before * behind[n_models - 1 - k], row.shape)
            total[k] += np.einsum("ij,ij->", density[places[part, k]], product)
            before = before * row
    return total / total.sum()
