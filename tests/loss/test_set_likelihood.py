"""The set likelihood: a probability, the same for every order of recall."""

from itertools import combinations, permutations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit
from forward import play_one

from jaxcmr.loss import MemorySearchSetLikelihoodFnGenerator
from jaxcmr.models import MODELS, positional_cmr, usual_bounds
from jaxcmr.models.cmr import make_factory

evaluate = quick_jit(lambda loss, x: loss(x))


def dataset(recalls, items):
    n_trials = len(recalls)
    return {
        "subject": np.zeros((n_trials, 1), int),
        "listLength": np.full((n_trials, 1), len(items)),
        "pres_itemnos": np.tile(items, (n_trials, 1)),
        "recalls": np.asarray(recalls),
    }


def probabilities(data, parameters, **options):
    """Return P(set) of every trial."""
    generator = MemorySearchSetLikelihoodFnGenerator("cmr", data, **options)
    log_p = generator.pointwise_log_likelihood(np.arange(len(data["recalls"])), parameters)
    assert log_p.shape == (len(data["recalls"]), 1)
    return np.exp(log_p[:, 0])


def by_brute_force(items, positions, parameters, then_stops):
    """Return the sum over all orders, each a product of the outcome probabilities."""
    factory = MODELS["cmr"](dataset([[0] * len(items)], items))
    total = 0.0
    for order in permutations(positions):
        choices = [items[position - 1] for position in order] + [0] * (5 - len(order))
        played = play_one(factory, 0, items, choices, parameters)
        n_events = len(order) + then_stops
        total += np.prod([played[event, choices[event]] for event in range(n_events)])
    return total


@pytest.mark.parametrize(
    "n_outputs",
    [4, pytest.param(5, marks=pytest.mark.full), pytest.param(7, marks=pytest.mark.full)],
)
def test_probabilities_of_all_sets_sum_to_one(parameters, n_outputs):
    """All sets that can be recalled of four items, in 4, 5 or 7 columns. Catches a stop scored
    twice or never, and orders counted wrongly."""
    recalls = [
        [*positions, *[0] * (n_outputs - k)]
        for k in range(5)
        for positions in combinations(range(1, 5), k)
    ]
    stops_often = {**parameters, "stop_probability_scale": 0.15}
    total = probabilities(dataset(recalls, [1, 2, 3, 4]), stops_often).sum()
    np.testing.assert_allclose(total, 1, rtol=1e-5)


def test_recalls_cut_off_at_a_fixed_number(parameters):
    """The sets of the first two recalls of a model that does not stop have probability one
    together, if stops do not count."""
    pairs = list(combinations(range(1, 5), 2))
    goes_on = {**parameters, "stop_probability_scale": 0.0}
    total = probabilities(dataset(pairs, [1, 2, 3, 4]), goes_on, events="recalls").sum()
    np.testing.assert_allclose(total, 1, rtol=1e-5)
    with pytest.raises(ValueError, match="all, recalls; got 'stops'"):
        probabilities(dataset(pairs, [1, 2, 3, 4]), goes_on, events="stops")


def test_it_is_the_sum_over_orders(parameters):
    """Against brute force, with items that are not numbered in the order of study; the order of
    the recalls is of no account. Catches positions taken for item numbers."""
    items = [3, 1, 4, 2]
    recalls = [[0, 0, 0, 0], [2, 0, 0, 0], [4, 1, 0, 0], [1, 4, 0, 0], [2, 1, 3, 0], [4, 3, 2, 1]]
    expected = [
        by_brute_force(items, [p for p in row if p > 0], parameters, then_stops=0 in row)
        for row in recalls
    ]
    np.testing.assert_allclose(
        probabilities(dataset(recalls, items), parameters), expected, rtol=1e-4
    )


def test_a_repeated_recall_counts_once(parameters):
    """It is not an impossible event; nor does a row without a free column hide the stop."""
    data = dataset([[2, 1, 2, 0], [2, 1, 0, 0], [2, 1, 2, 1]], [1, 2, 3, 4])
    repeated, once, full = probabilities(data, parameters)
    np.testing.assert_allclose([repeated, full], once, rtol=1e-6)
    expected = by_brute_force([1, 2, 3, 4], [1, 2], parameters, then_stops=True)
    np.testing.assert_allclose(once, expected, rtol=1e-4)


def test_a_given_number_of_recalls_is_that_of_different_items():
    """Repeats are left out, as a simulated recall has none."""
    data = dataset([[2, 1, 2, 0], [0, 0, 0, 0], [2, 1, 3, 4]], [1, 2, 3, 4])
    cut_off = MemorySearchSetLikelihoodFnGenerator("cmr", data, events="recalls")
    assert cut_off.count_given_recalls(np.array([0, 1, 2, -1])).tolist() == [2, 0, 4, 0]
    stopped = MemorySearchSetLikelihoodFnGenerator("cmr", data)
    assert stopped.count_given_recalls(np.arange(3)) is None


def test_a_sample_of_orders_estimates_the_probability(parameters):
    """Four items have 24 orders; estimates from 4, over 300 independent draws of them (one per
    trial), average to the exact probability within 4 standard errors, and do vary."""
    data = dataset(np.tile([1, 2, 3, 4, 0], (300, 1)), [1, 2, 3, 4, 5])
    exact = probabilities(dataset([[1, 2, 3, 4, 0]], range(1, 6)), parameters, n_orders=24)
    estimates = probabilities(data, parameters, n_orders=4)
    error = estimates.std() / np.sqrt(300)
    assert error > 0 and abs(estimates.mean() - exact[0]) < 4 * error


def test_the_draw_of_orders_is_fixed(parameters):
    """The same seed gives the same loss, another seed another; where all orders are used there is
    nothing to draw."""
    data = dataset([[1, 2, 3, 4, 5, 6], [1, 2, 3, 0, 0, 0]], range(1, 7))
    first, again, other = (probabilities(data, parameters, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert first[0] != other[0] and first[1] == other[1]


@pytest.mark.full
def test_gradient_equals_finite_differences(small_data, parameters):
    """In double precision, with sampled orders among the trials."""
    names = ("encoding_drift_rate", "item_support", "stop_probability_scale")
    with jax.enable_x64(True):
        generator = MemorySearchSetLikelihoodFnGenerator(MODELS["cmr"], small_data, n_orders=6)
        loss = generator(np.arange(20), parameters, names)
        x = jnp.asarray([parameters[name] for name in names])
        jac = quick_jit(jax.grad(lambda x: loss(x)))(x)
        for i in range(len(names)):
            step = jnp.zeros_like(x).at[i].set(1e-6)
            difference = (evaluate(loss, x + step) - evaluate(loss, x - step)) / 2e-6
            np.testing.assert_allclose(jac[i], difference, rtol=1e-5, atol=1e-6)


def test_long_recalls_stay_finite(peers):
    """Sixteen items have 2e13 orders: their number is handled as a logarithm, and probabilities
    that float32 cannot hold are added as logarithms too."""
    full = np.argsort(-(peers["recalls"] > 0).sum(1))[:4]
    data = {name: values[full] for name, values in peers.items()}
    generator = MemorySearchSetLikelihoodFnGenerator(MODELS["cmr"], data, n_orders=3)
    bounds = usual_bounds("cmr")
    worst = {name: 0.5 * (low + high) for name, (low, high) in bounds.items()}
    log_p = generator.pointwise_log_likelihood(np.arange(4), worst, precision="float32")
    assert np.all(np.isfinite(log_p)) and np.all(log_p < 0)


@pytest.mark.parametrize("make", [make_factory, positional_cmr.make_factory])
def test_a_model_that_repeats_recalls_has_no_sets(small_data, make):
    """Sets would be far less than all that it may recall: probabilities would not sum to one."""
    with pytest.raises(ValueError, match="may recall an item again"):
        MemorySearchSetLikelihoodFnGenerator(make(allow_repeated_recalls=True), small_data)


def test_no_orders_is_an_error(small_data):
    with pytest.raises(ValueError, match="n_orders must be a whole number, at least 1; got 0"):
        MemorySearchSetLikelihoodFnGenerator(MODELS["cmr"], small_data, n_orders=0)
