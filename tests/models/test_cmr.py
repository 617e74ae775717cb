"""Textbook CMR against the plain NumPy model, its options, and the errors of `make_factory`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit, stop_with
from forward import play_one
from numpy_cmr import event_probabilities

from jaxcmr import components
from jaxcmr.models.cmr import make_factory
from jaxcmr.parameters import names_of

DATASET = {"listLength": np.array([[5]]), "pres_itemnos": np.arange(1, 6)[None]}


def along(factory, parameters, items, recalls):
    """Return outcome probabilities before each recall."""
    return play_one(factory(DATASET), 0, items, recalls, parameters)


@pytest.mark.parametrize(
    ("items", "recalls"),
    [
        ([1, 2, 3, 4, 5], [5, 4, 1, 2, 3]),
        ([1, 2, 3, 4, 5], [3, 0, 0, 0, 0]),
        # a short list in another order: items 1 and 3 are never recallable
        ([4, 2, 5, 0, 0], [2, 5, 0, 0, 0]),
        ([1, 2, 1, 3, 0], [1, 3, 0, 0, 0]),  # an item studied twice
        ([0, 1, 0, 2, 3], [2, 1, 3, 0, 0]),  # padding before and between: no study event
    ],
)
def test_outcomes_equal_numpy(items, recalls, parameters):
    """Before every event, in double precision; after a stop, only stopping is possible."""
    with jax.enable_x64(True):
        ours = along(make_factory(), parameters, items, recalls)
    oracle = event_probabilities(parameters, 5, [item for item in items if item], recalls)
    np.testing.assert_allclose(ours, oracle, rtol=1e-9, atol=1e-12)


@quick_jit
def learned_from_the_first_item(factory, parameters):
    """Return what item 1 points to after its study less what it pointed to before."""
    model = factory.create_trial_model(0, parameters)
    return model.experience(jnp.array(1)).mfc.state[0] - model.mfc.state[0]


def test_learning_before_the_update_uses_the_earlier_context(parameters):
    """The first item is then associated with the bare start of the list."""
    factory = make_factory(learn_after_context_update=False)(DATASET)
    start = parameters["learning_rate"] * np.eye(6)[0]
    np.testing.assert_allclose(learned_from_the_first_item(factory, parameters), start, atol=1e-6)
    assert learned_from_the_first_item(make_factory()(DATASET), parameters)[1] > 0.1


def test_repeated_recalls_are_an_option(parameters):
    """With `allow_repeated_recalls` a recalled item keeps its chance; without, it has none."""
    for allowed in (False, True):
        factory = make_factory(allow_repeated_recalls=allowed)
        rows = along(factory, parameters, [1, 2, 3, 0, 0], [2, 1, 3, 0, 0])
        assert (rows[1, 2] > 0) == allowed


def test_a_part_can_be_replaced(parameters):
    """A stopping rule of one's own, here that recall never stops; parameters follow the parts."""
    factory = make_factory(termination=stop_with(0.0))
    assert np.all(along(factory, parameters, [1, 2, 3, 4, 5], [2, 1, 3, 5, 4])[:, 0] == 0)
    names = names_of(factory.parameters)
    assert "stop_probability_scale" not in names and "choice_sensitivity" in names


def test_the_same_parts_give_the_same_factory():
    """So that a second fitter finds the programs that the first one compiled."""
    assert make_factory() is make_factory()
    one, two = make_factory()(DATASET), make_factory()(DATASET)
    assert hash(one) == hash(two) and one == two


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

    low, high = next(each.limits for each in make_factory().parameters if each.name == name)
    assert not low <= value <= high
    assert is_model(min(max(value, low), high)) and not is_model(value)


# -- errors of make_factory --


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"recall_drift_rate": 2}, r"'recall_drift_rate' is 2\.0.*0\.0 to 1\.0"),
        ({"item_support": -1}, r"'item_support' is -1\.0.*from 0\.0 upwards"),
        ({"learning_rate": np.nan}, "'learning_rate' is nan"),
        ({"primacy_scal": 0.0}, r"no parameter 'primacy_scal'. Did you mean 'primacy_scale'\?"),
        ({"semantic_scale": 1.0}, "no parameter 'semantic_scale'.*jaxcmr.parameters.reads"),
    ],
)
def test_fixed_values_are_checked(fixed, message):
    """Before there are any data: taken for nothing, the model would be another than asked for."""
    with pytest.raises(ValueError, match=message):
        make_factory(fixed=fixed)


def test_fixed_parameters_are_no_longer_free(parameters):
    """The fixed value holds, given another or none; the others keep their order."""
    factory = make_factory(fixed={"learning_rate": 0.7, "primacy_scale": 0.0})
    held = {"learning_rate", "primacy_scale"}
    expected = tuple(name for name in names_of(make_factory().parameters) if name not in held)
    assert names_of(factory.parameters) == names_of(factory(DATASET).parameters) == expected
    model = factory(DATASET).create_trial_model(0, parameters)
    assert model.parameters["learning_rate"] == np.float32(0.7)


@pytest.mark.parametrize("part", ["mfc", "mcf", "context", "termination", "choice", "cues"])
def test_a_part_that_does_not_declare_what_it_reads_is_an_error(part):
    """Also a wrapped one, whose declaration is lost: its parameters would be missing."""

    def wrapped(*args):
        return components.PowerChoice.create(*args)

    with pytest.raises(ValueError, match=r"which parameters it reads.*jaxcmr\.parameters\.reads"):
        make_factory(**{part: [wrapped] if part == "cues" else wrapped})


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {
                "mcf": components.instance_context_to_item,
                "termination": components.ContextCompetition.create,
            },
            "one more item of the linear context-to-item memory",
        ),
        (
            {
                "termination": components.SupportRatioTermination.create,
                "allow_repeated_recalls": True,
            },
            "an item is both",
        ),
        (
            {
                "cues": [components.SourceCueMaker("valence", (0, 1))],
                "termination": components.ContextCompetition.create,
            },
            "no paper defines how a source context supports it",
        ),
        (
            {
                "mcf": components.instance_context_to_item,
                "cues": [components.SemanticCueMaker("associative")],
            },
            "Associative semantics is a part of the linear",
        ),
        (
            {"choice": components.PowerChoice},
            r"choice takes a function .*Take PowerChoice\.create",
        ),
        (
            {"choice": components.PowerChoice(jnp.array(1.0))},
            r"choice takes a function .*Take PowerChoice\.create",
        ),
        ({"termination": "positional"}, "termination takes a function.*got 'positional'"),
        ({"cues": components.SemanticCueMaker()}, r"cues takes a list.*cues=\[...\]"),
    ],
    ids=[
        "competition with traces",
        "ratio with repeats",
        "competition with sources",
        "associative with traces",
        "a class",
        "a part",
        "a name",
        "a cue alone",
    ],
)
def test_parts_that_do_not_go_together_are_errors(parts, message):
    """With a sentence that says why."""
    with pytest.raises(ValueError, match=message):
        make_factory(**parts)


def test_features_that_no_cue_reads_are_a_warning():
    with pytest.warns(UserWarning, match="does not read features"):
        make_factory()(DATASET, np.ones((5, 2)))
