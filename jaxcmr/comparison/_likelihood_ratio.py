"""Where the distribution of a likelihood ratio is known, and where it is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import special, stats

from jaxcmr._differences import losses_at
from jaxcmr._result_words import name_subjects
from jaxcmr.fitting import FitProblem
from jaxcmr.optimize import in_double
from jaxcmr.typing import Parameters, Subject
from jaxcmr.uncertainty._inputs import Fits

__all__ = ["ROUNDING", "Fitted", "find_doubts", "find_on_bound", "p_of"]

ROUNDING = 1e-4
"""Nats by which ends of the same search differ. Ratios that differ by less are tied."""

ON_BOUND = 1e-3
"""How far from a bound an estimate counts as on it, as a share of the searched range."""

PROBES = (0.1, 0.5, 0.9)
"""Places in the searched range at which a parameter is tried: does the loss depend on it?"""


@dataclass(frozen=True)
class Fitted:
    """A problem and fits of it; for the bigger model, also the fits of the special case in it."""

    problem: FitProblem
    fits: Fits
    losses: Float[np.ndarray, " fits"]
    lifted: Float[np.ndarray, "fits n"]  # estimates of the special case, as those of this model
    neutral: Parameters

    def lift(self, estimates: Mapping[str, float], small: FitProblem) -> np.ndarray:
        """Return estimates of the special case as those of this model, (n,)."""
        known = {**self.neutral, **small.fixed, **estimates}
        return np.array([known[name] for name in self.problem.free_names])


def find_doubts(method: str, df: int, small: Fitted, big: Fitted) -> list[str]:
    """Return why a distribution does not hold, one sentence each; empty if it does."""
    tested = [name for name in big.problem.free_names if name not in small.problem.free_names]
    doubts = []
    if method == "chibar" and df != 1:
        doubts.append(f"the mixture is for one parameter, and {df} are tested.")
    on_bound: dict[str, list[Subject]] = {}
    for each, places in (
        (small, small.fits.places), (big, big.fits.places), (big, places_of(big, big.lifted))
    ):  # fmt: skip
        for name, subjects in find_on_bound(each, places).items():
            if not (method == "chibar" and name in tested):
                on_bound[name] = list(dict.fromkeys([*on_bound.get(name, []), *subjects]))
    for name, subjects in on_bound.items():
        doubts.append(f"{name} is on a bound for {name_subjects(subjects)}.")
    if method == "chibar":
        lifted = places_of(big, big.lifted)
        inside = [name for name, column in zip(big.fits.names, lifted.T, strict=True)
                  if name in tested and np.any((column > ON_BOUND) & (column < 1 - ON_BOUND))
                  ]  # fmt: skip
        doubts += [f"{name} is inside its bounds in the special case." for name in inside]
    for name, subjects in find_vanished(big).items():
        doubts.append(
            f"{name} does not change the loss in the special case, for {name_subjects(subjects)}."
        )
    return doubts


def find_on_bound(fitted: Fitted, places: Float[np.ndarray, "fits n"]) -> dict[str, list[Subject]]:
    """Return the parameters that are on a bound at these places, and for whom."""
    found = {}
    for name, column in zip(fitted.fits.names, places.T, strict=True):
        at = (column <= ON_BOUND) | (column >= 1 - ON_BOUND)
        if at.any():
            found[name] = [s for s, is_at in zip(fitted.fits.subjects, at, strict=True) if is_at]
    return found


def places_of(
    fitted: Fitted, estimates: Float[np.ndarray, "fits n"]
) -> Float[np.ndarray, "fits n"]:
    """Return the places of parameters in the unit cube of the search."""
    with jax.enable_x64(True):
        return np.array([fitted.fits.space.to_unit(x.tolist()) for x in estimates])


def find_vanished(big: Fitted) -> dict[str, list[Subject]]:
    """Return the parameters that do not change the loss in the special case, and for whom."""
    found: dict[str, list[Subject]] = {}
    with jax.enable_x64(True):
        losses = in_double(big.fits.losses)
        probed = big.fits.to_user(np.tile(np.array(PROBES)[:, None], (1, len(big.fits.names))))
        for subject, loss, x in zip(big.fits.subjects, losses, big.lifted, strict=True):
            for i, name in enumerate(big.fits.names):
                moved = np.tile(x[:, None], (1, len(PROBES) + 1))
                moved[i, 1:] = probed[:, i]
                at = np.asarray(losses_at(loss, jnp.asarray(moved)))
                if np.all(np.abs(at - at[0]) < ROUNDING):
                    found.setdefault(name, []).append(subject)
    return found


def p_of(method: str, statistic: float, df: int, n_subjects: int = 1) -> float:
    """Return the probability of at least this sum of likelihood ratios of independent subjects.

    Of "chibar", j of n subjects have a ratio above 0 with probability ``C(n, j) / 2^n``, and the
    sum is then chi-square with j degrees of freedom.
    """
    if method == "chi2":
        return float(stats.chi2.sf(statistic, df * n_subjects))
    if statistic <= 0:
        return 1.0
    j = np.arange(1, n_subjects + 1)
    log_weights = (
        special.gammaln(n_subjects + 1) - special.gammaln(j + 1)
        - special.gammaln(n_subjects - j + 1) - n_subjects * np.log(2)
    )  # fmt: skip
    return float(np.sum(np.exp(log_weights) * stats.chi2.sf(statistic, j)))
