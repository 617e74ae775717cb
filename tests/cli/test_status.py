"""`jaxcmr status` and `jaxcmr verify`."""

import json
import time

import pytest

from jaxcmr.cli import main
from jaxcmr.fitting import _status
from jaxcmr.fitting._journal import Journal


@pytest.fixture
def ended(study):
    """The folder of a fit that has ended: two runs for each of subjects 3 and 7."""
    return study / "fit"


def test_a_fit_that_has_ended(ended, capsys):
    assert main(["status", str(ended)]) == 0
    text = capsys.readouterr().out
    assert "2 of 2 subjects and 4 of 4 runs are done (100%)" in text and "4 runs made on" in text


def test_a_fit_on_its_way(ended, capsys, monkeypatch):
    """What is missing, at which rate, and when it will be done: three runs in the last 30 s leave
    one, which takes ten more seconds. A later call wants one more run of each subject."""
    [journal] = (ended / "runs").glob("*.jsonl")
    reader = Journal(ended / "runs", {})
    [(_, header, entries)] = reader.read()
    journal.unlink()
    now = time.time()
    monkeypatch.setattr(_status.time, "time", lambda: now)
    writer = Journal(ended / "runs", {**header, "began": now - 60})
    for age, entry in zip((30.0, 20.0, 10.0), entries, strict=False):
        writer.add({**entry, "at": now - age})
    writer.close()
    assert main(["status", str(ended), "--json"]) == 1
    status = json.loads(capsys.readouterr().out)
    assert (status["n_runs_done"], status["n_fits_done"], len(status["begun"])) == (3, 1, 1)
    assert status["seconds_left"] == pytest.approx(10) and status["last"] == pytest.approx(10)
    later = Journal(ended / "runs", {**header, "began": now, "n_runs": 6})
    later.add({**entries[3], "at": now})
    later.close()
    assert main(["status", str(ended)]) == 1
    text = capsys.readouterr().out
    assert "0 of 2 subjects and 4 of 6 runs are done (67%)" in text and "done in about" in text


def test_a_fit_that_has_stopped(ended, capsys, monkeypatch):
    """Its last run is an hour old; a damaged line is told."""
    [journal] = (ended / "runs").glob("*.jsonl")
    journal.write_bytes(journal.read_bytes()[:-9])
    [(_, _, entries)] = Journal(ended / "runs", {}).read()
    monkeypatch.setattr(_status.time, "time", lambda: entries[-1]["at"] + 3600)
    assert main(["status", str(ended)]) == 1
    text = capsys.readouterr().out
    assert (
        "finished 1:00:00 ago" in text
        and "same command goes on" in text
        and "1 line damaged" in text
    )
    (ended / "result.json").unlink()
    assert main(["verify", str(ended)]) == 2
    assert "keeps the runs of a fit" in capsys.readouterr().err


def test_starts_from_an_earlier_fit_that_has_changed(shell, data_file, tmp_path, capsys):
    """Runs from its former estimates are not those that are wanted now."""
    first, out = tmp_path / "first", tmp_path / "out"
    start = ["--out", str(out), "--start-from", str(first / "result.json")]
    assert shell.fit(data_file, "--out", str(first)) == 0
    assert shell.fit(data_file, *start) == 0
    result = json.loads((first / "result.json").read_text())
    for values in (v for name, v in result["fits"].items() if name in result["free"]):
        values[:] = [value + 1e-3 for value in values]
    (first / "result.json").write_text(json.dumps(result))
    old = set((out / "runs").iterdir())
    assert shell.fit(data_file, *start) == 0
    assert main(["status", str(out)]) == 0
    [new] = {*(out / "runs").iterdir()} - old
    new.write_bytes(new.read_bytes().splitlines(keepends=True)[0])  # killed before its first run
    capsys.readouterr()
    assert main(["status", str(out)]) == 1
    assert "0 of 4 subjects and 4 of 8 runs" in capsys.readouterr().out


def test_a_fit_that_has_not_begun(ended, capsys):
    """It is not done, so that nothing that needs it goes on."""
    for journal in (ended / "runs").iterdir():
        journal.unlink()
    assert main(["status", str(ended)]) == 1
    assert "no fit has written runs yet" in capsys.readouterr().out


def test_a_folder_that_came_through_windows(ended, capsys):
    """Lines with its ends count as they are."""
    [journal] = (ended / "runs").iterdir()
    journal.write_bytes(journal.read_bytes().replace(b"\n", b"\r\n"))
    assert main(["status", str(ended)]) == 0
    assert "4 of 4 runs are done" in capsys.readouterr().out


def test_a_folder_of_something_else(tmp_path, capsys):
    assert main(["status", str(tmp_path)]) == 2
    assert "no run.json" in capsys.readouterr().err


def test_losses_are_computed_anew(ended, capsys):
    """Those of all runs; one that was changed in the file is found."""
    assert main(["verify", str(ended)]) == 0
    assert "the losses of 4 runs computed anew" in capsys.readouterr().out
    path = ended / "result.json"
    result = json.loads(path.read_text())
    result["runs"][1][0]["loss"] *= 1.01
    path.write_text(json.dumps(result))
    assert main(["verify", str(ended), "--json"]) == 1
    told = capsys.readouterr()
    record = json.loads(told.out)
    assert record["subject"] == 7 and not record["verified"]
    assert record["largest_difference"] == pytest.approx(0.01 / 1.01)
    assert "subject 7" in told.err
