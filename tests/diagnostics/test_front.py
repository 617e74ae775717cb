"""`jaxcmr.diagnose` on fits of CMR: what is handed to the checks is right."""

from functools import partial

import numpy as np
import pytest
from planted_fits import rows_of

import jaxcmr as jc
from jaxcmr.analyses import serial_position_curve
from jaxcmr.diagnostics import CHECKS
from jaxcmr.fitting import FitProblem
from jaxcmr.front import problem_of
from jaxcmr.front._trust import chance_of, predict
from jaxcmr.results import FitResult

fit = partial(jc.fit, progress=False, search={"num_steps": 2, "pop_size": 2, "best_of": 2,
              "polish": False})  # fmt: skip
FREE = ("encoding_drift_rate", "learning_rate")


@pytest.fixture(scope="module")
def lists():
    """Lists of subjects 3, 7 and 8, of 9, 4 and 2 trials; the last word of the last is missing."""
    random = np.random.default_rng(0)
    recalls = np.array([random.permutation(6) + 1 for _ in range(15)])
    recalls[:, 3:] = 0
    recalls[4] = 0
    studied = np.tile(np.arange(1, 7), (15, 1))
    studied[14, 5], recalls[14] = 0, [1, 5, 0, 0, 0, 0]
    lengths = np.where(studied[:, 5:] > 0, 6, 5)
    subjects = np.repeat([3, 7, 8], [9, 4, 2])[:, None]
    return {
        "subject": subjects,
        "listLength": lengths,
        "pres_itemnos": studied,
        "recalls": recalls,
    }


@pytest.fixture(scope="module")
def held():
    """Values of all parameters but two, so that fits are quick."""
    from model_examples import PARAMETERS

    return {name: value for name, value in PARAMETERS.items() if name not in FREE}


@pytest.fixture(scope="module")
def result(lists, held):
    return fit(lists, fixed=held, subjects=[3, 8])


@pytest.fixture(scope="module")
def table(result, lists):
    return jc.diagnose(result, lists, n_copies=20)


def test_every_check_is_made_of_every_subject(table, result):
    assert list(table.columns) == [
        "subject",
        "check",
        "statistic",
        "threshold",
        "passed",
        "comment",
    ]
    for subject in (3, 8):
        assert table.loc[table["subject"] == subject, "check"].tolist() == list(CHECKS)
    assert rows_of(table, "loss_reproduced")["passed"].all()
    per_event = -np.array(result["fitness"]) / np.array(result["n_events"])
    chance = rows_of(table, "better_than_chance")["statistic"]
    by_hand = [-(8 * np.log(7 * 6 * 5 * 4) + np.log(7)) / 33,
               -(np.log(7 * 6 * 5 * 4) + np.log(6 * 5 * 4)) / 7]  # fmt: skip
    np.testing.assert_allclose(chance[[3, 8]], per_event - by_hand)


def test_counts_are_of_the_fitted_trials_of_each_subject(result, lists):
    """Observed curves equal the measure of each subject's trials; simulated recall has as many
    lists as copies times trials, and the number recalled is that of the data."""
    problem = problem_of(result, lists)
    counts = predict(problem, result, n_copies=5, seed=0)
    curve = counts["serial_position_curve"]
    for row, subject in enumerate((3, 8)):
        mask = lists["subject"].ravel() == subject
        expected = serial_position_curve(lists, mask)
        np.testing.assert_allclose(curve.made[row] / curve.possible[row], expected)
        n_recalled = counts["recalls_per_list"]
        assert n_recalled.made[row, 0] == (lists["recalls"][mask] > 0).sum()
        assert n_recalled.possible[row, 0] == mask.sum()
        assert (n_recalled.simulated_possible[:, row] == mask.sum()).all()
        assert (curve.simulated_possible[:, row] == curve.possible[row]).all()


def test_chance_leaves_out_events_that_are_not_scored(lists, held):
    """Without stops: 7 * 6 * 5 sequences of three recalls of six words, eight times."""
    bounds = {name: [0.0, 1.0] for name in FREE}
    problem = FitProblem(lists, "cmr", "sequence_likelihood", bounds, fixed=held,
                         loss_options={"events": "recalls"})  # fmt: skip
    result = FitResult(trials=[[[0, 9]]], n_events=[24])
    np.testing.assert_allclose(chance_of(problem, result), [-8 * np.log(7 * 6 * 5)])
    for events in ("after_first", "recalls_after_first"):
        problem = FitProblem(lists, "cmr", "sequence_likelihood", bounds, fixed=held,
                             loss_options={"events": events})  # fmt: skip
        assert "the first recall was not fitted" in predict(problem, result, 5, 0)


def test_a_number_of_recalls_that_was_given_is_not_evidence(lists, held):
    """Simulated lists are cut off there, so that curves are compared at the same number. That the
    number agrees says nothing: the check is not available."""
    never_stop = {**held, "stop_probability_scale": 0.0, "stop_probability_growth": 0.0}
    result = fit(lists, fixed=never_stop, subjects=[3, 8], loss_options={"events": "recalls"})
    curve = predict(problem_of(result, lists), result, n_copies=5, seed=0)["serial_position_curve"]
    observed = [(lists["recalls"][rows] > 0).sum() for rows in (slice(9), slice(13, 15))]
    assert curve.made.sum(-1).tolist() == observed
    assert curve.simulated_made.sum(-1).tolist() == [observed] * 5
    table = jc.diagnose(result, lists, n_copies=5, curvature=False)
    number = rows_of(table, "recalls_per_list")
    assert number["passed"].isna().all()
    assert number["comment"].str.contains("takes the number of recalls from the data").all()
    assert rows_of(table, "serial_position_curve")["passed"].notna().all()


@pytest.mark.full
def test_a_pooled_fit_is_one_subject(lists, held):
    result = fit(lists, fixed=held, pooled=True)
    table = jc.diagnose(result, lists, n_copies=10)
    assert table["subject"].unique().tolist() == [-1] and len(table) == len(CHECKS)
    assert table.set_index("check").loc["serial_position_curve", "statistic"] < np.inf


@pytest.mark.full
def test_losses_by_simulation_have_no_curvature_and_no_chance(lists, held):
    result = fit(lists, loss="spc_mse", fixed=held, subjects=[3], loss_options={"n_simulations": 5})
    table = jc.diagnose(result, lists, n_copies=10).set_index("check")
    for check in ("flat_direction", "lowest_nearby", "better_than_chance", "second_basin"):
        assert table.loc[check, "comment"].startswith("not available: ")
    assert np.isfinite(table.loc["lag_crp", "statistic"])


def test_a_result_without_trials_or_runs_is_diagnosed_with_reasons(result, lists):
    problem = problem_of(result, lists)
    left_out = ("runs", "trials", "n_events")
    old = FitResult({key: value for key, value in result.items() if key not in left_out})
    table = jc.diagnose(old, problem)
    assert table["passed"].isna().all()
    assert table["comment"].str.startswith("not available: ").all()


def test_the_result_alone_is_enough_for_the_checks_of_runs(result, tmp_path):
    result.save(tmp_path / "result.json")
    table = jc.diagnose(tmp_path)
    assert rows_of(table, "runs_agree")["passed"].notna().all()
    assert rows_of(table, "lag_crp")["comment"].str.contains("hand them in").all()


def test_other_data_are_an_error(result, lists, held):
    """Problems are made again from names and options, for the data that were fitted only."""
    other = {**lists, "recalls": lists["recalls"][[1, 0, *range(2, 15)]]}
    with pytest.raises(ValueError, match="not the data that were fitted"):
        jc.diagnose(result, other)
    bounds = {name: [0.0, 1.0] for name in FREE}
    with pytest.raises(ValueError, match="other free parameters"):
        jc.diagnose(result, FitProblem(lists, "cmr", "sequence_likelihood", bounds, fixed=held))
    with pytest.raises(ValueError, match="of other data"):
        jc.diagnose(result, FitProblem(other, "cmr", "sequence_likelihood", bounds, fixed=held))
    problem = problem_of(result, lists)
    np.testing.assert_allclose(problem.evaluate_result(result), result["fitness"], rtol=1e-5)
