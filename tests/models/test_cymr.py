"""CMR with exponential choice is the model of cymr (Morton & Polyn, 2016), a package of its own.

Not a requirement of ours (its licence is the GPL): ``pip install cymr`` to run this.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcmr import simulation
from jaxcmr.models import MODELS, usual_bounds

study = eqx.filter_jit(simulation.study)

network = pytest.importorskip("cymr.network")

N = 8


def cymr_probabilities(p, recalls):
    """Probability of each recall (0-based items) and of stopping after them, by cymr."""
    units = {"task": {"item": N, "start": 1}}  # in this order: p_recall counts from the first
    net = network.Network(units, units)
    item, start = ("task", "item"), ("task", "start")
    net.add_pre_weights("fc", start, start, np.eye(1))
    net.add_pre_weights("fc", item, item, (1 - p["learning_rate"]) * np.eye(N))
    own = p["item_support"] - p["shared_support"]
    net.add_pre_weights("cf", item, item, own * np.eye(N) + p["shared_support"])
    attention = p["primacy_scale"] * np.exp(-p["primacy_decay"] * np.arange(N)) + 1
    net.update(("task", "start", 0), ["task"])
    items = np.arange(N)
    net.study(item, items, "task", p["encoding_drift_rate"], p["learning_rate"], attention)
    net.integrate(("task", "start", 0), "task", p["start_drift_rate"])
    positions = np.arange(len(recalls) + 1)
    stop = p["stop_probability_scale"] * np.exp(p["stop_probability_growth"] * positions)
    stop = np.minimum(stop, 1 - 2.0**-23 * (N - positions))
    rate, temperature = p["recall_drift_rate"], p["choice_temperature"]
    return net.p_recall(item, recalls, "task", rate, temperature, stop, 0.0)


def test_event_probabilities_are_those_of_cymr():
    """On 100 random parameter sets, each with a random recall, to 1e-9."""
    rng = np.random.default_rng(0)
    bounds = usual_bounds("cmr_exponential")
    data = {"listLength": np.full((1, 1), N)}
    with jax.enable_x64(True):
        factory = MODELS["cmr_exponential"](data, None)

        def events(p, recalls):
            model = study(factory.create_trial_model(jnp.array(0), p), jnp.arange(1, N + 1))
            found = []
            for choice in recalls:
                found.append(model.outcome_probability(choice + 1))
                model = model.retrieve(choice + 1)
            return jnp.stack([*found, model.outcome_probability(jnp.array(0))])

        events = jax.jit(events)
        for _ in range(100):
            p = {name: rng.uniform(low, min(high, 10)) for name, (low, high) in bounds.items()}
            p["stop_probability_growth"] = rng.uniform(0, 0.5)
            p["choice_temperature"] = rng.uniform(1, 10)  # below, cymr overflows
            recalls = rng.permutation(N)[:5]
            expected = cymr_probabilities(p, recalls)
            np.testing.assert_allclose(events(p, jnp.asarray(recalls)), expected, rtol=0, atol=1e-9)
