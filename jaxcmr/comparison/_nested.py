"""Likelihood-ratio tests of nested models: chi-square where it holds, a bootstrap elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from jaxcmr._result_words import count_of, name_subjects
from jaxcmr._tables import to_html, to_text
from jaxcmr.comparison._criteria import count_free
from jaxcmr.comparison._likelihood_ratio import ROUNDING, Fitted, find_doubts, find_on_bound, p_of
from jaxcmr.fitting import Fit, FitProblem, JaxDE, Workers, resolve_search
from jaxcmr.fitting._problem import check_problem
from jaxcmr.names import describe_unknown
from jaxcmr.results import FitResult
from jaxcmr.simulation import check_count, check_seed
from jaxcmr.typing import Parameters, Subject
from jaxcmr.uncertainty._bootstrap import FROM_THE_ESTIMATES, simulate_lists
from jaxcmr.uncertainty._inputs import prepare

__all__ = ["LikelihoodRatioTest", "likelihood_ratio_test"]

METHODS = ("bootstrap", "chi2", "chibar")


@dataclass(frozen=True)
class LikelihoodRatioTest:
    """A test of each subject, and of all together, of a model against its special case.

    - ``table``: one row per subject: ``subject``; ``statistic``, twice the difference of the
      losses; ``p``, the probability of such a statistic if the special case is right; and
      ``p_low`` and ``p_high``, a 95 % interval of it that tells how exact the simulation is.
    - ``total``: the same of the sum over subjects.
    - ``draws``: of a bootstrap, one row per subject and draw: ``subject``, ``draw``, ``statistic``;
      otherwise None.
    - ``df``: how many parameters the special case lacks.
    - ``warnings``: what makes the test doubtful, one sentence each.
    - ``fitted``: what was fitted, by the keys of a result: of the special case, and of the bigger
      model.
    """

    method: str
    df: int
    table: pd.DataFrame
    total: Mapping[str, float]
    draws: pd.DataFrame | None
    warnings: tuple[str, ...]
    fitted: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {})

    def verdict(self) -> str:
        """Return in words whether the bigger model is needed, and for how many subjects."""
        n, p = len(self.table), self.total["p"]
        n_below = int((self.table["p"] < 0.05).sum())
        how = {
            "bootstrap": "a parametric bootstrap",
            "chi2": f"chi-square with {self.df} df per subject",
            "chibar": "an equal mixture of chi-square with 0 and 1 df per subject",
        }[self.method]
        if np.isnan(p):
            return " ".join([
                f"The likelihood ratio of {count_of(n, 'subject')} has no p, as a loss is not "
                "finite.", *self.warnings
            ])  # fmt: skip
        against = (
            "the special case is rejected: the lists are fitted better than it can explain"
            if p < 0.05
            else "the special case is not rejected; that is not evidence that it is right"
        )
        n_draws = 0 if self.draws is None else int(self.draws["draw"].max())
        lowest = 1 / (n_draws + 1)
        if 0.05 <= p < 1.5 * lowest and n_draws:  # 1 / (n + 1): no draw reaches the statistic
            against = (
                f"it is above those of all draws, but p cannot be below 1 / ({n_draws} + 1) with "
                f"{count_of(n_draws, 'draw')}. Take more, such as n=200"
            )
        words = (
            f"Likelihood ratio {self.total['statistic']:.2f} over {count_of(n, 'subject')}, "
            f"p = {p:.3g} by {how}: {against}."
        )
        if n > 1 and (not n_draws or lowest < 0.05):
            words += (
                f" p is below .05 for {n_below} subject(s); if the special case were right for "
                f"all, about {0.05 * n:.1f} would be expected."
            )
        return " ".join([words, *self.warnings])

    def __repr__(self) -> str:
        return f"{to_text(self.table)}\n\n{self.verdict()}"

    def _repr_html_(self) -> str:
        return f"<p>{self.verdict()}</p>{to_html(self.table)}"


def likelihood_ratio_test(
    problems: tuple[FitProblem, FitProblem],
    small: FitResult,
    big: FitResult,
    method: str = "bootstrap",
    *,
    n: int = 200,
    seed: int = 0,
    subjects: Iterable[Subject] | None = None,
    neutral: Parameters | None = None,
    search: str | Mapping[str, Any] | None = None,
    anyway: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    workers: Workers | None = None,
    progress: bool = False,
) -> LikelihoodRatioTest:
    """Test whether subjects need a model, or a special case of it will do.

    The statistic is twice the difference of the losses. "bootstrap" simulates the subject's own
    lists `n` times with the special case as it was fitted, fits both models to them, and counts how
    often the statistic is as large: ``p = (count + 1) / (n + 1)``. If the loss does not score
    stops, a simulated list is cut off after as many recalls as the subject made. The bootstrap
    holds only approximately if estimates of the special case are on bounds (Andrews, 2000), which a
    warning tells. "chi2" takes the chi-square distribution, which holds if all estimates are inside
    their bounds and each parameter changes the loss also in the special case. "chibar" is for one
    parameter that the special case holds at its bound: half of the statistics are 0 then (Self &
    Liang, 1987).

    Args:
        problems: that of the special case, and that of the bigger model.
        small: fits of the special case.
        big: fits of the bigger model to the same trials.
        method: "bootstrap", "chi2" or "chibar".
        n: number of simulated data sets per subject.
        seed: of the simulation.
        subjects: whose fits; all by default.
        neutral: values by name of parameters that the model of `small` lacks, at which the bigger
            model is that model.
        search: of the fits to simulated lists, as for `jc.fit`, beside the starts. By default they
            are polishes: of `small` from its estimates; of `big` from those of `small` for the same
            lists, and from its own estimates.
        anyway: compute "chi2" or "chibar" also where they do not hold.
        checkpoint: a folder that keeps finished fits: if the call is interrupted or killed, the
            same call goes on where it stopped.
        workers: processes to fit in, as for `JaxDE.fit`.
        progress: show a progress bar.

    Raises:
        ValueError: `small` is not a special case of `big`, or ended better; "chi2" or "chibar" do
            not hold; or an argument is invalid.

    >>> from jax.tree_util import Partial
    >>> from jaxcmr.typing import LossFnGenerator
    >>> def nll(y, x): return ((y[:, None] - x.sum(0, keepdims=True)) ** 2).sum(0) / 2
    >>> class Sum(LossFnGenerator):
    ...     label = "NLL"
    ...     def __init__(self, model_factory, dataset, features): self.y = dataset["y"][:, 0]
    ...     def __call__(self, trials, base_params, names): return Partial(nll, self.y[trials])
    >>> data = {"subject": [[1]], "y": np.array([[2.5]])}
    >>> bounds = {"learning_rate": [0, 1], "item_support": [0, 4]}
    >>> small = FitProblem(data, "cmr", Sum, {"learning_rate": [0, 1]})
    >>> big = FitProblem(data, "cmr", Sum, bounds)
    >>> fits = [FitResult(fits={"learning_rate": [0.5], "item_support": [x], "subject": [1]},
    ...                   fitness=[nats], trials=[[[0, 1]]])
    ...         for x, nats in ((0.0, 2.0), (2.0, 0.0))]
    >>> at_zero = {"item_support": 0.0}
    >>> found = likelihood_ratio_test((small, big), *fits, "chibar", neutral=at_zero)
    >>> found.table["p"].round(4).tolist()  # half the tail of chi-square beyond 2 (2.0 - 0.0)
    [0.0228]
    """
    if method not in METHODS:
        raise ValueError(describe_unknown("method", method, METHODS))
    check_count("n", n)
    check_seed(seed)
    if not isinstance(problems, Sequence) or len(problems) != 2:
        raise ValueError("The first argument holds two problems: (of the small model, of the big).")
    of_small, of_big = prepare_both(problems, small, big, subjects, neutral)
    df = count_free({"free": problems[1].bounds}) - count_free({"free": problems[0].bounds})
    fitted = problems[0].identify(), problems[1].identify()
    statistics = 2 * (of_small.losses - of_big.losses)
    check_order(of_small.fits.subjects, statistics)
    if method != "bootstrap":
        doubts = find_doubts(method, df, of_small, of_big)
        if doubts and not anyway:
            raise ValueError(
                f'{method!r} does not hold: {" ".join(doubts)} Take method="bootstrap", or '
                "anyway=True."
            )
        found = by_distribution(method, df, of_small.fits.subjects, statistics, tuple(doubts))
        return replace(found, fitted=fitted)
    drawn, missed = draw_statistics(
        of_small, of_big, n, seed, search, checkpoint, workers, progress
    )
    on_bound = find_on_bound(of_small, of_small.fits.places)
    found = by_draws(df, of_small.fits.subjects, statistics, drawn, missed, on_bound)
    return replace(found, fitted=fitted)


def prepare_both(
    problems: tuple[FitProblem, FitProblem],
    small: FitResult,
    big: FitResult,
    subjects: Iterable[Subject] | None,
    neutral: Parameters | None,
) -> tuple[Fitted, Fitted]:
    """Return the fits of both models.

    Raises:
        ValueError: they are of other subjects or trials, or not nested: at the estimates of the
            special case, the bigger model has another loss.
    """
    one, other = map(check_problem, problems)
    wanted = list(small["fits"]["subject"]) if subjects is None else list(subjects)
    small, big = FitResult(small).select(wanted), FitResult(big).select(wanted)
    if small["trials"] != big["trials"]:
        raise ValueError("The two results are of other trials: fit both to the same.")
    of_small, of_big = prepare(one, small), prepare(other, big)
    given = dict(neutral or {})
    known = {**given, **one.fixed}
    missing = [name for name in other.free_names if name not in {*known, *one.free_names}]
    if missing:
        raise ValueError(
            f"The special case has no value of {', '.join(missing)}: give neutral={{name: value}}, "
            "at which the bigger model is the special case."
        )
    values = {name: small["fits"].get(name, [known.get(name)] * len(wanted))
              for name in other.free_names}  # fmt: skip
    lifted = FitResult(
        fits={**values, "subject": wanted}, fitness=small["fitness"], trials=small["trials"]
    )
    try:
        of_lifted = prepare(other, lifted)
    except ValueError as error:
        raise ValueError(
            "The small model is not a special case of the big one: their losses differ at the "
            "estimates of the small one, or these are outside the bounds of the big one."
        ) from error
    extra = count_free({"free": other.bounds}) - count_free({"free": one.bounds})
    if extra < 1:
        raise ValueError("The big model must have more free parameters than the small one.")
    losses = [np.asarray(each["fitness"], float) for each in (small, big)]
    return (
        Fitted(one, of_small, losses[0], of_small.estimates, {}),
        Fitted(other, of_big, losses[1], of_lifted.estimates, given),
    )


def check_order(subjects: Sequence[Subject], statistics: Float[np.ndarray, " fits"]) -> None:
    """Raise a ValueError if a special case ended better than the bigger model."""
    worse = [s for s, each in zip(subjects, statistics, strict=True) if each < -2 * ROUNDING]
    if worse:
        raise ValueError(
            f"The bigger model ended worse than its special case for {name_subjects(worse)}, by up "
            f"to {-statistics.min() / 2:.3g} nats: its search missed the optimum. Fit it again "
            "with start_from the result of the special case."
        )


def by_distribution(
    method: str,
    df: int,
    subjects: Sequence[Subject],
    statistics: Float[np.ndarray, " fits"],
    doubts: tuple[str, ...],
) -> LikelihoodRatioTest:
    """Return the test by a distribution with a formula."""
    p = [p_of(method, each, df) for each in statistics]
    total, n = float(statistics.sum()), len(subjects)
    table = {"subject": list(subjects), "statistic": statistics, "p": p, "p_low": p, "p_high": p}
    p_total = p_of(method, total, df, n)
    return LikelihoodRatioTest(
        method=method,
        df=df,
        table=pd.DataFrame(table),
        total={"statistic": total, "p": p_total, "p_low": p_total, "p_high": p_total},
        draws=None,
        warnings=(f"{method!r} does not hold here: {' '.join(doubts)}",) if doubts else (),
    )


# Bootstrap


def draw_statistics(
    small: Fitted,
    big: Fitted,
    n: int,
    seed: int,
    search: str | Mapping[str, Any] | None,
    checkpoint: str | os.PathLike[str] | None,
    workers: Workers | None,
    progress: bool,
) -> tuple[Float[np.ndarray, "fits draws"], list[Subject]]:
    """Return likelihood ratios of simulated lists, and for whom such fits miss the observed one."""
    simulated, of_small = simulate_lists(small.problem, small.fits, n, seed)
    settings = {**FROM_THE_ESTIMATES} if search is None else resolve_search(search, True)
    settings["progress_bar"] = progress

    def make(problem: FitProblem, fits: Sequence[Fit], name: str) -> list[Mapping[str, Any]]:
        folder = None if checkpoint is None else Path(checkpoint) / name
        runs = JaxDE.of(problem, settings).make_runs(fits, checkpoint=folder, workers=workers)
        return [min(of_fit, key=lambda run: run["loss"]) for of_fit in runs]

    best_small = make(simulated, of_small, "small")
    of_big = [
        fit._replace(starts=[big.lift(run["estimates"], small.problem), own])
        for fit, run, own in zip(
            of_small, best_small, np.repeat(big.fits.estimates, n, axis=0), strict=True
        )
    ]
    best_big = make(big.problem.with_data(simulated.dataset), of_big, "big")
    drawn = np.array(
        [2 * (one["loss"] - two["loss"]) for one, two in zip(best_small, best_big, strict=True)]
    ).reshape(-1, n)
    lifted = [
        Fit(subject, rows, "observed", [x])
        for subject, rows, x in zip(big.fits.subjects, big.fits.rows, big.lifted, strict=True)
    ]
    again = make(big.problem, lifted, "observed")
    missed = [
        subject
        for subject, run, loss in zip(big.fits.subjects, again, big.losses, strict=True)
        if run["loss"] > loss + big.problem.generator.agree_within
    ]
    return drawn, missed


def by_draws(
    df: int,
    subjects: Sequence[Subject],
    statistics: Float[np.ndarray, " fits"],
    drawn: Float[np.ndarray, "fits draws"],
    missed: Sequence[Subject],
    on_bound: Mapping[str, Sequence[Subject]],
) -> LikelihoodRatioTest:
    """Return the test by likelihood ratios of simulated lists; they are summed draw by draw."""
    rows = [{"subject": subject, **count_above(statistic, of_subject)}
            for subject, statistic, of_subject in zip(subjects, statistics, drawn, strict=True)
            ]  # fmt: skip
    n = drawn.shape[1]
    told = [f"{name} ({name_subjects(list(whose))})" for name, whose in on_bound.items()]
    warnings = [
        f"Estimates of the special case are on a bound: {', '.join(told)}. A bootstrap from such "
        "estimates holds only approximately (Andrews, 2000)."
    ] * bool(told)
    if missed:
        warnings.append(
            f"For {name_subjects(list(missed))}, a fit that starts at the special case alone "
            "misses the optimum of the observed lists. It may miss those of simulated lists as "
            'well, so that p is too small: give search="quick" or a longer one.'
        )
    return LikelihoodRatioTest(
        method="bootstrap",
        df=df,
        table=pd.DataFrame(rows),
        total=count_above(float(statistics.sum()), drawn.sum(0)),
        draws=pd.DataFrame(
            {
                "subject": np.repeat(np.array(subjects, dtype=object), n),
                "draw": np.tile(np.arange(1, n + 1), len(subjects)),
                "statistic": drawn.reshape(-1),
            }
        ).infer_objects(),
        warnings=tuple(warnings),
    )


def count_above(statistic: float, drawn: Float[np.ndarray, " draws"]) -> dict[str, float]:
    """Return a statistic, the share of draws that reach it, and the 95 % interval of that share.

    The interval is that of Clopper and Pearson. Draws that are lower by rounding reach it.
    The share is NaN if the statistic or a draw is.
    """
    if np.isnan(statistic) or np.isnan(drawn).any():
        return {"statistic": float(statistic), **dict.fromkeys(("p", "p_low", "p_high"), np.nan)}
    count, n = int(np.sum(drawn >= statistic - 2 * ROUNDING)), len(drawn)
    interval = stats.binomtest(count, n).proportion_ci(0.95)
    return {
        "statistic": float(statistic),
        "p": (count + 1) / (n + 1),
        "p_low": float(interval.low),
        "p_high": float(interval.high),
    }
