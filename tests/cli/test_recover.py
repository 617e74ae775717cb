"""``jaxcmr recover``: tables, numbers and figures beside the result; the same runs only once."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from report_pages import Page
from simple_losses import LOSSES, BowlGenerator

import jaxcmr as jc
from jaxcmr.cli import main
from jaxcmr.cli._parsers import make_parser
from jaxcmr.cli._problem import find_problem
from jaxcmr.cli._recovery_files import read_recoveries
from jaxcmr.models import usual_bounds
from jaxcmr.recovery import PowerCurve, Recovery, recover_models
from jaxcmr.uncertainty import STATUSES

FREE = ("learning_rate", "choice_sensitivity")
SHORT = ["--best-of", "1", "--num-steps", "3", "--pop-size", "2", "--quiet"]


class CountedBowl(BowlGenerator):
    """A bowl that counts as a likelihood of five events per trial."""

    label = "NLL"

    def count_events(self, trial_indices):
        return np.where(np.asarray(trial_indices) >= 0, 5, 0)


@pytest.fixture(scope="module")
def fits_once(study_once, tmp_path_factory):
    """Folders of fits of CMR with one free parameter, in ``one``, and with two, in ``two``."""
    folder = shutil.copytree(study_once, tmp_path_factory.mktemp("fits") / "study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LOSSES, "counted", CountedBowl)
        for drawing in ("_run.save_fit_figure", "_figure.save_fit_figure"):
            patch.setattr(f"jaxcmr.cli.{drawing}", lambda *arguments: None)
        for name, n_free in (("one", 1), ("two", 2)):
            fixed = [each for each in usual_bounds("cmr") if each not in FREE[:n_free]]
            call = ["fit", str(folder / "small.h5"), "--loss", "counted", *SHORT]
            call += [word for each in fixed for word in ("--fixed", f"{each}=0.5")]
            assert main([*call, "--out", str(folder / name)]) == 0
    return folder


@pytest.fixture
def fits(fits_once, tmp_path, monkeypatch):
    """A copy of these folders of its own for a test."""
    monkeypatch.setitem(LOSSES, "counted", CountedBowl)
    return shutil.copytree(fits_once, tmp_path / "fits")


def models_of(folder, *arguments):
    """Return the exit status of a recovery of both models, from the first."""
    return main(["recover", str(folder / "one"), "--models", str(folder / "two"), *arguments])


def test_models_are_recovered_as_in_python(fits, capsys):
    """With names from folders; the matrices, the verdict, and files beside the first result."""
    assert models_of(fits, "-n", "3", "--criterion", "aic", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert json.loads((fits / "one" / "recovery-models.json").read_text()) == record
    options = make_parser().parse_args(["recover", "one"])
    results = {name: jc.FitResult.load(fits / name / "result.json") for name in ("one", "two")}
    problems = {name: find_problem(fits / name, each, options) for name, each in results.items()}
    found = recover_models(problems, results, 3, "aic")
    pairs = {(row["simulated"], row["fitted"]): row["count"] for row in record["pairs"]}
    assert pairs == {(i, j): found.counts.loc[i, j] for i in ("one", "two") for j in ("one", "two")}
    assert record["verdict"] == found.verdict() and record["settings"]["n"] == 3
    table = pd.read_csv(fits / "one" / "recovery-models.csv")
    assert table["loss"].tolist() == found.criteria["loss"].tolist()
    png = (fits / "one" / "recovery-models.png").read_bytes()
    assert png.startswith(b"\x89PNG") and not (fits / "two" / "recovery-models.csv").exists()


def test_finished_runs_of_models_are_not_made_again(fits, capsys):
    assert models_of(fits, "-n", "2", "--quiet") == 0 and capsys.readouterr().out == ""
    kept = {
        path: path.read_bytes() for path in (fits / "one" / "recovery-models-runs").rglob("*.jsonl")
    }
    assert kept and models_of(fits, "-n", "2") == 0
    shown = capsys.readouterr().out
    assert "p(fits best, column | simulated, row)" in shown and "Data of one are best" in shown
    assert "recovery-models.csv, recovery-models.json, recovery-models.png" in shown
    again = (fits / "one" / "recovery-models-runs").rglob("*.jsonl")
    made = [path for path in again if path not in kept and b'"run"' in path.read_bytes()]
    assert not made and all(path.read_bytes() == text for path, text in kept.items())


def test_both_recoveries_lie_beside_a_result(fits):
    """Neither replaces the other, and both are read as they were."""
    assert models_of(fits, "-n", "2", "--criterion", "bic", "--quiet") == 0
    assert main(["recover", str(fits / "one"), "--quiet"]) == 0
    result = jc.FitResult.load(fits / "one" / "result.json")
    parameters, models = read_recoveries(fits / "one" / "result.json", "one", {"one": result})
    assert isinstance(parameters, Recovery) and models.criterion == "bic"
    for found, name in ((parameters, "recovery"), (models, "recovery-models")):
        record = json.loads((fits / "one" / f"{name}.json").read_text())
        assert found.verdict() == record["verdict"] and found.seed == 0
    assert main(["report", *(str(fits / name) for name in ("one", "two")), "--no-data"]) == 0
    page = Page((fits / "one" / "report.html").read_text(encoding="utf-8"))
    assert page.columns("all-recovery-table-1")["fitted"] == ("one", "two", "one", "two")
    assert "r1-recovery-table-1" in page.tables and "r2-recovery-table-1" not in page.tables


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--copies", "2", "--models", "two"], "--copies does not go with --models"),
        (["-n", "3"], "-n is of the recovery of models"),
        (["two", "--models", "one"], "give one RESULT"),
        (["--models", "one"], "of other fits than RESULT"),
        (["--models", "two", "--lists", "1,2"], "--lists is one number"),
    ],
)
def test_options_that_do_not_belong_together_are_told(
    fits, capsys, monkeypatch, arguments, message
):
    monkeypatch.chdir(fits)
    assert main(["recover", "one", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(fits.glob("*/recovery*"))


def test_a_recovery_is_read_as_it_was_written(study):
    """Every number of it, with the subjects of the result; of a power curve too."""
    file = study / "fit" / "result.json"
    result = jc.FitResult.load(file)
    assert main(["recover", str(study / "fit"), "--lists", "1,2", "--quiet"]) == 0
    [curve] = read_recoveries(file, "fit", {"fit": result})
    assert isinstance(curve, PowerCurve) and list(curve.recoveries) == [1, 2]
    record = json.loads((study / "fit" / "recovery.json").read_text())
    assert curve.verdict() == record["verdict"]
    shown = curve.table.astype(object).where(curve.table.notna(), None).to_dict("records")
    assert shown == record["summary"]
    one = curve.recoveries[1]
    assert one.table["subject"].tolist()[0] == result["fits"]["subject"][0]
    assert one.losses["missed"].sum() == record["missed"][0]
    truths = one.table[one.table["parameter"] == "learning_rate"]["truth"]
    assert truths.tolist() == result["fits"]["learning_rate"]


def test_a_recovery_with_other_settings_is_not_replaced(study, capsys):
    """Catches a recovery of some lists that silently takes the place of that of all lists."""
    folder, stems = study / "fit", ("recovery.csv", "recovery.json", "recovery.png")
    call = ["recover", str(folder), "--quiet"]
    assert main(call) == 0 and main(call) == 0
    kept = {name: (folder / name).read_bytes() for name in stems}
    for other, told in (
        (["--lists", "1"], "lists not given (now: 1)"),
        (["--seed", "7", "--copies", "2"], "copies 1 (now: 2), seed 0 (now: 7)"),
    ):
        assert main([*call, *other]) == 2
        told_now = capsys.readouterr().err
        assert told in told_now and "--force" in told_now
    assert kept == {name: (folder / name).read_bytes() for name in stems}
    assert len(list((folder / "recovery-runs" / "runs").iterdir())) == 1  # nothing was fitted
    assert main([*call, "--lists", "1", "--force"]) == 0
    assert json.loads((folder / "recovery.json").read_text())["lists"] == [1]
    (folder / "recovery.json").write_text("{}")
    assert main([*call, "--lists", "1"]) == 2
    assert "settings that it does not tell" in capsys.readouterr().err


def test_a_recovery_of_models_with_other_settings_is_not_replaced(fits, capsys):
    assert models_of(fits, "-n", "2", "--quiet") == 0
    assert models_of(fits, "-n", "3", "--quiet") == 2
    assert "recovery-models.json is of a recovery with n 2 (now: 3)" in capsys.readouterr().err
    other = shutil.copytree(fits / "two", fits / "elsewhere" / "two")  # a fit of the same name
    assert main(["recover", str(fits / "one"), "--models", str(other), "-n", "2", "--quiet"]) == 2
    assert "elsewhere/two" in capsys.readouterr().err
    assert models_of(fits, "-n", "3", "--quiet", "--force") == 0


def test_a_recovery_with_intervals_is_read(study, monkeypatch):
    """Its columns of statuses are words. Catches a report without the recovery that took longest,
    if the reader takes them for numbers."""
    monkeypatch.setattr(BowlGenerator, "label", "NLL")
    assert main(["recover", str(study / "fit"), "--lists", "2", "--intervals", "--quiet"]) == 0
    file = study / "fit" / "result.json"
    [found] = read_recoveries(file, "fit", {"fit": jc.FitResult.load(file)})
    record = json.loads((study / "fit" / "recovery.json").read_text())
    coverage = [row["coverage"] for row in record["summary"]]
    assert found.summary()["coverage"].tolist() == pytest.approx(coverage, nan_ok=True)
    assert set(found.table["lower_status"]) <= set(STATUSES)


def test_a_recovery_of_models_of_another_fit_is_left_out(fits):
    """Not only that of the result beside it: each model of the report counts."""
    assert models_of(fits, "-n", "2", "--quiet") == 0
    results = {name: jc.FitResult.load(fits / name / "result.json") for name in ("one", "two")}
    [found] = read_recoveries(fits / "one" / "result.json", "one", results)
    assert set(found.counts) == {"one", "two"}
    results["two"]["fits"]["learning_rate"][0] *= 1.01
    with pytest.warns(UserWarning, match="another fit of 'two'"):
        assert read_recoveries(fits / "one" / "result.json", "one", results) == []


@pytest.mark.parametrize("change", ["fits", "table", "text"])
def test_a_recovery_of_other_fits_is_left_out_with_a_warning(study, change):
    """After the fit was made anew, or where the files are of two recoveries, or damaged."""
    file = study / "fit" / "result.json"
    assert main(["recover", str(study / "fit"), "--lists", "1", "--quiet"]) == 0
    result = jc.FitResult.load(file)
    if change == "fits":
        result["fits"]["learning_rate"][0] += 1e-6
    elif change == "table":
        table = (study / "fit" / "recovery.csv").read_text()
        (study / "fit" / "recovery.csv").write_text(table.replace("1", "2"))
    else:
        (study / "fit" / "recovery.json").write_text('{"fingerprints": []')
    with pytest.warns(UserWarning, match="is left out of the report"):
        assert read_recoveries(file, "fit", {"fit": result}) == []


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


def test_a_recovery_goes_on_after_the_fit_has_changed(fits):
    """As when more runs were added to it: its estimates, which are the truths, are others then."""
    call = ["recover", str(fits / "one"), "--quiet"]
    assert main(call) == 0
    before = pd.read_csv(fits / "one" / "recovery.csv")["truth"]
    path = fits / "one" / "result.json"
    result = json.loads(path.read_text())
    [rates] = [values for name, values in result["fits"].items() if name in result["free"]]
    rates[:] = [0.9 * rate for rate in rates]
    path.write_text(json.dumps(result))
    assert main(call) == 0
    after = pd.read_csv(fits / "one" / "recovery.csv")["truth"]
    np.testing.assert_allclose(after, 0.9 * before)
