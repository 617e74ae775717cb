"""``jaxcmr simulate`` writes what `jaxcmr.simulate` returns, and counts of it."""

import json

import numpy as np
import pandas as pd
import pytest

import jaxcmr as jc
from jaxcmr.cli import main


def counts_of(data):
    """Return the number of items recalled of each list."""
    return (data["recalls"] > 0).sum(1)


def test_the_file_holds_what_the_function_returns(study, capsys):
    """The numbers beside it are those of the data set: 13 lists of subjects 3 and 7, twice."""
    assert main(["simulate", str(study / "fit"), "--copies", "2", "--seed", "3"]) == 0
    expected = jc.simulate(study / "fit", jc.load(study / "small.h5"), n_copies=2, seed=3)
    found = jc.load(study / "fit" / "simulated.h5")
    for name, field in expected.items():
        np.testing.assert_array_equal(found[name], field, err_msg=name)
    record = json.loads((study / "fit" / "simulated-numbers.json").read_text())
    assert [record[name] for name in ("subjects", "lists", "copies", "simulated_lists")] == [
        2, 13, 2, 26,
    ]  # fmt: skip
    observed = counts_of(jc.load(study / "small.h5"))[:13]
    assert record["recalls_per_list"] == pytest.approx(
        {"data": observed.mean(), "model": counts_of(expected).mean()}
    )
    assert record["settings"]["seed"] == 3 and record["sweep"] == []
    assert "13 lists of 2 subjects, 26 simulated lists" in capsys.readouterr().out


def test_lists_are_cut_where_the_loss_takes_their_length_as_given(given, small_data, capsys):
    """As many recalls as in the data; with --model-stops, all six items of every list."""
    assert main(["simulate", str(given)]) == 0
    assert "cut off" in capsys.readouterr().out
    simulated = jc.load(given / "simulated.h5")
    np.testing.assert_array_equal(counts_of(simulated), counts_of(small_data))
    assert main(["simulate", str(given), "--model-stops", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["recalls_per_list"]["model"] == 6 and record["settings"]["cut_off"] is False


def test_a_sweep_has_a_mean_at_each_value(study):
    """Where recall stops at once, nothing is recalled. Trials are those of --where."""
    vary = ["--vary", "stop_probability_scale=0,1", "--where", "subject != 3"]
    assert main(["simulate", str(study / "fit"), *vary]) == 0
    found = jc.load(study / "fit" / "simulated.h5")
    values = found["stop_probability_scale"].ravel()
    assert set(values) == {0, 1} and set(found["subject"].ravel()) == {7}
    record = json.loads((study / "fit" / "simulated-numbers.json").read_text())
    without, with_stop = record["sweep"]
    assert with_stop == {"stop_probability_scale": 1.0, "recalls_per_list": 0.0}
    assert without["recalls_per_list"] == counts_of(found)[values == 0].mean() > 0
    assert record["lists"] == 4 and record["simulated_lists"] == 8


def test_draws_come_from_a_table(study):
    """Copy k has draw k: one draw that stops at once, and one that never does."""
    draws = pd.DataFrame({"subject": [3, 3, 7, 7], "stop_probability_scale": [1.0, 0, 1, 0]})
    draws.to_csv(study / "draws.csv", index=False)
    assert main(["simulate", str(study / "fit"), "--draws", str(study / "draws.csv")]) == 0
    found = jc.load(study / "fit" / "simulated.h5")
    copies, counts = found["copy"].ravel(), counts_of(found)
    assert not counts[copies == 1].any() and (counts[copies == 2] > 0).all()


def test_a_psifr_table_has_every_copy_as_a_list(study):
    """By the suffix of --out; copies of a list are lists with numbers of their own."""
    out = study / "simulated.csv"
    call = ["simulate", str(study / "fit"), "--copies", "2", "--out", str(out)]
    assert main(call) == 0
    table = pd.read_csv(out)
    studied = table[table["trial_type"] == "study"].groupby(["subject", "list"]).size()
    assert len(studied) == 26 and (studied == 6).all()
    assert (study / "simulated-numbers.json").exists()


def test_nothing_is_replaced_unless_asked(study, capsys):
    """Neither the file of --out nor one with the numbers' name; the usual file is."""
    data = study / "small.h5"
    before = data.read_bytes()
    assert main(["simulate", str(study / "fit"), "--out", str(data)]) == 2
    assert "--force" in capsys.readouterr().err and data.read_bytes() == before
    (study / "mine-numbers.json").write_text("kept")
    assert main(["simulate", str(study / "fit"), "--out", str(study / "mine.h5")]) == 2
    assert (study / "mine-numbers.json").read_text() == "kept" and not (study / "mine.h5").exists()
    for _ in range(2):
        assert main(["simulate", str(study / "fit"), "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_json_is_what_the_file_holds(study, capsys):
    """A list of records for several results. A result by another name has files of its own."""
    jc.FitResult.load(study / "fit").save(study / "fit" / "mine.json")
    paths = [study / "fit", study / "fit" / "mine.json"]
    assert main(["simulate", *map(str, paths), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    names = ["simulated-numbers.json", "mine-simulated-numbers.json"]
    assert printed == [json.loads((study / "fit" / name).read_text()) for name in names]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--vary", "learning_rat=0.1"], "Did you mean 'learning_rate'?"),
        (["--vary", "learning_rate=0.1", "--vary", "learning_rate=0.2"], "twice"),
        (["--draws", "DRAWS", "--copies", "2"], "leave out --copies"),
        (["--copies", "0"], "at least 1"),
        (["--where", "subject == 20"], "No trial of the fitted subjects"),
        (["--out", "simulated.xlsx"], ".h5, .csv or .tsv"),
        (["--data", "peers_notask"], "not the data that were fitted"),
    ],
)
def test_mistakes_are_told(study, capsys, options, message):
    (study / "draws.csv").write_text("subject,learning_rate\n3,0.1\n7,0.1\n")
    options = [str(study / "draws.csv") if word == "DRAWS" else word for word in options]
    assert main(["simulate", str(study / "fit"), *options]) == 2
    assert message in capsys.readouterr().err
    assert not (study / "fit" / "simulated.h5").exists()


@pytest.mark.parametrize("text", ["learning_rate", "=1", "learning_rate=a", "learning_rate="])
def test_a_sweep_is_a_name_with_numbers(text, capsys):
    with pytest.raises(SystemExit) as exit:
        main(["simulate", "fit", "--vary", text])
    assert exit.value.code == 2 and "expected NAME=V1,V2,..." in capsys.readouterr().err
