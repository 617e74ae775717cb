"""`differential_evolution` behaves as SciPy's users expect."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from conftest import evolve_quickly, quick_jit

from jaxcmr.optimize import differential_evolution

pytestmark = pytest.mark.usefixtures("quick_compiler")


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


@pytest.mark.full
def test_as_many_generations_as_scipy():
    """The same rule on the same function stops both within a factor of 1.5 (medians of five
    seeds): catches a scale, crossover or tolerance that means something else here."""
    options = {"tol": 1e-6, "polish": False, "mutation": (0.5, 1.0), "recombination": 0.7}
    ours = [
        differential_evolution(
            ackley,
            [(-5, 4)] * 4,
            key=jax.random.key(seed),
            vectorized=True,
            updating="deferred",
            **options,
        ).nit
        for seed in range(5)
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
        for seed in range(5)
    ]
    assert 1 / 1.5 < np.median(ours) / np.median(theirs) < 1.5


def test_same_key_same_result():
    """And the default key is a key like any other."""

    def run(**options):
        return differential_evolution(ackley, [(-5, 4)] * 2, maxiter=9, polish=False, **options)

    first, second = run(), run()
    named, other = run(key=jax.random.key(0)), run(key=jax.random.key(1))
    assert first.population.tolist() == second.population.tolist() == named.population.tolist()
    assert first.population.tolist() != other.population.tolist()


@pytest.mark.parametrize("maxiter", [0, 7])
def test_counts_and_populations_are_true(maxiter):
    """nit and nfev without a polish; x and fun are the best member and its loss, in the user's
    units."""
    result = differential_evolution(sphere, [(-3, 5)] * 2, maxiter=maxiter, tol=0, polish=False)
    assert int(result.nit) == maxiter
    assert int(result.nfev) == 2 * 15 * (maxiter + 1)
    assert not result.success and "Maximum number of iterations" in result.message
    best = int(np.argmin(result.population_energies))
    np.testing.assert_array_equal(result.x, result.population[best])
    np.testing.assert_allclose(result.population_energies, sphere(result.population.T), rtol=1e-5)


def test_x0_is_taken_as_it_is():
    """A needle in a haystack, evaluated and returned to its last digit, which the way through the
    unit cube could cost."""
    guess = jnp.asarray([1 / 3, 0.7654321], "float32")
    result = differential_evolution(
        lambda x: jnp.where(jnp.all(x == guess), -1.0, (x**2).sum()),
        [(-5, 9), (0, 1)], x0=guess, maxiter=2, polish=False, updating="deferred",
    )  # fmt: skip
    assert result.x.tolist() == result.population[0].tolist() == guess.tolist()
    assert float(result.fun) == float(result.population_energies[0]) == -1.0


@pytest.mark.full
def test_disp_prints_each_generation(capsys):
    """In SciPy's words, and changes nothing else."""
    options = {"maxiter": 3, "updating": "deferred", "init": "random"}
    quiet = differential_evolution(sphere, [(0, 1)] * 2, **options)
    loud = differential_evolution(sphere, [(0, 1)] * 2, disp=True, **options)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("differential_evolution step 1: f(x)= ") and len(lines) == 4
    assert lines[3].startswith("Polishing solution with")
    assert loud.x.tolist() == quiet.x.tolist()


def test_fixed_coordinates_stay():
    """low = high holds a parameter; the population counts only the others."""
    options = {"updating": "deferred", "init": "random"}
    result = evolve_quickly(sphere, [(0, 1), (0.5, 0.5)], **options)
    assert result.x[1] == 0.5 and len(result.population) == 15
    np.testing.assert_allclose(result.x[0], 0.25, atol=1e-3)


def test_the_polish_is_part_of_the_result():
    """x and fun are still the population's best, jac is the gradient there, and the polish's
    evaluations are counted."""
    options = {"maxiter": 5, "updating": "deferred", "init": "random"}
    rough = evolve_quickly(ackley, [(-5, 4)] * 2, polish=False, **options)
    fine = evolve_quickly(ackley, [(-5, 4)] * 2, **options)
    best = int(np.argmin(fine.population_energies))
    assert float(fine.fun) < float(rough.fun)
    assert fine.population[best].tolist() == fine.x.tolist()
    assert float(fine.population_energies[best]) == float(fine.fun)
    np.testing.assert_allclose(fine.jac, jax.grad(ackley)(fine.x), rtol=1e-3, atol=1e-3)
    assert rough.jac is None and rough.hess_inv is None and int(rough.njev) == 0
    assert int(fine.nfev) >= int(rough.nfev) + 14  # one gradient and thirteen steps at least


@pytest.mark.full
def test_a_guess_on_a_bound_is_inside():
    """Bounds that float32 cannot hold are rounded inwards; a guess on them must not fall out."""
    low, high = 0.1, 0.9999999999999998
    result = differential_evolution(
        sphere, [(low, high)] * 2, x0=[low, high], maxiter=1, polish=False
    )
    assert np.all((np.asarray(result.x, float) >= low) & (np.asarray(result.x, float) <= high))


def rosenbrock(x):
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


@pytest.mark.parametrize("maxfun", [1, 7, 30, 47, 60, 61, 1000])
@pytest.mark.parametrize(
    "updating", [pytest.param("immediate", marks=pytest.mark.full), "deferred"]
)
def test_maxfun_stops_as_in_scipy(maxfun, updating):
    """After as many evaluations, in its words: one by one it stops as soon as `maxfun` is exceeded,
    all at once when it is reached."""
    options = {"popsize": 5, "maxfun": maxfun, "maxiter": 9, "polish": False, "tol": 0}
    solver = scipy.optimize._differentialevolution.DifferentialEvolutionSolver(
        rosenbrock, [(0, 2)] * 2, updating=updating, **options
    )
    theirs = solver.solve()
    ours = differential_evolution(rosenbrock, [(0, 2)] * 2, updating=updating, **options)
    assert int(ours.nfev) == theirs.nfev and ours.message == theirs.message
    assert not ours.success


def test_no_evaluation_counts_beyond_maxfun():
    """Members past the budget are neither counted nor used: the start is cut at 7 of 30."""
    result = differential_evolution(
        sphere, [(0, 1)] * 2, maxfun=7, updating="deferred", polish=False
    )
    assert np.isfinite(result.population_energies).sum() == 7 == int(result.nfev)


def test_callback_sees_each_generation_and_may_stop():
    """In SciPy's two forms; what is shown is a result in progress, and what is returned is the last
    one shown, polished."""
    shown = []

    def stop_at_five(intermediate_result):
        shown.append(intermediate_result)
        return len(shown) == 5

    options = {"updating": "deferred", "tol": 0}
    stopped = differential_evolution(
        ackley, [(-5, 4)] * 2, callback=stop_at_five, polish=False, **options
    )
    plain = differential_evolution(ackley, [(-5, 4)] * 2, maxiter=5, polish=False, **options)
    assert [int(each.nit) for each in shown] == [1, 2, 3, 4, 5]
    assert all(each.message == "in progress" and bool(each.success) for each in shown)
    assert stopped.message == "callback function requested stop early" and not stopped.success
    for result in (shown[-1], stopped):
        assert result.population.tolist() == plain.population.tolist()
        assert int(result.nfev) == int(plain.nfev)
        assert result.x.tolist() == result.population[0].tolist()
        assert float(result.fun) == float(result.population_energies[0])

    def by_exception(xk, convergence_of_it):
        x, convergence = xk, convergence_of_it
        assert isinstance(x, np.ndarray)
        assert x.shape == (2,) and convergence >= 0
        raise StopIteration

    polished = differential_evolution(ackley, [(-5, 4)] * 2, callback=by_exception, **options)
    assert int(polished.nit) == 1 and polished.fun < shown[0].fun  # polished all the same


@pytest.mark.full
def test_a_callback_that_says_nothing_changes_nothing():
    seen = []

    def see(xk, convergence):
        seen.append(convergence)

    watched = differential_evolution(ackley, [(-5, 4)] * 2, callback=see, polish=False)
    plain = differential_evolution(ackley, [(-5, 4)] * 2, polish=False)
    assert watched.x.tolist() == plain.x.tolist() and int(watched.nit) == len(seen) == plain.nit
    assert seen[-1] >= 1 > seen[0]  # SciPy's measure: 1 where its rule is met


@pytest.mark.full
def test_whole_numbers():
    """Each owns an equal share of its interval, the bounds are narrowed to whole numbers, and the
    polish moves the other parameters alone."""
    target = jnp.asarray([2.4, 1.3, -3.6])

    def bowl(x):
        return ((x - target) ** 2).sum()

    bounds, whole = [(0.2, 5.9), (0.0, 3.0), (-6.2, -4.1)], [True, False, True]
    options = {"integrality": whole, "updating": "deferred"}
    result = evolve_quickly(bowl, bounds, maxiter=60, **options)
    np.testing.assert_allclose(result.x, [2, 1.3, -5], atol=1e-3)
    assert result.x[0] == 2 and result.x[2] == -5 and result.jac[0] == 0 == result.jac[2]
    start = evolve_quickly(
        bowl, bounds, init="random", popsize=2000, maxiter=0, polish=False, **options
    )
    values, counts = np.unique(start.population[:, 0], return_counts=True)
    assert values.tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(counts / 6000, 0.2, atol=0.03)
    assert set(np.unique(start.population[:, 2])) == {-6, -5}
    every = evolve_quickly(bowl, bounds, integrality=True, updating="deferred")
    assert every.x.tolist() == [2, 1, -5] and every.polish_message == "not polished"


@pytest.mark.full
def test_bounds_of_scipy():
    """A Bounds object means what pairs mean, with its broadcasting."""
    options = {"maxiter": 5, "polish": False}
    pairs = differential_evolution(sphere, [(0, 1), (0, 2)], **options)
    bounds = differential_evolution(sphere, scipy.optimize.Bounds([0, 0], [1, 2]), **options)
    wide = differential_evolution(sphere, scipy.optimize.Bounds(0, [1, 2]), **options)
    assert pairs.x.tolist() == bounds.x.tolist() == wide.x.tolist()


def test_nothing_to_search_is_evaluated_once():
    """All parameters fixed, as in SciPy's answer but at the cost of one evaluation."""
    result = differential_evolution(sphere, [(2.0, 2.0), (3.0, 3.0)])
    assert result.x.tolist() == [2.0, 3.0] and bool(result.success)
    assert int(result.nfev) == 1 and int(result.nit) == 0
    assert float(result.fun) == float(sphere(jnp.asarray([2.0, 3.0])))


@pytest.mark.full
def test_an_added_constant_changes_nothing_under_the_absolute_rule():
    """f and f + 5000 stop within 10 % of the same generation, at the same place; by SciPy's default
    rule the latter stops at once, far away."""
    options = {"updating": "deferred", "vectorized": True, "polish": False}
    with jax.enable_x64(True):
        plain, raised, early = (
            differential_evolution(
                lambda x, c: (x**2).sum(0) + c, [(-5, 5)] * 6, args=(c,), **rule, **options
            )
            for c, rule in ((0.0, {"fatol": 1e-6}), (5000.0, {"fatol": 1e-6}), (5000.0, {}))
        )
    assert abs(int(raised.nit) - int(plain.nit)) <= 0.1 * int(plain.nit)
    assert float(raised.fun) - 5000 < 1e-6 and bool(raised.success)
    assert int(early.nit) < 3 and float(early.fun) - 5000 > 1


def test_restarts_are_the_best_of_several():
    """The first is the run without restarts, the best is returned, and those that ended as low are
    counted: on two basins of unequal depth, all in one or in the other."""

    def two_basins(x):
        return jnp.minimum(((x - 1) ** 2).sum() * 4, ((x + 3) ** 2).sum() + 1.0)

    @quick_jit
    def run(agree_tol):
        more = {"restarts": 12, "agree_tol": agree_tol}
        return differential_evolution(two_basins, [(-5, 5)] * 4, **options, **more)

    options = {"popsize": 2, "maxiter": 60, "updating": "deferred", "init": "random"}
    together = run(0.01)
    first = evolve_quickly(two_basins, [(-5, 5)] * 4, **options)
    assert first.agreed == 1 and together.fun <= first.fun
    assert together.fun < 0.01 and 1 <= together.agreed < 12
    assert int(together.nfev) > 6 * int(first.nfev)
    lonely = run(2.0)
    assert lonely.agreed == 12 and lonely.x.tolist() == together.x.tolist()


def test_results_are_named_pytrees():
    """What JAX maps over, what unpacks, and what prints its state in words."""
    result = evolve_quickly(sphere, [(0, 1)] * 2, maxiter=1, polish=False)
    assert result._fields[:3] == ("x", "fun", "success")
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(result))
    twice = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), result)
    assert twice.message == [result.message] * 2


@pytest.mark.full
def test_counts_of_values_that_are_not_finite():
    """Of the search, NaN and infinity alike: half of a box, exactly as the population tells."""

    def half(x):
        return jnp.where(x[0] < 0, jnp.where(x[1] < 0, jnp.nan, jnp.inf), (x**2).sum())

    result = differential_evolution(
        half, [(-1, 1)] * 2, init="latinhypercube", popsize=20, maxiter=0, polish=False
    )
    assert int(result.nonfinite) == np.isinf(result.population_energies).sum() == 20


@pytest.mark.full
def test_several_members_may_be_polished():
    """Of a population in several basins, the best member may be in the wrong one: the best of those
    elsewhere is polished, too."""

    def basins(x):  # a wide one with its floor at 1, and a narrow one with its floor at 0
        wide = 1 + 0.1 * ((x - 3) ** 2).sum()
        return jnp.minimum(wide, 30 * ((x + 2) ** 2).sum())

    guesses = jnp.asarray([[3.0, 2.5], [3.1, 2.6], [2.9, 2.4], [-1.8, -1.8], [2.8, 2.5]])
    options = {"init": guesses, "maxiter": 0, "updating": "deferred"}
    single = evolve_quickly(basins, [(-5, 5)] * 2, polish=1, **options)
    double = evolve_quickly(basins, [(-5, 5)] * 2, polish=2, **options)
    assert float(single.fun) == pytest.approx(1, abs=1e-4)
    assert float(double.fun) < 1e-6
    np.testing.assert_allclose(double.x, -2, atol=1e-3)
    assert int(double.nfev) > int(single.nfev) and int(double.njev) > int(single.njev)


@pytest.mark.full
def test_a_function_may_polish():
    """SciPy's `minimize`, with its keywords, which takes differences that single precision could
    not tell apart; kept because it is lower, even without success. What is not a result is an
    error."""
    ends = []

    def by_scipy(func, x, **keywords):
        assert isinstance(keywords["bounds"], scipy.optimize.Bounds)
        assert isinstance(func(x), float)
        end = scipy.optimize.minimize(func, x, method="L-BFGS-B", **keywords)
        end.success = False
        ends.append(end)
        return end

    options = {"maxiter": 3, "updating": "deferred"}
    rough = differential_evolution(rosenbrock, [(0, 2)] * 2, polish=False, **options)
    fine = differential_evolution(rosenbrock, [(0, 2)] * 2, polish=by_scipy, **options)
    assert float(fine.fun) == pytest.approx(ends[0].fun, rel=1e-6)
    assert float(fine.fun) < 1e-6 < float(rough.fun)
    assert int(fine.nfev) == int(rough.nfev) + ends[0].nfev
    assert fine.polish_message == "polished by the function given"
    np.testing.assert_allclose(fine.population[0], fine.x)
    with pytest.raises(ValueError, match="The result from a user defined polishing function"):
        differential_evolution(rosenbrock, [(0, 2)] * 2, polish=lambda f, x, **k: x, **options)

    def cheat(func, x, **keywords):
        return scipy.optimize.OptimizeResult(x=np.array([9.0, 9.0]), fun=-1.0)

    outside = differential_evolution(rosenbrock, [(0, 2)] * 2, polish=cheat, **options)
    assert outside.x.tolist() == rough.x.tolist() and "not lower" in outside.polish_message


@pytest.mark.parametrize(
    "updating", [pytest.param("immediate", marks=pytest.mark.full), "deferred"]
)
def test_fun_is_the_value_at_x(updating):
    """To the last digit: x is the very point that was evaluated, not one from the same place in the
    unit cube by other rounding."""

    def square(x):
        return x[0] ** 2

    for seed in range(6):
        result = differential_evolution(
            square, [(-2, 3)], key=jax.random.key(seed), maxiter=1, polish=False, updating=updating
        )
        assert float(result.fun) == float(square(result.x))


def uneven_bowl(x, centre):
    return ((x - centre) ** 2 * jnp.arange(1.0, 7.0)).sum()


@pytest.mark.full
def test_optima_on_the_bounds_are_found():
    """Exactly, from the whole engine: the free optimum lies outside the box in half of the
    coordinates."""

    @quick_jit
    def run(centre):
        options = {"args": (centre,), "maxiter": 10, "updating": "deferred", "init": "random"}
        return differential_evolution(uneven_bowl, [(-1, 1)] * 6, **options)

    for seed in range(3):
        centre = np.random.default_rng(seed).uniform(-2, 2, 6)
        result = run(centre)
        expected = np.clip(centre, -1, 1)
        outside = np.abs(centre) > 1
        assert outside.any() and result.x[outside].tolist() == expected[outside].tolist()
        np.testing.assert_allclose(result.x, expected, atol=2e-3)
