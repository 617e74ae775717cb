"""Standard errors that are published or known in closed form, and what has none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_likelihoods import RETENTION, bernoulli, exponential, normal, power, problem_of
from planted_fits import problem_with

from jaxcmr.uncertainty import covariance
from jaxcmr.uncertainty._covariance import has_full_rank

EIGHT_OF_TEN = {"y": [1] * 8 + [0] * 2}


def errors_of(found):
    """Return the standard errors of the first fit."""
    return found.table["error"].to_numpy()[: len(found.names)]


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize(
    ("nll", "a", "b", "printed"),
    [
        (power, 0.95312299, 0.49793276, [0.0187, 0.0324]),
        (exponential, 1.07011192, 0.13082579, [0.0313, 0.0093]),
    ],
)
def test_errors_are_those_of_the_exact_hessian(nll, a, b, printed, scale):
    """Of the retention data; on a log scale the error is carried over by ``dx/dz``."""
    rows = {name: np.array(column, float) for name, column in RETENTION.items()}
    with jax.enable_x64(True):
        hessian = np.array(jax.hessian(lambda x: nll(rows, x))(jnp.array([a, b])))
    expected = np.sqrt(np.diag(np.linalg.inv(hessian)))
    np.testing.assert_allclose(expected, printed, atol=1e-4)  # as iminuit prints them
    bounds = {"a": [0.5, 1.3], "b": [0.01, 1.5]}
    found = covariance(*problem_of(nll, RETENTION, bounds, {"a": a, "b": b}, scale=scale))
    np.testing.assert_allclose(errors_of(found), expected, rtol=1e-4)
    assert set(found.table["status"]) == {"interior"}


def test_of_a_proportion_both_kinds_are_the_binomial_error():
    """``H = J = 62.5`` for 8 of 10: the model is right, and each success is a trial of its own."""
    problem, result = problem_of(bernoulli, EIGHT_OF_TEN, {"p": [0, 1]}, {"p": 0.8})
    for kind in ("hessian", "sandwich"):
        found = covariance(problem, result, kind)
        np.testing.assert_allclose(errors_of(found), np.sqrt(0.8 * 0.2 / 10), rtol=1e-4)


def test_the_sandwich_is_right_where_the_model_is_wrong():
    """With a spread fixed at 2 (by its bounds) the error of a mean is that of the data all the
    same: ``sd / sqrt(n)``, where the Hessian says ``2 / sqrt(n)``."""
    y = np.arange(1.0, 11.0)
    bounds = {"mean": [0, 11], "sd": [2, 20]}
    problem, result = problem_of(normal, {"y": y}, bounds, {"mean": 5.5, "sd": 2.0})
    np.testing.assert_allclose(
        errors_of(covariance(problem, result)), [2 / np.sqrt(10), np.nan], rtol=1e-5
    )
    sandwich = covariance(problem, result, "sandwich")
    np.testing.assert_allclose(errors_of(sandwich), [y.std() / np.sqrt(10), np.nan], rtol=1e-5)


def test_an_estimate_on_a_bound_has_no_error_and_the_others_have_that_without_it():
    """The covariance is ``inv(H)`` of the free ones, not a block of the whole inverse."""
    H = np.array([[400.0, 150.0], [150.0, 100.0]])
    found = covariance(*problem_with(H, center=(0.5, 0.0)))
    np.testing.assert_allclose(errors_of(found), [1 / 20, np.nan], rtol=1e-5)
    assert list(found.table["status"]) == ["interior", "lower"]
    assert "1 with estimates on a bound" in found.verdict()
    assert repr(found).startswith(found.verdict()) and "interior" in repr(found)


def test_correlations_are_those_of_the_inverse():
    H = np.array([[400.0, 150.0], [150.0, 100.0]])
    [row] = covariance(*problem_with(H)).correlations().itertuples(index=False)
    inverse = np.linalg.inv(H)
    expected = inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1])
    assert row[:3] == (1, "a", "b")
    np.testing.assert_allclose(row.r, expected, atol=1e-6)


@pytest.mark.parametrize("H", [np.diag([100.0, -1.0]), np.diag([100.0, 0.0])])
def test_a_hessian_that_is_not_positive_definite_gives_no_errors(H):
    """Eigenvalues are not clipped: an error that is made up is worse than none."""
    found = covariance(*problem_with(H))
    assert np.isnan(errors_of(found)).all()
    assert set(found.table["status"]) == {"not identified"}
    assert found.spectrum["direction"].iloc[0] == "b up"
    assert "does not curve upwards" in found.verdict()


def test_a_direction_that_the_data_leave_open_is_named():
    """Eigenvalue 2 along a up, b down: its error of 0.71 is wider than half the box."""
    flat, stiff = np.array([1.0, -1.0]) / np.sqrt(2), np.array([1.0, 1.0]) / np.sqrt(2)
    found = covariance(*problem_with(2 * np.outer(flat, flat) + 300 * np.outer(stiff, stiff)))
    first = found.spectrum.iloc[0]
    np.testing.assert_allclose([first["eigenvalue"], first["error"]], [2, 0.5**0.5], rtol=1e-5)
    assert first["direction"] in ("a up with b down", "b up with a down")
    assert "1 with a direction that the data leave open" in found.verdict()


def test_too_few_lists_for_a_sandwich_give_no_errors():
    """Gradients of lists sum to 0. Two points and two parameters fit perfectly: both gradients are
    0, and the sandwich would be an error of 0."""
    rows = {"t": [1, 3], "k": [94, 77]}
    estimates = {"a": 0.94, "b": np.log(0.94 / 0.77) / np.log(3)}
    problem, result = problem_of(power, rows, {"a": [0.5, 1.3], "b": [0.01, 1.5]}, estimates)
    found = covariance(problem, result, "sandwich")
    assert np.isnan(errors_of(found)).all()
    assert set(found.table["status"]) == {"too few lists"}
    assert found.spectrum["error"].isna().all()
    assert "for 1 there are too few lists for the sandwich" in found.verdict()
    assert np.isfinite(errors_of(covariance(problem, result))).all()
    g = np.array([[1.0, 2.0], [-1.0, -2.0], [1.0, 2.0], [-1.0, -2.0]])
    assert not has_full_rank(g) and not has_full_rank(np.array([[1.0, 2.0], [-1.0, 2.0]]))
    assert has_full_rank(np.array([[1.0, 2.0], [-1.0, 2.0], [0.0, -4.0]]))


def test_a_kink_has_no_error():
    """``100 |x - .5|`` has a derivative of 0 by central differences, and of 100 to each side."""
    H = np.diag([400.0, 100.0])
    found = covariance(*problem_with(H, kink=100.0))
    assert np.isnan(errors_of(found)).all()
    assert set(found.table["status"]) == {"not a smooth minimum"}
    assert "for 1 the estimates are not at a smooth minimum" in found.verdict()
    np.testing.assert_allclose(errors_of(covariance(*problem_with(H))), [0.05, 0.1], rtol=1e-5)


def test_an_estimate_off_the_minimum_has_no_error():
    """At .501 of ``50 (x - .5)^2`` the derivative is .1, at .50005 it is .005."""
    problem, result = problem_with(np.diag([100.0, 100.0]))
    for a, status in ((0.501, "not a smooth minimum"), (0.50005, "interior")):
        result["fits"]["a"] = [a]
        assert set(covariance(problem, result).table["status"]) == {status}


def test_the_spectrum_of_a_sandwich_has_its_errors():
    """With a spread of 2 the Hessian says ``2 / sqrt(10)``, the data ``sd / sqrt(10)``, which is
    more than half the range of 12."""
    y = 2.5 * np.array([-10.0, -9.0, -8.0, -7.0, -6.0, 6.0, 7.0, 8.0, 9.0, 10.0])
    problem, result = problem_of(
        normal, {"y": y}, {"mean": [-6, 6], "sd": [2, 2.01]}, {"mean": 0.0, "sd": 2.0}
    )
    hessian, sandwich = covariance(problem, result), covariance(problem, result, "sandwich")
    np.testing.assert_allclose(hessian.spectrum["error"], 2 / np.sqrt(10) / 12, rtol=1e-4)
    np.testing.assert_allclose(sandwich.spectrum["error"], y.std() / np.sqrt(10) / 12, rtol=1e-4)
    assert "leave open" in sandwich.verdict() and "leave open" not in hessian.verdict()


def test_an_unknown_kind_is_an_error():
    with pytest.raises(ValueError, match="hessian, sandwich"):
        covariance(*problem_with(np.eye(2)), "robust")


def test_swapped_arguments_are_told():
    problem, result = problem_with(np.eye(2))
    with pytest.raises(ValueError, match=r"first argument is a FitProblem.*Got FitResult"):
        covariance(result, problem)


def test_with_all_estimates_on_bounds_there_are_no_errors():
    """Neither kind: there is no direction left to move in."""
    for kind in ("hessian", "sandwich"):
        found = covariance(*problem_with(np.eye(2), center=(0.0, 1.0)), kind)
        assert np.isnan(errors_of(found)).all() and "not identified" not in set(
            found.table["status"]
        )


def test_progress_is_shown_only_if_it_is_asked_for(capsys):
    problem, result = problem_with(np.diag([100.0, 25.0]), n_subjects=2)
    covariance(problem, result)
    assert capsys.readouterr().err == ""
    covariance(problem, result, progress=True)
    assert "Measuring curvature: 100%" in capsys.readouterr().err
