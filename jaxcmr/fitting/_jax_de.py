"""`JaxDE`: the fitter on the package's own engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from functools import reduce

import jax
import numpy as np
from jaxtyping import Array, PRNGKeyArray, UInt32

from jaxcmr.fitting._fitter import UNIT_CUBE, Fitter, words_of_id
from jaxcmr.fitting._runs import Run
from jaxcmr.optimize import LaneReport, evolve_lanes

__all__ = ["JaxDE"]


class JaxDE(Fitter):
    __doc__ = Fitter.__doc__

    def search(self, runs: Sequence[Run], pool: Executor | None) -> Iterator[LaneReport]:
        """Make the runs with `jaxcmr.optimize.evolve_lanes`."""
        options = self.hyperparameters
        seed = jax.random.key(options["seed"])
        losses = self.losses_of(runs)
        transforms = {id(loss.space): loss.space.from_unit for loss in losses}
        return evolve_lanes(
            [loss.loss for loss in losses],
            UNIT_CUBE * len(options["bounds"]),
            [run_key(seed, words_of(run)) for run in runs],
            transforms=[transforms[id(loss.space)] for loss in losses],
            x0=[self.start_of(run) for run in runs],
            states=[run.state for run in runs],
            pool=pool,
            maxiter=options["num_steps"],
            polish=self.polish or False,
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


def words_of(run: Run) -> UInt32[np.ndarray, " words"]:
    """Return subject and number of a run as words of 32 bits."""
    return np.array([*words_of_id(run.subject), run.number % 2**32], np.uint32)


@jax.jit  # called once per run: as separate operations, a thousand runs would take a second
def run_key(seed: PRNGKeyArray, words: UInt32[Array, " words"]) -> PRNGKeyArray:
    """Return the key of a run: a function of the seed, the subject and the run, nothing else."""
    return reduce(jax.random.fold_in, words, seed)
