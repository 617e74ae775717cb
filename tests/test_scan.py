"""The loop over events: it carries what changes, leaves out what does not happen, and widens."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jaxcmr._scan import scan_model


class Counter(eqx.Module):
    """Adds `rate` at every event; `table` never changes."""

    value: jax.Array
    rate: jax.Array
    table: jax.Array


def add(counter, event):
    after = Counter(counter.value + counter.rate * event, counter.rate, counter.table)
    return after, after.value


def test_it_is_a_scan():
    """1 + 2 + 3, after each event."""
    start = Counter(jnp.array(0.0), jnp.array(1.0), jnp.ones(3))
    end, values = scan_model(add, start, jnp.array([1.0, 2.0, 3.0]))
    assert values.tolist() == [1, 3, 6] and end.value == 6 and end.table is start.table


def test_events_that_do_not_happen_change_nothing():
    """Their outputs are 0, and the state stays."""
    start = Counter(jnp.array(0.0), jnp.array(1.0), jnp.ones(3))
    happens = jnp.array([True, False, True])
    end, values = scan_model(add, start, jnp.array([1.0, 2.0, 3.0]), happens)
    assert values.tolist() == [1, 0, 4] and end.value == 4


def test_candidates_that_a_step_brings_are_carried_from_the_start():
    """One value for all becomes a value for each once rates differ."""
    start = Counter(jnp.zeros(1), jnp.array([1.0, 10.0]), jnp.ones(3))
    end, values = scan_model(add, start, jnp.array([1.0, 2.0]))
    np.testing.assert_array_equal(values, [[1, 10], [3, 30]])
    assert end.rate is start.rate


def test_gradients_pass_events_that_do_not_happen():
    def last(rate):
        start = Counter(jnp.array(0.0), rate, jnp.ones(3))
        return scan_model(add, start, jnp.arange(3.0), jnp.array([True, False, True]))[0].value

    assert jax.grad(last)(jnp.array(5.0)) == 2
