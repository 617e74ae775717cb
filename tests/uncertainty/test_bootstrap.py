"""Bootstraps of estimates in closed form, and their limits against SciPy's."""

import numpy as np
import pytest
from known_likelihoods import normal, problem_of
from scipy import stats

from jaxcmr.fitting import FitProblem
from jaxcmr.uncertainty import bootstrap
from jaxcmr.uncertainty._bootstrap import acceleration, bca_limits, simulate_lists
from jaxcmr.uncertainty._inputs import Fits

Y = np.array([0.3, 1.9, 2.2, 2.4, 2.7, 3.1, 3.3, 9.6])
BOUNDS = {"mean": [-5, 15], "sd": [0.05, 20]}


@pytest.fixture(scope="module")
def fitted():
    """A normal distribution of eight numbers for each of two subjects."""
    data = np.concatenate([Y, Y + 2])
    estimates = {"mean": [Y.mean(), Y.mean() + 2], "sd": [Y.std(), Y.std()]}
    return problem_of(normal, {"y": data}, BOUNDS, estimates, subjects=[1] * 8 + [2] * 8)


def test_draws_are_the_estimates_of_resampled_rows(fitted):
    """The mean of a draw is a multiple of 1/8 of sums of its rows; over draws its standard
    deviation is ``sd / sqrt(8)``."""
    found = bootstrap(*fitted, n=80, subjects=1)
    means = found.draws.loc[found.draws["subject"] == 1, "mean"].to_numpy()
    np.testing.assert_allclose(means * 80, np.round(means * 80), atol=1e-4)
    np.testing.assert_allclose(means.std(), Y.std() / np.sqrt(8), rtol=0.25)
    limits = found.limits().set_index(["subject", "parameter"])
    np.testing.assert_allclose(limits.loc[(1, "mean"), "lower"], np.quantile(means, 0.025))


def test_a_draw_is_a_function_of_seed_subject_and_number(fitted):
    """More draws do not change the first ones, nor do other subjects; another seed does."""
    few = bootstrap(*fitted, n=3).draws
    more = bootstrap(*fitted, n=5, subjects=2).draws
    other = bootstrap(*fitted, n=3, seed=1).draws
    np.testing.assert_array_equal(few[few["subject"] == 2]["mean"], more["mean"][:3])
    assert not np.allclose(few["mean"], other["mean"])


def test_an_interrupted_bootstrap_goes_on_where_it_stopped(fitted, tmp_path):
    """Draws that are in the folder are not fitted again; more of them may be asked for."""
    few = bootstrap(*fitted, n=2, checkpoint=tmp_path)
    lines = sum(len(path.read_bytes().splitlines()) for path in tmp_path.rglob("*.jsonl"))
    again = bootstrap(*fitted, n=2, checkpoint=tmp_path)
    assert lines == sum(len(path.read_bytes().splitlines()) for path in tmp_path.rglob("*.jsonl"))
    np.testing.assert_array_equal(few.draws["mean"], again.draws["mean"])


def test_the_acceleration_of_a_mean_is_that_of_the_jackknife(fitted):
    """Of a mean the influence of a row is its deviation: ``a = skewness / (6 sqrt(n))``."""
    table = bootstrap(*fitted, n=2).estimates.set_index(["subject", "parameter"])
    expected = stats.skew(Y) / (6 * np.sqrt(8))
    np.testing.assert_allclose(table.loc[(1, "mean"), "acceleration"], expected, rtol=1e-3)
    np.testing.assert_allclose(acceleration((Y - Y.mean())[:, None]), [expected])


def test_bca_limits_are_those_of_scipy():
    """Given the draws of SciPy's bootstrap and the same acceleration, the limits are the same."""
    found = stats.bootstrap((Y,), np.mean, n_resamples=999, method="BCa", rng=1)
    a = stats.skew(Y) / (6 * np.sqrt(8))
    draws = found.bootstrap_distribution
    expected = found.confidence_interval
    lower, upper = bca_limits(draws, Y.mean(), a, np.array([0.025, 0.975]))
    np.testing.assert_allclose([lower, upper], [expected.low, expected.high], rtol=0.01)


def test_limits_that_cannot_be_corrected_are_nan():
    """All draws on one side of the estimate, as on a bound; or an unknown acceleration."""
    tails = np.array([0.025, 0.975])
    assert np.isnan(bca_limits(np.array([1.0, 2.0]), 0.0, 0.0, tails)).all()
    assert np.isnan(bca_limits(np.array([1.0, 2.0]), 1.5, np.nan, tails)).all()


def test_a_single_list_has_no_limits():
    """Each of its draws would be the data, and the standard error 0. Others are drawn as ever."""
    estimates = {"mean": [Y.mean(), 3.0], "sd": [Y.std(), 1.0]}
    data, ids = {"y": np.append(Y, 3.0)}, [1] * 8 + [2]
    found = bootstrap(*problem_of(normal, data, BOUNDS, estimates, subjects=ids), n=3)
    assert found.draws["subject"].tolist() == [1] * 3 and found.draws["draw"].tolist() == [1, 2, 3]
    limits = found.limits().set_index("subject")
    assert limits.loc[2, "estimate"].tolist() == [3.0, 1.0]
    assert limits.loc[2, ["mean", "error", "lower", "upper", "bca_lower"]].isna().all(axis=None)
    assert limits.loc[1, "error"].gt(0).all()
    assert "3 draws of resampled lists for 1 subject;" in found.verdict()
    assert "For subject 2 limits are missing, as there are too few lists" in found.verdict()


def test_no_lists_to_draw_from_is_an_error():
    estimates = {"mean": [1.0, 3.0], "sd": [1.0, 1.0]}
    pair = problem_of(normal, {"y": np.array([1.0, 3.0])}, BOUNDS, estimates, subjects=[1, 2])
    with pytest.raises(ValueError, match="No subject has two lists to draw from"):
        bootstrap(*pair, n=3)


def test_simulated_lists_hold_as_many_events_as_the_data_if_stops_are_not_scored(
    small_data, parameters
):
    """A model that does not stop is cut off where each trial ended, in every draw; if stops are
    scored, it goes on to the end of each list."""
    fixed = {**parameters, "stop_probability_scale": 0.0}
    free = {"learning_rate": [0.0, 1.0]}
    fixed.pop("learning_rate")
    for events, expected in (
        ("recalls", np.sum(small_data["recalls"] > 0, axis=1)),
        ("after_first", small_data["listLength"][:, 0]),
    ):
        problem = FitProblem(
            small_data, "cmr", "sequence_likelihood", free, fixed=fixed,
            loss_options={"events": events},
        )  # fmt: skip
        rows = [np.flatnonzero(problem.subjects == subject) for subject in (3, 20)]
        fits = Fits(
            names=("learning_rate",), scales=("linear",), space=None, subjects=[3, 20], rows=rows,
            losses=[], estimates=np.array([[0.3], [0.6]]), places=None, at_estimates=None,
        )  # fmt: skip
        simulated, drawn = simulate_lists(problem, fits, 2, 0)
        n_recalls = np.sum(simulated.dataset["recalls"] > 0, axis=1)
        for fit, of_fit in zip(drawn, np.repeat([0, 1], 2), strict=True):
            np.testing.assert_array_equal(n_recalls[fit.rows], expected[rows[of_fit]])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"kind": "sessions"}, "lists, parametric"), ({"n": 0}, "n "), ({"seed": -1}, "seed")],
)
def test_wrong_arguments_are_named(fitted, options, message):
    with pytest.raises(ValueError, match=message):
        bootstrap(*fitted, **options)
