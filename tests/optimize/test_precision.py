"""Which functions work in double precision, which errors say so, and threads of two precisions."""

import time
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxcmr.optimize import works_in_double
from jaxcmr.optimize._jit import Compiled, as_argument

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


class Slow(np.ndarray):
    """An array that is slow to say its type, so that JAX takes a while to convert the arguments."""

    @property
    def dtype(self):
        time.sleep(0.03)
        return super().dtype


def test_threads_of_two_precisions_share_an_array():
    """As the search and the polish of a likelihood do. Catches that JAX hands an array which one
    thread converts to single precision to another thread in double precision."""
    array, slow = np.linspace(0.0, 1.0, 5), np.zeros(5).view(Slow)
    with ThreadPoolExecutor(1) as pool:
        total = pool.submit(Compiled(lambda x, y: (x + y).sum()), array, slow)
        while not total.done():
            with jax.enable_x64(True):
                twice = np.asarray(Compiled(lambda x: 2 * x)(array))
            assert twice.dtype == np.float64
            assert twice.tolist() == (2 * array).tolist()
    assert total.result().dtype == np.float32


def test_arguments_have_the_precision_in_use(x64):
    """So JAX has nothing to convert. In double precision they are not copied."""
    array = np.linspace(0.0, 1.0, 5)
    given = as_argument(array)
    assert given.dtype == (np.float64 if x64 else np.float32)
    assert (given is array) == x64
