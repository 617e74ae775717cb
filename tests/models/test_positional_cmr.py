"""Positional CMR: plain CMR without repetitions; with them NumPy, event by event."""

from itertools import permutations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit
from model_examples import PARAMETERS
from numpy_cmr import EPS, drift

from jaxcmr.components.semantic_cue import SemanticCueMaker
from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.models import cmr
from jaxcmr.models.positional_cmr import (
    OUT_LIST_BOUNDS,
    USUAL_BOUNDS,
    make_factory,
    make_out_list_factory,
)
from jaxcmr.models.semantic_cmr import make_factory as make_semantic_factory
from jaxcmr.simulation import simulate_dataset

OUT_LIST = {"out_list_rate": 0.4}


def nll(factory, data, parameters, features=None):
    """Of each event, played forward in double precision."""
    with jax.enable_x64(True):
        generator = MemorySearchLikelihoodFnGenerator(factory, data, features)
        return np.asarray(generator.nll_per_event(np.arange(len(data["recalls"])), parameters))


def lists(items, rows):
    """Trials that study `items` and recall the study positions `rows`."""
    recalls = np.zeros((len(rows), len(items)), int)
    for trial, row in enumerate(rows):
        recalls[trial, : len(row)] = row
    return {
        "subject": np.ones((len(rows), 1), int),
        "listLength": np.full((len(rows), 1), len(items)),
        "pres_itemnos": np.tile(items, (len(rows), 1)),
        "recalls": recalls,
    }


@pytest.mark.parametrize("make", [make_factory, make_out_list_factory])
@pytest.mark.parametrize("parts", [{}, {"learn_after_context_update": False}])
def test_without_repetitions_it_is_plain_cmr(make, parts, small_data):
    """Event by event over whole trials, items numbered in any order, with padding before, between
    and after them. Out-of-list context makes no difference there."""
    rng = np.random.default_rng(0)
    items = np.array([rng.permutation(6) + 1 for _ in range(20)])
    data = {**small_data, "pres_itemnos": items}
    plain = nll(cmr.make_factory(**parts), data, PARAMETERS)
    ours = nll(make(**parts), data, {**PARAMETERS, **OUT_LIST})
    np.testing.assert_allclose(ours, plain, rtol=1e-12)
    padded = lists([0, 4, 0, 2, 5, 0], [(4, 2), (5, 4, 2), (2,)])
    plain = nll(cmr.make_factory(**parts), padded, PARAMETERS)
    ours = nll(make(**parts), padded, {**PARAMETERS, **OUT_LIST})
    np.testing.assert_allclose(ours, plain, rtol=1e-12)


def test_whole_trials_at_once_only_without_repetitions(small_data):
    """Then they are plain CMR's; with repetitions there is no closed form."""
    assert make_factory()(small_data).replay(small_data) is not None
    repeats = lists([1, 2, 1], [(2,)])
    assert make_factory()(repeats).replay(repeats) is None
    assert make_out_list_factory()(small_data).replay(small_data) is None


@pytest.mark.parametrize("items", [[1, 2, 1], [1, 1, 1], [3, 3, 2]])
@pytest.mark.parametrize("make", [make_factory, make_out_list_factory])
def test_all_recalls_of_a_list_sum_to_one(make, items):
    """Over every order of every subset of its different items."""
    first = [items.index(item) + 1 for item in sorted(set(items))]
    rows = [order for n in range(len(first) + 1) for order in permutations(first, n)]
    events = nll(make(), lists(items, rows), {**PARAMETERS, **OUT_LIST})
    np.testing.assert_allclose(np.exp(-events.sum(1)).sum(), 1, rtol=1e-12)


def numpy_trial(p, items, recalls, out_list_rate=0.0):
    """Probability of each recalled item of `recalls`. Rows are study positions."""
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
    data = lists(items, [(4, 3, 2, 5)])
    recalled = (4, 2, 1, 3)
    ours = np.exp(-nll(make_factory(), data, PARAMETERS))[0, :4]
    np.testing.assert_allclose(ours, numpy_trial(PARAMETERS, items, recalled), rtol=1e-9)
    out_list = np.exp(-nll(make_out_list_factory(), data, {**PARAMETERS, **OUT_LIST}))[0, :4]
    expected = numpy_trial(PARAMETERS, items, recalled, 0.4)
    np.testing.assert_allclose(out_list, expected, rtol=1e-9)
    assert np.abs(expected - ours).max() > 0.005
    at_zero = nll(make_out_list_factory(), data, {**PARAMETERS, "out_list_rate": 0.0})
    np.testing.assert_allclose(np.exp(-at_zero)[0, :4], ours, rtol=1e-12)


def test_a_repetition_out_of_the_list_by_hand():
    """An item studied twice, encoding drift 0.6, half out of the list: context is first (0.8, 0.6)
    in start and unit 1; then 0.8 of that, with 0.6 x 0.707 each in unit 2 and its fresh unit 4."""
    p = {**PARAMETERS, "encoding_drift_rate": 0.6, "out_list_rate": 0.5}
    model = make_out_list_factory()(lists([1, 1], [(1,)])).create_trial_model(jnp.array(0), p)
    first = model.experience(jnp.array(1))
    np.testing.assert_allclose(first.events.context.state, [0.8, 0.6, 0, 0, 0], rtol=1e-6)
    second = first.experience(jnp.array(1)).events.context.state
    half = 0.6 * np.sqrt(0.5)
    np.testing.assert_allclose(second, [0.64, 0.48, half, 0, half], rtol=1e-6)


def test_cues_see_study_events(small_data):
    """Semantic similarity goes with any list: without repetitions it is semantic CMR."""
    features = np.random.default_rng(3).random((6, 3))
    rng = np.random.default_rng(4)
    items = np.array([rng.permutation(6) + 1 for _ in range(20)])
    data = {**small_data, "pres_itemnos": items, "pres_itemids": items}
    p = {**PARAMETERS, "semantic_scale": 1.5}
    ours = nll(make_factory(cues=(SemanticCueMaker(),)), data, p, features)
    np.testing.assert_allclose(ours, nll(make_semantic_factory(), data, p, features), rtol=1e-12)


@pytest.mark.slow  # the tests that walk the catalogue do the like
def test_gradients_are_finite_and_right(x64):
    """At random places, a third of their coordinates on a bound; inside, in double precision, they
    equal finite differences: catches a weight whose slope is lost."""
    names = list(OUT_LIST_BOUNDS)
    data = lists([2, 1, 2, 4, 1], [(4, 3, 2), (2, 1, 4), (1,), (3, 4)])
    generator = MemorySearchLikelihoodFnGenerator(make_out_list_factory(), data)
    loss = generator(np.arange(4), {}, names)
    low, high = np.array(list(OUT_LIST_BOUNDS.values())).T
    rng = np.random.default_rng(2)
    unit = rng.random((16, len(names)))
    edge = rng.random(unit.shape)
    unit = np.where(edge < 1 / 6, 0.0, np.where(edge > 5 / 6, 1.0, unit))
    inside = np.array([[{**PARAMETERS, **OUT_LIST}[name] for name in names]])
    step = 1e-6 * np.eye(len(names))
    x = np.concatenate([low + unit * (high - low), inside, inside + step, inside - step])
    values, slopes = quick_jit(jax.vmap(jax.value_and_grad(loss)))(jnp.asarray(x))
    assert np.all(np.isfinite(values)) and np.all(np.isfinite(slopes))
    if x64:
        above, below = values[17:].reshape(2, -1)
        np.testing.assert_allclose(slopes[16], (above - below) / 2e-6, rtol=1e-5, atol=1e-6)


def test_simulated_recalls_repeat_no_item():
    """And give a repeated item's first position."""
    data = lists([2, 1, 2, 4, 1], [()] * 50)
    recalls = simulate_dataset(make_factory(), data, PARAMETERS)["recalls"]
    assert set(np.unique(recalls)) == {0, 1, 2, 4}
    assert all(len(set(row[row > 0])) == np.sum(row > 0) for row in recalls)


def test_parameters_errors_and_factories():
    """The usual bounds cover what is read; the same arguments give the same factory; item numbers
    that have no outcome are refused."""
    data = lists([1, 1, 2], [(1,)])
    assert set(make_factory()(data).parameter_names) == set(USUAL_BOUNDS)
    assert set(make_out_list_factory()(data).parameter_names) == set(OUT_LIST_BOUNDS)
    assert make_factory() is make_factory() and make_out_list_factory() is make_out_list_factory()
    with pytest.raises(ValueError, match=r"longest list has 3 items.* up to 7"):
        make_factory()(lists([1, 7, 2], [(1,)]))
    assert len(make_factory()(data).create_trial_model(0, PARAMETERS).outcome_probabilities()) == 4
