"""Textbook CMR against the plain NumPy model, and its options."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import stop_with
from numpy_cmr import event_probabilities

from jaxcmr.models.cmr import LIMITS, USUAL_BOUNDS, make_factory

DATASET = {"listLength": np.array([[5]]), "pres_itemnos": np.arange(1, 6)[None]}


def study(factory, parameters, items):
    model = factory(DATASET).create_trial_model(jnp.array(0), parameters)
    for item in items:
        model = model.experience(jnp.array(item))
    return model.start_retrieving()


def play(model, recalls):
    """Outcome probabilities before each recall."""
    rows = []
    for choice in recalls:
        rows.append(np.asarray(model.outcome_probabilities()))
        model = model.retrieve(jnp.array(choice))
    return np.array(rows)


@pytest.mark.parametrize(
    ("items", "recalls"),
    [
        ([1, 2, 3, 4, 5], [5, 4, 1, 2, 3]),
        ([1, 2, 3, 4, 5], [3, 0, 0]),
        ([4, 2, 5], [2, 5, 0]),  # a short list in another order: items 1 and 3 are never recallable
        ([1, 2, 1, 3], [1, 3, 0]),  # an item studied twice
    ],
)
def test_outcomes_equal_numpy(items, recalls, parameters):
    """Before every event, in double precision."""
    with jax.enable_x64(True):
        ours = play(study(make_factory(), parameters, items), recalls)
        oracle = event_probabilities(parameters, 5, items, recalls)
        np.testing.assert_allclose(ours, oracle, rtol=1e-9, atol=1e-12)


def test_padding_is_inert(parameters):
    """Studying 0 changes nothing, whenever: catches a study event that padding counts as."""
    plain = study(make_factory(), parameters, [1, 2, 3])
    padded = study(make_factory(), parameters, [0, 1, 0, 2, 3, 0, 0])
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(jnp.all(a == b)), plain, padded))


def test_after_stopping_only_stopping_is_possible(parameters):
    """And stopping again changes nothing."""
    model = study(make_factory(), parameters, [1, 2, 3]).retrieve(jnp.array(2))
    stopped = model.retrieve(jnp.array(0))
    np.testing.assert_array_equal(stopped.outcome_probabilities(), [1, 0, 0, 0, 0, 0])
    assert stopped.output_position == 1


def test_repeated_recalls_are_an_option(parameters):
    """With `allow_repeated_recalls` a recalled item keeps its chance; without, it has none."""
    for allowed in (False, True):
        factory = make_factory(allow_repeated_recalls=allowed)
        model = study(factory, parameters, [1, 2, 3]).retrieve(jnp.array(2))
        assert (model.outcome_probability(jnp.array(2)) > 0) == allowed


def test_learning_before_the_update_uses_the_earlier_context(parameters):
    """The first item is then associated with the bare start of the list."""
    factory = make_factory(learn_after_context_update=False)
    model = factory(DATASET).create_trial_model(0, parameters).experience(jnp.array(1))
    before = item_row(factory, parameters)
    learned = np.asarray(model.mfc.state[0]) - before
    np.testing.assert_allclose(learned, parameters["learning_rate"] * np.eye(6)[0], rtol=1e-6)
    after = make_factory()(DATASET).create_trial_model(0, parameters).experience(jnp.array(1))
    assert (np.asarray(after.mfc.state[0]) - before)[1] > 0


def item_row(factory, parameters):
    return np.asarray(factory(DATASET).create_trial_model(0, parameters).mfc.state[0])


def test_a_part_can_be_replaced(parameters):
    """A stopping rule of one's own: never."""
    factory = make_factory(termination=stop_with(0.0))
    model = study(factory, parameters, [1, 2, 3])
    assert model.outcome_probability(jnp.array(0)) == 0
    names = factory(DATASET).parameter_names
    assert "stop_probability_scale" not in names and "choice_sensitivity" in names


def test_the_same_parts_give_the_same_factory():
    """So that a second fitter finds the programs that the first one compiled."""
    assert make_factory() is make_factory()
    one, two = make_factory()(DATASET), make_factory()(DATASET)
    assert hash(one) == hash(two) and one == two


def test_usual_bounds_cover_the_parameters():
    assert set(USUAL_BOUNDS) == set(make_factory()(DATASET).parameter_names)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("encoding_drift_rate", 1.2),
        ("start_drift_rate", 1.2),
        ("recall_drift_rate", 1.2),
        ("item_support", -9.0),
        ("stop_probability_scale", -0.1),
    ],
)
def test_outside_the_limits_there_is_no_model(name, value, parameters):
    """The equations give NaN, or a probability below 0; at the nearest limit they do not."""

    def is_model(value):
        with np.errstate(invalid="ignore"):
            rows = event_probabilities(
                {**parameters, "choice_sensitivity": 5.5, name: value}, 4, [1, 2, 3, 4], [4, 1, 2]
            )
        return bool(np.all(rows >= 0))  # False for NaN

    low, high = LIMITS[name]
    assert not low <= value <= high
    assert is_model(min(max(value, low), high)) and not is_model(value)


def test_fixed_values_outside_the_limits_are_refused(small_data):
    with pytest.raises(ValueError, match=r"'recall_drift_rate' is 2\.0"):
        make_factory(fixed={"recall_drift_rate": 2})(small_data)
