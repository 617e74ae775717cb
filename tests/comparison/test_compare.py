"""Criteria against published data and hand-worked numbers; comparisons that are refused or told."""

import warnings

import numpy as np
import pytest
from scipy import optimize, stats

import jaxcmr as jc
from jaxcmr.comparison import akaike_weights, compare, information_criteria, log_evidence
from jaxcmr.results import FitResult


def fit_of(*losses, k=1, **changes):
    """Return a result with these losses of subjects 1, 2, ..., two agreeing runs each."""
    names = [f"p{i}" for i in range(k)]
    n = len(losses)
    runs = [[{"loss": loss, "at_bound": {}}] * 2 for loss in losses]
    result = {
        "fitness": list(losses),
        "fits": {**{name: [0.5] * n for name in names}, "subject": list(range(1, n + 1))},
        "free": {name: [0.0, 1.0] for name in names},
        "fixed": {},
        "model": f"model with {k}",
        "loss": "sequence_likelihood",
        "loss_options": {"events": "all"},
        "loss_label": "NLL",
        "precision": "float64",
        "data": {"fingerprint": "abc"},
        "trials": [[[i, i + 1]] for i in range(n)],
        "n_trials": [1] * n,
        "n_events": [100] * n,
        "counted": "scored recalls and stops",
        "converged": [True] * n,
        "agree_within": 0.05,
        "runs": runs,
    }
    return FitResult({**result, **changes})


def test_the_retention_data_of_myung_2003():
    """100 trials at each of six delays. A power and an exponential curve, fitted here by SciPy."""
    times = np.array([1.0, 3, 6, 9, 12, 18])
    recalled = np.array([94.0, 77, 40, 26, 24, 16])
    curves = {
        "power": (lambda a, b: a * times**-b, (0.953123, 0.497933), 313.36520),
        "exponential": (lambda a, b: a * np.exp(-b * times), (1.070112, 0.130826), 305.30557),
    }
    results = {}
    for name, (curve, estimates, loss) in curves.items():

        def nll(x, curve=curve):
            p = np.clip(curve(*x), 1e-12, 1 - 1e-12)
            return -(recalled * np.log(p) + (100 - recalled) * np.log1p(-p)).sum()

        found = optimize.minimize(
            nll, estimates, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-10}
        )
        np.testing.assert_allclose(found.x, estimates, atol=2e-6)
        np.testing.assert_allclose(found.fun, loss, atol=1e-5)
        results[name] = fit_of(float(found.fun), k=2, n_events=[600])
    tables = {name: information_criteria(result).iloc[0] for name, result in results.items()}
    for key, power, exponential in (
        ("aic", 630.730, 614.611),
        ("bic", 639.524, 623.405),
        ("aicc", 630.750, 614.631),
    ):
        np.testing.assert_allclose(tables["power"][key], power, atol=6e-4)
        np.testing.assert_allclose(tables["exponential"][key], exponential, atol=6e-4)
    found = compare(results, criterion="aic")
    weights = found.table.set_index("model")["mean_weight"]
    np.testing.assert_allclose(weights["power"], 0.000315943, atol=1e-9)
    np.testing.assert_allclose(weights["exponential"], 0.999684, atol=1e-6)


@pytest.mark.full
def test_events_of_peers():
    """psifr's PEERS lists: 37,503 recalls and 3,528 stops are 41,031 events by the field's count.
    The stop after all 16 items, in 199 lists, is certain, so that it is not scored here."""
    data = jc.load("peers_notask")
    problem = jc.FitProblem(data, "cmr", "sequence_likelihood")
    n_trials, n_events = problem.count(np.ones(len(data["subject"]), bool))
    complete = int(((data["recalls"] > 0).sum(1) == 16).sum())
    assert (n_trials, n_events, complete) == (3528, 41031 - 199, 199)
    is_first = data["subject"].ravel() == np.unique(data["subject"])[0]
    recalled = (data["recalls"][is_first] > 0).sum(1)
    assert problem.count(is_first) == (28, int(recalled.sum() + (recalled < 16).sum()))


def test_penalties_of_126_subjects_with_eleven_parameters():
    """Sums over subjects count k once per subject: with the published losses of CMR, 74,026.13 in
    all, the AICs sum to 150,824.26."""
    losses = np.full(126, 74026.13 / 126)
    result = fit_of(*losses, k=11, n_events=[326] * 126)
    sums = information_criteria(result).iloc[-1]
    assert sums["subject"] == "sum" and sums["k"] == 11 * 126 and sums["n_events"] == 326 * 126
    np.testing.assert_allclose(sums["aic"], 150824.26, atol=1e-6)
    each = information_criteria(fit_of(600.0, k=11, n_events=[326])).iloc[0]
    np.testing.assert_allclose(each["aicc"] - each["aic"], 2 * 11 * 12 / (326 - 12))
    np.testing.assert_allclose(each["aicc"] - each["aic"], 0.8408, atol=1e-4)  # .8417 at 325.64
    np.testing.assert_allclose(each["bic"] - 1200, 11 * np.log(326))


def test_n_may_count_trials_or_be_given():
    """With 28 lists of k = 11, the correction is 16.5 instead of 0.84."""
    result = fit_of(600.0, k=11, n_trials=[28])
    trials = information_criteria(result, n="trials")
    assert "n_trials" in trials
    np.testing.assert_allclose((trials["aicc"] - trials["aic"])[0], 16.5)
    assert information_criteria(result, n=50)["n"].tolist() == [50, 50]
    with pytest.raises(ValueError, match="positive integer"):
        information_criteria(result, n=-3)
    with pytest.raises(ValueError, match="how many scored recalls"):
        information_criteria(fit_of(1.0, n_events=[None]))


def test_aicc_of_too_few_observations_is_infinite():
    """n = k + 1 has no correction that is finite; a warning says so, and no ranking is made."""
    result = fit_of(10.0, 10.0, k=4, n_events=[5, 50])
    with pytest.warns(UserWarning, match="infinite for 1 subject"):
        table = information_criteria(result)
    assert np.isinf(table["aicc"][0]) and np.isfinite(table["aicc"][1])
    with (
        pytest.warns(UserWarning, match="infinite"),
        pytest.raises(ValueError, match="AICc is not finite"),
    ):
        compare({"a": result, "b": result})


def test_aicc_without_free_parameters_is_finite():
    """k = 0 has no correction, even with one observation: AICc = 2 L, and nothing warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = information_criteria(fit_of(10.0, 20.0, k=0, n_events=[1, 50]))
    assert table["aicc"].tolist() == [20.0, 40.0, 60.0]


def test_a_nan_stays_in_the_sum():
    """A loss that is not known makes the sums unknown: catches a total of the other subjects."""
    table = information_criteria(fit_of(10.0, np.nan, 30.0))
    assert table[["loss", "aic", "aicc", "bic"]].iloc[-1].isna().all()
    assert table["n_events"].iloc[-1] == 300 and table["k"].iloc[-1] == 3
    with pytest.raises(ValueError, match="AICc is not finite"):
        compare({"a": fit_of(10.0, np.nan), "b": fit_of(10.0, 20.0)})


@pytest.mark.filterwarnings("ignore:AICc is infinite")
@pytest.mark.parametrize("k", [0, 2])
def test_a_subject_without_events_has_no_bic(k):
    """Catches ln 0, by which the subject has a log evidence of plus infinity."""
    result = fit_of(10.0, 0.0, k=k, n_events=[50, 0])
    with pytest.warns(UserWarning, match="BIC is NaN for subject 2, for whom n is 0"):
        table = information_criteria(result)
    np.testing.assert_array_equal(table["bic"], [20.0 + k * np.log(50), np.nan, np.nan])
    assert table["aic"].tolist() == [20.0 + 2 * k, 2 * k, 20.0 + 4 * k]
    with (
        pytest.warns(UserWarning, match="n is 0"),
        pytest.raises(ValueError, match="BIC is not finite"),
    ):
        compare({"a": result, "b": result}, "bic")


def test_parameters_with_equal_bounds_are_not_free():
    result = fit_of(10.0, k=3)
    result["free"]["p2"] = [0.5, 0.5]
    assert information_criteria(result)["k"][0] == 2


def test_a_loss_that_is_not_a_likelihood_is_refused():
    with pytest.raises(ValueError, match="negative log-likelihood"):
        information_criteria(fit_of(0.1, loss_label="MSE"))


def test_weights_by_hand():
    """Differences of 0, 2 and infinity: 1 and exp(-1) and 0, over their sum."""
    weights = akaike_weights(np.array([[10.0, 12.0, np.inf], [1e6, 1e6, 1e6]])).to_numpy()
    e = np.exp(-1.0)
    np.testing.assert_allclose(weights, [[1 / (1 + e), e / (1 + e), 0], [1 / 3] * 3])
    with pytest.raises(ValueError, match="finite criterion"):
        akaike_weights(np.full((2, 2), np.inf))


@pytest.fixture
def three():
    """Three models of six subjects. AIC of a: 2 L + 2; of c, with two parameters: 2 L + 4."""
    a = fit_of(10.0, 20.0, 30.0, 40.0, 50.0, 60.0)
    b = fit_of(12.0, 21.0, 29.0, 43.0, 55.0, 60.0)
    c = fit_of(11.0, 22.0, 33.0, 44.0, 55.0, 66.0, k=2)
    return {"c": c, "b": b, "a": a}


def test_a_comparison_by_hand(three):
    """a is best; b is worse by 2, 1, -1, 3, 5, 0 nats, twice that in AIC; the last is a tie."""
    found = compare(three, criterion="aic")
    table = found.table.set_index("model")
    assert found.table["model"].tolist() == ["a", "b", "c"] and found.reference == "a"
    assert table["aic"].tolist() == [432.0, 452.0, 486.0]
    assert table["difference"].tolist() == [0.0, 20.0, 54.0]
    np.testing.assert_allclose(table["mean_difference"], [0, 20 / 6, 9])
    assert table["wins"].tolist() == [4.5, 1.5, 0.0]
    np.testing.assert_allclose(found.differences("b").tolist(), [4, 2, -2, 6, 10, 0])
    np.testing.assert_allclose(found.differences("a", "b").tolist(), [-4, -2, 2, -6, -10, 0])
    weights = akaike_weights(np.array([[22.0, 26, 26]]))
    np.testing.assert_allclose(found.weights().loc[1], weights.iloc[0])
    np.testing.assert_allclose(table["mean_weight"], found.weights().mean())
    b = table.loc["b"]
    assert -2 < b["low"] < b["mean_difference"] < b["high"] < 10
    assert (table.loc["a", ["low", "high"]] == 0).all()
    rows = found.tests.set_index("model")
    t = stats.ttest_rel([24, 26, 26, 28, 30, 30], [20, 24, 28, 22, 20, 30])
    np.testing.assert_allclose(
        rows.loc["b", ["t", "df", "p_t"]].tolist(), [t.statistic, 5, t.pvalue]
    )
    w = stats.wilcoxon([4, 2, -2, 6, 10, 0])
    np.testing.assert_allclose(rows.loc["b", "p_wilcoxon"], w.pvalue)


def test_the_difference_in_loss_stands_beside_that_of_the_criterion(three):
    """b: 2, 1, -1, 3, 5, 0 nats. c: 1 to 6 nats, and 2 more in AIC for its second parameter."""
    table = compare(three, criterion="aic").table.set_index("model")
    np.testing.assert_allclose(table["mean_loss_difference"], [0, 10 / 6, 3.5])
    b = table.loc["b"]
    np.testing.assert_allclose(2 * b[["loss_low", "loss_high"]].astype(float), b[["low", "high"]])
    c = table.loc["c"].astype(float)
    np.testing.assert_allclose(2 * c[["loss_low", "loss_high"]] + 2, c[["low", "high"]])


def test_differences_below_what_fits_tell_are_ties():
    """0.04 nats are 0.08 in AIC, and runs of the same fit differ by up to 0.05 nats, or 0.1."""
    losses = np.arange(10.0, 22.0)
    near, far = fit_of(*(losses + 0.04)), fit_of(*(losses + 0.06 + 0.001 * (losses % 2)))
    found = compare({"one": fit_of(*losses), "near": near}, "aic", reference="one")
    assert found.table["wins"].tolist() == [6, 6]
    assert "one, near are equal within what fits are known to" in found.verdict()
    assert "near is 1.0 above one (0.08 per subject" in found.verdict()
    assert "worse for the average" not in found.verdict()
    np.testing.assert_allclose(found.tests["known_to"], 0.1)
    found = compare({"one": fit_of(*losses), "far": far}, "aic")
    assert found.table["wins"].tolist() == [12, 0]
    assert "one is the best" in found.verdict() and "worse for the average" in found.verdict()
    silent = {"one": fit_of(*losses), "near": near}
    for result in silent.values():
        del result["agree_within"]
    assert compare(silent, "aic").table["wins"].tolist() == [12, 0]


def test_an_interval_that_is_wide_is_not_called_equal():
    """Differences of 4 and -4 have a mean of 0, and do not show that the models are equal."""
    losses = np.full(12, 20.0)
    found = compare({"a": fit_of(*losses), "b": fit_of(*(losses + np.tile([2.0, -2.0], 6)))})
    assert "do not decide between" in found.verdict()


def test_a_constant_difference_has_signed_ranks():
    """Four subjects, each worse by 2 nats: the ranks sum to 0 in one of 16 signs, twice for p."""
    found = compare({"a": fit_of(1.0, 2.0, 3.0, 4.0), "b": fit_of(3.0, 4.0, 5.0, 6.0)})
    [row] = found.tests.to_dict("records")
    assert np.isnan(row["t"]) and np.isnan(row["p_t"]) and row["wilcoxon"] == 0
    assert row["p_wilcoxon"] == 2 / 16


def test_the_same_results_have_the_same_intervals(three):
    """In any order of the models: nothing random is left open."""
    one = compare(three).table
    two = compare(dict(reversed(three.items()))).table
    assert one.equals(two)


def test_the_reference_and_the_criterion_may_be_chosen(three):
    """c has 21 and 11 nats more than a and b, and pays ln(100) more for each of six subjects."""
    found = compare(three, criterion="bic", reference="c")
    assert found.table["model"].tolist() == ["a", "b", "c"]
    more = 6 * np.log(100)
    np.testing.assert_allclose(found.table["difference"], [-42 - more, -22 - more, 0], atol=1e-9)
    with pytest.raises(ValueError, match="Unknown reference 'd'"):
        compare(three, reference="d")
    with pytest.raises(ValueError, match="Unknown criterion 'waic'"):
        compare(three, criterion="waic")


def test_subjects_are_matched_by_id(three):
    """A result with its subjects in another order is the same result."""
    three["b"] = three["b"].select([6, 5, 4, 3, 2, 1])
    again = compare(three, criterion="aic")
    np.testing.assert_allclose(again.differences("b").tolist(), [4, 2, -2, 6, 10, 0])


def test_identical_models_tie(three):
    """Differences are all 0: wins are split, the tests are missing, and nothing warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare({"one": three["a"], "two": three["a"]})
    assert found.table["wins"].tolist() == [3, 3]
    assert found.table["mean_weight"].tolist() == [0.5, 0.5]
    assert found.tests[["p_t", "p_wilcoxon"]].isna().all(axis=None)
    assert "one, two are equal" in found.verdict()


def test_a_single_subject_has_no_interval():
    found = compare({"a": fit_of(10.0), "b": fit_of(12.0)})
    assert np.isnan(found.table["low"]).all() and "best of 2 models" in found.verdict()


DIFFERENT = [
    ({"data": {"fingerprint": "xyz"}}, "different data"),
    ({"trials": [[[0, 1]], [[5, 6]], [[2, 3]]]}, "different trials for subject 2"),
    ({"loss": "set_likelihood"}, "different losses"),
    ({"loss_options": {"events": "recalls"}}, "different options of the loss"),
    ({"precision": "float32"}, "different precision"),
    ({"n_events": [100, 100, 99]}, "different numbers of scored recalls and stops for subject 3"),
    ({"fits": {"p0": [0.5] * 3, "subject": [1, 2, 4]}}, "other subjects"),
    ({"fits": {"p0": [0.5] * 3, "subject": [1, 2, 2]}}, "several fits of subject 2"),
]


@pytest.mark.parametrize(("changes", "message"), DIFFERENT, ids=[each[1] for each in DIFFERENT])
def test_losses_of_different_things_are_not_compared(changes, message):
    one, other = fit_of(1.0, 2.0, 3.0), fit_of(1.0, 2.0, 3.0, **changes)
    for call in (compare, log_evidence):
        with pytest.raises(ValueError, match=message):
            call({"one": one, "other": other})


def test_a_subject_with_two_fits_is_refused():
    """Also if all results have the same ones."""
    twice = fit_of(1.0, 2.0, fits={"p0": [0.5] * 2, "subject": [7, 7]})
    for call in (compare, log_evidence):
        with pytest.raises(ValueError, match="'one' has several fits of subject 7"):
            call({"one": twice, "other": twice})


def test_one_result_is_not_a_comparison():
    for results in (fit_of(1.0), {"one": fit_of(1.0)}):
        with pytest.raises(ValueError, match="Two or more results"):
            compare(results)


def nested_pair(**changes):
    """Return a model that fixes p1, and one that frees it; the first is better for subject 2."""
    small = fit_of(10.0, 20.0, 30.0, model="cmr", fixed={"p1": 0.0})
    small["fits"]["p1"] = [0.0] * 3
    big = fit_of(9.0, 21.5, 30.01, k=2, model="cmr")
    return small, FitResult({**big, **changes})


def test_a_nested_model_that_ended_better_is_told():
    """By more than runs may differ: 1.5 nats are told, and 0.01 above the bigger model are not."""
    small, big = nested_pair()
    [told] = compare({"small": small, "big": big}).warnings
    assert (
        "'small' is a special case of 'big', but ended better for subject 2, by up to 1.5" in told
    )
    _, outside = nested_pair(free={"p0": [0.0, 1.0], "p1": [0.1, 1.0]})
    assert not compare({"small": small, "big": outside}).warnings
    _, other = nested_pair(model="cru")
    assert not compare({"small": small, "big": other}).warnings
    found = compare({"small": small, "big": other}, nested=[("small", "big")])
    assert "special case" in found.warnings[0] and "1 warning" in found.verdict()
    with pytest.raises(ValueError, match="pairs of names"):
        compare({"small": small, "big": other}, nested=[("small", "bigger")])


def test_what_limits_a_comparison_is_told():
    """One sentence each, with the model and the subjects."""
    good = fit_of(1.0, 2.0)
    lonely = [
        [{"loss": 1.0, "at_bound": {}}] * 2,
        [{"loss": x, "at_bound": {}} for x in (2.0, 3.0)],
    ]
    moving = [
        [{"loss": 1.0, "at_bound": {}, "gradient": {}, "at_rest": s == 0}] * 2 for s in (0, 1)
    ]
    limits = {
        "no other run ended as low": {"runs": lonely},
        "not kept": {"runs": None},
        "has not converged": {"converged": [True, False]},
        "for subject 2, the polish of the best run ran out": {"runs": moving},
        "not polished": {"hyperparameters": {"polish": False}},
        "which trials were fitted": {"trials": None},
        "the options of the loss": {"loss_options": None},
        "interrupted": {"interrupted": True},
    }
    good["hyperparameters"] = {"polish": True}
    for words, changes in limits.items():
        result = fit_of(1.5, 2.5, **{"hyperparameters": {"polish": True}, **changes})
        [told] = compare({"good": good, "other": result}).warnings
        assert words in told and "other" in told


def with_runs(*numbers, origin="random", **changes):
    """Return a result of two subjects with so many runs each."""
    made = [[{"loss": 1.0, "at_bound": {}, "origin": origin}] * number for number in numbers]
    return fit_of(1.0, 1.0, **{"runs": made, **changes})


def test_unequal_numbers_of_runs_are_told():
    """The model with fewer runs is at a disadvantage, for whichever subject that is. Runs from
    earlier fits do not count; without runs, the option of the search does."""
    twelve, four, mixed = with_runs(12, 12), with_runs(4, 4), with_runs(12, 4)
    [told] = compare({"CMR": twelve, "CRU": four, "third": mixed}).warnings
    assert "12 for 'CMR', 4 for 'CRU', 4 to 12 for 'third'" in told and "best_of" in told
    assert not compare({"CMR": mixed, "CRU": mixed.select([2, 1])}).warnings  # sorted by the first
    started = [[*runs, {**runs[0], "origin": "earlier fit 1"}] for runs in twelve["runs"]]
    assert not compare({"CMR": twelve, "bigger": with_runs(12, 12, runs=started)}).warnings
    only_started = with_runs(12, 12, origin="earlier fit 1")
    [told] = compare({"CMR": twelve, "started": only_started}).warnings
    assert "12 for 'CMR', 0 for 'started'" in told
    forgotten = with_runs(0, 0, runs=None, hyperparameters={"best_of": 4})
    told, not_kept = compare({"CMR": twelve, "old": forgotten}).warnings
    assert "4 for 'old'" in told and "not kept" in not_kept


def test_single_runs_are_told():
    """Two sentences, if the other model has two runs: unequal, and not confirmed."""
    single = with_runs(1, 1)
    unequal, alone = compare({"good": with_runs(2, 2), "other": single}).warnings
    assert "1 for 'other'" in unequal and "'other': each fit is a single run" in alone
    assert len(compare({"one": single, "other": single}).warnings) == 2


def test_log_evidence_is_minus_half_the_criterion(three):
    table = log_evidence(three, kind="aic")
    assert list(table.columns) == ["c", "b", "a"] and table.index.tolist() == [1, 2, 3, 4, 5, 6]
    assert table["a"].tolist() == [-11.0, -21.0, -31.0, -41.0, -51.0, -61.0]
    found = compare(three, criterion="aic")
    assert found.log_evidence()["b"].tolist() == table["b"].tolist()


def test_log_evidence_counts_n_in_the_order_of_the_first():
    """n of 100 and 10 for subjects 1 and 2, also of a result that has 2 first: L + k ln(n) / 2."""
    one, other = fit_of(10.0, 20.0), fit_of(11.0, 22.0, k=2)
    n = np.array([100, 10])
    table = log_evidence({"one": one, "other": other.select([2, 1])}, n=n)
    np.testing.assert_allclose(table["one"], [-10 - np.log(100) / 2, -20 - np.log(10) / 2])
    np.testing.assert_allclose(table["other"], [-11 - np.log(100), -22 - np.log(10)])
    found = compare({"one": one, "other": other.select([2, 1])}, "bic", n=n)
    np.testing.assert_allclose(found.log_evidence()[table.columns], table)


def test_a_subject_may_be_named_sum():
    """The row of sums is not a second subject of that name."""
    names = {"fits": {"p0": [0.5] * 2, "subject": ["sum", "b"]}}
    table = log_evidence({"x": fit_of(1.0, 2.0, **names), "y": fit_of(3.0, 4.0, **names)}, "aic")
    assert table.index.tolist() == ["sum", "b"]
    assert table.values.tolist() == [[-2.0, -4.0], [-3.0, -5.0]]


def test_a_verdict_says_what_follows(three):
    """b is not told apart from a; c is worse for every subject."""
    found = compare(three, criterion="aic")
    words = found.verdict()
    assert words.startswith("By AIC, summed over 6 subjects, a is the best of 3 models.")
    assert "c is 54.0 above a (9.00 per subject" in words and "worse for the average" in words
    assert "a for 4.5, b for 1.5, c for 0" in words
    assert "n counts scored recalls and stops;" in repr(found) and "<table" in found._repr_html_()


def test_the_loss_names_what_n_counts():
    """By the set likelihood, all recalls of a list are one event; an old result does not say."""
    results = {name: fit_of(10.0, counted="recalled sets", n_trials=[20]) for name in "ab"}
    assert "n counts recalled sets;" in compare(results).header()
    assert "n counts trials;" in compare(results, "aic", n="trials").header()
    assert "n counts what was given;" in compare(results, n=50).header()
    for result in results.values():
        del result["counted"]
    assert "n counts scored events;" in compare(results).header()


def test_paths_and_folders_at_the_door(three, tmp_path):
    for name, result in three.items():
        (tmp_path / name).mkdir()
        result.save(tmp_path / name / "result.json")
    found = jc.compare([tmp_path / name for name in three], criterion="aic")
    assert found.table.equals(compare(three, criterion="aic").table)


def test_a_verdict_is_from_the_reference_that_was_named():
    """Table, tests and verdict have the same signs; b and c are 3 and 9 nats worse than a."""
    fits = {"subject": [1, 2, 3]}
    results = {
        name: FitResult(
            fits={**fits, "x": [0.5] * 3}, fitness=losses, free={"x": [0, 1]},
            n_events=[50] * 3, loss_label="NLL", agree_within=0.05,
        )
        for name, losses in (("a", [10.0, 11, 12]), ("b", [13.0, 14, 15]), ("c", [19.0, 20, 21]))
    }  # fmt: skip
    found = compare(results, "aic", reference="b")
    assert found.is_named and not compare(results, "aic").is_named
    words = found.verdict()
    assert "a is 18.0 below b (-6.00 per subject" in words and "better for the average" in words
    assert "c is 36.0 above b (12.00 per subject" in words and "b is " not in words
    assert found.table.set_index("model")["difference"].to_dict() == {"a": -18, "b": 0, "c": 36}


def test_rounding_is_not_ranked():
    """Of four subjects three differ by rounding: one of them decides nothing."""
    one = FitResult(
        fits={"subject": [1, 2, 3, 4], "x": [0.5] * 4}, fitness=[700.1, 800.1, 600.1, 500.1],
        free={"x": [0, 1]}, n_events=[50] * 4, loss_label="NLL",
    )  # fmt: skip
    noise = [1e-13, 2e-13, 3e-13, 13.0]
    two = {**one, "fitness": [a + b for a, b in zip(one["fitness"], noise, strict=True)]}
    found = compare({"one": one, "two": FitResult(two)}, "aic")
    assert (found.differences("two") == 0).sum() == 3 and found.table["low"][1] == 0.0
    assert found.tests["p_wilcoxon"][0] == 1.0
    assert "do not decide between two and one" in found.verdict()
