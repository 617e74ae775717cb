"""Typed sequences, scored letter by letter: a probability over all sequences, of the right rows."""

from collections import Counter
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import PARAMETERS, quick_jit
from forward import play_trials
from scipy.stats import chisquare

from jaxcmr.datasets import check_data
from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.loss.confusable_likelihood import ConfusableLikelihoodFnGenerator
from jaxcmr.models import cru, usual_bounds
from jaxcmr.models.confusable_cru import make_factory
from jaxcmr.simulation import simulate_dataset

DISTANCES = np.array([[0, 1, 2.0], [1, 0, 0], [2, 0, 0]])  # letters 2 and 3 look the same
VALUES = {**PARAMETERS, "item_sensitivity_max": 1.5, "item_sensitivity_decrease": 0.7}
BOUNDS = usual_bounds("confusable_cru")
NAMES = tuple(BOUNDS)
TYPED = [(0, 0, 0), (1, 2, 0), (1, 3, 2), (2, 2, 2), (3, 0, 0), (1, 1, 0)]


def trials(studied, typed):
    """Return data with one trial per sequence typed; all study the same list, or one each."""
    studied = np.broadcast_to(studied, (len(typed), np.shape(studied)[-1]))
    return {
        "subject": np.ones((len(typed), 1), int),
        "listLength": np.full((len(typed), 1), studied.shape[1]),
        "pres_itemnos": np.tile(np.arange(1, studied.shape[1] + 1), (len(typed), 1)),
        "recalls": np.zeros((len(typed), 3), int),
        "pres_itemids": studied,
        "rec_itemids": np.array(typed),
    }


def make_generator(studied, typed, *on, distances=DISTANCES, **options):
    data = trials(studied, typed)
    return ConfusableLikelihoodFnGenerator(make_factory(*on), data, distances, **options)


def all_typed(n_letters):
    """Return every sequence of up to `n_letters` of three letters, zeros at the end."""
    rows = product((0, 1, 2, 3), repeat=n_letters)
    return [row for row in rows if "0" not in to_text(row).rstrip("0")]


def to_text(row):
    return "".join(map(str, row))


CRU, CMR = (), tuple(cru.TOGGLES)
MAIN = [([1, 2, 1], CRU)]
OTHER = [([1, 2], CRU), ([1, 2], CMR), ([1, 2, 1], CMR), ([3, 0, 1], CRU), ([3, 0, 1], CMR)]


@pytest.mark.parametrize(
    ("studied", "on"), [*MAIN, *(pytest.param(*case, marks=pytest.mark.full) for case in OTHER)]
)
def test_it_is_a_probability_of_sequences(studied, on):
    """All that can be typed, no more letters than studied, with repeats and intrusions, together
    have probability one, with zeros behind or without. Catches a stop scored twice, or never, in a
    row without a free column."""
    n_studied = np.count_nonzero(studied)
    typed = all_typed(n_studied)
    n_typed = np.count_nonzero(typed, axis=1)
    for padding in (0, 2):
        made = make_generator(studied, np.pad(typed, ((0, 0), (0, padding))), *on)
        values = {**VALUES, "encoding_drift_decrease": 0.9}
        log_p = made.pointwise_log_likelihood(np.arange(len(typed)), values).sum(1)
        np.testing.assert_allclose(np.exp(log_p).sum(), 1, rtol=1e-6)
        assert np.all(np.isfinite(log_p))
        expected = n_typed + (n_typed < n_studied)
        np.testing.assert_array_equal(made.count_events(np.arange(len(typed))), expected)


def test_simulations_are_as_frequent_as_it_says():
    """Of a list that has letter 1 twice and letter 2 not, all three events: a chi-square test over
    all that may be typed, intrusions and repeats included. Positions are of letters studied, moved
    up."""
    typed = all_typed(3)
    made = make_generator([1, 3, 1], typed)
    probabilities = np.exp(made.pointwise_log_likelihood(np.arange(len(typed)), VALUES).sum(1))
    one = {name: values[:1] for name, values in trials([1, 3, 1], typed).items()}
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


LISTS = [(1, 2, 3), (3, 2, 1), (2, 2, 1), (1, 0, 0), (1, 2, 3), (3, 1, 2)]


def test_it_scores_what_was_typed_in_each_trials_own_list():
    """Event by event the model of that trial, played forward: catches positions scored in place of
    letters, or another trial's list. Stops can be left out, of typing that was cut off at a fixed
    number of letters."""
    data = trials(LISTS, TYPED)
    factory = make_factory()(data, DISTANCES)
    played = play_trials(factory, np.arange(6), data["pres_itemids"], np.array(TYPED), VALUES)
    of_typed = np.take_along_axis(played, np.array(TYPED)[:, :, None], axis=2)[:, :, 0]
    n_typed = np.count_nonzero(TYPED, axis=1)[:, None]
    expected = np.where(np.arange(3) <= n_typed, np.log(of_typed), 0.0)
    order = np.array([4, 0, 2, 1, 3, 5])
    for events, terms in (("all", expected), ("recalls", np.where(TYPED, expected, 0.0))):
        made = make_generator(LISTS, TYPED, events=events)
        log_p = made.pointwise_log_likelihood(order, VALUES)
        np.testing.assert_allclose(log_p, terms[order], rtol=1e-4, atol=1e-6)
    assert made.count_events(np.array([1, 0, -1])).tolist() == [2, 0, 0]


@pytest.mark.full
def test_gradient_is_finite_and_right(x64):
    """Inside and on the bounds, and where the sensitivity or its decrease is 0; inside and in
    double precision, equal to finite differences. One NaN would poison a population."""
    loss = make_generator([[1, 2, 3]] * 3 + [[2, 2, 1]] * 3, TYPED)(np.arange(6), {}, NAMES)
    gradient = quick_jit(jax.value_and_grad(lambda x: loss(x)))
    low, high = np.array(list(BOUNDS.values())).T
    low = np.where(np.char.startswith(NAMES, "item_sensitivity"), 0.0, low)
    rng = np.random.default_rng(0)
    for _ in range(100):
        is_edge = rng.random(len(low)) < 0.4
        unit = np.where(is_edge, rng.integers(0, 2, len(low)), rng.random(len(low)))
        x = jnp.asarray(low + unit * (high - low))
        value, jac = gradient(x)
        assert np.isfinite(value) and np.all(np.isfinite(jac))
    if x64:
        x = jnp.array([VALUES[name] for name in NAMES])
        for i, part in enumerate(gradient(x)[1]):
            step = 1e-6 * jnp.eye(len(x))[i]
            difference = (gradient(x + step)[0] - gradient(x - step)[0]) / 2e-6
            np.testing.assert_allclose(part, difference, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("missing", ["pres_itemids", "rec_itemids"])
def test_letters_are_required(missing):
    """Positions alone do not say what was typed."""
    data = trials([1, 2, 3], TYPED)
    del data[missing]
    with pytest.raises(ValueError, match=f"no field '{missing}'"):
        ConfusableLikelihoodFnGenerator(make_factory(), data, DISTANCES)


def test_a_given_number_of_recalls_is_that_of_the_letters_typed():
    """Right or wrong: none of these letters is a recall of a study position."""
    generator = make_generator([1, 2, 1], TYPED, events="recalls")
    assert generator.count_given_recalls(np.arange(6)).tolist() == [0, 2, 3, 3, 1, 2]
    assert make_generator([1, 2, 1], TYPED).count_given_recalls(np.arange(6)) is None


def test_typing_after_the_end_is_an_error():
    """A 0 for an omission would be scored as the stop, and what follows as impossible."""
    with pytest.raises(ValueError, match=r"'rec_itemids' holds 2 in trial 1.*after a 0"):
        make_generator([1, 2, 3], [(1, 0, 0), (1, 0, 2)])


def test_models_and_losses_of_positions_and_of_letters_do_not_mix():
    """The loss of positions would have the model study letters 1, 2, 3 in every trial, without a
    sign; a model of positions has no letters to choose."""
    data = trials([2, 3, 1], TYPED)
    with pytest.raises(ValueError, match="confusable_likelihood"):
        MemorySearchLikelihoodFnGenerator(make_factory(), data, DISTANCES)
    with pytest.raises(ValueError, match=r"choices_are_ids"):
        ConfusableLikelihoodFnGenerator("cmr", data)


def test_one_program_serves_all_alphabets():
    """Catches distances between equally many letters that are part of the program."""
    losses = [
        make_generator([1, 2, 3], TYPED, distances=d)(np.array([0, 1]), VALUES, NAMES[:1])
        for d in (DISTANCES, 2 * DISTANCES)
    ]
    assert jax.tree.structure(losses[0]) == jax.tree.structure(losses[1])
