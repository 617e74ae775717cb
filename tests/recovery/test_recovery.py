"""Recovery end to end: who is simulated, what is kept, and that models swap with their names."""

import numpy as np
import pandas as pd
import pytest
from simple_losses import BowlGenerator, bowl

import jaxcmr as jc
from jaxcmr.fitting import FitProblem, JaxDE
from jaxcmr.recovery import power_curve, recover_models, recover_parameters
from jaxcmr.recovery._parameters import compare_losses
from jaxcmr.recovery._simulated import simulate_subjects
from jaxcmr.recovery._truths import make_truths

__all__ = ["bowl"]

FREE = {"encoding_drift_rate": [0.0, 1.0], "learning_rate": [0.0, 1.0]}
TINY = {"num_steps": 4, "pop_size": 3, "best_of": 2, "polish": False, "progress_bar": False}


class Count:
    """A watcher that counts the runs that are made."""

    def __init__(self):
        self.runs = 0

    def update(self, report):
        self.runs += report.record is not None

    def close(self):
        pass


def fit(data, parameters, free=FREE, loss=BowlGenerator, pooled=False, **options):
    """Return problem and result of a short fit of CMR with few free parameters."""
    fixed = {name: value for name, value in parameters.items() if name not in free}
    problem = FitProblem(data, "cmr", loss, free, fixed=fixed, **options)
    fitter = JaxDE.of(problem, TINY)
    mask = np.ones(len(problem.subjects), bool)
    return problem, fitter.fit(mask) if pooled else fitter.fit_subjects(mask)


@pytest.fixture
def fitted(small_data, parameters):
    return fit(small_data, parameters)


def test_every_subject_recalls_its_own_lists_by_its_own_estimates(fitted):
    problem, result = fitted
    found = recover_parameters(problem, result, n_copies=2)
    table = found.table
    assert len(table) == 2 * 4 * 2  # copies, subjects, parameters
    for name in FREE:
        truth = table[(table["parameter"] == name) & (table["copy"] == 2)]["truth"]
        assert truth.tolist() == result["fits"][name]
    simulated = found.simulated
    for field in ("subject", "pres_itemnos", "listLength"):
        np.testing.assert_array_equal(simulated[field], np.tile(problem.dataset[field], (2, 1)))
    first, second = np.split(simulated["recalls"], 2)
    assert (first != second).any()
    again = recover_parameters(problem, result, n_copies=2)
    pd.testing.assert_frame_equal(table, again.table)
    other = recover_parameters(problem, result, n_copies=2, seed=1)
    assert (other.simulated["recalls"] != simulated["recalls"]).any()


def test_the_losses_are_those_of_the_simulated_recall(fitted):
    """Computed anew from the simulated data set that is returned."""
    problem, result = fitted
    found = recover_parameters(problem, result)
    anew = FitProblem(found.simulated, "cmr", BowlGenerator, FREE, fixed=problem.fixed)
    for i, subject in enumerate(result["fits"]["subject"]):
        of_one = found.table[found.table["subject"] == subject]
        for what in ("truth", "estimate"):
            x = dict(zip(of_one["parameter"], of_one[what], strict=True))
            loss = anew.evaluate(x, anew.subjects == subject)
            assert found.losses[f"loss_at_{what}"][i] == pytest.approx(loss)


def test_a_search_that_missed_the_minimum_is_told(fitted):
    """A loss above that at the truth is a miss; an equal one, but for rounding, is not."""
    truths = pd.DataFrame({"subject": [1, 2, 3], "copy": 1})
    losses = compare_losses(truths, np.array([[10.0, 10.5], [10.0, 9.5], [10.0, 10.0 + 1e-12]]))
    assert losses["missed"].tolist() == [True, False, False]
    problem, result = fitted
    near = pd.DataFrame({"subject": [3, 7, 8, 20], **dict.fromkeys(FREE, 0.15)})  # the centers
    found = recover_parameters(problem, result, near, search={**TINY, "num_steps": 0})
    above = found.losses["loss_at_estimate"] > found.losses["loss_at_truth"]
    assert found.losses["missed"].tolist() == above.tolist() and found.n_missed == above.sum() > 0


def test_a_resumed_recovery_makes_nothing_twice(fitted, tmp_path):
    """More copies make the new runs only."""
    problem, result = fitted
    first, again, more = Count(), Count(), Count()
    call = {"checkpoint": tmp_path / "runs"}
    one = recover_parameters(problem, result, watchers=[first], **call)
    two = recover_parameters(problem, result, watchers=[again], **call)
    recover_parameters(problem, result, n_copies=2, watchers=[more], **call)
    assert (first.runs, again.runs, more.runs) == (8, 0, 8)  # two runs of four subjects
    pd.testing.assert_frame_equal(one.table, two.table)


def test_numbers_of_lists(fitted):
    """Of one list, subject 8 studies it three times, and recalls it differently each time."""
    problem, result = fitted
    found = recover_parameters(problem, result, n_lists=30)
    assert found.n_lists == 30
    subjects = found.simulated["subject"][:, 0]
    assert np.unique(subjects, return_counts=True)[1].tolist() == [30] * 4
    assert len(np.unique(found.simulated["recalls"][subjects == 8], axis=0)) > 1
    curve = power_curve(problem, result, (2, 1))
    assert list(curve.recoveries) == [1, 2] and len(curve.table) == 4
    with pytest.raises(ValueError, match="n_lists must be a positive integer"):
        recover_parameters(problem, result, n_lists=0)


def test_a_pooled_fit_is_recovered_as_one(small_data, parameters):
    problem, result = fit(small_data, parameters, pooled=True)
    found = recover_parameters(problem, result, n_copies=3)
    assert found.table["subject"].unique().tolist() == [-1]
    assert found.n_lists == len(small_data["subject"]) and len(found.losses) == 3


@pytest.mark.parametrize("events", ["recalls", "recalls_after_first", "after_first"])
def test_recall_is_cut_off_where_the_subject_ended_if_stops_are_not_scored(
    small_data, parameters, events
):
    """A model that does not stop then recalls as much as the subject. With "after_first", stops
    are scored, so that the model goes on until it stops: here to the end of each list."""
    fixed = {**parameters, "stop_probability_scale": 0.0}
    for name in FREE:
        del fixed[name]
    loss, options = "sequence_likelihood", {"events": events}
    problem = FitProblem(small_data, "cmr", loss, FREE, fixed=fixed, loss_options=options)
    lists = [(id_, np.flatnonzero(problem.subjects == id_)) for id_ in (20, 3)]
    truths = pd.DataFrame(
        {"subject": [20, 3] * 2, "copy": [1, 1, 2, 2], **dict.fromkeys(FREE, 0.5)}
    )
    simulated, subjects = simulate_subjects(problem, lists, truths, 0)
    n_recalls = np.sum(simulated.dataset["recalls"] > 0, axis=1)
    expected = np.sum(small_data["recalls"] > 0, axis=1)
    if events == "after_first":
        expected = small_data["listLength"][:, 0]
    for each, (_, rows) in zip(subjects, lists * 2, strict=True):
        np.testing.assert_array_equal(n_recalls[each.rows], expected[rows])


def test_simulated_typing_has_as_many_letters_as_were_typed():
    """Letters that were not studied count, although they have no position in the list."""
    typed = np.array([[4, 4, 2], [3, 0, 0], [4, 1, 0]])
    data = {
        "subject": np.ones((3, 1), int),
        "listLength": np.full((3, 1), 3),
        "pres_itemnos": np.tile([1, 2, 3], (3, 1)),
        "recalls": np.array([[2, 0, 0], [3, 0, 0], [1, 0, 0]]),
        "pres_itemids": np.tile([1, 2, 3], (3, 1)),
        "rec_itemids": typed,
    }
    distances = np.abs(np.subtract.outer(np.arange(4.0), np.arange(4.0)))
    problem = FitProblem(
        data,
        "confusable_cru",
        "confusable_likelihood",
        features=distances,
        loss_options={"events": "recalls"},
    )
    middle = {name: min((low + high) / 2, 1.0) for name, (low, high) in problem.bounds.items()}
    truth = {**middle, "stop_probability_scale": 0.0, "subject": 1, "copy": 1}
    simulated, _ = simulate_subjects(problem, [(1, np.arange(3))], pd.DataFrame([truth]), 0)
    n_letters = np.sum(simulated.dataset["rec_itemids"] > 0, axis=1)
    assert n_letters.tolist() == [3, 1, 2]


class LikelihoodBowls(BowlGenerator):
    """Bowls as negative log-likelihoods."""

    label = "NLL"


POLISHED = {**TINY, "polish": True}


@pytest.mark.parametrize("way", ["profile", "hessian"])
def test_intervals_of_a_bowl(small_data, parameters, way):
    """A bowl over n trials rises by n d^2: by 1.92, half of 1.96^2, at d = 1.96 / sqrt(2 n)."""
    problem, result = fit(small_data, parameters, loss=LikelihoodBowls)
    found = recover_parameters(problem, result, intervals=way, search=POLISHED)
    assert (found.table["estimate"] > 0.05).any()
    for subject, n in zip([3, 7, 8, 20], [9, 4, 1, 6], strict=True):
        of_one = found.table[(found.table["subject"] == subject) & (found.table["at_bound"] == "")]
        width = 1.96 / np.sqrt(2 * n)
        low, high = of_one["estimate"] - width, of_one["estimate"] + width
        np.testing.assert_allclose(of_one["lower"], np.maximum(low, 0.0), atol=1e-4)
        np.testing.assert_allclose(of_one["upper"], np.minimum(high, 1.0), atol=1e-4)
        if way == "profile":  # a side that is open ends at the bound
            assert ((of_one["lower_status"] == "closed") == (low > 0)).all()
            assert ((of_one["upper_status"] == "closed") == (high < 1)).all()
    assert (found.summary()["n_intervals"] > 0).all()


def test_intervals_by_curvature_need_a_minimum(fitted):
    """A search without a polish ends beside it."""
    found = recover_parameters(*fitted, intervals="hessian")
    assert (found.summary()["n_intervals"] == 0).all()


def test_profiles_of_a_recovery_are_kept(small_data, parameters, tmp_path, monkeypatch):
    """With its runs, in one folder; copies and numbers of lists may be added."""
    problem, result = fit(small_data, parameters, loss=LikelihoodBowls)
    made = []
    profile_fit = jc.uncertainty._profile_work.profile_fit
    monkeypatch.setattr(
        "jaxcmr.uncertainty._profile_work.profile_fit",
        lambda *arguments: made.append(arguments[2]) or profile_fit(*arguments),
    )
    call = {"intervals": True, "search": POLISHED}
    whole = recover_parameters(problem, result, n_copies=2, **call)
    made.clear()
    call["checkpoint"] = tmp_path
    recover_parameters(problem, result, **call)
    assert sorted(made) == [0, 1, 2, 3]
    kept = recover_parameters(problem, result, n_copies=2, **call)
    assert sorted(made[4:]) == [4, 5, 6, 7]
    pd.testing.assert_frame_equal(kept.table, whole.table, check_exact=True)
    recover_parameters(problem, result, n_lists=3, **call)
    assert len(made) == 12


def test_a_profile_that_met_a_better_fit_gives_no_interval(small_data, parameters, monkeypatch):
    """On neither side: the estimate is not the best one."""
    problem, result = fit(small_data, parameters, loss=LikelihoodBowls)
    profile = jc.uncertainty.profile_likelihood

    def worse(*arguments, **options):
        found = profile(*arguments, **options)
        found.table.loc[1, "status"] = "better fit"  # upper side of the first parameter
        return found

    monkeypatch.setattr("jaxcmr.recovery._intervals.profile_likelihood", worse)
    table = recover_parameters(problem, result, intervals=True, search=POLISHED).table
    is_missing = table[["lower", "upper"]].isna()
    assert is_missing.loc[0].all() and not is_missing.loc[1:].any(axis=None)


def test_intervals_that_cannot_be_made_are_told(fitted):
    """Before anything is fitted."""
    with pytest.raises(ValueError, match="Unknown way of intervals 'wald'"):
        recover_parameters(*fitted, intervals="wald")
    with pytest.raises(ValueError, match="takes a negative log-likelihood in nats"):
        recover_parameters(*fitted, intervals=True)


@pytest.mark.parametrize("way", ["uniform", "normal"])
def test_drawn_truths_lie_within_the_bounds(fitted, way):
    problem, result = fitted
    truths = make_truths(problem, result, way, 50, 0)
    assert len(truths) == 200 and truths["copy"].tolist() == np.repeat(range(1, 51), 4).tolist()
    values = truths[list(FREE)].to_numpy()
    assert ((values >= 0) & (values <= 1)).all() and (np.std(values, axis=0) > 0).all()
    if way == "uniform":
        np.testing.assert_allclose(values.mean(axis=0), 0.5, atol=0.1)
    other = make_truths(problem, result, way, 50, 1)
    assert (other[list(FREE)].to_numpy() != values).any()


def test_wrong_truths_are_told(fitted):
    problem, result = fitted
    table = pd.DataFrame({"subject": [3, 7, 8, 20], **dict.fromkeys(FREE, 0.5)})
    for wrong, message in (
        ("gaussian", "fitted, uniform, normal"),
        (table.drop(columns="learning_rate"), "lacks the column 'learning_rate'"),
        (table.iloc[:3], "equally many rows"),
        (table.assign(learning_rate=1.5), "outside its bounds"),
    ):
        with pytest.raises(ValueError, match=message):
            recover_parameters(problem, result, wrong)


@pytest.fixture
def models(small_data, parameters):
    """CMR with one and with two free parameters: the first is a special case of the second."""
    one = {"encoding_drift_rate": [0.0, 1.0]}
    fits = {
        name: fit(small_data, parameters, free, "sequence_likelihood")
        for name, free in (("one", one), ("two", FREE))
    }
    return {k: v[0] for k, v in fits.items()}, {k: v[1] for k, v in fits.items()}


def test_models_swap_with_their_names(models, tmp_path):
    """And a second call makes nothing."""
    problems, results = models
    call = {"n": 6, "criterion": "aic", "checkpoint": tmp_path}
    found = recover_models(problems, results, **call)
    assert (found.counts.sum(axis=1) == 6).all()
    np.testing.assert_allclose(found.confusion.sum(axis=1), 1)
    count = Count()
    swapped = recover_models(problems, dict(reversed(results.items())), watchers=[count], **call)
    assert count.runs == 0
    pd.testing.assert_frame_equal(swapped.counts.loc[["one", "two"], ["one", "two"]], found.counts)


def test_a_bigger_model_never_loses_by_its_search(models):
    """It also starts from the estimates of its special case."""
    found = recover_models(*models, n=4, criterion="aic", search={**TINY, "num_steps": 0})
    wide = found.criteria.pivot(
        index=["simulated", "subject", "copy"], columns="fitted", values="loss"
    )
    assert (wide["two"] <= wide["one"] + 1e-4).all()
    aic = found.criteria["aic"] - 2 * found.criteria["loss"]
    assert aic.tolist() == [2 if name == "one" else 4 for name in found.criteria["fitted"]]


def test_what_cannot_be_compared_is_told(models):
    problems, results = models
    with pytest.raises(ValueError, match="Unknown criterion 'waic'"):
        recover_models(problems, results, criterion="waic")
    with pytest.raises(ValueError, match="Problems are of"):
        recover_models({"one": problems["one"]}, results)
    with pytest.raises(ValueError, match="Two or more results"):
        recover_models(problems, {"one": results["one"]})


def test_the_front_door(small_data, parameters, bowl):
    """By the names in a result, the same as in the room."""
    search = {name: value for name, value in TINY.items() if name != "progress_bar"}
    fixed = {name: value for name, value in parameters.items() if name not in FREE}
    result = jc.fit(small_data, "cmr", bowl, search=search, fixed=fixed, progress=False)
    found = jc.recover(result, small_data, n_lists=2, progress=False)
    assert found.n_lists == 2 and len(found.losses) == 4
    problem = jc.front.problem_of(result, small_data)
    pd.testing.assert_frame_equal(found.table, recover_parameters(problem, result, n_lists=2).table)
    with pytest.raises(ValueError, match="models names 'cmr'"):
        jc.recover(result, small_data, models={"cmr": {**result, "fitness": [0.0] * 4}})
    with pytest.raises(ValueError, match="needs a result of another fit"):
        jc.recover(result, small_data, models={"CMR": result})


def test_a_result_among_the_models_has_its_name_there(small_data, tmp_path, monkeypatch):
    """Read from a file, too. Otherwise it is named by its model."""
    given = {"fitness": [1.0], "fits": {"b": [0.4], "subject": [3]}, "free": {"b": [0, 1]}}
    result = jc.FitResult({**given, "fixed": {}, "model": "cmr"})
    path = tmp_path / "result.json"
    result.save(path)
    other = jc.FitResult({**result, "fitness": [2.0]})
    monkeypatch.setattr("jaxcmr.front._recover.problem_of", lambda result, data, **sources: result)
    monkeypatch.setattr(
        "jaxcmr.recovery.recover_models", lambda problems, results, *_, **__: results
    )
    for models, names in (
        ({"CRU": other, "CMR": path}, ["CMR", "CRU"]),
        ({"CRU": other}, ["cmr", "CRU"]),
    ):
        found = jc.recover(result, small_data, models=models)
        assert list(found) == names and found[names[0]] == result


@pytest.mark.slow
def test_parameters_of_cmr_are_recovered_from_28_lists(peers):
    """No search misses the minimum, and r is above gates that are below what 126 subjects gave.

    Bias has a gate for the same parameters only. That of item_support, of which two in five
    truths are on a bound, is 0.12 with these 30 subjects.
    """
    result = jc.fit(peers, "cmr", subjects=30, progress=False)
    found = jc.recover(result, peers, progress=False)
    summary = found.summary().set_index("parameter")
    assert found.n_missed == 0 and found.n_lists == 28
    gates = {
        "encoding_drift_rate": 0.7,
        "recall_drift_rate": 0.75,
        "stop_probability_scale": 0.85,
        "stop_probability_growth": 0.8,
    }
    for name, least in gates.items():
        assert summary["r"][name] > least, f"{name}: {summary['r'][name]:.2f}"
        assert abs(summary["bias"][name]) < 0.1, f"{name}: {summary['bias'][name]:.2f}"
