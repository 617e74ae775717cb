"""`recover_parameters`: simulate with known parameters, fit again, compare."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from jaxcmr.fitting import FitProblem, Watcher, Workers
from jaxcmr.recovery._intervals import (
    Ends,
    choose_intervals,
    profile_intervals,
    wald_intervals,
)
from jaxcmr.recovery._simulated import (
    Execution,
    choose_hyperparameters,
    choose_lists,
    losses_at,
    name_lists,
    refit,
    simulate_subjects,
)
from jaxcmr.recovery._truths import Truths, find_places, from_places, make_truths
from jaxcmr.recovery._words import describe_recovery
from jaxcmr.results import FitResult
from jaxcmr.simulation import check_count

__all__ = ["Recovery", "recover_parameters"]

ON_BOUND = 1e-3
"""How far from a bound an estimate counts as on it, as a share of the searched range."""

ROUNDING = 1e-9
"""Share of a loss by which two computations of it may differ."""

COMPARED = ("truth", "estimate")

SCALES: Mapping[str, str] = {"search": "_place", "user": ""}
"""What follows ``truth``, ``estimate``, ... in columns on each scale."""


@dataclass(frozen=True)
class Recovery:
    """True parameters of simulated subjects, and the estimates of their fits.

    - ``table``: one row per simulated subject and parameter: ``subject``, ``copy``,
      ``parameter``, ``truth``, ``estimate``, ``at_bound`` ("lower", "upper" or empty), and
      ``lower`` and ``upper`` of a 95 % interval if it was asked for. The same on the search scale,
      as places between the bounds from 0 to 1, are ``truth_place``, ``estimate_place``, ....
      Profiles also have ``lower_status`` and ``upper_status``, keys of
      `jaxcmr.uncertainty.STATUSES`.
    - ``losses``: one row per simulated subject: ``loss_at_truth``, ``loss_at_estimate``, and
      ``missed``, True where the estimate's is higher: the search has not found the minimum.
    - ``n_lists``: lists per simulated subject, the median.
    - ``parameters``: where the truth came from. ``seed``: of the simulation.
    - ``simulated``: the simulated data set. `jaxcmr.datasets.to_psifr` makes a table of it.
    """

    table: pd.DataFrame
    losses: pd.DataFrame
    n_lists: int
    parameters: str
    seed: int
    simulated: Mapping[str, np.ndarray] = field(repr=False, default_factory=dict)

    def summary(self, scale: str = "search") -> pd.DataFrame:
        """Return one row per parameter on how well its truth was found.

        Columns: ``parameter``; ``n``; ``r`` and ``rho``, the correlations of Pearson and Spearman
        (NaN if all truths or all estimates are within 0.001 of the range); ``bias``, the mean of
        estimate - truth; ``rmse``;
        ``regression``, the coefficient of the estimate on the truth; ``at_bound`` and
        ``truth_at_bound``, shares of simulated subjects; and with intervals ``coverage``, the share
        of intervals that hold the truth, and ``n_intervals``, for how many there is one.

        Args:
            scale: "search", on which places go from 0 to 1 between the bounds; or "user".
        """
        if scale not in SCALES:
            raise ValueError(f"scale must be 'search' or 'user'; got {scale!r}.")
        rows = []
        for name, of_one in self.table.groupby("parameter", sort=False):
            columns = {
                each: of_one[f"{each}{SCALES[scale]}"].to_numpy(float)
                for each in ("truth", "estimate", "lower", "upper")
                if f"{each}{SCALES[scale]}" in of_one
            }
            place = of_one["truth_place"].to_numpy(float)
            shares = {
                "at_bound": float((of_one["at_bound"] != "").mean()),
                "truth_at_bound": float(np.mean((place <= ON_BOUND) | (place >= 1 - ON_BOUND))),
            }
            found = agreement_of(**columns)
            spreads = [np.ptp(of_one[f"{each}_place"].to_numpy(float)) for each in COMPARED]
            if min(spreads) <= ON_BOUND:  # such as all on a bound: what is left is rounding
                found.update(r=np.nan, rho=np.nan, regression=np.nan)
            rows.append({"parameter": name, **found, **shares})
        return pd.DataFrame(rows)

    def correlations(self) -> pd.DataFrame:
        """Return the correlations of each truth (rows) with each estimate (columns).

        They are on the search scale. Large ones off the diagonal, which the truths among each other
        do not have, show parameters that are taken for one another.
        """
        names = list(self.table["parameter"].unique())
        keys = ["copy", "subject"]
        truth, estimate = (
            self.table.pivot(index=keys, columns="parameter", values=f"{each}_place")[names]
            for each in COMPARED
        )
        return pd.DataFrame(
            [[correlate(truth[i], estimate[j]) for j in names] for i in names],
            pd.Index(names, name="truth"),
            pd.Index(names, name="estimate"),
        )

    @property
    def n_missed(self) -> int:
        """For how many simulated subjects the search missed the minimum of the loss."""
        return int(self.losses["missed"].sum())

    def verdict(self) -> str:
        """Return in words which parameters can be interpreted."""
        return describe_recovery(self.summary(), len(self.losses), self.n_lists, self.n_missed)

    def __repr__(self) -> str:
        table = self.summary().to_string(index=False, float_format="{:.3f}".format)
        return f"{self.verdict()}\n\n{table}"

    def _repr_html_(self) -> str:
        table = self.summary().to_html(index=False, float_format="{:.3f}".format, border=0)
        return f"<p>{self.verdict()}</p>{table}"


def recover_parameters(
    problem: FitProblem,
    result: FitResult,
    parameters: Truths = "fitted",
    *,
    n_copies: int = 1,
    n_lists: int | None = None,
    seed: int = 0,
    search: str | Mapping[str, Any] | None = None,
    intervals: bool | str = False,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    workers: Workers | None = None,
    watchers: Sequence[Watcher] = (),
) -> Recovery:
    """Simulate subjects with known parameters on the fitted lists, and fit them.

    Each simulated subject studies the lists of a subject that was fitted. No fit starts from the
    truth: that would hide that a search fails.

    Args:
        problem: what was fitted.
        result: its fits.
        parameters: "fitted", the estimates of the result; "uniform", between the bounds on the
            search scale; "normal", from the distribution of the estimates on that scale; or a table
            with a row per simulated subject.
        n_copies: simulated subjects per fit.
        n_lists: lists per simulated subject; by default those that were fitted. Where a subject
            has fewer, they are studied again.
        seed: of the simulation, from 0 to 2**32 - 1.
        search: the search, as for `jaxcmr.fit`; by default that of the result.
        intervals: also give 95 % intervals: "profile" (or True), by the profile of the likelihood,
            which ends at a bound where a side is open, and is missing where the profile met a
            better fit; or "hessian", estimate ± 1.96 standard errors by the curvature of the loss
            on the search scale, quicker and too short for CMR. These are missing on a bound, where
            the loss is flat in some direction, and at a kink: fits of CMR often end where the
            probability of stopping reaches 1.
        progress: show a progress bar.
        checkpoint: a folder that keeps finished runs and profiles: the same call goes on where it
            was interrupted.
        workers: processes to search in; see `JaxDE.fit`.
        watchers: what follows the fits.

    Raises:
        ValueError: the result is of other data, or an argument is invalid.

    >>> import jaxcmr as jc  # doctest: +SKIP
    >>> data = jc.load("peers_notask")  # doctest: +SKIP
    >>> result = jc.fit(data)  # doctest: +SKIP
    >>> problem = FitProblem.from_result(result, data)  # doctest: +SKIP
    >>> recover_parameters(problem, result).summary()  # doctest: +SKIP
    """
    check_count("n_copies", n_copies)
    way = parameters if isinstance(parameters, str) else "table"
    lists = choose_lists(problem, result, n_lists)
    of_intervals = choose_intervals(intervals, problem)
    truths = make_truths(problem, result, parameters, n_copies, seed)
    hyperparameters = choose_hyperparameters(problem, result, search, progress)
    with jax.enable_x64(result["precision"] == "float64"):
        simulated, subjects = simulate_subjects(problem, lists, truths, seed)
        how = Execution(checkpoint, workers, watchers)
        prefix = f"{way}, seed {seed}, {name_lists(n_lists)}, "
        fits = refit(simulated, subjects, hyperparameters, how, prefix)
        names = problem.free_names
        points = np.stack([truths[names].to_numpy(float), fits[names].to_numpy(float)], axis=1)
        losses = losses_at(simulated, subjects, points)
    estimates, ends = points[:, 1], None
    if of_intervals == "profile":
        prefix += f"best of {hyperparameters.get('best_of', 1)}, "  # other estimates
        ends = profile_intervals(
            simulated, subjects, estimates, losses[:, 1], how, prefix, progress
        )
    elif of_intervals == "hessian":
        ends = wald_intervals(simulated, subjects, estimates, fits["steepest"].to_numpy(float))
    return Recovery(
        make_table(problem, truths, points, ends),
        compare_losses(truths, losses),
        int(np.median([len(each.rows) for each in subjects])),
        way,
        seed,
        simulated.dataset,
    )


def make_table(
    problem: FitProblem,
    truths: pd.DataFrame,
    points: Float[np.ndarray, "subjects 2 n"],
    ends: Ends | None,
) -> pd.DataFrame:
    """Return the table of a `Recovery`: see there.

    Args:
        problem: whose parameters they are.
        truths: who was simulated.
        points: truth and estimate of each.
        ends: of intervals, if there are any.
    """
    names, n = problem.free_names, len(points)
    truth, estimate = find_places(problem, points[:, 0]), find_places(problem, points[:, 1])
    words = np.select([estimate <= ON_BOUND, estimate >= 1 - ON_BOUND], ["lower", "upper"], "")
    columns = {
        "subject": np.repeat(truths["subject"].to_numpy(), len(names)),
        "copy": np.repeat(truths["copy"].to_numpy(), len(names)),
        "parameter": names * n,
        "truth": points[:, 0].ravel(),
        "estimate": points[:, 1].ravel(),
        "at_bound": words.ravel(),
        "truth_place": truth.ravel(),
        "estimate_place": estimate.ravel(),
    }
    if ends is not None:
        for i, name in enumerate(("lower", "upper")):
            columns[name] = from_places(problem, ends.places[i]).ravel()
            columns[f"{name}_place"] = ends.places[i].ravel()
            if ends.statuses is not None:
                columns[f"{name}_status"] = ends.statuses[i].ravel()
    return pd.DataFrame(columns)


def compare_losses(truths: pd.DataFrame, losses: Float[np.ndarray, "subjects 2"]) -> pd.DataFrame:
    """Return the losses at truth and estimate, and where the search missed the minimum."""
    at_truth, at_estimate = losses.T
    return pd.DataFrame(
        {
            "subject": truths["subject"],
            "copy": truths["copy"],
            "loss_at_truth": at_truth,
            "loss_at_estimate": at_estimate,
            "missed": ~(at_estimate <= at_truth + ROUNDING * np.abs(at_truth)),  # also of NaN
        }
    )


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
    found: dict[str, Any] = {
        "n": len(truth),
        "r": correlate(truth, estimate),
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


def correlate(one: Any, other: Any) -> float:
    """Return the correlation of Pearson; NaN if one is constant."""
    x, y = np.asarray(one, float), np.asarray(other, float)
    if not (is_varied(x) and is_varied(y)):
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def is_varied(values: Float[np.ndarray, " n"]) -> bool:
    """Return whether values differ by more than rounding."""
    return len(values) > 1 and float(np.ptp(values)) > 1e-12 * float(np.max(np.abs(values)))
