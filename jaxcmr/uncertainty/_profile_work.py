"""The work of profiles: all profiles of a fit are a unit, which any process can make."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy import stats

from jaxcmr.fitting import FitProblem
from jaxcmr.fitting._checkpoint import TrialDigests, identity_of_problem
from jaxcmr.fitting._units import Record
from jaxcmr.fitting._verify import Verified, verify_loss
from jaxcmr.optimize import Polisher
from jaxcmr.results import FitResult
from jaxcmr.typing import Subject
from jaxcmr.uncertainty._inputs import Fits, Hold, choose_fits, choose_parameters, prepare
from jaxcmr.uncertainty._walk import Found, Ray, Side, Walk, walk_out

__all__ = ["SIDES", "ProfileWork", "Profiled", "from_record", "to_record"]

SIDES = {"lower": -1, "upper": 1}
CUBE = (0.0, 1.0)


class ProfileWork:
    """The profiles of fits; a unit is all profiles of a fit.

    Args:
        problem: what was fitted.
        result: fits of `problem`.
        parameters: which to profile; all by default.
        level: of confidence.
        subjects: whose fits; all by default.
        check: compare losses at the estimates with those of the result. A worker leaves that to the
            process that it works for, which knows what it means if they differ.
    """

    kind = "profiles"

    def __init__(
        self,
        problem: FitProblem,
        result: FitResult,
        parameters: str | Iterable[str] | None,
        level: float,
        subjects: Subject | Iterable[Subject] | None = None,
        check: bool = True,
    ) -> None:
        chosen = choose_fits(result, subjects)
        self.fits = prepare(problem, chosen, check=check)
        if len(set(self.fits.subjects)) < len(self.fits.subjects):
            raise ValueError("The result has a subject twice: profile its fits one by one.")
        self.names = choose_parameters(parameters, self.fits.names)
        self.problem, self.level = problem, level
        self.fitted = {name: chosen[name] for name in ("fits", "fitness", "trials")}
        self.tolerance = problem.generator.agree_within
        self.rise = float(stats.chi2.ppf(level, 1)) / 2

    def __reduce__(self) -> tuple[Any, ...]:  # losses are made anew from the problem
        arguments = self.problem, FitResult(self.fitted), self.names, self.level, None, False
        return type(self), arguments

    def identity(self) -> dict[str, Any]:
        """Return what all profiles depend on, as JSON."""
        return {
            **identity_of_problem(self.problem),
            "level": self.level,
            "parameters": sorted(set(self.names)),
            "agree_within": self.tolerance,
        }

    def keys(self) -> list[dict[str, Any]]:
        """Return subject, trials and estimates of each fit."""
        digests = TrialDigests(self.problem.dataset)
        return [
            {
                "subject": subject,
                "trials": digests.of(rows),
                "estimates": hashlib.sha256(estimates.tobytes()).hexdigest()[:16],
            }
            for subject, rows, estimates in zip(
                self.fits.subjects, self.fits.rows, self.fits.estimates, strict=True
            )
        ]

    def prepare(self) -> None:
        """Make what polishes the points of profiles."""
        self.polisher = make_polisher(self.problem, self.fits)

    def make(self, number: int) -> dict[str, Any]:
        """Return the profiles of a fit as JSON, with the loss at its estimates."""
        profiled = profile_fit(
            self.polisher, self.fits, number, self.names, self.rise, self.tolerance
        )
        return {"loss": float(self.fits.at_estimates[number]), **to_record(profiled)}

    def verify(self, number: int, record: Record) -> Verified:
        """Compute the loss at the estimates of a fit anew, and compare with that of a record."""
        here, there = float(self.fits.at_estimates[number]), record["loss"]
        if here == there:
            return Verified(True, there, here, 0.0)
        x = dict(zip(self.fits.names, self.fits.estimates[number].tolist(), strict=True))
        return verify_loss(self.problem, self.fits.rows[number], x, there, True)


class Profiled(NamedTuple):
    """The profiles of a fit."""

    best: Found  # the estimates, polished
    sides: dict[tuple[str, str], Side]  # by parameter and side
    lowest: Found  # the best, or a better fit that a profile met


def to_record(profiled: Profiled) -> dict[str, Any]:
    """Return profiles as JSON."""
    return {
        "best": to_list(profiled.best),
        "lowest": to_list(profiled.lowest),
        "sides": [
            {
                "parameter": name,
                "side": side,
                "status": found.status,
                "limit": found.limit,
                "path": [to_list(point) for point in found.path],
            }
            for (name, side), found in profiled.sides.items()
        ],
    }


def from_record(record: Record, names: Sequence[str]) -> Profiled:
    """Return the profiles of a record, in order of the names of parameters."""
    found = {
        (each["parameter"], each["side"]): Side(
            each["status"], each["limit"], [from_list(point) for point in each["path"]]
        )
        for each in record["sides"]
    }
    sides = {(name, side): found[name, side] for name in names for side in SIDES}
    return Profiled(from_list(record["best"]), sides, from_list(record["lowest"]))


def to_list(found: Found) -> list[float]:
    """Return a point as its loss and its place."""
    return [float(found.loss), *found.place.tolist()]


def from_list(numbers: list[float]) -> Found:
    """Return the point of a loss and a place."""
    return Found(numbers[0], np.array(numbers[1:], float))


def make_polisher(problem: FitProblem, fits: Fits) -> Polisher:
    """Return what polishes all but a held parameter, for points of all walks of a fit at once."""
    with jax.enable_x64(True):
        form = Hold(fits.space, np.array(-1), np.array(0.0))
    n = len(fits.names)
    gradients = problem.generator.gradients
    return Polisher(fits.losses, [CUBE] * n, form, polish=gradients, n_points=2 * n)


def profile_fit(
    polisher: Polisher,
    fits: Fits,
    row: int,
    names: list[str],
    rise: float,
    tolerance: float,
) -> Profiled:
    """Return the profiles of a fit: all parameters and sides walk side by side."""
    free = [Hold(fits.space, np.array(-1), np.array(0.0))]
    ends = polisher(row, fits.places[row][None], free)
    best = Found(float(ends.loss[0]), np.asarray(ends.unit[0]))
    covariance = ends.hess_inv[0]
    walks: dict[tuple[str, str], Walk] = {}
    indices = {}
    for name in names:
        i = fits.names.index(name)
        with np.errstate(invalid="ignore", divide="ignore"):
            follow = np.nan_to_num(covariance[:, i] / covariance[i, i])
            sd = float(np.sqrt(covariance[i, i]))
        for side, sign in SIDES.items():
            indices[name, side] = i
            walks[name, side] = walk_out(Ray(best, i, sign), follow, sd, rise, tolerance)
    sides = answer(polisher, fits, row, walks, indices)
    met = [found for side in sides.values() for found in side.path]
    lowest = min([best, *met], key=lambda found: found.loss)
    if best.loss - lowest.loss > tolerance:
        ends = polisher(row, lowest.place[None], free)
        lowest = Found(float(ends.loss[0]), np.asarray(ends.unit[0]))
    else:
        lowest = best
    return Profiled(best, sides, lowest)


def answer(
    polisher: Polisher,
    fits: Fits,
    row: int,
    walks: Mapping[tuple[str, str], Walk],
    indices: Mapping[tuple[str, str], int],
) -> dict[tuple[str, str], Side]:
    """Return where walks end: what all of them ask for is polished in one call, turn by turn."""
    sides: dict[tuple[str, str], Side] = {}
    answers: dict[tuple[str, str], Found | None] = dict.fromkeys(walks)
    while answers:
        asked = {}
        for key, found in answers.items():
            try:
                asked[key] = next(walks[key]) if found is None else walks[key].send(found)
            except StopIteration as stopped:
                sides[key] = stopped.value
        if not asked:
            break
        holds = [
            Hold(fits.space, np.array(indices[key]), np.array(ask.value))
            for key, ask in asked.items()
        ]
        ends = polisher(row, np.array([ask.start for ask in asked.values()]), holds)
        answers = {}
        for (key, ask), loss, place in zip(asked.items(), ends.loss, ends.unit, strict=True):
            place = place.copy()
            place[indices[key]] = ask.value
            answers[key] = Found(float(loss), place)
    return sides
