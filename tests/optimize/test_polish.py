"""The polish finds optima on the box, in either precision, and never makes things worse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from conftest import quick_jit

from jaxcmr.optimize import Box, differential_evolution
from jaxcmr.optimize._polish import polish
from jaxcmr.optimize._slope import central_differences


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum(0)


def run(func, box, unit):
    unit = jnp.asarray(unit, box.lower.dtype)
    return quick_jit(lambda unit: polish(func, box, unit))(unit)


@pytest.mark.parametrize("seed", range(12))
def test_random_boxes_are_solved(seed, x64):
    """Rosenbrock's valley cut by random bounds, many active at the optimum: as low as SciPy's
    L-BFGS-B with tight tolerances. An unbounded search leaves the box; a clipped one gets stuck."""
    rng = np.random.default_rng(seed)
    lower = rng.uniform(-2, 0.5, 6)
    box = Box.from_bounds(np.stack([lower, lower + rng.uniform(0.5, 3, 6)], axis=1))
    unit = rng.random(6)
    result = run(rosenbrock, box, unit)
    best = scipy.optimize.minimize(
        rosenbrock,
        np.asarray(box.to_user(jnp.asarray(unit))),
        bounds=np.stack([box.lower, box.upper], axis=1),
        method="L-BFGS-B",
        options={"maxiter": 5000, "maxfun": 100_000, "ftol": 1e-15, "gtol": 1e-10},
    )
    tolerance = 1e-8 if x64 else 1e-5
    assert float(result.energy) <= best.fun * (1 + tolerance) + tolerance


def test_an_optimum_in_a_corner_is_found_exactly(x64):
    """Not merely approached, as through a sigmoid."""
    box = Box.from_bounds([(-1.0, 2.0), (0.5, 1.5), (-3.0, -2.0)])
    centre = jnp.asarray([5.0, 0.75, -9.0])
    result = run(lambda x: ((x - centre[:, None]) ** 2).sum(0), box, [0.3, 0.9, 0.6])
    x = box.to_user(result.unit)
    assert x[0] == 2.0 and x[2] == -3.0
    np.testing.assert_allclose(x[1], 0.75, atol=1e-3)
    np.testing.assert_allclose(result.jac, 2 * (x - centre), atol=1e-3)


def test_an_offset_does_not_stop_it():
    """A log-likelihood of 500 in float32 leaves few digits; the way down must still be found."""
    box = Box.from_bounds([(0.0, 1.0)] * 4)
    result = run(lambda x: 500 + 30 * ((x - 0.4) ** 2).sum(0), box, [0.9, 0.1, 0.8, 0.2])
    assert float(result.energy) - 500 < 1e-3


@pytest.mark.parametrize(
    "func",
    [
        lambda x: jnp.where(x[0] < 0.5, jnp.nan, x[0]),  # no number on the way down
        lambda x: jnp.sqrt(jnp.abs(x[0] - 0.5)) + 0 * x[1],  # a cusp with an infinite slope
        lambda x: jnp.floor(8 * x[0]),  # flat steps
        lambda x: jnp.full(x.shape[1], jnp.inf),
    ],
    ids=["nan", "cusp", "steps", "infinite"],
)
def test_it_is_never_worse_than_the_start(func):
    """Whatever the function, the result is a point of the box, no higher, and its own value."""
    box = Box.from_bounds([(0.0, 1.0)] * 2)
    for start in ([0.75, 0.5], [0.5, 0.5], [1.0, 0.0]):
        before = float(func(jnp.asarray(start)[:, None])[0])
        result = run(func, box, start)
        assert jnp.all((result.unit >= 0) & (result.unit <= 1))
        if np.isfinite(before):
            assert float(result.energy) <= before
            assert float(func(result.unit[:, None])[0]) == float(result.energy)


def test_few_steps_suffice(x64):
    """Curvature is learned: an ill-conditioned bowl (1 to 10,000) in ten dimensions, which steepest
    descent would take thousands of steps for, and Rosenbrock's valley."""
    scales = jnp.logspace(0, 4, 10)
    box = Box.from_bounds([(-1.0, 2.0)] * 10)
    bowl = run(lambda x: (scales[:, None] * (x - 0.5) ** 2).sum(0), box, np.linspace(0.1, 0.9, 10))
    assert float(bowl.energy) < 1e-4 and int(bowl.njev) < 50
    # In four dimensions there is another minimum, of 3.70, where the first coordinate is negative.
    valley = run(rosenbrock, Box.from_bounds([(-2.0, 2.0)] * 4), [0.6, 0.8, 0.3, 0.9])
    assert float(valley.energy) < 1e-4 and int(valley.njev) < 80


@jax.custom_vjp
def reverse_only(x):
    return ((x - 0.3) ** 2).sum(0)


reverse_only.defvjp(
    lambda x: (reverse_only(x), x), lambda x, cotangent: (2 * (x - 0.3) * cotangent,)
)


@pytest.mark.parametrize(
    ("func", "status"),
    [
        (lambda x: ((x - 0.3) ** 2).sum(0), 1),
        (reverse_only, 1),
        # the root of 0 has a slope that is not a number, though its value is one
        (lambda x: ((x - 0.3) ** 2).sum(0) + jnp.sqrt(0 * x[0]), 2),
        (lambda x: jnp.where(x[0] == x[0], jnp.nan, 0.0), 3),
        (lambda x: jnp.where(jnp.all(x == 0.5, axis=0), 0.0, jnp.nan), 1),
    ],
    ids=["forward", "reverse", "differences", "nowhere", "needle"],
)
def test_the_slope_is_had_somehow(func, status, x64):
    """Forward, in reverse, by differences where it is not a number; and if all fails, the status
    says so and the start is kept. The same under vmap."""
    box = Box.from_bounds([(-1.0, 2.0)] * 2)
    start = jnp.full(2, 0.5)
    for result in (
        run(func, box, start),
        jax.tree.map(
            lambda leaf: leaf[1],
            quick_jit(jax.vmap(lambda unit: polish(func, box, unit)))(jnp.stack([start, start])),
        ),
    ):
        assert int(result.status) == status
        if func(start[:, None] + 0.1)[0] > 0:
            np.testing.assert_allclose(box.to_user(result.unit), 0.3, atol=2e-3)
        else:
            assert result.unit.tolist() == start.tolist()


def test_the_inverse_hessian_is_that_of_the_users_units():
    """Of a bowl with known curvature in a box of unequal sides."""
    curvature = np.array([[3.0, 1.0], [1.0, 2.0]])
    with jax.enable_x64(True):
        box = Box.from_bounds([(-4.0, 6.0), (0.0, 1.0)])

        def bowl(x):
            away = x - jnp.asarray([[1.0], [0.4]])
            return 0.5 * (away * (curvature @ away)).sum(0)

        result = run(bowl, box, [0.2, 0.9])
        np.testing.assert_allclose(result.hess_inv, np.linalg.inv(curvature), rtol=0.05)


def test_differences_stay_in_the_box(x64):
    """A function that is not a number outside must not be asked there."""
    box = Box.from_bounds([(0.0, 1.0)] * 2)

    def func(x):
        inside = jnp.all((x >= 0) & (x <= 1), axis=0)
        return jnp.where(inside, ((x - jnp.asarray([[0.0], [2.0]])) ** 2).sum(0), jnp.nan)

    at_corner = central_differences(func, box, jnp.asarray([0.0, 1.0], box.lower.dtype))
    np.testing.assert_allclose(at_corner, [0.0, -2.0], atol=0.01)


def test_where_it_came_to_rest():
    """True at the bottom of a bowl; False out of steps, without a finite slope or without polish.
    `fun_search` is the value before the polish."""
    options = {"maxiter": 3, "updating": "deferred", "init": "random"}
    rough = differential_evolution(rosenbrock, [(-2, 2)] * 2, polish=False, **options)
    fine = differential_evolution(rosenbrock, [(-2, 2)] * 2, **options)
    assert fine.at_rest and not rough.at_rest
    assert fine.fun < fine.fun_search == rough.fun == rough.fun_search
    box = Box.from_bounds([(-2.0, 2.0)] * 2)
    unit = jnp.array([0.1, 0.9])
    ended = {steps: polish(rosenbrock, box, unit, jnp.array(steps)) for steps in (0, 1, 4)}
    assert [int(end.njev) for end in ended.values()] == [0, 1, 4]
    assert not any(end.at_rest for end in ended.values())
    assert not polish(lambda x: x[0] * jnp.nan, box, unit).at_rest


def test_an_error_of_the_function_is_not_taken_for_a_missing_slope():
    def broken(x):
        raise TypeError("a bug of the user")

    with pytest.raises(TypeError, match="a bug of the user"):
        polish(broken, Box.from_bounds([(0.0, 1.0)]), jnp.array([0.5]))
