"""Semantic cues, by hand-worked numbers and by their equations in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit

from jaxcmr.components import ExponentialChoice, LinearMemory, PowerChoice
from jaxcmr.components._item_values import item_values
from jaxcmr.components.semantic_cue import (
    SEMANTIC_RULES,
    SemanticCue,
    SemanticCueMaker,
    similarities,
)
from jaxcmr.components.source_cue import SourceCueMaker

FEATURES = np.array([[1.0, 0], [3, 3], [0, 2], [-1, 0], [0, 0]])
DATA = {
    "listLength": np.array([[3], [2]]),
    "pres_itemnos": np.array([[3, 1, 2], [2, 0, 1]]),
    "pres_itemids": np.array([[3, 1, 2], [4, 0, 1]]),
    "wordpool": np.array([[1, 2, 3], [1, 0, 3]]),
}
HALF = np.sqrt(0.5)
C = np.array([[0, 0.5, 0.0], [0.5, 0, 0.2], [0.0, 0.2, 0]])
ALL = jnp.ones(3, bool)
EDGES = [0.0, 2.220446049250313e-16, 1e-3, 1.0, 100.0]


def cue_of(rule, scale):
    return SemanticCue(jnp.asarray(C), jnp.zeros(len(C)), jnp.asarray(scale, float), rule)


def shares(cue, sensitivity, support, recallable=ALL):
    """Shares of a choice by power."""
    choice, support = PowerChoice(jnp.asarray(sensitivity, float)), cue(support, jnp.ones(4))
    weights = cue.log_weights()
    return choice(support, recallable, *([] if weights is None else [weights]))


def after(cue, item):
    return cue.retrieve(jnp.eye(3)[item - 1])


def test_similarities_by_hand():
    """(1, 0), (3, 3) and (0, 2) lie 45 degrees apart, (-1, 0) away from (1, 0): cos 45 or 0, by
    item number, not by position. Catches a negative similarity, and items compared with padding."""
    found = similarities(DATA, FEATURES, "pres_itemids")
    np.testing.assert_allclose(found[0], [[0, HALF, 0], [HALF, 0, HALF], [0, HALF, 0]], atol=1e-15)
    np.testing.assert_array_equal(found[1], np.zeros((3, 3)))
    named = similarities(DATA, FEATURES, "wordpool")  # items 1, 2, 3 of trial 0 are rows 2, 3, 1
    np.testing.assert_allclose(named[0], [[0, HALF, HALF], [HALF, 0, 0], [HALF, 0, 0]], atol=1e-15)


def test_additive_by_hand():
    """After recall of item 2, (1, 2, 3) + 4 (0.5, 0, 0.2) = (3, 2, 3.8)."""
    cue = after(cue_of("additive", 4.0), 2)
    np.testing.assert_allclose(cue(jnp.array([1.0, 2, 3]), jnp.ones(4)), [3, 2, 3.8])


def test_multiplicative_by_hand():
    """After item 2, with s = 2 and t = 4, powered supports 1^4 and 3^4 are weighed by 0.5^2 and
    0.2^2: 0.25 to 3.24. Support itself stays."""
    cue, support = after(cue_of("multiplicative", 2.0), 2), jnp.array([1.0, 2, 3])
    found = shares(cue, 4.0, support, jnp.array([True, False, True]))
    np.testing.assert_allclose(found, np.array([0.25, 0, 3.24]) / 3.49, rtol=1e-5)
    np.testing.assert_array_equal(cue(support, jnp.ones(4)), support)


def test_multiplied_into_an_exponential_choice():
    """The same weights, of strengths exp(2 a / T): with T = 2 and supports 1 and 3, 0.25 e to
    0.04 e^3. An item without similarity has the least strength that the rule gives."""
    weights = after(cue_of("multiplicative", 2.0), 2).log_weights()
    choice = ExponentialChoice(jnp.array(2.0))
    found = choice(jnp.array([1.0, 2, 3]), jnp.array([True, False, True]), weights)
    strength = np.array([0.25 * np.exp(1), 0, 0.04 * np.exp(3)])
    np.testing.assert_allclose(found, strength / strength.sum(), rtol=1e-5)
    alone = after(cue_of("multiplicative", 2.0), 1).log_weights()  # like item 2, unlike item 3
    found = choice(jnp.ones(3), jnp.array([False, True, True]), alone)
    np.testing.assert_allclose(found, [0, 1, np.exp(-61)], rtol=1e-5)


def test_items_without_similarity_are_chosen_by_chance():
    """Item 3 alone is unlike the last one: it has only the floor; with all unlike, all are equal,
    weak or strong."""
    cue = after(cue_of("multiplicative", 2.0), 1)
    found = shares(cue, 4.0, jnp.array([1.0, 2, 30]), jnp.array([False, True, True]))
    np.testing.assert_allclose(found, [0, 1, 2.0**-23], rtol=1e-5)
    only = jnp.array([True, False, True])
    np.testing.assert_allclose(shares(cue, 4.0, jnp.array([1.0, 2, 30]), only), [0.5, 0, 0.5])


def test_associative_is_what_the_memory_would_give(x64):
    """Support equals that of an M_CF to which s C was added, in a random context; the start unit
    adds nothing, nor do units beyond those of items."""
    rng = np.random.default_rng(0)
    memory, context = rng.random((6, 3)), rng.random(6)
    grown = memory.copy()
    grown[1:4] += 7.0 * C
    cue = cue_of("associative", 7.0)
    ours = cue(LinearMemory(jnp.asarray(memory)).probe(context), jnp.asarray(context))
    np.testing.assert_allclose(ours, context @ grown, rtol=1e-12 if x64 else 1e-5)


@pytest.mark.parametrize("rule", SEMANTIC_RULES)
def test_scale_zero_changes_nothing(rule):
    """To the last bit, where similarity is 0 (0^0 is 1) and at every sensitivity."""
    support = jnp.array([1.3, 0.0, 3.7])
    for sensitivity in EDGES:
        plain = PowerChoice(jnp.asarray(sensitivity))(support, ALL)
        for cue in (cue_of(rule, 0.0), after(cue_of(rule, 0.0), 1)):
            np.testing.assert_array_equal(cue(support, jnp.ones(4)), support)
            np.testing.assert_array_equal(shares(cue, sensitivity, support), plain)


@pytest.mark.parametrize("rule", ["additive", "multiplicative"])
def test_there_is_no_cue_before_the_first_recall(rule):
    """Nor after study, which brings no cue: catches last study taken for last recall."""
    support = jnp.array([1.3, 0.2, 3.7])
    cue = cue_of(rule, 5.0).experience(jnp.eye(3)[0], jnp.array(2.0)).start_retrieving()
    np.testing.assert_array_equal(cue(support, jnp.ones(4)), support)
    plain = PowerChoice(jnp.array(2.0))(support, ALL)
    np.testing.assert_array_equal(shares(cue, 2.0, support), plain)


@pytest.mark.parametrize("x64", [pytest.param(False, marks=pytest.mark.full), True], indirect=True)
def test_multiplicative_is_exact_in_range(x64):
    """Shares are as a^t C^s, computed in logarithms, for sensitivities from 1e-6 to 100 and scales
    from 0 to 100, also where an item no longer recallable is by far the most similar. Catches
    powers that underflow and leave a choice by chance."""
    rng = np.random.default_rng(1)
    recallable = np.array([False, True, True, True])
    for _ in range(50):
        scale, sensitivity = 100 * rng.random(), 10 ** (8 * rng.random() - 6)
        support, similar = 0.1 + rng.random(4), rng.random(4)
        similar[1:] *= 0.3
        matrix = np.zeros((4, 4))
        matrix[0] = similar
        cue = SemanticCue(jnp.asarray(matrix), jnp.eye(4)[0], jnp.asarray(scale), "multiplicative")
        choice = PowerChoice(jnp.asarray(sensitivity))
        found = choice(jnp.asarray(support), jnp.asarray(recallable), cue.log_weights())
        strength = sensitivity * np.log(support) + scale * np.log(similar)
        strength = np.exp(strength - strength[1:].max()) + 2.0**-23
        strength[0] = 0
        expected = strength / strength.sum()
        np.testing.assert_allclose(found, expected, rtol=1e-9 if x64 else 1e-3, atol=1e-30)


@pytest.mark.parametrize("x64", [False, pytest.param(True, marks=pytest.mark.full)], indirect=True)
@pytest.mark.parametrize("rule", SEMANTIC_RULES)
@pytest.mark.parametrize("choice", [PowerChoice, ExponentialChoice])
def test_gradients_are_finite(rule, choice, x64):
    """Of a share of the choice, in scale, sensitivity and support, at all edges, with similarity 0
    and support 0 among them."""

    def share(numbers, support, recallable):
        cue = after(cue_of(rule, numbers[0]), 1)
        weights = cue.log_weights()
        rest = [] if weights is None else [weights]
        return choice(numbers[1])(cue(support, jnp.ones(4)), recallable, *rest)[2]

    value_and_slope = quick_jit(jax.value_and_grad(share, argnums=(0, 1)))
    for scale in EDGES:
        for sensitivity in EDGES[1:]:
            numbers = jnp.array([scale, sensitivity])
            for support in ([0.5, 1.0, 2.0], [0.0, 0.0, 1e-20], [0.0, 0.0, 0.0]):
                for recallable in ([True] * 3, [False, False, True]):
                    found = value_and_slope(numbers, jnp.array(support), jnp.array(recallable))
                    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(found))


def test_a_word_is_not_similar_to_itself():
    """However often the list has it, as events of their own: catches a cosine of 1 beside the
    diagonal."""
    twice = {
        "listLength": np.array([[3]]),
        "pres_itemnos": np.array([[1, 2, 3]]),
        "pres_itemids": np.array([[1, 2, 1]]),
    }
    found = similarities(twice, FEATURES, "pres_itemids")[0]
    np.testing.assert_allclose(found, [[0, HALF, 0], [HALF, 0, HALF], [0, HALF, 0]], atol=1e-15)


@pytest.mark.parametrize(
    ("change", "features", "message"),
    [
        ({}, None, "needs features.*None"),
        ({}, np.ones(3), r"\(vocabulary, dimensions\).*\(3,\)"),
        ({}, np.full((4, 2), np.nan), r"finite; row\(s\) \[1, 2, 3, 4\]"),
        ({}, FEATURES[:3], "'pres_itemids' holds 4.*1 to 3"),
        ({"pres_itemids": DATA["pres_itemids"] - 1}, FEATURES, "holds 0.*1 to 5"),
        ({"pres_itemids": DATA["pres_itemids"] + 1}, FEATURES, r"length zero.*\[5\]"),
        ({"pres_itemids": np.ones((2, 4))}, FEATURES, r"shape \(2, 3\).*\(2, 4\)"),
        ({"pres_itemnos": np.ones((2, 3), int)}, FEATURES, "Item 1 of trial 0 has two values"),
    ],
)
def test_wrong_data_fails_early(change, features, message):
    """And the message says what came and what was expected."""
    with pytest.raises(ValueError, match=message):
        SemanticCueMaker()({**DATA, **change}, features)


def test_wrong_names_fail_early():
    """A field that the data lack is named beside those they have; so are the rules."""
    with pytest.raises(ValueError, match=r"no field 'ids'.*listLength, pres_itemids, pres_itemnos"):
        item_values(DATA, "ids")
    with pytest.raises(ValueError, match=r"additive, multiplicative, associative.*'adding'"):
        SemanticCueMaker("adding")


def test_makers_with_equal_arguments_are_equal():
    """So that factories are shared; a maker of another kind is never equal."""
    assert SemanticCueMaker() == SemanticCueMaker("additive", "pres_itemids")
    assert hash(SemanticCueMaker()) == hash(SemanticCueMaker("additive"))
    assert SemanticCueMaker() != SemanticCueMaker("associative")
    assert SemanticCueMaker("additive", "x") != SourceCueMaker("additive", "x")


def test_similarities_and_distances_stand_in_for_vectors():
    """Of unit vectors, their inner products and 1 minus these are the same to the model."""
    angles = np.array([0.1, 0.7, 1.0, 1.4])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    data = {
        "listLength": np.array([[3]]),
        "pres_itemnos": np.array([[1, 2, 3]]),
        "pres_itemids": np.array([[4, 1, 3]]),
    }
    expected = similarities(data, vectors, "pres_itemids")
    cosines = vectors @ vectors.T
    for features in ({"similarities": cosines}, {"distances": 1 - cosines}):
        np.testing.assert_allclose(similarities(data, features, "pres_itemids"), expected)
    for square, name in ((cosines, "similarities"), (1 - cosines, "distances")):
        with pytest.raises(ValueError, match=f"square matrix .* as {name}="):
            similarities(data, square, "pres_itemids")
    assert not similarities(data, np.eye(4), "pres_itemids").any()  # one-hot vectors
