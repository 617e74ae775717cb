"""The parts of a model, by hand-worked numbers and by what must always hold."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcmr.components import (
    LinearMemory,
    PositionalTermination,
    PowerChoice,
    RecallState,
    SupportRatioTermination,
    TemporalContext,
    context_to_item,
    item_to_context,
)
from jaxcmr.components.context import drift


def test_drift_towards_an_orthogonal_input():
    """With c . u = 0, rho = sqrt(1 - b^2): b = 0.6 gives 0.8 c + 0.6 u. The input's length does
    not matter."""
    drifted = drift(jnp.array([1.0, 0.0]), jnp.array([0.0, 7.0]), jnp.array(0.6))
    np.testing.assert_allclose(drifted, [0.8, 0.6], rtol=1e-6)


def test_drift_keeps_unit_length(x64):
    """For random contexts, inputs and rates, 0 and 1 included."""
    rng = np.random.default_rng(0)
    for rate in [0.0, 1.0, *rng.random(20)]:
        context, context_input = rng.normal(size=(2, 5))
        context = jnp.asarray(context / np.linalg.norm(context))
        drifted = drift(context, jnp.asarray(context_input), jnp.asarray(rate))
        np.testing.assert_allclose(np.linalg.norm(drifted), 1, rtol=1e-5)


def test_a_zero_input_leaves_context_alone():
    """Padding must not shrink context, as ``rho c`` alone would."""
    context = jnp.array([0.6, 0.8])
    np.testing.assert_array_equal(drift(context, jnp.zeros(2), jnp.array(0.5)), context)


def test_return_to_start():
    """At rate 1, context is the start of the list again."""
    context = TemporalContext.create(2, {})
    away = context.integrate(jnp.array([0.0, 0.0, 1.0]), jnp.array(0.9))
    np.testing.assert_allclose(away.return_to_start(jnp.array(1.0)).state, [1, 0, 0], atol=1e-3)


def test_linear_memory_adds_outer_products():
    """(1, 2) to (3, 4) at rate 0.5 adds [[1.5, 2], [3, 4]]; probing with (1, 1) sums its rows."""
    memory = LinearMemory(jnp.ones((2, 2)))
    memory = memory.associate(jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0]), jnp.array(0.5))
    np.testing.assert_allclose(memory.state, [[2.5, 3], [4, 5]])
    np.testing.assert_allclose(memory.probe(jnp.array([1.0, 1.0])), [6.5, 8])


def test_memories_before_study():
    """For two items and three context units (start first)."""
    np.testing.assert_allclose(
        item_to_context(2, {"learning_rate": 0.3}).state, [[0, 0.7, 0], [0, 0, 0.7]], rtol=1e-6
    )
    memory = context_to_item(2, {"item_support": 5.0, "shared_support": 2.0})
    np.testing.assert_allclose(memory.state, [[0, 0], [5, 2], [2, 5]])


def test_power_choice():
    """Supports 1, 2, 4 with sensitivity 2 share as 1 : 4 : 16; the one recalled gets nothing."""
    choice = PowerChoice(jnp.array(2.0))
    recallable = jnp.array([True, True, False, True])
    shares = choice(jnp.array([1.0, 2.0, 9.0, 4.0]), recallable)
    np.testing.assert_allclose(shares, np.array([1, 4, 0, 16]) / 21, rtol=1e-5)


@pytest.mark.parametrize("sensitivity", [0.0, 1e-16, 1.0, 100.0])
def test_power_choice_gives_every_item_a_chance(sensitivity, x64):
    """Shares sum to one and every recallable item has some, without support or beside a giant."""
    choice = PowerChoice(jnp.asarray(sensitivity))
    for support in ([0.0, 0.0, 0.0], [0.0, 1e-30, 1e30], [1.0, 1.0, 1.0]):
        shares = choice(jnp.asarray(support), jnp.array([True, True, True]))
        assert np.all(shares > 0)
        np.testing.assert_allclose(shares.sum(), 1, rtol=1e-6)
    assert choice(jnp.ones(3), jnp.zeros(3, bool)).tolist() == [0, 0, 0]


def test_support_ratio_termination():
    """0.1 + exp(-2 (3 + 1) / 4) after recall of the item with support 4; 0.1 before any."""
    stop = SupportRatioTermination(jnp.array(0.1), jnp.array(2.0))
    support = jnp.array([4.0, 3.0, 1.0, 9.0])  # the last was not studied
    none, first = jnp.zeros(4, bool), jnp.array([True, False, False, False])
    to_come = jnp.array([False, True, True, False])
    later = stop(RecallState(jnp.array(1), to_come, first, support))
    np.testing.assert_allclose(later, 0.1 + np.exp(-2.0), rtol=1e-6)
    start = stop(RecallState(jnp.array(0), to_come | first, none, support))
    np.testing.assert_allclose(start, 0.1, rtol=1e-6)


def test_positional_termination():
    """0.05 exp(0.2 x 3) at the fourth event; capped at 1 - 5 x 2^-23 with five items left."""
    recallable = jnp.array([True] * 5 + [False])
    stop = PositionalTermination(jnp.array(0.05), jnp.array(0.2))
    np.testing.assert_allclose(
        stop(RecallState(jnp.array(3), recallable)), 0.05 * np.exp(0.6), rtol=1e-6
    )
    sure = PositionalTermination(jnp.array(0.9), jnp.array(10.0))
    np.testing.assert_allclose(
        1 - sure(RecallState(jnp.array(3), recallable)), 5 * 2.0**-23, rtol=1e-6
    )
