"""Many fits that start from places that are known, such as those of a bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxcmr.fitting import FitProblem
from jaxcmr.fitting._search_space import choose_scales
from jaxcmr.optimize import Polisher
from jaxcmr.parameters import ParameterSpace
from jaxcmr.typing import Subject
from jaxcmr.uncertainty._inputs import Hold, from_unit, in_threads, stack_rows

__all__ = ["Fit", "make_runs"]


class Fit(NamedTuple):
    """A fit to be made."""

    subject: Subject
    rows: np.ndarray  # of the data set; a row may occur more than once
    name: str = ""  # tells the fits of a subject apart
    starts: Sequence[np.ndarray] = ()  # in the user's units; a run starts from each


def make_runs(problem: FitProblem, fits: Sequence[Fit]) -> list[list[dict[str, Any]]]:
    """Return the records of the runs of each fit, which are polishes of its starts."""
    losses = [problem.loss_of(rows) for rows in stack_rows([fit.rows for fit in fits])]
    scales = choose_scales("auto", problem.bounds, problem.scales)
    with jax.enable_x64(True):
        space = ParameterSpace.make(problem.bounds, scales)
    nothing_held = Hold(space, np.array(-1), np.array(0.0))
    n_starts = max(len(fit.starts) for fit in fits)
    polisher = Polisher(
        losses,
        [(0.0, 1.0)] * len(scales),
        nothing_held,
        polish=problem.generator.gradients,
        n_points=n_starts,
    )

    def run(which: int) -> list[dict[str, Any]]:
        with jax.enable_x64(True):
            units = np.array([space.to_unit(np.asarray(x).tolist()) for x in fits[which].starts])
            ends = polisher(which, units, [nothing_held] * len(units))
            values = np.array(from_unit(space, np.asarray(ends.unit).T)).T
        return [
            {
                "run": -1 - number,
                "loss": float(loss),
                "estimates": dict(zip(scales, x.tolist(), strict=True)),
                "at_rest": bool(at_rest),
            }
            for number, (loss, x, at_rest) in enumerate(
                zip(ends.loss, values, ends.at_rest, strict=True)
            )
        ]

    return in_threads(run, len(fits))
