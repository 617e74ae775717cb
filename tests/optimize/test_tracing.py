"""Under JAX's transformations a run is what it is alone, and programs are compiled once."""

import gc
import os
import subprocess
import sys
import weakref

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit

from jaxcmr.optimize import differential_evolution
from jaxcmr.optimize._jit import Compiled
from jaxcmr.optimize._scipy import compiled_solve


def rosenbrock(x, c=1.0):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (c - x[:-1]) ** 2)


def ackley(x, c=np.e):
    return (
        -20 * jnp.exp(-0.2 * jnp.sqrt((x**2).mean(0) + 1e-12))
        - jnp.exp(jnp.cos(2 * jnp.pi * x).mean(0))
        + 20
        + c
    )


@pytest.mark.parametrize(
    ("strategy", "updating", "x64", "polish"),
    [
        ("best1bin", "deferred", False, False),
        pytest.param("lshade", "deferred", False, False, marks=pytest.mark.full),
        pytest.param("best1bin", "immediate", False, True, marks=pytest.mark.full),
        pytest.param("rand1exp", "deferred", True, True, marks=pytest.mark.full),
    ],
    indirect=["x64"],
)
def test_a_lane_of_a_batch_is_the_single_run(updating, strategy, x64, polish):
    """Bit for bit, with another key, argument, box and guess per lane, each stopping by itself:
    catches state that leaks between lanes, and arithmetic that a batch does in another order."""

    def run(key, c, high):
        bounds = jnp.stack([jnp.full(4, -2.0), jnp.full(4, high)], axis=1)
        return differential_evolution(
            rosenbrock,
            bounds,
            args=(c,),
            key=key,
            x0=jnp.full(4, 0.9 * high),
            strategy=strategy,
            updating=updating,
            maxiter=150,
            tol=0.1,
            polish=polish,
        )

    keys = jax.random.split(jax.random.key(0), 4)
    c, high = jnp.linspace(0.5, 1.5, 4), jnp.linspace(2.0, 3.0, 4)
    batch = jax.vmap(run)(keys, c, high)
    assert len(set(batch.nit.tolist())) > 1
    for lane in (0, 3):
        single = run(keys[lane], c[lane], high[lane])
        for name, alone, together in zip(single._fields, single, batch, strict=True):
            if name != "hess_inv" and alone is not None:  # an inverse, taken once for all lanes
                assert np.array_equal(alone, together[lane]), name


@pytest.mark.full
@pytest.mark.parametrize("polish", [False, True])
def test_under_jit_it_is_the_same(polish):
    """And options may be traced: tol, maxiter, mutation, recombination."""

    def run(maxiter, tol, mutation, recombination):
        return differential_evolution(
            ackley,
            [(-5, 4)] * 3,
            maxiter=maxiter,
            tol=tol,
            mutation=(mutation, 1.0),
            recombination=recombination,
            updating="deferred",
            init="random",
            polish=polish,
        )

    eager, compiled = run(30, 1e-3, 0.4, 0.8), jax.jit(run)(30, 1e-3, 0.4, 0.8)
    for name, alone, traced in zip(eager._fields, eager, compiled, strict=True):
        if name != "hess_inv" and alone is not None:
            assert np.array_equal(alone, traced), name


@pytest.mark.full
def test_a_closure_over_a_batch():
    """A function that closes over what is mapped needs no `args`."""
    targets = jnp.asarray([[0.2, 0.4], [-0.5, 0.1]])
    options = {"maxiter": 60, "tol": 0, "updating": "deferred", "init": "random", "polish": False}
    found = quick_jit(
        jax.vmap(
            lambda target: (
                differential_evolution(
                    lambda x: ((x - target) ** 2).sum(), [(-1, 1)] * 2, **options
                ).x
            )
        )
    )(targets)
    np.testing.assert_allclose(found, targets, atol=1e-3)


class Bowl(eqx.Module):
    centre: jax.Array

    def __call__(self, x, *args):
        return ((x - self.centre) ** 2).sum(0) + sum(args, 0.0)


@pytest.mark.parametrize("vectorized", [pytest.param(False, marks=pytest.mark.full), True])
def test_new_data_compiles_nothing(vectorized):
    """Other arrays in the function, its `args`, the box, the key, the guess and the options that
    are numbers: one program serves all. Another shape is another program."""
    options = {"vectorized": vectorized, "updating": "deferred", "maxiter": 20}
    options["polish"] = False
    box = [(-1.0, 1.0)] * 2
    differential_evolution(Bowl(jnp.zeros(2)[:, None] if vectorized else jnp.zeros(2)),
                           box, args=(1.0,), x0=[0.0, 0.0], **options)  # fmt: skip
    programs = list(compiled_solve._programs.values())
    sizes = [program._cache_size() for program in programs]
    assert sum(sizes) > 0
    for i in range(3):
        centre = jnp.full(2, 0.1 * i)
        result = differential_evolution(
            Bowl(centre[:, None] if vectorized else centre),
            [(-1.0, 1.0 + i)] * 2,
            args=(i / 3,),
            key=jax.random.key(i),
            x0=[0.5, 0.1 * i],
            mutation=(0.3, 0.9 + i / 10),
            recombination=0.5 + i / 10,
            tol=10.0**-i,
            **{**options, "maxiter": 30 + i},
        )
        np.testing.assert_allclose(result.x, centre, atol=0.1)
    assert len(compiled_solve._programs) == len(programs)
    assert [program._cache_size() for program in programs] == sizes


def test_programs_of_fresh_closures_are_let_go():
    """The cache keeps the latest; what it drops is freed with its program."""
    compiled = Compiled(lambda func, x: func(x), keep=3)
    closures = []
    for i in range(6):

        def closure(x, i=i):
            return x + i

        assert compiled(closure, jnp.ones(2)).tolist() == [1 + i, 1 + i]
        closures.append(weakref.ref(closure))
    del closure
    gc.collect()
    assert [ref() is not None for ref in closures] == [False] * 3 + [True] * 3


def test_one_program_serves_equal_static_parts():
    """And 1, 1.0 and True are not equal here, though Python says so."""
    traces = []

    def function(power, x):
        traces.append(power)
        return x**power

    compiled = Compiled(function)
    for power in (2, 2, 2.0, True, 1, 2):
        compiled(power, jnp.asarray(3))
        compiled(power, jnp.asarray(4))
    assert [repr(power) for power in traces] == ["2", "2.0", "True", "1"]


@pytest.mark.slow
def test_five_hundred_fits_stay_flat():
    """In memory maps, of which a process has 65,530, with a fresh closure each."""

    def maps():
        with open("/proc/self/maps") as file:
            return sum(1 for _ in file)

    counts = []
    for i in range(500):
        differential_evolution(lambda x, i=i: (x**2).sum() + i, [(0, 1)] * 2, maxiter=1)
        counts.append(maps())
    assert max(counts[100:]) < 1.2 * max(counts[:100])


@pytest.mark.full
def test_a_guess_outside_a_box_that_only_the_program_sees():
    """Raises what each of JAX's ways to run a program raises, and says why; eagerly it is the error
    of SciPy and of Equinox in one."""

    def run(x0):
        options = {"init": "random", "updating": "deferred", "maxiter": 2, "polish": False}
        return differential_evolution(ackley, [(-1, 1)] * 2, x0=x0, **options)

    inside, outside = jnp.asarray([0.5, 0.5]), jnp.asarray([0.5, 1.5])
    both = jnp.stack([inside, outside])
    words = "x0 lie outside the specified bounds"
    for error in (ValueError, eqx.EquinoxRuntimeError, jax.errors.JaxRuntimeError):
        with pytest.raises(error, match=words):
            run(outside)
        with pytest.raises(error, match=words):
            jax.vmap(run)(both)
    for transform, x0 in ((eqx.filter_jit(run), outside),):
        with pytest.raises(eqx.EquinoxRuntimeError, match=words):
            jax.block_until_ready(transform(x0))
    for transform, x0 in ((quick_jit(run), outside),):
        with pytest.raises((jax.errors.JaxRuntimeError, ValueError), match=words):
            jax.block_until_ready(transform(x0))  # JAX's own error, by when it notices
    assert jax.vmap(run)(jnp.stack([inside, inside])).fun.shape == (2,)


def test_a_callback_cannot_be_traced():
    """An error, and not ignored; the same for a function that polishes."""
    for option in ("callback", "polish"):
        with pytest.raises(ValueError, match=f"A {option} function cannot be called under"):
            jax.jit(
                lambda c, option=option: differential_evolution(
                    ackley, [(-1, 1)], args=(c,), **{option: lambda *args, **kwargs: None}
                )
            )(1.0)


def test_nothing_runs_at_import():
    """No array, no device: users set JAX up after importing us."""
    code = (
        "import jax._src.xla_bridge as bridge, jaxcmr.optimize, jaxcmr.fitting, jaxcmr.loss, "
        "jaxcmr.models; assert not bridge.backends_are_initialized()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.full
def test_another_process_finds_the_same():
    """Bit for bit as this one, with the default key: nothing depends on a hash, a clock or an
    address."""
    code = (
        "from jaxcmr.optimize import differential_evolution as de\n"
        "f = lambda x: ((x - 0.3) ** 2).sum() + x[0] * x[1]\n"
        "r = de(f, [(-1, 2)] * 3, maxiter=15, updating='deferred')\n"
        "said = repr((r.x.tolist(), r.population.sum().item(), int(r.nfev)))\n"
    )
    here = {}
    exec(code, here)
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)  # it is to compile anew
    there = subprocess.run(
        [sys.executable, "-c", code + "print(said)"],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert there.stdout.strip() == here["said"]
