"""What was typed, scored letter by letter: a probability over all sequences, finite, right rows."""

from collections import Counter
from itertools import product

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import PARAMETERS, quick_jit
from scipy.stats import chisquare

from jaxcmr.datasets import check_data
from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.loss.confusable_likelihood import ConfusableLikelihoodFnGenerator
from jaxcmr.models import cru
from jaxcmr.models.confusable_cru import USUAL_BOUNDS, make_factory
from jaxcmr.simulation import simulate_dataset

DISTANCES = np.array([[0, 1, 2.0], [1, 0, 0], [2, 0, 0]])  # letters 2 and 3 look the same
VALUES = {**PARAMETERS, "item_sensitivity_max": 1.5, "item_sensitivity_decrease": 0.7}
NAMES = tuple(USUAL_BOUNDS)
TYPED = [(0, 0, 0), (1, 2, 0), (1, 3, 2), (2, 2, 2), (3, 0, 0), (1, 1, 0)]

evaluate = quick_jit(lambda loss, x: loss(x))
evaluate_as_users_do = eqx.filter_jit(lambda loss, x: loss(x))
study = quick_jit(lambda model, letter: model.experience(letter))
type_next = quick_jit(lambda m, letter: (m.outcome_probability(letter), m.retrieve(letter)))


def trials(studied, typed):
    """A data set with one trial for each sequence typed; all study the same, or a list each."""
    studied = np.broadcast_to(studied, (len(typed), np.shape(studied)[-1]))
    return {
        "subject": np.ones((len(typed), 1), int),
        "listLength": np.full((len(typed), 1), studied.shape[1]),
        "pres_itemnos": np.tile(np.arange(1, studied.shape[1] + 1), (len(typed), 1)),
        "recalls": np.zeros((len(typed), 3), int),
        "pres_itemids": studied,
        "rec_itemids": np.array(typed),
    }


def generator(studied, typed, *on):
    data = trials(studied, typed)
    return ConfusableLikelihoodFnGenerator(make_factory(*on), data, DISTANCES)


@pytest.mark.parametrize("studied", [[1, 2], [1, 2, 1], [3, 0, 1]])
@pytest.mark.parametrize("on", [(), tuple(cru.TOGGLES)], ids=["CRU", "CMR"])
def test_it_is_a_probability_of_sequences(studied, on, x64):
    """All that can be typed over three letters, no more letters than studied, with repeats and
    intrusions, together have probability one; whatever the zeros behind. Catches a stop scored
    twice, or never, in a row without a free column."""
    n_studied = np.count_nonzero(studied)
    typed = [
        row
        for row in product((0, 1, 2, 3), repeat=n_studied)
        if "0" not in to_text(row).rstrip("0")
    ]
    values = {**VALUES, "encoding_drift_decrease": 0.9}
    for padding in (0, 2):
        padded = np.pad(typed, ((0, 0), (0, padding)))
        made = generator(studied, padded, *on)
        nll = made.nll_per_event(np.arange(len(typed)), values).sum(1)
        np.testing.assert_allclose(np.exp(-nll).sum(), 1, rtol=1e-6)
        assert np.all(np.isfinite(nll))
        n_typed = np.count_nonzero(typed, axis=1)
        expected = n_typed + (n_typed < n_studied)
        np.testing.assert_array_equal(made.count_events(np.arange(len(typed))), expected)


def test_simulations_are_as_frequent_as_it_says():
    """Of a list that has letter 1 twice and letter 2 not, all three events: a chi-square test over
    what may be typed, intrusions and repeats included. Positions are of letters studied, moved
    up."""
    typed = [row for row in product((0, 1, 2, 3), repeat=3) if "0" not in to_text(row).rstrip("0")]
    data = trials([1, 3, 1], typed)
    with jax.enable_x64(True):
        nll = ConfusableLikelihoodFnGenerator(make_factory(), data, DISTANCES).nll_per_event(
            np.arange(len(typed)), VALUES
        )
        probabilities = np.exp(-np.asarray(nll).sum(1))
    one = {name: values[:1] for name, values in data.items()}
    n = 20 * 1024
    simulated = simulate_dataset(make_factory(), one, VALUES, features=DISTANCES, n_copies=n)
    drawn = Counter(map(to_text, simulated["rec_itemids"].tolist()))
    counts = np.array([drawn[to_text(row)] for row in typed])
    assert counts.sum() == n and len(typed) == 40
    assert probabilities.min() * n > 5
    assert chisquare(counts, probabilities * n).pvalue > 0.001
    positions = {
        (to_text(letters), to_text(where))
        for letters, where in zip(simulated["rec_itemids"], simulated["recalls"], strict=True)
    }
    assert {("123", "120"), ("311", "211"), ("230", "200")} <= positions
    check_data(simulated)


def to_text(row):
    return "".join(map(str, row))


def test_stops_can_be_left_out():
    """Of what was cut off at a fixed number of letters: each event alone, without the stop."""
    data = trials([1, 2, 3], TYPED)
    made, without = (
        ConfusableLikelihoodFnGenerator(make_factory(), data, DISTANCES, events=events)
        for events in ("all", "recalls")
    )
    order = np.arange(len(TYPED))
    expected = np.where(np.array(TYPED) > 0, made.nll_per_event(order, VALUES), 0.0)
    np.testing.assert_allclose(without.nll_per_event(order, VALUES), expected, rtol=1e-6)
    assert without.count_events(np.array([1, 0, -1])).tolist() == [2, 0, 0]


def test_it_scores_what_was_typed_in_each_trials_own_list():
    """Event by event the model of that trial, played by hand: catches positions scored in place of
    letters, or another trial's list."""
    lists = [(1, 2, 3), (3, 2, 1), (2, 2, 1), (1, 0, 0), (1, 2, 3), (3, 1, 2)]
    made = generator(lists, TYPED)
    expected = np.zeros((6, 3))
    factory = make_factory()(trials(lists, TYPED), DISTANCES)
    for trial, (letters, typed) in enumerate(zip(lists, TYPED, strict=True)):
        model = factory.create_trial_model(jnp.array(trial), VALUES)
        for letter in letters:
            model = study(model, jnp.array(letter))
        model = model.start_retrieving()
        for event, letter in enumerate(typed):
            probability, model = type_next(model, jnp.array(letter))
            expected[trial, event] = -np.log(probability)
    order = np.array([4, 0, 2, 1, 3, 5])
    events = made.nll_per_event(order, VALUES)
    np.testing.assert_allclose(events, np.abs(expected[order]), rtol=1e-4, atol=1e-6)
    total = evaluate(made(order, VALUES, ()), jnp.zeros(0))
    np.testing.assert_allclose(total, expected.sum(), rtol=1e-5)
    log_p = made.pointwise_log_likelihood(order, VALUES)
    np.testing.assert_allclose(log_p, -np.abs(expected[order]), rtol=1e-4, atol=1e-6)


def test_no_trial_adds_nothing():
    """-1 changes no bit of the loss, and has zeros for events."""
    made, x = generator([1, 2, 3], TYPED), jnp.array([VALUES[name] for name in NAMES])
    plain = evaluate_as_users_do(made(np.arange(6), {}, NAMES), x)
    assert plain == evaluate_as_users_do(made(np.array([*range(6), -1, -1]), {}, NAMES), x)
    events = made.nll_per_event(np.array([1, -1, 2]), VALUES)
    assert not np.any(events[1]) and np.all(events[2] > 0)


def test_gradient_is_finite_and_right(x64):
    """Inside and on the bounds, and where the sensitivity or its decrease is 0; inside and in
    double precision, equal to finite differences. One NaN would poison a population."""
    made = generator([[1, 2, 3]] * 3 + [[2, 2, 1]] * 3, TYPED)
    loss = made(np.arange(6), {}, NAMES)
    slope = quick_jit(jax.value_and_grad(lambda x: loss(x)))
    low, high = np.array(list(USUAL_BOUNDS.values())).T
    low = np.where(np.char.startswith(NAMES, "item_sensitivity"), 0.0, low)
    rng = np.random.default_rng(0)
    for _ in range(100):
        is_edge = rng.random(len(low)) < 0.4
        unit = np.where(is_edge, rng.integers(0, 2, len(low)), rng.random(len(low)))
        x = jnp.asarray(low + unit * (high - low))
        value, jac = slope(x)
        assert np.isfinite(value) and np.all(np.isfinite(jac))
    if x64:
        x = jnp.array([VALUES[name] for name in NAMES])
        for i, part in enumerate(slope(x)[1]):
            step = 1e-6 * jnp.eye(len(x))[i]
            difference = (slope(x + step)[0] - slope(x - step)[0]) / 2e-6
            np.testing.assert_allclose(part, difference, rtol=1e-5, atol=1e-6)


def test_one_vector_or_many():
    """`(n_params,)` gives a scalar, `(n_params, n)` gives n of them."""
    loss = generator([1, 2, 3], TYPED)(np.arange(6), VALUES, NAMES[:2])
    x = jnp.array([[0.3, 0.5, 0.9], [0.7, 0.8, 0.2]])
    assert evaluate(loss, x[:, 0]).shape == ()
    np.testing.assert_allclose(evaluate(loss, x)[1], evaluate(loss, x[:, 1]), rtol=1e-5)


@pytest.mark.parametrize("missing", ["pres_itemids", "rec_itemids"])
def test_letters_are_required(missing):
    """Positions alone do not say what was typed."""
    data = trials([1, 2, 3], TYPED)
    del data[missing]
    with pytest.raises(ValueError, match=f"no field '{missing}'"):
        ConfusableLikelihoodFnGenerator(make_factory(), data, DISTANCES)


def test_typing_after_the_end_is_refused():
    """A 0 for an omission would be scored as the stop, and what follows as impossible."""
    with pytest.raises(ValueError, match="after a 0 in trial 1"):
        generator([1, 2, 3], [(1, 0, 0), (1, 0, 2)])


def test_the_loss_of_positions_refuses_the_model():
    """It would have the model study letters 1, 2, 3 in every trial, without a sign."""
    data = trials([2, 3, 1], TYPED)
    with pytest.raises(ValueError, match="confusable_likelihood"):
        MemorySearchLikelihoodFnGenerator(make_factory(), data, DISTANCES)


def test_one_program_serves_all_subjects_and_alphabets():
    """Catches trials, or distances between equally many letters, that are part of the program."""
    traces = []

    @quick_jit
    def counted(loss, x):
        traces.append(1)
        return loss(x)

    data, losses = trials([1, 2, 3], TYPED), []
    for rows, distances in (([0, 1], DISTANCES), ([5, -1], DISTANCES), ([0, 1], 2 * DISTANCES)):
        made = ConfusableLikelihoodFnGenerator(make_factory(), data, distances)
        losses.append(float(counted(made(np.array(rows), VALUES, NAMES[:1]), jnp.array([0.5]))))
    assert len(traces) == 1 and len(set(losses)) == 3
