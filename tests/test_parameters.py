"""Vectors and names."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcmr.names import did_you_mean
from jaxcmr.parameters import bind, check_limits, names_read, require, scalar_arrays


def test_bind_sets_free_parameters_in_order():
    """A free parameter replaces a base value of the same name."""
    assert bind({"a": 1, "b": 2}, ("c", "b"), [30, 20]) == {"a": 1, "b": 20, "c": 30}


def test_names_read_records_each_name_once_in_order():
    names = names_read(lambda p: p["z"] + p["a"] + p["z"])
    assert names == ("z", "a")


def test_scalar_arrays_are_a_full_mapping():
    """`get` and `in` work as on any dict: catches an option that is read as absent."""
    arrays = scalar_arrays({"a": 1, "b": np.float64(0.5)})
    assert arrays.get("a") == 1.0 and "b" in arrays and "c" not in arrays
    assert {value.dtype for value in arrays.values()} == {jnp.zeros(()).dtype}


def test_require_names_the_missing_and_the_misspelt():
    with pytest.raises(ValueError, match=r"'learning_rate'.*Did you mean 'learning_rte'"):
        require({"learning_rte": 0.5}, ("learning_rate",))


def test_did_you_mean():
    """The closest name whatever its case; or, if none is close, all of them."""
    assert did_you_mean("listlength", ["listLength", "subject"]) == "Did you mean 'listLength'?"
    assert did_you_mean("xyz", ["b", "a"]) == "There are: a, b."


@pytest.mark.parametrize("value", [-0.1, 1.5, np.nan, [0.2, 2.0]])
def test_values_outside_the_limits_are_refused(value):
    """A number or one of several; NaN is inside of nothing."""
    with pytest.raises(ValueError, match=r"'rate' is .* defined from 0\.0 to 1\.0"):
        check_limits({"rate": value, "other": -5.0}, {"rate": (0.0, 1.0)})


def test_limits_are_included_and_may_be_infinite():
    check_limits({"rate": [0.0, 1.0], "scale": 1e30}, {"rate": (0, 1), "scale": (0, np.inf)})
    check_limits({"rate": 7.0}, None)
