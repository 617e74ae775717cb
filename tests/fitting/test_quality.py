"""Fits are good fits: by recovery of known parameters, and beside SciPy's."""

import numpy as np
import pytest

from jaxcmr.fitting import JaxDE, ScipyDE
from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.models import MODELS, usual_bounds
from jaxcmr.simulation import simulate_dataset


def make_fitter(fitter_class, data, **options):
    return fitter_class(
        data,
        None,
        {},
        MODELS["cmr"],
        MemorySearchLikelihoodFnGenerator,
        {"bounds": usual_bounds("cmr"), "progress_bar": False, **options},
    )


@pytest.mark.full
def test_the_fit_is_at_least_as_good_as_the_truth(parameters):
    """Of a large simulated data set: the parameters that generated it are one candidate, so the
    best fit cannot have a higher likelihood loss than they have. All eleven are free."""
    n_trials = 160
    lists = {
        "subject": np.ones((n_trials, 1), int),
        "listLength": np.full((n_trials, 1), 8),
        "pres_itemnos": np.tile(np.arange(1, 9), (n_trials, 1)),
        "recalls": np.zeros((n_trials, 8), int),
    }
    data = simulate_dataset(MODELS["cmr"], lists, parameters, seed=11)
    result = make_fitter(JaxDE, data, pop_size=8, num_steps=150).fit(np.ones(n_trials, bool))
    generator = MemorySearchLikelihoodFnGenerator(MODELS["cmr"], data, None)
    truth = -float(np.sum(generator.pointwise_log_likelihood(np.arange(n_trials), parameters)))
    assert result["fitness"][0] <= truth
    assert result["fitness"][0] > truth - 20  # eleven parameters fit noise by about 5.5 nats


@pytest.mark.slow
def test_as_good_as_scipy_on_real_subjects(peers):
    """At equal hyperparameters, the median over five seeds is at most 0.5 nats above that of
    SciPy's engine, for at least nine of ten subjects."""
    subjects = np.unique(peers["subject"])[:10]
    mask = np.isin(peers["subject"][:, 0], subjects)

    def medians(fitter_class):
        fits = [
            make_fitter(fitter_class, peers, seed=seed).fit_subjects(mask)["fitness"]
            for seed in range(5)
        ]
        return np.median(fits, axis=0)

    ours, theirs = medians(JaxDE), medians(ScipyDE)
    for subject, a, b in zip(subjects, ours, theirs, strict=True):
        print(f"subject {subject}: JaxDE {a:.3f}  ScipyDE {b:.3f}  difference {a - b:+.3f}")
    assert np.sum(ours <= theirs + 0.5) >= 9
