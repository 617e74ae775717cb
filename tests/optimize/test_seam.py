"""Lanes may stop at any chunk and go on later, elsewhere, in threads of somebody else."""

import copy
import io
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcmr.optimize import State, evolve_lanes
from jaxcmr.optimize._lanes import compiled_loss, count_fitting
from jaxcmr.optimize._program import Objectives, advance_lanes, share
from jaxcmr.optimize._settings import make_problem

pytestmark = pytest.mark.usefixtures("quick_compiler")
BOUNDS = [(-3.0, 3.0)] * 3
OPTIONS = {"tol": 1e-3, "maxiter": 40}


class Ripples(eqx.Module):
    centre: jax.Array
    weights: jax.Array

    def __call__(self, x):
        away = x - self.centre[:, None]
        return (self.weights[:, None] * away**2).sum(0) + (1 - jnp.cos(4 * away)).sum(0)


@pytest.fixture(scope="module")
def problems():
    weights = jnp.ones(3)
    funcs = [Ripples(jnp.full(3, k / 5), weights) for k in range(3)]
    return funcs, list(jax.random.split(jax.random.key(2), 3))


def bowl(x):
    return (x**2).sum(0)


def ends(funcs, keys, **options):
    reports = evolve_lanes(funcs, BOUNDS, keys, **{**OPTIONS, **options})
    found = {report.lane: report.result for report in reports if report.result is not None}
    return [found[lane] for lane in range(len(funcs))]


def same(first, second):
    return all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    )


def through_a_file(state):
    """The state as numbers in a file of NumPy's, in which no object is pickled."""
    file = io.BytesIO()
    np.savez(file, **state.to_arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        return State.from_arrays(dict(arrays))


def through_a_pickle(state):
    return pickle.loads(pickle.dumps(state))


@pytest.mark.parametrize(
    ("strategy", "chunk", "carry"),
    [
        ("lshade", 3, through_a_file),
        pytest.param("best1bin", 1, lambda state: state, marks=pytest.mark.full),
        pytest.param("shade", 7, through_a_pickle, marks=pytest.mark.full),
        pytest.param("lshade", 1, through_a_pickle, marks=pytest.mark.full),
    ],
)
def test_a_lane_goes_on_as_if_it_had_never_stopped(problems, strategy, chunk, carry):
    """Bit for bit, polish included: catches a key, memory or count that is lost on the way. One
    lane is stopped at each chunk, the next one after some, and one starts from the beginning."""
    whole = ends(*problems, strategy=strategy)
    states, results = [None] * 3, {}
    for _ in range(4):  # calls that are left at their first reports
        reports = evolve_lanes(
            *(problems[0], BOUNDS, problems[1]),
            states=states,
            strategy=strategy,
            chunk=chunk,
            n_programs=1,
            **OPTIONS,
        )
        report = next(reports)
        reports.close()
        if report.result is None:
            assert report.generation == int(report.state.generation)
            states[report.lane] = carry(report.state)
    assert any(state is not None for state in states)
    for report in evolve_lanes(
        problems[0], BOUNDS, problems[1], states=states, strategy=strategy, chunk=chunk, **OPTIONS
    ):
        if report.result is not None:
            assert report.state is None
            results[report.lane] = report.result
    assert all(same(results[lane], whole[lane]) for lane in range(3))


def test_a_state_keeps_its_key_and_precision():
    """Of either kind of key, and in double precision."""
    options = {"chunk": 1, "polish": False}
    with jax.enable_x64(True):
        [report] = [next(evolve_lanes([bowl], BOUNDS, [jax.random.key(5)], **options))]
        for key in (jax.random.key(5), jax.random.key(5, impl="rbg"), jax.random.PRNGKey(5)):
            state = through_a_file(report.state._replace(key=key))
            assert state.population.dtype == np.float64 and state.key.dtype == key.dtype
            assert jax.random.uniform(state.key) == jax.random.uniform(key)
    with jax.enable_x64(False), pytest.raises(ValueError, match=r"states\[0\] .* of float64"):
        list(evolve_lanes([bowl], BOUNDS, [key], states=[state], **options))


@pytest.mark.parametrize("other", [{"popsize": 4}, {"strategy": "shade"}])
def test_a_state_of_another_search_is_an_error(problems, other):
    funcs, keys = problems
    state = next(evolve_lanes(funcs, BOUNDS, keys, chunk=1, polish=False)).state
    with pytest.raises(ValueError, match=r"states\[1\] is of another search"):
        list(evolve_lanes(funcs, BOUNDS, keys, states=[None, state, None], **other))


def test_threads_of_somebody_else(problems):
    """Same results, and the pool can be used afterwards, also if the iterator is closed early."""
    with ThreadPoolExecutor(2) as pool:
        for mine, theirs in zip(ends(*problems, pool=pool), ends(*problems), strict=True):
            assert same(mine, theirs)
        reports = evolve_lanes(problems[0], BOUNDS, problems[1], chunk=1, pool=pool, **OPTIONS)
        next(reports)
        reports.close()
        assert pool.submit(lambda: 7).result(timeout=60) == 7
    with ProcessPoolExecutor(1) as pool, pytest.raises(ValueError, match="Executor of threads"):
        ends(*problems, pool=pool)


def test_seconds_rise(problems):
    """The time of each lane never falls."""
    seconds = {}
    alone = {"chunk": 10, "n_programs": 1, "polish": False, **OPTIONS}
    for report in evolve_lanes(*(problems[0], BOUNDS, problems[1]), **alone):
        assert report.seconds > seconds.get(report.lane, 0.0)
        seconds[report.lane] = report.seconds


@pytest.mark.full
def test_copies_share_their_data(problems):
    """By position, not identity: objectives that were copied or pickled hold equal arrays once, and
    run in the program of the originals."""
    funcs, keys = problems
    plain = ends(funcs, keys, lanes_per_program=3)
    known = set(advance_lanes._programs.values())
    for clone in (copy.deepcopy, lambda func: pickle.loads(pickle.dumps(func))):
        copies = [clone(func) for func in funcs]
        assert copies[0].weights is not copies[1].weights
        shared, differs = share(copies)
        assert all(func.weights is shared[0].weights for func in shared)
        assert (differs.centre, differs.weights) == (True, False)
        for width in (1, 3):
            assert all(map(same, ends(copies, keys, lanes_per_program=width),
                           ends(funcs, keys, lanes_per_program=width)))  # fmt: skip
    assert all(map(same, plain, ends(copies, keys, lanes_per_program=3)))
    assert len(set(advance_lanes._programs.values()) - known) <= 1  # that of one lane


def test_what_differs_is_decided_for_all_lanes_together():
    """A group whose lanes happen to be equal has the program of the others."""
    funcs = [Ripples(jnp.full(3, k), jnp.ones(3)) for k in (0, 0, 1)]
    shared, differs = share(funcs)
    group = Objectives.stack(shared[:2], differs)
    assert group.own.centre.shape == (2, 3) and group.own.weights is None
    nearly = [Ripples(jnp.zeros(3), jnp.full(3, value)) for value in (0.0, -0.0)]
    assert share(nearly)[1].weights  # the sign of 0 counts


def test_arrays_of_numpy_are_data_too():
    """Lanes whose NumPy arrays differ share a program, and each has its own: catches a batch that
    gives all lanes the arrays of the first."""
    funcs = [Ripples(np.full(3, k / 2), np.ones(3, np.float32)) for k in range(3)]
    keys = list(jax.random.split(jax.random.key(2), 3))
    for k, result in enumerate(ends(funcs, keys, lanes_per_program=3, polish=False, maxiter=80)):
        np.testing.assert_allclose(result.x, k / 2, atol=0.1)


def test_functions_that_cannot_share_a_program_are_not_made_to():
    funcs = [lambda x: (x**2).sum(0), lambda x: ((x - 1) ** 2).sum(0)]
    with pytest.raises(ValueError, match="lanes_per_program is 2, but the functions differ"):
        ends(funcs, list(jax.random.split(jax.random.key(0))), lanes_per_program=2)


def test_memory_is_measured_once(problems, monkeypatch):
    """A second call with the same shapes compiles nothing."""
    problem = make_problem(BOUNDS, **OPTIONS)
    first = count_fitting(problems[0], problem, 1e6)
    monkeypatch.setattr(compiled_loss, "_program", None)
    other = [Ripples(jnp.ones(3), jnp.zeros(3))] * 3
    assert count_fitting(other, problem, 1e6) == first
    with pytest.raises(TypeError):  # another shape is measured
        count_fitting(problems[0], make_problem(BOUNDS, popsize=4), 1e6)


@pytest.mark.full
def test_an_error_only_in_double_precision_comes_through():
    """Only where JAX finds precisions in conflict is a run polished in single."""

    def fails(x):
        if x.dtype == np.float64:
            raise TypeError("float32 and float64 have other dtypes, says the user")
        return (x**2).sum(0)

    with pytest.raises(TypeError, match="says the user"):
        ends([fails], [jax.random.key(0)])


@pytest.mark.full
def test_an_error_while_the_polish_runs_is_not_taken_for_one_of_precision():
    """Raised by Python as the compiled polish calls it. (Which program calls is known when it is
    traced: the thread that runs the callback may have another precision.)"""
    called = []

    def broken(x):
        called.append("polish")
        raise TypeError("a bug of the user")

    def func(x):
        if x.dtype != np.float64:
            return (x**2).sum(0)
        return jax.pure_callback(broken, jax.ShapeDtypeStruct(x.shape[1:], x.dtype), x)

    with pytest.raises(Exception, match="a bug of the user"):
        ends([func], [jax.random.key(0)])
    assert called


@pytest.mark.parametrize(
    ("flag", "strategy"),
    [
        pytest.param(flag, strategy, marks=pytest.mark.full)
        for flag, strategy in [
            ("jax_numpy_rank_promotion", "lshade"),
            ("jax_numpy_rank_promotion", "rand2exp"),
            ("jax_debug_nans", "best1bin"),
            ("jax_debug_nans", "lshade"),
        ]
    ],
)
def test_searches_run_under_jax_checks(problems, flag, strategy):
    """No NaN is made on purpose, and no axis is added in silence."""
    before = getattr(jax.config, flag)
    jax.config.update(flag, True if flag == "jax_debug_nans" else "raise")
    try:
        funcs = [func if k else bowl for k, func in enumerate(problems[0])]
        options = {"n_programs": 2, "strategy": strategy, "integrality": [True, False, False]}
        assert len(ends(funcs, problems[1], **options)) == 3
    finally:
        jax.config.update(flag, before)
