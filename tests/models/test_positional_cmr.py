"""Positional CMR: plain CMR without repetitions; with them NumPy, event by event."""

from itertools import permutations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit
from forward import as_floats, likelihoods, one_list, play
from model_examples import PARAMETERS, random_parameters
from numpy_cmr import EPS, drift

from jaxcmr.components.semantic_cue import SemanticCueMaker
from jaxcmr.models import cmr
from jaxcmr.models.positional_cmr import make_factory, make_out_list_factory
from jaxcmr.models.semantic_cmr import make_factory as make_semantic_factory
from jaxcmr.simulation import simulate_dataset

OUT_LIST = {"out_list_rate": 0.4}


@pytest.fixture(scope="module")
def different(small_data):
    """Six-item lists without repetitions, items numbered in any order; then three with padding."""
    rng = np.random.default_rng(0)
    items = np.array([rng.permutation(6) + 1 for _ in range(20)])
    data = {**small_data, "pres_itemnos": items}
    padded = one_list([0, 4, 0, 2, 5, 0], [(4, 2), (5, 4, 2), (2,)])
    return {field: np.concatenate([data[field], padded[field]]) for field in padded}


@pytest.mark.parametrize("make", [make_factory, make_out_list_factory])
@pytest.mark.parametrize("parts", [{}, {"learn_after_context_update": False}])
def test_without_repetitions_it_is_plain_cmr(make, parts, different):
    """Event by event over whole trials, with padding before, between and after items. Out-of-list
    context makes no difference there."""
    plain = likelihoods(cmr.make_factory(**parts), different, PARAMETERS)
    ours = likelihoods(make(**parts), different, {**PARAMETERS, **OUT_LIST})
    np.testing.assert_allclose(ours, plain, rtol=1e-12)


def test_only_lists_without_repetitions_have_a_closed_form(small_data):
    """Then it is that of plain CMR."""
    assert make_factory()(small_data).replay(small_data) is not None
    repeats = one_list([1, 2, 1], [(2,)])
    assert make_factory()(repeats).replay(repeats) is None
    assert make_out_list_factory()(small_data).replay(small_data) is None


@pytest.mark.parametrize("items", [[1, 2, 1], [1, 1, 1], [3, 3, 2]])
@pytest.mark.parametrize("make", [make_factory, make_out_list_factory])
def test_all_recalls_of_a_list_sum_to_one(make, items):
    """Over every order of every subset of its different items."""
    first = [items.index(item) + 1 for item in sorted(set(items))]
    rows = [order for n in range(len(first) + 1) for order in permutations(first, n)]
    events = likelihoods(make(), one_list(items, rows), {**PARAMETERS, **OUT_LIST})
    np.testing.assert_allclose(events.prod(1).sum(), 1, rtol=1e-12)


def numpy_trial(p, items, recalls, out_list_rate=0.0):
    """Return the probability of each item of `recalls`. Rows of matrices are study positions."""
    n = len(items)
    context = np.eye(2 * n + 1)[0]
    mfc = np.zeros((n, 2 * n + 1))
    mcf = np.zeros((2 * n + 1, n))
    mcf[1 : n + 1] = p["shared_support"]
    for i in range(n):
        mfc[i, i + 1] = 1 - p["learning_rate"]
        mcf[i + 1, i] = p["item_support"]
    for i in range(n):
        put_in = np.eye(2 * n + 1)[i + 1]
        if items[i] in items[:i]:
            put_in = (1 - out_list_rate) * put_in + out_list_rate * np.eye(2 * n + 1)[n + i + 1]
        context = drift(context, put_in, p["encoding_drift_rate"])
        mfc[i] += p["learning_rate"] * context
        mcf[:, i] += (p["primacy_scale"] * np.exp(-p["primacy_decay"] * i) + 1) * context
    context = drift(context, np.eye(2 * n + 1)[0], p["start_drift_rate"])
    left, found = list(range(n)), []
    for j, recall in enumerate(recalls):
        stop = p["stop_probability_scale"] * np.exp(p["stop_probability_growth"] * j)
        support = (context @ mcf)[left]
        strength = (support / support.max()) ** p["choice_sensitivity"] + EPS
        share = dict(zip(left, (1 - stop) * strength / strength.sum(), strict=True))
        its = [i for i in left if items[i] == recall]
        found.append(sum(share[i] for i in its))
        context = drift(context, sum(share[i] * mfc[i] for i in its), p["recall_drift_rate"])
        left = [i for i in left if i not in its]
    return np.array(found)


def test_a_trial_with_repetitions_equals_numpy():
    """Item 2, studied at positions 1, 3 and 6, is recalled second. Catches one of its events left
    recallable, a mean that is not weighted, and a repetition that uses an earlier event's unit."""
    items = [2, 1, 2, 4, 3, 2]
    data = one_list(items, [(4, 3, 2, 5)])
    recalled = (4, 2, 1, 3)
    ours = likelihoods(make_factory(), data, PARAMETERS)[0, :4]
    np.testing.assert_allclose(ours, numpy_trial(PARAMETERS, items, recalled), rtol=1e-9)
    out_list = likelihoods(make_out_list_factory(), data, {**PARAMETERS, **OUT_LIST})[0, :4]
    expected = numpy_trial(PARAMETERS, items, recalled, 0.4)
    np.testing.assert_allclose(out_list, expected, rtol=1e-9)
    assert np.abs(expected - ours).max() > 0.005
    at_zero = likelihoods(make_out_list_factory(), data, {**PARAMETERS, "out_list_rate": 0.0})
    np.testing.assert_allclose(at_zero[0, :4], ours, rtol=1e-12)


@quick_jit
def contexts_after_each_study_event(factory, items, parameters):
    model, states = factory.create_trial_model(0, parameters), []
    for item in items:
        model = model.experience(item)
        states.append(model.events.context.state)
    return states


def test_a_repetition_out_of_the_list_by_hand():
    """An item studied twice, encoding drift 0.6, half out of the list: context is first (0.8, 0.6)
    in start and unit 1; then 0.8 of that, with 0.6 x 0.707 each in unit 2 and its fresh unit 4."""
    p = {**PARAMETERS, "encoding_drift_rate": 0.6, "out_list_rate": 0.5}
    factory = make_out_list_factory()(one_list([1, 1], [(1,)]))
    first, second = contexts_after_each_study_event(factory, jnp.array([1, 1]), p)
    np.testing.assert_allclose(first, [0.8, 0.6, 0, 0, 0], rtol=1e-6)
    half = 0.6 * np.sqrt(0.5)
    np.testing.assert_allclose(second, [0.64, 0.48, half, 0, half], rtol=1e-6)


def test_cues_see_study_events(small_data):
    """Semantic similarity goes with any list: without repetitions it is semantic CMR."""
    features = np.random.default_rng(3).random((6, 3))
    rng = np.random.default_rng(4)
    items = np.array([rng.permutation(6) + 1 for _ in range(20)])
    data = {**small_data, "pres_itemnos": items, "pres_itemids": items}
    p = {**PARAMETERS, "semantic_scale": 1.5}
    ours = likelihoods(make_factory(cues=(SemanticCueMaker(),)), data, p, features)
    expected = likelihoods(make_semantic_factory(), data, p, features)
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


@quick_jit
def slopes_of_sets(factory, choices, parameters):
    """Return the log-likelihood of `choices` in a list with repetitions, and its gradient."""

    def log_likelihood(parameters):
        rows = play(factory, 0, jnp.array([2, 1, 2, 4, 1]), choices, parameters)
        return jnp.sum(jnp.log(jnp.take_along_axis(rows, choices[:, None], axis=1)))

    return jax.vmap(jax.value_and_grad(log_likelihood))(parameters)


@pytest.mark.parametrize("x64", [pytest.param(False, marks=pytest.mark.full), True], indirect=True)
def test_gradients_are_finite_and_right_with_repetitions(x64):
    """At random parameters, edges of the bounds included; inside, in double precision, they equal
    finite differences: catches a weight whose gradient is lost."""
    data = one_list([2, 1, 2, 4, 1], [(4, 3, 2)])
    factory, choices = make_out_list_factory()(data), jnp.array([4, 2, 1, 0])
    inside = {**PARAMETERS, **OUT_LIST}
    random = random_parameters("out_list_cmr", 16, seed=2)
    step = {name: 1e-6 * row for name, row in zip(random, np.eye(len(random)), strict=True)}
    sets = {
        name: np.concatenate([random[name], [value], value + step[name], value - step[name]])
        for name, value in ((name, inside[name]) for name in random)
    }
    values, slopes = slopes_of_sets(factory, choices, as_floats(sets))
    assert np.all(np.isfinite(values))
    assert all(np.all(np.isfinite(slope)) for slope in slopes.values())
    assert np.any(slopes["out_list_rate"] != 0)
    if x64:
        above, below = np.asarray(values)[17:].reshape(2, -1)
        found = [slopes[name][16] for name in random]
        np.testing.assert_allclose(found, (above - below) / 2e-6, rtol=1e-5, atol=1e-6)


@pytest.mark.full
def test_simulated_recalls_repeat_no_item():
    """And give a repeated item's first position."""
    data = one_list([2, 1, 2, 4, 1], [()] * 50)
    recalls = simulate_dataset(make_factory(), data, PARAMETERS)["recalls"]
    assert set(np.unique(recalls)) == {0, 1, 2, 4}
    assert all(len(set(row[row > 0])) == np.sum(row > 0) for row in recalls)


def test_the_same_arguments_give_the_same_factory():
    assert make_factory() is make_factory() and make_out_list_factory() is make_out_list_factory()


def test_item_numbers_without_an_outcome_are_errors():
    with pytest.raises(ValueError, match=r"longest list has 3 items.* up to 7"):
        make_factory()(one_list([1, 7, 2], [(1,)]))
