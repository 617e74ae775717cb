"""Summaries of recoveries against hand-worked numbers, and the inversion of confusion matrices."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from jaxcmr.recovery import (
    ModelRecovery,
    PowerCurve,
    Recovery,
    inversion_matrix,
    wilson_interval,
)
from jaxcmr.recovery._agreement import draw_correlations
from jaxcmr.recovery._parameters import compare_losses


def recovery_of(truth, estimate, *, low=0.0, high=1.0, name="rate", missed=0, ends=None):
    """Return a recovery of one parameter on a linear scale."""
    truth, estimate = np.array(truth, float), np.array(estimate, float)
    place = (estimate - low) / (high - low)
    columns = {
        "subject": range(1, len(truth) + 1),
        "copy": 1,
        "parameter": name,
        "truth": truth,
        "estimate": estimate,
        "at_bound": np.select([place <= 0.001, place >= 0.999], ["lower", "upper"], ""),
        "truth_place": (truth - low) / (high - low),
        "estimate_place": place,
    }
    if ends is not None:
        for each, values in zip(("lower", "upper"), np.array(ends, float), strict=True):
            columns[each], columns[f"{each}_place"] = values, (values - low) / (high - low)
    losses = pd.DataFrame({"missed": [i < missed for i in range(len(truth))]})
    return Recovery(pd.DataFrame(columns), losses, 28, "fitted", 0)


def test_the_summary_by_hand():
    """Errors .1, .1, -.2, .2: bias .05, RMSE sqrt(.1 / 4); one of four estimates on a bound.

    Deviations of the truth are -.3, -.1, .1, .3, of the estimates -.25, -.05, -.15, .45: their
    products sum to .2, the squares of the former to .2.
    """
    [row] = recovery_of([0.2, 0.4, 0.6, 0.8], [0.3, 0.5, 0.4, 1.0]).summary().to_dict("records")
    assert row["n"] == 4 and row["at_bound"] == 0.25 and row["truth_at_bound"] == 0
    assert row["bias"] == pytest.approx(0.05)
    assert row["rmse"] == pytest.approx(np.sqrt(0.025))
    assert row["regression"] == pytest.approx(1.0)
    assert row["r"] == pytest.approx(0.2 / np.sqrt(0.2 * 0.29))
    assert row["rho"] == pytest.approx(0.8)  # ranks 1 3 2 4: 1 - 6 * 2 / (4 * 15)
    assert row["r_low"] <= np.tanh(np.arctanh(row["r"]) - 1.959963)  # n - 3 = 1


def test_both_scales():
    """On the search scale errors are shares of the range; correlations are free of the unit."""
    found = recovery_of([2.0, 4.0, 8.0], [3.0, 4.0, 9.0], high=10.0)
    by_place, by_user = found.summary(), found.summary("user")
    assert by_place["bias"][0] == pytest.approx(by_user["bias"][0] / 10)
    assert by_user["rmse"][0] == pytest.approx(np.sqrt(2 / 3))
    assert by_place["r"][0] == pytest.approx(by_user["r"][0])
    with pytest.raises(ValueError, match="'search' or 'user'"):
        found.summary("log")


def test_correlations_agree_with_scipy():
    random = np.random.default_rng(1)
    truth = random.random(40)
    estimate = np.clip(truth + random.normal(0, 0.2, 40), 0.0, 1.0)
    [row] = recovery_of(truth, estimate).summary().to_dict("records")
    assert row["r"] == pytest.approx(stats.pearsonr(truth, estimate)[0])
    expected = stats.pearsonr(truth, estimate).confidence_interval(0.95)
    assert (row["r_low"], row["r_high"]) == pytest.approx((expected.low, expected.high), abs=0.05)
    assert row["r_low"] <= expected.low + 1e-12 and row["r_high"] >= expected.high - 1e-12
    assert row["rho"] == pytest.approx(stats.spearmanr(truth, estimate)[0])
    assert row["regression"] == pytest.approx(stats.linregress(truth, estimate)[0])


def test_a_correlation_of_one_subject_is_uncertain():
    """Nine subjects without a correlation and one far away: r is 0.97, but one bootstrap draw in
    three misses the one. Catches an interval by Fisher's z alone, 0.89 to 0.99."""
    truth = [0.1, 0.1, 0.1, 0.15, 0.15, 0.15, 0.2, 0.2, 0.2, 0.95]
    estimate = [0.1, 0.15, 0.2, 0.1, 0.15, 0.2, 0.1, 0.15, 0.2, 0.95]
    [row] = recovery_of(truth, estimate).summary().to_dict("records")
    assert row["r"] > 0.96 and row["r_low"] < 0 and row["r_high"] > row["r"]


def test_bootstrap_draws_are_correlations_of_drawn_subjects():
    """Computed anew from the same draws, by NumPy."""
    random = np.random.default_rng(3)
    x, y = random.random((2, 12))
    counts = np.random.default_rng(0).multinomial(12, np.full(12, 1 / 12), 1000)
    expected = [np.corrcoef(np.repeat(x, c), np.repeat(y, c))[0, 1] for c in counts[:50]]
    np.testing.assert_allclose(draw_correlations(x, y)[:50], expected, atol=1e-10)


def test_a_correlation_of_rounding_is_not_one():
    """Truths that are all on the bound differ by rounding: that a fit finds it says nothing."""
    [row] = (
        recovery_of([1.0, 1 - 1e-9, 1 - 2e-9], [1.0, 1 - 1e-9, 1 - 2e-9])
        .summary()
        .to_dict("records")
    )
    columns = ("r", "r_low", "r_high", "rho", "regression")
    assert all(np.isnan(row[name]) for name in columns)
    assert row["truth_at_bound"] == row["at_bound"] == 1


def test_coverage_counts_known_intervals_only():
    """Of three intervals, one of which is missing, one holds the truth."""
    ends = [[0.1, 0.5, np.nan], [0.3, 0.7, np.nan]]
    [row] = recovery_of([0.2, 0.4, 0.6], [0.2, 0.6, 0.6], ends=ends).summary().to_dict("records")
    assert row["n_intervals"] == 2 and row["coverage"] == 0.5


def test_parameters_that_are_taken_for_one_another():
    """Estimates that swap two parameters correlate off the diagonal alone."""
    a, b = [0.1, 0.5, 0.9, 0.5], [0.5, 0.1, 0.5, 0.9]
    tables = [recovery_of(a, b, name="a").table, recovery_of(b, a, name="b").table]
    found = Recovery(pd.concat(tables), pd.DataFrame({"missed": [False]}), 28, "fitted", 0)
    np.testing.assert_allclose(found.correlations(), [[0, 1], [1, 0]], atol=1e-12)
    assert list(found.correlations().columns) == ["a", "b"]


def near(truth, r):
    """Return estimates whose correlation with the truth is `r`, of the same mean and spread."""
    truth = np.asarray(truth)
    other = np.random.default_rng(0).normal(size=len(truth))
    x = (truth - truth.mean()) / truth.std()
    other = other - other.mean() - x * np.mean(x * other)
    return truth.mean() + truth.std() * (r * x + np.sqrt(1 - r**2) * other / other.std())


def test_the_verdict_says_what_may_be_interpreted():
    good = recovery_of(np.linspace(0.1, 0.9, 30), np.linspace(0.1, 0.9, 30))
    assert "Recovered well (95 % interval of r from 0.9 up): rate 1.00 (1.00 to 1.00)" in (
        good.verdict()
    )
    assert "fewer than 30" not in good.verdict()
    assert "No estimate has a higher loss than the truth." in good.verdict()
    bad = recovery_of([0.1, 0.5, 0.6, 0.9], [0.9, 1.0, 1.0, 0.1], missed=2)
    assert "Often on a bound, so that rho counts beside r: rate (50 %, rho -0.32)" in bad.verdict()
    assert "For 2 simulated subjects the search missed the minimum" in bad.verdict()
    assert good.summary().to_html(index=False, float_format="{:.3f}".format, border=0) in (
        good._repr_html_()
    )


@pytest.mark.parametrize(
    ("r", "n", "told"),
    [
        (0.93, 20, "moderately (95 % interval of r from 0.75 up): rate 0.93 (0.83 to 0.97)."),
        (0.93, 126, "Recovered well (95 % interval of r from 0.9 up): rate 0.93 (0.90 to 0.95)."),
        (
            0.99,
            20,
            "moderately (95 % interval of r from 0.75 up): rate 0.99 (0.97 to 1.00). None is",
        ),
        (0.8, 20, "more simulated subjects can tell): rate 0.80 (0.55 to 0.92)."),
        (0.4, 20, "should not be interpreted: rate 0.40 (-0.05 to 0.72)."),
        (0.93, 3, "more simulated subjects can tell): rate 0.93 (-1.00 to 1.00)."),
    ],
)
def test_the_verdict_judges_by_the_interval_of_r(r, n, told):
    """Catches a parameter that is called well recovered from few simulated subjects.

    By hand: artanh(.93) = 1.6584, less or more 1.96 / sqrt(17) = .4754, is .828 and .972 again.
    """
    truth = np.linspace(0.4, 0.6, n)
    assert told in recovery_of(truth, near(truth, r)).verdict()


@pytest.mark.parametrize(("way", "is_told"), [("fitted", True), ("normal", True), ("table", False)])
def test_truths_that_are_estimates_make_r_optimistic(way, is_told):
    found = replace(recovery_of([0.1, 0.4, 0.6, 0.9], [0.1, 0.5, 0.6, 0.9]), parameters=way)
    for each in (found, PowerCurve({28: found})):
        assert ("r is optimistic" in each.verdict()) == is_told


def test_a_power_curve_says_how_many_lists_are_enough():
    """And first what r is with the lists that were fitted, not only the best of all numbers."""
    truth, wrong, near_truth = (
        np.tile(each, 10)
        for each in ([0.1, 0.4, 0.6, 0.9], [0.6, 0.1, 0.9, 0.4], [0.1, 0.6, 0.4, 0.9])
    )
    poor, good = recovery_of(truth, wrong), recovery_of(truth, truth)
    [row] = poor.summary().itertuples()
    is_poor = f"{row.r:.2f} ({row.r_low:.2f} to {row.r_high:.2f})"
    curve = PowerCurve({7: poor, 28: good}, 7)
    assert curve.table["n_lists"].tolist() == [7, 28]
    assert f"r with 7 lists (yours) is {is_poor}; recovered well with 28 or more." in (
        curve.verdict()
    )
    assert f"is {is_poor}. True" in PowerCurve({7: poor}).verdict()
    moderate = recovery_of(truth, near_truth)  # r 0.88
    assert ", the highest." in PowerCurve({7: poor, 14: moderate}, 14).verdict()
    assert "; the highest is 0.88, with 7." in PowerCurve({7: moderate, 14: poor}, 14).verdict()
    curve = PowerCurve({7: poor, 14: good, 28: poor}, 28)  # a chance of one simulation
    assert f"r with 28 lists (yours) is {is_poor}" in curve.verdict()
    assert "the highest is 1.00, with 14, but not well with more." in curve.verdict()
    assert "well with 14 or" in PowerCurve({7: poor, 14: good, 28: good}).verdict()
    assert "well with 28 or" in PowerCurve({7: good, 14: poor, 28: good}).verdict()
    curve = PowerCurve({7: poor, 14: good}, 10)
    assert "Yours, 10, was not simulated. rate: r with 14 lists is 1.00" in curve.verdict()


def test_inversion_by_hand():
    """p(a simulated | a fits) = .9 / (.9 + .3); rows are who simulated, and columns sum to 1.

    With three times the prior for a it is .9 * .75 / (.9 * .75 + .3 * .25).
    """
    confusion = np.array([[0.9, 0.1], [0.3, 0.7]])
    np.testing.assert_allclose(inversion_matrix(confusion), [[0.75, 0.125], [0.25, 0.875]])
    np.testing.assert_allclose(inversion_matrix(confusion, [0.75, 0.25])[0, 0], 0.9)
    np.testing.assert_allclose(inversion_matrix(confusion).sum(axis=0), 1)
    random = np.random.default_rng(0).dirichlet(np.ones(4), 4)
    np.testing.assert_allclose(inversion_matrix(random), random / random.sum(axis=0))


def test_a_model_that_never_fits_best_has_no_inversion():
    """Nothing follows from what does not happen: NaN, not 0."""
    found = inversion_matrix(pd.DataFrame([[1.0, 0.0], [1.0, 0.0]], ["a", "b"], ["a", "b"]))
    assert found["a"].tolist() == [0.5, 0.5] and found["b"].isna().all()


@pytest.mark.parametrize(
    ("confusion", "prior", "message"),
    [
        ([[0.9, 0.3], [0.1, 0.7]], None, "sum to 1"),  # the transpose
        ([[0.9, 0.1], [0.3, 0.7]], [0.9, 0.3], "prior must hold 2 probabilities"),
        ([[0.9, 0.1], [0.3, 0.7]], [1.0], "prior must hold 2 probabilities"),
    ],
)
def test_what_is_not_a_confusion_matrix_is_told(confusion, prior, message):
    with pytest.raises(ValueError, match=message):
        inversion_matrix(np.array(confusion), prior)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (8, 10), (50, 50), (3, 126)])
def test_wilson_intervals_are_those_of_scipy(k, n):
    expected = stats.binomtest(k, n).proportion_ci(method="wilson")
    found = wilson_interval(np.array([float(k)]), np.array([float(n)]))
    np.testing.assert_allclose(found.ravel(), [expected.low, expected.high], atol=1e-12)
    assert (found[0, 0] == 0) == (k == 0) and (found[1, 0] == 1) == (k == n)  # not by rounding


def test_a_loss_that_is_nan_is_a_missed_minimum():
    """Catches a comparison with NaN that is False: "no estimate has a higher loss"."""
    truths = pd.DataFrame({"subject": [1, 2, 3], "copy": 1})
    losses = compare_losses(truths, np.array([[10.0, 9.0], [10.0, np.nan], [np.nan, 9.0]]))
    assert losses["missed"].tolist() == [False, True, True]


def test_a_model_recovery_by_hand():
    """Three subjects of a, of which models share one; sums decide for the group."""
    rows = [("a", 1, 10.0, 12.0), ("a", 2, 10.0, 10.0), ("a", 3, 30.0, 9.0), ("b", 1, 9.0, 8.0)]
    criteria = pd.DataFrame(
        [
            {"simulated": made, "subject": s, "copy": 1, "fitted": name, "loss": 0.0, "aic": value}
            for made, s, *values in rows
            for name, value in zip("ab", values, strict=True)
        ]
    )
    counts = pd.DataFrame([[1.5, 1.5], [0.0, 1.0]], ["a", "b"], ["a", "b"])
    found = ModelRecovery(counts, criteria, "aic", 0)
    np.testing.assert_allclose(found.confusion, [[0.5, 0.5], [0, 1]])
    np.testing.assert_allclose(found.inversion(), [[1, 1 / 3], [0, 2 / 3]])
    assert found.group_winners().tolist() == ["b", "b"]
    holed = criteria.assign(aic=criteria["aic"].where(criteria.index != 5))  # of b, for a's third
    unknown = ModelRecovery(counts, holed, "aic", 0).group_winners()
    assert unknown.tolist() == ["not known", "b"]  # and not b, whose sum would lack a subject
    low, high = found.intervals()
    zero, one = (stats.binomtest(k, 1).proportion_ci(method="wilson") for k in (0, 1))
    # 1.5 of 3, z² = 3.841459: 0.5 ± 1.959964 sqrt(0.75 + 3.841459 / 4) / (3 + 3.841459)
    np.testing.assert_allclose(low, [[0.125335] * 2, [zero.low, one.low]], atol=1e-6)
    np.testing.assert_allclose(high, [[0.874665] * 2, [zero.high, one.high]], atol=1e-6)
    shown = "Data of a are best fitted by a in 50 % of cases (95 % interval 13 to 87 %), most often"
    assert shown in found.verdict() and "mistaken for b (50 %)" in found.verdict()
    thirds = pd.DataFrame([[2.0, 1, 1], [0, 4, 0], [0, 0, 4]], list("abc"), list("abc"))
    words = ModelRecovery(thirds, criteria, "aic", 0).verdict()
    assert "15 to 85 %), most often mistaken for b or c (25 % each)" in words
    # of one subject: 1 (0.2065 to 1); .2065 / (.2065 + .8747) = .19, 1 / (1 + .1253) = .89
    shown = "probability 0.67 (0.19 to 0.89 within the intervals), given that all models were"
    assert shown in found.verdict()


def test_models_of_equal_sums_win_together():
    """Sums of b are 10.001 and 10.003 for two subjects, whose limit is 0.002."""
    rows = [
        ("a", 1, 4.0, 4.0005),
        ("a", 2, 6.0, 6.0005),
        ("b", 1, 4.0, 4.001),
        ("b", 2, 6.0, 6.002),
    ]
    criteria = pd.DataFrame(
        [
            {"simulated": made, "subject": s, "copy": 1, "fitted": name, "loss": 0.0, "aic": value}
            for made, s, *values in rows
            for name, value in zip("ab", values, strict=True)
        ]
    )
    counts = pd.DataFrame([[1.0, 1.0], [1.0, 1.0]], ["a", "b"], ["a", "b"])
    assert ModelRecovery(counts, criteria, "aic", 0).group_winners().tolist() == ["a = b", "a"]


def test_few_subjects_make_no_curve_good():
    """Four that agree perfectly are not enough to call a parameter well recovered."""
    few = recovery_of([0.1, 0.4, 0.6, 0.9], [0.1, 0.4, 0.6, 0.9])
    assert "recovered well" not in PowerCurve({7: few, 14: few}, 7).verdict()


def test_one_subject_far_from_the_others_makes_no_recovery_good():
    """Of 40, 39 truths are on the bound: r is 0.99 and says nothing of these.

    A bootstrap draws the one not at all in (39/40)^40 = 36 % of the draws.
    """
    truth = np.zeros(40)
    truth[-1] = 1.0
    estimate = np.clip(truth + np.random.default_rng(1).normal(0, 0.05, 40), 0, 1)
    found = recovery_of(truth, estimate)
    [row] = found.summary().itertuples()
    assert row.r > 0.95 and row.r_low == 0
    assert "Not decided" in found.verdict()
