"""Invalid input raises an error that says what came and what was expected; unusual but valid input
is accepted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from conftest import evolve_quickly, quick_jit

from jaxcmr.optimize import STRATEGIES, differential_evolution, evolve_lanes

pytestmark = pytest.mark.usefixtures("quick_compiler")
BOX = [(0.0, 1.0)] * 2


PLAIN = {"updating": "deferred", "polish": False}


def sphere(x):
    return ((x - 0.25) ** 2).sum(0)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ([(1.0, 0.0), (0.0, 1.0)], r"bounds\[0\] = \(1.0, 0.0\) must have low <= high"),
        ([(0.0, np.inf)], r"bounds\[0\] = \(0.0, inf\) must be finite"),
        ([(0.0, 1.0), (np.nan, 1.0)], r"bounds\[1\] = \(nan, 1.0\) must be finite"),
        ([0.0, 1.0], r"shape \(n_params, 2\); got shape \(2,\)"),
        (np.zeros((2, 3)), r"shape \(n_params, 2\); got shape \(2, 3\)"),
        ([], r"shape \(n_params, 2\); got shape \(0,\)"),
        (np.zeros((0, 2)), r"shape \(n_params, 2\); got shape \(0, 2\)"),
        ([(0.0, 1.0), (0.0,)], "inhomogeneous"),
        (scipy.optimize.Bounds([0, 0], [1, np.inf]), r"bounds\[1\] = \(0.0, inf\) must be finite"),
    ],
)
def test_bounds(bounds, message):
    with pytest.raises(ValueError, match=message):
        differential_evolution(sphere, bounds)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "best1bim"}, r"Unrecognized strategy 'best1bim'.* Did you mean 'best1bin'\?"),
        ({"init": "latin"}, "Unrecognized init 'latin'; known: latinhypercube, sobol,"),
        ({"updating": "later"}, "updating must be 'immediate' or 'deferred'; got 'later'"),
        ({"mutation": 2.0}, r"mutation must be a number in \[0, 2\).*; got 2.0"),
        ({"mutation": (0.5, 3)}, "mutation"),
        ({"mutation": (-1, 1)}, "mutation"),
        ({"mutation": (1.0, 0.5)}, "low <= high"),
        ({"mutation": (0.1, np.nan)}, "mutation"),
        ({"mutation": (0.1, 0.2, 0.3)}, "mutation"),
        ({"recombination": 1.5}, r"recombination must be a number in \[0, 1\]; got 1.5"),
        ({"recombination": np.nan}, "recombination must be"),
        ({"tol": -1.0}, "tol must be a number >= 0"),
        ({"tol": np.nan}, "tol must be a number >= 0; got nan"),
        ({"atol": np.nan}, "atol must be a number >= 0"),
        ({"fatol": -1e-9}, "fatol must be a number >= 0"),
        ({"popsize": 0}, "popsize must be at least 1"),
        ({"maxiter": -1}, "maxiter must be at least 0"),
        ({"maxfun": 0}, "maxfun must be at least 1"),
        ({"restarts": 0}, "restarts must be at least 1"),
        ({"polish": -1}, "polish must be at least 0"),
        ({"workers": 0}, "workers must be a positive integer or -1"),
        ({"workers": -2}, "workers must be"),
        ({"workers": 1.5}, "workers must be"),
        ({"workers": map, "vectorized": True}, "If 'workers' is a callable, 'vectorized' must be"),
        ({"x0": [0.5]}, r"x0 must have shape \(2,\); got \(1,\)"),
        ({"x0": [0.5, 1.5]}, "x0 lie outside the specified bounds"),
        ({"x0": [0.5, np.nan]}, "x0 lie outside the specified bounds"),
        ({"init": np.zeros((10, 3))}, r"shape \(S, 2\) with S >= 5; got \(10, 3\)"),
        ({"init": np.zeros((4, 2))}, r"with S >= 5; got \(4, 2\)"),
        ({"init": np.full((9, 2), np.nan)}, "holds NaN"),
        ({"integrality": [True]*3}, "integrality must be one boolean or 2"),
        ({"key": 7}, r"key must be a key of jax.random"),
        ({"key": "batch"}, "key must be one key"),
        ({"callback": print, "restarts": 2}, "A callback follows one run"),
    ],
)  # fmt: skip
def test_options(options, message):
    if options.get("key") == "batch":
        options = {"key": jax.random.split(jax.random.key(0), 3)}
    with pytest.raises(ValueError, match=message):
        differential_evolution(sphere, BOX, **{"updating": "deferred", **options})


def test_too_few_members_for_the_partners():
    """Two differences need five others; every strategy runs with as many as it says."""
    with pytest.raises(
        ValueError, match="A population of 5 is too small: 'rand2bin' needs at least 6"
    ):
        differential_evolution(sphere, [(0, 1)], popsize=2, strategy="rand2bin")
    assert max(strategy.n_partners for strategy in STRATEGIES.values()) == 5


def test_no_whole_number_between_the_bounds():
    with pytest.raises(ValueError, match="One of the integrality constraints does not have any"):
        differential_evolution(sphere, [(-10.2, -10.1), (0, 1)], integrality=[True, False])


def test_constraints_are_not_ignored():
    limit = scipy.optimize.NonlinearConstraint(lambda x: x[0], -np.inf, 1.9)
    for constraints in (limit, [limit], {"type": "ineq", "fun": lambda x: x[0]}):
        with pytest.raises(NotImplementedError, match="constraints are not supported"):
            differential_evolution(sphere, BOX, constraints=constraints)
    result = evolve_quickly(sphere, BOX, constraints=[], maxiter=1, **PLAIN)
    assert result.x.shape == (2,)


@pytest.mark.parametrize("vectorized", [False, True])
def test_functions_of_the_wrong_shape(vectorized):
    """SciPy's error and its words, and a ValueError."""
    options = {"vectorized": vectorized, "updating": "deferred"}
    wrong = (lambda x: x.sum()) if vectorized else (lambda x: x**2)
    words = "The vectorized function" if vectorized else r"func\(x, \*args\) must return a scalar"
    for error in (RuntimeError, ValueError):
        with pytest.raises(error, match=words):
            differential_evolution(wrong, BOX, **options)


@pytest.mark.parametrize(
    "func",
    [
        lambda x: ((x - 0.25) ** 2).sum()[None],  # (1,) is squeezed
        lambda x: (100 * (x - 0.25) ** 2).sum().astype(int),
        lambda x: ((x - 0.25) ** 2).sum().astype("float32"),
        lambda x: [((x - 0.25) ** 2).sum()],
    ],
    ids=["(1,)", "int", "float32", "list"],
)
def test_numbers_of_another_kind_are_taken(func):
    with jax.enable_x64(True):
        result = evolve_quickly(func, BOX, maxiter=40, **PLAIN)
    assert result.fun.dtype == result.x.dtype == jnp.float64
    np.testing.assert_allclose(result.x, 0.25, atol=0.1)


def test_bounds_that_the_precision_cannot_span():
    """1e300 is infinite in float32, and so is the width of a box that just fits."""
    for bounds in ([(-1e300, 1e300)], [(0, 1), (-3e38, 3e38)]):
        with pytest.raises(ValueError, match="too wide for float32"):
            differential_evolution(sphere, bounds)


@pytest.mark.parametrize("bounds", [(1e8, 1e8 + 1)])
def test_bounds_that_the_precision_cannot_tell_apart(bounds):
    """They are not a fixed parameter; the same number twice is one, and doubles hold them."""
    for options in ({}, {"integrality": [False, True]}):
        with pytest.raises(ValueError, match=r"bounds\[1\] = .* too narrow for float32"):
            differential_evolution(sphere, [(0, 9), bounds], **options)
    with pytest.raises(ValueError, match=r"bounds\[0\] = .* too narrow for float32"):
        list(evolve_lanes([sphere], [bounds], [jax.random.key(0)]))
    fixed = evolve_quickly(sphere, [(0, 1), (0.1, 0.1)], maxiter=1, **PLAIN)
    np.testing.assert_allclose(fixed.x[1], 0.1)
    with jax.enable_x64(True):
        low, high = bounds
        found = evolve_quickly(lambda x: (x[0] - low) * (high - x[0]) * -1.0, [bounds], **PLAIN)
    np.testing.assert_allclose(found.x, low + (high - low) / 2, rtol=0, atol=0.05)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda pd: pd.Series([0.2, 0.4]), TypeError, r"args\[1\] holds a Series.* pass arrays"),
        (lambda pd: pd.DataFrame({"a": [0.2]}), TypeError, r"args\[1\] holds a DataFrame"),
        (lambda pd: {"data": [{1, 2}]}, TypeError, r"args\[1\] holds a set"),
        (lambda pd: np.array(["a", "b"]), TypeError, r"args\[1\] holds an array of dtype <U1"),
        (lambda pd: np.ma.array([1, 2], mask=[0, 1]), ValueError, r"args\[1\] .* masked array"),
        (lambda pd: np.array([1600000000000]), ValueError, r"args\[1\] .* beyond int32"),
        (lambda pd: 2**40, ValueError, r"args\[1\] .* beyond int32"),
    ],
    ids=["Series", "DataFrame", "set", "text", "masked", "int64", "int"],
)
def test_args_that_cannot_be_data(make, error, message):
    """The message names the argument."""
    argument = make(pytest.importorskip("pandas"))
    with pytest.raises(error, match=message):
        differential_evolution(lambda x, c, data: sphere(x) + c, BOX, args=(1.0, argument))


def test_functions_that_hold_what_cannot_be_data():
    """A pandas object in a pytree is named, not an `unhashable type` from within."""
    series = pytest.importorskip("pandas").Series([0.2])
    func = jax.tree_util.Partial(lambda data, x: sphere(x), series)
    with pytest.raises(TypeError, match="func holds a Series"):
        differential_evolution(func, BOX)
    with pytest.raises(TypeError, match=r"funcs\[0\] holds a Series"):
        list(evolve_lanes([func], BOX, [jax.random.key(0)]))


def test_args_of_another_byte_order_are_data():
    data = np.array([0.25, 0.75], ">f8")
    options = {"args": (data,), "maxiter": 40, **PLAIN}
    found = evolve_quickly(lambda x, data: ((x - data) ** 2).sum(), BOX, **options)
    np.testing.assert_allclose(found.x, [0.25, 0.75], atol=0.05)


def test_whole_numbers_stay_whole_from_any_start():
    """A guess, a population or a lane's start that is not whole is rounded, as in SciPy."""

    def far(x):
        return ((x - 2.7) ** 2).sum(0)

    rng = np.random.default_rng(0)
    options = {"integrality": True, "maxiter": 20, **PLAIN}
    result = evolve_quickly(far, [(0, 5)], init=rng.uniform(0, 5, (9, 1)), **options)
    assert result.x.tolist() == [3.0] and np.isclose(result.fun, 0.09)
    assert np.all(result.population == np.round(result.population))
    traced = quick_jit(lambda x0: differential_evolution(far, [(0, 5)], x0=x0, **options))
    assert traced(jnp.array([2.7])).x.tolist() == [3.0]
    [lane] = [
        report.result
        for report in evolve_lanes([far], [(0, 5)], [jax.random.key(0)], x0=[[2.7]], **options)
        if report.result is not None
    ]
    assert lane.x.tolist() == [3.0] and np.isclose(lane.fun, 0.09)


def test_old_keys_are_keys():
    """jax.random.PRNGKey(0) is jax.random.key(0) in another form."""
    options = {"maxiter": 2, **PLAIN}
    old = evolve_quickly(sphere, BOX, key=jax.random.PRNGKey(0), **options)
    assert old.x.tolist() == evolve_quickly(sphere, BOX, **options).x.tolist()


@pytest.mark.parametrize("vectorized", [False, True])
def test_complex_values_are_errors(vectorized):
    """Their imaginary part would be lost."""
    with pytest.raises(ValueError, match="must return a real number"):
        differential_evolution(
            lambda x: x[0] + 1j * x[1], BOX, vectorized=vectorized, updating="deferred"
        )


def test_a_function_that_jax_cannot_trace():
    """Says what to do about it."""
    with pytest.raises(jax.errors.TracerArrayConversionError) as caught:
        differential_evolution(lambda x: np.asarray(x).sum(), BOX)
    assert any("jax.pure_callback" in note for note in caught.value.__notes__)


def test_nan_in_half_of_the_box():
    """The other half is searched."""
    half = [(-1, 1)] * 2
    result = evolve_quickly(lambda x: jnp.where(x[0] < 0, jnp.nan, sphere(x)), half, **PLAIN)
    np.testing.assert_allclose(result.x, 0.25, atol=0.05)
    assert int(result.nonfinite) > 0 and bool(result.success)


@pytest.mark.parametrize(
    ("value", "updating"),
    [(np.nan, "deferred"), pytest.param(np.inf, "immediate", marks=pytest.mark.full)],
)
def test_finite_nowhere(value, updating):
    """Ends after the start, and says so."""
    result = evolve_quickly(lambda x: x[0] * 0 + value, BOX, updating=updating)
    assert not result.success and int(result.status) == 2 and "not finite" in result.message
    assert int(result.nit) == 0 and int(result.nonfinite) == 30 and np.isinf(result.fun)
    assert "skipped" in result.polish_message


@pytest.mark.full
def test_finite_only_at_the_start():
    """A needle: no trial vector has a finite loss, and the first member is kept."""
    options = {"x0": [0.5, 0.5], "maxiter": 5, **PLAIN}
    result = evolve_quickly(lambda x: jnp.where(jnp.all(x == 0.5), -1.0, jnp.nan), BOX, **options)
    assert result.x.tolist() == [0.5, 0.5] and result.fun == -1 and int(result.nit) == 5
    assert int(result.nonfinite) == 30 * 6 - 1


@pytest.mark.full
def test_minus_infinity_is_a_minimum():
    result = evolve_quickly(lambda x: jnp.log(x[0] * 0 + 0.0), BOX, maxiter=3, **PLAIN)
    assert result.fun == -np.inf and not result.success


def test_a_constant_objective_converges_at_once():
    result = evolve_quickly(lambda x: 5.0 + 0 * x[0], BOX, **PLAIN)
    assert bool(result.success) and int(result.nit) == 1 and float(result.fun) == 5.0
