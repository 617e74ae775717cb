"""The bootstrap: estimates of resampled or simulated lists, and the limits that they give."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from jaxcmr._result_words import count_of, name_subjects
from jaxcmr._tables import to_html, to_text
from jaxcmr.fitting import FitProblem, JaxDE
from jaxcmr.fitting._fitter import words_of_id
from jaxcmr.fitting._runs import Fit
from jaxcmr.fitting._workers import Workers
from jaxcmr.optimize import in_double
from jaxcmr.results import FitResult
from jaxcmr.simulation import check_count, check_seed, simulate_dataset
from jaxcmr.typing import Subject
from jaxcmr.uncertainty._covariance import gradients_by_trial, invert, measure_hessian
from jaxcmr.uncertainty._inputs import Fits, in_threads, prepare

__all__ = ["Bootstrap", "bootstrap"]

KINDS = ("lists", "parametric")
FEWEST = 2  # lists to draw from: each draw of a single one is the data themselves

FROM_THE_ESTIMATES: Mapping[str, Any] = {"best_of": 0, "num_steps": 0, "pop_size": 1}
"""Hyperparameters of a run that is a polish of the place where it starts."""


@dataclass(frozen=True)
class Bootstrap:
    """Estimates of many data sets that could have been observed.

    `draws` has one row per subject and draw: ``subject``, ``draw`` from 1, ``loss``, and an
    estimate per parameter. `jc.simulate(draws=...)` takes it as it is. Lists are not drawn of
    subjects with a single one: they have no draws, and their limits are NaN.

    `estimates` has one row per subject and parameter: ``subject``, ``parameter``, ``estimate``, and
    ``acceleration``, the constant a of BCa limits; NaN for estimates on a bound and for subjects
    whose Hessian is not positive definite.
    """

    kind: str
    draws: pd.DataFrame
    estimates: pd.DataFrame

    def limits(self, level: float = 0.95) -> pd.DataFrame:
        """Return one row per subject and parameter, with confidence limits.

        Columns ``subject``; ``parameter``; ``estimate``; ``mean`` and ``error`` (the standard
        deviation) of the draws; ``lower`` and ``upper``, their percentiles; and ``bca_lower`` and
        ``bca_upper``, corrected for bias and acceleration (Efron, 1987); NaN where the acceleration
        is not known, or where all draws are on one side of the estimate.

        Raises:
            ValueError: `level` is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise ValueError(f"level is between 0 and 1, such as 0.95; got {level!r}.")
        by_subject = dict(list(self.draws.groupby("subject", sort=False)))
        rows = []
        for subject, name, estimate, a in self.estimates.itertuples(index=False):
            if subject not in by_subject:
                rows.append((subject, name, estimate, *[float("nan")] * 6))
                continue
            values = by_subject[subject][name].to_numpy()
            tails = np.array([(1 - level) / 2, (1 + level) / 2])
            lower, upper = np.quantile(values, tails)
            bca_lower, bca_upper = bca_limits(values, estimate, a, tails)
            rows.append(
                (subject, name, estimate, values.mean(), values.std(ddof=1), lower, upper,
                 bca_lower, bca_upper)
            )  # fmt: skip
        columns = ["subject", "parameter", "estimate", "mean", "error", "lower", "upper",
                   "bca_lower", "bca_upper"]  # fmt: skip
        return pd.DataFrame(rows, columns=columns)

    def verdict(self) -> str:
        """Return in words what was drawn, and for how many parameters limits are corrected."""
        n_draws = int(self.draws["draw"].max())
        how = {"lists": "resampled lists", "parametric": "lists simulated by the fitted model"}
        n_drawn = self.draws["subject"].nunique()
        n_known = int(self.estimates["acceleration"].notna().sum())
        is_drawn = self.estimates["subject"].isin(self.draws["subject"])
        missing = self.estimates.loc[~is_drawn, "subject"].unique().tolist()
        words = (
            f"{n_draws} draws of {how[self.kind]} for {count_of(n_drawn, 'subject')}; "
            f"limits can be corrected for bias and acceleration for {n_known} of "
            f"{len(self.estimates)} estimates."
        )
        if missing:
            words += (
                f" For {name_subjects(missing)} limits are missing, as there are too few lists to "
                'draw from; kind="parametric" needs one only.'
            )
        return words

    def __repr__(self) -> str:
        return f"{self.verdict()}\n\n{to_text(self.limits())}"

    def _repr_html_(self) -> str:
        return f"<p>{self.verdict()}</p>{to_html(self.limits())}"


def bootstrap(
    problem: FitProblem,
    result: FitResult,
    kind: str = "lists",
    *,
    n: int = 200,
    seed: int = 0,
    subjects: Subject | Iterable[Subject] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    workers: Workers | None = None,
    progress: bool = False,
) -> Bootstrap:
    """Return estimates of resampled or simulated lists, each fitted from the estimates.

    A draw is a function of seed, subject and its number alone. Fits are polishes that start at the
    estimates; so they stay in the valley of the estimates unless the loss leads out of it.

    Args:
        problem: what was fitted; its loss is a negative log-likelihood.
        result: fits of `problem`.
        kind: "lists": the lists of a subject are drawn with replacement, as many as there are. It
            takes lists to be independent, and nothing else. Limits are NaN for subjects with a
            single list. "parametric": the same lists are
            recalled anew by the fitted model. It takes the model to be right. If the loss does not
            score stops, a simulated list is cut off after as many recalls as the subject made.
        n: number of draws.
        seed: of the random draws.
        subjects: whose fits; all by default.
        checkpoint: a folder that keeps finished fits: if the call is interrupted or killed, the
            same call goes on where it stopped.
        workers: processes to fit in, as for `JaxDE.fit`.
        progress: show a progress bar.

    Raises:
        ValueError: the loss is not a log-likelihood; no subject has two lists to draw from; or an
            argument is invalid.

    >>> from jax.tree_util import Partial
    >>> from jaxcmr.typing import LossFnGenerator
    >>> def nll(y, x): return ((y[:, None] - x) ** 2).sum(0) / 2  # of a mean; its spread is 1
    >>> class Mean(LossFnGenerator):
    ...     label = "NLL"
    ...     def __init__(self, model_factory, dataset, features): self.y = dataset["y"][:, 0]
    ...     def __call__(self, trials, base_params, names): return Partial(nll, self.y[trials])
    >>> data = {"subject": [[1]] * 4, "y": np.array([[0.1], [0.4], [0.5], [0.8]])}
    >>> problem = FitProblem(data, "cmr", Mean, {"learning_rate": [0, 1]})
    >>> fits = {"learning_rate": [0.45], "subject": [1]}
    >>> result = FitResult(fits=fits, fitness=[0.125], trials=[[[0, 4]]])
    >>> found = bootstrap(problem, result, n=20)
    >>> found.limits()[["lower", "upper"]].round(2).values.tolist()
    [[0.18, 0.7]]
    """
    if kind not in KINDS:
        raise ValueError(f"kind is one of {', '.join(KINDS)}; got {kind!r}.")
    check_count("n", n)
    check_seed(seed)
    fits = prepare(problem, result, subjects)
    make = draw_lists if kind == "lists" else simulate_lists
    drawn_problem, drawn = make(problem, fits, n, seed)
    settings = {**FROM_THE_ESTIMATES, "progress_bar": progress}
    fitter = JaxDE.of(drawn_problem, settings)
    records = [
        of_fit[0] for of_fit in fitter.make_runs(drawn, checkpoint=checkpoint, workers=workers)
    ]
    draws = pd.DataFrame(
        {
            "subject": [fit.subject for fit in drawn],
            "draw": np.tile(np.arange(1, n + 1), len(drawn) // n),
            "loss": [run["loss"] for run in records],
            **{name: [run["estimates"][name] for run in records] for name in fits.names},
        }
    )
    return Bootstrap(kind, draws, to_estimates(problem, fits))


def draw_lists(problem: FitProblem, fits: Fits, n: int, seed: int) -> tuple[FitProblem, list[Fit]]:
    """Return `n` fits per subject to as many of its lists, drawn with replacement.

    Subjects with a single list are left out.

    Raises:
        ValueError: no subject has more lists.
    """
    if max(map(len, fits.rows)) < FEWEST:
        raise ValueError(
            "No subject has two lists to draw from: each draw would be the data themselves. Take "
            'kind="parametric".'
        )
    drawn = []
    for subject, rows, x in zip(fits.subjects, fits.rows, fits.estimates, strict=True):
        if len(rows) < FEWEST:
            continue
        for draw in range(1, n + 1):
            random = np.random.default_rng([seed, *words_of_id(subject), draw])
            chosen = np.sort(random.choice(rows, len(rows)))
            drawn.append(Fit(subject, chosen, f"draw {draw}", [x]))
    return problem, drawn


def simulate_lists(
    problem: FitProblem, fits: Fits, n: int, seed: int
) -> tuple[FitProblem, list[Fit]]:
    """Return a problem whose data are `n` simulated recalls of each fitted list, and their fits.

    If the loss does not score stops, they are cut off after as many recalls as the subject made:
    otherwise they would hold more than the data, and estimates of them would vary too little.

    Raises:
        ValueError: two fits are of the same trial, or the trials of a fit are of other subjects:
            there is no telling with which parameters to simulate them.
    """
    every = np.concatenate(fits.rows)
    mask = np.zeros(len(problem.subjects), bool)
    mask[every] = True
    is_own = all(
        np.all(problem.subjects[rows] == subject)
        for subject, rows in zip(fits.subjects, fits.rows, strict=True)
    )
    if mask.sum() < len(every) or not is_own:
        raise ValueError(
            "A parametric bootstrap takes a fit per subject to its own trials; for a pooled fit "
            'use kind="lists".'
        )
    estimates = {name: fits.estimates[:, i].tolist() for i, name in enumerate(fits.names)}
    fixed = {name: [value] * len(fits.subjects) for name, value in problem.fixed.items()}
    simulated = simulate_dataset(
        problem.model,
        problem.dataset,
        {**estimates, **fixed, "subject": fits.subjects},
        features=problem.features,
        trial_mask=mask,
        n_copies=n,
        seed=seed,
        n_recalls=problem.count_given_recalls(),
    )
    place_of = np.cumsum(mask) - 1  # of a row among those simulated
    drawn = [
        Fit(subject, place_of[rows] + (draw - 1) * mask.sum(), f"draw {draw}", [x])
        for subject, rows, x in zip(fits.subjects, fits.rows, fits.estimates, strict=True)
        for draw in range(1, n + 1)
    ]
    return problem.with_data(simulated), drawn


def to_estimates(problem: FitProblem, fits: Fits) -> pd.DataFrame:
    """Return one row per fit and parameter: the estimate, and the acceleration of its limits."""
    with jax.enable_x64(True):
        losses = in_double(fits.losses)

    def accelerations(row: int) -> Float[np.ndarray, " n"]:
        with jax.enable_x64(True):
            hessian, is_free = measure_hessian(losses[row], fits.space, fits.places[row])
        found = invert(hessian, is_free, None)
        if not found.is_definite:
            return np.full(len(hessian), np.nan)
        return acceleration(influences(found.covariance, gradients_by_trial(problem, fits, row)))

    found = np.array(in_threads(accelerations, len(fits.subjects)))
    n_fits, n = found.shape
    return pd.DataFrame(
        {
            "subject": np.repeat(np.array(fits.subjects, dtype=object), n),
            "parameter": list(fits.names) * n_fits,
            "estimate": fits.estimates.reshape(-1),
            "acceleration": found.reshape(-1),
        }
    ).infer_objects()


def influences(
    covariance: Float[np.ndarray, "n n"], gradients: Float[np.ndarray, "trials n"]
) -> Float[np.ndarray, "trials n"]:
    """Return how far a trial moves each estimate: ``-inv(H) g``, the infinitesimal jackknife.

    NaN for estimates on a bound.
    """
    (free,) = np.nonzero(np.isfinite(np.diag(covariance)))
    moves = np.full_like(gradients, np.nan)
    moves[:, free] = -gradients[:, free] @ covariance[np.ix_(free, free)]
    return moves


def acceleration(moves: Float[np.ndarray, "trials n"]) -> Float[np.ndarray, " n"]:
    """Return ``a = sum u^3 / (6 (sum u^2)^(3/2))`` of influences u (Efron, 1987)."""
    moves = moves - moves.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sum(moves**3, axis=0) / (6 * np.sum(moves**2, axis=0) ** 1.5)


def bca_limits(
    values: Float[np.ndarray, " n"],
    estimate: float,
    acceleration: float,
    tails: Float[np.ndarray, " 2"],
) -> Float[np.ndarray, " 2"]:
    """Return the percentiles of draws that are corrected for bias z0 and acceleration a.

    The percentile for a tail is ``Phi(z0 + (z0 + z) / (1 - a (z0 + z)))``, with z the normal
    quantile of the tail and z0 that of the share of draws below the estimate (half of ties).
    """
    below = np.mean(values < estimate) + np.mean(values == estimate) / 2
    if not 0 < below < 1 or not np.isfinite(acceleration):
        return np.full(2, np.nan)
    z0 = stats.norm.ppf(below)
    z = z0 + stats.norm.ppf(tails)
    return np.quantile(values, stats.norm.cdf(z0 + z / (1 - acceleration * z)))
