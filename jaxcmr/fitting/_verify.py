"""Is a record, made by another process or at another time, one of the same fit?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxcmr.fitting._environment import OF_A_PROCESS, describe_environment
from jaxcmr.fitting._runs import Run

if TYPE_CHECKING:
    from jaxcmr.fitting._fitter import Fitter

__all__ = ["ROUNDING", "Verified", "verify_record"]

ROUNDING = {True: 1e-9, False: 1e-5}
"""Largest relative difference between a stored loss and the same computed anew, perhaps on another
machine, in double precision or not."""

NOISE = 0.1
"""The same for losses that simulate recall, between machines: rounding changes some choices."""


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
    there = record["loss"]
    here, double = fitter.evaluate_run(run, record)
    off = abs(here - there) / max(abs(there), 1.0)
    differing = [
        f"{name} {environment.get(name)!r} there, {value!r} here"
        for name, value in describe_environment().items()
        if name not in OF_A_PROCESS and environment.get(name) != value
    ]
    is_noise = off <= NOISE and bool(differing) and not fitter.problem.differentiable
    return Verified(off <= ROUNDING[double] or is_noise, there, here, off, differing)
