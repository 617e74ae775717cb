"""The serial position curves of categories: each over its own items."""

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit, stop_with

from jaxcmr.loss import MemorySearchCategorySpcMseFnGenerator, MemorySearchSpcMseFnGenerator
from jaxcmr.models import MODELS
from jaxcmr.models.cmr import make_factory

evaluate = quick_jit(lambda loss, x: loss(x))
simulated_curves = quick_jit(lambda loss, x: loss.simulated_summary(x))
NOTHING = jnp.zeros(0)
DATA = {
    "subject": np.zeros((3, 1), int),
    "listLength": np.array([[3], [3], [2]]),
    "pres_itemnos": np.array([[1, 2, 3], [1, 2, 3], [1, 2, 0]]),
    "recalls": np.array([[3, 1, 0], [2, 0, 0], [1, 2, 0]]),
    "valence": np.array([[0, 5, 0], [5, 5, 0], [0, 0, 5]]),
}
"""Items of kind 0 and 5; the last 5 is beyond its list."""


def make_loss(data, trials, parameters, factory=None, **options):
    generator = MemorySearchCategorySpcMseFnGenerator(factory or MODELS["cmr"], data, **options)
    return generator(np.asarray(trials), parameters, ())


def test_observed_curves_by_hand(parameters):
    """Kind 0: position 1 in trials 1 and 3, recalled in both; position 2 in trial 3, recalled;
    position 3 in trials 1 and 2, recalled in the first. Kind 5: position 1 in trial 2, not
    recalled; position 2 in trials 1 and 2, recalled in the second; position 3 nowhere."""
    loss = make_loss(DATA, [0, 1, 2], parameters, category_field="valence")
    np.testing.assert_allclose(loss.observed, [[1, 1, 0.5], [0, 0.5, np.nan]])


def test_value_by_hand(parameters):
    """A model that stops at once recalls nothing: the mean square of the five observed points,
    (1 + 1 + 1/4 + 0 + 1/4) / 5. Trial 3 alone has two points, both 1."""
    factory = make_factory(termination=stop_with(1.0))
    for trials, expected in (([0, 1, 2], 0.5), ([2, -1, -1], 1.0)):
        loss = make_loss(DATA, trials, parameters, factory, category_field="valence")
        np.testing.assert_allclose(evaluate(loss, NOTHING), expected, rtol=1e-6)


def test_one_category_is_the_plain_curve(small_data, parameters):
    """With the same draws: the same number."""
    data = {**small_data, "kind": np.full_like(small_data["pres_itemnos"], 7)}
    loss = make_loss(data, range(20), parameters, category_field="kind")
    plain = MemorySearchSpcMseFnGenerator(MODELS["cmr"], data)(np.arange(20), parameters, ())
    np.testing.assert_allclose(evaluate(loss, NOTHING), evaluate(plain, NOTHING), rtol=1e-6)


def test_simulated_curves_share_out_the_plain_one(small_data, parameters):
    """Where items of two kinds alternate from list to list, the simulated curve of all items is the
    mean of the two, weighted by lists. Catches a recall counted for the wrong kind."""
    kinds = (np.arange(20)[:, None] + np.arange(6)) % 3 == 0
    data = {**small_data, "kind": kinds.astype(int)}
    by_kind = make_loss(data, range(20), parameters, category_field="kind")
    plain = MemorySearchSpcMseFnGenerator(MODELS["cmr"], data)(np.arange(20), parameters, ())
    curves = simulated_curves(by_kind, NOTHING)
    n_lists = np.stack([(kinds == kind).sum(0) for kind in (0, 1)])
    shared_out = (curves * n_lists).sum(0) / 20
    np.testing.assert_allclose(shared_out, simulated_curves(plain, NOTHING), rtol=1e-5)
    assert np.abs(curves[0] - curves[1]).max() > 0.05


def test_the_field_must_be_there(parameters):
    """The error names the field asked for and those there are; so too when none is named."""
    for options in ({"category_field": "color"}, {}):
        name = options.get("category_field", "")
        with pytest.raises(ValueError, match=f"'{name}'.*pres_itemnos, recalls, valence.*subject"):
            make_loss(DATA, [0], parameters, **options)


@pytest.mark.parametrize(
    "values",
    [np.zeros((3, 1), int), np.full((3, 3), 0.5), np.full((3, 3), np.nan), np.full((3, 3), "")],
)
def test_every_item_has_a_category(parameters, values):
    with pytest.raises(ValueError, match="'kind' must hold one whole number or text per studied"):
        make_loss({**DATA, "kind": values}, [0], parameters, category_field="kind")


def test_categories_may_be_text_or_floats(small_data):
    """Columns of a table are text, or floats where lists of unequal length are padded by NaN."""
    codes = np.tile([0, 1, 0, 1, 0, 5], (20, 1))
    losses = [
        MemorySearchCategorySpcMseFnGenerator(MODELS["cmr"], data, category_field="kind")
        for data in (
            {**small_data, "kind": codes},
            {**small_data, "kind": codes.astype(float)},
            {**small_data, "kind": np.array(["animal", "food", "", "", "", "tool"])[codes]},
        )
    ]
    assert losses[2].categories.tolist() == ["animal", "food", "tool"]
    curves = [loss(np.arange(20), {}, ()).observed for loss in losses]
    np.testing.assert_array_equal(curves[1], curves[0])
    np.testing.assert_array_equal(curves[2], curves[0])


def test_long_codes_are_categories_of_their_own(small_data):
    """2**32 and 0 are one number in 32 bits."""
    data = {**small_data, "kind": np.tile([0, 2**32, 0, 2**32, 0, 5], (20, 1))}
    made = MemorySearchCategorySpcMseFnGenerator(MODELS["cmr"], data, category_field="kind")
    assert made.categories.tolist() == [0, 5, 2**32]
    assert made(np.arange(20), {}, ()).observed.shape == (3, 6)
