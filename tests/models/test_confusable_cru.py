"""Slips between letters by hand-worked numbers and against NumPy; between them, plain CRU."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit
from forward import as_floats, play_one
from model_examples import PARAMETERS
from numpy_cmr import EPS, drift

from jaxcmr.models import cru
from jaxcmr.models.confusable_cru import make_factory
from jaxcmr.simulation import study

DISTANCES = np.array([[0, 2, 4, 0.5], [1, 0, 2, 3], [1, 1.5, 0, 1], [0.5, 3, 1, 0]])
DATASET = {"listLength": np.array([[6]]), "pres_itemids": np.array([[1, 2, 3, 0, 0, 0]])}
SLIPS = {"item_sensitivity_max": 1.5, "item_sensitivity_decrease": 0.7}
VALUES = {**PARAMETERS, **SLIPS}
NOT_CRU = ("feature_to_context", "pre_experimental", "primacy", "start_drift")


def along(values, items, typed, *on, distances=DISTANCES):
    """Return outcome probabilities before each letter of `typed`."""
    factory = make_factory(*on)(DATASET, distances)
    return play_one(factory, 0, items, typed, values)


@quick_jit
def study_letters(factory, values, items):
    return study(factory.create_trial_model(0, values), items)


def studied(values, items):
    """Return the model after study."""
    return study_letters(make_factory()(DATASET, DISTANCES), as_floats(values), jnp.asarray(items))


def numpy_outcomes(p, items, typed, distances):
    """Return outcome probabilities before each event, stopping first, by loops over letters.

    All parameters of CMR are in use.
    """
    n = len(distances)
    context, start = np.eye(n + 1)[0], np.eye(n + 1)[0]
    mfc = (1 - p["learning_rate"]) * np.eye(n, n + 1, k=1)
    own = np.eye(n, dtype=bool)
    mcf = np.vstack([np.zeros(n), np.where(own, p["item_support"], p["shared_support"])])
    slips = np.eye(n)
    for k, i in enumerate(np.array(items) - 1):
        sensitivity = p["item_sensitivity_max"] * p["item_sensitivity_decrease"] ** k
        weights = np.exp(-sensitivity * distances[i])
        slips[i] = weights / weights.sum()
        met, context = context, drift(context, mfc[i], p["encoding_drift_rate"])
        mfc[i] += p["learning_rate"] * met
        mcf[:, i] += (p["primacy_scale"] * np.exp(-p["primacy_decay"] * k) + 1) * met
    context = drift(context, start, p["start_drift_rate"])
    rows = []
    for j, letter in enumerate(np.array(typed) - 1):
        support = context @ mcf
        share = (support / support.max()) ** p["choice_sensitivity"] + EPS
        share /= share.sum()
        stop = p["stop_probability_scale"] * np.exp(p["stop_probability_growth"] * j)
        rows.append([stop, *((1 - stop) * share @ slips)])
        meant = max(range(n), key=lambda i: share[i] * slips[i, letter])
        context = drift(context, mfc[meant], p["recall_drift_rate"])
    return np.array(rows)


def test_slip_matrix_by_hand():
    """Letter 2 at event 0 with sensitivity ln 2: distances 1, 0, 2, 3 weigh 1/2, 1, 1/4, 1/8.
    Letter 1 at event 1 with ln 2 / 2: distances 0, 2, 4, 0.5 weigh 1, 1/2, 1/4, 2^-0.25. The others
    are typed as they are. Padding before or after is no event."""
    values = {**VALUES, "item_sensitivity_max": np.log(2), "item_sensitivity_decrease": 0.5}
    model = studied(values, [0, 2, 0, 1, 0])
    first, second = np.array([4, 8, 2, 1]) / 15, np.array([4, 2, 1, 4 * 2**-0.25])
    expected = [second / second.sum(), first, [0, 0, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(model.slips, expected, rtol=1e-5)


def test_a_letter_studied_again_slips_as_it_did_last():
    """Event 2 sets the row of event 0 anew: catches a row that is set once, or mixed."""
    again = studied(VALUES, [1, 2, 1, 0, 0]).slips
    later = studied({**VALUES, "item_sensitivity_max": 1.5 * 0.7**2}, [1, 0, 0, 0, 0]).slips
    np.testing.assert_allclose(again[0], later[0], rtol=1e-5)


@pytest.mark.parametrize(
    ("items", "typed"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([2, 3, 2, 1], [2, 4, 4, 2, 1]),
        ([3], [4, 1, 3]),
        ([4, 1], [3, 2, 1]),
    ],
)
def test_outcomes_equal_numpy(items, typed):
    """Before every event, in double precision: letters studied twice, typed twice, never studied.
    Catches learning after the context update, a letter that leaves, context that follows the letter
    typed instead of the one meant."""
    padded = [*items, *[0] * (4 - len(items))], [*typed, *[0] * (5 - len(typed))]
    with jax.enable_x64(True):
        ours = along(VALUES, *padded, *NOT_CRU)
    expected = numpy_outcomes(VALUES, items, typed, DISTANCES)
    np.testing.assert_allclose(ours[: len(typed)], expected, rtol=1e-9)


def test_context_follows_the_letter_that_was_meant():
    """Letter 4 was not studied and resembles letter 1, whose turn it is: typing it is recalling 1.
    Typing 0 ends recall."""

    @quick_jit
    def memories(model, typed, meant):
        return model.retrieve(typed).memory, model.memory.retrieve(meant)

    model = studied(VALUES, [1, 2, 3, 0, 0])
    assert eqx.tree_equal(*memories(model, jnp.array(4), jnp.array(1)))
    rows = along(VALUES, [1, 2, 3, 0], [0, 4, 0, 0, 0])
    np.testing.assert_array_equal(rows[1], [1, 0, 0, 0, 0])


def test_all_letters_have_a_chance():
    """Typed or not: without support or resemblance, that of the floor of the choice."""
    rows = along(VALUES, [3, 1, 3, 0], [3, 3, 1, 2, 0])
    assert np.all(rows[:, 1:] > 0)


def test_without_slips_it_is_serial_cru():
    """So sensitive that nothing is confused: the memory's own probabilities along a recall, with
    all letters recallable, as often as one likes."""
    letters = {**DATASET, "listLength": np.array([[4]])}
    plain = cru.make_factory(learn_after_context_update=False, allow_repeated_recalls=True)(letters)

    @quick_jit
    def recall(factory, items, choices):
        model = study(factory.create_trial_model(0, VALUES), items)
        model = replace(model, recallable=jnp.ones(4, bool))
        rows = []
        for choice in choices:
            rows.append(model.outcome_probabilities())
            model = model.retrieve(choice)
        return jnp.stack(rows)

    expected = recall(plain, jnp.array([2, 3, 1]), jnp.array([2, 3, 3, 4]))
    values = {**VALUES, "item_sensitivity_max": 1e6, "item_sensitivity_decrease": 1.0}
    found = along(values, [2, 3, 1, 0], [2, 3, 3, 4, 0])[:4]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_letters_at_no_distance_are_typed_alike():
    """Letters 1 and 4 are the same to the eye, and 1 was studied: each has half of its chance, but
    for the floor that 4 has of its own."""
    same = np.array([[0, 9, 9, 0.0], [9, 0, 9, 9], [9, 9, 0, 9], [0, 9, 9, 0]])
    values = {**VALUES, "item_sensitivity_max": 50.0}
    outcomes = along(values, [1, 0, 0, 0], [0] * 5, distances=same)[0]
    np.testing.assert_allclose(outcomes[[1, 4]], (1 - 0.02) / 2, atol=1e-6)


def test_the_same_parts_give_the_same_factory():
    """So that a second fitter finds the programs that the first one compiled."""
    assert make_factory() is make_factory()
    assert make_factory("primacy") is not make_factory()


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (None, "got None"),
        ("qwerty", "got str"),
        (np.zeros((3, 4)), r"shape \(3, 4\)"),
        (np.zeros(4), r"shape \(4,\)"),
        (np.zeros((0, 0)), r"shape \(0, 0\)"),
        (np.eye(4), "0 from a letter to itself"),
        (-DISTANCES, r"not negative; entry \(0, 1\)"),
        (np.where(DISTANCES == 2, np.nan, DISTANCES), r"finite; entry \(0, 1\)"),
        (DISTANCES[:2, :2], "'pres_itemids' holds 3"),
    ],
)
def test_features_that_are_not_distances_are_errors(features, message):
    """A similarity matrix, the wrong shape, an alphabet too small for the data: said at once."""
    with pytest.raises(ValueError, match=message):
        make_factory()(DATASET, features)


def test_data_need_letters():
    with pytest.raises(ValueError, match="no field 'pres_itemids'"):
        make_factory()({"listLength": np.array([[6]])}, DISTANCES)


@pytest.mark.parametrize("odd", [-1, 5, 1.5])
def test_numbers_that_are_not_letters_are_errors(odd):
    """In recalls as in study lists: an index that is out of range would be clipped."""
    with pytest.raises(ValueError, match=f"'rec_itemids' holds {odd}"):
        make_factory()({**DATASET, "rec_itemids": np.array([[1, odd, 0]])}, DISTANCES)
