"""Many minimizations at once are each what they would be alone."""

from concurrent.futures import Executor, Future

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcmr.optimize import differential_evolution, evolve_lanes, in_double
from jaxcmr.optimize._lanes import count_fitting
from jaxcmr.optimize._settings import make_problem

BOUNDS = [(-3.0, 3.0)] * 3
OPTIONS = {"tol": 1e-3, "maxiter": 80}


class Ripples(eqx.Module):
    """A bowl with ripples around `centre`; two lanes share `weights`."""

    centre: jax.Array
    weights: jax.Array

    def __call__(self, x):
        away = x - self.centre[:, None]
        return (self.weights[:, None] * away**2).sum(0) + (1 - jnp.cos(4 * away)).sum(0)


@pytest.fixture(scope="module")
def problems():
    weights = jnp.ones(3)
    funcs = [Ripples(jnp.full(3, k / 5), weights) for k in range(5)]
    return funcs, list(jax.random.split(jax.random.key(2), 5))


@pytest.fixture(scope="module")
def plain(problems):
    """The results of the lanes, one per program, without a polish."""
    return results(*problems, polish=False)


def results(funcs, keys, **options):
    reports = evolve_lanes(funcs, BOUNDS, keys, **{**OPTIONS, **options})
    found = {report.lane: report.result for report in reports if report.result is not None}
    return [found[lane] for lane in range(len(funcs))]


def test_a_lane_equals_the_single_run(problems, plain):
    """Same population, bit for bit, as `differential_evolution` with the lane's key."""
    for func, key, result in zip(*problems, plain, strict=True):
        single = differential_evolution(
            func,
            BOUNDS,
            key=key,
            vectorized=True,
            updating="deferred",
            polish=False,
            **OPTIONS,
        )
        assert result.population.tolist() == single.population.tolist()
        assert (result.nit, result.nfev) == (single.nit, single.nfev)


@pytest.mark.usefixtures("quick_compiler")
def test_a_lane_may_start_with_a_member_of_the_user(problems):
    """Of a search of no generations it is the best; lanes without one are what they were."""
    funcs, keys = problems
    options = {"polish": False, "maxiter": 0}
    x0 = [None, funcs[1].centre, None, None, None]

    def ends(**more):
        reports = evolve_lanes(funcs, BOUNDS, keys, **options, **more)
        return {report.lane: report.result for report in reports}

    plain, started = ends(), ends(x0=x0)
    np.testing.assert_allclose(started[1].x, funcs[1].centre, atol=1e-5)
    assert plain[1].fun > 0.1 > started[1].fun
    assert [plain[i].x.tolist() for i in (0, 2)] == [started[i].x.tolist() for i in (0, 2)]


@pytest.mark.parametrize("x0", [[0.0, 0.0, 3.1], [0.0, 0.0], [0.0, np.nan, 0.0]])
def test_a_member_outside_the_box_is_an_error(problems, x0):
    with pytest.raises(ValueError, match="3 numbers within the bounds"):
        list(evolve_lanes(problems[0][:1], BOUNDS, problems[1][:1], x0=[x0]))


@pytest.mark.usefixtures("quick_compiler")
def test_the_polish_is_in_double_precision(problems):
    """Also that of a run in single precision, which does not see the gradient of this valley."""

    def valley(x):
        return 500 + 1e-6 * ((x - 0.1) ** 2).sum(0)

    [result] = results([valley], problems[1][:1])
    assert result.x.dtype == result.fun.dtype == np.float64
    np.testing.assert_allclose(result.x, 0.1, atol=1e-4)


@pytest.mark.usefixtures("quick_compiler")
def test_the_polish_may_take_differences(problems):
    """Forward differences in double precision end where exact gradients do; a word that names no
    way to take gradients is an error."""
    options = {"popsize": 5, "maxiter": 3}
    funcs, keys = problems
    ends = []
    for way in ("exact", "differences"):
        reports = evolve_lanes(funcs[:2], BOUNDS, keys[:2], polish=way, **options)
        found = {each.lane: each.result for each in reports if each.result is not None}
        ends.append([float(found[lane].fun) for lane in range(2)])
        assert {int(result.polish_status) for result in found.values()} == {1 + len(ends) // 2}
    np.testing.assert_allclose(*ends, atol=1e-6)
    with pytest.raises(ValueError, match="polish is True, False, 'exact' or 'differences'"):
        next(evolve_lanes(funcs, BOUNDS, keys, polish="gradient"))


def test_a_function_of_single_precision_only_is_polished_too(problems):
    """A loop that starts with a float32 total cannot end with a float64 one."""

    def single(x):
        start = jnp.zeros(x.shape[1], jnp.float32)
        return jax.lax.fori_loop(0, 3, lambda i, total: total + ((x - 1) ** 2).sum(0), start)

    [result] = results([single], problems[1][:1])
    np.testing.assert_allclose(result.x, 1, atol=1e-3)


class Power(eqx.Module):
    """A scale: the box holds roots of the arguments."""

    exponent: jax.Array

    def __call__(self, x):
        return jnp.sign(x) * jnp.abs(x) ** self.exponent


def ridge(x):
    """A loss of exponentials and logarithms, whose vector code rounds in ways of its own."""
    return jnp.log(jnp.exp(x - 1).sum(0) + jnp.exp(-2 * x).sum(0)) + 0.1 * jnp.sin(3 * x[0] * x[1])


def test_a_lane_is_polished_alone_as_in_a_group():
    """Bit for bit, in a group of 1, 3 or 18 (more than one program takes), on a scale of its own,
    with other lanes before it, and with a group divided among programs. Catches rounding that
    depends on how many columns the function has, or on which of them is the lane's."""
    keys = list(jax.random.split(jax.random.key(4), 18))
    transforms = [Power(jnp.asarray(1.0 + lane % 2)) for lane in range(18)]

    def ends(lanes, **options):
        found = results(
            [ridge] * len(lanes),
            [keys[lane] for lane in lanes],
            transforms=[transforms[lane] for lane in lanes],
            **options,
        )
        return {lane: result for lane, result in zip(lanes, found, strict=True)}

    whole = ends(range(18), n_programs=1)
    assert len({int(result.njev) for result in whole.values()}) > 1
    for part in (ends([0], n_programs=1), ends([17, 3, 6]), ends(range(7), n_programs=3)):
        for lane, result in part.items():
            for one, other in zip(result, whole[lane], strict=True):
                np.testing.assert_array_equal(one, other)
    for lane, result in whole.items():
        arguments = transforms[lane](jnp.asarray(result.x))
        np.testing.assert_allclose(ridge(arguments[:, None]), result.fun, rtol=1e-5)


@pytest.mark.full
def test_groups_in_one_program_agree():
    """To rounding, as where an accelerator polishes groups of several functions side by side."""
    centres = [0.2, 0.2, 0.2, 0.5, 0.5, 0.9]
    known = {centre: Ripples(jnp.full(3, centre), jnp.ones(3)) for centre in centres}
    keys = list(jax.random.split(jax.random.key(4), 6))
    for width in (1, 32):
        found = results([known[centre] for centre in centres], keys, lanes_per_program=width)
        for centre, result in zip(centres, found, strict=True):
            np.testing.assert_allclose(result.x, centre, atol=1e-6)
            assert result.at_rest


@pytest.mark.usefixtures("quick_compiler")
def test_a_lane_that_waits_for_its_group_keeps_its_state():
    """A search that has ended reports its state, not a result, until all of its group have; from
    these states the group goes on to the same end."""
    keys = list(jax.random.split(jax.random.key(4), 3))
    box = [(-3.0, 3.0)] * 3
    options = {**OPTIONS, "tol": 0.05, "chunk": 2, "n_programs": 1}
    reports = list(evolve_lanes([ridge] * 3, box, keys, **options))
    final = {report.lane: report.result for report in reports if report.result is not None}
    assert [report.lane for report in reports[-3:]] == list(final) and len(final) == 3
    assert all((report.result is None) == (report.state is not None) for report in reports)
    last = {report.lane: report.state for report in reports[:-3]}
    again = results([ridge] * 3, keys, states=[last.get(lane) for lane in range(3)], tol=0.05)
    for lane, result in enumerate(again):
        assert result.x.tolist() == final[lane].x.tolist() and result.fun == final[lane].fun


@pytest.mark.parametrize("options", [{"chunk": 1}, {"chunk": 7}, {"n_programs": 1}])
def test_chunks_and_programs_change_nothing(problems, plain, options):
    """Bit for bit: catches a generation lost or run twice at a chunk's end."""
    for a, b in zip(plain, results(*problems, polish=False, **options), strict=True):
        assert a.population.tolist() == b.population.tolist() and a.nit == b.nit


@pytest.mark.usefixtures("quick_compiler")
def test_many_quick_lanes():
    """Lanes that end within their first chunk must not make the chunks of those after them ever
    longer: the 64th doubling would be more than an integer holds."""
    funcs = [Ripples(jnp.full(3, 0.1), jnp.ones(3))] * 80
    keys = jax.random.split(jax.random.key(0), 80)
    reports = evolve_lanes(funcs, BOUNDS, list(keys), maxiter=2, polish=False)
    assert sum(report.result is not None for report in reports) == 80


@pytest.mark.full
@pytest.mark.parametrize("width", [2, 5])
def test_lanes_in_one_program_agree(problems, plain, width):
    """To rounding, as other shapes may compile to other code; a lane that has finished, or copies
    that fill up a program, change nothing for the rest."""
    together = results(*problems, polish=False, lanes_per_program=width)
    for a, b in zip(plain, together, strict=True):
        np.testing.assert_allclose(a.x, b.x, atol=0.01)
        assert a.success == b.success


@pytest.mark.usefixtures("quick_compiler")
def test_functions_of_different_structure_run_too(problems):
    """Plain functions cannot share a program, but can share a call."""
    _, keys = problems
    funcs = [lambda x: (x**2).sum(0), lambda x: ((x - 1) ** 2).sum(0)]
    first, second = results(funcs, keys[:2], polish=False)
    np.testing.assert_allclose(first.x, 0, atol=0.1)
    np.testing.assert_allclose(second.x, 1, atol=0.1)


def test_every_chunk_reports(problems):
    """Generations rise by the chunk, the best value never rises, the last report has the result."""
    funcs, keys = problems
    reports = list(evolve_lanes(funcs[:1], BOUNDS, keys[:1], chunk=10, tol=0, maxiter=35))
    assert [report.generation for report in reports] == [10, 20, 30, 35]
    losses = [report.loss for report in reports]
    assert losses == sorted(losses, reverse=True)
    assert [report.result is not None for report in reports] == [False, False, False, True]


@pytest.mark.usefixtures("quick_compiler")
def test_leaving_early_ends_the_work(problems):
    """Closing the iterator stops the rest: it does not run to the end in the background."""
    calls = []

    def counted(x):
        jax.debug.callback(lambda: calls.append(1))
        return (x**2).sum(0)

    reports = evolve_lanes([counted] * 4, BOUNDS, problems[1][:4], chunk=1, tol=0, n_programs=1)
    next(reports)
    reports.close()
    jax.effects_barrier()
    assert len(calls) < 20


def test_an_error_inside_the_function_comes_through(problems):
    """As itself, not as a hang or a thread's stack dump."""

    def broken(x):
        raise RuntimeError("no such thing")

    with pytest.raises(RuntimeError, match="no such thing"):
        list(evolve_lanes([broken], BOUNDS, problems[1][:1]))


@pytest.mark.usefixtures("quick_compiler")
def test_double_precision_reaches_the_programs(problems):
    """The caller's precision holds in the threads that run the lanes."""
    with jax.enable_x64(True):
        [result] = results([lambda x: (x**2).sum(0)], [jax.random.key(0)], polish=False)
    assert result.x.dtype == np.float64


def test_doubled_functions_still_share_arrays(problems):
    """What lanes hold in common stays one array: catches a batch that copies the data set once a
    lane."""
    first, second = in_double(problems[0][:2])
    assert first.weights is second.weights and first.weights.dtype == np.float64
    assert first.centre is not second.centre


def test_memory_bounds_what_is_under_way(problems, plain):
    """Little memory is one lane at a time, more of it more, and none of it changes a result."""
    funcs, keys = problems
    problem = make_problem(BOUNDS, **OPTIONS)
    assert count_fitting(funcs, problem, None) == len(funcs)  # a CPU: no limit
    few, some, many = (count_fitting(funcs, problem, 10.0**power) for power in (1, 6, 8))
    assert few == 1 < some < many
    for small, free in zip(results(funcs, keys, polish=False, max_memory=1.0), plain, strict=True):
        assert small.x.tolist() == free.x.tolist()


class AtOnce(Executor):
    """Runs what it is given before `submit` returns, so that programs end together."""

    def submit(self, function, *args):
        """Return a future that is done."""
        future = Future()
        try:
            future.set_result(function(*args))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_a_lane_that_fails_takes_no_other_with_it(order):
    """What ended together with a failing lane is reported before the error."""

    def fail_when_run(x):
        raise OSError("broken")

    def fail(x):
        return jax.pure_callback(fail_when_run, jax.ShapeDtypeStruct(x.shape[1:], x.dtype), x)

    funcs = [[lambda x: (x**2).sum(0), fail][i] for i in order]
    keys = jax.random.split(jax.random.key(0), 2)
    options = {"pool": AtOnce(), "n_programs": 2, "polish": False, "maxiter": 2, "chunk": 9}
    done = []
    with pytest.raises(RuntimeError, match="broken"):
        for report in evolve_lanes(funcs, [(-1, 1)], keys, **options):
            done.append(report.lane)
    assert done == [order.index(0)]
