"""Semantic CMR: plain CMR at scale 0, its equations in NumPy elsewhere, a distribution always."""

import numpy as np
import pytest
from forward import likelihoods, one_list, play_one
from model_examples import PARAMETERS
from numpy_cmr import EPS, drift

from jaxcmr.components import (
    ContextCompetition,
    PowerChoice,
    SupportRatioTermination,
    instance_context_to_item,
)
from jaxcmr.models import cmr
from jaxcmr.models.semantic_cmr import make_factory

RULES = ("additive", "multiplicative", "associative")
FEATURES = np.random.default_rng(0).normal(size=(20, 3))  # about half of the cosines are negative


@pytest.fixture(scope="module")
def data(small_data):
    """Six-item lists of changing words, items numbered in any order."""
    rng = np.random.default_rng(1)
    items = np.array([rng.permutation(6) + 1 for _ in range(20)])
    ids = np.array([rng.permutation(20)[:6] + 1 for _ in range(20)])
    return {**small_data, "pres_itemnos": items, "pres_itemids": ids}


@pytest.fixture(scope="module")
def plain(data):
    """Likelihoods of plain CMR."""
    return likelihoods(cmr.make_factory(), data, PARAMETERS)


@pytest.mark.parametrize("rule", RULES)
def test_scale_zero_is_plain_cmr(rule, data, plain):
    """Event by event over whole trials; at scale 1 it is another model."""
    factory = make_factory(rule)
    ours = likelihoods(factory, data, {**PARAMETERS, "semantic_scale": 0.0}, FEATURES)
    np.testing.assert_allclose(ours, plain, rtol=1e-12)
    scaled = likelihoods(factory, data, {**PARAMETERS, "semantic_scale": 1.0}, FEATURES)
    assert np.abs(scaled - plain).max() > 0.01


def test_a_fixed_scale_of_zero_is_plain_cmr(data, plain):
    fixed = make_factory("additive", fixed={"semantic_scale": 0.0})
    np.testing.assert_allclose(likelihoods(fixed, data, PARAMETERS, FEATURES), plain, rtol=1e-12)


def three_words(recalls, ids):
    """Return data of trials that study three words and recall `recalls`."""
    data = one_list([1, 2, 3], recalls)
    return {**data, "pres_itemids": np.tile(ids, (len(recalls), 1))}


def numpy_trial(rule, p, similarity, recalls):
    """Return the probability of each recall of a list of three, and of the stop after them."""
    context = np.eye(4)[0]
    mfc = np.hstack([np.zeros((3, 1)), (1 - p["learning_rate"]) * np.eye(3)])
    mcf = np.full((4, 3), p["shared_support"])
    mcf[0] = 0
    for i in range(3):
        mcf[i + 1, i] = p["item_support"]
        if rule == "associative":
            mcf[1:, i] += p["semantic_scale"] * similarity[:, i]
    for i in range(3):
        context = drift(context, mfc[i], p["encoding_drift_rate"])
        mfc[i] += p["learning_rate"] * context
        mcf[:, i] += (p["primacy_scale"] * np.exp(-p["primacy_decay"] * i) + 1) * context
    context = drift(context, np.eye(4)[0], p["start_drift_rate"])
    left, last, found = [0, 1, 2], None, []
    for j, recall in enumerate([*recalls, 0]):
        stop = p["stop_probability_scale"] * np.exp(p["stop_probability_growth"] * j)
        support = (context @ mcf)[left]
        related = np.zeros(len(left)) if last is None else similarity[last, left]
        if rule == "additive":
            support = support + p["semantic_scale"] * related
        strength = support ** p["choice_sensitivity"]
        if rule == "multiplicative" and last is not None:
            strength = strength * related ** p["semantic_scale"]
        strength = strength / strength.max() + EPS
        if recall == 0:
            return np.array([*found, stop])
        found.append((1 - stop) * strength[left.index(recall - 1)] / strength.sum())
        last = recall - 1
        left.remove(last)
        context = drift(context, mfc[last], p["recall_drift_rate"])


@pytest.mark.parametrize("rule", RULES)
def test_a_trial_equals_numpy(rule):
    """Item 3 recalled, then 1, then a stop. Catches similarity to the wrong item, an exponent on
    the wrong factor, and similarity that acts before the first recall."""
    p = {**PARAMETERS, "semantic_scale": 1.7}
    ids = (1, 2, 8)
    vectors = FEATURES[np.array(ids) - 1]
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = np.maximum(vectors @ vectors.T, 0) * (1 - np.eye(3))
    assert similarity[2, 0] > 0 and similarity[2, 1] > 0
    ours = likelihoods(make_factory(rule), three_words([(3, 1)], ids), p, FEATURES)[0, :3]
    np.testing.assert_allclose(ours, numpy_trial(rule, p, similarity, (3, 1)), rtol=1e-9)


def test_invalid_rules_and_fields_are_errors():
    """A rule without the matrix that it is a part of; an unknown rule, or field."""
    with pytest.raises(ValueError, match="Associative semantics is a part of the linear"):
        make_factory("associative", mcf=instance_context_to_item)
    with pytest.raises(ValueError, match="'rule' must be one of"):
        make_factory("multiplied")
    with pytest.raises(ValueError, match="no field 'words'"):
        make_factory(field="words")(three_words([()], (7, 2, 11)), FEATURES)


@pytest.mark.parametrize("termination", [ContextCompetition, SupportRatioTermination])
def test_similarity_multiplied_in_acts_on_the_choice_alone(termination):
    """Recalled items support stopping as they do without semantics, so that a support ratio does
    not jump at scale 0. A rival that is not an item keeps its strength, so that less similarity
    leaves more to it."""
    factory = make_factory("multiplicative", termination=termination.create)
    stops = {}
    for like in (0.2, 0.9):
        side = np.sqrt(1 - like**2)
        vectors = np.array([[1, 0, 0], [like, side, 0], [like, 0, side]])
        made = factory(three_words([()], (1, 2, 3)), vectors)
        for scale in (0.0, 1e-9, 1.0):
            rows = play_one(made, 0, [1, 2, 3], [1, 0], {**PARAMETERS, "semantic_scale": scale})
            stops[like, scale] = rows[1, 0]
    unscaled = stops[0.2, 0.0]
    for like in (0.2, 0.9):
        np.testing.assert_allclose([stops[like, 0.0], stops[like, 1e-9]], unscaled, rtol=1e-5)
    if termination is ContextCompetition:
        assert stops[0.2, 1.0] > 1.01 * stops[0.9, 1.0] > unscaled
    else:
        np.testing.assert_allclose(list(stops.values()), unscaled, rtol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_the_same_arguments_give_the_same_factory(rule):
    assert make_factory(rule) is make_factory(rule, choice=PowerChoice.create)
