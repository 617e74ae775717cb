"""``jaxcmr diagnose`` writes checks beside results, and says in its exit status if they fail."""

import csv
import json

import pytest

from jaxcmr.cli import main
from jaxcmr.diagnostics import CHECKS
from jaxcmr.results import FitResult


@pytest.fixture
def fitted(shell, data_file, tmp_path, capsys):
    """A folder with two runs of each of two subjects, by a loss whose runs agree."""
    out = tmp_path / "out"
    options = ["--best-of", "2", "--num-steps", "3", "--pop-size", "2", "--subjects", "2"]
    assert shell.fit(data_file, "--out", str(out), *options, quick=False) == 0
    return out


def records(folder):
    return json.loads((folder / "diagnostics.json").read_text())


def test_a_fit_ends_with_a_line_on_trust(fitted, capsys):
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last.startswith("Trust: 2 of 2 fits confirmed")


def test_strict_fits_fail_if_nothing_confirms_them(shell, data_file, tmp_path, capsys):
    """The fit is written and shown all the same. A single run is not confirmed by another."""
    out = tmp_path / "out"
    assert shell.fit(data_file, "--out", str(out), "--strict") == 1
    assert "Trust: 0 of 4 fits confirmed" in capsys.readouterr().out
    assert (out / "result.json").exists()


def test_checks_are_written_beside_the_result(fitted, capsys):
    """The table has one row per subject and check, and the JSON holds the same numbers."""
    assert main(["diagnose", str(fitted), "--copies", "5", "--strict"]) == 0
    rows = list(csv.DictReader((fitted / "diagnostics.csv").read_text().splitlines()))
    assert len(rows) == 2 * len(CHECKS)
    found = records(fitted)
    assert found["trustworthy"] and len(found["checks"]) == len(rows)
    for row, record in zip(rows, found["checks"], strict=True):
        assert row["comment"] == record["comment"]
        assert float(row["statistic"] or "nan") == pytest.approx(
            float("nan" if record["statistic"] is None else record["statistic"]), nan_ok=True
        ) or row["statistic"] in ("inf", "-inf")
    shown = capsys.readouterr().out
    assert "Trust: 2 of 2 fits confirmed" in shown and "diagnostics.csv" in shown


def test_strict_diagnoses_fail_with_the_search(fitted, capsys):
    """A planted result whose runs differ: exit status 1, and the subject is named first."""
    path = fitted / "result.json"
    result = FitResult.load(path)
    result["runs"][1][0]["loss"] += 1.0
    result["runs"][1][1]["loss"] += 2.0
    result["fitness"][1] += 1.0
    result.save(path, overwrite=True)
    assert main(["diagnose", str(fitted), "--quick"]) == 0
    assert main(["diagnose", str(fitted), "--quick", "--strict"]) == 1
    assert f"not subject {result['fits']['subject'][1]}" in capsys.readouterr().out
    assert not records(fitted)["trustworthy"]


def test_json_and_quiet(fitted, capsys):
    capsys.readouterr()
    assert main(["diagnose", str(fitted), "--quick", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == records(fitted)
    assert main(["diagnose", str(fitted), "--quick", "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_results_in_one_folder_keep_their_own_checks(fitted, tmp_path, capsys):
    FitResult.load(fitted).save(tmp_path / "mine.json")
    assert main(["diagnose", str(tmp_path / "mine.json"), "--quick"]) == 0
    assert (tmp_path / "mine-diagnostics.csv").exists()


def test_data_that_are_not_known_are_an_error_that_says_what_to_do(fitted, tmp_path, capsys):
    FitResult.load(fitted).save(tmp_path / "mine.json")
    assert main(["diagnose", str(tmp_path / "mine.json")]) == 2
    assert "--data" in capsys.readouterr().err
    assert main(["diagnose", str(tmp_path / "absent")]) == 2


def test_help_documents_the_exit_status(capsys):
    for command in ("fit", "diagnose"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        shown = capsys.readouterr().out
        assert "exit status" in shown and "--strict" in shown
