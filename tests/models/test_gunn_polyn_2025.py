"""The published variants, at the published parameters, give the published likelihoods."""

import json
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcmr.datasets import generate_trial_mask, load_data
from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.models import MODELS, usual_bounds
from jaxcmr.models.gunn_polyn_2025 import VARIANTS

ONE_SUBJECT = Path(__file__).with_name("published_fits.json")
SHARED = Path(__file__).parents[3] / "shared"
ALL = SHARED / "reference" / "HealeyKahana2014_published_fits.json"
REAL = SHARED / "data" / "HealeyKahana2014.h5"


@pytest.fixture(scope="module")
def nll():
    """``nll(data, trials, variant, parameters)``: one program for each model."""
    evaluate = eqx.filter_jit(lambda loss, x: loss(x))
    made = {}

    def of_trials(data, trials, variant, parameters):
        model, _, fixed = VARIANTS[variant]
        if (id(data), model) not in made:
            made[id(data), model] = MemorySearchLikelihoodFnGenerator(MODELS[model], data)
        names = list(usual_bounds(model))
        values = {**fixed, **parameters}
        x = jnp.array([values[name] for name in names])
        return float(evaluate(made[id(data), model](trials, {}, names), x))

    with jax.enable_x64(True):
        yield of_trials


@pytest.mark.parametrize("variant", VARIANTS)
def test_one_subject_under_every_variant(peers, nll, variant):
    """Subject 63, within 0.01 nats (published in single precision); a slip in any of the four
    ways in which the published model differs from the textbook costs whole nats."""
    published = json.loads(ONE_SUBJECT.read_text())
    fit = published["fits"][variant]
    assert set(fit["parameters"]) == set(VARIANTS[variant].free)
    trials = np.flatnonzero(peers["subject"].ravel() == published["subject"])
    assert abs(nll(peers, trials, variant, fit["parameters"]) - fit["nll"]) < 0.01


@pytest.mark.slow
@pytest.mark.skipif(not (ALL.exists() and REAL.exists()), reason="the published file is not here")
def test_all_published_fits(nll):
    """All 720 published likelihoods, 20 subjects under 36 variants, within 0.01 nats."""
    data = load_data(REAL)
    mask = generate_trial_mask(data, "data['listtype'] == -1")
    for variant, fits in json.loads(ALL.read_text()).items():
        for i, subject in enumerate(fits["subject"]):
            trials = np.flatnonzero(mask & (data["subject"].ravel() == subject))
            parameters = {name: values[i] for name, values in fits["parameters"].items()}
            found = nll(data, trials, variant, parameters)
            assert abs(found - fits["fitness"][i]) < 0.01, (variant, subject)


def test_the_table_is_the_publication():
    """36 variants; each model's parameters are free or fixed, never both or neither."""
    assert len(VARIANTS) == 36
    for model, free, fixed in VARIANTS.values():
        assert {*free, *fixed} == set(usual_bounds(model)) | set(fixed)
        assert not set(free) & set(fixed)
