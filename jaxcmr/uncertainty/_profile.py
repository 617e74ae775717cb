"""Profile likelihoods: how far a parameter can move while all others make up for it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from jaxcmr.fitting import FitProblem, Workers
from jaxcmr.fitting._checkpoint import TrialDigests, identity_of_problem
from jaxcmr.fitting._units import Record, make_units
from jaxcmr.optimize import Polisher
from jaxcmr.results import FitResult
from jaxcmr.typing import Subject
from jaxcmr.uncertainty._inputs import Fits, Hold, choose_parameters, prepare
from jaxcmr.uncertainty._walk import ON_BOUND, Found, Ray, Side, Walk, walk_out

__all__ = ["STATUSES", "Profiles", "profile_likelihood"]

STATUSES: Mapping[str, str] = {
    "closed": "The loss has risen by the threshold: the interval has an end here.",
    "blocked": "It has an end, where another parameter has reached a bound on the way: with wider "
    "bounds the interval would be wider.",
    "at bound": "The loss has not risen by the threshold at the bound: the interval is open.",
    "flat": "The loss has hardly risen at the bound: the data do not say anything on this side.",
    "better fit": "A lower loss than that of the fit was found: fit again from there.",
    "not found": "The loss does not rise steadily enough to find the end.",
}
"""What a side of a profile can end with, and what that means."""

SIDES = {"lower": -1, "upper": 1}
CUBE = (0.0, 1.0)


@dataclass(frozen=True)
class Profiles:
    """Profiles of the likelihood, and the confidence intervals that they give.

    `table` has one row per subject, parameter and side: ``subject``; ``parameter``; ``side``;
    ``estimate``; ``limit``, NaN where the interval is open; ``status``, a key of `STATUSES`;
    ``blocked_by``, the other parameters that reached a bound on the way; ``rise`` of the loss at
    the end of the path; and ``end``, the parameter there.

    `path` has one row per point of a profile, in order of the parameter: ``subject``,
    ``parameter``, ``side`` ("estimate" at the estimates), ``value``, ``loss``, ``rise``,
    ``at_bound`` (the other parameters on a bound), and a column per parameter with its value there.
    """

    table: pd.DataFrame
    path: pd.DataFrame
    level: float
    threshold: float
    """How far the loss rises up to a limit, in nats."""
    better: FitResult | None
    """Fits of lower loss that profiles met, one per subject that has one: hand it to a new fit as
    ``start_from=``. None if no profile met any."""

    def intervals(self) -> pd.DataFrame:
        """Return one row per subject and parameter: the estimate, both limits and their statuses.

        Columns ``subject``, ``parameter``, ``estimate``, ``lower``, ``upper``, ``lower_status``,
        ``upper_status``.
        """
        keys = ["subject", "parameter"]
        sides = {side: part.set_index(keys) for side, part in self.table.groupby("side")}
        lower, upper = sides["lower"], sides["upper"]
        return pd.DataFrame(
            {
                "estimate": lower["estimate"],
                "lower": lower["limit"],
                "upper": upper["limit"],
                "lower_status": lower["status"],
                "upper_status": upper["status"],
            }
        ).reset_index()

    def verdict(self) -> str:
        """Return in words how many intervals are closed, and why others are not.

        Each interval is counted once, by the worse of its sides, so that the numbers add up.
        """
        wide = self.intervals()
        ends = wide[["lower_status", "upper_status"]]
        worse = ends.map(WORST_LAST.index).max(axis=1)
        told = [f"{int((worse == 0).sum())} of {len(wide)} are closed"]
        for rank, status in enumerate(WORST_LAST):
            if status in WORDS and (count := int((worse == rank).sum())):
                told.append(f"{count} {WORDS[status]}")
        text = f"{100 * self.level:g} % intervals: {'; '.join(told)}."
        if self.better is not None:
            found = ", ".join(str(subject) for subject in self.better["fits"]["subject"][:5])
            n = len(self.better["fitness"])
            text += (
                f" A better fit was found for {n} subject{'s' if n > 1 else ''} ({found}): fit "
                "again with start_from=profiles.better before you use these intervals."
            )
        return text

    def __repr__(self) -> str:
        return f"{self.verdict()}\n\n{self.intervals().to_string(index=False)}"

    def _repr_html_(self) -> str:
        return f"<p>{self.verdict()}</p>{self.intervals().to_html(index=False)}"


WORST_LAST = ("closed", "blocked", "at bound", "flat", "not found", "better fit")

WORDS = {
    "blocked": "end where another parameter reached a bound",
    "at bound": "reach a bound",
    "flat": "are flat up to a bound",
    "not found": "have an end that was not found",
    "better fit": "met a better fit",
}
"""What the verdict says of intervals by their worse side."""


def profile_likelihood(
    problem: FitProblem,
    result: FitResult,
    parameters: str | Iterable[str] | None = None,
    *,
    level: float = 0.95,
    subjects: Subject | Iterable[Subject] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    workers: Workers | None = None,
    progress: bool = False,
) -> Profiles:
    """Return the profile likelihood of parameters, and the confidence limits where it ends.

    A limit is where the loss has risen by half the quantile of a chi-square with one degree of
    freedom (1.92 nats for 95 %), after all other parameters have been fitted anew. It is found as
    a root, not on a grid. The others are polished from where they were at the point before, in
    double precision. So a profile follows one valley: a second one that is far away is not seen.

    Args:
        problem: what was fitted; its loss is a negative log-likelihood.
        result: fits of `problem`.
        parameters: names of the parameters to profile; all by default.
        level: of confidence, more than 0.5 and less than 1.
        subjects: whose fits; all by default.
        checkpoint: a folder that keeps the profiles of each subject that is done: if the call is
            interrupted or killed, the same call goes on where it stopped. Subjects may be added.
        workers: processes to work in, as for `JaxDE.fit`; each takes some subjects at a time.
        progress: show a progress bar.

    Raises:
        ValueError: the loss is not a log-likelihood, a name or subject is unknown, or `level` is
            not between 0.5 and 1.
        CheckpointMismatch: the folder holds profiles of another problem, level or set of
            parameters, or from other estimates.

    >>> from jaxcmr.typing import LossFnGenerator
    >>> class Bowl(LossFnGenerator):
    ...     label = "NLL"
    ...     def __init__(self, model_factory, dataset, features): pass
    ...     def __call__(self, trials, base_params, names): return lambda x: 50 * (x[0] - 0.5) ** 2
    >>> problem = FitProblem({"subject": [[1]]}, "cmr", Bowl, {"learning_rate": [0, 1]})
    >>> fits = {"learning_rate": [0.5], "subject": [1]}
    >>> result = FitResult(fits=fits, fitness=[0.0], trials=[[[0, 1]]])
    >>> profile_likelihood(problem, result).table["limit"].round(3).tolist()  # 0.5 +- 1.96 / 10
    [0.304, 0.696]
    """
    if not 0.5 < level < 1:
        raise ValueError(f"level is between 0.5 and 1, such as 0.95; got {level!r}.")
    work = ProfileWork(problem, result, parameters, level, subjects)
    records = make_units(work, checkpoint=checkpoint, workers=workers, progress=progress)
    fits, found = work.fits, [from_record(record, work.names) for record in records]
    return Profiles(
        table=to_table(fits, found),
        path=to_path(fits, found),
        level=level,
        threshold=work.rise,
        better=better_fits(FitResult(result), fits, found, work.tolerance),
    )


class ProfileWork:
    """The profiles of fits; a unit is all profiles of a fit.

    Args:
        problem: what was fitted.
        result: fits of `problem`.
        parameters: which to profile; all by default.
        level: of confidence.
        subjects: whose fits; all by default.
    """

    kind = "profiles"

    def __init__(
        self,
        problem: FitProblem,
        result: FitResult,
        parameters: str | Iterable[str] | None,
        level: float,
        subjects: Subject | Iterable[Subject] | None = None,
    ) -> None:
        self.fits = prepare(problem, result, subjects)
        self.names = choose_parameters(parameters, self.fits.names)
        self.problem, self.level = problem, level
        chosen = result if subjects is None else FitResult(result).select(subjects)
        self.fitted = {name: chosen[name] for name in ("fits", "fitness", "trials")}
        self.tolerance = problem.generator.agree_within
        self.rise = float(stats.chi2.ppf(level, 1)) / 2

    def __reduce__(self) -> tuple[Any, ...]:  # losses are made anew from the problem
        return type(self), (self.problem, FitResult(self.fitted), self.names, self.level)

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

    def error_of(self, number: int, record: Record) -> float:
        """Return by how much of its value the loss at the estimates differs from that here."""
        there, here = record["loss"], float(self.fits.at_estimates[number])
        return abs(here - there) / max(abs(there), 1.0)


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


# Tables


def to_table(fits: Fits, profiled: Sequence[Profiled]) -> pd.DataFrame:
    """Return one row per fit, parameter and side."""
    rows = []
    for subject, of_fit in zip(fits.subjects, profiled, strict=True):
        best = of_fit.best
        for (name, side), found in of_fit.sides.items():
            i = fits.names.index(name)
            at_limit = [each for each in found.path if each.place[i] == found.limit]
            farthest = (at_limit or found.path or [best])[-1]
            blocked_by = [] if not found.path else new_on_bound(fits, i, best, farthest)
            is_blocked = bool(blocked_by) and found.status == "closed"
            rows.append(
                {
                    "subject": subject,
                    "parameter": name,
                    "side": side,
                    "estimate": to_user(fits, i, best.place[i]),
                    "limit": to_user(fits, i, found.limit),
                    "status": "blocked" if is_blocked else found.status,
                    "blocked_by": ", ".join(blocked_by),
                    "rise": farthest.loss - best.loss,
                    "end": to_user(fits, i, farthest.place[i]),
                }
            )
    return pd.DataFrame(rows)


def new_on_bound(fits: Fits, i: int, best: Found, found: Found) -> list[str]:
    """Return the other parameters that are on a bound, but were not at the estimates."""
    names = on_bound_at(fits, i, found.place)
    return [name for name in names if name not in on_bound_at(fits, i, best.place)]


def on_bound_at(fits: Fits, i: int, place: Float[np.ndarray, " n"]) -> list[str]:
    """Return the parameters other than number `i` that are on a bound."""
    is_on = (place <= ON_BOUND) | (place >= 1 - ON_BOUND)
    return [name for j, name in enumerate(fits.names) if is_on[j] and j != i]


def to_path(fits: Fits, profiled: Sequence[Profiled]) -> pd.DataFrame:
    """Return one row per point of a profile, from the lower end to the upper end."""
    about, places = [], []
    for subject, of_fit in zip(fits.subjects, profiled, strict=True):
        best = of_fit.best
        for name in dict.fromkeys(name for name, _ in of_fit.sides):
            i = fits.names.index(name)
            lower, upper = (of_fit.sides[name, side].path for side in SIDES)
            points = [("lower", found) for found in reversed(lower)]
            points += [("estimate", best), *(("upper", found) for found in upper)]
            for side, found in points:
                on_bound = ", ".join(on_bound_at(fits, i, found.place))
                about.append((subject, name, side, found.loss, found.loss - best.loss, on_bound, i))
                places.append(found.place)
    columns = ["subject", "parameter", "side", "loss", "rise", "at_bound", "index"]
    table = pd.DataFrame(about, columns=columns)
    values = fits.to_user(np.array(places))
    index = table.pop("index").to_numpy()
    table.insert(3, "value", values[np.arange(len(values)), index])
    return table.assign(**dict(zip(fits.names, values.T, strict=True)))


def to_user(fits: Fits, i: int, place: float) -> float:
    """Return the value of parameter number `i` at a place of the unit cube; NaN for NaN."""
    places = np.full(len(fits.names), 0.5)
    places[i] = place
    return float(fits.to_user(places[None])[0, i])


def better_fits(
    result: FitResult, fits: Fits, profiled: Sequence[Profiled], tolerance: float
) -> FitResult | None:
    """Return the fits that are better than those of a result, without their runs; None if none."""
    recorded = dict(zip(result["fits"]["subject"], result["fitness"], strict=True))
    found = {
        subject: of_fit.lowest
        for subject, of_fit in zip(fits.subjects, profiled, strict=True)
        if recorded[subject] - of_fit.lowest.loss > tolerance
    }
    if not found:
        return None
    better = result.select(list(found))
    values = fits.to_user(np.array([each.place for each in found.values()]))
    columns = {name: values[:, i].tolist() for i, name in enumerate(fits.names)}
    better.update(
        fitness=[each.loss for each in found.values()],
        fits={**better["fits"], **columns},
        runs=[],
    )
    return better
