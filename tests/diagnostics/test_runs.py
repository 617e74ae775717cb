"""Checks that rest on the runs in a result: each planted fault is found, and named."""

import numpy as np
import pytest
from planted_fits import result_of, rows_of, run

from jaxcmr.diagnostics import CHECKS, diagnose, is_trustworthy, verdict
from jaxcmr.results import FitResult


def test_runs_that_agree_pass_and_others_do_not():
    """Two of three runs within 0.05 confirm the first subject; the second subject's best run is
    alone, and its row comes first."""
    table = diagnose(result_of([run(10.0), run(10.04), run(12.0)], [run(10.0), run(10.06)]))
    found = rows_of(table, "runs_agree")
    assert found.loc[1, ["statistic", "passed"]].tolist() == [2, True]
    assert found.loc[2, ["statistic", "passed"]].tolist() == [1, False]
    assert table["subject"].iloc[0] == 2
    assert not is_trustworthy(table)
    assert "1 of 2 fits confirmed (not subject 2)" in verdict(table)


def test_a_failed_search_is_worse_than_doubtful_estimates():
    """The first subject fails three checks of estimates; the second, whose runs do not agree,
    comes before it all the same. Checks keep their order."""
    bounds = {"at_bound": {"a": "lower"}}
    doubtful = [run(10.0, a=0.0, **bounds), run(10.0, a=0.5), run(10.5, b=0.9)]
    table = diagnose(result_of(doubtful, [run(10.0), run(13.0)]))
    n_failed = (table["passed"] == False).groupby(table["subject"]).sum()  # noqa: E712
    assert n_failed.loc[[1, 2]].tolist() == [3, 1]
    assert table["subject"].tolist() == [2] * len(CHECKS) + [1] * len(CHECKS)
    assert table["check"].tolist() == [*CHECKS, *CHECKS]


def test_a_planted_second_basin_is_found():
    """It is 0.7 nats above, with b at 0.9 in place of 0.5; runs between are not at rest. A basin
    3 nats above does not matter."""
    near = [run(10.0), run(10.0), run(10.3, at_rest=False), run(10.7, b=0.9), run(11.0, a=0.1)]
    found = rows_of(diagnose(result_of(near, [run(10.0), run(13.0)])), "second_basin")
    assert found.loc[1, "statistic"] == pytest.approx(0.7)
    assert not found.loc[1, "passed"] and found.loc[2, "passed"]
    assert found.loc[1, "comment"] == (
        "a basin 0.70 nats above differs most in b: 0.9 instead of 0.5"
    )


def test_without_other_basins_the_gap_is_infinite():
    """Runs that were not polished say nothing of basins."""
    plain = {"gradient": None, "at_rest": False}
    table = diagnose(result_of([run(10.0), run(10.0)], [run(10.0, **plain), run(12.0, **plain)]))
    found = rows_of(table, "second_basin")
    assert found.loc[1, "statistic"] == np.inf and found.loc[1, "passed"]
    assert "not polished" in found.loc[2, "comment"] and found["passed"].isna()[2]


def test_planted_bounds_are_named():
    bounds = {"a": "lower", "b": "upper"}
    result = result_of([run(10.0, 0.0, 1.0, at_bound=bounds), run(10.0)], [run(9.0), run(9.0)])
    found = rows_of(diagnose(result), "on_bounds")
    assert found.loc[1, "statistic"] == 2 and found.loc[1, "comment"] == "a (lower), b (upper)"
    assert found["passed"].tolist() == [False, True]


def test_the_gradient_at_rest_is_that_off_the_bounds():
    """On a bound the loss may be steep. A kink rests though it is steep; a run that used up its
    steps does not rest."""
    on_bound = run(10.0, a=0.0, at_bound={"a": "lower"}, gradient={"a": 50.0, "b": 1e-7})
    kink = run(10.0, gradient={"a": 50.0, "b": 1e-7})
    moving = run(10.0, gradient={"a": 0.2, "b": 1e-7}, at_rest=False)
    found = rows_of(diagnose(result_of(*([each] * 2 for each in (on_bound, kink, moving)))),
                    "at_rest")  # fmt: skip
    assert found.loc[1, "statistic"] == 1e-7 and found.loc[2, "statistic"] == 50.0
    assert found.loc[[1, 2, 3], "passed"].tolist() == [True, True, False]
    assert "kink" in found.loc[2, "comment"] and "out of steps" in found.loc[3, "comment"]


def test_without_a_polish_the_tolerance_decides():
    plain = [run(10.0, gradient=None, at_rest=False)] * 2
    found = rows_of(diagnose(result_of(plain, plain, converged=[True, False])), "at_rest")
    assert found.loc[[1, 2], "passed"].tolist() == [True, False]


def test_agreeing_runs_with_other_estimates_are_on_a_ridge():
    """The same loss at a = 0.2 and 0.7: half of the range. Runs that do not agree do not count."""
    result = result_of([run(10.0, a=0.2), run(10.01, a=0.7), run(14.0, b=1.0)])
    found = rows_of(diagnose(result), "estimates_agree")
    assert found.loc[1, "statistic"] == pytest.approx(0.5)
    assert found.loc[1, "comment"] == "a from 0.2 to 0.7 over 2 runs"


def test_spread_is_measured_on_the_scale_of_the_search():
    """On a scale of four decades below the upper bound, a factor of ten is a quarter of it."""
    log = {"scale": {"a": "log", "b": "log"}}
    found = rows_of(
        diagnose(result_of([run(10.0, a=0.05, **log), run(10.0, a=0.5, **log)])), "estimates_agree"
    )
    assert found.loc[1, "statistic"] == pytest.approx(0.25, abs=0.001)


def test_subjects_are_compared_with_the_median():
    """Per event: -1.0, -1.1, -1.2, -1.3 and -5. The median is -1.2, the MAD 0.1."""
    losses = [100.0, 110.0, 120.0, 130.0, 500.0]
    found = rows_of(diagnose(result_of(*([run(loss)] * 2 for loss in losses))), "like_the_group")
    expected = (np.array([-1.0, -1.1, -1.2, -1.3, -5.0]) + 1.2) / (1.4826 * 0.1)
    np.testing.assert_allclose(found.loc[[1, 2, 3, 4, 5], "statistic"], expected)
    assert found["passed"].sum() == 4 and not found.loc[5, "passed"]


def test_a_single_run_confirms_nothing():
    table = diagnose(result_of([run(10.0)]))
    found = rows_of(table, "runs_agree")
    assert found["passed"].isna().all() and "single run" in found.loc[1, "comment"]
    assert not is_trustworthy(table)


def test_a_result_of_an_earlier_version_is_told_apart_from_a_bad_one():
    """Without runs and numbers of events, every check says that it is not available, and why."""
    old = FitResult(fitness=[7.0], fits={"a": [0.4], "subject": [3]}, free={"a": [0, 1]}, fixed={})
    table = diagnose(old)
    assert table["passed"].isna().all() and len(table) == len(CHECKS)
    assert table["comment"].str.match("not available: .+").all()
    assert verdict(table).startswith("Trust: 0 of 1 fit confirmed")


def test_losses_that_are_not_likelihoods_have_no_nats():
    table = diagnose(result_of([run(0.1), run(0.11)], loss_label="MSE", agree_within=0.001))
    for check in ("second_basin", "like_the_group"):
        assert rows_of(table, check)["passed"].isna().all()
    assert not rows_of(table, "runs_agree").loc[1, "passed"]


def test_thresholds_are_arguments():
    """And a misspelled check is an error that names the right one."""
    result = result_of([run(10.0), run(10.0)])
    assert is_trustworthy(diagnose(result))
    assert not is_trustworthy(diagnose(result, thresholds={"runs_agree": 3}))
    with pytest.raises(ValueError, match="runs_agree"):
        diagnose(result, thresholds={"runs_agre": 3})


def test_a_result_without_fits_has_an_empty_table():
    """As after Ctrl-C before the first subject was done."""
    table = diagnose(result_of())
    assert len(table) == 0 and not is_trustworthy(table) and verdict(table) == "Trust: no fits."
