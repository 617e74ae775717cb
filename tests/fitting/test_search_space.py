"""The scales on which a search moves, and a loss on the unit cube."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcmr.fitting._search_space import UnitCubeLoss, choose_scales
from jaxcmr.parameters import ParameterSpace

BOUNDS = {"wide": [1e-16, 100.0], "from_zero": [0.0, 1.0], "narrow": [0.5, 20.0], "signed": [-5, 5]}
MODEL = {"wide": "log", "from_zero": "log", "signed": "log", "absent": "log"}


def test_auto_takes_the_scales_that_the_model_declares():
    """But no logarithm of negative numbers; a dict of scales leaves the others on "auto"."""
    assert choose_scales("auto", BOUNDS, MODEL) == {
        "wide": "log",
        "from_zero": "log",
        "narrow": "linear",
        "signed": "linear",
    }
    assert set(choose_scales("auto", BOUNDS, {}).values()) == {"linear"}
    assert choose_scales({"wide": "linear", "narrow": "log"}, BOUNDS, MODEL) == {
        "wide": "linear",
        "from_zero": "log",
        "narrow": "log",
        "signed": "linear",
    }


def test_runs_alternate():
    """Over four decades in the first run, two in the second; what may be negative stays linear."""
    for run, word in enumerate(["log", "half-log", "log"]):
        scales = choose_scales("alternate", BOUNDS, MODEL, run)
        assert scales == {**dict.fromkeys(BOUNDS, word), "signed": "linear"}


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        ("logarithmic", "must be one of linear, half-log, log, auto, alternate"),
        ({"wyde": "log"}, "Did you mean 'wide'"),
    ],
)
def test_invalid_scales_are_errors(scale, message):
    with pytest.raises(ValueError, match=message):
        choose_scales(scale, BOUNDS, MODEL)


def test_the_loss_of_a_place_is_that_of_its_parameters(x64):
    """One place or many."""

    def loss(x):
        return (x**2).sum(0)

    space = ParameterSpace.make(BOUNDS, choose_scales("auto", BOUNDS, MODEL))
    z = jnp.asarray(np.random.default_rng(0).random((4, 5)))
    found = UnitCubeLoss(loss, space)(z)
    np.testing.assert_allclose(found, loss(space.from_unit(z)), rtol=1e-6)
    np.testing.assert_allclose(UnitCubeLoss(loss, space)(z[:, 0]), found[0], rtol=1e-6)
