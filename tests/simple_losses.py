"""A loss with a known minimum that compiles in a moment, where the model does not matter."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcmr.loss import LOSSES
from jaxcmr.typing import LossFnGenerator


class Bowl(eqx.Module):
    """``n (1 + sum_i (x_i - center)^2)``, over the free parameters x."""

    n: np.ndarray
    center: np.ndarray

    def __call__(self, x):
        n, center = jnp.asarray(self.n, x.dtype), jnp.asarray(self.center, x.dtype)
        return n * (1 + ((x - center) ** 2).sum(0))


class BowlGenerator(LossFnGenerator):
    """Bowls over trials: n is their number, the center a tenth of their mean first recall.

    The lowest loss of a fit is therefore its number of trials.
    """

    label = "bowl"

    def __init__(self, model_factory, dataset, features):
        self.factory = model_factory and model_factory(dataset, features)
        self.first_recalls = np.asarray(dataset["recalls"])[:, 0]

    @property
    def parameters(self):
        return self.factory and self.factory.parameters

    def __call__(self, trial_indices, base_params, free_param_names):
        trials = np.asarray(trial_indices)
        trials = trials[trials >= 0]
        return Bowl(np.array(len(trials), float), self.first_recalls[trials].mean() / 10)


class GivenBowlGenerator(BowlGenerator):
    """The same, but it takes the number of recalls as given."""

    def __init__(self, model_factory, dataset, features):
        super().__init__(model_factory, dataset, features)
        self.n_given = (np.asarray(dataset["recalls"]) > 0).sum(1)

    def count_given_recalls(self, trial_indices):
        return np.where(trial_indices >= 0, self.n_given[trial_indices], 0)


@pytest.fixture(scope="module")
def bowl():
    """Give this loss a name in a file of tests, so that results and shells can name it: "bowl"."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LOSSES, "bowl", BowlGenerator)
        yield "bowl"
