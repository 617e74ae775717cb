"""``jaxcmr fit`` does what it says, and leaves what it takes to repeat it."""

import json
import subprocess
import sys

import numpy as np
import pytest

from jaxcmr.cli._config import read_config
from jaxcmr.datasets import fingerprint, load_data, save_data
from jaxcmr.fitting import DEFAULTS
from jaxcmr.results import FitResult


def test_a_fit_leaves_result_configuration_and_figure(
    shell, monkeypatch, data_file, small_data, tmp_path, capsys
):
    """The table shows every subject and parameter; the JSON holds what it takes to repeat the
    fit. This one is of CMR by its likelihood."""
    monkeypatch.undo()  # draw the figure
    out = tmp_path / "out"
    options = ["--config", shell.write_config("[search]\npolish = false"), "--seed", "4"]
    arguments = [data_file, "--out", str(out), "--subjects", "2", *options]
    assert shell.fit(*arguments, loss="sequence_likelihood") == 0
    shown = capsys.readouterr().out
    result, config = shell.read(out)
    assert result["fits"]["subject"] == [3, 7]
    for each in ("subject", "NLL", "converged", *result["free"], f"{result['fitness'][1]:.2f}"):
        assert each in shown
    assert FitResult(result).verdict() in shown
    assert (out / "fit.png").read_bytes().startswith(b"\x89PNG")

    run = result["run"]
    assert {**run["config"], "data": config["data"]} == config
    assert config["data_fingerprint"] == result["data"]["fingerprint"] == fingerprint(small_data)
    assert result["n_trials"] == [9, 4] and not result["interrupted"]
    assert {"jaxcmr", "jax", "numpy", "python"} <= set(run["versions"])
    assert config["seed"] == result["hyperparameters"]["seed"] == 4
    assert set(config["search"]) == set(DEFAULTS) - {"seed", "progress_bar"}
    assert config["model"] == "cmr" and config["loss"] == "sequence_likelihood"


def test_json_and_quiet(shell, data_file, tmp_path, capsys):
    """--json prints the numbers of the result alone, --quiet nothing at all."""
    call = [data_file, "--subjects", "2", "--out", str(tmp_path / "out")]
    assert shell.fit(*call, "--json", "--strict", "--no-progress") == 1  # a single run each
    told = capsys.readouterr()
    shown, (result, _) = json.loads(told.out), shell.read(tmp_path / "out")
    assert shown["fits"] == result["fits"] and shown["fitness"] == result["fitness"]
    assert shown["trustworthy"] is False and shown["trust"].startswith("Trust: 0 of 2 fits")
    assert told.err.startswith("Fitting cmr by bowl to the first 2 subjects (3, 7), 13 trials of ")
    assert shell.fit(*call, "--quiet") == 0
    told = capsys.readouterr()
    assert told.out == "" and told.err == ""


def test_the_module_is_the_command():
    """``python -m jaxcmr`` is ``jaxcmr``, and gives its exit status."""
    for module in ("jaxcmr", "jaxcmr.cli"):
        command = [sys.executable, "-m", module]
        shown = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert shown.stdout.startswith("jaxcmr ")
        assert subprocess.run([*command, "fit"], capture_output=True).returncode == 2


def test_the_written_configuration_repeats_the_fit(shell, data_file, tmp_path):
    """To the last digit."""
    first, second = tmp_path / "first", tmp_path / "second"
    assert shell.fit(data_file, "--out", str(first), "--subjects", "3,20", "--seed", "7") == 0
    arguments = ["--config", str(first / "config.toml"), "--out", str(second)]
    assert shell.fit(*arguments, quick=False) == 0
    (one, config), (two, config_again) = shell.read(first), shell.read(second)
    assert config == config_again
    assert one["fits"] == two["fits"] and one["fitness"] == two["fitness"]


def test_layers_of_configuration(shell, data_file):
    """Options override the file, and the file the defaults; a fixed parameter is not fitted;
    settings by their earlier names count."""
    path = shell.write_config(
        f"""
        data = "{data_file}"
        query = "data['subject'] != 7"
        subjects = 1
        [fixed]
        learning_rate = 0.5
        primacy_scale = 1.0
        [hyperparameters]
        num_steps = 4
        best_of = 2
        """
    )
    plan = shell.plan("--config", path, "--subjects", "all", "--best-of", "1")
    assert plan.n_subjects == 3 and plan.trial_mask.sum() == 16
    assert plan.problem.fixed == {"learning_rate": 0.5, "primacy_scale": 1.0}
    assert "learning_rate" not in plan.problem.bounds and len(plan.problem.bounds) == 9
    search = plan.settings["search"]
    assert search["best_of"] == 1 and search["num_steps"] == 4 and search["pop_size"] == 8


def test_settings_by_option(shell, data_file, tmp_path):
    """Fixed values, bounds, options of the loss, pooled fits."""
    options = ["--fixed", "learning_rate=0.5", "--bounds", "item_support=1:2", "--pooled"]
    options += ["--search", "quick", "--where", "subject != 7", "--no-progress"]
    plan = shell.plan(data_file, *options, "--loss-option", "events=recalls")
    assert plan.settings["loss_options"] == {"events": "recalls"}
    assert plan.settings["search"]["best_of"] == 4
    out = tmp_path / "out"
    assert shell.fit(data_file, *options, "--fitter", "scipy", "--out", str(out)) == 0
    result, config = shell.read(out)
    assert result["fixed"] == {"learning_rate": 0.5} and result["free"]["item_support"] == [1, 2]
    assert result["pooled"] and result["fits"]["subject"] == [-1] and result["n_trials"] == [16]
    assert config["progress"] is False and config["pooled"] is True


def test_fitter_and_precision(shell, data_file, tmp_path, capsys):
    """Estimates in double precision are no numbers of single precision; the table names the
    loss."""
    out = tmp_path / "out"
    options = ["--fitter", "scipy", "--precision", "float64", "--subjects", "1"]
    options += ["--config", shell.write_config("[search]\npolish = false")]
    assert shell.fit(data_file, *options, "--out", str(out)) == 0
    fits = shell.read(out)[0]["fits"]
    assert any(value != float(np.float32(value)) for [value] in fits.values())
    assert "bowl" in capsys.readouterr().out


@pytest.mark.full
@pytest.mark.parametrize(("loss", "fitter"), [("spc_mse", "jax"), ("sequence_likelihood", "scipy")])
def test_other_losses_and_fitters(shell, data_file, tmp_path, capsys, loss, fitter):
    arguments = ["--fitter", fitter, "--subjects", "1", "--out", str(tmp_path / "out")]
    assert shell.fit(data_file, *arguments, loss=loss) == 0
    assert ("MSE" if loss == "spc_mse" else "NLL") in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".npy", ".csv"])
def test_features_and_options_of_the_loss(shell, small_data, tmp_path, suffix):
    """Vectors of the words from a file, which the record's fingerprint tells apart; a field named
    by the user. The configuration that is written has both."""
    data = {**small_data, "pres_itemids": small_data["pres_itemnos"]}
    data["kind"] = data["pres_itemids"] % 2
    vectors = np.random.default_rng(0).random((6, 4)).astype("float32")
    paths = [str(tmp_path / name) for name in ("data.h5", f"vectors{suffix}", f"others{suffix}")]
    save_data(data, paths[0])
    for path, features in zip(paths[1:], (vectors, vectors + 1), strict=True):
        if suffix == ".npy":
            np.save(path, features)
        else:
            np.savetxt(path, features, delimiter=",")
    options = shell.write_config('[loss_options]\ncategory_field = "kind"\nn_simulations = 2\n')
    arguments = [paths[0], "--model", "semantic_cmr", "--features"]
    plan = shell.plan(*arguments, paths[1], "--loss", "category_spc_mse", "--config", options)
    assert plan.settings["loss_options"] == {"category_field": "kind", "n_simulations": 2}

    folders = [tmp_path / name for name in ("one", "other", "again")]
    scipy = ["--fitter", "scipy", "--subjects", "1"]
    for folder, features in zip(folders, paths[1:], strict=False):
        assert shell.fit(*arguments, features, *scipy, "--out", str(folder)) == 0
    repeat = ["--config", str(folders[0] / "config.toml"), "--out", str(folders[2])]
    assert shell.fit(*repeat, quick=False) == 0
    one, other, again = (shell.read(folder)[0] for folder in folders)
    assert one["fits"] == again["fits"] and one["features"] == again["features"]
    assert one["features"] != other["features"] and one["data"] == other["data"]


def test_a_fit_starts_from_another(shell, data_file, tmp_path):
    """One search more than without; its path is part of the configuration."""
    first, second = tmp_path / "first", tmp_path / "second"
    arguments = [data_file, "--subjects", "2"]
    assert shell.fit(*arguments, "--out", str(first)) == 0
    start = ["--start-from", str(first / "result.json")]
    assert shell.fit(*arguments, *start, "--out", str(second)) == 0
    (one, _), (two, config) = shell.read(first), shell.read(second)
    assert config["start_from"] == ["../first/result.json"]
    assert two["run"]["start_from"][0].startswith("sha256:") and not one["run"]["start_from"]
    assert all(b <= a + 1e-3 for a, b in zip(one["fitness"], two["fitness"], strict=True))
    assert all(b > a for a, b in zip(one["nfev"], two["nfev"], strict=True))


def test_a_table_of_events_is_read(shell, tmp_path):
    """A CSV in psifr's format, with a byte-order mark."""
    rows = ["subject,list,trial_type,position,item"]
    for number in (1, 2, 3):
        rows += [f"1,{number},study,{p},{item}" for p, item in enumerate("abc", 1)]
        rows += [f"1,{number},recall,1,c", f"1,{number},recall,2,a"]
    (tmp_path / "study.csv").write_text("\n".join(rows), encoding="utf-8-sig")
    plan = shell.plan(str(tmp_path / "study.csv"))
    assert plan.problem.count(plan.trial_mask) == (3, 9)


def test_options_override_the_data_of_a_configuration(shell, data_file, small_data, tmp_path):
    """Other data than those of the file may be named; the fingerprint is of those of the file."""
    assert shell.fit(data_file, "--subjects", "1", "--out", str(tmp_path / "one")) == 0
    recalls = small_data["recalls"].copy()
    recalls[0] = 0
    save_data({**small_data, "recalls": recalls}, tmp_path / "other.h5")
    config = ["--config", str(tmp_path / "one" / "config.toml")]
    other = str(tmp_path / "other.h5")
    assert shell.fit(other, *config, "--out", str(tmp_path / "two"), quick=False) == 0
    assert shell.read(tmp_path / "two")[1]["data"] == "../other.h5"


def test_a_folder_of_results_repeats_its_fit_from_anywhere(
    shell, small_data, tmp_path, monkeypatch, capsys
):
    """Paths in the configuration are relative to its folder; changed data are noticed."""
    study = tmp_path / "study"
    study.mkdir()
    save_data(small_data, study / "mine.h5")
    monkeypatch.chdir(study)
    assert shell.fit("mine.h5", "--subjects", "2", "--out", "out") == 0
    assert shell.read(study / "out")[1]["data"] == "../mine.h5"
    study.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    config = ["--config", "moved/out/config.toml"]
    assert shell.fit(*config, "--out", "again", quick=False) == 0
    again, moved = shell.read(tmp_path / "again"), shell.read(tmp_path / "moved" / "out")
    assert again[0]["fits"] == moved[0]["fits"] and again[1]["data"] == "../moved/mine.h5"
    assert shell.fit(*config, "--out", "moved/out") == 0  # the same fit may replace its results

    changed = load_data("moved/mine.h5")
    changed["recalls"][0] = 0
    save_data(changed, "moved/mine.h5")
    assert shell.fit(*config, "--out", "third") == 2
    assert "has changed since the configuration was written" in capsys.readouterr().err
    assert not (tmp_path / "third").exists()


@pytest.mark.parametrize("name", ["query", "where"])
def test_configurations_of_earlier_versions_are_read(shell, name):
    """Settings by their earlier names mean what they meant."""
    text = f"{name} = 'subject == 3'\nfeatures = ''\n[hyperparameters]\nnum_steps = 3\nseed = 4\n"
    config = read_config(shell.folder / shell.write_config(text))
    assert config == {"where": "subject == 3", "seed": 4, "search": {"num_steps": 3}}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_configurations_as_windows_saves_them(tmp_path, encoding):
    """With a byte-order mark they are read; in UTF-16 the message names the file and the cure."""
    path = tmp_path / "c.toml"
    path.write_text('data = "peers_notask"\n', encoding=encoding)
    if encoding == "utf-8-sig":
        assert read_config(path) == {"data": "peers_notask"}
    else:
        with pytest.raises(ValueError, match=r"c\.toml.*save it as UTF-8"):
            read_config(path)
