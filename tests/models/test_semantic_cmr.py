"""Semantic CMR: plain CMR at scale 0, its equations in NumPy elsewhere, a distribution always."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_examples import PARAMETERS
from numpy_cmr import EPS, drift

from jaxcmr.components import (
    ContextCompetition,
    PowerChoice,
    SupportRatioTermination,
    instance_context_to_item,
)
from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.models import cmr
from jaxcmr.models.semantic_cmr import USUAL_BOUNDS, make_factory
from jaxcmr.simulation import study

RULES = ("additive", "multiplicative", "associative")
FEATURES = np.random.default_rng(0).normal(size=(20, 3))  # about half of the cosines are negative


def nll(factory, data, parameters, features=FEATURES):
    """Of each trial, played event by event in double precision."""
    with jax.enable_x64(True):
        generator = MemorySearchLikelihoodFnGenerator(factory, data, features)
        return np.asarray(generator.nll_per_event(np.arange(len(data["recalls"])), parameters))


@pytest.fixture(scope="module")
def data(small_data):
    """Six-item lists of changing words, items numbered in any order."""
    rng = np.random.default_rng(1)
    items = np.array([rng.permutation(6) + 1 for _ in range(20)])
    ids = np.array([rng.permutation(20)[:6] + 1 for _ in range(20)])
    return {**small_data, "pres_itemnos": items, "pres_itemids": ids}


@pytest.mark.parametrize("rule", RULES)
def test_scale_zero_is_plain_cmr(rule, data):
    """Event by event over whole trials, given or fixed; at scale 1 it is another model."""
    plain = nll(cmr.make_factory(), data, PARAMETERS, features=None)
    ours = nll(make_factory(rule), data, {**PARAMETERS, "semantic_scale": 0.0})
    np.testing.assert_allclose(ours, plain, rtol=1e-12)
    fixed = nll(make_factory(rule, fixed={"semantic_scale": 0.0}), data, PARAMETERS)
    np.testing.assert_allclose(fixed, plain, rtol=1e-12)
    scaled = nll(make_factory(rule), data, {**PARAMETERS, "semantic_scale": 1.0})
    assert np.abs(scaled - plain).max() > 0.01


def tiny(rows, ids=(7, 2, 11)):
    """Trials that study three items and recall `rows`."""
    recalls = np.zeros((len(rows), 3), int)
    for trial, row in enumerate(rows):
        recalls[trial, : len(row)] = row
    return {
        "subject": np.ones((len(rows), 1), int),
        "listLength": np.full((len(rows), 1), 3),
        "pres_itemnos": np.tile([1, 2, 3], (len(rows), 1)),
        "pres_itemids": np.tile(ids, (len(rows), 1)),
        "recalls": recalls,
    }


def numpy_trial(rule, p, similarity, recalls):
    """Probability of each recall of a list of three, and of the stop after them."""
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
    the wrong factor, and semantics that is there before the first recall."""
    p = {**PARAMETERS, "semantic_scale": 1.7}
    ids = (1, 2, 8)
    vectors = FEATURES[np.array(ids) - 1]
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = np.maximum(vectors @ vectors.T, 0) * (1 - np.eye(3))
    assert similarity[2, 0] > 0 and similarity[2, 1] > 0
    ours = np.exp(-nll(make_factory(rule), tiny([(3, 1)], ids), p))[0]
    np.testing.assert_allclose(ours, numpy_trial(rule, p, similarity, (3, 1)), rtol=1e-9)


@pytest.mark.slow  # the tests that walk the catalogue do the like
@pytest.mark.parametrize("rule", ["multiplicative", "associative"])
def test_gradients_are_finite_and_right(rule, x64, data):
    """At random places, a third of their coordinates on a bound; inside, in double precision, they
    equal finite differences. (The additive rule differs from the associative in a factor only.)"""
    names = list(USUAL_BOUNDS)
    generator = MemorySearchLikelihoodFnGenerator(make_factory(rule), data, FEATURES)
    loss = generator(np.arange(4), {}, names)
    low, high = np.array(list(USUAL_BOUNDS.values())).T
    rng = np.random.default_rng(2)
    unit = rng.random((16, len(names)))
    edge = rng.random(unit.shape)
    unit = np.where(edge < 1 / 6, 0.0, np.where(edge > 5 / 6, 1.0, unit))
    inside = np.array([[{**PARAMETERS, "semantic_scale": 0.7}[name] for name in names]])
    step = 1e-6 * np.eye(len(names))
    x = np.concatenate([low + unit * (high - low), inside, inside + step, inside - step])
    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(loss)))(jnp.asarray(x))
    assert np.all(np.isfinite(values)) and np.all(np.isfinite(slopes))
    if x64:
        above, below = values[17:].reshape(2, -1)
        np.testing.assert_allclose(slopes[16], (above - below) / 2e-6, rtol=1e-5, atol=1e-6)


def test_what_makes_no_sense_is_refused():
    """Semantics in a matrix that there is not; a rule that there is not, or a field."""
    with pytest.raises(ValueError, match="Associative semantics is a part of the linear"):
        make_factory("associative", mcf=instance_context_to_item)
    with pytest.raises(ValueError, match="'rule' must be one of"):
        make_factory("multiplied")
    with pytest.raises(ValueError, match="no field 'words'"):
        make_factory(field="words")(tiny([()]), FEATURES)


@pytest.mark.parametrize("termination", [ContextCompetition, SupportRatioTermination])
def test_similarity_multiplied_in_acts_on_the_choice_alone(termination):
    """What is recalled supports stopping as it does without semantics, so that a support ratio does
    not jump at scale 0; a rival that is no item is as strong as it was, so that less similarity
    leaves more to it."""
    factory = make_factory("multiplicative", termination=termination.create)
    stops = []
    for like in (0.2, 0.9):
        vectors = np.array([[1, 0, 0], [like, np.sqrt(1 - like**2), 0], [like, 0, 1.0]])
        vectors[2, 2] = np.sqrt(1 - like**2)
        for scale in (0.0, 1e-9, 1.0):
            made = factory(tiny([()], (1, 2, 3)), vectors)
            model = made.create_trial_model(0, {**PARAMETERS, "semantic_scale": scale})
            model = study(model, jnp.arange(1, 4)).retrieve(jnp.array(1))
            stops.append(float(model.stop_probability()))
    np.testing.assert_allclose(np.array(stops)[[1, 3, 4]], stops[0], rtol=1e-5)
    if termination is ContextCompetition:
        assert stops[2] > 1.01 * stops[5] > stops[0]
    else:
        np.testing.assert_allclose(stops, stops[0], rtol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_parameters_and_factories(rule, data):
    """The usual bounds cover what it reads; the same arguments give the same factory."""
    factory = make_factory(rule)
    assert factory is make_factory(rule, choice=PowerChoice.create)
    assert set(factory(data, FEATURES).parameter_names) == set(USUAL_BOUNDS)
