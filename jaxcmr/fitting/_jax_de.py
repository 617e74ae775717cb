"""`JaxDE`: the fitter on the package's own engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import jax
from jaxtyping import PRNGKeyArray

from jaxcmr.fitting._fitter import UNIT_CUBE, Fitter, Run
from jaxcmr.optimize import LaneReport, evolve_lanes

__all__ = ["JaxDE"]


class JaxDE(Fitter):
    __doc__ = Fitter.__doc__

    def _search(self, runs: Sequence[Run]) -> Iterator[LaneReport]:
        options = self.hyperparameters
        return evolve_lanes(
            [run.loss for run in runs],
            UNIT_CUBE * len(self.free_names),
            [run_key(options["seed"], run.subject, run.number) for run in runs],
            x0=[run.start for run in runs],
            maxiter=options["num_steps"],
            polish=self._polishes(runs[0].loss),
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


def run_key(seed: int, subject: int, run: int) -> PRNGKeyArray:
    """The key of a run: a function of these three numbers and nothing else."""
    of_subject = jax.random.fold_in(jax.random.key(seed), subject % 2**32)
    return jax.random.fold_in(of_subject, run)
