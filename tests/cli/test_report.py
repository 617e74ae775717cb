"""``jaxcmr report``: the file, the numbers beside it, and mistakes that are told."""

import json

import pytest
from report_pages import Page, make_result

from jaxcmr.cli import main


@pytest.fixture
def folder(tmp_path):
    """A result without settings beside it."""
    folder = tmp_path / "study"
    folder.mkdir()
    make_result().save(folder / "result.json")
    return folder


def test_a_report_lies_in_the_folder_with_its_numbers(folder, capsys):
    assert main(["report", str(folder), "--no-data", "--title", "My study"]) == 0
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<title>My study</title>" in page and "<h2>study</h2>" in page
    record = json.loads((folder / "report-numbers.json").read_text())
    (numbers,) = record["results"]
    assert numbers["fitness"] == [7.1, 8.3, 6.0] and numbers["agree"] == [[2, 2], [1, 2], [2, 2]]
    assert numbers["fits"] == make_result()["fits"]
    assert capsys.readouterr().out.startswith(f"The report is in {folder / 'report.html'}")


def test_the_numbers_do_not_replace_a_result(folder):
    """A report named after its result has its numbers beside it, under another name."""
    file = folder / "result.json"
    assert main(["report", str(file), "--no-data", "--out", str(folder / "result.html")]) == 0
    assert json.loads(file.read_text()) == make_result()
    assert main(["report", str(file), "--no-data", "--out", str(file)]) == 2
    assert json.loads(file.read_text()) == make_result()


def test_json_and_quiet(folder, tmp_path, capsys):
    """--json prints what is in the file, --quiet nothing; --out names the file."""
    out = tmp_path / "other.html"
    call = ["report", str(folder), str(folder / "result.json"), "--no-data", "--out", str(out)]
    assert main([*call, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "other-numbers.json").read_text())
    assert [each["name"] for each in printed["results"]] == ["study", "study (2)"]
    assert main([*call, "--quiet"]) == 0 and capsys.readouterr().out == ""


def test_the_comparison_is_by_the_named_reference(folder, tmp_path, capsys):
    """A reference that is not one of the results is told, and so is one of a single result."""
    other = tmp_path / "other"
    other.mkdir()
    changes = {"model": "other", "fitness": [9.1, 9.3, 6.5], "n_events": [100, 120, 90]}
    make_result(n_events=[100, 120, 90]).save(folder / "result.json")
    make_result(**changes).save(other / "result.json")
    call = ["report", str(folder), str(other), "--no-data", "--quiet"]
    assert main([*call, "--reference", "other", "--criterion", "bic"]) == 0
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert page.tables["all-comparison-table-2"][0][2] == "mean BIC per subject"
    assert page.columns("all-comparison-table-2")["model"] == ("study",)
    assert main([*call, "--reference", "othr"]) == 2
    assert "Did you mean 'other'" in capsys.readouterr().err
    assert main(["report", str(folder), "--no-data", "--reference", "study"]) == 2


def test_data_that_are_not_named_are_an_error(folder, capsys):
    assert main(["report", str(folder)]) == 2
    assert "--data DATA" in capsys.readouterr().err
    assert not (folder / "report.html").exists()


def test_a_folder_without_a_result_is_an_error(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "result.json" in capsys.readouterr().err


def test_a_recovery_beside_the_result_is_taken_up(study):
    """That of other fits is not, with a warning."""
    folder = study / "fit"
    assert main(["recover", str(folder), "--lists", "1", "--quiet"]) == 0
    assert main(["report", str(folder), "--no-data", "--quiet"]) == 0
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    record = json.loads((folder / "recovery.json").read_text())
    shown = page.columns("r1-recovery-table-1")
    for name in ("bias", "rmse"):
        assert [float(each) for each in shown[name]] == [row[name] for row in record["summary"]]
    assert record["verdict"] in page.texts
    result = json.loads((folder / "result.json").read_text())
    result["fits"]["learning_rate"][0] += 1e-3
    (folder / "result.json").write_text(json.dumps(result))
    with pytest.warns(UserWarning, match="it is of other fits than the result"):
        assert main(["report", str(folder), "--no-data", "--quiet"]) == 0
    assert "r1-recovery-table-1" not in Page((folder / "report.html").read_text("utf-8")).tables


@pytest.mark.full
def test_the_settings_of_a_fit_name_its_data(shell, data_file, tmp_path):
    """After ``jaxcmr fit``, its folder alone is enough; other data are not taken."""
    call = ["fit", data_file, "--subjects", "3,7", "--out", str(tmp_path / "a")]
    call += ["--num-steps", "2", "--pop-size", "2", "--best-of", "2", "--no-progress"]
    call += ["--fixed", "learning_rate=0.5"]
    assert main(call) == 0
    assert main(["report", str(tmp_path / "a"), "--copies", "2", "--no-curvature"]) == 0
    page = (tmp_path / "a" / "report.html").read_text(encoding="utf-8")
    assert "Data and model: three curves" in page and "small.h5" in page
    assert "jaxcmr (of the fit)" in page
    assert main(["report", str(tmp_path / "a"), "--data", "peers_notask"]) == 2
