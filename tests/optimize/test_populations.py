"""Initial populations are what their names say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import evolve_quickly, quick_jit
from scipy.stats import qmc

from jaxcmr.optimize import POPULATIONS, differential_evolution
from jaxcmr.optimize._settings import make_problem


@pytest.mark.parametrize("name", POPULATIONS)
def test_members_fill_the_cube(name):
    """The right shape, inside the cube, another one for another key, traceable, and even."""
    make = POPULATIONS[name]
    population = make(jax.random.key(1), 64, 3)
    assert population.shape == (64, 3) and jnp.all((population >= 0) & (population < 1))
    draw_all = quick_jit(jax.vmap(lambda key: make(key, 64, 3)))
    batch = draw_all(jax.random.split(jax.random.key(2), 200))
    assert not np.array_equal(batch[0], batch[1])
    np.testing.assert_allclose(np.mean(batch, axis=(0, 1)), 0.5, atol=0.02)
    np.testing.assert_allclose(np.std(batch, axis=(0, 1)), 12**-0.5, atol=0.02)


@pytest.mark.parametrize("name", ["latinhypercube", "sobol"])
def test_one_member_per_slice(name):
    """In every coordinate; and coordinates are not copies of one another."""
    population = np.asarray(POPULATIONS[name](jax.random.key(1), 32, 3))
    slices = np.floor(population * 32).astype(int)
    assert all(sorted(column) == list(range(32)) for column in slices.T)
    assert not np.array_equal(slices[:, 0], slices[:, 1])


def test_sobol_stays_a_net():
    """Each of the 16 squares of a 4 x 4 grid holds as many of the first 64 points, which a random
    rotation would destroy and a digital shift does not."""
    population = np.asarray(POPULATIONS["sobol"](jax.random.key(5), 64, 2))
    cells = np.floor(population * 4).astype(int) @ [4, 1]
    assert np.bincount(cells, minlength=16).tolist() == [4] * 16


@pytest.mark.parametrize("name", ["sobol", "halton"])
def test_low_discrepancy(name):
    """Lower than that of random points, by far."""
    even = qmc.discrepancy(np.asarray(POPULATIONS[name](jax.random.key(0), 128, 3), float))
    random = qmc.discrepancy(np.asarray(POPULATIONS["random"](jax.random.key(0), 128, 3), float))
    assert even < random / 3


@pytest.mark.parametrize(("name", "members"), [("sobol", 64), ("halton", 45), ("random", 45)])
def test_sobol_takes_a_power_of_two(name, members):
    """As in SciPy, the next one."""
    assert make_problem([(0, 1)] * 3, init=name).settings.population_size == members


def test_an_array_is_clipped_and_used():
    """In the user's units; the population's size is the array's."""
    given = jnp.asarray(np.linspace(-1, 3, 14).reshape(7, 2))
    result = evolve_quickly(
        lambda x: (x**2).sum(), [(0, 2), (-1, 1)], init=given, maxiter=0, polish=False
    )
    expected = np.clip(given, [0, -1], [2, 1])
    order = np.lexsort(np.asarray(result.population).T)
    np.testing.assert_allclose(
        np.asarray(result.population)[order], expected[np.lexsort(expected.T)], atol=1e-6
    )


@pytest.mark.full
def test_a_result_goes_on():
    """``init=result.population`` begins where the result ended."""

    def rosenbrock(x):
        return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

    @quick_jit
    def run(init, maxiter):
        options = {"updating": "deferred", "polish": False, "tol": 0, "key": jax.random.key(7)}
        return differential_evolution(
            rosenbrock, [(-2, 2)] * 3, init=init, maxiter=maxiter, **options
        )

    first = run(jax.random.uniform(jax.random.key(0), (45, 3)), 20)
    start = run(first.population, 0)
    np.testing.assert_allclose(start.fun, first.fun, rtol=1e-5)
    on = run(first.population, 250)
    assert on.fun < first.fun / 100
