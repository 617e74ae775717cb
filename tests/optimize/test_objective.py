"""The function of the user is called as SciPy would call it, on one device or several."""

import subprocess
import sys
import warnings
from multiprocessing.pool import ThreadPool

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import evolve_quickly

from jaxcmr.optimize import differential_evolution

pytestmark = pytest.mark.usefixtures("quick_compiler")
BOX = [(-1.0, 2.0)] * 3


def bowl(x, centre=0.5, power=2):
    return (jnp.abs(x - centre) ** power).sum(0)


class Callable:
    def method(self, x):
        return bowl(x)

    def __call__(self, x):
        return bowl(x)


def test_a_vectorized_function_sees_columns():
    """(n_params, S), never rows; and gives the same run as a function of one vector."""
    shapes = set()

    def columns(x):
        shapes.add(x.shape)
        return bowl(x)

    options = {"updating": "deferred", "maxiter": 15, "strategy": "lshade", "popsize": 11}
    options["polish"] = False
    together = differential_evolution(columns, BOX, vectorized=True, **options)
    one_by_one = differential_evolution(bowl, BOX, **options)
    assert all(shape[0] == 3 for shape in shapes) and (3, 33) in shapes
    assert together.population.tolist() == one_by_one.population.tolist()


@pytest.mark.parametrize("args", [0.25, (np.float32(0.25), 4)])
def test_args_are_passed_on(args):
    """As in SciPy, one that is not in a tuple is taken as the only one."""
    result = evolve_quickly(bowl, BOX, args=args, maxiter=60, updating="deferred", polish=False)
    np.testing.assert_allclose(result.x, 0.25, atol=0.05)


def test_args_that_are_not_numbers_are_passed_as_they_are():
    def by_name(x, name, flag):
        assert flag is True
        return bowl(x, {"left": -0.5}[name])

    options = {"args": ("left", True), "maxiter": 60, "updating": "deferred", "polish": False}
    np.testing.assert_allclose(evolve_quickly(by_name, BOX, **options).x, -0.5, atol=0.05)


@pytest.mark.parametrize(
    "func",
    [
        Callable(),
        Callable().method,
        jax.jit(bowl),
        eqx.filter_jit(bowl),
        jax.tree_util.Partial(bowl),
    ],
    ids=["object", "method", "jit", "filter_jit", "Partial"],
)
def test_any_callable_will_do(func):
    result = evolve_quickly(func, BOX, maxiter=20, updating="deferred", init="random", polish=False)
    np.testing.assert_allclose(result.x, 0.5, atol=0.1)


@pytest.mark.parametrize(
    "workers",
    [
        pytest.param(lambda func, xs: jax.lax.map(func, xs), marks=pytest.mark.full),
        pytest.param(lambda func, xs: jax.vmap(func)(xs), marks=pytest.mark.full),
        map,
    ],
    ids=["lax.map", "vmap", "map"],
)
def test_workers_may_be_a_function(workers):
    """``workers(func, xs)`` with xs (S, n_params), `args` included; like SciPy's, a map will do."""
    options = {"args": (0.25,), "updating": "deferred", "popsize": 2, "maxiter": 5}
    shared = evolve_quickly(bowl, BOX, workers=workers, **options)
    alone = evolve_quickly(bowl, BOX, **options)
    np.testing.assert_allclose(shared.x, alone.x, atol=1e-5)
    assert int(shared.nfev) == int(alone.nfev)


def test_workers_that_cannot_work_are_errors():
    """A pool's map would wait forever for threads that cannot see what is being traced; a result
    of the wrong shape is named."""
    with ThreadPool(1) as pool, pytest.raises(ValueError, match="Take workers=-1"):
        differential_evolution(bowl, BOX, workers=pool.map, updating="deferred")
    with pytest.raises(ValueError, match=r"workers\(func, xs\) must return shape \(45,\)"):
        differential_evolution(bowl, BOX, workers=lambda func, xs: xs, updating="deferred")


@pytest.mark.parametrize("option", [pytest.param("workers", marks=pytest.mark.full), "vectorized"])
def test_forced_updating_is_announced_each_time(option):
    """In SciPy's words, by every call, and not if deferred updating was asked for."""
    value = {"workers": lambda func, xs: jax.vmap(func)(xs), "vectorized": True}[option]
    words = f"the '{option}' keyword has overridden updating='immediate' to updating='deferred'"
    for _ in range(2):
        with pytest.warns(UserWarning, match=words) as caught:
            differential_evolution(bowl, BOX, maxiter=1, polish=False, **{option: value})
        assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        options = {"maxiter": 1, "updating": "deferred", "polish": False, option: value}
        differential_evolution(bowl, BOX, **options)


def test_more_workers_than_devices_are_announced():
    with pytest.warns(UserWarning, match="workers=64, but JAX has 1 device"):
        options = {"updating": "deferred", "maxiter": 1, "polish": False}
        result = evolve_quickly(bowl, BOX, workers=64, **options)
    assert result.x.shape == (3,)


@pytest.mark.full
def test_members_are_shared_out_among_devices():
    """Two devices of a CPU find what one finds, with a number of members that is odd, under vmap,
    and with a vectorized function; each sees half of the members."""
    code = """
import warnings
import jax, jax.numpy as jnp, numpy as np
from jaxcmr.optimize import differential_evolution
assert jax.device_count() == 2
shapes = set()
def bowl(x, centre):
    shapes.add(x.shape)
    return ((x - centre) ** 2).sum(0)
options = dict(args=(0.25,), updating="deferred", popsize=5, maxiter=20, polish=False)
options["init"] = "random"
box = [(-1.0, 2.0)] * 3
alone = differential_evolution(bowl, box, **options)
shapes.clear()
for workers, vectorized in ((2, False), (-1, True)):
    shared = differential_evolution(bowl, box, workers=workers, vectorized=vectorized, **options)
    np.testing.assert_allclose(shared.population, alone.population, atol=1e-6)
assert shapes == {(3,), (3, 8)}, shapes  # 15 members and one of padding, by two
def by_rows(func, xs):  # as parajax does: as many devices as there are rows for
    n = min(2, len(xs))
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:n]), ("rows",))
    spec = jax.sharding.PartitionSpec("rows")
    padded = jnp.pad(xs, ((0, -len(xs) % n), (0, 0)), mode="edge")
    spread = jax.shard_map(jax.vmap(func), mesh=mesh, in_specs=spec, out_specs=spec)
    return spread(padded)[: len(xs)]
polished = differential_evolution(bowl, box, workers=by_rows, **{**options, "polish": True})
np.testing.assert_allclose(polished.x, 0.25, atol=1e-4)
keys = jax.random.split(jax.random.key(0), 2)
batch = jax.vmap(lambda key: differential_evolution(bowl, box, key=key, workers=2, **options))(keys)
single = differential_evolution(bowl, box, key=keys[1], **options)
np.testing.assert_allclose(batch.x[1], single.x, atol=1e-6)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    differential_evolution(bowl, box, workers=2, **{**options, "updating": "immediate"})
assert "the 'workers' keyword has overridden" in str(caught[0].message)
"""
    environment = {"JAX_NUM_CPU_DEVICES": "2", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


@pytest.mark.full
def test_a_function_without_derivative_is_polished_by_differences():
    """Here one of NumPy's; the polish finds the corner, counts its evaluations and says what it
    did."""

    def outside(x):
        return np.abs(np.asarray(x) - np.array([5.0, 0.25, -3.0])).sum(-1) ** 2

    def func(x):
        return jax.pure_callback(
            outside, jax.ShapeDtypeStruct((), x.dtype), x, vmap_method="broadcast_all"
        )

    rough = evolve_quickly(func, BOX, maxiter=4, polish=False, updating="deferred")
    fine = evolve_quickly(func, BOX, maxiter=4, updating="deferred")
    assert fine.x[0] == 2.0 and fine.x[2] == -1.0 and fine.fun < rough.fun
    assert "finite differences" in fine.polish_message and int(fine.njev) > 0
    assert int(fine.nfev) >= int(rough.nfev) + 13 + 6


@pytest.mark.full
def test_a_warning_names_the_line_of_the_caller():
    """In a process of its own, where no check of annotations stands in between."""
    code = (
        "from jaxcmr.optimize import differential_evolution\n"
        "differential_evolution(lambda x: (x**2).sum(0), [(-1, 1)], maxiter=1, vectorized=True)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "<string>:2: UserWarning" in run.stderr
