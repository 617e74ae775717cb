"""The check of annotations that all tests run under can fail."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcmr.components.context import drift
from jaxcmr.components.linear_memory import LinearMemory


def test_axes_of_one_name_are_equally_long():
    """Context and its input have the same units."""
    with pytest.raises(TypeError, match="context_input"):
        drift(jnp.ones(3), jnp.ones(4), jnp.array(0.5))


def test_the_kind_of_number_is_checked():
    """Whole numbers where real ones are declared; NumPy's arrays count as JAX's."""
    with pytest.raises(TypeError, match="state"):
        LinearMemory(np.ones((2, 2), int))
    assert LinearMemory(np.ones((2, 2))).state.shape == (2, 2)
