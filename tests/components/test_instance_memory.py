"""A memory of traces: linear at sensitivity 1, by its equation elsewhere, blind to padding."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit
from forward import as_floats, play, play_one
from numpy_cmr import event_probabilities

from jaxcmr.components import InstanceMemory, instance_context_to_item, instance_item_to_context
from jaxcmr.models.cmr import make_factory

DATASET = {"listLength": np.array([[5]]), "pres_itemnos": np.arange(1, 6)[None]}
MAKE = make_factory(mfc=instance_item_to_context, mcf=instance_context_to_item)
LINEAR = {"mfc_trace_sensitivity": 1.0, "mcf_trace_sensitivity": 1.0}
SUPPORT = {"item_support": 5.0, "shared_support": 2.0}


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
    recalls = [item for item in (2, 4, 1) if item in items]
    recalls += [0] * (4 - len(recalls))
    with jax.enable_x64(True):
        ours = play_one(MAKE(DATASET), 0, items, recalls, {**parameters, **LINEAR})
    oracle = event_probabilities(parameters, 5, [item for item in items if item], recalls)
    np.testing.assert_allclose(ours, oracle, rtol=1e-9)


@pytest.mark.parametrize("sensitivity", [0.0, 0.3, 7.0])
@pytest.mark.parametrize("x64", [pytest.param(False, marks=pytest.mark.full), True], indirect=True)
def test_it_equals_numpy(sensitivity, x64):
    """Before study as in the linear memory, then three associations, written as a loop over a list
    of traces. A trace that has nothing in common with the probe never counts, even at 0."""
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
    then holds the next trace."""
    memory = plain = InstanceMemory.from_rows(jnp.eye(2), 1, jnp.array(1.0))
    pattern, nothing, rate = jnp.array([0.6, 0.8]), jnp.zeros(2), jnp.array(0.5)
    for _ in range(3):
        memory = memory.associate(pattern, nothing, rate).associate(nothing, pattern, rate)
    assert eqx.tree_equal(memory, plain)
    full = memory.associate(pattern, pattern, rate)
    assert full.count == 3
    assert eqx.tree_equal(full, full.associate(pattern, nothing, rate))


def test_a_trace_too_many_is_not_lost_silently():
    """Beyond its room the memory returns NaN, which a loss shows."""
    memory = InstanceMemory.from_rows(jnp.eye(2), 1, jnp.array(1.0))
    for _ in range(2):
        memory = memory.associate(jnp.ones(2), jnp.ones(2), jnp.array(1.0))
    assert np.all(np.isnan(memory.probe(jnp.ones(2))))


@quick_jit
def slopes_of_sets(factory, parameters):
    """Return the negative log-likelihood of a recall of 2 and then 3, and its gradient, by set."""

    def nll(parameters):
        rows = play(factory, 0, jnp.array([1, 2, 3, 0, 0]), jnp.array([2, 3]), parameters)
        return -jnp.log(rows[1, 3])

    return jax.vmap(jax.value_and_grad(nll))(parameters)


@pytest.mark.parametrize("x64", [pytest.param(False, marks=pytest.mark.full), True], indirect=True)
def test_gradients_are_finite_and_right(parameters, x64):
    """Where many traces resemble the probe by exactly 0, at which the gradient is infinite below
    exponent 1. In double precision it equals finite differences."""
    sensitivities = np.array([0.0, 0.5, 1.0, 3.0])
    own = {"mfc_trace_sensitivity": 1.5, "mcf_trace_sensitivity": sensitivities}
    sets = {name: np.broadcast_to(v, 4) for name, v in {**parameters, **own}.items()}
    moved, step = ("mcf_trace_sensitivity", "encoding_drift_rate"), 1e-6
    signs = np.repeat([0.0, step, -step, 0.0, 0.0], 4), np.repeat([0.0, 0, 0, step, -step], 4)
    sets = {name: np.tile(values, 5) for name, values in sets.items()}
    sets |= {name: sets[name] + sign for name, sign in zip(moved, signs, strict=True)}
    values, slopes = slopes_of_sets(MAKE(DATASET), as_floats(sets))
    assert all(np.all(np.isfinite(slope[:4])) for slope in slopes.values())
    if x64:
        of_set = np.asarray(values).reshape(5, 4)[
            :, 1:
        ]  # above 0, where differences have two sides
        for name, (above, below) in zip(moved, (of_set[1:3], of_set[3:5]), strict=True):
            difference = (above - below) / (2 * step)
            np.testing.assert_allclose(slopes[name][1:4], difference, rtol=1e-5, atol=1e-7)


def test_sensitivity_changes_recall(parameters):
    """Of context-to-item traces, it changes which items are recalled; of item-to-context traces,
    nothing, while an item is a single unit."""

    def first_outcomes(**sensitivity):
        values = {**parameters, **LINEAR, **sensitivity}
        return play_one(MAKE(DATASET), 0, [1, 2, 3, 4, 5], [1, 2, 3, 0], values)[0]

    plain = first_outcomes()
    assert np.max(np.abs(first_outcomes(mcf_trace_sensitivity=4.0) - plain)) > 1e-3
    np.testing.assert_allclose(first_outcomes(mfc_trace_sensitivity=4.0), plain, rtol=1e-4)
