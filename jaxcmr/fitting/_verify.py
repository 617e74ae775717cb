"""Is a record, made by another process or at another time, one of the same fit?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcmr.fitting._problem import FitProblem
from jaxcmr.fitting._runs import Run
from jaxcmr.optimize import in_double, works_in_double

if TYPE_CHECKING:
    from jaxcmr.fitting._fitter import Fitter

__all__ = [
    "ROUNDING",
    "Verified",
    "evaluate_near",
    "least_of",
    "rounding_of",
    "verify_loss",
    "verify_record",
]

ROUNDING = {True: 1e-9, False: 1e-5}
"""Largest relative difference between a stored loss and the same computed anew, perhaps on another
machine, in double precision or not."""

SIMULATED = 1e-3
"""The same for losses that simulate recall: rounding may change a choice among very many."""

NOISE = 0.1
"""The same for these between machines, where it changes more of them."""

LEAST = {"NLL": 1.0}
"""Differences are shares of the loss, or of this if it is nearer to 0, by label. The logarithms
that a likelihood adds up are rounded by shares of about 1, however small their sum is."""

LEAST_OF_OTHERS = 1e-4

LAST_PLACES = np.array([0, 1, -1, 2, -2, 3, -3])
"""Changes of estimates, in units of their last digit."""

SPREADS = 10
"""A loss computed anew may be off by so many times what such changes do to it."""

MOST_ROUNDING = 1e-3
"""But by no more than this share of it: a loss may have a step there, which is not rounding."""


class Verified(NamedTuple):
    """A loss that was stored, and the same computed anew."""

    is_same: bool  # but for rounding
    there: float
    here: float
    off: float  # by this share of its value

    def __str__(self) -> str:
        return f"had a loss of {self.there:.10g} there, and have {self.here:.10g} here"


def verify_record(
    fitter: Fitter, run: Run, record: Mapping[str, Any], differing: Sequence[str] = ()
) -> Verified:
    """Compute the loss of a record anew, and compare.

    Args:
        fitter: of the run.
        run: what the record is of.
        record: the record.
        differing: what differs between this environment and that in which it was made.
    """
    problem = fitter.problem
    double = bool(jax.config.jax_enable_x64)  # type: ignore[attr-defined]
    if record["polish"] is not None:
        double |= works_in_double(problem.loss_of(run.rows), len(problem.free_names))
    return verify_loss(problem, run.rows, record["estimates"], record["loss"], double, differing)


def verify_loss(
    problem: FitProblem,
    rows: np.ndarray,
    estimates: Mapping[str, float],
    there: float,
    double: bool,
    differing: Sequence[str] = (),
) -> Verified:
    """Compute a stored loss anew, and compare.

    Args:
        problem: whose loss it is.
        rows: of the trials; -1 is padding.
        estimates: of the free parameters.
        there: the stored loss.
        double: whether it was computed in double precision.
        differing: what differs between this environment and that in which it was computed.
    """
    here, allowed = evaluate_near(problem, rows, estimates, double)
    if differing and not problem.differentiable:
        allowed = NOISE
    off = abs(here - there) / max(abs(there), least_of(problem))
    return Verified(off <= allowed, there, here, off)


def least_of(problem: FitProblem) -> float:
    """Return what differences of losses are shares of, where losses are nearer to 0."""
    return LEAST.get(problem.generator.label, LEAST_OF_OTHERS)


def rounding_of(problem: FitProblem, double: bool) -> float:
    """Return by which share rounding may change most losses of a problem."""
    return ROUNDING[double] if problem.differentiable else SIMULATED


def evaluate_near(
    problem: FitProblem, rows: np.ndarray, estimates: Mapping[str, float], double: bool
) -> tuple[float, float]:
    """Return the loss at estimates, and by which share of it rounding may change it.

    Most losses come out to their last digits. Some amplify rounding: where a temperature of choices
    is near zero, differences of activations are divided by it, and their last digits count. So the
    loss is also computed where the estimates differ in their last digits.

    Args:
        problem: whose loss it is.
        rows: of the trials; -1 is padding.
        estimates: of the free parameters.
        double: whether the loss was computed in double precision.
    """
    loss, bounds = problem.loss_of(rows), np.array(list(problem.bounds.values()), float)
    x = np.array([estimates[name] for name in problem.free_names])[:, None]
    if double:
        loss = in_double([loss])[0]
    with jax.enable_x64(double):
        precision = jnp.result_type(float)
        last = LAST_PLACES if problem.differentiable else LAST_PLACES[:1]
        near = x * (1 + last * float(jnp.finfo(precision).eps))
        near = np.clip(near, np.minimum(x, bounds[:, :1]), np.maximum(x, bounds[:, 1:]))
        losses = np.asarray(loss(jnp.asarray(near, precision)), float)
    here, finite = float(losses[0]), losses[np.isfinite(losses)]
    spread = np.ptp(finite) if problem.differentiable and finite.size else 0.0
    amplified = SPREADS * float(spread) / max(abs(here), least_of(problem))
    rounding = rounding_of(problem, double)
    return here, min(rounding + amplified, max(rounding, MOST_ROUNDING))
