"""The exact posterior of model frequencies: a polynomial, integrated term by term.

Given frequencies r, the data have the probability ``prod_n sum_k r_k exp(L_nk)`` with the log
evidence L of subject n for model k. That is a polynomial: a sum over all ways to count how many
subjects have which model. The Dirichlet prior integrates each of its terms in closed form.
"""

from __future__ import annotations

from itertools import pairwise
from math import comb, log
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import gammaln, logsumexp

__all__ = ["MOST_MODELS", "Posterior", "find_posterior"]

MOST_MODELS = 5
MOST_TERMS = 15_000_000
"""Terms of a polynomial that are allowed; five models of 126 subjects have 11 million."""

MOST_KEPT = 40_000_000
"""Terms of the polynomials of 1, 2, ... subjects that are kept for the responsibilities."""

AS_GOOD_AS_0 = 1e-20
"""Probability of a term that is left out; all terms that are allowed have 1e-13 together."""

SAFE = 330.0
"""Largest N ln K up to which products of evidence need no logarithms: neither overflows, nor are
terms lost that could matter (the integrals of two terms differ by less than K^N)."""


class Posterior(NamedTuple):
    """The posterior over how many subjects have which model.

    - ``counts``: of subjects per model, one row per term.
    - ``weights``: probability of each row.
    - ``log_evidence``: of the data, frequencies integrated out.
    - ``responsibilities``: None where they would take too much memory.
    """

    counts: Int[np.ndarray, "terms models"]
    weights: Float[np.ndarray, " terms"]
    log_evidence: float
    responsibilities: Float[np.ndarray, "subjects models"] | None


def find_posterior(
    log_evidence: Float[np.ndarray, "subjects models"], prior: Float[np.ndarray, " models"]
) -> Posterior:
    """Return the exact posterior under a Dirichlet prior.

    Raises:
        ValueError: there are too many models or terms.
    """
    n_subjects, n_models = log_evidence.shape
    n_terms = comb(n_subjects + n_models - 1, n_models - 1)
    if n_models > MOST_MODELS or n_terms > MOST_TERMS:
        raise ValueError(
            f"The exact posterior of {n_models} models and {n_subjects} subjects has {n_terms} "
            f"terms; it is computed for up to {MOST_MODELS} models and {MOST_TERMS} terms. Use "
            "method='variational'."
        )
    top = log_evidence.max(1, keepdims=True)
    in_logs = n_subjects * log(n_models) > SAFE
    evidence = log_evidence - top if in_logs else np.exp(log_evidence - top)
    counts, below = make_lattice(n_subjects, n_models)
    ends = [comb(n + n_models - 1, n_models - 1) for n in range(n_subjects + 1)]
    keep = sum(ends) <= MOST_KEPT
    polynomial = np.array([0.0 if in_logs else 1.0])
    kept = []
    for row, end in zip(evidence, ends[1:], strict=True):
        if keep:
            kept.append(polynomial)
        polynomial = multiply(polynomial, row, below, end, in_logs)
    with np.errstate(divide="ignore"):
        logs = polynomial if in_logs else np.log(polynomial)
    # the integral of r^v under the prior a: B(a + v) / B(a), with the multivariate beta function B
    integrals = np.full(n_terms, gammaln(prior.sum()) - gammaln(prior.sum() + n_subjects))
    for a, column in zip(prior, counts.T, strict=True):
        integrals += (gammaln(a + np.arange(n_subjects + 1)) - gammaln(a))[column]
    total = logsumexp(logs + integrals)
    weights = np.exp(logs + integrals - total)
    shares = share_out(kept, evidence, integrals, below, ends, in_logs) if keep else None
    has_weight = weights > AS_GOOD_AS_0
    log_total = float(total + top.sum())
    return Posterior(counts[has_weight], weights[has_weight], log_total, shares)


def make_lattice(
    n_subjects: int, n_models: int
) -> tuple[Int[np.ndarray, "terms models"], Int[np.ndarray, "others terms"]]:
    """Return the counts of all terms, and for each term and model that with one subject less.

    Terms are in order of the number of subjects whose model is not the last, so that those of the
    first n subjects come first. A term without a subject of the model has -1 in its place.
    """
    n_others = n_models - 1
    # T_j = v_j + v_{j+1} + ...: how many subjects have model j or a later one but the last
    tails = [np.arange(n_subjects + 1, dtype=np.int32)]
    for _ in range(n_others - 1):  # each T_{j+1} goes from 0 to T_j
        sizes = tails[-1] + 1
        starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
        inner = (np.arange(len(starts)) - starts).astype(np.int32)
        tails = [*(np.repeat(tail, sizes) for tail in tails), inner]
    n_terms = len(tails[0])
    counts = np.empty((n_terms, n_models), np.int16 if n_subjects < 2**15 else np.int32)
    counts[:, -1] = n_subjects - tails[0]
    below = np.empty((n_others, n_terms), np.int32)
    # in this order, term v is at sum_j C(T_j + d, d + 1) with d = others - j, so that v - e_j is
    # before it by sum_{i <= j} C(T_i + d - 1, d)
    shift = np.zeros(n_terms, np.int32)
    for j, tail in enumerate(tails):
        depth = n_others - 1 - j
        steps = [0, *(comb(t - 1 + depth, depth) for t in range(1, n_subjects + 1))]
        shift += np.array(steps, np.int32)[tail]
        counts[:, j] = tail - (tails[j + 1] if depth else 0)
        below[j] = np.where(counts[:, j] > 0, np.arange(n_terms, dtype=np.int32) - shift, -1)
    return counts, below


def multiply(
    polynomial: Float[np.ndarray, " old"],
    evidence: Float[np.ndarray, " models"],
    below: Int[np.ndarray, "others terms"],
    end: int,
    in_logs: bool,
) -> Float[np.ndarray, " new"]:
    """Return the polynomial of one more subject: times ``sum_k r_k exp(L_k)``."""
    zero = -np.inf if in_logs else 0.0
    plus, times = (np.logaddexp, np.add) if in_logs else (np.add, np.multiply)
    old = np.full(end + 1, zero)  # the last entry, at -1, is that of terms that do not exist
    old[: len(polynomial)] = polynomial
    new = times(old[:end], evidence[-1])
    for from_term, value in zip(below, evidence[:-1], strict=True):
        new = plus(new, times(old[from_term[:end]], value))
    return new


def share_out(
    forward: list[Float[np.ndarray, " _"]],
    evidence: Float[np.ndarray, "subjects models"],
    integrals: Float[np.ndarray, " terms"],
    below: Int[np.ndarray, "others terms"],
    ends: list[int],
    in_logs: bool,
) -> Float[np.ndarray, "subjects models"]:
    """Return the probability of each model for each subject.

    From the last subject on, `behind` holds the log evidence of all later subjects given each
    count: ``b_{n-1}(v) = sum_k exp(L_nk) b_n(v + e_k)``. Model k of subject n has the probability
    ``sum_v c_{n-1}(v) exp(L_nk) b_n(v + e_k)``, with the polynomial c of the subjects before.
    """
    shares = np.zeros(evidence.shape)
    behind = integrals - integrals.max()
    for n, (small, end) in reversed(list(enumerate(pairwise(ends)))):
        with np.errstate(divide="ignore"):
            logs = evidence[n] if in_logs else np.log(evidence[n])
            before = forward[n] if in_logs else np.log(forward[n])
        moved = np.full((len(logs), small), -np.inf)
        moved[-1] = behind[:small] + logs[-1]
        for j, from_term in enumerate(below):
            has = from_term[:end] >= 0
            moved[j, from_term[:end][has]] = behind[:end][has] + logs[j]
        parts = add_logs(before + moved, axis=1)
        shares[n] = np.exp(parts - add_logs(parts, axis=0))
        behind = add_logs(moved, axis=0)
    return shares


def add_logs(x: Float[np.ndarray, "*rows terms"], axis: int) -> Float[np.ndarray, " *rest"]:
    """Return the logarithm of a sum of exponentials, at a third of the time of SciPy's."""
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.sum(np.exp(x - top), axis=axis)) + np.squeeze(top, axis)
