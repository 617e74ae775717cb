"""A problem whose profiles other processes can make, and a slow one to be killed in the middle."""

import multiprocessing
import os
import time

import numpy as np
from jax.tree_util import Partial
from known_likelihoods import learner, simulate_learners

from jaxcmr.fitting import FitProblem
from jaxcmr.parameters import Parameter
from jaxcmr.results import FitResult
from jaxcmr.typing import LossFnGenerator

BOUNDS = {"alpha": [0.001, 0.999], "beta": [0.01, 20.0]}
N_SUBJECTS = 6


class Learners(LossFnGenerator):
    """Learners from choices; see `known_likelihoods.learner`."""

    label = "NLL"

    @property
    def parameters(self):
        return [Parameter(name, *pair, name, name, "linear") for name, pair in BOUNDS.items()]

    def __init__(self, model_factory, dataset, features):
        self.data = {name: np.asarray(dataset[name], float) for name in ("choice", "reward")}

    def __call__(self, trial_indices, base_params, free_param_names):
        trials = np.asarray(trial_indices)
        trials = trials[trials >= 0]
        return Partial(learner, {name: rows[trials] for name, rows in self.data.items()})


class StaleLearners(Learners):
    """Learners that are another model in the processes of a pool."""

    def __call__(self, *arguments):
        loss = super().__call__(*arguments)
        is_here = multiprocessing.parent_process() is None
        return loss if is_here else Partial(add_little, loss)


def add_little(loss, x):
    """Return a loss that is 0.1 per cent higher."""
    return 1.001 * loss(x)


def make_problem(n_subjects=N_SUBJECTS, loss=Learners):
    """Return the problem of learners, one trial each, and fits of some that are near the best."""
    data = simulate_learners(N_SUBJECTS, 60, 0.4, 3.0, seed=5)
    data = {"subject": np.arange(1, N_SUBJECTS + 1)[:, None], **data}
    problem = FitProblem(data, "cmr", loss, BOUNDS)
    subjects = list(range(1, n_subjects + 1))
    at = {"alpha": 0.4, "beta": 3.0}
    fitness = [problem.evaluate(at, problem.subjects == each) for each in subjects]
    fits = {name: [value] * n_subjects for name, value in at.items()}
    trials = [[[row, row + 1]] for row in range(n_subjects)]
    return problem, FitResult(
        fitness=fitness, fits={**fits, "subject": subjects}, free=BOUNDS, fixed={}, trials=trials
    )


def main(folder):
    """Profile everyone, slowly: each subject takes a moment more than it needs."""
    from jaxcmr.uncertainty import _profile_work, profile_likelihood

    profile_fit = _profile_work.profile_fit

    def slowly(*arguments):
        time.sleep(float(os.environ["PAUSE"]))
        return profile_fit(*arguments)

    _profile_work.profile_fit = slowly
    profile_likelihood(*make_problem(), checkpoint=folder)
