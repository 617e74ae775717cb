"""The serial-position-curve loss: a function, with the right value."""

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit, stop_with

from jaxcmr.analyses import serial_position_curve
from jaxcmr.loss import MemorySearchSpcMseFnGenerator
from jaxcmr.models import MODELS
from jaxcmr.models.cmr import make_factory
from jaxcmr.simulation import simulate_dataset

evaluate = quick_jit(lambda loss, x: loss(x))
simulated_curve = quick_jit(lambda loss, x: loss.simulated_summary(x))
NOTHING = jnp.zeros(0)


def make_loss(data, trials, parameters, names=(), factory=None, **options):
    generator = MemorySearchSpcMseFnGenerator(factory or MODELS["cmr"], data, None, **options)
    return generator(np.asarray(trials), parameters, names)


def test_the_same_parameters_give_the_same_value(small_data, parameters):
    """The simulation's draws are fixed; another seed is another draw."""
    first, again = (make_loss(small_data, range(20), parameters) for _ in range(2))
    other = make_loss(small_data, range(20), parameters, seed=1)
    assert evaluate(first, NOTHING) == evaluate(again, NOTHING) != evaluate(other, NOTHING)


def test_observed_curve_is_the_analysis(peers, parameters):
    """For one subject's trials, that of `serial_position_curve`."""
    loss = make_loss(peers, range(28), parameters)
    curve = serial_position_curve(peers["recalls"][:28], peers["listLength"][:28])
    np.testing.assert_allclose(loss.observed, curve, rtol=1e-6)


@pytest.mark.full
def test_simulated_curve_is_that_of_the_simulator(small_data, parameters):
    """With full recalls nothing is cut off, so the loss's curve and that of `simulate_dataset`
    estimate the same probabilities: within 4 standard errors."""
    data = {**small_data, "recalls": np.tile(np.arange(1, 7), (20, 1))}
    loss = make_loss(data, range(20), parameters, n_simulations=256)
    simulated = simulate_dataset(MODELS["cmr"], data, parameters, n_copies=256, seed=9)
    curve = serial_position_curve(simulated["recalls"], simulated["listLength"])
    error = np.sqrt(np.asarray(curve * (1 - curve)) * 2 / 5120)
    assert np.all(np.abs(simulated_curve(loss, NOTHING) - curve) < 4 * error)


def test_simulations_are_cut_off_at_the_observed_number_of_recalls(small_data, parameters):
    """With a model that never stops and data of two recalls per list, probabilities add up to 2."""
    never_stop = make_factory(termination=stop_with(0.0))
    data = {**small_data, "recalls": np.tile([1, 2, 0, 0, 0, 0], (20, 1))}
    loss = make_loss(data, range(20), parameters, factory=never_stop)
    np.testing.assert_allclose(simulated_curve(loss, NOTHING).sum(), 2, rtol=1e-6)
    given = MemorySearchSpcMseFnGenerator(never_stop, data).count_given_recalls(np.array([0, -1]))
    assert given.tolist() == [2, 0]


def test_value_by_hand(parameters):
    """One item, recalled in one trial of two. A model that never stops recalls it where the
    simulation is not cut off, in that trial: (1/2 - 1/2)^2 = 0. One that stops at once never does:
    (0 - 1/2)^2 = 1/4."""
    data = {
        "subject": np.zeros((2, 1), int),
        "listLength": np.ones((2, 1), int),
        "pres_itemnos": np.ones((2, 1), int),
        "recalls": np.array([[1], [0]]),
    }
    for stop, expected in ((0.0, 0.0), (1.0, 0.25)):
        factory = make_factory(termination=stop_with(stop))
        loss = make_loss(data, [0, 1], parameters, factory=factory)
        np.testing.assert_allclose(evaluate(loss, NOTHING), expected, atol=1e-7)


def test_positions_that_no_list_has_do_not_count(parameters):
    """Short lists among long ones: the mean is over the positions that were studied."""
    data = {
        "subject": np.zeros((2, 1), int),
        "listLength": np.array([[2], [4]]),
        "pres_itemnos": np.array([[1, 2, 0, 0], [1, 2, 3, 4]]),
        "recalls": np.array([[1, 2, 0, 0], [1, 2, 3, 4]]),
    }
    stop = make_factory(termination=stop_with(1.0))
    for trials in ([0, -1], [-1, 1], [0, 1]):
        loss = make_loss(data, trials, parameters, factory=stop)
        np.testing.assert_allclose(evaluate(loss, NOTHING), 1.0, rtol=1e-6)


def test_either_position_of_a_repeated_item_will_do():
    """Recalls of the second position are coded like the simulated ones, by the first."""
    data = {
        "subject": np.ones((2, 1), int),
        "listLength": np.full((2, 1), 6),
        "pres_itemnos": np.tile([1, 2, 3, 1, 4, 2], (2, 1)),
        "recalls": np.array([[4, 5, 6, 0, 0, 0], [6, 3, 4, 0, 0, 0]]),
    }
    generator = MemorySearchSpcMseFnGenerator("cmr", data)
    assert generator.recalls[:, :3].tolist() == [[1, 5, 2], [2, 3, 1]]


def test_every_trial_has_draws_of_its_own(small_data, parameters):
    """Two trials alike in all but their row are simulated differently."""
    data = {**small_data, "recalls": np.tile(np.arange(1, 7), (20, 1))}
    losses = [make_loss(data, [trial], parameters) for trial in (0, 1)]
    one, two = (simulated_curve(loss, NOTHING).tolist() for loss in losses)
    assert one != two
