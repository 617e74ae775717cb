"""The sequence likelihood: right, finite, and blind to padding."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit, stop_with
from numpy_cmr import trial_nll

from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.models import MODELS, usual_bounds
from jaxcmr.models.cmr import make_factory
from jaxcmr.optimize import Box

NAMES = tuple(usual_bounds("cmr"))
BOUNDS = np.array(list(usual_bounds("cmr").values()))

evaluate = quick_jit(lambda loss, x: loss(x))
evaluate_as_users_do = eqx.filter_jit(lambda loss, x: loss(x))
slope = quick_jit(lambda loss, x: jax.value_and_grad(lambda x: loss(x))(x))
slope_as_users_do = eqx.filter_jit(lambda loss, x: jax.value_and_grad(lambda x: loss(x))(x))


def make_loss(data, trials, base=None, names=NAMES):
    generator = MemorySearchLikelihoodFnGenerator(MODELS["cmr"], data, None)
    return generator(np.asarray(trials), base or {}, names)


def candidates(n, seed=0, edges=0.0):
    """Parameter vectors inside the usual bounds, (n_params, n); some coordinates on a bound."""
    rng = np.random.default_rng(seed)
    unit = rng.random((len(NAMES), n))
    unit = np.where(rng.random(unit.shape) < edges, np.round(unit), unit)
    return Box.from_bounds(BOUNDS).to_user(jnp.asarray(unit).T).T


def test_it_agrees_with_numpy_on_real_trials(peers, x64):
    """200 random parameter sets on real lists, against the loops of `numpy_cmr`: to 1e-9 in double
    precision, 1e-4 in single."""
    trials = np.arange(0, 3528, 441)
    x = candidates(200)
    oracle = [
        sum(
            trial_nll(dict(zip(NAMES, column, strict=True)), 16, range(1, 17), peers["recalls"][i])
            for i in trials
        )
        for column in np.asarray(x, float).T
    ]
    ours = evaluate_as_users_do(make_loss(peers, trials), x)
    np.testing.assert_allclose(ours, oracle, rtol=1e-9 if x64 else 1e-4)


def test_one_vector_or_many(small_data):
    """`(n_params,)` gives a scalar, `(n_params, n)` gives n of them."""
    loss, x = make_loss(small_data, range(5)), candidates(3)
    one, many = evaluate(loss, x[:, 1]), evaluate(loss, x)
    assert one.shape == () and many.shape == (3,)
    np.testing.assert_allclose(many[1], one, rtol=1e-5)


def test_padding_adds_nothing(small_data):
    """-1 means no trial: not a bit of the loss changes, wherever it stands."""
    x = candidates(50)
    nine, none = [*range(9)], [-1, -1, -1]
    plain = evaluate_as_users_do(make_loss(small_data, nine), x)
    for padded in ([*nine, *none], [*none, *nine], [*nine[:4], *none, *nine[4:]]):
        loss = make_loss(small_data, padded)
        np.testing.assert_array_equal(evaluate_as_users_do(loss, x), plain)
    assert evaluate_as_users_do(make_loss(small_data, 4 * none), x).tolist() == [0] * 50


def test_it_is_the_sum_of_its_trials(small_data):
    """Catches a trial scored twice, left out, or with another trial's list."""
    x = candidates(10)
    total = sum(evaluate(make_loss(small_data, [i]), x) for i in range(20))
    np.testing.assert_allclose(evaluate(make_loss(small_data, range(20)), x), total, rtol=1e-5)


def test_lists_of_different_length_and_order(parameters):
    """Each trial is scored with its own list: lists of 3, 4 and 5 items, one with a repeat."""
    data = {
        "subject": np.zeros((4, 1), int),
        "listLength": np.array([[3], [5], [4], [3]]),
        "pres_itemnos": np.array(
            [[1, 2, 3, 0, 0], [1, 2, 3, 4, 5], [1, 2, 1, 3, 0], [1, 2, 3, 0, 0]]
        ),
        "recalls": np.array([[3, 1, 0, 0], [5, 4, 1, 0], [1, 4, 0, 0], [0, 0, 0, 0]]),
    }
    loss = make_loss(data, range(4), parameters, ())
    oracle = sum(
        trial_nll(parameters, 5, items[items > 0], np.append(0, items)[positions])
        for items, positions in zip(data["pres_itemnos"], data["recalls"], strict=True)
    )
    np.testing.assert_allclose(evaluate(loss, jnp.zeros(0)), oracle, rtol=1e-5)


def test_recalls_are_positions_and_choices_are_items(parameters):
    """The same lists and recalls, with items numbered in the order of study or otherwise: what was
    studied third is item 2 of the list 3, 1, 2. Catches positions taken for item numbers."""
    data = {
        "subject": np.zeros((1, 1), int),
        "listLength": np.array([[3]]),
        "recalls": np.array([[3, 1, 0]]),
    }
    plain, numbered = (
        evaluate(
            make_loss({**data, "pres_itemnos": np.array([items])}, [0], parameters, ()),
            jnp.zeros(0),
        )
        for items in ([1, 2, 3], [3, 1, 2])
    )
    np.testing.assert_allclose(numbered, plain, rtol=1e-6)


def test_value_and_gradient_are_finite_everywhere(peers, x64):
    """300 points of the usual box, a third of their coordinates on a bound: one NaN would poison a
    population or end a polish."""
    loss = make_loss(peers, range(28))
    for x in candidates(300, seed=5, edges=0.35).T:
        value, jac = slope_as_users_do(loss, x)
        assert np.isfinite(value) and np.all(np.isfinite(jac))


def test_gradient_equals_finite_differences(small_data):
    """In double precision, away from the bounds."""
    with jax.enable_x64(True):
        loss = make_loss(small_data, range(20))
        x = jnp.asarray(BOUNDS.mean(1)).at[4:10].set(2.0).at[-2].set(0.05).at[-1].set(0.3)
        _, jac = slope(loss, x)
        for i in range(len(x)):
            step = jnp.zeros_like(x).at[i].set(1e-5)
            difference = (evaluate(loss, x + step) - evaluate(loss, x - step)) / 2e-5
            np.testing.assert_allclose(jac[i], difference, rtol=1e-5, atol=1e-6)


def test_nll_per_event(small_data, parameters):
    """One number an event, zero after the stop, adding up to the loss; rows in the order asked
    for."""
    generator = MemorySearchLikelihoodFnGenerator(MODELS["cmr"], small_data, None)
    trials = np.array([7, -1, 2, 15])
    events = generator.nll_per_event(trials, parameters)
    assert events.shape == (4, 6)
    assert not np.any(events[1])
    for row, trial in zip(events, trials, strict=True):
        if trial >= 0:
            n_events = int((small_data["recalls"][trial] > 0).sum()) + 1
            assert not np.any(row[n_events:])
            loss = generator(np.array([trial]), parameters, ())
            np.testing.assert_allclose(row.sum(), evaluate(loss, jnp.zeros(0)), rtol=1e-5)


def test_nll_per_event_of_the_last_trial(small_data, parameters):
    """Asked for alone or with others, padded or not. Catches padding (-1) that Python's counting
    from the end takes for the last row."""
    generator = MemorySearchLikelihoodFnGenerator(MODELS["cmr"], small_data, None)
    alone = generator.nll_per_event(np.array([19]), parameters)[0]
    assert alone.sum() > 0
    padded = generator.nll_per_event(np.array([-1, 18, 19, -1, 19]), parameters)
    for row in (2, 4):
        np.testing.assert_allclose(padded[row], alone, rtol=1e-5)


LISTS = {
    "subject": np.zeros((3, 1), int),
    "listLength": np.full((3, 1), 4),
    "pres_itemnos": np.array([[1, 2, 3, 4], [1, 2, 3, 4], [2, 4, 1, 3]]),
    "recalls": np.array([[3, 1, 0, 0], [0, 0, 0, 0], [4, 3, 2, 1]]),
}
"""Two recalls, none, and all four, after which no stop is seen."""
COUNTED = {
    "all": [[0, 1, 2], [0], [0, 1, 2, 3]],
    "recalls": [[0, 1], [], [0, 1, 2, 3]],
    "after_first": [[1, 2], [], [1, 2, 3]],
    "recalls_after_first": [[1], [], [1, 2, 3]],
}
"""Which events of these lists count, by hand."""


def event_by_event(factory, data, trial, parameters):
    """``-log P`` of each event of a trial, by playing the model in plain Python."""
    items = data["pres_itemnos"][trial]
    model = factory(data).create_trial_model(jnp.array(trial), parameters)
    for item in items:
        model = model.experience(jnp.array(item))
    model = model.start_retrieving()
    terms = []
    for position in data["recalls"][trial]:
        choice = items[position - 1] if position > 0 else 0
        terms.append(-np.log(model.outcome_probabilities()[choice]))
        model = model.retrieve(jnp.array(choice))
    return terms


@pytest.mark.parametrize("events", COUNTED)
def test_events_that_count(events, parameters):
    """Each choice of events keeps the terms listed by hand, at their place and value. A trial
    without recalls has no event after its first, the stop."""
    generator = MemorySearchLikelihoodFnGenerator(MODELS["cmr"], LISTS, events=events)
    expected = np.zeros((3, 4))
    for trial, counted in enumerate(COUNTED[events]):
        terms = event_by_event(MODELS["cmr"], LISTS, trial, parameters)
        expected[trial, counted] = np.take(terms, counted)
    per_event = generator.nll_per_event(np.arange(3), parameters)
    np.testing.assert_allclose(per_event, expected, rtol=1e-4, atol=1e-6)
    loss = generator(np.arange(3), parameters, ())
    np.testing.assert_allclose(evaluate(loss, jnp.zeros(0)), expected.sum(), rtol=1e-4)


def test_unknown_events(small_data):
    """The error names what there is."""
    with pytest.raises(
        ValueError, match=r"all, recalls, after_first, recalls_after_first; .*'first'"
    ):
        MemorySearchLikelihoodFnGenerator(MODELS["cmr"], small_data, events="first")


def test_an_impossible_stop_does_no_harm_where_stops_do_not_count(parameters):
    """With a stop probability held at 0. Catches infinity times 0 in value or slope."""
    names, x = ("learning_rate", "stop_probability_scale"), jnp.array([0.4, 0.0])
    generator = MemorySearchLikelihoodFnGenerator(MODELS["cmr"], LISTS, events="recalls")
    value, jac = slope(generator(np.arange(3), parameters, names), x)
    assert np.isfinite(value) and np.all(np.isfinite(jac)) and np.all(jac != 0)
    all_events = MemorySearchLikelihoodFnGenerator(make_factory(termination=stop_with(0.0)), LISTS)
    assert evaluate(all_events(np.arange(3), parameters, ()), jnp.zeros(0)) == np.inf


def test_pointwise_log_likelihood(peers, parameters, x64):
    """In double precision, whatever that of the run: sums of rows agree with NumPy to 1e-9, rows
    are in the order asked for, those of -1 are 0."""
    trials = np.array([441, -1, 3527, 0])
    generator = MemorySearchLikelihoodFnGenerator(MODELS["cmr"], peers, None)
    pointwise = generator.pointwise_log_likelihood(trials, parameters)
    assert isinstance(pointwise, np.ndarray) and pointwise.dtype == np.float64
    assert pointwise.shape == (4, 16) and np.all(pointwise <= 0)
    oracle = [
        -trial_nll(parameters, 16, range(1, 17), peers["recalls"][trial]) if trial >= 0 else 0.0
        for trial in trials
    ]
    np.testing.assert_allclose(pointwise.sum(1), oracle, rtol=1e-9)
    single = generator.pointwise_log_likelihood(trials, parameters, precision="float32")
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, pointwise, rtol=1e-3, atol=1e-5)


def test_unknown_precision(small_data, parameters):
    generator = MemorySearchLikelihoodFnGenerator(MODELS["cmr"], small_data, None)
    with pytest.raises(ValueError, match="float64, float32; got 'double'"):
        generator.pointwise_log_likelihood(np.arange(2), parameters, precision="double")


def test_an_impossible_event_is_infinitely_unlikely(small_data, parameters):
    """A repeated recall, under a model that does not allow it."""
    data = {**small_data, "recalls": np.tile([1, 2, 1, 0, 0, 0], (20, 1))}
    assert evaluate(make_loss(data, [0], parameters, ()), jnp.zeros(0)) == np.inf


@pytest.mark.parametrize("n", [3, 9])
def test_losses_of_equally_many_trials_share_a_program(small_data, n):
    """The structure holds nothing of the trials: equal for all sets of n."""
    losses = [make_loss(small_data, range(start, start + n)) for start in (0, 5, 11)]
    structures = {str(jax.tree.structure(loss)) for loss in losses}
    shapes = {str([leaf.shape for leaf in jax.tree.leaves(loss)]) for loss in losses}
    assert len(structures) == len(shapes) == 1


@pytest.mark.parametrize("events", COUNTED)
@pytest.mark.parametrize("model", ["cmr", "cmr_context_stop", "positional_cmr"])
def test_a_stop_is_scored_wherever_recall_ended_early(model, events, parameters):
    """In closed form and event by event, with a free column or without: the terms of the model
    played in plain Python, with a stop after them unless everything was recalled."""
    recalls = [[3, 1], [2, 0], [0, 0], [1, 2]]
    data = {
        "subject": np.zeros((4, 1), int),
        "listLength": np.array([[3], [3], [3], [2]]),
        "pres_itemnos": np.array([[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 2, 0]]),
    }
    played = {**data, "recalls": np.pad(recalls, ((0, 0), (0, 1)))}
    expected = np.zeros((4, 3))
    for trial, n_events in enumerate([3, 2, 1, 2]):
        terms = event_by_event(MODELS[model], played, trial, parameters)[:n_events]
        choices = played["recalls"][trial]
        for position, term in enumerate(terms):
            is_recall = choices[position] > 0
            skipped = ("after_first" in events and position == 0) or (
                "recalls" in events and not is_recall
            )
            expected[trial, position] = 0.0 if skipped else term
    for padding in (0, 1, 4):
        padded = {**data, "recalls": np.pad(recalls, ((0, 0), (0, padding)))}
        generator = MemorySearchLikelihoodFnGenerator(MODELS[model], padded, events=events)
        per_event = np.asarray(generator.nll_per_event(np.arange(4), parameters))[:, :3]
        np.testing.assert_allclose(per_event, expected, rtol=1e-4, atol=1e-6)
        loss = evaluate(generator(np.arange(4), parameters, ()), jnp.zeros(0))
        np.testing.assert_allclose(loss, expected.sum(), rtol=1e-4)
        n_events = (expected > 0).sum(1)
        np.testing.assert_array_equal(generator.count_events(np.arange(4)), n_events)


def test_a_model_that_repeats_may_stop_until_all_is_recalled(parameters):
    """Two of three items, one of them twice: the stop is scored. All three and one again: recall
    was complete, and zeros behind are no stop."""
    data = {
        "subject": np.zeros((2, 1), int),
        "listLength": np.full((2, 1), 3),
        "pres_itemnos": np.tile([1, 2, 3], (2, 1)),
    }
    recalls, factory = [[3, 1, 3, 0], [3, 1, 2, 1]], make_factory(allow_repeated_recalls=True)
    for padding in (0, 2):
        padded = {**data, "recalls": np.pad(recalls, ((0, 0), (0, padding)))}
        generator = MemorySearchLikelihoodFnGenerator(factory, padded)
        assert generator.count_events(np.arange(2)).tolist() == [4, 4]
        terms = np.asarray(generator.nll_per_event(np.arange(2), parameters))
        assert (terms[:, :4] > 0).all() and not terms[:, 4:].any()
