"""CRU is CMR with mechanisms off, and an omnibus with some of them at rest is CMR."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_examples import PARAMETERS, example_of

from jaxcmr import components, simulation
from jaxcmr.models import MODELS, confusable_cru, cru, usual_bounds
from jaxcmr.models.cmr import make_factory

study = eqx.filter_jit(simulation.study)


def along(factory, parameters, order=(3, 1, 4)):
    """Outcome probabilities at each step of a recall."""
    data, features, _ = example_of("cmr", 5, 1)
    model = factory(data, features).create_trial_model(jnp.array(0), parameters)
    model = study(model, jnp.arange(1, 6))
    steps = [model.outcome_probabilities()]
    for choice in order:
        model = model.retrieve(jnp.array(choice))
        steps.append(model.outcome_probabilities())
    return np.stack(steps)


def test_encoding_drift_that_decreases_by_the_factor_1_is_constant():
    with jax.enable_x64(True):
        slows = {**PARAMETERS, "encoding_drift_decrease": 1.0}
        expected = along(MODELS["cmr"], PARAMETERS)
        np.testing.assert_allclose(along(MODELS["cru_cmr"], slows), expected, rtol=1e-12)
        slows["encoding_drift_decrease"] = 0.9
        assert np.max(np.abs(along(MODELS["cru_cmr"], slows) - expected)) > 1e-3


def test_cru_is_cmr_with_its_mechanisms_off():
    """The values of `TOGGLES` given as parameters, or fixed; each mechanism on makes a change."""
    with jax.enable_x64(True):
        off = {**PARAMETERS, **cru.off(*cru.TOGGLES)}
        expected = along(MODELS["cmr"], off)
        own = {name: PARAMETERS[name] for name in usual_bounds("cru")}
        np.testing.assert_allclose(along(MODELS["cru"], own), expected, rtol=1e-12)
        for mechanism in cru.TOGGLES:
            on = {**PARAMETERS, "encoding_drift_decrease": 0.9}
            changed = along(cru.make_factory(mechanism), on)
            assert np.max(np.abs(changed - expected)) > 1e-6, mechanism


def test_free_and_fixed_parameters_are_all_there_are():
    without = ("primacy", "start_drift")
    free, fixed = cru.bounds_without(*without), cru.off(*without)
    assert set(free) | set(fixed) == set(cru.OMNIBUS_BOUNDS) and not set(free) & set(fixed)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ("instance competition", "nothing for it to be an item of"),
        ("ratio repeats", "an item is both"),
        ("sources competition", "what source contexts have learned of it no paper says"),
        ("a class", r"choice takes a function .*Take PowerChoice\.create"),
        ("a part", r"choice takes a function .*Take PowerChoice\.create"),
        ("a name", "termination takes a function.*got 'positional'"),
        ("a cue alone", r"cues takes a list.*cues=\[...\]"),
    ],
)
def test_parts_that_make_no_sense_together_are_refused(parts, message):
    """With a sentence that says why."""
    chosen = {
        "instance competition": {
            "mcf": components.instance_context_to_item,
            "termination": components.ContextCompetition.create,
        },
        "ratio repeats": {
            "termination": components.SupportRatioTermination.create,
            "allow_repeated_recalls": True,
        },
        "sources competition": {
            "cues": [components.SourceCueMaker("valence", (0, 1))],
            "termination": components.ContextCompetition.create,
        },
        "a class": {"choice": components.PowerChoice},
        "a part": {"choice": components.PowerChoice(jnp.array(1.0))},
        "a name": {"termination": "positional"},
        "a cue alone": {"cues": components.SemanticCueMaker()},
    }
    with pytest.raises(ValueError, match=message):
        make_factory(**chosen[parts])


def test_misspelt_names_are_refused():
    """A mechanism, turned on or off, or a fixed parameter: taken for nothing, the model would be
    another than the one that is asked for."""
    for call in (cru.make_factory, cru.off, cru.bounds_without, confusable_cru.make_factory):
        with pytest.raises(ValueError, match=r"no mechanism 'feature-to-context'.*drift_decrease"):
            call("feature-to-context")
    data, features, _ = example_of("cmr", 5, 1)
    with pytest.raises(ValueError, match=r"'primacy_scal'. Did you mean 'primacy_scale'\?"):
        make_factory(fixed={"primacy_scal": 0.0})(data, features)


def test_support_ratio_by_hand():
    """0.1 + exp(-2 (3 + 1) / 4) after recall of the item with support 4; 0.1 before any."""
    stop = components.SupportRatioTermination(jnp.array(0.1), jnp.array(2.0))
    support = jnp.array([4.0, 3.0, 1.0, 9.0])  # the last was not studied
    none, first = jnp.zeros(4, bool), jnp.array([True, False, False, False])
    to_come = jnp.array([False, True, True, False])
    later = stop(components.RecallState(jnp.array(1), to_come, first, support))
    np.testing.assert_allclose(later, 0.1 + np.exp(-2.0), rtol=1e-6)
    start = stop(components.RecallState(jnp.array(0), to_come | first, none, support))
    np.testing.assert_allclose(start, 0.1, rtol=1e-6)
