"""A function that computes something else than before gets a new program; otherwise it keeps its
own."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit

from jaxcmr.optimize import differential_evolution, evolve_lanes
from jaxcmr.optimize import program_fingerprint as fingerprint
from jaxcmr.optimize._program import advance_lanes, polish_exactly
from jaxcmr.optimize._scipy import compiled_solve

pytestmark = pytest.mark.usefixtures("quick_compiler")
TARGETS = [0.3, 0.8, 0.3]
target = 0.0
OPTIONS = {"maxiter": 40, "updating": "deferred", "init": "random", "polish": False}


class Model:
    target = 0.0

    def loss(self, x):
        return ((x - self.target) ** 2).sum(0)


def of_attribute():
    model = Model()
    return model.loss, lambda value: setattr(model, "target", value)


def of_global():
    return lambda x: ((x - target) ** 2).sum(0), lambda value: globals().update(target=value)


def of_closure():
    inside = 0.0

    def change(value):
        nonlocal inside
        inside = value

    return lambda x: ((x - inside) ** 2).sum(0), change


def of_array_in_place():
    array = np.zeros(1, np.float32)
    return lambda x: ((x - jnp.asarray(array)[0]) ** 2).sum(0), lambda value: array.fill(value)


def of_array_in_a_loop():
    array = np.zeros(1, np.float32)

    def loss(x):
        return jax.lax.fori_loop(0, 2, lambda i, sum: sum + ((x - array[0]) ** 2).sum(0), 0 * x[0])

    return loss, lambda value: array.fill(value)


def of_callback():
    inside = 0.0

    def change(value):
        nonlocal inside
        inside = value

    def loss(x):
        now = inside
        shape = jax.ShapeDtypeStruct(x.shape[1:], x.dtype)
        return jax.pure_callback(
            lambda x: ((np.asarray(x) - now) ** 2).sum(0).astype(np.float32),
            shape,
            x,
            vmap_method="sequential",
        )

    return loss, change


full = pytest.mark.full
EVERY = [
    of_attribute,
    pytest.param(of_global, marks=full),
    pytest.param(of_closure, marks=full),
    pytest.param(of_array_in_place, marks=full),
    pytest.param(of_array_in_a_loop, marks=full),
    of_callback,
]


@pytest.mark.parametrize("make", EVERY)
def test_a_changed_function_is_compiled_anew(make):
    """The same function with other contents: the answer is that of the new ones, and the program
    of the old ones is still there when they come back."""
    func, change = make()
    before = len(compiled_solve._programs)
    found = []
    for value in TARGETS:
        change(value)
        found.append(float(differential_evolution(func, [(0, 1)], **OPTIONS).x[0]))
    np.testing.assert_allclose(found, TARGETS, atol=0.02)
    assert len(compiled_solve._programs) == min(before + 2, compiled_solve.keep)


@pytest.mark.parametrize("polish", [False, pytest.param(True, marks=full)])
def test_a_changed_function_is_compiled_anew_for_lanes(polish):
    """By the search and by the polish."""
    func, change = of_array_in_place()
    for value in TARGETS[:2]:
        change(value)
        keys = jax.random.split(jax.random.key(0))
        reports = evolve_lanes([func] * 2, [(0, 1)], keys, polish=polish)
        for result in [report.result for report in reports if report.result is not None]:
            np.testing.assert_allclose(result.x, value, atol=1e-3 if polish else 0.02)


@pytest.mark.full
def test_a_changed_function_is_compiled_anew_under_jit():
    """Inside another program, which is traced anew, the function is, too."""
    model = Model()
    for model.target in TARGETS:
        run = quick_jit(lambda: differential_evolution(model.loss, [(0, 1)], **OPTIONS).x)
        np.testing.assert_allclose(run(), model.target, atol=0.02)


@full
def test_a_changed_strategy_is_compiled_anew():
    """As are functions that make trial vectors."""
    step = 0.0

    def strategy(candidate, population, rng):
        return jnp.clip(population[0] + step, 0.0, 1.0)

    for step, best in ((0.0, 0.5), (0.125, 0.625)):  # noqa: B007  # `strategy` reads it
        result = differential_evolution(
            lambda x: -x[0],
            [(0, 1)],
            strategy=strategy,
            **{**OPTIONS, "init": np.full((5, 1), 0.5)},
        )
        assert float(result.x[0]) == best


@full
def test_a_changed_function_is_polished_anew_by_a_function():
    """What a polish of the user evaluates is the function as it is now."""
    func, change = of_attribute()
    values = []

    def polish(func, x, bounds, constraints):
        values.append(round(float(func(np.zeros(1))), 3))
        raise StopIteration

    for value in (0.5, 1.0):
        change(value)
        with pytest.raises(StopIteration):
            differential_evolution(func, [(0, 1)], **{**OPTIONS, "polish": polish})
    assert values == [0.25, 1.0]


def test_constants_differ_by_their_last_bit():
    """In text, or where JAX keeps them beside the program, two neighbours must not look alike."""
    x = jax.ShapeDtypeStruct((2,), jnp.float32)
    near = [np.float32(0.1), np.nextafter(np.float32(0.1), np.float32(1.0))]
    for kind in (lambda c: c, lambda c: np.full(2, c), lambda c: jnp.full(2, c)):
        constants = [kind(near[0]), kind(near[1]), kind(near[0])]
        first, second, again = (fingerprint(lambda x, c=c: x * c, x) for c in constants)
        assert first == again != second


class Holds(eqx.Module):
    data: jax.Array
    power: float = eqx.field(static=True, default=2.0)

    def __call__(self, x):
        jax.debug.callback(lambda: None)
        return (jnp.abs(x - self.data[:, None]) ** self.power).sum(0)


def test_data_are_not_part_of_the_fingerprint():
    """Arrays of a pytree and arguments are inputs of the program; static fields are part of it."""
    x = jax.ShapeDtypeStruct((1, 3), jnp.float32)
    first = fingerprint(Holds(jnp.zeros(1)), x)
    assert first == fingerprint(Holds(jnp.ones(1)), x)
    assert hash(first) == hash(fingerprint(Holds(np.ones(1, np.float32)), x))
    assert first != fingerprint(Holds(jnp.zeros(1), power=3.0), x)


def test_unchanged_lanes_compile_nothing():
    """A second call with other data of the same shapes finds the programs of the first."""

    def run(value):
        funcs = [Holds(jnp.full(1, value + lane / 10)) for lane in range(3)]
        keys = jax.random.split(jax.random.key(0), 3)
        return list(evolve_lanes(funcs, [(0, 1)], keys, maxiter=10, chunk=5))

    def compiled():
        both = (*advance_lanes._programs.values(), *polish_exactly._programs.values())
        return [program._cache_size() for program in both]

    run(0.1)
    before = compiled()
    run(0.5)
    assert compiled() == before


def test_a_lane_traces_a_function_once_for_all():
    """Fingerprints are taken once per form of function, not once per lane."""
    traces = []

    class Traced(eqx.Module):
        data: jax.Array

        def __call__(self, x):
            traces.append(1)
            return ((x - self.data[:, None]) ** 2).sum(0)

    def count(lanes):
        traces.clear()
        funcs = [Traced(jnp.full(1, lane / 50)) for lane in range(lanes)]
        keys = jax.random.split(jax.random.key(0), lanes)
        list(evolve_lanes(funcs, [(0, 1)], keys, maxiter=2, chunk=2, polish=False))
        return len(traces)

    count(3)
    assert count(3) == count(30) == 1
