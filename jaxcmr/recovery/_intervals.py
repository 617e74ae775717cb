"""95 % intervals of simulated subjects, by profiles of the likelihood or by its curvature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxcmr._differences import KINK
from jaxcmr.diagnostics import measure_curvature
from jaxcmr.fitting import FitProblem
from jaxcmr.names import describe_unknown
from jaxcmr.recovery._simulated import Execution, SimulatedSubject, names_of
from jaxcmr.recovery._truths import find_places
from jaxcmr.results import FitResult
from jaxcmr.uncertainty import profile_likelihood
from jaxcmr.uncertainty._inputs import check_likelihood

__all__ = ["Z_95", "Ends", "choose_intervals", "profile_intervals", "wald_intervals"]

WAYS = ("profile", "hessian")
"""How intervals are found: see `recover_parameters`."""

LOST = ("better fit", "not found")
"""Statuses of a side of a profile that leave no interval."""

FLAT = 1e-4
"""Second derivative, in units of the loss per squared range, up to which it may be rounding. A
standard error would be a hundred times the range, or more."""

Z_95 = 1.959963984540054
"""Quantile of the normal distribution at the ends of a 95 % interval."""


class Ends(NamedTuple):
    """Lower and upper ends of intervals."""

    places: Float[np.ndarray, "2 subjects n"]
    """Between the bounds on the search scale; NaN where there is no interval."""
    statuses: np.ndarray | None = None
    """(2, subjects, n): how each side of a profile ended, in words; None without profiles."""


def choose_intervals(intervals: bool | str, problem: FitProblem) -> str:
    """Return the way intervals are found; "" for none.

    Raises:
        ValueError: the way is unknown, or takes a likelihood and the loss is something else.
    """
    if not intervals:
        return ""
    way = "profile" if intervals is True else intervals
    if way not in WAYS:
        raise ValueError(describe_unknown("way of intervals", way, WAYS))
    if way == "profile":
        check_likelihood(problem)
    return way


def profile_intervals(
    problem: FitProblem,
    subjects: Sequence[SimulatedSubject],
    estimates: Float[np.ndarray, "subjects n"],
    losses: Float[np.ndarray, " subjects"],
    how: Execution,
    prefix: str,
    progress: bool,
) -> Ends:
    """Return the ends of profile intervals.

    A side that is open within the bounds ends at the bound. There is no interval where a profile
    met a better fit, or has an end that was not found.

    Args:
        problem: of the simulated data.
        subjects: who was simulated.
        estimates: of their fits.
        losses: at the estimates, in double precision.
        how: checkpoint and workers.
        prefix: of the names by which profiles are kept, as for `refit`.
        progress: show a progress bar.
    """
    names = names_of(problem, subjects, prefix)
    ids = [f"{name}, subject {s.subject}" for name, s in zip(names, subjects, strict=True)]
    result = as_result(problem, subjects, estimates, ids)
    result["fitness"] = losses.tolist()
    found = profile_likelihood(
        problem, result, checkpoint=how.checkpoint, workers=how.workers, progress=progress
    ).table
    shape = (*estimates.shape, 2)  # a row per subject, parameter and side, in this order
    limits = found["limit"].to_numpy(float).reshape(shape)
    statuses = found["status"].to_numpy(str).reshape(shape)
    is_lost = np.isin(statuses, LOST).any(axis=2)
    bounds = np.array(list(problem.bounds.values()), float)
    limits = np.where(np.isnan(limits), bounds, limits)
    places = np.stack([find_places(problem, limits[..., side]) for side in (0, 1)])
    return Ends(np.where(is_lost, np.nan, places), np.moveaxis(statuses, 2, 0))


def wald_intervals(
    problem: FitProblem,
    subjects: Sequence[SimulatedSubject],
    estimates: Float[np.ndarray, "subjects n"],
    steepest: Float[np.ndarray, " subjects"],
) -> Ends:
    """Return the ends of intervals by curvature; NaN on a bound or without a smooth minimum.

    With the Hessian H of the parameters off their bounds, the squared standard errors are the
    diagonal of its inverse: of its eigenvectors v and eigenvalues w, the sum of ``v^2 / w``.

    Args:
        problem: of the simulated data.
        subjects: who was simulated.
        estimates: of their fits.
        steepest: largest partial derivative at the estimates of each; see `refit`.
    """
    ids = [each.subject for each in subjects]
    is_smooth: Bool[np.ndarray, " subjects"] = steepest <= KINK
    errors = np.full(estimates.shape, np.nan)
    found = measure_curvature(problem, as_result(problem, subjects, estimates, ids))
    for row, each in enumerate(found):
        if is_smooth[row] and len(each.eigenvalues) and each.eigenvalues[0] > FLAT:
            variances = np.sum(each.directions**2 / each.eigenvalues[:, None], axis=0)
            errors[row, each.is_free] = np.sqrt(variances[each.is_free])
    places = find_places(problem, estimates)
    return Ends(np.clip(np.stack([places - Z_95 * errors, places + Z_95 * errors]), 0.0, 1.0))


def as_result(
    problem: FitProblem,
    subjects: Sequence[SimulatedSubject],
    estimates: Float[np.ndarray, "subjects n"],
    ids: Sequence[int | str],
) -> FitResult:
    """Return the fits of simulated subjects as a result, without losses and runs."""
    fits = {name: estimates[:, i].tolist() for i, name in enumerate(problem.free_names)}
    ranges = [[[int(each.rows[0]), int(each.rows[-1]) + 1]] for each in subjects]
    return FitResult(fits={**fits, "subject": list(ids)}, trials=ranges)
