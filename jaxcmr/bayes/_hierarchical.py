"""Hierarchical MAP estimates: a group's mean and spread, and each subject's parameters given these.

On the probit scale the parameters of subjects are ``z_sp ~ N(mean_p, sd_p)``. Mean and sd are
those at which rounds of EM with Laplace's approximation rest. The E-step finds each subject's mode
m_s and Hessian H_s, the M-step takes the moments of the normal distributions N(m_s, H_s^-1). After
two rounds the group is extrapolated. Sources: Huys et al. (2011), PLoS Computational Biology
7:e1002028; Gershman (2016), Journal of Mathematical Psychology 71:1-6.

This maximizes the probability of all recalls, parameters integrated out, if the posteriors of the
subjects are normal, and approximately if not. Skewed posteriors have another mean than mode, and
other moments than N(m_s, H_s^-1): the sd is then too small.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from jaxcmr._tables import to_html, to_text
from jaxcmr.bayes._log_density import LogDensity, check_likelihood, density_of_rows
from jaxcmr.bayes._posterior import Posteriors, find_posteriors, measure_at
from jaxcmr.fitting import FitProblem, make_subject_trial_masks
from jaxcmr.fitting._trials import to_ranges, to_rows
from jaxcmr.fitting._watchers import make_bar
from jaxcmr.optimize import works_in_double
from jaxcmr.results import POOLED, FitResult
from jaxcmr.typing import Subject, TrialMask

__all__ = ["HierarchicalMAP", "hierarchical_map"]

MOST_EXTRAPOLATED = 16.0
"""Rounds of EM that an extrapolation may stand for."""

FARTHEST = 2.0
"""Estimates on a bound start here, at the share 0.977 of the range: on the bound z is infinite."""

CLEAR = 2.0
"""Nats of log evidence from which the spread of a parameter counts as shown. Of groups without
spread at most 2 % gain as much, 1 % with 20 subjects: with many subjects, twice the gain is 0, or
chi-square of one degree, with equal odds."""

LEAST_SD = 0.05
"""Standard deviations of a group below this, on the probit scale, are not told apart by EM."""

FEW = 5
"""Subjects with whom log evidence is not yet a fair comparison."""

NO_MODE = (
    "No subject's posterior has a positive definite Hessian at its mode: the likelihood is not "
    "smooth, or not finite, at the starts. Start from fits."
)


@dataclass(frozen=True)
class HierarchicalMAP:
    """A group's distribution of parameters, and each subject's estimates given it.

    Everything is on the probit scale where it is called ``z``, else in the model's own units.
    """

    subjects: tuple[Subject, ...]
    names: tuple[str, ...]
    group: pd.DataFrame
    """One row per parameter: ``z_mean`` and ``z_sd`` of the group; ``median`` of the group, and
    ``low`` and ``high``, between which 68 % of the group lie (mean -+ sd); ``spread_gain``, the log
    evidence (nats) that would be lost if all subjects had one value of this parameter. ``z_sd`` is
    too small where the likelihoods of subjects are skewed, as near a bound with few lists. Below a
    ``spread_gain`` of 2 the data do not show that subjects differ. Unlike ``z_sd`` it hardly
    depends on the bounds."""
    estimates: pd.DataFrame
    """One row per subject: each parameter at the mode of its posterior given the group."""
    before: pd.DataFrame | None
    """The estimates that the search started from, on the same rows; None without a result."""
    z: Float[np.ndarray, "subjects n_params"]
    z_sd: Float[np.ndarray, "subjects n_params"]
    """Posterior sd of each subject given the group; NaN where the Hessian is not positive definite.
    """
    log_likelihood: Float[np.ndarray, " subjects"]
    """Of each subject's recalls at the estimates."""
    log_evidence: Float[np.ndarray, " subjects"]
    """Of each subject's recalls given the group, by Laplace's approximation; NaN where the Hessian
    is not positive definite. Random-effects model selection takes it."""
    at_rest: Bool[np.ndarray, " subjects"]
    """True where the gradient of the posterior is zero at the estimates. It is not on a kink of the
    likelihood; the Hessian is then measured over one posterior sd to each side."""
    rounds: pd.DataFrame
    """One row per round of EM: ``log_evidence``, the sum over subjects; ``change``, the largest
    change of a group's mean or sd that EM then makes; ``left_out``, subjects whose Hessian was not
    positive definite; ``kept``, False for an extrapolation that was worse and was taken back."""
    converged: bool
    fitted: Mapping[str, Any] = field(default_factory=dict)
    """What was fitted, by the keys of a result; ``trials``: of each subject."""

    @property
    def is_monotone(self) -> bool:
        """Return True if no round lowered the sum of log evidence by more than 0.001 nats.

        Rounds that leave out other numbers of subjects are not compared.
        EM raises a likelihood in each round; with Laplace's approximation it may not.
        """
        kept = self.rounds[self.rounds["kept"]]
        same = np.diff(kept["left_out"]) == 0
        return bool(np.all(np.diff(kept["log_evidence"])[same] > -1e-3))

    def table(self) -> pd.DataFrame:
        """Return one row per subject: log likelihood, log evidence, whether to trust it, estimates.

        ``positive`` is True if the Hessian is positive definite.
        """
        about = pd.DataFrame(
            {
                "subject": self.subjects,
                "log_likelihood": self.log_likelihood,
                "log_evidence": self.log_evidence,
                "positive": np.isfinite(self.log_evidence),
                "at_rest": self.at_rest,
            }
        )
        return pd.concat([about, self.estimates.drop(columns="subject")], axis=1)

    def verdict(self) -> str:
        """Return in words how far the group and the estimates can be trusted."""
        n, last = len(self.subjects), self.rounds.iloc[-1]
        said = [
            f"{n} subjects, {len(self.names)} parameters, {len(self.rounds)} rounds of EM: "
            + ("converged" if self.converged else "not converged: allow more rounds (max_rounds)")
            + f" at a log evidence of {last['log_evidence']:.2f}."
        ]
        if not self.is_monotone:
            said.append(
                "The log evidence fell in some rounds, as it may with Laplace's approximation: see "
                "`rounds`."
            )
        bad = [
            s for s, ok in zip(self.subjects, np.isfinite(self.log_evidence), strict=True) if not ok
        ]
        if bad:
            said.append(
                f"The Hessian of {len(bad)} subject(s) is not positive definite, {bad[:5]}: they "
                "have no log evidence and did not enter the group."
            )
        moving = [s for s, rests in zip(self.subjects, self.at_rest, strict=True) if not rests]
        if moving:
            said.append(
                f"The estimates of {len(moving)} subject(s) lie on a kink of the likelihood, where "
                f"log evidence and spread are rougher approximations: {moving[:5]}."
            )
        alike = self.group.loc[self.group["spread_gain"] < CLEAR, "parameter"].tolist()
        if alike:
            said.append(
                f"The data do not show that subjects differ in {', '.join(alike)}: one value for "
                f"all of them would lose less than {CLEAR:g} nats of log evidence."
            )
        if n < FEW:
            said.append(
                f"With {n} subjects the group's mean and sd, two numbers per parameter, fit them "
                "closely, and log evidence does not pay for that: do not compare models by it."
            )
        return " ".join(said)

    def __repr__(self) -> str:
        return f"{self.verdict()}\n\n{to_text(self.group)}"

    def _repr_html_(self) -> str:
        return f"<p>{self.verdict()}</p>{to_html(self.group)}"


def hierarchical_map(
    problem: FitProblem,
    start: FitResult | TrialMask | None = None,
    *,
    max_rounds: int = 200,
    tolerance: float = 0.0005,
    progress: bool = False,
) -> HierarchicalMAP:
    """Estimate a group's mean and spread of each parameter, and each subject's parameters given it.

    Subjects with few or uninformative trials are drawn toward the group, the others hardly. The
    first round has a standard normal prior, uniform between the bounds. Everything is computed in
    double precision, subjects side by side in threads; the result does not depend on their number.

    Args:
        problem: data, model and a loss that is a negative log-likelihood.
        start: a result with a fit of each subject, whose trials are used and whose estimates are
            starts; or a mask of trials, (trials,) boolean, or None for all of them. Without a
            result each subject starts in the middle of the bounds. The likelihood of CMR has
            several modes, so start from fits.
        max_rounds: most rounds of EM.
        tolerance: the rounds end when no mean of the group on the probit scale, and no logarithm of
            an sd, would change by more.
        progress: show a progress bar, with the log evidence and how much the group still changes.

    Raises:
        ValueError: the loss is not a likelihood or cannot be computed in double precision; the
            result is pooled, or of another problem; or there is a single subject.

    >>> from jaxcmr.typing import LossFnGenerator
    >>> import equinox as eqx
    >>> class Normal(eqx.Module):  # one observation per subject, x ~ N(z, 1), plus a constant
    ...     observed: jax.Array
    ...     def __call__(self, x):
    ...         return 0.5 * (jax.scipy.special.ndtri(x[0]) - self.observed) ** 2
    >>> class Normals(LossFnGenerator):
    ...     label = "NLL"
    ...     def __init__(self, model_factory, dataset, features):
    ...         self.observed = dataset["observed"]
    ...     def __call__(self, trials, base_params, names):
    ...         return Normal(jnp.asarray(self.observed[trials].sum()))
    >>> data = {"subject": [1, 2, 3, 4], "observed": [0.0, 1.0, 2.0, 3.0]}
    >>> problem = FitProblem(data, "cmr", Normals, {"learning_rate": [0, 1]})
    >>> found = hierarchical_map(problem, tolerance=1e-6)
    >>> found.group["z_mean"].round(3).tolist(), found.group["z_sd"].round(3).tolist()
    ([1.5], [0.5])
    """
    check_likelihood(problem)
    if not works_in_double(problem.loss_of(np.zeros(1, int)), len(problem.free_names)):
        raise ValueError("The loss cannot be computed in double precision, which Hessians need.")
    rows, fits = rows_and_fits(problem, start)
    if len(rows) < 2:
        raise ValueError(
            "A group needs two subjects at least: with one, its mean and sd would fit that subject "
            "alone, and log evidence would be the likelihood at its estimates."
        )
    with (
        jax.enable_x64(True),
        ThreadPoolExecutor(count_cores()) as pool,
        make_bar(None, "Rounds of EM", "round", progress) as bar,
    ):
        density = density_of_rows(problem, rows)
        n = len(density.names)
        z = np.zeros((len(rows), n)) if fits is None else density.to_probit(fits)
        z = np.clip(z, -FARTHEST, FARTHEST)
        group = Group(np.zeros(n), np.ones(n))
        path: list[Group] = []  # rounds of EM in a row
        instead: Group | None = None  # of an extrapolated group, if that is worse
        rounds: list[dict[str, float | bool]] = []
        last, change = np.full(len(z), np.nan), np.inf
        nll = measure_at(density, z, pool)
        while True:
            found = find_posteriors(density, z, nll, group.mean, group.sd, pool)
            z, nll, usable = found.mode, found.nll, found.is_positive
            if not usable.any():
                raise ValueError(NO_MODE)
            total = float(np.sum(found.log_evidence[usable]))
            gain = np.nansum(found.log_evidence - last)  # over subjects that have both
            is_worse = instead is not None and not gain >= 0
            after = m_step(found)
            change = after.distance(group)
            rounds.append(
                {
                    "log_evidence": total,
                    "change": change,
                    "left_out": int(np.sum(~usable)),
                    "kept": not is_worse,
                }
            )
            bar.set_postfix(log_evidence=f"{total:.2f}", change=f"{change:.2g}", refresh=False)
            bar.update()
            if (change < tolerance and not is_worse) or len(rounds) >= max_rounds:
                break
            if is_worse and instead is not None:
                group, path, instead = instead, [], None
                continue
            last, path = found.log_evidence, [*(path or [group]), after]
            group, instead = after, None
            if len(path) == 3:
                group, path, instead = extrapolate(*path), [], after
        log_likelihood = np.array(density.log_likelihood(jnp.asarray(z)))
        return HierarchicalMAP(
            subjects=density.subjects,
            names=density.names,
            group=describe_group(density, group, found),
            estimates=by_subject(density, np.array(density.to_user(jnp.asarray(z)))),
            before=None if fits is None else by_subject(density, fits),
            z=z,
            z_sd=np.sqrt(found.variance),
            log_likelihood=log_likelihood,
            log_evidence=found.log_evidence,
            at_rest=found.at_rest,
            rounds=pd.DataFrame(rounds),
            converged=change < tolerance,
            fitted={**problem.identify(), "trials": [to_ranges(own) for own in rows.values()]},
        )


def rows_and_fits(
    problem: FitProblem, start: FitResult | TrialMask | None
) -> tuple[dict[Subject, np.ndarray], np.ndarray | None]:
    """Return the rows of each subject's trials, and the estimates to start from, if any.

    Raises:
        ValueError: the result is pooled, of other data or parameters, or without trials.
    """
    if not isinstance(start, FitResult):
        mask = np.ones(len(problem.subjects), bool) if start is None else start
        masks, subjects = make_subject_trial_masks(mask, problem.subjects)
        pairs = zip(subjects.tolist(), masks, strict=True)
        return {subject: np.flatnonzero(own) for subject, own in pairs if own.any()}, None
    if start.get("trials") is None:
        raise ValueError("The result does not say which trials of the data were fitted.")
    if start["data"]["fingerprint"] != problem.data_fingerprint:
        raise ValueError("The result is of other data than this problem.")
    if POOLED in start["fits"]["subject"] and start.get("pooled", True):
        raise ValueError("The result is of all subjects together: fit each subject.")
    for name in problem.free_names:
        if name not in start["free"] or list(start["free"][name]) != list(problem.bounds[name]):
            raise ValueError(f"The result was not fitted with parameter {name!r} in these bounds.")
    rows = {
        subject: to_rows(ranges)
        for subject, ranges in zip(start["fits"]["subject"], start["trials"], strict=True)
    }
    return rows, np.array([start["fits"][name] for name in problem.free_names], float).T


# One round of EM


class Group(NamedTuple):
    """Mean and sd of each parameter over subjects, on the probit scale."""

    mean: Float[np.ndarray, " n_params"]
    sd: Float[np.ndarray, " n_params"]

    def distance(self, other: Group) -> float:
        """Return the largest difference in a mean or in the logarithm of an sd.

        Near an sd of 0, EM moves ever more slowly: absolute steps would seem to have ended far from
        it. Standard deviations below `LEAST_SD` are not told apart.
        """
        logs = [np.log(np.maximum(each.sd, LEAST_SD)) for each in (self, other)]
        return float(np.max(np.abs([self.mean - other.mean, logs[0] - logs[1]])))


def m_step(found: Posteriors) -> Group:
    """Return the moments of the subjects' normal distributions.

    ``mean = sum_s m_s / S`` and ``sd^2 = sum_s [(m_s - mean)^2 + (H_s^-1)_pp] / S``.
    """
    usable = found.is_positive
    modes = found.mode[usable]
    mean = modes.mean(axis=0)
    return Group(mean, np.sqrt(np.mean((modes - mean) ** 2 + found.variance[usable], axis=0)))


def extrapolate(first: Group, second: Group, third: Group) -> Group:
    """Return where rounds of EM seem to go, given three groups in a row.

    EM gains a share of what is left in each round. With ``r = t2 - t1`` and ``v = (t3 - t2) - r``,
    the squared extrapolation is ``t1 + 2 a r + a^2 v``, ``a = max(1, |r| / |v|)``; a = 1 gives t3.
    Standard deviations enter as logarithms. Source: Varadhan & Roland (2008), Scandinavian Journal
    of Statistics 35:335-353.
    """
    t1, t2, t3 = (np.concatenate([each.mean, np.log(each.sd)]) for each in (first, second, third))
    r, v = t2 - t1, t3 - 2 * t2 + t1
    lengths = float(np.linalg.norm(r)), float(np.linalg.norm(v))
    a = min(max(1.0, lengths[0] / max(lengths[1], 1e-300)), MOST_EXTRAPOLATED)
    mean, log_sd = np.split(t1 + 2 * a * r + a**2 * v, 2)
    return Group(mean, np.exp(log_sd))


def gain_of_spread(group: Group, found: Posteriors) -> Float[np.ndarray, " n_params"]:
    """Return the log evidence that each parameter's spread gains over one value for all subjects.

    A subject's posterior N(m, v) in a parameter is the prior times a likelihood that is
    proportional to ``exp(b z - a z^2 / 2)``, with ``a = 1/v - 1/sd^2`` and ``b = m/v`` for z from
    the group's mean. Under another prior N(c, t^2) its evidence is that of ``w = 1 / (1 + a t^2)``,
    ``log(w) / 2 + w (b^2 t^2 / 2 + b c - a c^2 / 2)``. The gain is its largest sum over subjects
    among t of 0 to sd, each with the best c, less that at t = 0. With normal likelihoods twice the
    gain is the likelihood ratio of t = 0. The groups of other parameters are held. Evidence does
    not change with the scale on which a parameter is measured, so the gain hardly does.
    """
    usable = found.is_positive
    v = found.variance[usable]
    a, b = 1 / v - 1 / group.sd**2, (found.mode[usable] - group.mean) / v
    t2 = (group.sd * np.linspace(0, 1, 101)[:, None, None]) ** 2  # spreads, subjects, parameters
    w = 1 / (1 + a * t2)  # positive, as t <= sd
    curvature = np.maximum(np.sum(a * w, axis=1, keepdims=True), 1e-9 / group.sd**2)
    modes = np.where(a > 0, b, 0.0) / np.where(a > 0, a, 1.0)  # of likelihoods
    most = np.maximum(np.abs(modes).max(axis=0), group.sd)  # no better c is farther out
    c = np.clip(np.sum(b * w, axis=1, keepdims=True) / curvature, -most, most)
    evidence = np.sum(np.log(w) / 2 + w * (b**2 * t2 / 2 + b * c - a * c**2 / 2), axis=1)
    gain: np.ndarray = evidence.max(axis=0) - evidence[0]
    return gain


# Tables


def describe_group(density: LogDensity, group: Group, found: Posteriors) -> pd.DataFrame:
    """Return one row per parameter: the group's mean and sd, its middle 68 %, its spread's gain."""
    mean, sd = group
    low, median, high = np.array(density.to_user(jnp.stack([mean - sd, mean, mean + sd])))
    return pd.DataFrame(
        {
            "parameter": density.names,
            "z_mean": mean,
            "z_sd": sd,
            "median": median,
            "low": low,
            "high": high,
            "spread_gain": gain_of_spread(group, found),
        }
    )


def by_subject(density: LogDensity, x: Float[np.ndarray, "subjects n_params"]) -> pd.DataFrame:
    """Return parameters as a table with one row per subject."""
    return pd.DataFrame({"subject": density.subjects, **dict(zip(density.names, x.T, strict=True))})


def count_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
