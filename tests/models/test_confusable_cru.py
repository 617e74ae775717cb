"""Slips between letters by hand-worked numbers and against NumPy; between them, plain CRU."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import PARAMETERS
from numpy_cmr import EPS, drift

from jaxcmr import simulation
from jaxcmr.models import cru
from jaxcmr.models.confusable_cru import USUAL_BOUNDS, make_factory

study = eqx.filter_jit(simulation.study)

DISTANCES = np.array([[0, 2, 4, 0.5], [1, 0, 2, 3], [1, 1.5, 0, 1], [0.5, 3, 1, 0]])
DATASET = {"listLength": np.array([[6]]), "pres_itemids": np.array([[1, 2, 3, 0, 0, 0]])}
SLIPS = {"item_sensitivity_max": 1.5, "item_sensitivity_decrease": 0.7}
VALUES = {**PARAMETERS, **SLIPS}
NOT_CRU = ("feature_to_context", "pre_experimental", "primacy", "start_drift")


def studied(values, items, *on, distances=DISTANCES):
    factory = make_factory(*on)(DATASET, distances)
    return study(factory.create_trial_model(jnp.array(0), values), jnp.asarray(items))


def numpy_outcomes(p, items, typed, distances):
    """Outcome probabilities before each event, stop first, by loops over letters; CMR's parameters
    all in use."""
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
    again = studied(VALUES, [1, 2, 1]).slips
    later = studied({**VALUES, "item_sensitivity_max": 1.5 * 0.7**2}, [1]).slips
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
    Catches learning after the context update, a letter that leaves, context that follows what was
    typed and not what was meant."""
    with jax.enable_x64(True):
        model = studied(VALUES, items, *NOT_CRU)
        for choice, expected in zip(
            typed, numpy_outcomes(VALUES, items, typed, DISTANCES), strict=True
        ):
            np.testing.assert_allclose(model.outcome_probabilities(), expected, rtol=1e-9)
            model = model.retrieve(jnp.array(choice))


def test_context_follows_what_was_meant():
    """Letter 4 was not studied and resembles letter 1, whose turn it is: typing it is recalling 1.
    Typing 0 ends recall."""
    model = studied(VALUES, [1, 2, 3])
    meant = eqx.tree_equal(model.retrieve(jnp.array(4)).memory, model.memory.retrieve(jnp.array(1)))
    assert meant
    stopped = model.retrieve(jnp.array(0))
    np.testing.assert_array_equal(stopped.outcome_probabilities(), [1, 0, 0, 0, 0])


def test_outcomes_sum_to_one_and_all_letters_have_a_chance(x64):
    """Under CRU's own values and random others, edges included; one by one they agree. No support
    and no resemblance leave a letter the floor of the choice."""
    rng = np.random.default_rng(0)
    low, high = np.array(list(USUAL_BOUNDS.values())).T
    for _ in range(10):
        is_edge = rng.random(len(low)) < 0.3
        unit = np.where(is_edge, rng.integers(0, 2, len(low)), rng.random(len(low)))
        model = studied(dict(zip(USUAL_BOUNDS, low + unit * (high - low), strict=True)), [3, 1, 3])
        for choice in rng.integers(1, 5, 4):
            outcomes = model.outcome_probabilities()
            assert np.all(outcomes[1:] > 0)
            np.testing.assert_allclose(outcomes.sum(), 1, rtol=1e-6)
            single = [float(model.outcome_probability(jnp.array(i))) for i in range(5)]
            np.testing.assert_array_equal(single, outcomes)
            model = model.retrieve(jnp.array(choice))


def test_without_slips_it_is_serial_cru():
    """So sensitive that nothing is confused: the memory's own probabilities along a recall, with
    all letters recallable, as often as one likes."""
    letters = {**DATASET, "listLength": np.array([[4]])}
    plain = cru.make_factory(learn_after_context_update=False, allow_repeated_recalls=True)(letters)
    memory = study(plain.create_trial_model(0, VALUES), jnp.array([2, 3, 1]))
    memory = replace(memory, recallable=jnp.ones(4, bool))
    values = {**VALUES, "item_sensitivity_max": 1e6, "item_sensitivity_decrease": 1.0}
    model = studied(values, [2, 3, 1])
    for choice in jnp.array([2, 3, 3, 4]):
        np.testing.assert_array_equal(model.outcome_probabilities(), memory.outcome_probabilities())
        memory, model = memory.retrieve(choice), model.retrieve(choice)


def test_letters_at_no_distance_are_typed_alike():
    """Letters 1 and 4 are the same to the eye, and 1 was studied: each has half of its chance, but
    for the floor that 4 has of its own."""
    same = np.array([[0, 9, 9, 0.0], [9, 0, 9, 9], [9, 9, 0, 9], [0, 9, 9, 0]])
    outcomes = studied({**VALUES, "item_sensitivity_max": 50.0}, [1], distances=same)
    first, fourth = outcomes.outcome_probabilities()[jnp.array([1, 4])]
    np.testing.assert_allclose([first, fourth], (1 - 0.02) / 2, atol=1e-6)


def test_jit_and_vmap_change_nothing():
    """A batch of parameter sets gives each one's own probabilities after a slip."""

    def outcomes(sensitivity):
        model = studied({**VALUES, "item_sensitivity_max": sensitivity}, [1, 2, 3])
        return model.retrieve(jnp.array(4)).outcome_probabilities()

    sensitivities = jnp.array([0.0, 1.0, 30.0])
    batched = jax.jit(jax.vmap(outcomes))(sensitivities)
    for row, sensitivity in zip(batched, sensitivities, strict=True):
        np.testing.assert_allclose(row, outcomes(sensitivity), rtol=1e-4)


def test_a_step_keeps_shapes_and_dtypes(x64):
    """What a compiled loop needs: catches a weak type or an int that becomes a float."""
    model = make_factory()(DATASET, DISTANCES).create_trial_model(jnp.array(0), VALUES)
    one = jnp.array(1)
    forms = {
        str(jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), m))
        for m in (model, model.experience(one), model.start_retrieving(), model.retrieve(one))
    }
    assert len(forms) == 1


def test_names_and_bounds_are_those_it_reads():
    """Of CRU and of slips; what is missing is named."""
    factory = make_factory()(DATASET, DISTANCES)
    assert set(factory.parameter_names) == set(USUAL_BOUNDS)
    for missing in factory.parameter_names:
        with pytest.raises(KeyError, match=missing):
            rest = {name: VALUES[name] for name in USUAL_BOUNDS if name != missing}
            factory.create_trial_model(0, rest)


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
def test_features_that_are_no_distances_are_refused(features, message):
    """A similarity matrix, the wrong shape, an alphabet too small for the data: said at once."""
    with pytest.raises(ValueError, match=message):
        make_factory()(DATASET, features)


def test_data_need_letters():
    with pytest.raises(ValueError, match="no field 'pres_itemids'"):
        make_factory()({"listLength": np.array([[6]])}, DISTANCES)


@pytest.mark.parametrize("odd", [-1, 5, 1.5])
def test_what_is_no_letter_is_refused(odd):
    """In what was typed as in what was studied: an index that is out of range would be clipped."""
    with pytest.raises(ValueError, match=f"'rec_itemids' holds {odd}"):
        make_factory()({**DATASET, "rec_itemids": np.array([[1, odd, 0]])}, DISTANCES)
