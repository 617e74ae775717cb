"""The polish finds optima on the box, in either precision, and never makes things worse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from conftest import evolve_quickly, quick_jit

from jaxcmr.optimize import Box
from jaxcmr.optimize._polish import MAX_GRADIENTS, Coordinates, central_differences, polish


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum(0)


def compiled_polish(func, way="helped"):
    """A polish of `func` from one point, compiled once for all boxes, starts and limits."""
    compiled = quick_jit(
        lambda box, unit, limit: polish(func, Coordinates(box), unit[None], limit, way, block=1)
    )

    def run(box, unit, limit=MAX_GRADIENTS):
        ends = compiled(box, jnp.asarray(unit, box.lower.dtype), limit)
        return jax.tree.map(lambda leaf: leaf[0], ends)

    return run


def run(func, box, unit):
    return compiled_polish(func)(box, unit)


def test_random_boxes_are_solved(x64):
    """Rosenbrock's valley cut by random bounds, many active at the optimum: as low as SciPy's
    L-BFGS-B with tight tolerances. An unbounded search leaves the box; a clipped one gets stuck."""
    polish_rosenbrock = compiled_polish(rosenbrock)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        lower = rng.uniform(-2, 0.5, 6)
        box = Box.from_bounds(np.stack([lower, lower + rng.uniform(0.5, 3, 6)], axis=1))
        unit = rng.random(6)
        result = polish_rosenbrock(box, unit)
        best = scipy.optimize.minimize(
            lambda x: (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum(),
            np.asarray(box.to_user(jnp.asarray(unit))),
            bounds=np.stack([box.lower, box.upper], axis=1),
            method="L-BFGS-B",
            options={"maxiter": 5000, "maxfun": 100_000, "ftol": 1e-15, "gtol": 1e-10},
        )
        tolerance = 1e-8 if x64 else 1e-5
        assert float(result.loss) <= best.fun * (1 + tolerance) + tolerance


def test_differences_end_as_low_as_exact_gradients():
    """In double precision, of random boxes that cut Rosenbrock's valley: within 1e-6 of the end
    that exact gradients reach, with n_params + 1 evaluations each."""
    with jax.enable_x64(True):
        exact, differences = (compiled_polish(rosenbrock, way) for way in ("exact", "differences"))
        for seed in range(8):
            rng = np.random.default_rng(seed)
            lower = rng.uniform(-2, 0.5, 6)
            box = Box.from_bounds(np.stack([lower, lower + rng.uniform(0.5, 3, 6)], axis=1))
            unit = rng.random(6)
            ours, theirs = differences(box, unit), exact(box, unit)
            assert ours.loss <= theirs.loss + 1e-6 * (1 + abs(theirs.loss))
            assert (ours.status, theirs.status) == (2, 1) and ours.nfev == 7 * ours.njev


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
    assert float(result.loss) - 500 < 1e-3


@pytest.mark.parametrize(
    "func",
    [
        lambda x: jnp.where(x[0] < 0.5, jnp.nan, x[0]),  # NaN on the way down
        lambda x: jnp.sqrt(jnp.abs(x[0] - 0.5)) + 0 * x[1],  # a cusp with an infinite gradient
        lambda x: jnp.floor(8 * x[0]),  # flat steps
        lambda x: jnp.full(x.shape[1], jnp.inf),
    ],
    ids=["nan", "cusp", "steps", "infinite"],
)
def test_it_is_never_worse_than_the_start(func):
    """The result is a point of the box, not higher than the start, with the loss at that point."""
    box = Box.from_bounds([(0.0, 1.0)] * 2)
    polish_func = compiled_polish(func)
    for start in ([0.75, 0.5], [0.5, 0.5], [1.0, 0.0]):
        before = float(func(jnp.asarray(start)[:, None])[0])
        result = polish_func(box, start)
        assert jnp.all((result.unit >= 0) & (result.unit <= 1))
        if np.isfinite(before):
            assert float(result.loss) <= before
            assert float(func(result.unit[:, None])[0]) == float(result.loss)


def test_few_steps_suffice(x64):
    """Curvature is learned: an ill-conditioned bowl (1 to 10,000) in ten dimensions, which steepest
    descent would take thousands of steps for, and Rosenbrock's valley."""
    scales = jnp.logspace(0, 4, 10)
    box = Box.from_bounds([(-1.0, 2.0)] * 10)
    bowl = run(lambda x: (scales[:, None] * (x - 0.5) ** 2).sum(0), box, np.linspace(0.1, 0.9, 10))
    assert float(bowl.loss) < 1e-4 and int(bowl.njev) < 50
    # In four dimensions there is another minimum, of 3.70, where the first coordinate is negative.
    valley = run(rosenbrock, Box.from_bounds([(-2.0, 2.0)] * 4), [0.6, 0.8, 0.3, 0.9])
    assert float(valley.loss) < 1e-4 and int(valley.njev) < 80


@jax.custom_vjp
def reverse_only(x):
    return ((x - 0.3) ** 2).sum(0)


reverse_only.defvjp(
    lambda x: (reverse_only(x), x), lambda x, cotangent: (2 * (x - 0.3) * cotangent[None],)
)


def looped(x):
    """A bowl by a loop of unknown length, which JAX differentiates in forward mode only."""
    start = (jnp.array(0), jnp.zeros(x.shape[1], x.dtype))
    return jax.lax.while_loop(
        lambda loop: loop[0] < len(x),
        lambda loop: (loop[0] + 1, loop[1] + (x[loop[0]] - 0.3) ** 2),
        start,
    )[1]


def called(x):
    """A bowl by a callback, which JAX cannot differentiate."""
    struct = jax.ShapeDtypeStruct(x.shape[1:], x.dtype)
    return jax.pure_callback(
        lambda x: ((np.asarray(x) - 0.3) ** 2).sum(-2), struct, x, vmap_method="broadcast_all"
    )


@pytest.mark.parametrize("batch", [False, pytest.param(True, marks=pytest.mark.full)])
@pytest.mark.parametrize(
    ("func", "status"),
    [
        (looped, 1),
        (reverse_only, 1),
        (called, 2),
        # the root of 0 has the gradient NaN, though its value is 0
        (lambda x: ((x - 0.3) ** 2).sum(0) + jnp.sqrt(0 * x[0]), 2),
        (lambda x: jnp.where(x[0] == x[0], jnp.nan, 0.0), 3),
        (lambda x: jnp.where(jnp.all(x == 0.5, axis=0), 0.0, jnp.nan), 1),
    ],
    ids=["forward", "reverse", "callback", "NaN", "nowhere", "needle"],
)
def test_the_gradient_comes_from_the_best_mode_there_is(func, status, batch):
    """Reverse, forward, or by differences where JAX has none or NaN; if no gradient is finite, the
    status says so and the start is kept. The same under vmap."""
    box = Box.from_bounds([(-1.0, 2.0)] * 2)
    start = jnp.full(2, 0.5)
    if batch:
        both = quick_jit(jax.vmap(lambda units: polish(func, Coordinates(box), units, block=1)))(
            jnp.stack([start, start])[:, None]
        )
        result = jax.tree.map(lambda leaf: leaf[1, 0], both)
    else:
        result = run(func, box, start)
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


def test_differences_stay_in_the_box():
    """A function that is NaN outside must not be evaluated there."""
    box = Box.from_bounds([(0.0, 1.0)] * 2)

    def func(x):
        inside = jnp.all((x >= 0) & (x <= 1), axis=0)
        return jnp.where(inside, ((x - jnp.asarray([[0.0], [2.0]])) ** 2).sum(0), jnp.nan)

    units = jnp.asarray([[0.0, 1.0], [0.25, 0.5]], box.lower.dtype)
    gradients = central_differences(func, Coordinates(box), units, jnp.arange(2))
    np.testing.assert_allclose(gradients, [[0.0, -2.0], [0.5, -3.0]], atol=0.01)


def test_where_it_came_to_rest():
    """True at the bottom of a bowl; False out of gradients, without a finite one or without polish.
    `fun_search` is the loss before the polish."""
    options = {"maxiter": 3, "updating": "deferred", "init": "random"}
    rough = evolve_quickly(rosenbrock, [(-2, 2)] * 2, polish=False, **options)
    fine = evolve_quickly(rosenbrock, [(-2, 2)] * 2, **options)
    assert fine.at_rest and not rough.at_rest
    assert fine.fun < fine.fun_search == rough.fun == rough.fun_search
    box = Box.from_bounds([(-2.0, 2.0)] * 2)
    unit = jnp.array([0.1, 0.9])
    polish_rosenbrock = compiled_polish(rosenbrock)
    ended = {limit: polish_rosenbrock(box, unit, limit) for limit in (0, 1, 4)}
    assert [int(end.njev) for end in ended.values()] == [0, 1, 4]
    assert not any(end.at_rest for end in ended.values())
    assert not run(lambda x: x[0] * jnp.nan, box, unit).at_rest


def broken(*args):
    raise TypeError("a bug of the user")


@jax.custom_vjp
def with_broken_rule(x):
    return (x**2).sum(0)


with_broken_rule.defvjp(lambda x: (with_broken_rule(x), x), broken)


@jax.custom_jvp
def with_wrong_rule(x):
    return (x**2).sum(0)


@with_wrong_rule.defjvp
def rule_of_another_shape(primals, tangents):
    return with_wrong_rule(*primals), tangents[0]


@pytest.mark.parametrize(
    ("func", "message"),
    [
        (broken, "a bug of the user"),
        (with_broken_rule, "a bug of the user"),
        (with_wrong_rule, "Custom JVP rule"),
    ],
)
def test_errors_of_the_function_are_raised(func, message):
    """Also those of its derivative rules: they are no reason to take differences instead."""
    with pytest.raises(TypeError, match=message):
        polish(func, Coordinates(Box.from_bounds([(0.0, 1.0)])), jnp.array([[0.5]]))
