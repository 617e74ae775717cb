"""Results: what is kept, what the tables and the verdict say, and that nothing is lost on disk."""

import copy
import json
import os
import stat

import numpy as np
import pandas as pd
import pytest

from jaxcmr.results import SCHEMA, FitResult


def run(number, loss, rate, at_bound=None, **changes):
    """A run's record: its loss, and the estimate of the only parameter."""
    return {
        "run": number,
        "origin": "random",
        "scale": {"learning_rate": "log"},
        "loss_before_polish": loss + 1.0,
        "loss": loss,
        "estimates": {"learning_rate": rate},
        "generations": 50,
        "evaluations": 400,
        "stopped": "num_steps",
        "polish": "gradient",
        "at_rest": True,
        "gradient": {"learning_rate": 0.25},
        "at_bound": at_bound or {},
        "seconds": 0.5,
        **changes,
    }


@pytest.fixture
def result():
    """Subjects 3 and 7, three runs each: those of 3 agree but for one, those of 7 do not."""
    runs = [
        [run(0, 10.0, 0.4), run(1, 10.04, 0.41), run(2, 10.06, 0.5)],
        [run(0, 22.0, 0.2), run(1, 20.0, 1.0, {"learning_rate": "upper"}, at_rest=False)],
    ]
    return FitResult(
        schema=SCHEMA,
        model="cmr",
        loss="sequence_likelihood",
        loss_options={},
        loss_label="NLL",
        agree_within=0.05,
        data={"n_trials": 20, "fingerprint": "sha256:0"},
        features=None,
        pooled=False,
        precision="float32",
        fixed={"item_support": 2.0},
        free={"learning_rate": [0.0, 1.0]},
        fitness=[10.0, 20.0],
        fits={"learning_rate": [0.4, 1.0], "item_support": [2.0, 2.0], "subject": [3, 7]},
        n_trials=[9, 4],
        n_events=[40, 12],
        nit=[50, 50],
        nfev=[1200, 800],
        converged=[True, False],
        hyperparameters={"best_of": 3},
        fit_time=1.5,
        interrupted=False,
        trials=[[[0, 9]], [[9, 13]]],
        runs=runs,
    )


def test_the_table_by_hand(result):
    """Runs within 0.05 of the best agree with it, the best included; bounds are those of the best
    run. Catches a count of pairs, and bounds taken from the first run."""
    expected = pd.DataFrame(
        {
            "subject": [3, 7],
            "loss": [10.0, 20.0],
            "n_trials": [9, 4],
            "n_events": [40, 12],
            "learning_rate": [0.4, 1.0],
            "item_support": [2.0, 2.0],
            "agree": [2, 1],
            "n_runs": [3, 2],
            "at_bound": ["", "learning_rate (upper)"],
            "converged": [True, False],
        }
    )
    pd.testing.assert_frame_equal(result.table(), expected)
    assert result.table(agree_within=0.1)["agree"].tolist() == [3, 1]
    assert result.table(agree_within=2.0)["agree"].tolist() == [3, 2]


def test_the_table_of_runs_by_hand(result):
    """One row per run; the steepest gradient leaves out estimates on a bound, where it need not be
    0."""
    table = result.runs_table()
    assert table["subject"].tolist() == [3, 3, 3, 7, 7]
    assert table["loss"].tolist() == [10.0, 10.04, 10.06, 22.0, 20.0]
    assert table["loss_before_polish"].tolist() == [11.0, 11.04, 11.06, 23.0, 21.0]
    assert table["learning_rate"].tolist() == [0.4, 0.41, 0.5, 0.2, 1.0]
    assert table["steepest"].tolist()[:4] == [0.25] * 4 and np.isnan(table["steepest"][4])
    assert set(table["scale"]) == {"log"} and set(table["stopped"]) == {"num_steps"}
    result["runs"][0][0]["gradient"] = None  # not polished
    result["runs"][0][1]["gradient"] = {"learning_rate": None}  # a gradient that is not finite
    assert result.runs_table()["steepest"].isna().tolist() == [True, True, False, False, True]


def test_the_verdict_in_words(result):
    """Which subjects' runs agree, how many subjects have which parameter on a bound, and which fits
    have not converged."""
    assert result.verdict() == (
        "Runs agree for 1 of 2 subjects: 2 or more ended within 0.05 nats of the best (not for "
        "subject 7). Estimates on a bound: learning_rate for 1 (upper). Not converged: "
        "subject 7."
    )
    good = result.select(3)
    assert good.verdict() == (
        "Runs agree for 1 of 1 subject: 2 or more of 3 ended within 0.05 nats of the best. No "
        "estimate is on a bound."
    )
    good["runs"] = [good["runs"][0][:1]]
    assert good.verdict().startswith("Each fit is a single run")


def test_the_verdict_on_a_pooled_fit(result):
    """Speaks of the fit, not of a subject -1."""
    pooled = result.select(3)
    pooled.update(pooled=True, converged=[False], fits={**pooled["fits"], "subject": [-1]})
    assert pooled.verdict() == (
        "Runs agree: 2 of 3 ended within 0.05 nats of the best. No estimate is on a bound. Not "
        "converged."
    )
    pooled["runs"] = [pooled["runs"][0][::2]]
    assert "Runs do not agree: 1 of 2 ended within" in pooled.verdict()


def test_bounds_are_counted_by_end(result):
    """One subject at the upper bound, one at the lower; the parameter of most subjects first."""
    result["runs"][0][0]["at_bound"] = {"learning_rate": "lower"}
    assert "Estimates on a bound: learning_rate for 2 (1 lower and 1 upper)." in result.verdict()


def test_shown_as_text_and_as_html(result):
    """Every subject, parameter and mark; in a notebook, text is not mistaken for tags."""
    text = repr(result)
    for shown in (
        "NLL",
        "learning_rate",
        "1^",
        "2/3",
        "1/2",
        "yes",
        "no",
        "Runs agree",
        "13 lists",
    ):
        assert shown in text
    result["model"] = "<script>"
    page = result._repr_html_()
    assert "<script>" not in page and "&lt;script&gt;" in page and page.count("<tr>") == 3


def test_columns_that_do_not_fit_go_below(result):
    """Each block of a narrow table begins with the subject and stays within the width."""
    lines = result.to_text(width=40).splitlines()
    assert max(map(len, lines)) <= 40
    assert sum(line.startswith("subject") for line in lines) > 1


def test_selected_subjects_come_in_the_order_asked_for(result):
    both = result.select([7, 3])
    assert both["fits"]["subject"] == [7, 3] and both["fitness"] == [20.0, 10.0]
    assert [len(of_fit) for of_fit in both["runs"]] == [2, 3]
    assert both["trials"] == [[[9, 13]], [[0, 9]]] and both["n_events"] == [12, 40]
    for subject in (7, np.int64(7), [7], np.array([7])):
        assert result.select(subject)["fits"]["subject"] == [7]
    with pytest.raises(ValueError, match=r"no fit of subject\(s\) \[8\]; there are \[3, 7\]"):
        result.select([3, 8])


def test_parts_put_together_are_the_whole(result):
    """Except for the seconds, which add up."""
    whole = FitResult.concat([result.select(3), result.select(7)])
    assert {**whole, "fit_time": 1.5} == result
    assert whole["fit_time"] == 3.0


def test_parts_of_different_data_lose_their_rows(result):
    """Row 0 of one data set is not row 0 of another."""
    other = result.select(7)
    other["data"] = {"n_trials": 4, "fingerprint": "sha256:1"}
    whole = FitResult.concat([result.select(3), other])
    assert whole["data"] is None and whole["trials"] is None
    assert whole["fits"]["subject"] == [3, 7]


def test_parts_without_names_cannot_be_made_again(result):
    """Two models without a name may be two models."""
    result["model"] = None
    whole = FitResult.concat([result.select(3), result.select(7)])
    assert whole["data"] is None and whole["trials"] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": "sha256:1"}, "differ in 'features'"),
        ({"hyperparameters": {"polish": False}}, "differ in 'polish'"),
        ({"model": "cru"}, "differ in 'model'"),
        ({"free": {"learning_rate": [0.0, 0.5]}}, "differ in 'free'"),
        ({"fixed": {"item_support": 3.0}}, "differ in 'fixed'"),
        ({}, r"fit of subject\(s\) \[3, 7\]"),
    ],
)
def test_results_must_agree_to_be_put_together(result, change, message):
    """Other models, other parameters, or the same subject twice."""
    with pytest.raises(ValueError, match=message):
        FitResult.concat([result, FitResult({**copy.deepcopy(result), **change})])
    with pytest.raises(ValueError, match="no results"):
        FitResult.concat([])


def test_a_file_gives_back_the_result(result, tmp_path):
    path = tmp_path / "result.json"
    result.save(path)
    assert FitResult.load(path) == result == json.loads(path.read_text())
    assert isinstance(FitResult.load(path), FitResult)


def test_results_of_earlier_versions_still_load(tmp_path):
    """Without runs, counts and names: what is there is shown, the rest is missing."""
    old = {
        "fixed": {"item_support": 2.0},
        "free": {"learning_rate": [0.0, 1.0]},
        "fitness": [10.0],
        "fits": {"learning_rate": [0.4], "item_support": [2.0], "subject": [3]},
        "nit": [9],
        "nfev": [90],
        "converged": [False],
        "hyperparameters": {"best_of": 3},
        "fit_time": 1.5,
        "run": {"config": {}},
    }
    path = tmp_path / "old.json"
    path.write_text(json.dumps(old, indent=1))
    result = FitResult.load(path)
    table = result.table()
    assert result == old and table["loss"].tolist() == [10.0]
    assert table["agree"].isna().all() and table["n_events"].isna().all()
    assert "were not kept" in result.verdict() and "0.4" in repr(result)
    assert len(result.runs_table()) == 0 and result.select(3)["fitness"] == [10.0]
    assert FitResult.concat([result, FitResult({**old, "fits": {**old["fits"], "subject": [4]}})])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[1, 2]", "has no 'fits'"),
        ('{"fitness": [1.0]}', "has no 'fits'"),
        ('{"fits": {}, "schema": 99}', "later version"),
        ('{"fits": {}, "schema": "2"}', "later version"),
        ("", "not JSON"),
    ],
)
def test_files_that_are_not_results(tmp_path, text, message):
    path = tmp_path / "odd.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        FitResult.load(path)
    path.write_text(text, encoding="utf-16")
    with pytest.raises(ValueError, match="UTF-8"):
        FitResult.load(path)


def test_a_byte_order_mark_is_ignored(result, tmp_path):
    path = tmp_path / "result.json"
    result.save(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert FitResult.load(path) == result


def test_a_shorter_result_does_not_replace_a_longer_one(result, tmp_path):
    """Unless asked to; one with more subjects, or other numbers of the same, may."""
    path = tmp_path / "result.json"
    result.save(path)
    with pytest.raises(ValueError, match=r"1 subject\(s\) that this result lacks"):
        result.select(3).save(path)
    assert FitResult.load(path) == result
    result.select(3).save(path, overwrite=True)
    assert FitResult.load(path)["fits"]["subject"] == [3]
    result.save(path)
    assert FitResult.load(path) == result


@pytest.mark.parametrize("text", ['{"my": "notes"}', "notes", '{"fits": {}, "schema": 99}'])
def test_a_file_that_is_not_a_result_is_not_replaced(result, tmp_path, text):
    """Unless asked to; an empty file holds nothing."""
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"result\.json"):
        result.save(path)
    assert path.read_text() == text
    result.save(path, overwrite=True)
    assert FitResult.load(path) == FitResult.load(tmp_path) == result
    path.write_text("")
    result.save(path)


def test_a_copy_is_a_result_of_its_own(result):
    other = result.copy()
    other["fits"]["learning_rate"][0] = 0.0
    assert isinstance(other, FitResult) and result["fits"]["learning_rate"][0] == 0.4


def test_a_save_that_fails_leaves_the_file_as_it_was(result, tmp_path):
    """Here because a value is not JSON; permissions stay when it works."""
    path = tmp_path / "result.json"
    result.save(path)
    os.chmod(path, 0o600)
    with pytest.raises(TypeError):
        FitResult({**result, "model": object()}).save(path)
    assert FitResult.load(path) == result and os.listdir(tmp_path) == ["result.json"]
    result.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
