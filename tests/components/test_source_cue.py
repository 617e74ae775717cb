"""The source context, by hand-worked numbers and by what neutral items and padding must not do."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from numpy_cmr import drift

from jaxcmr.components.source_cue import SourceCueMaker

DATA = {
    "listLength": np.array([[3]]),
    "pres_itemnos": np.array([[2, 1, 3]]),
    "valence": np.array([[1, 0, -1]]),
}
ECMR = SourceCueMaker("valence", sources=(1, 0), sourceless=(-1,), emotional=(1,))
CMR3 = SourceCueMaker("valence", sources=(-1, 1), sourceless=(0,), emotional=(-1, 1))
VALUES = {"source_drift_rate": 0.6, "start_drift_rate": 0.5, "emotion_scale": 3.0}
ITEM = jnp.eye(3)


def cue_of(maker, **values):
    numbers = {name: jnp.asarray(v, float) for name, v in {**VALUES, **values}.items()}
    return maker(DATA, None)(jnp.array(0), numbers)


def test_a_trial_by_hand():
    """Study of an emotional item (2) with attention 2 moves context to (0.8, 0.6, 0) and learns it
    with 2 x 3; then a neutral one (1) with attention 1 moves it to (0.64, 0.48, 0.6) and learns it
    with 1. Support there is 6 (0.512 + 0.288) = 4.8 and 1. Recall starts halfway back to the start
    and goes on towards what is recalled."""
    cue = cue_of(ECMR).experience(ITEM[1], jnp.array(2.0)).experience(ITEM[0], jnp.array(1.0))
    learned = np.array([[0.64, 4.8, 0], [0.48, 3.6, 0], [0.6, 0, 0]])
    np.testing.assert_allclose(cue.memory.state, learned, rtol=1e-6)
    support = cue(jnp.array([10.0, 20, 30]), jnp.ones(4))
    np.testing.assert_allclose(support, [11, 24.8, 30], rtol=1e-6)

    context = drift(np.array([0.64, 0.48, 0.6]), np.eye(3)[0], 0.5)
    ready = cue.start_retrieving()
    np.testing.assert_allclose(ready.context.state, context, rtol=1e-6)
    context = drift(context, np.eye(3)[1], 0.6)
    recalled = ready.retrieve(ITEM[1])
    np.testing.assert_allclose(recalled.context.state, context, rtol=1e-6)
    support = recalled(jnp.zeros(3), jnp.ones(4))
    np.testing.assert_allclose(support, context @ learned, rtol=1e-6)


def test_a_neutral_item_leaves_source_context_unchanged():
    """Without a source, studied or recalled, it moves source context not at all, where drift by a
    zero input would shrink it; it still learns to be supported by that context, with factor 1."""
    cue = cue_of(CMR3).experience(ITEM[1], jnp.array(1.0))
    after = cue.experience(ITEM[0], jnp.array(2.0))
    np.testing.assert_array_equal(after.context.state, cue.context.state)
    np.testing.assert_array_equal(after.retrieve(ITEM[0]).context.state, cue.context.state)
    np.testing.assert_allclose(after.memory.state[:, 0], 2 * np.array([0.8, 0, 0.6]), rtol=1e-6)


def test_sources_have_units_of_their_own():
    """Negative and positive items move context to units 1 and 2."""
    cue = cue_of(CMR3, source_drift_rate=1.0)
    for item, unit in ((2, 1), (1, 2)):
        state = cue.experience(ITEM[item], jnp.array(1.0)).context.state
        np.testing.assert_allclose(state, np.eye(3)[unit], atol=1e-3)


def test_padding_and_stopping_change_nothing():
    """Neither during study nor during recall."""
    cue = cue_of(ECMR).experience(ITEM[1], jnp.array(2.0))
    assert eqx.tree_equal(cue.experience(jnp.zeros(3), jnp.array(2.0)), cue)
    assert eqx.tree_equal(cue.retrieve(jnp.zeros(3)), cue)


def test_scale_zero_leaves_emotional_items_without_support():
    """And neutral ones with theirs."""
    cue = cue_of(ECMR, emotion_scale=0.0)
    for item in ITEM[:2]:
        cue = cue.experience(item, jnp.array(1.0))
    assert np.all(cue.memory.state[:, 1] == 0) and np.any(cue.memory.state[:, 0] > 0)


def test_padding_has_no_code():
    """A value where nothing was presented is neither taken for an item's code nor found unknown;
    nor is 0, whether or not 0 is the code of a source."""
    data = {"listLength": [[3]], "pres_itemnos": np.array([[2, 1, 0]])}
    for codes in ([1, 0], [1, 2]):
        maker = SourceCueMaker("valence", tuple(codes))
        inputs = maker({**data, "valence": [[*codes, 99]]}, None).is_source[0]
        np.testing.assert_array_equal(inputs, [[0, 0, 1], [0, 1, 0], [0, 0, 0]])


def test_wrong_data_fails_early():
    """A field that the data lack is named beside those they have; so are codes."""
    with pytest.raises(ValueError, match=r"no field 'mood'.*listLength, pres_itemnos, valence"):
        SourceCueMaker("mood", (0, 1))(DATA, None)
    with pytest.raises(ValueError, match=r"'valence' holds \[-1\].*\[1, 0\]"):
        SourceCueMaker("valence", (1, 0))(DATA, None)
    with pytest.raises(ValueError, match=r"own; got \[1, 0, 1\]"):
        SourceCueMaker("valence", (1, 0), (1,))


def test_makers_with_equal_arguments_are_equal():
    """So that factories are shared."""
    twin = SourceCueMaker("valence", (-1, 1), (0,), (-1, 1))
    assert twin == CMR3 and hash(twin) == hash(CMR3) and CMR3 != ECMR


@pytest.mark.parametrize("code", [2**32, 2**63])
def test_long_codes_are_not_truncated(code):
    """2**32 is 0 in 32 bits: neutral, which it is not."""
    data = {
        "subject": np.zeros((1, 1), int),
        "listLength": np.array([[2]]),
        "pres_itemnos": np.array([[1, 2]]),
        "recalls": np.array([[1, 0]]),
        "valence": np.array([[1, code]], np.uint64),
    }
    with pytest.raises(ValueError, match=f"holds \\[{code}\\]"):
        SourceCueMaker("valence", sources=(1, 0), emotional=(1,))(data, None)
