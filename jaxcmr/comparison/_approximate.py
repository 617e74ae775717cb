"""Approximations of cross-validation that need no further fits: infinitesimal jackknife and TIC."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from jaxcmr._result_words import count_of, name_subjects
from jaxcmr._tables import to_html, to_text
from jaxcmr.comparison._cross_validation import (
    about_of,
    list_table,
    per_event,
    score_trials,
)
from jaxcmr.fitting import FitProblem
from jaxcmr.optimize import in_double
from jaxcmr.results import FitResult
from jaxcmr.typing import Subject
from jaxcmr.uncertainty._covariance import gradients_by_trial, invert, measure_hessian
from jaxcmr.uncertainty._inputs import Fits, in_threads, prepare

__all__ = ["ApproximateCrossValidation", "approximate_cross_validation"]

FEWEST = 2  # lists: without the only one, nothing is left to fit
NOT_AT_REST = 0.05  # nats: how far a loss may be above the minimum that its curvature predicts


@dataclass(frozen=True)
class ApproximateCrossValidation:
    """An approximation of leaving out one list at a time, by a single Newton step per list.

    - ``by_list``: one row per subject and list: ``subject``, ``fold`` (the list's number),
      ``trial``, ``n_events``, ``log_likelihood``: approximate, in nats.
    - ``by_subject``: one row per subject: ``subject``; ``in_sample``, the log-likelihood of the
      fit; ``log_likelihood``, the approximate held-out one; ``n_parameters``, those that are not
      on a bound; ``penalty``, ``tr(inv(H) J)``, which is about that number if the model is right;
      ``tic``, Takeuchi's criterion, ``-2 in_sample + 2 penalty``; ``n_outside``, how many steps
      ended outside the bounds; and ``above_minimum``, by how much the loss is
      above the minimum that its gradient and curvature predict.
    - ``about``, ``fitted``: as in `CrossValidation`.

    Numbers are NaN for subjects whose Hessian is not positive definite, or who have one list only:
    its gradient is 0 at the minimum, so that the held-out log-likelihood would be the one in sample
    and the penalty 0. Log-likelihoods are NaN for lists whose step ends outside the bounds, and for
    their subjects: such a step is too long for the approximation.
    """

    by_list: pd.DataFrame
    by_subject: pd.DataFrame
    about: Mapping[str, Any]
    fitted: Mapping[str, Any] = field(default_factory=dict)
    is_approximate: bool = True

    @property
    def log_likelihood(self) -> float:
        """The sum over the subjects for whom it is known; NaN without such a subject."""
        return float(self.by_subject["log_likelihood"].sum(min_count=1))

    def verdict(self) -> str:
        """Return in words the approximate numbers, and for whom they are missing or doubtful."""
        words = self._totals()
        if words:
            words.append(
                "These come from one Newton step per left-out list, not from fits: check them with "
                "cross_validate."
            )
        else:
            words.append("Neither the held-out log-likelihood nor TIC is known for any subject.")
        table = self.by_subject
        n_lists = table["subject"].map(self.by_list["subject"].value_counts())
        has_tic, has_few = np.isfinite(table["tic"]), n_lists < FEWEST
        for chosen, what in (
            (has_few, "missing, as there are too few lists to leave one out"),
            (~has_tic & ~has_few, "missing, as the loss does not curve upwards in all directions"),
            (table["n_outside"] > 0, "missing, as a step ended outside the bounds; TIC is known"),
            (table["above_minimum"] > NOT_AT_REST, "doubtful, as the fit is not at its minimum"),
            (
                has_tic & (n_lists <= table["n_parameters"]),
                "doubtful, as there are no more lists than parameters",
            ),
        ):
            if chosen.any():
                subjects = table.loc[chosen, "subject"].tolist()
                words.append(f"For {name_subjects(subjects)} they are {what}.")
        return " ".join(words)

    def _totals(self) -> list[str]:
        """Return in words the sums over the subjects for whom they are known, if there are any."""
        table, words = self.by_subject, []
        known = table[np.isfinite(table["log_likelihood"])]
        if len(known):
            lists = self.by_list[self.by_list["subject"].isin(known["subject"])]
            words.append(
                f"Approximate held-out log-likelihood of {count_of(len(known), 'subject')}: "
                f"{self.log_likelihood:.1f} nats{per_event(lists)}, in sample "
                f"{known['in_sample'].sum():.1f}."
            )
        tic = table["tic"][np.isfinite(table["tic"])]
        if len(tic):
            words.append(f"Approximate TIC of {count_of(len(tic), 'subject')}: {tic.sum():.1f}.")
        return words

    def __repr__(self) -> str:
        return f"{to_text(self.by_subject)}\n\n{self.verdict()}"

    def _repr_html_(self) -> str:
        return f"<p>{self.verdict()}</p>{to_html(self.by_subject)}"


def approximate_cross_validation(
    problem: FitProblem,
    result: FitResult,
    *,
    subjects: Subject | Iterable[Subject] | None = None,
) -> ApproximateCrossValidation:
    """Return an approximation of leave-one-list-out cross-validation, and TIC, without refitting.

    Without list i, the estimates are about ``u + inv(H) g_i``: H is the Hessian of the loss and
    ``g_i`` the gradient of the loss of list i at the estimates u, on the scales of the search and
    in double precision. This is the infinitesimal jackknife (Jaeckel, 1972). List i is scored
    there. Takeuchi's criterion (1976) is ``2 loss + 2 tr(inv(H) J)`` with ``J = sum g_i g_i'``.
    Estimates on a bound are held there.

    Both suppose that a single list moves the estimates little. They are checks, and do not replace
    `cross_validate`.

    Args:
        problem: what was fitted; its loss is a negative log-likelihood with a gradient.
        result: fits of `problem`.
        subjects: whose fits; all by default.

    Raises:
        ValueError: the loss is not such a likelihood, or the result is of another problem.

    >>> from jax.tree_util import Partial
    >>> from jaxcmr.typing import LossFnGenerator
    >>> def nll(y, x): return ((y[:, None] - x) ** 2).sum(0) / 2  # of a mean; its spread is 1
    >>> class Mean(LossFnGenerator):
    ...     label = "NLL"
    ...     def __init__(self, model_factory, dataset, features): self.y = dataset["y"][:, 0]
    ...     def __call__(self, trials, base_params, names): return Partial(nll, self.y[trials])
    >>> data = {"subject": [[1]] * 2, "y": np.array([[0.3], [0.5]])}
    >>> problem = FitProblem(data, "cmr", Mean, {"learning_rate": [0, 1]})
    >>> fits = {"learning_rate": [0.4], "subject": [1]}
    >>> result = FitResult(fits=fits, fitness=[0.01], trials=[[[0, 2]]])
    >>> found = approximate_cross_validation(problem, result)
    >>> found.by_list["log_likelihood"].round(5).tolist()  # a mean of 0.45, or 0.35: 0.15**2 / 2
    [-0.01125, -0.01125]
    """
    fits = prepare(problem, result, subjects)
    with jax.enable_x64(True):
        losses = in_double(fits.losses)

    def measure(row: int) -> Step:
        with jax.enable_x64(True):
            hessian, is_free = measure_hessian(losses[row], fits.space, fits.places[row])
        if len(fits.rows[row]) < FEWEST:
            here = fits.places[row][None]
            return Step(here, np.ones(1, bool), False, int(is_free.sum()), np.nan, np.nan)
        if not is_free.any():  # all estimates are on bounds and stay there
            here = np.tile(fits.places[row], (len(fits.rows[row]), 1))
            return Step(here, np.ones(len(here), bool), True, 0, 0.0, 0.0)
        gradients = gradients_by_trial(problem, fits, row)
        return newton_steps(hessian, is_free, gradients, fits.places[row])

    steps = in_threads(measure, len(fits.subjects))
    rows = [row[None] for of_fit in fits.rows for row in of_fit]
    places = [place for step in steps for place in step.places]
    with jax.enable_x64(True):
        estimates = list(fits.to_user(np.array(places)))
    scores = np.concatenate(score_trials(problem, rows, estimates))
    ends = np.cumsum([0, *map(len, fits.rows)])
    known = [
        np.where(step.is_known & step.is_inside, scores[a:b], np.nan)
        for step, a, b in zip(steps, ends[:-1], ends[1:], strict=True)
    ]
    by_list = pd.concat(
        [
            list_table(problem, subject, range(1, len(of_fit) + 1), of_fit, of_subject)
            for subject, of_fit, of_subject in zip(fits.subjects, fits.rows, known, strict=True)
        ],
        ignore_index=True,
    )
    return ApproximateCrossValidation(
        by_list,
        to_table(fits, result_losses(fits, result), steps, known),
        about_of(problem),
        problem.identify(),
    )


class Step(NamedTuple):
    """Where the estimates of a subject are without each of its lists, about."""

    places: Float[np.ndarray, "trials n"]
    is_inside: Bool[np.ndarray, " trials"]
    is_known: bool
    n_parameters: int
    penalty: float
    above_minimum: float


def newton_steps(
    hessian: Float[np.ndarray, "n n"],
    is_free: Bool[np.ndarray, " n"],
    gradients: Float[np.ndarray, "trials n"],
    place: Float[np.ndarray, " n"],
) -> Step:
    """Return the places ``u + inv(H) g_i``, and ``tr(inv(H) J)``.

    With the gradient g of the whole loss, the minimum is about ``g' inv(H) g / 2`` below it.
    """
    here = np.tile(place, (len(gradients), 1))
    n_free = int(is_free.sum())
    found = invert(hessian, is_free, None)
    if not found.is_definite:
        return Step(here, np.ones(len(here), bool), False, n_free, np.nan, np.nan)
    inverse = found.covariance[np.ix_(is_free, is_free)]
    g = gradients[:, is_free]
    moved = here.copy()
    moved[:, is_free] += g @ inverse
    is_inside = np.all((moved >= 0) & (moved <= 1), axis=1)
    return Step(
        places=np.where(is_inside[:, None], moved, here),
        is_inside=is_inside,
        is_known=True,
        n_parameters=n_free,
        penalty=float(np.trace(inverse @ (g.T @ g))),
        above_minimum=float(g.sum(0) @ inverse @ g.sum(0) / 2),
    )


def result_losses(fits: Fits, result: FitResult) -> Float[np.ndarray, " fits"]:
    """Return the losses of the fits, in their order."""
    losses = dict(zip(result["fits"]["subject"], result["fitness"], strict=True))
    return np.array([losses[subject] for subject in fits.subjects])


def to_table(
    fits: Fits,
    losses: Float[np.ndarray, " fits"],
    steps: list[Step],
    scores: list[Float[np.ndarray, " trials"]],
) -> pd.DataFrame:
    """Return one row per subject."""
    return pd.DataFrame(
        {
            "subject": fits.subjects,
            "in_sample": -losses,
            "log_likelihood": [float(of_fit.sum()) for of_fit in scores],
            "n_parameters": [step.n_parameters for step in steps],
            "penalty": [step.penalty for step in steps],
            "tic": [2 * loss + 2 * step.penalty for loss, step in zip(losses, steps, strict=True)],
            "n_outside": [int((~step.is_inside).sum()) for step in steps],
            "above_minimum": [step.above_minimum for step in steps],
        }
    )
