"""Which functions work in double precision, and which errors say that they do not."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from jaxcmr.optimize import works_in_double

SINGLE = jnp.zeros((2, 1), "float32")


@pytest.mark.parametrize(
    "func",
    [
        lambda x: lax.add(x, SINGLE).sum(0),
        lambda x: lax.select(x > 0, x, SINGLE).sum(0),
        lambda x: lax.cond(x[0, 0] > 0, lambda: x, lambda: SINGLE).sum(0),
        lambda x: lax.fori_loop(0, 2, lambda i, total: total + x.sum(0), jnp.zeros(1, "float32")),
        lambda x: lax.scan(lambda total, i: (total + x, i), SINGLE, jnp.arange(2))[0].sum(0),
        jax.jit(lambda x: lax.dynamic_update_slice(SINGLE, x, (0, 0)).sum(0)),
    ],
    ids=["add", "select", "cond", "fori_loop", "scan", "jit"],
)
def test_a_conflict_of_precisions_that_jax_finds(func):
    assert not works_in_double(func, 2)


def test_arrays_of_the_function_are_doubled():
    """Those of a pytree are converted with the function; those in a closure are not."""
    assert works_in_double(
        jax.tree_util.Partial(lambda data, x: lax.add(x, data).sum(0), SINGLE), 2
    )


def fails_in_double(error):
    def func(x):
        if x.dtype == "float64":
            raise error("dtypes float32 and float64")
        return x.sum(0)

    return func


@pytest.mark.parametrize(
    ("func", "error"),
    [
        (fails_in_double(TypeError), TypeError),
        (jax.jit(fails_in_double(ValueError)), ValueError),
        (lambda x: lax.map(fails_in_double(TypeError), x), TypeError),
        (lambda x: x + jnp.zeros((3, x.dtype.itemsize // 4)) if x.dtype == "float64" else x, None),
        (lambda x: lax.add(x, x.astype("int32")).sum(0), TypeError),  # wrong in any precision
    ],
    ids=["plain", "jit", "map", "shapes", "everywhere"],
)
def test_any_other_error_is_raised(func, error):
    """Also if its words are those of a conflict, and if the same types are raised by JAX."""
    with pytest.raises(error or (TypeError, ValueError)):
        works_in_double(func, 2)
