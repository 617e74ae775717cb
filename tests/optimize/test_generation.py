"""What holds for a generation under every strategy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit

from jaxcmr.optimize import State
from jaxcmr.optimize._de import draw, is_level, step
from jaxcmr.optimize._run import start
from jaxcmr.optimize._settings import make_problem


def make_state(losses):
    losses = jnp.sort(jnp.asarray(losses))
    members, zero = len(losses), jnp.array(0)
    return State(
        jnp.zeros((members, 1)), losses, jnp.array(members), None, zero, zero, zero,
        jax.random.key(0),
    )  # fmt: skip


def make_settings(losses, **options):
    return make_problem([(0, 1)], init=jnp.zeros((max(5, len(losses)), 1)), **options).settings


@pytest.mark.parametrize(
    ("losses", "options", "expected"),
    [
        ([1.0, 3.0] * 3, {"tol": 0.5}, True),  # std 1 <= 0.5 x mean 2
        ([1.0, 3.0] * 3, {"tol": 0.49}, False),
        ([-1.0, -3.0] * 3, {"tol": 0.5}, True),  # the mean's size counts, not its sign
        ([1.0, 3.0] * 3, {"tol": 0, "atol": 1.0}, True),
        ([1.0, 3.0] * 3, {"tol": 0, "atol": 0.99}, False),
        ([1.0, 1.0, 1.0, 1.0, np.inf], {"tol": 1e9, "atol": 1e9}, False),  # all must be finite
        ([5001.0, 5001.1, 5001.2, 5001.2, 5001.2], {}, True),  # SciPy's default, and its trap
        ([5001.0, 5001.1, 5001.2, 5001.2, 5001.2], {"fatol": 0.1}, False),  # replaces the default
        ([5001.0, 5001.1, 5001.2, 5001.2, 5001.2], {"fatol": 0.21}, True),  # largest - smallest
        ([5001.0, 5001.1, 5001.2, 5001.2, 5001.2], {"fatol": 0.1, "tol": 0.01}, True),  # either
        ([2.0, 2.0, 2.0, 2.0, 2.0], {"tol": 0, "fatol": 0}, True),
        ([2.0, 2.0, 2.0, 2.0, np.inf], {"fatol": np.inf}, False),
    ],
)
def test_convergence(losses, options, expected):
    """``std <= atol + tol |mean|`` with the population standard deviation, or the range."""
    settings = make_settings(losses, **options)
    assert bool(is_level(settings, make_state(losses))) is expected


def test_members_that_left_do_not_count_for_convergence():
    """Their loss is infinite, and a spread over five members is not one over eight."""
    settings = make_settings([0] * 8, tol=0, fatol=1.0)
    state = make_state([1.0, 1.5, 2.0, 2.0, 2.0, np.inf, np.inf, np.inf])
    assert not is_level(settings, state)
    assert is_level(settings, state._replace(size=jnp.array(5)))


@pytest.mark.parametrize("updating", ["deferred", "immediate"])
def test_an_equal_loss_wins(updating):
    """As in SciPy: on a plateau the population moves on, which a strict comparison would forbid."""
    box, settings, _ = make_problem([(0.0, 1.0)] * 2, popsize=5, updating=updating)

    def plateau(x):
        return 0 * x.sum(0)

    before = quick_jit(lambda key: start(plateau, box, settings, key))(jax.random.key(0))
    after = quick_jit(lambda state: step(plateau, box, settings, state))(before)
    assert not np.isin(np.asarray(after.population), np.asarray(before.population)).all(1).any()


def test_draws_are_independent():
    """No two kinds of draw share numbers, and generations and the start differ."""
    box, settings, _ = make_problem([(0.0, 1.0)] * 4, popsize=50, init="random")

    def total(x):
        return x.sum(0)

    draws_of = quick_jit(lambda state: draw(settings, state))
    begun = quick_jit(lambda key: start(total, box, settings, key))(jax.random.key(0))
    first = draws_of(begun)
    second = draws_of(quick_jit(lambda state: step(total, box, settings, state))(begun))
    numbers = [
        begun.population,
        first.uniforms,
        first.replacements,
        second.uniforms,
        second.replacements,
    ]
    flat = np.concatenate([np.asarray(each).ravel() for each in numbers])
    assert len(np.unique(flat)) > 0.999 * len(flat)
    assert abs(np.corrcoef(first.uniforms.ravel(), first.replacements.ravel())[0, 1]) < 0.1


@pytest.mark.parametrize(
    ("strategy", "updating"),
    [
        ("best1bin", "deferred"),
        ("lshade", "immediate"),
        pytest.param("best1bin", "immediate", marks=pytest.mark.full),
        pytest.param("lshade", "deferred", marks=pytest.mark.full),
    ],
)
def test_losses_are_those_of_the_members(updating, strategy):
    """After any number of generations; the best comes first, and nfev counts true evaluations."""
    box, settings, _ = make_problem(
        [(-1.0, 2.0)] * 2, popsize=6, updating=updating, strategy=strategy, maxiter=20
    )

    def func(x):
        return jnp.cos(5 * x).sum(0) + x[0]

    state = quick_jit(lambda key: start(func, box, settings, key))(jax.random.key(2))
    one_step = quick_jit(lambda state: step(func, box, settings, state))
    evaluations = settings.population_size
    for generation in range(12):
        evaluations += int(state.size)
        state = one_step(state)
        active = int(state.size)
        expected = func(box.to_user(state.population).T)[:active]
        np.testing.assert_allclose(state.losses[:active], expected, rtol=1e-5, atol=1e-6)
        assert float(state.losses[0]) == float(state.losses.min())
        assert np.all(np.isinf(state.losses[active:]))
        assert int(state.nfev) == evaluations and int(state.generation) == generation + 1
    assert (active < settings.population_size) is (strategy == "lshade")
