"""What the likelihood scores, the simulator draws: on lists whose recalls can all be listed."""

from collections import Counter
from functools import partial
from itertools import permutations, product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit
from model_examples import MAY_REPEAT, NOT_A_DISTRIBUTION, example_of
from scipy.stats import chisquare

from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.models import MODELS, usual_bounds
from jaxcmr.simulation import simulate_dataset

N_ITEMS = 3
N_SIMULATED = 20 * 1024  # the simulator's blocks are of 1024: none is left over
ITEMS = range(1, N_ITEMS + 1)


def all_recalls(name):
    """Everything that may be recalled of a list."""
    lengths = range(N_ITEMS + 1)
    if name in MAY_REPEAT:
        return [recall for length in lengths for recall in product(ITEMS, repeat=length)]
    return [recall for length in lengths for recall in permutations(ITEMS, length)]


@pytest.mark.parametrize("name", [name for name in MODELS if name not in NOT_A_DISTRIBUTION])
def test_simulated_recalls_are_as_frequent_as_they_are_likely(name):
    """The likelihoods of all recalls of a list sum to one, and a chi-square test finds no
    difference between them and the frequencies of simulated recalls (p > 0.001, seed fixed)."""
    recalls = all_recalls(name)
    data, features, parameters = example_of(name, N_ITEMS, len(recalls))
    for row, order in enumerate(recalls):
        data["recalls"][row, : len(order)] = order
    with jax.enable_x64(True):
        generator = MemorySearchLikelihoodFnGenerator(MODELS[name], data, features)
        nll = generator.nll_per_event(np.arange(len(recalls)), parameters)
        probabilities = np.exp(-np.asarray(nll).sum(1))
    np.testing.assert_allclose(probabilities.sum(), 1, rtol=1e-9)

    simulated = simulate_dataset(
        MODELS[name],
        {field: values[:1] for field, values in data.items()},
        parameters,
        features=features,
        n_copies=N_SIMULATED,
        seed=5,
    )
    drawn = Counter(tuple(row[row > 0].tolist()) for row in np.asarray(simulated["rec_itemids"]))
    counts = np.array([drawn[order] for order in recalls])
    assert counts.sum() == N_SIMULATED
    expected = probabilities * N_SIMULATED
    rare = expected < 5
    pooled = [np.append(some[~rare], some[rare].sum()) for some in (counts, expected)]
    keep = pooled[1] > 0
    assert chisquare(pooled[0][keep], pooled[1][keep]).pvalue > 0.001


@pytest.mark.parametrize("name", MODELS)
def test_value_and_slope_are_finite_inside_the_bounds(name):
    """At random parameters, a third of them on a bound, in single precision: the narrower one."""
    data, features, _ = example_of(name, 4, 2)
    last = 4 if name == "cmr_no_stop" else 0  # that model finds stopping early impossible
    data["recalls"][:] = [[2, 3, 1, last], [4, 1, 2, 3]]
    bounds = np.array(list(usual_bounds(name).values()))
    rng = np.random.default_rng(0)
    generator = MemorySearchLikelihoodFnGenerator(MODELS[name], data, features)
    loss = generator(np.arange(2), {}, list(usual_bounds(name)))
    unit = rng.random((24, len(bounds)))
    edge = rng.random(unit.shape)
    unit = np.where(edge < 1 / 6, 0.0, np.where(edge > 5 / 6, 1.0, unit))
    x = jnp.asarray(bounds[:, 0] + unit * (bounds[:, 1] - bounds[:, 0]))
    slope_of = partial(jax.lax.map, jax.value_and_grad(loss))
    values, slopes = quick_jit(slope_of)(x)
    assert np.all(np.isfinite(values)) and np.all(np.isfinite(slopes))
