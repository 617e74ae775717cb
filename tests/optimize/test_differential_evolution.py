"""`differential_evolution` behaves as SciPy's users expect."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from jaxcmr.optimize import STRATEGIES, differential_evolution


def sphere(x):
    return ((x - 0.25) ** 2).sum(0)


def ackley(x):
    """Many local minima; the global one, 0, at the origin (Ackley, 1987)."""
    return (
        -20 * jnp.exp(-0.2 * jnp.sqrt((x**2).mean(0) + 1e-12))
        - jnp.exp(jnp.cos(2 * jnp.pi * x).mean(0))
        + 20
        + np.e
    )


@pytest.mark.parametrize("vectorized", [False, True])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_global_minimum_is_found(strategy, vectorized):
    """Every strategy and both kinds of updating (vectorized is deferred)."""
    result = differential_evolution(
        ackley, [(-5, 4)] * 3, strategy=strategy, vectorized=vectorized, tol=1e-4
    )
    assert bool(result.success) and result.message == "Optimization terminated successfully."
    np.testing.assert_allclose(result.x, 0, atol=1e-3)


def test_as_many_generations_as_scipy():
    """The same rule on the same function stops both within a factor of 1.5 (medians of nine
    seeds): catches a scale, crossover or tolerance that means something else here."""
    options = {"tol": 1e-6, "polish": False, "mutation": (0.5, 1.0), "recombination": 0.7}
    ours = [
        differential_evolution(
            ackley, [(-5, 4)] * 4, key=jax.random.key(seed), vectorized=True, **options
        ).nit
        for seed in range(9)
    ]
    theirs = [
        scipy.optimize.differential_evolution(
            lambda x: np.asarray(ackley(x)),
            [(-5, 4)] * 4,
            rng=seed,
            vectorized=True,
            updating="deferred",
            **options,
        ).nit
        for seed in range(9)
    ]
    assert 1 / 1.5 < np.median(ours) / np.median(theirs) < 1.5


def test_same_key_same_result():
    """And the default key is a key like any other."""
    first, second = (differential_evolution(ackley, [(-5, 4)] * 2, maxiter=9) for _ in range(2))
    named = differential_evolution(ackley, [(-5, 4)] * 2, maxiter=9, key=jax.random.key(0))
    other = differential_evolution(ackley, [(-5, 4)] * 2, maxiter=9, key=jax.random.key(1))
    assert first.population.tolist() == second.population.tolist() == named.population.tolist()
    assert first.population.tolist() != other.population.tolist()


def test_counts_are_true():
    """nit and nfev without a polish, against a count of the members."""
    result = differential_evolution(sphere, [(0, 1)] * 2, maxiter=7, tol=0, polish=False)
    assert int(result.nit) == 7
    assert int(result.nfev) == 2 * 15 * (7 + 1)
    assert not result.success and "Maximum number of iterations" in result.message


def test_maxiter_zero_gives_the_best_of_the_start():
    result = differential_evolution(sphere, [(0, 1)] * 2, maxiter=0, polish=False)
    assert int(result.nit) == 0
    assert float(result.fun) == float(result.population_energies.min())


def test_result_describes_its_population(x64):
    """x and fun are its best member and its value, in the user's units."""
    result = differential_evolution(sphere, [(-3, 5)] * 2, maxiter=5, polish=False)
    best = int(np.argmin(result.population_energies))
    assert result.population.shape == (30, 2)
    np.testing.assert_array_equal(result.x, result.population[best])
    np.testing.assert_allclose(result.population_energies, sphere(result.population.T), rtol=1e-5)


def test_x0_joins_the_population():
    """A guess at a needle in a haystack is never lost."""

    def needle(x):
        return jnp.where(jnp.all(jnp.abs(x - 0.123) < 1e-4, axis=0), -1.0, 1.0)

    options = {"maxiter": 3, "polish": False}
    assert differential_evolution(needle, [(0, 1)] * 3, **options).fun == 1.0
    found = differential_evolution(needle, [(0, 1)] * 3, x0=[0.123] * 3, **options)
    assert found.fun == -1.0


def test_disp_prints_each_generation(capsys):
    """In SciPy's words, and changes nothing else."""
    quiet = differential_evolution(sphere, [(0, 1)] * 2, maxiter=3)
    loud = differential_evolution(sphere, [(0, 1)] * 2, maxiter=3, disp=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("differential_evolution step 1: f(x)= ") and len(lines) == 3
    assert loud.x.tolist() == quiet.x.tolist()


def test_fixed_coordinates_stay(x64):
    """low = high holds a parameter; the population counts only the others."""
    result = differential_evolution(sphere, [(0, 1), (0.5, 0.5)])
    assert result.x[1] == 0.5 and len(result.population) == 15
    np.testing.assert_allclose(result.x[0], 0.25, atol=1e-3)


def test_values_that_are_not_a_number_count_as_infinite():
    """In half of the box: the other half is searched. Everywhere: a status says so."""
    half = differential_evolution(lambda x: jnp.where(x[0] < 0, jnp.nan, sphere(x)), [(-1, 1)] * 2)
    np.testing.assert_allclose(half.x, 0.25, atol=1e-3)
    nowhere = differential_evolution(lambda x: x[0] * jnp.nan, [(-1, 1)] * 2, maxiter=3)
    assert not nowhere.success and int(nowhere.status) == 2
    assert "not finite" in nowhere.message and not np.isfinite(nowhere.fun)


def test_a_constant_objective_converges_at_once():
    result = differential_evolution(lambda x: 5.0 + 0 * x[0], [(0, 1)] * 2)
    assert bool(result.success) and int(result.nit) == 1 and float(result.fun) == 5.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "best1bim"}, r"Unknown strategy 'best1bim'.* Did you mean 'best1bin'?"),
        ({"init": "latin"}, "Unknown init 'latin'"),
        ({"updating": "later"}, "Unknown updating 'later'"),
        ({"mutation": 2.0}, r"mutation must be a number in \[0, 2\)"),
        ({"mutation": (1.0, 0.5)}, "low <= high"),
        ({"mutation": np.nan}, "mutation"),
        ({"recombination": 1.5}, "recombination must be in"),
        ({"tol": -1.0}, "tol must be a number >= 0"),
        ({"atol": np.nan}, "atol must be a number >= 0"),
        ({"popsize": 0}, "popsize must be at least 1"),
        ({"maxiter": -1}, "maxiter must be at least 0"),
        ({"x0": [0.5]}, "x0 must have shape"),
        ({"x0": [0.5, 1.5]}, "lies outside the specified bounds"),
        ({"x0": [0.5, np.nan]}, "lies outside the specified bounds"),
    ],
)
def test_impossible_options_are_refused(options, message):
    """Before anything runs, with what came and what was expected."""
    with pytest.raises(ValueError, match=message):
        differential_evolution(sphere, [(0, 1)] * 2, **options)


def test_the_polish_is_part_of_the_result():
    """x and fun are still the population's best, jac is the gradient there, and the polish's
    evaluations are counted."""
    rough = differential_evolution(ackley, [(-5, 4)] * 2, maxiter=5, polish=False)
    fine = differential_evolution(ackley, [(-5, 4)] * 2, maxiter=5)
    best = int(np.argmin(fine.population_energies))
    assert float(fine.fun) < float(rough.fun)
    assert fine.population[best].tolist() == fine.x.tolist()
    assert float(fine.population_energies[best]) == float(fine.fun)
    np.testing.assert_allclose(fine.jac, jax.grad(ackley)(fine.x), rtol=1e-3, atol=1e-3)
    assert rough.jac is None and rough.hess_inv is None and int(rough.njev) == 0
    assert int(fine.nfev) >= int(rough.nfev) + 14  # one gradient and thirteen steps at least


def test_a_guess_on_a_bound_is_inside():
    """Bounds that float32 cannot hold are rounded inwards; a guess on them must not fall out."""
    low, high = 0.1, 0.9999999999999998
    result = differential_evolution(sphere, [(low, high)] * 2, x0=[low, high], maxiter=1)
    assert np.all((np.asarray(result.x, float) >= low) & (np.asarray(result.x, float) <= high))
