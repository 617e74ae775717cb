"""The loss around the estimates: Hessians and directions of losses whose curvature is known."""

import jax
import numpy as np
import pytest
import scipy
from planted_fits import TRACES, problem_with, rows_of

from jaxcmr.diagnostics import diagnose, measure_curvature
from jaxcmr.diagnostics._curvature import farthest_within
from jaxcmr.fitting import FitProblem
from jaxcmr.results import FitResult
from jaxcmr.typing import LossFnGenerator

STIFF = np.array([[400.0, 30.0], [30.0, 200.0]])
FLAT = np.array([1.0, -1.0]) / np.sqrt(2)  # unit eigenvector of the next, eigenvalue 5
RIDGE = 5.0 * np.outer(FLAT, FLAT) + 300.0 * np.full((2, 2), 0.5)


def test_the_hessian_of_a_quadratic_loss():
    """Per range of the search: bounds [0, 2] make the first row and column twice as large."""
    for width in (1.0, 2.0):
        bounds = {"a": [0.0, width], "b": [0.0, 1.0]}
        [found] = measure_curvature(*problem_with(STIFF, bounds=bounds))
        scale = np.array([width, 1.0])
        np.testing.assert_allclose(found.hessian, STIFF * np.outer(scale, scale), atol=1e-5)
        np.testing.assert_allclose(
            found.eigenvalues, np.linalg.eigvalsh(STIFF * np.outer(scale, scale)), atol=1e-5
        )
        assert found.loss == found.lowest == 5.0


def test_a_planted_flat_direction_is_found_with_its_length():
    """Along it 0.1 nats buy ``sqrt(2 * 0.1 / 5) = 0.2`` to each side, of which either parameter
    gets 1 / sqrt(2). Places are computed at steps of a fifth, so that it may be that much less."""
    problem, result = problem_with(RIDGE)
    [found] = measure_curvature(problem, result)
    np.testing.assert_allclose(np.abs(found.directions[0] @ FLAT), 1.0, atol=1e-6)
    longest = 2 * 0.2 / np.sqrt(2)
    assert longest / 1.2 < found.shares[0] <= longest
    row = rows_of(diagnose(result, problem), "flat_direction").loc[1]
    assert not row["passed"] and row["statistic"] == found.shares[0]
    assert row["comment"].startswith(("a up (0.3", "b up (0.3"))
    assert "with b down" in row["comment"] or "with a down" in row["comment"]


def test_what_is_said_of_a_direction_is_true_of_the_loss():
    """At the ends that are named the loss is at most 0.1 higher, and a fifth farther it is more."""
    problem, result = problem_with(RIDGE)
    [found] = measure_curvature(problem, result)
    for ends in found.ends:
        for move in ends - np.array([0.5, 0.5]):
            assert 0 < move @ RIDGE @ move / 2 <= 0.1
            assert (1.25 * move) @ RIDGE @ (1.25 * move) / 2 > 0.1


def test_a_walk_ends_at_the_first_rise():
    """Behind it the loss may be low again: that is another basin. A walk that rises at once ends
    where it began, and NaN is a rise."""
    place = np.array([0.0])
    walks = np.array([[[[-1.0], [-2.0], [-3.0]], [[1.0], [2.0], [3.0]]]])
    for losses, ends in (
        ([[0.05, 0.2, 0.05], [0.01, 0.02, 0.1]], [-1.0, 3.0]),
        ([[0.2, 0.0, 0.0], [0.05, np.nan, 0.0]], [0.0, 1.0]),
    ):
        found = farthest_within(walks, np.array([losses]), 0.1, place)
        assert found[0, :, 0].tolist() == ends


def test_a_product_that_is_all_that_matters_is_told_as_a_factor():
    """The loss depends on a * b = 1 alone (in logarithms: on their sum): a may be ten times as
    large if b is a tenth."""
    H, bounds = 500.0 * np.ones((2, 2)), {"a": [0.0, 100.0], "b": [0.0, 100.0]}
    problem, result = problem_with(H, center=(0.0, 0.0), scale="log", bounds=bounds)
    [found] = measure_curvature(problem, result)
    (a_low, b_low), (a_high, b_high) = found.ends[int(np.argmax(found.shares))]
    assert max(a_high / a_low, a_low / a_high) > 3  # the place curves away on scales not quite log
    for a, b in ((a_low, b_low), (a_high, b_high)):
        assert 250.0 * np.log(a * b) ** 2 <= 0.1 + 1e-6
    row = rows_of(diagnose(result, problem), "flat_direction").loc[1]
    assert " up (" in row["comment"] and " down (" in row["comment"]
    assert "over a factor of" in row["comment"] and not row["passed"]


def test_parameters_on_bounds_are_left_out():
    problem, result = problem_with(STIFF, center=(0.0, 0.5))
    [found] = measure_curvature(problem, result)
    assert np.isnan(found.hessian[0]).all() and np.isnan(found.hessian[:, 0]).all()
    np.testing.assert_allclose(found.hessian[1, 1], 200.0, atol=1e-5)
    assert found.directions.tolist() == [[0.0, 1.0]]
    table = diagnose(*problem_with(STIFF, center=(0.0, 1.0))[::-1])
    assert "all estimates are on bounds" in rows_of(table, "flat_direction").loc[1, "comment"]


def test_a_lower_loss_beside_the_estimates_is_found():
    """Moved by 0.1 along a from the minimum, the loss is ``400 * 0.01 / 2 = 2`` too high."""
    problem, result = problem_with(STIFF)
    result["fits"]["a"], result["fitness"] = [0.6], [7.0]
    table = diagnose(result, problem)
    row = rows_of(table, "lowest_nearby").loc[1]
    assert not row["passed"] and 1.5 < row["statistic"] <= 2.0
    assert rows_of(table, "loss_reproduced").loc[1, "passed"]


def test_a_bound_that_should_be_left_is_found():
    """The estimate of a is put on its lower bound, from which the loss falls by 2 on the way to
    the minimum at 0.1. Estimates on bounds are not in the Hessian."""
    problem, result = problem_with(np.diag([400.0, 200.0]), center=(0.1, 0.5))
    result["fits"]["a"], result["fitness"] = [0.0], [7.0]
    row = rows_of(diagnose(result, problem), "lowest_nearby").loc[1]
    assert not row["passed"] and 1.5 < row["statistic"] <= 2.0


def test_a_kink_is_a_minimum():
    """Both parameters sit where the loss has no gradient: no lower loss is found."""
    problem, result = problem_with(STIFF, kink=50.0)
    assert rows_of(diagnose(result, problem), "lowest_nearby").loc[1, "statistic"] == 0.0


def test_another_loss_than_recorded_is_found():
    """As after a change of the model's code, which a result cannot know of."""
    problem, result = problem_with(STIFF)
    result["fitness"] = [5.2]
    row = rows_of(diagnose(result, problem), "loss_reproduced").loc[1]
    assert row["statistic"] == pytest.approx(0.2) and not row["passed"]


def test_all_fits_share_one_program():
    """The loss is traced as often for nine subjects as for one."""
    counts = []
    for n_subjects in (1, 9):
        problem, result = problem_with(STIFF, n_subjects=n_subjects)
        jax.clear_caches()
        TRACES.clear()
        assert len(measure_curvature(problem, result)) == n_subjects
        counts.append(len(TRACES))
    assert counts[0] == counts[1]


class NotFiniteBeside(LossFnGenerator):
    """A loss that is finite at 0.5 alone."""

    def __init__(self, model_factory, dataset, features):
        pass

    def __call__(self, trial_indices, base_params, free_param_names):
        return lambda x: 1.0 / (abs(x - 0.5).sum(0) < 1e-9)


class Simulated(NotFiniteBeside):
    differentiable = False


@pytest.mark.parametrize(
    "loss, reason", [(NotFiniteBeside, "not finite"), (Simulated, "has no gradient")]
)
def test_losses_without_curvature_say_so(loss, reason):
    bounds = {"a": [0.0, 1.0]}
    problem = FitProblem({"subject": [[1]]}, "cmr", loss, bounds)
    result = FitResult(fitness=[1.0], fits={"a": [0.5], "subject": [1]}, free=bounds, fixed={},
                       trials=[[[0, 1]]], agree_within=0.05)  # fmt: skip
    row = rows_of(diagnose(result, problem), "flat_direction").loc[1]
    assert "not available" in row["comment"] and reason in row["comment"]


def test_without_data_the_curvature_is_not_available():
    _, result = problem_with(STIFF)
    row = rows_of(diagnose(result), "flat_direction").loc[1]
    assert "hand them in" in row["comment"]


@pytest.mark.full
def test_the_hessian_of_cmr_is_that_of_an_independent_method(small_data, parameters):
    """SciPy's extrapolated differences of the loss in the user's units, times the ranges."""
    bounds = {"encoding_drift_rate": [0.0, 1.0], "learning_rate": [0.0, 1.0]}
    fixed = {name: value for name, value in parameters.items() if name not in bounds}
    problem = FitProblem(small_data, "cmr", "sequence_likelihood", bounds, fixed=fixed)
    at = {name: [parameters[name]] for name in bounds}
    result = FitResult(fits={**at, "subject": [3]}, fitness=[0.0], trials=[[[0, 9]]])
    [found] = measure_curvature(problem, result)
    mask = np.arange(20) < 9

    def loss(x):
        columns = x.reshape(2, -1).T
        values = [problem.evaluate(dict(zip(bounds, c, strict=True)), mask) for c in columns]
        return np.reshape(values, x.shape[1:])

    x = np.array([parameters[name] for name in bounds])
    oracle = scipy.differentiate.hessian(loss, x, initial_step=0.05, maxiter=4).ddf
    np.testing.assert_allclose(found.hessian, oracle, rtol=1e-3, atol=1e-2)
