"""The function that samplers take: its value, its integral, its derivatives, its mistakes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats
from simple_losses import BowlGenerator
from toy_likelihoods import Bernoullis, Normals, problem_of

from jaxcmr.bayes import Prior, log_density
from jaxcmr.fitting import FitProblem


def test_the_integral_is_the_probability_of_the_data():
    """8 of 10 under a uniform prior: B(9, 3) = 8! 2! / 11!, log -6.2045578."""
    with jax.enable_x64(True):
        density = jax.jit(log_density(problem_of(Bernoullis, k=[8], n=[10])))
        whole, _ = integrate.quad(lambda z: np.exp(float(density(jnp.full((1, 1), z)))), -8, 8)
    assert np.log(whole) == pytest.approx(-6.2045578, abs=5e-8)


def test_values_are_minus_the_loss_plus_the_prior(small_data):
    """Each subject's own trials, 9, 4, 1 and 6, padded alike."""
    problem = FitProblem(small_data, "cmr", "sequence_likelihood")
    priors = {"learning_rate": Prior(0.5, 0.4)}
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        density = log_density(problem, priors)
        z = rng.normal(size=(4, len(density.names)))
        found = np.asarray(density.log_likelihood(jnp.asarray(z)))
        x = np.asarray(density.to_user(jnp.asarray(z)))
        total = float(density(jnp.asarray(z)))
        back = density.to_probit(x)
    assert density.subjects == (3, 7, 8, 20)
    losses = [
        problem.evaluate(dict(zip(density.names, row, strict=True)), problem.subjects == subject)
        for subject, row in zip(density.subjects, x, strict=True)
    ]
    np.testing.assert_allclose(found, -np.array(losses), rtol=0, atol=1e-10)
    mean = np.array([0.5 if name == "learning_rate" else 0.0 for name in density.names])
    sd = np.array([0.4 if name == "learning_rate" else 1.0 for name in density.names])
    prior = stats.norm.logpdf(z, mean, sd).sum()
    assert total == pytest.approx(prior - np.sum(losses), abs=1e-10)
    np.testing.assert_allclose(back, z, atol=1e-6)


@pytest.mark.full
def test_gradients_are_those_of_finite_differences(small_data):
    problem = FitProblem(small_data, "cmr", "sequence_likelihood")
    mask = problem.subjects == 3
    with jax.enable_x64(True):
        density = log_density(problem, trial_mask=mask)
        z = jnp.asarray(np.random.default_rng(1).normal(size=(1, len(density.names))) / 2)
        gradient = np.asarray(jax.grad(density)(z))[0]
        h = 1e-5
        sides = [
            [float(density(z.at[0, i].add(sign * h))) for sign in (1, -1)]
            for i in range(z.shape[1])
        ]
    np.testing.assert_allclose(gradient, np.diff(sides, axis=1)[:, 0] / -2 / h, atol=1e-6)


def test_it_is_a_pure_function_in_both_precisions(x64):
    """Under jit, vmap and grad; one program serves many calls."""
    density = log_density(problem_of(Bernoullis, k=[8, 3], n=[10, 10]))
    z = jnp.array([[0.3], [-0.2]])
    assert density(z).dtype == (jnp.float64 if x64 else jnp.float32)
    many = jax.vmap(density)(jnp.stack([z, 2 * z]))
    np.testing.assert_allclose(many, [density(z), jax.jit(density)(2 * z)], rtol=1e-6)
    p = stats.norm.cdf([0.3, -0.2])
    gradients = np.array([8, 3]) / p - np.array([2, 7]) / (1 - p)
    expected = gradients * stats.norm.pdf([0.3, -0.2]) - np.array([0.3, -0.2])
    np.testing.assert_allclose(jax.grad(density)(z)[:, 0], expected, rtol=1e-5)


def test_a_uniform_prior_is_uniform_on_the_scale_of_the_search():
    """Draws of the default prior are uniform between the bounds."""
    density = log_density(problem_of(Normals, observed=[0.0], weight=[1.0]))
    z = np.random.default_rng(0).normal(size=(10_000, 1))
    x = np.asarray(density.to_user(jnp.asarray(z, jnp.float32)))[:, 0]
    assert stats.kstest(x, "uniform").pvalue > 0.01


def test_mistakes_are_told(small_data):
    problem = problem_of(Bernoullis, k=[8], n=[10])
    with pytest.raises(ValueError, match="learning_rate"):
        log_density(problem, {"learning_rte": Prior()})
    with pytest.raises(ValueError, match="No trial is selected"):
        log_density(problem, trial_mask=np.zeros(1, bool))
    with pytest.raises(ValueError, match="'bowl', which is not a negative log-likelihood"):
        log_density(FitProblem(small_data, "cmr", BowlGenerator))
    with pytest.raises(ValueError, match="sd of a prior must be positive"):
        Prior(0.0, 0.0)
