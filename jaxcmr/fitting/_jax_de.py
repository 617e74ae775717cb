"""`JaxDE`: the fitter on the package's own engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import jax
from jaxtyping import PRNGKeyArray

from jaxcmr.fitting._fitter import UNIT_CUBE, Fitter, Run, words_of_id
from jaxcmr.optimize import LaneReport, evolve_lanes
from jaxcmr.typing import Subject

__all__ = ["JaxDE"]


class JaxDE(Fitter):
    __doc__ = Fitter.__doc__

    @staticmethod
    def search(
        runs: Sequence[Run],
        hyperparameters: Mapping[str, Any],
        polish: str | None,
        pool: Executor | None,
    ) -> Iterator[LaneReport]:
        """Make the runs with `jaxcmr.optimize.evolve_lanes`."""
        options = hyperparameters
        return evolve_lanes(
            [run.loss.loss for run in runs],
            UNIT_CUBE * len(options["bounds"]),
            [run_key(options["seed"], run.subject, run.number) for run in runs],
            transforms=[run.loss.space.from_unit for run in runs],
            x0=[run.start for run in runs],
            states=[run.state for run in runs],
            pool=pool,
            maxiter=options["num_steps"],
            polish=polish or False,
            max_memory=options["max_memory"] or None,
            popsize=options["pop_size"],
            strategy=options["strategy"],
            mutation=options["diff_w"],
            recombination=options["cross_over_rate"],
            tol=options["relative_tolerance"],
            atol=options["absolute_tolerance"],
            fatol=options["fatol"],
            init=options["init"],
        )


def run_key(seed: int, subject: Subject, run: int) -> PRNGKeyArray:
    """Return the key of a run: a function of these three numbers and nothing else."""
    key = jax.random.key(seed)
    for word in [*words_of_id(subject), run]:
        key = jax.random.fold_in(key, word)
    return key
