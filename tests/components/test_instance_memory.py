"""A memory of traces: linear at sensitivity 1, by its equation elsewhere, blind to padding."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit
from numpy_cmr import event_probabilities

from jaxcmr import simulation
from jaxcmr.components import InstanceMemory, instance_context_to_item, instance_item_to_context
from jaxcmr.models.cmr import make_factory

study = eqx.filter_jit(simulation.study)

DATASET = {"listLength": np.array([[5]]), "pres_itemnos": np.arange(1, 6)[None]}
MAKE = make_factory(mfc=instance_item_to_context, mcf=instance_context_to_item)
LINEAR = {"mfc_trace_sensitivity": 1.0, "mcf_trace_sensitivity": 1.0}
SUPPORT = {"item_support": 5.0, "shared_support": 2.0}


def studied(parameters, items):
    return study(MAKE(DATASET).create_trial_model(0, parameters), jnp.asarray(items))


def test_one_trace_by_hand():
    """Two units that point to (4, 0) and (0, 4), then a trace from (0.6, 0.8) to 0.5 (2, 6). The
    probe (1, 0) resembles them by 1, 0 and 0.6; with sensitivity 2 they count 1, 0 and 0.36."""
    memory = InstanceMemory.from_rows(4 * jnp.eye(2), 1, jnp.array(2.0))
    probe = jnp.array([1.0, 0.0])
    np.testing.assert_allclose(memory.probe(probe), [4, 0])
    memory = memory.associate(jnp.array([0.6, 0.8]), jnp.array([2.0, 6.0]), jnp.array(0.5))
    np.testing.assert_allclose(memory.probe(probe), [4.36, 1.08], rtol=1e-6)
    np.testing.assert_allclose(memory.probe(-probe), [-4.36, -1.08], rtol=1e-6)


@pytest.mark.parametrize("items", [[1, 2, 3, 4, 5], [4, 0, 2, 5, 0], [1, 2, 1, 3, 1]])
def test_sensitivity_one_is_the_linear_memory(items, parameters):
    """A whole trial of CMR, event by event, against the matrices of the NumPy model; lists with
    padding and with repeats. Catches a trace lost, overwritten, or stored with the wrong rate."""
    recalls = [i for i in (2, 4, 1) if i in items]
    with jax.enable_x64(True):
        model = studied({**parameters, **LINEAR}, items)
        oracle = event_probabilities(parameters, 5, [i for i in items if i], [*recalls, 0])
        for choice, expected in zip([*recalls, 0], oracle, strict=True):
            np.testing.assert_allclose(model.outcome_probabilities(), expected, rtol=1e-9)
            model = model.retrieve(jnp.array(choice))


@pytest.mark.parametrize("sensitivity", [0.0, 0.3, 2.5, 7.0])
def test_it_equals_numpy(sensitivity, x64):
    """Before study as MODELS' section 1 has it, then three associations, written as a loop over a
    list of traces. No trace that has nothing in common with the probe counts, even at 0."""
    rng = np.random.default_rng(0)
    memory = instance_context_to_item(3, {**SUPPORT, "mcf_trace_sensitivity": sensitivity})
    traces = [
        (np.eye(4)[j], [0 if j == 0 else 5 if i == j - 1 else 2 for i in range(3)])
        for j in range(4)
    ]
    for _ in range(3):
        context, item, rate = np.round(rng.random(4)) * rng.random(4), rng.random(3), rng.random()
        memory = memory.associate(jnp.asarray(context), jnp.asarray(item), jnp.asarray(rate))
        traces.append((context, rate * item))
    for probe in (rng.random(4), np.eye(4)[2], np.zeros(4)):
        expected = np.zeros(3)
        for in_trace, out_trace in traces:
            similarity = sum(in_trace * probe)
            if similarity > 0:
                expected += similarity**sensitivity * np.asarray(out_trace)
        ours = memory.probe(jnp.asarray(probe))
        np.testing.assert_allclose(ours, expected, rtol=1e-9 if x64 else 1e-5)


def test_padding_takes_no_room():
    """Any number of zero patterns, at either end, leave every leaf as it is; the room that is left
    then holds what is studied."""
    memory = plain = InstanceMemory.from_rows(jnp.eye(2), 1, jnp.array(1.0))
    pattern, nothing, rate = jnp.array([0.6, 0.8]), jnp.zeros(2), jnp.array(0.5)
    for _ in range(3):
        memory = memory.associate(pattern, nothing, rate).associate(nothing, pattern, rate)
    assert eqx.tree_equal(memory, plain)
    full = memory.associate(pattern, pattern, rate)
    assert full.count == 3
    assert eqx.tree_equal(full, full.associate(pattern, nothing, rate))


def test_a_trace_too_many_is_not_lost_silently():
    """Beyond its room the memory answers NaN: a loss that shows it, not a list half learned."""
    memory = InstanceMemory.from_rows(jnp.eye(2), 1, jnp.array(1.0))
    for _ in range(2):
        memory = memory.associate(jnp.ones(2), jnp.ones(2), jnp.array(1.0))
    assert np.all(np.isnan(memory.probe(jnp.ones(2))))


@pytest.mark.parametrize("sensitivity", [0.0, 0.5, 1.0, 3.0])
def test_gradient_is_finite_and_right(sensitivity, parameters, x64):
    """Of a recall's log-probability, where many traces resemble the probe by exactly 0, whose slope
    is infinite below exponent 1. In double precision it equals finite differences."""
    values = {**parameters, "mfc_trace_sensitivity": 1.5, "mcf_trace_sensitivity": sensitivity}

    def nll(values):
        model = studied(values, [1, 2, 3, 0, 0]).retrieve(jnp.array(2))
        return -jnp.log(model.outcome_probability(jnp.array(3)))

    values = {name: jnp.asarray(value, float) for name, value in values.items()}
    slope = quick_jit(jax.value_and_grad(nll))
    _, jac = slope(values)
    assert all(np.isfinite(part) for part in jac.values())
    if x64 and sensitivity > 0:
        for name in ("mcf_trace_sensitivity", "encoding_drift_rate"):
            up, down = ({**values, name: values[name] + step} for step in (1e-6, -1e-6))
            difference = (slope(up)[0] - slope(down)[0]) / 2e-6
            np.testing.assert_allclose(jac[name], difference, rtol=1e-5, atol=1e-7)


def test_jit_and_vmap_change_nothing(parameters):
    """A batch of sensitivities gives each its own probabilities: the last as if alone."""
    sensitivities = jnp.array([0.5, 1.0, 4.0])

    def outcomes(sensitivity):
        own = {"mfc_trace_sensitivity": 1.0, "mcf_trace_sensitivity": sensitivity}
        return studied({**parameters, **own}, [1, 2, 3, 4, 5]).outcome_probabilities()

    batched = jax.jit(jax.vmap(outcomes))(sensitivities)
    np.testing.assert_allclose(batched[2], outcomes(sensitivities[2]), rtol=1e-4)
    assert np.all(np.ptp(np.asarray(batched)[:, 1:], axis=0) > 1e-3)


def test_parameter_names():
    """A fitter learns of both sensitivities and of what the memories before study read."""
    names = MAKE(DATASET).parameter_names
    assert {*LINEAR, *SUPPORT, "learning_rate"} <= set(names)
