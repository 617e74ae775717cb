"""Likelihoods whose posteriors are known, where the model does not matter.

Each has one row of the data per trial, with the fields that it names; rows of -1 add nothing.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri

from jaxcmr.fitting import FitProblem
from jaxcmr.typing import LossFnGenerator


class Likelihood(LossFnGenerator):
    """Base of these: `loss` is a class of losses, its fields named in `fields`."""

    label = "NLL"
    fields = ()

    def __init__(self, model_factory, dataset, features):
        self.values = [np.asarray(dataset[field], float).reshape(-1) for field in self.fields]

    def __call__(self, trial_indices, base_params, free_param_names):
        rows = np.asarray(trial_indices)
        present = rows >= 0
        return self.loss(*(jnp.asarray(np.where(present, v[rows], 0.0)) for v in self.values))


class Bernoulli(eqx.Module):
    """``n`` tries of probability x, ``k`` of which succeed, in a known order."""

    k: jnp.ndarray
    n: jnp.ndarray

    def of_trials(self, p):
        k, n = self.k[:, None], self.n[:, None]
        return -(k * jnp.log(p)[None] + (n - k) * jnp.log1p(-p)[None])

    def __call__(self, x):
        columns = x if x.ndim == 2 else x[:, None]
        losses = self.of_trials(columns[0]).sum(0)
        return losses if x.ndim == 2 else losses[0]


class Bernoullis(Likelihood):
    loss, fields = Bernoulli, ("k", "n")

    def pointwise_log_likelihood(self, trial_indices, parameters, precision="float64"):
        loss = self(trial_indices, {}, ["learning_rate"])
        p = np.atleast_1d(np.asarray(parameters["learning_rate"]))
        return -np.asarray(loss.of_trials(jnp.asarray(p))).T[:, :, None]


class Normal(eqx.Module):
    """``weight`` observations of mean ``observed``, each normal around z with sd 1.

    x is on the unit interval, ``x = Phi(z)``; with more parameters, all z are observed alike.
    """

    observed: jnp.ndarray
    weight: jnp.ndarray

    def __call__(self, x):
        z = ndtri(x)[None]  # trials first
        shape = (-1,) + (1,) * x.ndim
        observed, weight = self.observed.reshape(shape), self.weight.reshape(shape)
        squares = weight * ((z - observed) ** 2 + jnp.log(2 * jnp.pi)) / 2
        return squares.sum((0, 1))


class Normals(Likelihood):
    loss, fields = Normal, ("observed", "weight")


class Valley(eqx.Module):
    """``20 |z_1 - z_2| + 5 (z_1 - 1)^2``: a valley with a kink at its ground."""

    zero: jnp.ndarray

    def __call__(self, x):
        z = ndtri(x)
        return 20 * jnp.abs(z[0] - z[1]) + 5 * (z[0] - 1) ** 2 + 0 * self.zero.sum()


class Valleys(Likelihood):
    loss, fields = Valley, ("zero",)


class Saddle(eqx.Module):
    """``weight (z^2 - 1)^2``, of which z = 0 is the highest place between two modes."""

    weight: jnp.ndarray

    def __call__(self, x):
        return self.weight.sum() * (ndtri(x[0]) ** 2 - 1) ** 2


class Saddles(Likelihood):
    loss, fields = Saddle, ("weight",)


def problem_of(likelihood, n_params=1, **fields):
    """Return the problem of a likelihood; trials are of subjects 1, 2, ... unless given."""
    names = ["learning_rate", "item_support", "primacy_decay"][:n_params]
    n_trials = len(next(iter(fields.values())))
    data = {"subject": np.arange(1, n_trials + 1), **fields}
    return FitProblem(
        {name: np.asarray(value) for name, value in data.items()},
        "cmr",
        likelihood,
        {name: [0.0, 1.0] for name in names},
    )
