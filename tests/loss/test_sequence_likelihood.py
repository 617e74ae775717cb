"""The sequence likelihood: right, finite, and blind to padding."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit, stop_with
from forward import play_trials
from numpy_cmr import trial_nll

from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.models import MODELS, usual_bounds
from jaxcmr.models.cmr import make_factory
from jaxcmr.optimize import Box

NAMES = tuple(usual_bounds("cmr"))
BOUNDS = np.array(list(usual_bounds("cmr").values()))
NOTHING = jnp.zeros(0)

evaluate = quick_jit(lambda loss, x: loss(x))
evaluate_as_users_do = eqx.filter_jit(lambda loss, x: loss(x))
gradient = quick_jit(lambda loss, x: jax.value_and_grad(lambda x: loss(x))(x))
gradient_as_users_do = eqx.filter_jit(lambda loss, x: jax.value_and_grad(lambda x: loss(x))(x))


def make_loss(data, trials, base=None, names=NAMES, model="cmr", **options):
    generator = MemorySearchLikelihoodFnGenerator(model, data, **options)
    return generator(np.asarray(trials), base or {}, names)


def candidates(n, seed=0, edges=0.0):
    """Return parameter vectors inside the usual bounds, (n_params, n); some on a bound."""
    rng = np.random.default_rng(seed)
    unit = rng.random((len(NAMES), n))
    unit = np.where(rng.random(unit.shape) < edges, np.round(unit), unit)
    return Box.from_bounds(BOUNDS).to_user(jnp.asarray(unit).T).T


@pytest.mark.parametrize("x64", [True, pytest.param(False, marks=pytest.mark.full)])
def test_it_agrees_with_numpy_on_real_trials(peers, x64):
    """50 random parameter sets on real lists, against the loops of `numpy_cmr`: to 1e-9 in double
    precision, 1e-4 in single."""
    trials = np.arange(0, 3528, 882)
    with jax.enable_x64(x64):
        x = candidates(50)
        rows = {name: values[trials] for name, values in peers.items()}
        ours = evaluate(make_loss(rows, range(4)), x)
    oracle = [
        sum(
            trial_nll(dict(zip(NAMES, column, strict=True)), 16, range(1, 17), peers["recalls"][i])
            for i in trials
        )
        for column in np.asarray(x, float).T
    ]
    np.testing.assert_allclose(ours, oracle, rtol=1e-9 if x64 else 1e-4)


def test_padding_changes_no_bit(small_data):
    """-1 means no trial, in any place, alone or with others."""
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
    total = sum(evaluate(make_loss(small_data, [i, *[-1] * 19]), x) for i in range(20))
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
    oracle = sum(
        trial_nll(parameters, 5, items[items > 0], np.append(0, items)[positions])
        for items, positions in zip(data["pres_itemnos"], data["recalls"], strict=True)
    )
    loss = make_loss(data, range(4), parameters, ())
    np.testing.assert_allclose(evaluate(loss, NOTHING), oracle, rtol=1e-5)


def test_recalls_are_positions_and_choices_are_items(parameters):
    """The same lists and recalls, with items numbered in the order of study or otherwise: the item
    studied third is item 2 of the list 3, 1, 2. Catches positions taken for item numbers."""
    data = {
        "subject": np.zeros((1, 1), int),
        "listLength": np.array([[3]]),
        "recalls": np.array([[3, 1, 0]]),
    }
    plain, numbered = (
        evaluate(
            make_loss({**data, "pres_itemnos": np.array([items])}, [0], parameters, ()), NOTHING
        )
        for items in ([1, 2, 3], [3, 1, 2])
    )
    np.testing.assert_allclose(numbered, plain, rtol=1e-6)


@pytest.mark.full
def test_value_and_gradient_are_finite_everywhere(peers, x64):
    """300 points of the usual box, a third of their coordinates on a bound: one NaN would poison a
    population or end a polish."""
    loss = make_loss(peers, range(28))
    for x in candidates(300, seed=5, edges=0.35).T:
        value, jac = gradient_as_users_do(loss, x)
        assert np.isfinite(value) and np.all(np.isfinite(jac))


@pytest.mark.full
def test_gradient_equals_finite_differences(small_data):
    """In double precision, away from the bounds."""
    with jax.enable_x64(True):
        loss = make_loss(small_data, range(3))
        x = jnp.asarray(BOUNDS.mean(1)).at[4:10].set(2.0).at[-2].set(0.05).at[-1].set(0.3)
        steps = 1e-5 * jnp.eye(len(x))
        higher, lower = (evaluate(loss, x[:, None] + sign * steps) for sign in (1, -1))
        difference = (higher - lower) / 2e-5
        np.testing.assert_allclose(gradient(loss, x)[1], difference, rtol=1e-5, atol=1e-6)


LISTS = {
    "subject": np.zeros((5, 1), int),
    "listLength": np.array([[3], [3], [3], [2], [3]]),
    "pres_itemnos": np.array([[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 2, 0], [2, 3, 1]]),
    "recalls": np.array([[3, 1, 0], [2, 0, 0], [0, 0, 0], [1, 2, 0], [1, 3, 2]]),
}
"""Two recalls and one, then a stop; none; everything, with a free column and without."""
SCORED = {
    "all": [[0, 1, 2], [0, 1], [0], [0, 1], [0, 1, 2]],
    "recalls": [[0, 1], [0], [], [0, 1], [0, 1, 2]],
    "after_first": [[1, 2], [1], [], [1], [1, 2]],
    "recalls_after_first": [[1], [], [], [1], [1, 2]],
}
"""Which events of these lists are scored, by hand."""
MAIN = [("cmr", "all"), ("cmr", "recalls_after_first")]
OTHER = [(m, e) for m in ("cmr", "cmr_context_stop", "positional_cmr") for e in SCORED]
CASES = [*MAIN, *(pytest.param(*c, marks=pytest.mark.full) for c in OTHER if c not in MAIN)]


@pytest.mark.parametrize(("model", "events"), CASES)
def test_events_that_are_scored(model, events, parameters):
    """In closed form and event by event, with a free column or without: the terms listed by hand,
    at their place, with their probability in the model played forward. A stop is scored wherever
    recall ended early. A trial without recalls has no event after its first, the stop."""
    choices = np.take_along_axis(
        np.pad(LISTS["pres_itemnos"], ((0, 0), (1, 0))), LISTS["recalls"], axis=1
    )
    factory = MODELS[model](LISTS)
    played = play_trials(factory, np.arange(5), LISTS["pres_itemnos"], choices, parameters)
    probabilities = np.take_along_axis(played, choices[:, :, None], axis=2)[:, :, 0]
    expected = np.zeros((5, 3))
    for trial, scored in enumerate(SCORED[events]):
        expected[trial, scored] = np.log(probabilities[trial, scored])
    for n_outputs in (3, 5):
        data = {**LISTS, "recalls": np.pad(LISTS["recalls"], ((0, 0), (0, n_outputs - 3)))}
        generator = MemorySearchLikelihoodFnGenerator(model, data, events=events)
        terms = generator.pointwise_log_likelihood(np.arange(5), parameters)
        assert not terms[:, 3:].any()
        np.testing.assert_allclose(terms[:, :3], expected, rtol=1e-4, atol=1e-6)
        counts = [len(scored) for scored in SCORED[events]]
        np.testing.assert_array_equal(generator.count_events(np.arange(5)), counts)
    loss = evaluate(generator(np.arange(5), parameters, ()), NOTHING)
    np.testing.assert_allclose(loss, -expected.sum(), rtol=1e-4)


@pytest.mark.parametrize("events", SCORED)
def test_the_number_of_recalls_is_given_where_stops_are_not_scored(events):
    """A recovery cuts simulated lists off there. With "after_first" the stop is scored."""
    generator = MemorySearchLikelihoodFnGenerator("cmr", LISTS, events=events)
    given = generator.count_given_recalls(np.array([0, 1, 2, 3, 4, -1]))
    if events in ("all", "after_first"):
        assert given is None
    else:
        assert given.tolist() == [2, 1, 0, 2, 3, 0]


@pytest.mark.parametrize("events", ["all", pytest.param("recalls", marks=pytest.mark.full)])
def test_a_full_row_may_be_followed_by_a_stop(events, parameters):
    """Two of three items in two columns: the stop is scored as in three."""
    recalls = np.array([[3, 1], [2, 0], [0, 0], [1, 2], [1, 3]])
    terms = []
    for padding in (0, 1):
        data = {**LISTS, "recalls": np.pad(recalls, ((0, 0), (0, padding)))}
        generator = MemorySearchLikelihoodFnGenerator("cmr", data, events=events)
        terms.append(generator.pointwise_log_likelihood(np.arange(5), parameters))
        counts = [3, 2, 1, 2, 3] if events == "all" else [2, 1, 0, 2, 2]
        assert generator.count_events(np.arange(5)).tolist() == counts
    np.testing.assert_array_equal(np.pad(terms[0], ((0, 0), (0, 3 - terms[0].shape[1]))), terms[1])


def test_unknown_events(small_data):
    """The error names those there are."""
    with pytest.raises(
        ValueError, match=r"all, recalls, after_first, recalls_after_first; .*'first'"
    ):
        MemorySearchLikelihoodFnGenerator(MODELS["cmr"], small_data, events="first")


def test_an_impossible_stop_does_no_harm_if_stops_are_not_scored(parameters):
    """With a stop probability held at 0. Catches infinity times 0 in value or gradient."""
    names, x = ("learning_rate", "stop_probability_scale"), jnp.array([0.4, 0.0])
    loss = make_loss(LISTS, range(5), parameters, names, events="recalls")
    value, jac = gradient(loss, x)
    assert np.isfinite(value) and np.all(np.isfinite(jac)) and np.all(jac != 0)
    all_events = MemorySearchLikelihoodFnGenerator(make_factory(termination=stop_with(0.0)), LISTS)
    assert evaluate(all_events(np.arange(5), parameters, ()), NOTHING) == np.inf


def test_pointwise_log_likelihood(peers, parameters):
    """In double precision: sums of rows agree with NumPy to 1e-9, rows are in the order asked for,
    those of -1 are 0. The last trial is not padding, which counts from the end in Python."""
    trials = np.array([441, -1, 3527, 0])
    generator = MemorySearchLikelihoodFnGenerator(MODELS["cmr"], peers, None)
    terms = generator.pointwise_log_likelihood(trials, parameters)
    assert isinstance(terms, np.ndarray) and terms.dtype == np.float64
    assert terms.shape == (4, 16) and np.all(terms <= 0)
    oracle = [
        -trial_nll(parameters, 16, range(1, 17), peers["recalls"][trial]) if trial >= 0 else 0.0
        for trial in trials
    ]
    np.testing.assert_allclose(terms.sum(1), oracle, rtol=1e-9)
    single = generator.pointwise_log_likelihood(trials, parameters, precision="float32")
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, terms, rtol=1e-3, atol=1e-5)
    with pytest.raises(ValueError, match="float64, float32; got 'double'"):
        generator.pointwise_log_likelihood(trials, parameters, precision="double")


@pytest.mark.full
def test_precision_of_terms_is_not_that_of_the_run(small_data, parameters):
    """Where JAX computes in double precision, terms can still be had in single, and the other way
    round."""
    trials = np.arange(3)
    with jax.enable_x64(True):
        inside = MemorySearchLikelihoodFnGenerator("cmr", small_data)
    for generator in (inside, MemorySearchLikelihoodFnGenerator("cmr", small_data)):
        single, double = (
            generator.pointwise_log_likelihood(trials, parameters, precision)
            for precision in ("float32", "float64")
        )
        assert (single.dtype, double.dtype) == (np.float32, np.float64)
        np.testing.assert_allclose(single, double, rtol=1e-3, atol=1e-5)


def test_an_impossible_event_is_infinitely_unlikely(small_data, parameters):
    """A repeated recall, under a model that does not allow it."""
    data = {**small_data, "recalls": np.tile([1, 2, 1, 0, 0, 0], (20, 1))}
    assert evaluate(make_loss(data, [0], parameters, ()), NOTHING) == np.inf


def test_a_model_that_repeats_may_stop_until_all_is_recalled(parameters):
    """Two of three items, one of them twice: the stop is scored. All three and one again: recall
    was complete, and zeros behind are not a stop."""
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
        terms = generator.pointwise_log_likelihood(np.arange(2), parameters)
        assert (terms[:, :4] < 0).all() and not terms[:, 4:].any()
