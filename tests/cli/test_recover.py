"""``jaxcmr recover``: tables, numbers and a figure beside the result; the same runs only once."""

import json

import pandas as pd
import pytest

from jaxcmr.cli import main


def test_files_are_written_beside_the_result(study, capsys):
    folder = study / "fit"
    call = ["recover", str(folder), "--lists", "2"]
    assert main([*call, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert json.loads((folder / "recovery.json").read_text()) == record
    table = pd.read_csv(folder / "recovery.csv")
    n_parameters = len(record["summary"])
    assert len(table) == 2 * n_parameters and record["lists"] == [2]
    assert (folder / "recovery.png").read_bytes().startswith(b"\x89PNG")
    runs = {path: path.read_bytes() for path in (folder / "recovery-runs" / "runs").iterdir()}
    assert runs and main(call) == 0
    shown = capsys.readouterr().out
    assert record["verdict"] in shown and "Wrote recovery.csv, recovery.json, recovery.png" in shown
    again = {path: path.read_bytes() for path in (folder / "recovery-runs" / "runs").iterdir()}
    assert all(again[path] == kept for path, kept in runs.items())
    assert sum(b'"run"' in text for text in again.values()) == len(runs)


def test_several_numbers_of_lists_are_a_power_curve(study, capsys):
    assert main(["recover", str(study / "fit"), "--lists", "1,2", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    table = pd.read_csv(study / "fit" / "recovery.csv")
    assert table["n_lists"].unique().tolist() == [1, 2]
    assert json.loads((study / "fit" / "recovery.json").read_text())["lists"] == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--lists", "7,x"], "expected numbers of lists"), (["--parameters", "gauss"], "invalid")],
)
def test_mistakes_in_options_are_told(study, capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        main(["recover", str(study / "fit"), *arguments])
    assert ended.value.code == 2 and message in capsys.readouterr().err


def test_a_mistake_in_a_number_is_told(study, capsys):
    assert main(["recover", str(study / "fit"), "--copies", "0"]) == 2
    assert "n_copies must be a whole number, at least 1" in capsys.readouterr().err
