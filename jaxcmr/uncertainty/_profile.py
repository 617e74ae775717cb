"""Profile likelihoods: how far a parameter can move while all others make up for it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from jaxcmr._tables import to_html, to_text
from jaxcmr.fitting import FitProblem, Workers
from jaxcmr.fitting._units import make_units
from jaxcmr.results import FitResult
from jaxcmr.typing import Subject
from jaxcmr.uncertainty._inputs import Fits
from jaxcmr.uncertainty._profile_work import SIDES, Profiled, ProfileWork, from_record
from jaxcmr.uncertainty._walk import ON_BOUND, Found

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
    fitted: Mapping[str, Any] = field(default_factory=dict)
    """What was fitted, by the keys of a result."""

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
        return f"{self.verdict()}\n\n{to_text(self.intervals())}"

    def _repr_html_(self) -> str:
        return f"<p>{self.verdict()}</p>{to_html(self.intervals())}"


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
    if not isinstance(level, Real) or not 0.5 < level < 1:
        raise ValueError(f"level is between 0.5 and 1, such as 0.95; got {level!r}.")
    level = float(level)
    work = ProfileWork(problem, result, parameters, level, subjects)
    records = make_units(work, checkpoint=checkpoint, workers=workers, progress=progress)
    fits, found = work.fits, [from_record(record, work.names) for record in records]
    return Profiles(
        table=to_table(fits, found),
        path=to_path(fits, found),
        level=level,
        threshold=work.rise,
        better=better_fits(FitResult(result), fits, found, work.tolerance),
        fitted=problem.identify(),
    )


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
