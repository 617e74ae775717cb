"""Laplace's approximation, against numbers worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcmr.bayes import laplace


def test_bernoulli_evidence_on_two_scales():
    """8 of 10 under a uniform prior: -6.2345483 in logits, -6.1526690 in probabilities.

    The truth is -6.2045578: the answer depends on the scale.
    """

    def in_probabilities(p):
        return 8 * jnp.log(p[0]) + 2 * jnp.log1p(-p[0])

    def in_logits(y):
        p = jax.nn.sigmoid(y)
        return in_probabilities(p) + jnp.log(p[0] * (1 - p[0]))  # the Jacobian dp/dy

    found = laplace(in_logits, [0.0])
    assert found.log_evidence == pytest.approx(-6.2345483, abs=5e-8)
    assert found.mode[0] == pytest.approx(np.log(9 / 3))
    assert found.covariance[0, 0] == pytest.approx(1 / (12 * 0.75 * 0.25))
    assert laplace(in_probabilities, [0.5]).log_evidence == pytest.approx(-6.1526690, abs=5e-8)


def test_a_normal_density_is_integrated_exactly():
    H = np.array([[2.0, 0.5], [0.5, 1.0]])
    found = laplace(lambda z: -(z - 1) @ H @ (z - 1) / 2, [5.0, -3.0])
    np.testing.assert_allclose(found.mode, [1.0, 1.0])
    np.testing.assert_allclose(found.covariance, np.linalg.inv(H))
    assert found.log_evidence == pytest.approx(np.log(2 * np.pi / np.sqrt(np.linalg.det(H))))
    assert found.at_rest


def test_a_saddle_has_no_evidence():
    """A Hessian that is not positive definite is told by NaN, not made positive."""
    found = laplace(lambda z: -((z[0] ** 2 - 1) ** 2), [0.0])
    assert np.isnan(found.log_evidence) and np.isnan(found.covariance).all()
    assert found.hessian[0, 0] == pytest.approx(-4.0)
