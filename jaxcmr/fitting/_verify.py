"""Is a record, made by another process or at another time, one of the same fit?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxcmr.fitting._environment import describe_differences, describe_environment
from jaxcmr.fitting._problem import FitProblem
from jaxcmr.fitting._runs import Run
from jaxcmr.optimize import in_double, works_in_double

if TYPE_CHECKING:
    from jaxcmr.fitting._fitter import Fitter

__all__ = ["ROUNDING", "Verified", "evaluate_near", "verify_record"]

ROUNDING = {True: 1e-9, False: 1e-5}
"""Largest relative difference between a stored loss and the same computed anew, perhaps on another
machine, in double precision or not."""

NOISE = 0.1
"""The same for losses that simulate recall, between machines: rounding changes some choices."""

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
    differing: list[str]  # what differs between the environments

    def __str__(self) -> str:
        return f"had a loss of {self.there:.10g} there, and have {self.here:.10g} here"


def verify_record(
    fitter: Fitter, run: Run, record: Mapping[str, Any], environment: Mapping[str, Any]
) -> Verified:
    """Compute the loss of a record anew, and compare.

    Args:
        fitter: of the run.
        run: what the record is of.
        record: the record.
        environment: in which it was made.
    """
    problem, there = fitter.problem, record["loss"]
    double = bool(jax.config.jax_enable_x64)  # type: ignore[attr-defined]
    if record["polish"] is not None:
        double |= works_in_double(problem.loss_of(run.rows), len(problem.free_names))
    here, allowed = evaluate_near(problem, run.rows, record["estimates"], double)
    off = abs(here - there) / max(abs(there), 1.0)
    differing = describe_differences(environment, describe_environment())
    is_noise = off <= NOISE and bool(differing) and not problem.differentiable
    return Verified(off <= allowed or is_noise, there, here, off, differing)


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
        near = x * (1 + LAST_PLACES * float(jnp.finfo(precision).eps))
        near = np.clip(near, np.minimum(x, bounds[:, :1]), np.maximum(x, bounds[:, 1:]))
        losses = np.asarray(loss(jnp.asarray(near, precision)), float)
    finite = losses[np.isfinite(losses)]
    spread = np.ptp(finite) if problem.differentiable and finite.size else 0.0
    here = float(losses[0])
    amplified = SPREADS * float(spread) / max(abs(here), 1.0)
    return here, min(ROUNDING[double] + amplified, MOST_ROUNDING)
