"""`jaxcmr check` says what data hold, and `jaxcmr convert` writes them in another format."""

import json

import numpy as np
import pandas as pd
import pytest

from jaxcmr.cli import main
from jaxcmr.datasets import load

ROWS = [
    ("s1", 1, "study", 1, "oak", "mixed"),
    ("s1", 1, "study", 2, "elm", "mixed"),
    ("s1", 1, "recall", 1, "elm", "mixed"),
    ("s1", 1, "recall", 2, "elm", "mixed"),
    ("s2", 1, "study", 1, "yew", "pure"),
    ("s2", 1, "recall", 1, "oak", "pure"),
]
COLUMNS = ["subject", "list", "trial_type", "position", "item", "list_type"]


@pytest.fixture
def study(tmp_path):
    table = pd.DataFrame(ROWS, columns=COLUMNS).assign(mark=["?", 1, 2, 3, 4, 5])
    table.to_csv(tmp_path / "study.csv", index=False)
    return tmp_path / "study.csv"


def test_check_counts_what_there_is(study, capsys):
    """Two subjects, lists of 2 and 1 items, an intrusion (oak) and a repeat (elm)."""
    assert main(["check", str(study)]) == 0
    said = capsys.readouterr().out
    lines = dict(line.split(maxsplit=1) for line in said.splitlines())
    assert lines["subjects"] == "2 (s1, s2)"
    assert lines["lists"] == "2, 1 per subject"
    assert lines["list"] == "length  1 (1 lists), 2 (1 lists)"
    assert lines["recalls"] == "0.50 per list on average"
    assert lines["intrusions"] == lines["repeats"] == "1"
    assert lines["items"] == "3, with words"
    assert "subject, list, listLength, intrusions, repeats, list_type" in said
    assert "rec_mark" in said and "dropped" not in lines


def test_counts_as_json(study, tmp_path, capsys):
    """Numbers are numbers; what was not counted is null. --quiet prints nothing."""
    assert main(["check", str(study), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["subjects"] == ["s1", "s2"] and found["list_lengths"] == {"1": 1, "2": 1}
    assert [found[name] for name in ("lists", "intrusions", "repeats", "items")] == [2, 1, 1, 3]
    assert found["recalls_per_list"] == 0.5 and found["words"] is True
    out = tmp_path / "again.h5"
    assert main(["convert", str(study), str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"out": str(out), "lists": 2}
    assert main(["convert", str(study), str(out), "--force", "--quiet"]) == 0
    assert main(["check", str(out), "--quiet"]) == 0 and capsys.readouterr().out == ""


def test_check_names_columns_that_are_dropped(tmp_path, capsys):
    events = "subject,list,trial_type,item_name,item\ns1,1,WORD,oak,4\ns1,1,WORD,elm,5\n"
    (tmp_path / "events.csv").write_text(events)
    assert main(["check", str(tmp_path / "events.csv")]) == 0
    assert "dropped      item\n" in capsys.readouterr().out


def test_convert_keeps_the_data(study, tmp_path, capsys):
    """To .h5 and back to a table; an existing file is not replaced unless asked."""
    h5, table = tmp_path / "study.h5", tmp_path / "again.csv"
    assert main(["convert", str(study), str(h5)]) == 0
    assert main(["convert", str(h5), str(table)]) == 0
    assert "Wrote 2 lists" in capsys.readouterr().out
    first, last = load(study), load(table)
    assert first.keys() == last.keys() == load(h5).keys()
    for name in first:
        np.testing.assert_array_equal(last[name], first[name], err_msg=name)
    assert main(["convert", str(study), str(h5)]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["convert", str(study), str(h5), "--force"]) == 0
    assert main(["convert", str(study), "study.xlsx"]) == 2


def test_bad_data_exit_with_2(tmp_path, capsys):
    (tmp_path / "bad.csv").write_text("subject,list,trial_type,position,item\n1,1,study,2,oak\n")
    assert main(["check", str(tmp_path / "bad.csv")]) == 2
    assert "bad.csv: Subject 1, list 1 (row 0 of the table)" in capsys.readouterr().err
