"""What the likelihood scores, the simulator draws: on lists whose recalls can all be listed."""

from collections import Counter
from itertools import permutations, product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit
from forward import as_floats, play
from model_examples import MAY_REPEAT, MODELS_IN_FULL, NOT_A_DISTRIBUTION, example_of
from scipy.stats import chisquare

from jaxcmr.models import MODELS
from jaxcmr.simulation import recall_freely, simulate_dataset, study

N_ITEMS = 3
N_SIMULATED = 8192
ITEMS = range(1, N_ITEMS + 1)
DISTRIBUTIONS = [name for name in MODELS_IN_FULL if name not in NOT_A_DISTRIBUTION]


def all_recalls(name):
    """Return everything that may be recalled of a list, ended by zeros."""
    lengths = range(N_ITEMS + 1)
    if name in MAY_REPEAT:
        recalls = [recall for length in lengths for recall in product(ITEMS, repeat=length)]
    else:
        recalls = [recall for length in lengths for recall in permutations(ITEMS, length)]
    return np.array([[*recall, *[0] * (N_ITEMS - len(recall))] for recall in recalls])


@quick_jit
def score_and_simulate(factory, parameters, items, recalls, keys):
    """Return the probabilities of `recalls`, and a simulated recall for each key."""

    def probability(choices):
        rows = play(factory, 0, items, choices, parameters)
        return jnp.prod(jnp.take_along_axis(rows, choices[:, None], axis=1))

    model = study(factory.create_trial_model(0, parameters), items)
    simulated = jax.vmap(lambda key: recall_freely(model, key, N_ITEMS))(keys)
    return jax.vmap(probability)(recalls), simulated


def check_frequencies(recalls, probabilities, simulated):
    """Check that simulated recalls are as frequent as they are likely (p > 0.001).

    Recalls expected less than five times are counted together.
    """
    drawn = Counter(map(tuple, np.asarray(simulated).tolist()))
    counts = np.array([drawn[recall] for recall in map(tuple, recalls.tolist())])
    assert counts.sum() == len(simulated)
    expected = np.asarray(probabilities) * len(simulated)
    rare = expected < 5
    pooled = [np.append(some[~rare], some[rare].sum()) for some in (counts, expected)]
    keep = pooled[1] > 0
    assert chisquare(pooled[0][keep], pooled[1][keep]).pvalue > 0.001


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_simulated_recalls_are_as_frequent_as_they_are_likely(name):
    """The likelihoods of all recalls of a list sum to one, and a chi-square test finds no
    difference between them and the frequencies of simulated recalls."""
    recalls = all_recalls(name)
    data, features, parameters = example_of(name, N_ITEMS, 1)
    with jax.enable_x64(True):
        probabilities, simulated = score_and_simulate(
            MODELS[name](data, features),
            as_floats(parameters),
            jnp.array(ITEMS),
            jnp.asarray(recalls),
            jax.random.split(jax.random.key(5), N_SIMULATED),
        )
    np.testing.assert_allclose(np.asarray(probabilities).sum(), 1, rtol=1e-9)
    check_frequencies(recalls, probabilities, simulated)


@pytest.mark.full
@pytest.mark.parametrize("name", ["cmr", "positional_cmr", "confusable_cru"])
def test_simulated_data_sets_are_as_likely(name):
    """The same of `simulate_dataset`, whose recalls may be study positions or letters."""
    recalls = all_recalls(name)
    data, features, parameters = example_of(name, N_ITEMS, 1)
    with jax.enable_x64(True):
        probabilities, _ = score_and_simulate(
            MODELS[name](data, features),
            as_floats(parameters),
            jnp.array(ITEMS),
            jnp.asarray(recalls),
            jax.random.split(jax.random.key(5), 2),
        )
    simulated = simulate_dataset(
        MODELS[name], data, parameters, features=features, n_copies=N_SIMULATED, seed=5
    )
    check_frequencies(recalls, probabilities, simulated["rec_itemids"])
