"""``jaxcmr plot`` writes figures, and beside each the numbers in it."""

import json

import pandas as pd
import pytest

import jaxcmr as jc
from jaxcmr.cli import main
from jaxcmr.front import CUT_OFF

matplotlib = pytest.importorskip("matplotlib")


def numbers(folder, name, table):
    """Return a table of the numbers beside a figure; JSON has no NaN."""
    text = (folder / f"{name}-numbers.json").read_text()
    record = json.loads(text, parse_constant=lambda constant: pytest.fail(constant))
    return pd.DataFrame(record["tables"][table])


def test_figures_have_their_numbers_beside_them(study, capsys):
    """Estimates and losses are the result's; the curves are those of the data and of
    `jaxcmr.simulate` with the seed."""
    folder = study / "fit"
    assert main(["plot", str(folder), "--copies", "2", "--seed", "5"]) == 0
    assert capsys.readouterr().out.split() == [
        word for name in ("parameters", "restarts", "fit")
        for word in ("Wrote", str(folder / f"{name}.png"))
    ]  # fmt: skip
    for name in ("parameters", "restarts", "fit"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    result = jc.FitResult.load(folder)
    estimates = numbers(folder, "parameters", "estimates").set_index(["parameter", "subject"])
    for name in result["free"]:
        assert estimates.loc[name, "estimate"].tolist() == result["fits"][name]
    runs = numbers(folder, "restarts", "runs")
    assert runs.groupby("subject")["loss"].min().tolist() == result["fitness"]

    data = jc.load(study / "small.h5")
    sources = {"data": data, "cmr": jc.simulate(result, data, n_copies=2, seed=5)}
    means = numbers(folder, "fit", "means").set_index(["measure", "source"])
    for source, trials in sources.items():
        table = jc.analyses.by_subject(trials, jc.serial_position_curve)
        table = table[table["subject"].isin([3, 7])]
        expected = table.groupby("input")["recall"].mean()
        assert means.loc[("serial position", source), "mean"].tolist() == pytest.approx(
            expected.tolist()
        )


def test_lists_are_cut_where_the_loss_takes_their_length_as_given(given, small_data):
    """The model, which never stops, has the distribution of the data, in a sweep too."""
    call = ["plot", str(given), "--figure", "recalls_per_list", "--figure", "sweep"]
    sweep = ["--vary", "learning_rate=0.2,0.8", "--measure", "serial_position_curve"]
    assert main([*call, *sweep, "--copies", "2", "--quiet"]) == 0
    means = numbers(given, "recalls_per_list", "means").pivot(
        index="bin", columns="source", values="mean"
    )
    assert means["cmr"].tolist() == pytest.approx(means["data"].tolist())
    assert means.loc[6, "data"] < 1
    data = numbers(given, "sweep_learning_rate", "data")["mean"].sum()
    swept = numbers(given, "sweep_learning_rate", "model").groupby("learning_rate")["mean"].sum()
    assert swept.tolist() == pytest.approx([data, data])


@pytest.mark.parametrize(("fixture", "is_cut"), [("given", True), ("study", False)])
def test_a_figure_says_whether_lists_were_cut_off(fixture, is_cut, request):
    """If the loss takes their length as given, each figure of data and model says so."""
    folder = request.getfixturevalue(fixture)
    folder = folder if is_cut else folder / "fit"
    figures = ["--figure", "recalls_per_list", "--figure", "sweep", "--vary", "learning_rate=0.5"]
    options = [*figures, "--copies", "1", "--format", "svg", "--quiet"]
    with matplotlib.rc_context({"svg.fonttype": "none"}):  # text stays text
        assert main(["plot", str(folder), *options]) == 0
    for name in ("recalls_per_list", "sweep_learning_rate"):
        assert (CUT_OFF in (folder / f"{name}.svg").read_text("utf-8")) == is_cut


def test_the_same_call_writes_the_same_file(study):
    """In each format; a vector figure holds no date."""
    call = ["plot", str(study / "fit"), "--figure", "restarts", "--quiet"]
    for kind, begins in (("svg", b"<?xml"), ("pdf", b"%PDF")):
        written = []
        for folder in ("a", "b"):
            assert main([*call, "--format", kind, "--out", str(study / folder)]) == 0
            written.append((study / folder / f"restarts.{kind}").read_bytes())
        assert written[0] == written[1] and written[0].startswith(begins)


def test_figures_of_a_subject(study, capsys):
    """The runs of one fit need a subject; --json prints the numbers of each figure."""
    folder = study / "fit"
    call = ["plot", str(folder), "--figure", "restart_estimates"]
    assert main(call) == 2
    assert "--subject, one of [3, 7]" in capsys.readouterr().err
    assert main([*call, "--subject", "4"]) == 2
    assert "Subject 4 was not fitted; the fits are of [3, 7]" in capsys.readouterr().err
    assert main([*call, "--figure", "recalls_per_list", "--subject", "7", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert set(first["tables"]["runs"]["subject"]) == {7}
    means = pd.DataFrame(second["tables"]["means"]).query("source == 'data'")
    recalled = (jc.load(study / "small.h5")["recalls"][9:13] > 0).sum(1)  # of subject 7
    assert (means["bin"] * means["mean"]).sum() == pytest.approx(recalled.mean())


def test_a_sweep_is_a_figure_for_each_parameter(study):
    folder = study / "fit"
    call = ["plot", str(folder), "--figure", "sweep", "--copies", "2", "--measure", "first_recall"]
    sweeps = ["--vary", "stop_probability_scale=0,1", "--vary", "learning_rate=0.1,0.9"]
    assert main([*call, *sweeps]) == 0
    assert (folder / "sweep_learning_rate.png").exists()
    table = numbers(folder, "sweep_stop_probability_scale", "model")
    totals = table.groupby("stop_probability_scale")["mean"].sum()
    assert totals[0.0] == pytest.approx(1.0) and not totals.get(1.0)
    assert main(call) == main(["plot", str(folder), *sweeps]) == 2


def test_all_subjects_in_a_grid(study):
    assert main(["plot", str(study / "fit"), "--figure", "fit_by_subject", "--copies", "1"]) == 0
    curves = numbers(study / "fit", "fit_by_subject", "curves")
    assert set(curves["subject"]) == {3, 7} and set(curves["source"]) == {"data", "cmr"}


def test_one_folder_is_of_one_result(study, capsys):
    paths = [str(study / "fit")] * 2
    assert main(["plot", *paths, "--out", str(study)]) == 2
    assert "one result" in capsys.readouterr().err
