"""Likelihoods with published or closed answers, and a model that learns from choices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxcmr.fitting import FitProblem
from jaxcmr.parameters import Parameter
from jaxcmr.results import FitResult
from jaxcmr.typing import LossFnGenerator

RETENTION = {"t": [1, 3, 6, 9, 12, 18], "k": [94, 77, 40, 26, 24, 16]}
"""Correct recalls out of 100 after t seconds (Myung, 2003, J. Math. Psychol. 47:90)."""


def problem_of(nll, data, bounds, estimates, *, subjects=None, scale="linear"):
    """Return a problem with the loss ``nll(rows, x)``, and a result with these estimates.

    `rows` are the data of the trials that are fitted, by name. There is a fit per subject.
    """

    class Generator(LossFnGenerator):
        label = "NLL"

        def __init__(self, model_factory, dataset, features):
            self.data = {name: np.asarray(dataset[name], float) for name in data}

        @property
        def parameters(self):
            return [Parameter(name, *pair, name, name, scale) for name, pair in bounds.items()]

        def __call__(self, trial_indices, base_params, free_param_names):
            trials = np.asarray(trial_indices)
            return Partial(nll, {name: rows[trials] for name, rows in self.data.items()})

    columns = {name: np.asarray(column) for name, column in data.items()}
    n_rows = len(next(iter(columns.values())))
    subjects = np.ones(n_rows, int) if subjects is None else np.asarray(subjects)
    problem = FitProblem({"subject": subjects[:, None], **columns}, "cmr", Generator, bounds)
    ids = np.unique(subjects)
    masks = [np.flatnonzero(subjects == each) for each in ids]
    fits = {name: np.broadcast_to(x, len(ids)).tolist() for name, x in estimates.items()}
    result = FitResult(
        fitness=[float(problem.evaluate(estimates_of(fits, i), mask_of(rows, n_rows)))
                 for i, rows in enumerate(masks)],
        fits={**fits, "subject": ids.tolist()},
        free=dict(bounds),
        fixed={},
        trials=[[[int(rows[0]), int(rows[-1]) + 1]] for rows in masks],
    )  # fmt: skip
    return problem, result


def estimates_of(fits, i):
    """Return the estimates of a fit by name."""
    return {name: values[i] for name, values in fits.items()}


def mask_of(rows, n_rows):
    """Return the mask of rows."""
    mask = np.zeros(n_rows, bool)
    mask[rows] = True
    return mask


def of_columns(nll):
    """Let a loss of candidates, ``(n_params, S) -> (S,)``, take a single one as well."""

    @functools.wraps(nll)
    def loss(rows, x):
        return nll(rows, x) if jnp.ndim(x) == 2 else nll(rows, x[:, None])[0]

    return loss


def as_column(rows, x):
    """Return numbers of rows, (rows, 1), in the precision of `x`."""
    return jnp.asarray(rows, x.dtype).reshape(-1, 1)


def binomial(k, n, p):
    """Return the NLL of k successes of n, infinite where p is not a probability."""
    is_valid = (p > 0) & (p < 1)
    p = jnp.where(is_valid, p, 0.5)
    nats = -(k * jnp.log(p) + (n - k) * jnp.log1p(-p))
    return jnp.where(is_valid, nats, jnp.inf).sum(0)


@of_columns
def power(rows, x):
    """Return the NLL of ``p = a t^-b`` for the retention data."""
    t = as_column(rows["t"], x)
    return binomial(as_column(rows["k"], x), 100.0, x[:1] * t ** -x[1:])


@of_columns
def exponential(rows, x):
    """Return the NLL of ``p = a exp(-b t)`` for the retention data."""
    t = as_column(rows["t"], x)
    return binomial(as_column(rows["k"], x), 100.0, x[:1] * jnp.exp(-x[1:] * t))


@of_columns
def bernoulli(rows, x):
    """Return the NLL of successes, one row each."""
    y = as_column(rows["y"], x)
    return -(jnp.where(y > 0, jnp.log(x), jnp.log1p(-x))).sum(0)


@of_columns
def normal(rows, x):
    """Return the NLL of a normal distribution with mean x[0] and standard deviation x[1]."""
    y = as_column(rows["y"], x)
    return (jnp.log(x[1:]) + (y - x[:1]) ** 2 / (2 * x[1:] ** 2)).sum(0)


@of_columns
def learner(rows, x):
    """Return the NLL of the choices of a Rescorla-Wagner learner on a two-armed bandit.

    After each choice its value moves by ``alpha (reward - value)``; the next choice is a softmax of
    the values with inverse temperature beta. Values start at 0.5.
    """
    alpha, beta = x

    def step(values, event):
        choice, reward = event  # of all rows
        is_chosen = (jnp.arange(2)[:, None] == choice[None])[..., None]  # (arm, row, 1)
        logits = beta[None, None] * values
        nats = jax.nn.logsumexp(logits, axis=0) - jnp.where(is_chosen, logits, 0.0).sum(0)
        moved = values + alpha[None, None] * (reward[None, :, None] - values)
        return jnp.where(is_chosen, moved, values), nats

    events = tuple(jnp.asarray(rows[name], x.dtype).T for name in ("choice", "reward"))
    start = jnp.full((2, events[0].shape[1], len(alpha)), 0.5, x.dtype)
    _, nats = jax.lax.scan(step, start, events)
    return nats.sum((0, 1))


def simulate_learners(n_subjects, n_choices, alpha, beta, seed):
    """Return choices and rewards of learners, one row each. The better arm changes every 25."""
    random = np.random.default_rng(seed)
    values = np.full((n_subjects, 2), 0.5)
    choices, rewards = [], []
    for turn in range(n_choices):
        p_second = 1 / (1 + np.exp(-beta * (values[:, 1] - values[:, 0])))
        choice = (random.random(n_subjects) < p_second).astype(int)
        is_better = choice == (turn // 25) % 2
        reward = (random.random(n_subjects) < np.where(is_better, 0.8, 0.2)).astype(float)
        here = np.arange(n_subjects), choice
        values[here] += alpha * (reward - values[here])
        choices.append(choice)
        rewards.append(reward)
    return {"choice": np.array(choices).T, "reward": np.array(rewards).T}
