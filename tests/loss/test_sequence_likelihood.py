"""The sequence likelihood: right, finite, and blind to padding."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy_cmr import trial_nll

from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.models import MODELS, usual_bounds
from jaxcmr.optimize import Box

NAMES = tuple(usual_bounds("cmr"))
BOUNDS = np.array(list(usual_bounds("cmr").values()))

evaluate = eqx.filter_jit(lambda loss, x: loss(x))
slope = eqx.filter_jit(lambda loss, x: jax.value_and_grad(lambda x: loss(x))(x))


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
    ours = evaluate(make_loss(peers, trials), x)
    np.testing.assert_allclose(ours, oracle, rtol=1e-9 if x64 else 1e-4)


def test_one_vector_or_many(small_data):
    """`(n_params,)` gives a scalar, `(n_params, n)` gives n of them."""
    loss, x = make_loss(small_data, range(5)), candidates(3)
    assert loss(x[:, 0]).shape == () and loss(x).shape == (3,)
    np.testing.assert_allclose(loss(x)[1], loss(x[:, 1]), rtol=1e-5)


def test_padding_adds_nothing(small_data):
    """-1 means no trial: not a bit of the loss changes, wherever it stands."""
    x = candidates(50)
    plain = evaluate(make_loss(small_data, range(9)), x)
    for padded in ([*range(9), -1, -1, -1], [-1, *range(9)], [*range(4), -1, *range(4, 9)]):
        np.testing.assert_array_equal(evaluate(make_loss(small_data, padded), x), plain)
    assert evaluate(make_loss(small_data, [-1, -1]), x).tolist() == [0] * 50


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
    np.testing.assert_allclose(loss(jnp.zeros(0)), oracle, rtol=1e-5)


def test_recalls_are_positions_and_choices_are_items(parameters):
    """The same lists and recalls, with items numbered in the order of study or otherwise: what was
    studied third is item 2 of the list 3, 1, 2. Catches positions taken for item numbers."""
    data = {
        "subject": np.zeros((1, 1), int),
        "listLength": np.array([[3]]),
        "recalls": np.array([[3, 1, 0]]),
    }
    plain, numbered = (
        make_loss({**data, "pres_itemnos": np.array([items])}, [0], parameters, ())(jnp.zeros(0))
        for items in ([1, 2, 3], [3, 1, 2])
    )
    np.testing.assert_allclose(numbered, plain, rtol=1e-6)


def test_value_and_gradient_are_finite_everywhere(peers, x64):
    """300 points of the usual box, a third of their coordinates on a bound: one NaN would poison a
    population or end a polish."""
    loss = make_loss(peers, range(28))
    for x in candidates(300, seed=5, edges=0.35).T:
        value, jac = slope(loss, x)
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
            np.testing.assert_allclose(row.sum(), loss(jnp.zeros(0)), rtol=1e-5)


def test_an_impossible_event_is_infinitely_unlikely(small_data, parameters):
    """A repeated recall, under a model that does not allow it."""
    data = {**small_data, "recalls": np.tile([1, 2, 1, 0, 0, 0], (20, 1))}
    assert make_loss(data, [0], parameters, ())(jnp.zeros(0)) == np.inf


@pytest.mark.parametrize("n", [3, 9])
def test_losses_of_equally_many_trials_share_a_program(small_data, n):
    """The structure holds nothing of the trials: equal for all sets of n."""
    losses = [make_loss(small_data, range(start, start + n)) for start in (0, 5, 11)]
    structures = {str(jax.tree.structure(loss)) for loss in losses}
    shapes = {str([leaf.shape for leaf in jax.tree.leaves(loss)]) for loss in losses}
    assert len(structures) == len(shapes) == 1
