"""Standard errors, correlations, and the directions that the data leave open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from jaxcmr._differences import KINK, evaluate, make_stencil, second_differences, steepest_side
from jaxcmr._tables import to_html, to_text
from jaxcmr.fitting import FitProblem
from jaxcmr.optimize import in_double
from jaxcmr.parameters import ParameterSpace
from jaxcmr.results import FitResult
from jaxcmr.typing import LossFn, Subject
from jaxcmr.uncertainty._inputs import Fits, in_threads, prepare
from jaxcmr.uncertainty._walk import ON_BOUND

__all__ = ["Covariance", "covariance", "gradients_by_trial", "measure_hessian"]

KINDS = ("hessian", "sandwich")

NOT_IDENTIFIED, NOT_SMOOTH, TOO_FEW = "not identified", "not a smooth minimum", "too few lists"

REASONS = {
    NOT_IDENTIFIED: "the loss does not curve upwards in all directions",
    NOT_SMOOTH: "the estimates are not at a smooth minimum",
    TOO_FEW: "there are too few lists for the sandwich",
}
"""Why a subject has no standard errors, by status, in the words of the verdict."""

STEP = 1e-4
"""Of the differences, as a share of the searched range. It is shorter than that of diagnostics, for
standard errors to three digits; rounding errors of a loss of 1000 nats are some 1e-4 then."""

RELATIVE_FLOOR = 1e-7
"""Of an eigenvalue, beside the largest: what is smaller is rounding error of the differences."""

OPEN = 0.5
"""A direction with a standard error of at least this share of the searched range is open."""

NAMED = 0.25  # parameters in the words of a direction move at least this share of the first's move


@dataclass(frozen=True)
class Covariance:
    """Standard errors and correlations of the estimates of each fit.

    `table` has one row per subject and parameter: ``subject``; ``parameter``; ``estimate``;
    ``error``, its standard error in the units of the parameter; ``place``, the estimate in the unit
    cube of the scales of the search, and ``place_error`` there; and ``status``: "interior";
    "lower" or "upper" for an estimate on a bound; or a key of `REASONS`, the same for all others
    of a subject. Errors are NaN for all but "interior".

    `spectrum` has one row per subject and eigenvalue of the Hessian on that cube, the lowest first:
    ``subject``; ``number`` from 0; ``eigenvalue``; ``error``, the standard error along the
    direction v as a share of the searched range, ``sqrt(v' C v)`` of the covariance C (of a
    subject that is "not identified" that of the Hessian, of others without errors NaN);
    ``direction`` in words; and the direction itself, a unit vector, in one column per parameter.
    """

    kind: str
    table: pd.DataFrame
    spectrum: pd.DataFrame
    matrices: Float[np.ndarray, "fits n n"]
    """Covariances on the unit cube; NaN in rows and columns of estimates without an error."""
    names: tuple[str, ...]

    def correlations(self) -> pd.DataFrame:
        """Return one row per subject and pair of parameters: ``first``, ``second``, ``r``."""
        rows = []
        pairs = list(zip(*np.triu_indices(len(self.names), 1), strict=True))
        for subject, matrix in zip(self.subjects, self.matrices, strict=True):
            errors = np.sqrt(np.diag(matrix))
            for i, j in pairs:
                r = matrix[i, j] / (errors[i] * errors[j])
                rows.append((subject, self.names[i], self.names[j], r))
        return pd.DataFrame(rows, columns=["subject", "first", "second", "r"])

    def open_directions(self) -> pd.DataFrame:
        """Return the rows of `spectrum` of directions that the data leave open.

        Their standard error is at least half the searched range, or the loss does not curve upwards
        at a smooth minimum.
        """
        is_flat = ~(self.spectrum["eigenvalue"] > 0)
        is_kinked = self.table["status"] == NOT_SMOOTH
        has_kink = self.spectrum["subject"].isin(self.table.loc[is_kinked, "subject"])
        return self.spectrum[(self.spectrum["error"] >= OPEN) | (is_flat & ~has_kink)]

    @property
    def subjects(self) -> list[Subject]:
        """The subjects, in order."""
        return list(dict.fromkeys(self.table["subject"]))

    def verdict(self) -> str:
        """Return in words for how many subjects there are standard errors, and what is open."""
        status = self.table.groupby("subject", sort=False)["status"]
        n_subjects = len(status)
        unknown = {
            reason: self.table.loc[self.table["status"] == reason, "subject"].nunique()
            for reason in REASONS
        }
        n_on_bound = int(status.apply(lambda each: each.isin(["lower", "upper"]).any()).sum())
        n_open = self.open_directions()["subject"].nunique()
        n_known = n_subjects - sum(unknown.values())
        told = f"Standard errors for {n_known} of {n_subjects} subjects"
        for reason, count in unknown.items():
            if count:
                told += f"; for {count} {REASONS[reason]}, so that they are missing"
        if n_on_bound:
            told += f"; {n_on_bound} with estimates on a bound, which have no standard error"
        if n_open:
            told += f"; {n_open} with a direction that the data leave open"
        return f"{told}."

    def __repr__(self) -> str:
        return f"{self.verdict()}\n\n{to_text(self.table)}"

    def _repr_html_(self) -> str:
        return f"<p>{self.verdict()}</p>{to_html(self.table)}"


def covariance(
    problem: FitProblem,
    result: FitResult,
    kind: str = "hessian",
    *,
    subjects: Subject | Iterable[Subject] | None = None,
    progress: bool = False,
) -> Covariance:
    """Return standard errors and correlations of the estimates of each fit.

    The Hessian H of the loss is taken by central differences in double precision, on the unit cube
    of the scales that the model declares. Estimates on a bound are held. A subject has no standard
    errors if H is not positive definite (eigenvalues are never clipped), or if the estimates are
    not at a smooth minimum: a partial derivative to one side is above 0.01 per searched range.

    Args:
        problem: what was fitted; its loss is a negative log-likelihood.
        result: fits of `problem`.
        kind: "hessian", ``inv(H)``, which holds if the model is right; or "sandwich",
            ``inv(H) J inv(H)`` with ``J = sum g g'`` over the gradients g of single trials, which
            holds for independent trials even if the model is wrong within them. It takes more
            trials than estimates off their bounds, as the gradients sum to 0.
        subjects: whose fits; all by default.
        progress: show a progress bar.

    Raises:
        ValueError: the loss is not a log-likelihood, or `kind` is another word.

    >>> from jaxcmr.typing import LossFnGenerator
    >>> class Bowl(LossFnGenerator):
    ...     label = "NLL"
    ...     def __init__(self, model_factory, dataset, features): pass
    ...     def __call__(self, trials, base_params, names): return lambda x: 50 * (x[0] - 0.5) ** 2
    >>> problem = FitProblem({"subject": [[1]]}, "cmr", Bowl, {"learning_rate": [0, 1]})
    >>> fits = {"learning_rate": [0.5], "subject": [1]}
    >>> result = FitResult(fits=fits, fitness=[0.0], trials=[[[0, 1]]])
    >>> covariance(problem, result).table["error"].round(3).tolist()  # 1 / sqrt(100)
    [0.1]
    """
    if kind not in KINDS:
        raise ValueError(f"kind is one of {', '.join(KINDS)}; got {kind!r}.")
    fits = prepare(problem, result, subjects)
    with jax.enable_x64(True):
        losses = in_double(fits.losses)

    def measure(row: int) -> Measured:
        with jax.enable_x64(True):
            hessian, is_free = measure_hessian(losses[row], fits.space, fits.places[row])
            (free,) = np.nonzero(is_free)
            steepest = steepest_side(losses[row], fits.space, fits.places[row], free, STEP)
        if not steepest <= KINK:
            found = invert(hessian, is_free, None)
            missing = np.full_like(found.covariance, np.nan)
            return found._replace(covariance=missing, is_definite=False, status=NOT_SMOOTH)
        if kind == "hessian":
            return invert(hessian, is_free, None)
        return invert(hessian, is_free, gradients_by_trial(problem, fits, row))

    found = in_threads(measure, len(fits.subjects), "Measuring curvature", progress)
    return Covariance(
        kind=kind,
        table=to_table(fits, found),
        spectrum=to_spectrum(fits, found),
        matrices=np.array([each.covariance for each in found]),
        names=fits.names,
    )


class Measured(NamedTuple):
    """The curvature of a fit and the covariance that follows from it."""

    covariance: Float[np.ndarray, "n n"]
    is_free: Bool[np.ndarray, " n"]
    is_definite: bool  # whether there is a covariance
    eigenvalues: Float[np.ndarray, " m"]
    directions: Float[np.ndarray, "m n"]
    status: str  # of the estimates off their bounds: "interior", or a key of `REASONS`


def measure_hessian(
    loss: LossFn, space: ParameterSpace, place: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "n n"], Bool[np.ndarray, " n"]]:
    """Return the Hessian of a loss on the unit cube, and which parameters are not on a bound.

    Rows and columns of the others are NaN. The loss is in double precision.
    """
    is_free = (place > ON_BOUND) & (place < 1 - ON_BOUND)
    (free,) = np.nonzero(is_free)
    hessian = np.full((len(place), len(place)), np.nan)
    if len(free):
        losses = evaluate(loss, space, place + STEP * make_stencil(len(place), free))
        hessian[np.ix_(free, free)] = second_differences(losses, len(free), STEP)
    return hessian, is_free


def gradients_by_trial(problem: FitProblem, fits: Fits, row: int) -> Float[np.ndarray, "trials n"]:
    """Return the gradient of the loss of each trial of a fit on the unit cube, at the estimates.

    ``(f(u + h) - f(u - h)) / 2h`` in double precision; NaN for estimates on a bound.
    """
    place = fits.places[row]
    moves = STEP * np.eye(len(place))
    is_free = (place > ON_BOUND) & (place < 1 - ON_BOUND)
    sides = np.concatenate([place + moves, place - moves])[np.tile(is_free, 2)]
    gradients = np.full((len(fits.rows[row]), len(place)), np.nan)
    if not is_free.any():
        return gradients
    with jax.enable_x64(True):
        losses = in_double([problem.loss_of(np.array([trial])) for trial in fits.rows[row]])
        for gradient, loss in zip(gradients, losses, strict=True):
            above, below = np.split(evaluate(loss, fits.space, sides, n_columns=64), 2)
            gradient[is_free] = (above - below) / (2 * STEP)
    return gradients


def invert(
    hessian: Float[np.ndarray, "n n"],
    is_free: Bool[np.ndarray, " n"],
    gradients: Float[np.ndarray, "trials n"] | None,
) -> Measured:
    """Return the covariance that a Hessian gives; with gradients of trials, the sandwich."""
    n = len(hessian)
    (free,) = np.nonzero(is_free)
    covariance = np.full((n, n), np.nan)
    known = hessian[np.ix_(free, free)]
    if not len(free) or not np.all(np.isfinite(known)):
        nothing = np.zeros(0), np.zeros((0, n))
        return Measured(covariance, is_free, False, *nothing, NOT_IDENTIFIED)
    eigenvalues, vectors = np.linalg.eigh(known)
    directions = np.zeros((len(free), n))
    directions[:, free] = vectors.T
    largest = np.argmax(np.abs(directions), axis=1)[:, None]
    directions *= np.sign(np.take_along_axis(directions, largest, axis=1))
    is_definite = bool(eigenvalues[0] > RELATIVE_FLOOR * eigenvalues[-1])
    status = "interior" if is_definite else NOT_IDENTIFIED
    if is_definite and gradients is not None and not has_full_rank(gradients[:, free]):
        is_definite, status = False, TOO_FEW
    if is_definite:
        inverse = np.linalg.inv(known)
        if gradients is not None:
            g = gradients[:, free]
            inverse = inverse @ (g.T @ g) @ inverse
        covariance[np.ix_(free, free)] = inverse
    return Measured(covariance, is_free, is_definite, eigenvalues, directions, status)


def has_full_rank(gradients: Float[np.ndarray, "trials m"]) -> bool:
    """Return whether gradients of trials, which sum to 0 at a minimum, span all directions."""
    n_trials, m = gradients.shape
    lengths = np.linalg.norm(gradients, axis=0)
    if n_trials <= m or not np.all(lengths > 0):
        return False
    scaled = gradients / lengths
    eigenvalues = np.linalg.eigvalsh(scaled.T @ scaled)
    return bool(eigenvalues[0] > RELATIVE_FLOOR * eigenvalues[-1])


# Tables


def to_table(fits: Fits, found: list[Measured]) -> pd.DataFrame:
    """Return one row per fit and parameter."""
    per_unit = units_per_place(fits.space, fits.places)
    rows = []
    for row, (subject, each) in enumerate(zip(fits.subjects, found, strict=True)):
        errors = np.sqrt(np.diag(each.covariance))
        for i, name in enumerate(fits.names):
            place = fits.places[row, i]
            status = each.status
            if not each.is_free[i]:
                status = "lower" if place < 0.5 else "upper"
            rows.append(
                {
                    "subject": subject,
                    "parameter": name,
                    "estimate": fits.estimates[row, i],
                    "error": errors[i] * per_unit[row, i],
                    "place": place,
                    "place_error": errors[i],
                    "status": status,
                }
            )
    return pd.DataFrame(rows)


def units_per_place(
    space: ParameterSpace, places: Float[np.ndarray, "fits n"]
) -> Float[np.ndarray, "fits n"]:
    """Return ``dx/dz`` of each parameter: how far it moves per unit of its place."""
    with jax.enable_x64(True):
        z = jnp.asarray(places.T)
        _, rates = jax.jvp(space.from_unit, (z,), (jnp.ones_like(z),))
        return np.array(rates).T


def to_spectrum(fits: Fits, found: list[Measured]) -> pd.DataFrame:
    """Return one row per fit and eigenvalue of its Hessian."""
    rows = []
    for subject, each in zip(fits.subjects, found, strict=True):
        for number, (eigenvalue, direction) in enumerate(
            zip(each.eigenvalues, each.directions, strict=True)
        ):
            rows.append(
                {
                    "subject": subject,
                    "number": number,
                    "eigenvalue": eigenvalue,
                    "error": error_along(each, eigenvalue, direction),
                    "direction": describe(fits.names, direction),
                    **dict(zip(fits.names, direction, strict=True)),
                }
            )
    columns = ["subject", "number", "eigenvalue", "error", "direction", *fits.names]
    return pd.DataFrame(rows, columns=columns)


def error_along(each: Measured, eigenvalue: float, v: Float[np.ndarray, " n"]) -> float:
    """Return the standard error along an eigenvector of the Hessian; see `Covariance`."""
    if each.is_definite:
        free = each.is_free
        return float(np.sqrt(v[free] @ each.covariance[np.ix_(free, free)] @ v[free]))
    if each.status == NOT_IDENTIFIED and eigenvalue > 0:
        return float(eigenvalue**-0.5)
    return float("nan")


def describe(names: tuple[str, ...], direction: Float[np.ndarray, " n"]) -> str:
    """Return a direction in words: "learning_rate up with item_support down"."""
    order = np.argsort(-np.abs(direction), kind="stable")
    moves = [
        f"{names[i]} {'up' if direction[i] > 0 else 'down'}"
        for i in order
        if abs(direction[i]) >= NAMED * abs(direction[order[0]])
    ]
    return " with ".join([moves[0], " and ".join(moves[1:])]) if len(moves) > 1 else moves[0]
