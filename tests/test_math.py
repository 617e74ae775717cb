"""Shared formulas, against hand-worked numbers, and finite at their edges."""

import jax
import jax.numpy as jnp
import numpy as np
from conftest import quick_jit

from jaxcmr.math import (
    FLOOR,
    exponential_stop,
    primacy_gradient,
    safe_log,
    safe_sqrt,
    scaled_power,
    unit_length,
)


def test_floor_is_float32s_epsilon():
    assert FLOOR == 2.0**-23


def test_unit_length():
    """(3, 4) has length 5; zero stays zero."""
    np.testing.assert_allclose(unit_length(jnp.array([3.0, 4.0])), [0.6, 0.8])
    np.testing.assert_array_equal(unit_length(jnp.zeros(3)), np.zeros(3))


def test_scaled_power():
    """(1, 4, 2) by its largest is (1/4, 1, 1/2); squared (1/16, 1, 1/4). Zero stays zero."""
    powered = scaled_power(jnp.array([1.0, 4.0, 2.0, 0.0]), jnp.array(2.0))
    np.testing.assert_allclose(powered, [1 / 16, 1, 1 / 4, 0], rtol=1e-6)


def test_scaled_power_of_tiny_numbers():
    """1e-25 is a tenth of 1e-24, in single precision too."""
    powered = scaled_power(jnp.array([1e-25, 1e-24]), jnp.array(1.0))
    np.testing.assert_allclose(powered, [0.1, 1], rtol=1e-4)


def test_weights_of_a_power():
    """(1, 4, 2) squared, with weights 1, 1/8 and 1/2, are 1, 2 and 2: by the largest 1/2, 1, 1.
    With weight 0 the second is out, and the first, 1 of 2, is a half."""
    x, weights = jnp.array([1.0, 4.0, 2.0]), np.array([1, 1 / 8, 1 / 2])
    powered = scaled_power(x, jnp.array(2.0), jnp.log(weights))
    np.testing.assert_allclose(powered, [0.5, 1, 1], rtol=1e-6)
    powered = scaled_power(x, jnp.array(2.0), jnp.array([0, -jnp.inf, np.log(0.5)]))
    np.testing.assert_allclose(powered, [0.5, 0, 1], rtol=1e-6)
    np.testing.assert_array_equal(scaled_power(x, jnp.array(2.0), jnp.full(3, -jnp.inf)), [0] * 3)


def test_nans_propagate():
    """Taken for zero support, a broken model would be one that chooses by chance."""
    for weights in (None, jnp.zeros(2)):
        assert np.isnan(scaled_power(jnp.array([jnp.nan, 1.0]), jnp.array(2.0), weights)).any()


def test_scaled_power_does_not_overflow():
    """The raw powers would be 1e1000 and 1e3000."""
    powered = scaled_power(jnp.array([1e10, 1e30]), jnp.array(100.0))
    assert powered.tolist() == [0.0, 1.0]


def test_primacy_gradient():
    """2 exp(-0.5 x 4) + 1"""
    value = primacy_gradient(4, jnp.array(2.0), jnp.array(0.5))
    np.testing.assert_allclose(value, 2 * np.exp(-2) + 1, rtol=1e-6)


def test_exponential_stop():
    """0.1 exp(0.5 x 2); and a growth that overflows float32 (exp 160) is still just large."""
    value = exponential_stop(2, jnp.array(0.1), jnp.array(0.5))
    np.testing.assert_allclose(value, 0.1 * np.exp(1), rtol=1e-6)
    assert 1 < exponential_stop(16, jnp.array(2.2e-16), jnp.array(10.0)) < np.inf


EDGES = {
    "safe_sqrt": (safe_sqrt, 0.0),
    "safe_log": (lambda x: safe_log(x, x > 0), 0.0),
    "unit_length": (lambda x: unit_length(jnp.stack([x, 0 * x])).sum(), 0.0),
    "power of zero": (
        lambda x: scaled_power(jnp.stack([x, jnp.ones(())]), jnp.array(0.5)).sum(),
        0.0,
    ),
    "power of tiny": (
        lambda x: scaled_power(jnp.stack([x, 0 * x]), jnp.array(100.0)).sum(),
        1e-37,
    ),
    "tiny exponent": (lambda x: scaled_power(jnp.ones(2) * 1e-30, x).sum(), 1e-16),
    "exponential_stop": (lambda x: exponential_stop(16, jnp.array(0.5), x), 10.0),
}


def test_gradients_are_finite_at_the_edge(x64):
    """JAX differentiates the side of a `where` that is not taken, too: one NaN there is enough."""

    @quick_jit
    def at_edges(edges):
        return [jax.value_and_grad(func)(edges[name]) for name, (func, _) in EDGES.items()]

    edges = {name: jnp.asarray(edge) for name, (_, edge) in EDGES.items()}
    for name, (value, slope) in zip(EDGES, at_edges(edges), strict=True):
        assert np.isfinite(value) and np.isfinite(slope), name
