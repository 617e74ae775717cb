"""The scales on which parameters are searched."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcmr.fitting._search_space import SearchSpace, choose_scales
from jaxcmr.optimize import Box

BOUNDS = {"wide": [1e-16, 100.0], "from_zero": [0.0, 1.0], "narrow": [0.5, 20.0], "signed": [-5, 5]}


MODEL = {"wide": "log", "from_zero": "log", "signed": "log", "absent": "log"}


def space(scale="auto"):
    return SearchSpace.of(BOUNDS, choose_scales(scale, BOUNDS, MODEL))


def test_auto_takes_what_the_model_names():
    """But no logarithm of negative numbers."""
    assert choose_scales("auto", BOUNDS, MODEL) == {
        "wide": "log",
        "from_zero": "log",
        "narrow": "linear",
        "signed": "linear",
    }
    assert set(choose_scales("auto", BOUNDS, {}).values()) == {"linear"}
    assert choose_scales({"wide": "linear", "narrow": "log"}, BOUNDS, MODEL) == {
        "wide": "linear",
        "from_zero": "log",
        "narrow": "log",
        "signed": "linear",
    }


def test_runs_alternate():
    """Over four decades in the first run, two in the second; what may be negative stays linear."""
    for run, word in enumerate(["log", "half-log", "log"]):
        scales = choose_scales("alternate", BOUNDS, MODEL, run)
        assert scales == {**dict.fromkeys(BOUNDS, word), "signed": "linear"}


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        ("logarithmic", "must be one of linear, half-log, log, auto, alternate"),
        ({"wyde": "log"}, "Did you mean 'wide'"),
    ],
)
def test_what_is_no_scale_is_refused(scale, message):
    with pytest.raises(ValueError, match=message):
        choose_scales(scale, BOUNDS, MODEL)


def test_ends_meet_ends_exactly(x64):
    """A search that ends on a bound gives the bound; parameters never leave their bounds."""
    box = Box.from_bounds(list(BOUNDS.values()))  # what of the bounds this precision can hold
    expected = np.array([box.lower, box.upper])
    np.testing.assert_array_equal(space().to_user(jnp.zeros(4)), expected[0])
    np.testing.assert_array_equal(space().to_user(jnp.ones(4)), expected[1])


def test_equal_steps_are_equal_ratios():
    """Above a ten-thousandth of the range, here at 10, 1 and 0.1 of 100: quarters of the scale."""
    with jax.enable_x64(True):
        z = np.array([[0.75, 0.5, 0.25]] + [[0.3] * 3] * 3)
        found = np.asarray(space().to_user(jnp.asarray(z)))
    np.testing.assert_allclose(found[0], [10, 1, 0.1], rtol=0.12)
    np.testing.assert_allclose(found[0], 100 * (10 ** (4 * z[0]) - 1) / (10**4 - 1), rtol=1e-9)
    np.testing.assert_allclose(found[2:, 0], [0.5 + 0.3 * 19.5, -5 + 0.3 * 10])


def test_half_a_log_spans_half_the_decades():
    """Above a hundredth of the range, here at 10 of 100: the middle of the scale."""
    with jax.enable_x64(True):
        found = np.asarray(space("half-log").to_user(jnp.full(4, 0.5)))
    np.testing.assert_allclose(found[0], 100 * 9 / 99, rtol=1e-9)
    assert found[3] == 0.0  # the middle of -5 to 5: may be negative, so linear


@pytest.mark.parametrize("scale", ["linear", "log", "half-log"])
def test_places_of_parameters(scale):
    """The way there and back, on every scale; what is out of bounds goes to the nearest one."""
    with jax.enable_x64(True):
        z = np.random.default_rng(1).random(4)
        np.testing.assert_allclose(space(scale).to_unit(space(scale).to_user(jnp.asarray(z))), z)
    assert space(scale).to_unit([-1.0, 2.0, 0.0, 9.0]).tolist() == [0.0, 1.0, 0.0, 1.0]


def test_the_loss_is_that_of_the_parameters(x64):
    """A place in the cube costs what its parameters cost, one or many."""

    def loss(x):
        return (x**2).sum(0)

    z = jnp.asarray(np.random.default_rng(0).random((4, 5)))
    found = space().loss(loss)(z)
    np.testing.assert_allclose(found, loss(space().to_user(z)))
    np.testing.assert_allclose(space().loss(loss)(z[:, 0]), found[0], rtol=1e-6)
    assert not space().loss(type("Flat", (), {"has_slope": False})()).has_slope


@pytest.mark.parametrize("scale", ["linear", "log", "half-log"])
def test_a_place_keeps_what_is_below_an_upper_bound_below_it(scale):
    """In single precision, where 1 - 1e-8 would be 1: a start next to a learning rate of 1 is not
    one at 1, which is another model. The bound itself keeps its place."""
    interval = SearchSpace.of({"learning_rate": [0.0, 1.0]}, {"learning_rate": scale})
    for x in (1 - 2.0**-24, 1 - 1e-9):
        place = jnp.asarray(interval.to_unit([x]), jnp.float32)
        assert 0.999999 < interval.to_user(place)[0] < 1
    assert interval.to_unit([1.0]) == 1 and interval.to_user(jnp.ones(1)) == 1


@pytest.mark.parametrize("scale", ["linear", "log", "half-log"])
def test_an_upper_bound_has_a_slope(scale):
    """That of its side: a search that begins there can leave. Catches a bound that is returned as a
    constant."""
    with jax.enable_x64(True):
        slope = jax.jacfwd(space(scale).to_user)(jnp.ones(4))
        nearby = (
            space(scale).to_user(jnp.ones(4)) - space(scale).to_user(jnp.full(4, 1 - 1e-5))
        ) / 1e-5
    np.testing.assert_allclose(np.diagonal(slope), nearby, rtol=1e-3)


@pytest.mark.parametrize(("high", "place"), [(1 - 2.2e-16, 1.0), (1.0, 1 - 1e-12)])
def test_estimates_stay_inside_in_single_precision(high, place):
    """Where fits of CMR end just below a learning rate of 1, simulations in float32 would take it
    for 1, which is another model: no item then moves the context of study. The polish works in
    double precision, and its estimates must not mean something else to what comes after."""
    bounds = {"learning_rate": [0.0, high]}
    space = SearchSpace.of(bounds, {"learning_rate": "linear"})
    with jax.enable_x64(True):
        estimate = space.to_user(jnp.full(1, place))
        assert estimate.dtype == np.float64
    assert 0.999999 < np.float32(estimate[0]) < 1
