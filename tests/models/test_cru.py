"""CRU is CMR with mechanisms off, and CRU and CMR in one, with some mechanisms off, is CMR."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from forward import play_one
from model_examples import PARAMETERS, example_of

from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.models import MODELS, confusable_cru, cru, usual_bounds
from jaxcmr.models.cmr import make_factory
from jaxcmr.parameters import names_of


def along(factory, parameters):
    """Return outcome probabilities along a recall, in double precision."""
    data, features, _ = example_of("cmr", 5, 1)
    with jax.enable_x64(True):
        return play_one(factory(data, features), 0, [1, 2, 3, 4, 5], [3, 1, 4, 0], parameters)


def test_an_encoding_drift_rate_that_decreases_by_the_factor_1_is_constant():
    steady = {**PARAMETERS, "encoding_drift_decrease": 1.0}
    expected = along(MODELS["cmr"], PARAMETERS)
    np.testing.assert_allclose(along(MODELS["cru_cmr"], steady), expected, rtol=1e-12)
    decreasing = {**PARAMETERS, "encoding_drift_decrease": 0.9}
    assert np.max(np.abs(along(MODELS["cru_cmr"], decreasing) - expected)) > 1e-3


def test_cru_is_cmr_with_its_mechanisms_off():
    """The values of `TOGGLES` given as parameters, or fixed; each mechanism on makes a change."""
    expected = along(MODELS["cmr"], {**PARAMETERS, **cru.off(*cru.TOGGLES)})
    own = {name: PARAMETERS[name] for name in usual_bounds("cru")}
    np.testing.assert_allclose(along(MODELS["cru"], own), expected, rtol=1e-12)
    values = {**PARAMETERS, "encoding_drift_decrease": 0.9}
    for mechanism in cru.TOGGLES:
        changed = along(cru.make_factory(mechanism), values)
        assert np.max(np.abs(changed - expected)) > 1e-6, mechanism


def test_what_is_off_is_fixed_and_the_rest_is_free():
    """Together they are all parameters of the model with every mechanism on; and the parameters of
    a factory are those that its mechanisms leave free."""
    without = ("primacy", "start_drift")
    free, fixed = cru.bounds_without(*without), cru.off(*without)
    everything = names_of(cru.make_factory(*cru.TOGGLES).parameters)
    assert {*free, *fixed} == set(everything) and not set(free) & set(fixed)
    on = [name for name in cru.TOGGLES if name not in without]
    assert names_of(cru.make_factory(*on).parameters) == tuple(free)


@pytest.mark.parametrize(
    "call", [cru.make_factory, cru.off, cru.bounds_without, confusable_cru.make_factory]
)
def test_misspelled_mechanisms_are_errors(call):
    """Taken for nothing, the model would be another than the one that is asked for."""
    with pytest.raises(ValueError, match=r"mechanism 'feature-to-context'.*feature_to_context"):
        call("feature-to-context")


def test_cru_fixes_what_it_turns_off():
    """Its factory is CMR's with the values of `TOGGLES` fixed: nothing else tells them apart."""
    held = cru.off(*(name for name in cru.TOGGLES if name != "drift_decrease"))
    assert cru.make_factory() is make_factory(fixed=held)


def test_a_drift_that_stops_at_once_has_a_finite_gradient():
    """At a decrease of 0 the rate is ``rate * 0^k``: 0^0 is 1, and its derivative by 0 is 0."""
    data = {
        "subject": np.ones((1, 1), int),
        "listLength": np.array([[3]]),
        "pres_itemnos": np.array([[1, 2, 3]]),
        "recalls": np.array([[3, 1, 0]]),
    }
    generator = MemorySearchLikelihoodFnGenerator(MODELS["cru_cmr"], data)
    values = {**PARAMETERS, "encoding_drift_decrease": 0.0}
    names = tuple(usual_bounds("cru_cmr"))
    loss = generator(np.array([0]), {}, names)
    gradient = jax.jit(jax.grad(loss))(jnp.array([values[name] for name in names]))
    assert np.all(np.isfinite(gradient))
