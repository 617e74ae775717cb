"""What the tests of this room share: a cheap loss, and both fitters."""

import numpy as np
import pytest
from simple_losses import BowlGenerator, bowl
from stopped_fits import calls

from jaxcmr.fitting import JaxDE, ScipyDE

__all__ = ["bowl", "calls", "fitter_class", "make"]

BOUNDS = {"encoding_drift_rate": [0.1, 0.9], "choice_sensitivity": [0.0, 20.0]}
QUICK = {"num_steps": 3, "pop_size": 4, "polish": False, "progress_bar": False}


@pytest.fixture(params=[JaxDE, ScipyDE])
def fitter_class(request):
    return request.param


@pytest.fixture
def make(small_data):
    """Makes a fitter of bowls with two free parameters, with some of its settings replaced."""

    def make(fitter_class=JaxDE, data=small_data, loss=BowlGenerator, **settings):
        settings = {"bounds": BOUNDS, **QUICK, **settings}
        return fitter_class(data, None, {"learning_rate": 0.4}, None, loss, settings)

    return make


@pytest.fixture
def everyone():
    """A mask of all trials of the small data."""
    return np.ones(20, bool)
