"""Cross-validation against closed forms: successes and normal numbers, where a fit is a mean."""

import copy

import numpy as np
import pandas as pd
import pytest
from known_likelihoods import as_column, bernoulli, normal, of_columns, problem_of
from scipy import stats
from simple_losses import BowlGenerator

from jaxcmr.comparison import (
    CrossValidation,
    approximate_cross_validation,
    cross_validate,
    paired_differences,
)
from jaxcmr.comparison._cross_validation import places_of_runs
from jaxcmr.fitting import FitProblem, JaxDE
from jaxcmr.results import FitResult

SUCCESSES = np.array([1, 1, 1, 1, 1, 1, 1, 1, 0, 0])


@pytest.fixture(scope="module")
def eight_of_ten():
    """Eight successes in ten trials, with the estimate 0.8."""
    return problem_of(bernoulli, {"y": SUCCESSES}, {"p": [0.0, 1.0]}, {"p": 0.8})


@pytest.fixture(scope="module")
def two_subjects():
    """Normal numbers of two subjects, six in three sessions and four in two."""
    y = np.array([0.3, 1.9, 2.2, 2.4, 2.7, 3.1, 5.0, 7.0, 6.5, 4.5])
    session = np.array([1, 1, 2, 2, 3, 3, 1, 1, 2, 2])
    bounds = {"mean": [-5, 15], "sd": [0.05, 20]}
    estimates = {"mean": [2.1, 5.75], "sd": [y[:6].std(), y[6:].std()]}
    data = {"y": y, "session": session}
    return problem_of(normal, data, bounds, estimates, subjects=[1] * 6 + [2] * 4)


def test_leaving_out_one_of_eight_successes_in_ten(eight_of_ten):
    """Without a success the estimate is 7/9, without a failure 8/9: -6.4049646 nats."""
    problem, result = eight_of_ten
    found = cross_validate(problem, start_from=result)
    np.testing.assert_allclose(found.log_likelihood, -6.4049646, atol=1e-6)
    np.testing.assert_allclose(found.by_fold["p"], [7 / 9] * 8 + [8 / 9] * 2, atol=1e-5)
    assert found.by_fold["converged"].all()
    assert "10 folds" in found.verdict() and "-6.4 nats" in found.verdict()


def test_the_approximation_and_tic_of_eight_successes_in_ten(eight_of_ten):
    """Infinitesimal jackknife -6.2282179; H = J = 62.5, so TIC = AIC = 12.0080485."""
    found = approximate_cross_validation(*eight_of_ten)
    row = found.by_subject.iloc[0]
    np.testing.assert_allclose(row["in_sample"], -5.0040242, atol=1e-7)
    np.testing.assert_allclose(found.log_likelihood, -6.2282179, atol=1e-5)
    np.testing.assert_allclose(row["tic"], 12.0080485, atol=1e-5)
    assert row["n_outside"] == 0 and row["above_minimum"] < 1e-6
    assert "pproximate" in found.verdict() and "check them with cross_validate" in found.verdict()


def test_estimates_on_a_bound_are_held():
    """Ten of ten: the estimate is the upper bound, and stays there without any list."""
    problem, result = problem_of(bernoulli, {"y": np.ones(10)}, {"p": [0.1, 0.9]}, {"p": 0.9})
    found = approximate_cross_validation(problem, result)
    np.testing.assert_allclose(found.log_likelihood, 10 * np.log(0.9))
    np.testing.assert_allclose(found.by_subject["tic"], -20 * np.log(0.9))
    assert found.by_subject["n_parameters"].tolist() == [0]


def test_a_step_outside_the_bounds_is_missing_and_not_a_wrong_number():
    """Without a failure, the step goes from 0.8 to 0.88, beyond a bound of 0.85."""
    problem, result = problem_of(bernoulli, {"y": SUCCESSES}, {"p": [0.0, 0.85]}, {"p": 0.8})
    found = approximate_cross_validation(problem, result)
    is_missing = np.isnan(found.by_list["log_likelihood"])
    assert is_missing.tolist() == [False] * 8 + [True] * 2
    row = found.by_subject.iloc[0]
    assert np.isnan(row["log_likelihood"]) and row["n_outside"] == 2
    np.testing.assert_allclose(row["tic"], 12.0080485, atol=1e-5)
    assert "missing, as a step ended outside" in found.verdict()
    with pytest.raises(ValueError, match="missing in one of the two"):
        paired_differences(found, found)


@of_columns
def around(rows, x):
    """Return the NLL of a normal distribution with mean x[0] and spread 1."""
    return ((as_column(rows["y"], x) - x) ** 2).sum(0) / 2


@pytest.mark.parametrize("highest", [9, 5])  # of the mean, which is then inside, or on the bound
def test_one_list_cannot_be_left_out(highest):
    """Subject 7 has a single one. Its gradient is 0 at the estimate, so that the log-likelihood
    would be that in sample, and the penalty 0. Of subject 1, 1 is scored by a mean of 2 + 1/3."""
    y, bounds = np.array([1.0, 2.0, 3.0, 5.0]), {"mean": [0, highest]}
    problem, result = problem_of(
        around, {"y": y}, bounds, {"mean": [2.0, 5.0]}, subjects=[1, 1, 1, 7]
    )
    found = approximate_cross_validation(problem, result)
    table = found.by_subject.set_index("subject")
    assert table.loc[7, ["log_likelihood", "penalty", "tic"]].isna().all()
    assert found.by_list["log_likelihood"].isna().tolist() == [False] * 3 + [True]
    np.testing.assert_allclose(found.log_likelihood, -16 / 9, atol=1e-6)
    np.testing.assert_allclose(table.loc[1, "tic"], 2 + 4 / 3, atol=1e-6)
    assert "log-likelihood of 1 subject: -1.8 nats" in found.verdict()
    assert "TIC of 1 subject: 3.3." in found.verdict()
    assert "For subject 7 they are missing, as there are too few lists" in found.verdict()


def test_totals_are_of_the_subjects_for_whom_they_are_known():
    """TIC is known where a step ended outside the bounds; without any number there is no total."""
    data, bounds = {"y": np.append(SUCCESSES, [1, 1, 0, 0])}, {"p": [0.0, 0.85]}
    problem, result = problem_of(
        bernoulli, data, bounds, {"p": [0.8, 0.5]}, subjects=[1] * 10 + [2] * 4
    )
    found = approximate_cross_validation(problem, result)
    tic = 12.0080485 + 8 * np.log(2) + 2  # of four tries, two of which succeed: a penalty of 1
    np.testing.assert_allclose(found.by_subject["tic"].sum(), tic, atol=1e-5)
    assert "log-likelihood of 1 subject: " in found.verdict()
    assert f"TIC of 2 subjects: {tic:.1f}." in found.verdict()
    outside = approximate_cross_validation(problem, result, subjects=1)
    assert np.isnan(outside.log_likelihood) and "log-likelihood of" not in outside.verdict()
    assert "TIC of 1 subject: 12.0." in outside.verdict()
    one = problem_of(around, {"y": np.array([0.5])}, {"mean": [0, 1]}, {"mean": 0.5})
    none = approximate_cross_validation(*one)
    assert np.isnan(none.log_likelihood)
    assert none.verdict().startswith("Neither the held-out log-likelihood nor TIC is known")


def test_no_more_lists_than_parameters_is_told():
    """Two numbers, a mean and a spread: gradients of lists sum to 0, and leave a direction out."""
    bounds, data = {"mean": [-5, 15], "sd": [0.05, 20]}, {"y": np.array([1.0, 3.0])}
    found = approximate_cross_validation(*problem_of(normal, data, bounds, {"mean": 2, "sd": 1}))
    assert "doubtful, as there are no more lists than parameters" in found.verdict()


def test_an_approximation_away_from_the_minimum_is_told(eight_of_ten):
    problem, _ = eight_of_ten
    _, moved = problem_of(bernoulli, {"y": SUCCESSES}, {"p": [0.0, 1.0]}, {"p": 0.6})
    assert "not at its minimum" in approximate_cross_validation(problem, moved).verdict()


def test_folds_by_session_are_fits_to_the_other_sessions(two_subjects):
    """The estimates of a normal are mean and standard deviation of the rest; SciPy scores."""
    problem, result = two_subjects
    found = cross_validate(problem, folds="session", start_from=result)
    y, session = (problem.dataset[name].reshape(-1) for name in ("y", "session"))
    subjects = problem.subjects
    expected = []
    for subject, fold in zip(found.by_list["subject"], found.by_list["fold"], strict=True):
        rest = y[(subjects == subject) & (session != fold)]
        expected.append((rest.mean(), rest.std()))
    mean, sd = np.array(expected).T
    scores = stats.norm.logpdf(y[found.by_list["trial"]], mean, sd)
    constant = np.log(2 * np.pi) / 2  # which this likelihood leaves out
    np.testing.assert_allclose(found.by_list["log_likelihood"], scores + constant, atol=1e-4)
    assert found.by_fold[["subject", "fold", "n_train", "n_test"]].values.tolist() == [
        [1, 1, 4, 2], [1, 2, 4, 2], [1, 3, 4, 2], [2, 1, 2, 2], [2, 2, 2, 2]
    ]  # fmt: skip
    sums = found.by_subject.set_index("subject")["log_likelihood"]
    np.testing.assert_allclose(sums.sum(), found.log_likelihood)
    np.testing.assert_allclose(found.by_fold["log_likelihood"].sum(), found.log_likelihood)


@pytest.mark.parametrize("folds", ["list", 2, 3, "session"])
def test_folds_are_disjoint_and_cover_the_lists(two_subjects, folds):
    """Every list is held out once, and only the masked ones."""
    problem, result = two_subjects
    mask = np.arange(10) != 1
    found = cross_validate(problem, mask, folds, start_from=result)
    assert sorted(found.by_list["trial"]) == np.flatnonzero(mask).tolist()
    n_lists = found.by_fold["n_train"] + found.by_fold["n_test"]
    assert n_lists.tolist() == [5 if s == 1 else 4 for s in found.by_fold["subject"]]


def test_by_default_the_lists_are_those_that_were_fitted(two_subjects):
    """A result of one subject: the other one is not predicted."""
    problem, result = two_subjects
    one = {"fits": {**{name: [result["fits"][name][0]] for name in ("mean", "sd")}, "subject": [1]}}
    found = cross_validate(problem, folds=2, start_from={**one, "trials": result["trials"][:1]})
    assert found.by_list["trial"].tolist() == [0, 2, 4, 1, 3, 5]


def test_a_cold_search_finds_what_a_warm_one_does_and_leaves_the_fitter_alone(two_subjects):
    problem, result = two_subjects
    short = {"num_steps": 20, "pop_size": 5, "best_of": 2, "bounds": problem.bounds}
    fitter = JaxDE.of(problem, {**short, "progress_bar": False})
    before = copy.deepcopy(fitter.hyperparameters)
    cold = cross_validate(fitter, folds=2)
    warm = cross_validate(fitter, folds=2, start_from=result)
    assert fitter.hyperparameters == before and fitter.problem is problem
    assert warm.has_starts and not cold.has_starts
    np.testing.assert_allclose(
        cold.by_list["log_likelihood"], warm.by_list["log_likelihood"], atol=1e-3
    )


def test_an_interrupted_cross_validation_goes_on(eight_of_ten, tmp_path):
    """Fits in the folder are not made again, and the numbers are the same."""
    problem, result = eight_of_ten

    def lines():
        return sum(len(path.read_bytes().splitlines()) for path in tmp_path.rglob("*.jsonl"))

    options = {"start_from": result, "checkpoint": tmp_path}
    first = cross_validate(problem, **options)
    n_lines = lines()
    again = cross_validate(problem, **options)
    assert lines() == n_lines > 0
    pd.testing.assert_frame_equal(first.by_list, again.by_list)


def test_paired_differences_are_of_subjects_and_change_sign(two_subjects):
    """A model with a spread that is much too wide against one with a free spread."""
    problem, result = two_subjects
    data = {name: problem.dataset[name].reshape(-1) for name in ("y", "session")}
    bounds = {"mean": [-5, 15], "sd": [90.0, 99.0]}
    estimates = {"mean": [2.1, 5.75], "sd": 90.0}
    wide, of_wide = problem_of(normal, data, bounds, estimates, subjects=problem.subjects)
    free = cross_validate(problem, folds=2, start_from=result)
    held = cross_validate(wide, folds=2, start_from=of_wide)
    one = paired_differences(free, held, ("free", "wide"))
    other = paired_differences(held, free, ("wide", "free"))
    np.testing.assert_array_equal(one.by_subject["difference"], -other.by_subject["difference"])
    expected = free.log_likelihood - held.log_likelihood
    np.testing.assert_allclose(one.by_subject["difference"].sum(), expected)
    assert "free predicts held-out lists better than wide" in one.verdict()
    assert "free predicts held-out lists better than wide" in other.verdict()
    assert one.tests["t"] == -other.tests["t"] and "too short" in one.verdict()
    assert "equally well" in paired_differences(free, free, ("a", "b")).verdict()


def test_what_cannot_be_paired_is_an_error(two_subjects):
    problem, result = two_subjects
    by_session = cross_validate(problem, folds="session", start_from=result)
    by_two = cross_validate(problem, folds=2, start_from=result)
    approximate = approximate_cross_validation(problem, result)
    with pytest.raises(ValueError, match="other lists or folds"):
        paired_differences(by_session, by_two)
    with pytest.raises(ValueError, match="approximation"):
        paired_differences(by_session, approximate)
    with pytest.raises(ValueError, match="names"):
        paired_differences(by_session, by_session, ("a", "a"))
    for name in ("subject", "difference"):
        with pytest.raises(ValueError, match="differ from each other and from subject"):
            paired_differences(by_session, by_session, ("a", name))


def test_paired_subjects_are_matched_by_id():
    """-10 - 11 against -24 for subject 1, -12 against -12 for subject 2, in any order."""
    lists = pd.DataFrame(
        {
            "subject": [1, 1, 2],
            "fold": [1, 2, 1],
            "trial": [0, 1, 2],
            "n_events": 5,
            "log_likelihood": [-10.0, -11.0, -12.0],
        }
    )
    first = CrossValidation(lists, lists, "list", {})
    other = lists.assign(log_likelihood=-12.0).iloc[[2, 0, 1]].reset_index(drop=True)
    found = paired_differences(first, CrossValidation(other, other, "list", {}))
    assert found.by_subject["subject"].tolist() == [1, 2]
    assert found.by_subject["difference"].tolist() == [3.0, 0.0]


def test_a_nan_stays_in_the_sum_of_held_out_lists():
    """Catches the sum of the other lists, which is told as that of all."""
    lists = pd.DataFrame(
        {"subject": [1, 2], "fold": 1, "trial": [0, 1], "n_events": 5, "converged": True}
    ).assign(log_likelihood=[-10.0, np.nan])
    found = CrossValidation(lists, lists, "list", {})
    assert np.isnan(found.log_likelihood)
    assert "nan nats, nan per scored" in found.verdict()
    assert "It is NaN for 1 list (subject 2), and so is the sum." in found.verdict()


def test_a_mean_difference_of_zero_has_no_winner():
    """-1, 0 and 1 nats: each model is better for one of three subjects."""
    lists = pd.DataFrame({"subject": [1, 2, 3], "fold": 1, "trial": [0, 1, 2], "n_events": 5})
    pair = [
        CrossValidation(each, each, "list", {})
        for each in (
            lists.assign(log_likelihood=[-11.0, -9.7, -9.0]),
            lists.assign(log_likelihood=[-10.0, -9.7, -10.0]),
        )
    ]
    words = paired_differences(*pair, ("CMR", "CRU")).verdict()
    assert words.startswith(
        "CMR and CRU predict held-out lists equally well on average: CMR better for 1 of 3 "
        "subjects, CRU for 1; mean difference 0, 95 % interval -"
    )
    assert "do not decide between them" in words


def test_one_subject_has_no_interval_in_words():
    lists = pd.DataFrame(
        {"subject": [1], "fold": 1, "trial": 0, "n_events": 5, "log_likelihood": -10.0}
    )
    other = lists.assign(log_likelihood=-12.5)
    pair = (CrossValidation(each, each, "list", {}) for each in (lists, other))
    words = paired_differences(*pair).verdict()
    assert "2.50 per subject (first minus second) (one subject, so that" in words
    assert "nan" not in words


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 1}, "2 or more"),
        ({"folds": True}, "folds is"),
        ({"folds": "sesion"}, "'session'"),
        ({"trial_mask": np.zeros(10, bool)}, "no trials"),
        ({"folds": "session", "trial_mask": np.arange(10) < 8}, "Subject 2 has a single fold"),
        ({"search": {"num_steps": 0, "polish": False}}, "have seen the held-out lists"),
    ],
)
def test_invalid_arguments_are_told(two_subjects, options, message):
    problem, result = two_subjects
    with pytest.raises(ValueError, match=message):
        cross_validate(problem, **{"start_from": result, **options})


def test_a_list_that_is_ruled_out_is_an_error():
    """Two successes and a failure: without the failure, the estimate is 1 and rules it out."""
    bounds = {"p": [0.0, 1.0]}
    problem, result = problem_of(bernoulli, {"y": np.array([1, 1, 0])}, bounds, {"p": 2 / 3})
    with pytest.raises(ValueError, match=r"row 2 .* is not finite when fold 3"):
        cross_validate(problem, start_from=result)


def test_other_losses_are_refused(small_data):
    problem = FitProblem(small_data, "cmr", BowlGenerator)
    with pytest.raises(ValueError, match="log-likelihoods in nats"):
        cross_validate(problem)


def test_fits_to_folds_start_from_the_valleys_that_the_runs_found(eight_of_ten):
    """Ends that differ, the lowest first; a subject with fewer repeats its lowest."""
    ends = [(5.0, 0.8), (7.0, 0.2), (5.001, 0.81), (6.0, 0.5), (9.0, 0.3), (8.0, 0.1)]
    runs = [{"loss": loss, "estimates": {"p": p}} for loss, p in ends]
    fits = {"p": [0.8, 0.6], "subject": [1, 2]}
    result = FitResult(fits=fits, runs=[runs, [{"loss": 5.0, "estimates": {"p": 0.6}}]])
    first, second = places_of_runs([1, 2], result, ["p"])
    assert np.ravel(first).tolist() == [0.8, 0.5, 0.2, 0.1]
    assert np.ravel(second).tolist() == [0.6] * 4
    without = FitResult(fits=fits)
    assert np.ravel(places_of_runs([2, 1], without, ["p"])).tolist() == [0.6, 0.8]
