"""How well estimates agree with the truth: correlations, their intervals, and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

from jaxcmr.recovery._intervals import Z_95

__all__ = ["agreement_of", "correlate", "interval_of_r"]

N_DRAWS = 1000
"""Bootstrap draws of an interval."""


def agreement_of(
    truth: Float[np.ndarray, " n"],
    estimate: Float[np.ndarray, " n"],
    lower: Float[np.ndarray, " n"] | None = None,
    upper: Float[np.ndarray, " n"] | None = None,
) -> dict[str, Any]:
    """Return how well estimates agree with the truth; see `Recovery.summary`.

    Correlations are NaN if truths or estimates are not `is_varied`.
    """
    error, variance = estimate - truth, float(np.var(truth))
    covariance = float(np.mean((truth - truth.mean()) * (estimate - estimate.mean())))
    r = correlate(truth, estimate)
    low, high = interval_of_r(r, truth, estimate)
    found: dict[str, Any] = {
        "n": len(truth),
        "r": r,
        "r_low": low,
        "r_high": high,
        "rho": correlate(stats.rankdata(truth), stats.rankdata(estimate)),
        "bias": float(error.mean()),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "regression": covariance / variance if is_varied(truth) else np.nan,
    }
    if lower is not None and upper is not None:
        known = np.isfinite(lower) & np.isfinite(upper)
        inside = (truth >= lower) & (truth <= upper)
        found["coverage"] = float(inside[known].mean()) if known.any() else np.nan
        found["n_intervals"] = int(known.sum())
    return found


def interval_of_r(
    r: float, truth: Float[np.ndarray, " n"], estimate: Float[np.ndarray, " n"]
) -> tuple[float, float]:
    """Return both ends of the approximate 95 % interval of a correlation.

    Each end is the wider one of two. By Fisher's z, ``artanh(r)`` is normal with variance
    ``1 / (n - 3)``: too short if r rests on few subjects far from the others, or on a bound. The
    percentiles of a bootstrap over subjects see these, as a draw whose truths or estimates are all
    the same counts as r = 0; they are too short for few subjects. With n < 4 nothing is known.
    """
    n = len(truth)
    if np.isnan(r) or n < 4:
        return (r, r) if np.isnan(r) else (-1.0, 1.0)
    with np.errstate(divide="ignore"):
        z = np.arctanh(np.clip(r, -1.0, 1.0))
    half = Z_95 / np.sqrt(n - 3)
    low, high = np.quantile(draw_correlations(truth, estimate), [0.025, 0.975])
    return float(min(low, np.tanh(z - half))), float(max(high, np.tanh(z + half)))


def draw_correlations(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " draws"]:
    """Return the correlations of bootstrap draws, always the same; 0 where one is constant."""
    n = len(x)
    x, y = x - x.mean(), y - y.mean()
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), N_DRAWS)
    mean_x, mean_y = counts @ x / n, counts @ y / n
    variance = (counts @ x**2 / n - mean_x**2) * (counts @ y**2 / n - mean_y**2)
    covariance = counts @ (x * y) / n - mean_x * mean_y
    is_known = variance > 1e-12 * np.var(x) * np.var(y)
    return np.where(is_known, covariance / np.sqrt(np.where(is_known, variance, 1.0)), 0.0)


def correlate(one: Any, other: Any) -> float:
    """Return the correlation of Pearson; NaN if one is constant."""
    x, y = np.asarray(one, float), np.asarray(other, float)
    if not (is_varied(x) and is_varied(y)):
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def is_varied(values: Float[np.ndarray, " n"]) -> bool:
    """Return whether values differ by more than rounding."""
    return len(values) > 1 and float(np.ptp(values)) > 1e-12 * float(np.max(np.abs(values)))
