"""``jaxcmr compare``: the numbers of the comparison, as text, JSON, Markdown and figures."""

import json

import pytest
from report_pages import make_result

import jaxcmr as jc
from jaxcmr.cli import main
from jaxcmr.comparison import bayesian_model_selection


@pytest.fixture
def folders(tmp_path):
    """Two results of the same three subjects; the second is worse by 1, 2 and -0.5 nats."""
    counts = dict(n_events=[100, 120, 90], counted="scored recalls and stops")
    one = make_result(loss_label="NLL", **counts)
    worse = [loss + gap for loss, gap in zip(one["fitness"], (1.0, 2.0, -0.5), strict=True)]
    two = {**one, "model": "other", "fitness": worse}
    for name, result in (("one", one), ("two", two)):
        (tmp_path / name).mkdir()
        jc.FitResult(result).save(tmp_path / name / "result.json")
    return [str(tmp_path / "one"), str(tmp_path / "two")]


def test_the_table_and_the_verdict_are_printed(folders, capsys):
    assert main(["compare", *folders]) == 0
    shown = capsys.readouterr().out
    found = jc.compare(folders)
    assert found.verdict() in shown and "n counts scored recalls and stops" in shown
    assert all(warning in shown for warning in found.warnings)
    [row] = [line.split() for line in shown.splitlines() if line.split()[:1] == ["two"]]
    assert row[6] == "5.00"  # twice 1 + 2 - 0.5 nats, with the same number of parameters


def test_json_holds_every_number(folders, capsys):
    assert main(["compare", *folders, "--criterion", "bic", "--bms", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    found = jc.compare(folders, "bic")
    assert [each["bic"] for each in record["models"]] == found.table["bic"].tolist()
    assert [each["difference"] for each in record["subjects"]][3:] == [2.0, 4.0, -1.0]
    selection = bayesian_model_selection(found.log_evidence())
    assert record["selection"]["omnibus_risk"] == selection.bor
    assert record["selection"]["prior"] == "spm"


def test_files_are_written_where_asked(folders, tmp_path, capsys):
    """A Markdown table, the numbers, and a figure of each kind; the same twice."""
    out = tmp_path / "out"
    call = ["compare", *folders, "--bms", "vba", "--exact", "--out", str(out)]
    assert main([*call, "--quiet"]) == 0 and capsys.readouterr().out == ""
    names = {"comparison.md", "comparison-numbers.json", "comparison.png", "weights.png"}
    assert {file.name for file in out.iterdir()} == names | {
        "differences-two.png",
        "frequencies.png",
    }
    text = (out / "comparison.md").read_text(encoding="utf-8")
    assert "| model | k |" in text and "prior 'vba', exact" in text
    first = (out / "comparison.png").read_bytes()
    assert first.startswith(b"\x89PNG") and main([*call, "--quiet"]) == 0
    assert (out / "comparison.png").read_bytes() == first


def test_mistakes_are_told(folders, capsys):
    for call, message in (
        ([folders[0]], "Two or more results"),
        ([*folders, "--exact"], "--bms"),
        ([*folders, "--reference", "three"], "Unknown reference 'three'"),
    ):
        assert main(["compare", *call]) == 2
        assert message in capsys.readouterr().err
