"""Profiles of likelihoods whose limits are published, known in closed form, or found by MINOS."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from known_likelihoods import (
    RETENTION,
    bernoulli,
    exponential,
    learner,
    normal,
    power,
    problem_of,
    simulate_learners,
)
from planted_fits import problem_with

from jaxcmr.uncertainty import STATUSES, Profiles, profile_likelihood
from jaxcmr.uncertainty._profile import WORST_LAST

EIGHT_OF_TEN = {"y": [1] * 8 + [0] * 2}
TEN_OF_TEN = {"y": [1] * 10}


def limits_of(profiles, parameter, subject=1):
    """Return both limits of a parameter."""
    wide = profiles.intervals().set_index(["subject", "parameter"])
    return wide.loc[(subject, parameter), ["lower", "upper"]].to_numpy(float)


def statuses_of(profiles, parameter, subject=1):
    """Return the statuses of both sides of a parameter."""
    wide = profiles.intervals().set_index(["subject", "parameter"])
    return tuple(wide.loc[(subject, parameter), ["lower_status", "upper_status"]])


MYUNG = {
    "power": (power, (0.953123, 0.497933), [0.9076498, 0.9810522], [0.4363762, 0.5636046]),
    "exponential": (exponential, (1.070112, 0.130826), [0.9985378, 1.1215267],
                    [0.1131311, 0.1495417]),
}  # fmt: skip
"""Loss, estimates, and 95 % profile limits of a and b."""


@pytest.mark.parametrize("name", MYUNG)
@pytest.mark.parametrize("scale", ["linear", "log"])
def test_retention_data_give_the_published_intervals(name, scale):
    """To all seven digits, and on either scale: a profile does not depend on it."""
    nll, (a, b), limits_a, limits_b = MYUNG[name]
    bounds = {"a": [0.5, 1.3], "b": [0.01, 1.5]}
    profiles = profile_likelihood(
        *problem_of(nll, RETENTION, bounds, {"a": a, "b": b}, scale=scale)
    )
    np.testing.assert_allclose(limits_of(profiles, "a"), limits_a, atol=2e-7)
    np.testing.assert_allclose(limits_of(profiles, "b"), limits_b, atol=2e-7)
    assert set(profiles.table["status"]) == {"closed"}
    np.testing.assert_allclose(profiles.table["rise"], profiles.threshold, atol=1e-5)
    assert profiles.better is None


@pytest.mark.parametrize("name", MYUNG)
def test_minos_finds_the_same_limits(name):
    """MINOS of iminuit follows the same profile with another algorithm."""
    iminuit = pytest.importorskip("iminuit")
    nll, (a, b), *_ = MYUNG[name]
    rows = {name: np.array(column, float) for name, column in RETENTION.items()}

    def loss(a, b):
        return float(nll(rows, jnp.array([[a], [b]]))[0])

    with jax.enable_x64(True):
        minuit = iminuit.Minuit(loss, a, b)
        minuit.errordef = iminuit.Minuit.LIKELIHOOD
        minuit.tol = 1e-6
        minuit.migrad()
        minuit.minos(cl=0.9)
    bounds = {"a": [0.5, 1.3], "b": [0.01, 1.5]}
    problem, result = problem_of(nll, RETENTION, bounds, {"a": a, "b": b})
    profiles = profile_likelihood(problem, result, level=0.9)
    for parameter in "ab":
        error, value = minuit.merrors[parameter], minuit.values[parameter]
        np.testing.assert_allclose(
            limits_of(profiles, parameter), [value + error.lower, value + error.upper], atol=1e-4
        )


def test_eight_successes_of_ten():
    """``10 log L`` has closed-form roots; they are known to seven digits."""
    profiles = profile_likelihood(*problem_of(bernoulli, EIGHT_OF_TEN, {"p": [0, 1]}, {"p": 0.8}))
    np.testing.assert_allclose(limits_of(profiles, "p"), [0.5005604, 0.9636375], atol=2e-7)


def test_ten_successes_of_ten_have_a_lower_limit_only():
    """The estimate is on the bound: the limit is ``exp(-1.92 / 10)``."""
    problem, result = problem_of(bernoulli, TEN_OF_TEN, {"p": [0.1, 1 - 1e-12]}, {"p": 1 - 1e-12})
    profiles = profile_likelihood(problem, result)
    np.testing.assert_allclose(limits_of(profiles, "p"), [0.8252467, np.nan], atol=2e-7)
    assert statuses_of(profiles, "p") == ("closed", "at bound")


def test_a_mean_with_the_spread_profiled():
    """``mean +- sd sqrt(exp(3.84 / 10) - 1)``; the spread at the limit makes up for the mean."""
    bounds = {"mean": [0, 11], "sd": [0.1, 20]}
    y = np.arange(1.0, 11.0)
    profiles = profile_likelihood(
        *problem_of(normal, {"y": y}, bounds, {"mean": 5.5, "sd": y.std()}), parameters="mean"
    )
    lower, upper = limits_of(profiles, "mean")
    np.testing.assert_allclose([lower, upper], [3.5343024, 7.4656976], atol=2e-7)
    end = profiles.path.iloc[(profiles.path["value"] - upper).abs().argmin()]
    np.testing.assert_allclose(end["sd"], np.sqrt(np.mean((y - upper) ** 2)), rtol=1e-6)


def test_a_bound_of_another_parameter_is_named():
    """With b held at its bound the loss rises faster: the interval is shorter than sqrt(inv(H)).

    H has correlation -0.9: a up is made up for by b down, until b is at 0.
    """
    H = 100 * np.array([[1.0, 0.9], [0.9, 1.0]])
    problem, result = problem_with(H, center=(0.5, 0.05))
    profiles = profile_likelihood(problem, result, "a")
    assert statuses_of(profiles, "a") == ("closed", "blocked")
    upper = profiles.table.set_index("side").loc["upper"]
    assert upper["blocked_by"] == "b"
    # b = 0 is -0.05 from its center: 50 d^2 - 4.5 d + 0.125 = 1.92073 with d = a - 0.5
    d = np.roots([50.0, -4.5, 0.125 - profiles.threshold]).max()
    np.testing.assert_allclose(upper["limit"], 0.5 + d, atol=1e-6)
    free = np.sqrt(2 * profiles.threshold * np.linalg.inv(H)[0, 0])
    np.testing.assert_allclose(limits_of(profiles, "a")[0], 0.5 - free, atol=1e-6)
    assert d < free


def test_a_parameter_that_the_loss_does_not_depend_on_is_flat():
    problem, result = problem_with(np.diag([100.0, 0.0]))
    profiles = profile_likelihood(problem, result)
    assert statuses_of(profiles, "b") == ("flat", "flat")
    assert np.isnan(limits_of(profiles, "b")).all()
    assert "1 of 2 are closed; 1 are flat up to a bound." in profiles.verdict()


def test_a_loss_that_rises_too_little_is_open_at_the_bound():
    """Half a unit away the loss has risen by 0.5, and 1.92 would be a limit."""
    problem, result = problem_with(np.diag([100.0, 4.0]))
    profiles = profile_likelihood(problem, result, "b")
    assert statuses_of(profiles, "b") == ("at bound", "at bound")
    np.testing.assert_allclose(profiles.table["rise"], 0.5, atol=1e-9)
    np.testing.assert_allclose(profiles.table["end"], [0.0, 1.0])


def test_the_numbers_of_a_verdict_add_up():
    """An interval counts once, by the worse of its sides: 2 + 1 + 3 + 1 + 1 + 2 of 10."""
    sides = [
        ("closed", "closed"),
        ("closed", "closed"),
        ("blocked", "closed"),
        ("at bound", "closed"),
        ("blocked", "at bound"),
        ("at bound", "at bound"),
        ("at bound", "flat"),
        ("blocked", "not found"),
        ("better fit", "not found"),
        ("closed", "better fit"),
    ]
    rows = [
        {"subject": 1, "parameter": f"p{i}", "side": side, "estimate": 0.5, "limit": 0.1,
         "status": status}
        for i, pair in enumerate(sides)
        for side, status in zip(("lower", "upper"), pair, strict=True)
    ]  # fmt: skip
    profiles = Profiles(pd.DataFrame(rows), pd.DataFrame(), 0.95, 1.92, None)
    assert profiles.verdict() == (
        "95 % intervals: 2 of 10 are closed; 1 end where another parameter reached a bound; "
        "3 reach a bound; 1 are flat up to a bound; 1 have an end that was not found; "
        "2 met a better fit."
    )


def test_every_status_has_a_rank_in_the_verdict():
    assert set(WORST_LAST) == set(STATUSES)


def two_valleys(rows, x):
    """Return a loss with minima near 0.3 (value 1) and 0.7 (value 0)."""
    a, b = x
    return 1000 * ((a - 0.3) * (a - 0.7)) ** 2 + 2.5 * (0.7 - a) + 50 * (b - 0.5) ** 2


def test_a_better_fit_that_a_profile_meets_is_returned():
    problem, result = problem_of(
        two_valleys, {"y": [0.0]}, {"a": [0, 1], "b": [0, 1]}, {"a": 0.3076, "b": 0.5}
    )
    profiles = profile_likelihood(problem, result, level=0.999)
    assert "better fit" in set(profiles.table["status"])
    better = profiles.better
    assert better["fits"]["subject"] == [1]
    assert better["fitness"][0] < result["fitness"][0] - 0.9
    np.testing.assert_allclose(better["fits"]["a"], 0.7, atol=0.02)
    assert "start_from=profiles.better" in profiles.verdict()


def test_what_a_path_says_is_true_of_the_loss():
    """The loss in each row is that at its parameters, and the lowest for the profiled one."""
    nll, (a, b), *_ = MYUNG["power"]
    problem, result = problem_of(nll, RETENTION, {"a": [0.5, 1], "b": [0.1, 1]}, {"a": a, "b": b})
    path = profile_likelihood(problem, result, "a").path
    for _, point in path.iterrows():
        assert point["value"] == point["a"]
        everything = np.ones(6, bool)
        here = problem.evaluate({"a": point["a"], "b": point["b"]}, everything)
        np.testing.assert_allclose(here, point["loss"], atol=1e-9)
        for move in (-1e-3, 1e-3):
            beside = {"a": point["a"], "b": point["b"] + move}
            assert problem.evaluate(beside, everything) > point["loss"]
    assert path["value"].is_monotonic_increasing


def test_profiles_of_a_subject_do_not_depend_on_the_others():
    data = simulate_learners(3, 60, 0.4, 3.0, seed=5)
    problem, result = problem_of(
        learner,
        data,
        {"alpha": [0.001, 0.999], "beta": [0.01, 20]},
        {"alpha": 0.4, "beta": 3.0},
        subjects=[1, 2, 3],
    )
    together = profile_likelihood(problem, result).table
    alone = profile_likelihood(problem, result, subjects=2).table
    np.testing.assert_array_equal(together[together["subject"] == 2]["limit"], alone["limit"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 95}, "between 0.5 and 1"),
        ({"level": 0.4}, "between 0.5 and 1"),
        ({"level": "0.9"}, "between 0.5 and 1"),
        ({"parameters": []}, "names of parameters"),
        ({"parameters": 3}, "names of parameters"),
        ({"parameters": "c"}, "Unknown parameter 'c'"),
        ({"subjects": 9}, "no fit of subject"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    problem, result = problem_with(np.eye(2))
    with pytest.raises(ValueError, match=message):
        profile_likelihood(problem, result, **options)


@pytest.mark.parametrize("result", [None, "result.json", {"fits": {}}])
def test_something_else_than_a_result_is_an_error(result):
    problem, _ = problem_with(np.eye(2))
    with pytest.raises(ValueError, match="result must be that of a fit"):
        profile_likelihood(problem, result)


def test_a_subject_twice_is_an_error():
    """Profiles are kept by subject."""
    problem, result = problem_with(np.eye(2))
    twice = {name: values * 2 for name, values in result["fits"].items()}
    both = {"fits": twice, "fitness": result["fitness"] * 2, "trials": result["trials"] * 2}
    with pytest.raises(ValueError, match="a subject twice"):
        profile_likelihood(problem, {**result, **both})


def test_a_result_of_another_problem_is_an_error():
    """Otherwise its intervals would be wrong without a word."""
    problem, result = problem_with(np.eye(2))
    result["fitness"] = [7.0]
    with pytest.raises(ValueError, match=r"5\.0000 here, but 7\.0000 in the result"):
        profile_likelihood(problem, result)
    result.update(fitness=[5.0], fits={"a": [1.2], "b": [0.5], "subject": [1]})
    with pytest.raises(ValueError, match="'a' for subject 1 is outside the bounds"):
        profile_likelihood(problem, result)


def test_a_loss_that_is_not_a_likelihood_is_an_error():
    problem, result = problem_with(np.eye(2))
    type(problem.generator).label = "MSE"
    with pytest.raises(ValueError, match="negative log-likelihood"):
        profile_likelihood(problem, result)


@pytest.mark.slow
def test_intervals_cover_the_truth_as_often_as_they_say():
    """Of 1,000 simulated learners, 93 to 97 % have the truth in their 95 % interval."""
    truth = {"alpha": 0.3, "beta": 3.0}
    data = simulate_learners(1000, 200, *truth.values(), seed=1)
    problem, result = problem_of(
        learner, data, {"alpha": [1e-4, 1 - 1e-4], "beta": [0.01, 30]}, truth,
        subjects=np.arange(1000),
    )  # fmt: skip
    wide = profile_likelihood(problem, result).intervals()
    for name, value in truth.items():
        of_parameter = wide[wide["parameter"] == name]
        is_above = ~(of_parameter["lower"] > value)
        is_below = ~(of_parameter["upper"] < value)
        assert 0.93 <= (is_above & is_below).mean() <= 0.97, name
