"""``jaxcmr report``: the file, the numbers beside it, and mistakes that are told."""

import json

import pytest
from report_pages import Page, make_result

import jaxcmr as jc
from jaxcmr.cli import main
from jaxcmr.comparison import bayesian_model_selection


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


@pytest.fixture
def two(folder, tmp_path):
    """This result and one of another model, of the same trials."""
    other = tmp_path / "other"
    other.mkdir()
    counts = {"n_events": [100, 120, 90], "counted": "scored recalls and stops"}
    make_result(loss_label="NLL", **counts).save(folder / "result.json")
    changes = {"model": "other", "fitness": [9.1, 9.3, 6.5], "loss_label": "NLL"}
    make_result(**changes, **counts).save(other / "result.json")
    return [str(folder), str(other)]


def test_the_comparison_is_by_the_named_reference(two, folder, capsys):
    """A reference that is not one of the results is told."""
    call = ["report", *two, "--no-data", "--quiet"]
    assert main([*call, "--reference", "other", "--criterion", "bic"]) == 0
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert page.tables["all-comparison-table-2"][0][2] == "mean BIC per subject"
    assert page.columns("all-comparison-table-2")["model"] == ("study",)
    assert main([*call, "--reference", "othr"]) == 2
    assert "Did you mean 'other'" in capsys.readouterr().err


def test_the_frequencies_of_models_are_in_the_page_and_in_the_numbers(two, folder):
    """By the prior and the method that the options name; the numbers are those of Python."""
    call = ["report", *two, "--no-data", "--quiet", "--bms", "vba"]
    evidence = jc.compare(two).log_evidence()
    for options, method in (([], "variational"), (["--exact"], "exact")):
        assert main([*call, *options]) == 0
        text = (folder / "report.html").read_text(encoding="utf-8")
        assert "How frequent each model is" in text
        record = json.loads((folder / "report-numbers.json").read_text())["comparison"]
        expected = bayesian_model_selection(evidence, "vba", method)
        assert expected.verdict() in Page(text).texts
        assert record["selection"]["verdict"] == expected.verdict()
        assert record["selection"]["omnibus_risk"] == expected.bor


def test_the_numbers_hold_the_comparison_of_the_page(two, folder):
    """By AICc without an option; None of results that cannot be compared, or of one."""
    call = ["report", "--no-data", "--quiet"]
    assert main([*call, *two]) == 0
    record = json.loads((folder / "report-numbers.json").read_text())["comparison"]
    found = jc.compare(two)
    assert record["criterion"] == "aicc" and record["verdict"] == found.verdict()
    assert record["verdict"] in Page((folder / "report.html").read_text("utf-8")).texts
    assert [row["difference"] for row in record["models"]] == found.table["difference"].tolist()
    assert [row["p_t"] for row in record["tests"]] == found.tests["p_t"].tolist()
    assert "selection" not in record
    unlike = folder.parent / "unlike.json"
    make_result(loss_label="MSE").save(unlike)
    for others in (two[:1], [two[0], str(unlike)]):
        assert main([*call, *others]) == 0
        assert "comparison" not in json.loads((folder / "report-numbers.json").read_text())


def test_options_of_a_comparison_without_what_they_need_are_refused(two, folder, capsys):
    """Nothing is written then. A prior that is a folder was meant as a result."""
    several = "compare several results: name two folders or more"
    for call, message in (
        ([*two, "--exact"], "--exact is of --bms"),
        ([*two, "--exact", "--criterion", "bic"], "--exact is of --bms"),
        ([two[0], "--bms"], several),
        ([two[0], "--criterion", "bic"], several),
        ([two[0], "--reference", "study"], several),
    ):
        assert main(["report", "--no-data", *call]) == 2
        assert message in capsys.readouterr().err
    for command in ("report", "compare"):
        with pytest.raises(SystemExit):
            main([command, "--bms", *two])
        told = capsys.readouterr().err
        assert f"the prior is spm or vba; got '{two[0]}'" in told
        assert "put --bms behind the results, or write --bms=spm" in told
    assert not (folder / "report.html").exists()


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
