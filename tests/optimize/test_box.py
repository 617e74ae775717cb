"""The box holds what it says, in any precision."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcmr.optimize import Box


def test_float32_rounds_bounds_inwards():
    """1 - 2.2e-16 must not become 1.0: models divide by what is left."""
    low, high = 2.220446049250313e-16, 0.9999999999999998
    box = Box.from_bounds([(low, high), (-high, -low)])
    assert float(box.lower[0]) >= low and float(box.upper[0]) <= high < 1
    assert float(box.lower[1]) >= -high and float(box.upper[1]) <= -low


def test_scaling_never_leaves_the_box(x64):
    """``low + 1 (high - low)`` can exceed high by rounding; these bounds are such a case."""
    rng = np.random.default_rng(0)
    low = rng.normal(size=1000) * 10
    box = Box.from_bounds(np.stack([low, low + rng.random(1000)], axis=1))
    for unit in (jnp.zeros(1000), jnp.ones(1000), jnp.asarray(rng.random(1000))):
        x = box.to_user(unit)
        assert jnp.all((x >= box.lower) & (x <= box.upper))


def test_unit_cube_round_trip(x64):
    """`to_unit` undoes `to_user`; a fixed coordinate maps to 0."""
    box = Box.from_bounds([(-1.0, 3.0), (5.0, 5.0)])
    x = box.to_user(jnp.asarray([0.25, 0.9]))
    assert x.tolist() == [0.0, 5.0]
    assert box.to_unit(x).tolist() == [0.25, 0.0]


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ([(1.0, 0.0)], r"bounds\[0\] = \(1.0, 0.0\) must have low <= high"),
        ([(0.0, 1.0), (0.0, np.inf)], r"bounds\[1\] .* must be finite"),
        ([(np.nan, 1.0)], "must be finite"),
        ([(0.0, 1.0, 2.0)], r"shape \(n_params, 2\); got shape \(1, 3\)"),
        ([0.0, 1.0], "got shape"),
        ([], "got shape"),
    ],
)
def test_impossible_bounds_are_errors(bounds, message):
    """With what came and what was expected."""
    with pytest.raises(ValueError, match=message):
        Box.from_bounds(bounds)
