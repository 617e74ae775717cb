"""eCMR and CMR3: plain CMR where emotion adds nothing, NumPy elsewhere, a distribution always."""

import numpy as np
import pytest
from forward import likelihoods, one_list
from model_examples import PARAMETERS
from numpy_cmr import EPS, drift

from jaxcmr.models import cmr
from jaxcmr.models.ecmr import make_cmr3_factory, make_factory

MODELS = {"eCMR": make_factory(), "CMR3": make_cmr3_factory()}
EMOTION = {"source_drift_rate": 0.6, "emotion_scale": 2.5}


@pytest.fixture(params=MODELS)
def factory(request):
    return MODELS[request.param]


@pytest.fixture(scope="module")
def data(small_data):
    """Six-item lists, half of the items emotional; items numbered in any order."""
    rng = np.random.default_rng(1)
    items = np.array([rng.permutation(6) + 1 for _ in range(20)])
    return {**small_data, "pres_itemnos": items, "valence": rng.integers(0, 2, items.shape)}


def test_scale_zero_is_plain_cmr(factory, data):
    """Where all items are emotional; at scale 2.5 it is another model. (Neutral items are learned
    with factor 1 at any scale, and are then supported by the source context.)"""
    emotional = {**data, "valence": np.ones_like(data["valence"])}
    plain = likelihoods(cmr.make_factory(), data, PARAMETERS)
    ours = likelihoods(factory, emotional, {**PARAMETERS, **EMOTION, "emotion_scale": 0.0})
    np.testing.assert_allclose(ours, plain, rtol=1e-12)
    mixed = likelihoods(factory, data, {**PARAMETERS, **EMOTION})
    assert np.abs(mixed - plain).max() > 0.01


def test_neutral_lists_have_the_same_likelihood_at_any_scale(factory, data):
    """Only the learning of emotional items is scaled."""
    neutral = {**data, "valence": np.zeros_like(data["valence"])}
    values = [
        likelihoods(factory, neutral, {**PARAMETERS, **EMOTION, "emotion_scale": scale})
        for scale in (0, 9)
    ]
    np.testing.assert_array_equal(*values)


def numpy_trial(p, sources, emphasis, recalls):
    """Return the probability of each recall of a list of three."""
    temporal, source = np.eye(4)[0], np.eye(3)[0]
    mfc = np.hstack([np.zeros((3, 1)), (1 - p["learning_rate"]) * np.eye(3)])
    mcf, from_source = np.full((4, 3), p["shared_support"]), np.zeros((3, 3))
    mcf[0] = 0
    for i in range(3):
        mcf[i + 1, i] = p["item_support"]
    for i in range(3):
        temporal = drift(temporal, mfc[i], p["encoding_drift_rate"])
        source = drift(source, sources[i], p["source_drift_rate"])
        mfc[i] += p["learning_rate"] * temporal
        attention = p["primacy_scale"] * np.exp(-p["primacy_decay"] * i) + 1
        mcf[:, i] += attention * temporal
        from_source[:, i] += attention * emphasis[i] * source
    temporal = drift(temporal, np.eye(4)[0], p["start_drift_rate"])
    source = drift(source, np.eye(3)[0], p["start_drift_rate"])
    left, found = [0, 1, 2], []
    for j, recall in enumerate(recalls):
        stop = p["stop_probability_scale"] * np.exp(p["stop_probability_growth"] * j)
        support = (temporal @ mcf + source @ from_source)[left]
        strength = (support / support.max()) ** p["choice_sensitivity"] + EPS
        found.append((1 - stop) * strength[left.index(recall - 1)] / strength.sum())
        left.remove(recall - 1)
        temporal = drift(temporal, mfc[recall - 1], p["recall_drift_rate"])
        source = drift(source, sources[recall - 1], p["source_drift_rate"])
    return np.array(found)


@pytest.mark.parametrize(
    ("model", "valence", "units", "emphasis"),
    [
        ("eCMR", [1, 0, 1], [1, 2, 1], [2.5, 1, 2.5]),
        ("CMR3", [1, 0, -1], [2, None, 1], [2.5, 1, 2.5]),
    ],
)
def test_a_trial_equals_numpy(model, valence, units, emphasis):
    """Item 3 recalled, then 2, then 1. Catches a source that is not brought back by recall, and
    learning without attention."""
    p = {**PARAMETERS, **EMOTION}
    sources = [np.zeros(3) if unit is None else np.eye(3)[unit] for unit in units]
    data = {**one_list([1, 2, 3], [(3, 2, 1)]), "valence": np.array([valence])}
    ours = likelihoods(MODELS[model], data, p)[0, :3]
    np.testing.assert_allclose(ours, numpy_trial(p, sources, emphasis, (3, 2, 1)), rtol=1e-9)


def test_codes_and_factories(data):
    """Codes are the user's; the same arguments give the same factory; a field that the data lack is
    an error that names it."""
    assert make_factory() is MODELS["eCMR"] and make_factory(emotional=2) is not MODELS["eCMR"]
    recoded = {**data, "mood": 5 + 2 * data["valence"]}
    own_codes = make_factory("mood", emotional=7, neutral=5)
    p = {**PARAMETERS, **EMOTION}
    np.testing.assert_array_equal(
        likelihoods(own_codes, recoded, p), likelihoods(MODELS["eCMR"], data, p)
    )
    with pytest.raises(ValueError, match="no field 'mood'"):
        own_codes(data)
