"""The command line does what it says, end to end."""

import json
import signal
import subprocess
import sys
import tomllib

import numpy as np
import pytest

from jaxcmr.cli import main
from jaxcmr.cli._config import complete
from jaxcmr.datasets import fingerprint, save_data, select_trials
from jaxcmr.fitting import DEFAULTS
from jaxcmr.models import MODELS, usual_bounds

QUICK = ["--num-steps", "3", "--pop-size", "2", "--best-of", "1"]


@pytest.fixture
def data_file(small_data, tmp_path):
    path = tmp_path / "small.h5"
    save_data(small_data, path)
    return str(path)


def fit(*arguments):
    """Exit status of ``jaxcmr fit ...``."""
    return main(["fit", *arguments])


def read(folder):
    result = json.loads((folder / "result.json").read_text())
    return result, tomllib.loads((folder / "config.toml").read_text())


def test_a_run_leaves_result_configuration_and_figure(data_file, small_data, tmp_path, capsys):
    """The table shows every subject and parameter; the JSON holds what repeating the run takes."""
    out = tmp_path / "out"
    assert fit(data_file, "--out", str(out), "--subjects", "2", "--seed", "4", *QUICK) == 0
    table = capsys.readouterr().out
    result, config = read(out)
    assert result["fits"]["subject"] == [3, 7]
    for shown in ("subject", "NLL", "converged", *result["free"], f"{result['fitness'][1]:.2f}"):
        assert shown in table
    assert (out / "spc.png").read_bytes().startswith(b"\x89PNG")

    run = result["run"]
    assert run["config"] == config
    used = select_trials(small_data, np.isin(small_data["subject"][:, 0], [3, 7]))
    assert run["data"] == {"trials": 13, "fingerprint": fingerprint(used)}
    assert {"jaxcmr", "jax", "numpy", "python"} <= set(run["versions"])
    assert config["hyperparameters"]["seed"] == result["hyperparameters"]["seed"] == 4
    assert set(config["hyperparameters"]) == set(DEFAULTS)
    assert config["model"] == "cmr" and config["loss"] == "sequence_likelihood"


def test_the_written_configuration_repeats_the_run(data_file, tmp_path):
    """To the last digit."""
    first, second = tmp_path / "first", tmp_path / "second"
    assert fit(data_file, "--out", str(first), "--subjects", "3,20", "--seed", "7", *QUICK) == 0
    assert fit("--config", str(first / "config.toml"), "--out", str(second)) == 0
    (one, config), (two, config_again) = read(first), read(second)
    assert config == config_again
    assert one["fits"] == two["fits"] and one["fitness"] == two["fitness"]


def test_layers_of_configuration(data_file, tmp_path):
    """The command line wins over the file, the file over the defaults; a fixed parameter is not
    fitted; bounds of one's own replace the usual ones."""
    path = tmp_path / "paper.toml"
    path.write_text(
        f"""
        data = "{data_file}"
        query = "data['subject'] != 7"
        subjects = 1
        [fixed]
        learning_rate = 0.5
        primacy_scale = 1.0
        [hyperparameters]
        num_steps = 4
        pop_size = 2
        best_of = 2
        """
    )
    out = tmp_path / "out"
    assert fit("--config", str(path), "--subjects", "all", "--best-of", "1", "--out", str(out)) == 0
    result, _ = read(out)
    assert result["fits"]["subject"] == [3, 8, 20]
    assert result["fits"]["learning_rate"] == [0.5] * 3
    assert "learning_rate" not in result["free"] and len(result["free"]) == 9
    assert result["hyperparameters"]["best_of"] == 1
    assert result["hyperparameters"]["num_steps"] == 4


@pytest.mark.parametrize(
    ("settings", "best_of"),
    [
        ({}, 12),
        ({"loss": "spc_mse"}, 3),
        ({"fitter": "scipy"}, 3),
        ({"hyperparameters": {"polish": False}}, 3),
        ({"hyperparameters": {"best_of": 2}}, 2),
    ],
)
def test_short_runs_only_where_a_polish_follows(settings, best_of):
    """A run of fifty generations has not converged: it needs the polish to end it."""
    search = complete({"data": "peers_notask", **settings})["hyperparameters"]
    assert search["best_of"] == best_of
    assert (search["num_steps"] == 50) == (best_of != 3)


def test_results_of_another_run_are_not_overwritten(data_file, tmp_path, monkeypatch, capsys):
    """The same run again replaces its results; another one gets a folder of its own, or, where the
    folder is named, an error."""
    monkeypatch.chdir(tmp_path)
    for seed in ("1", "1", "2"):
        assert fit(data_file, "--subjects", "1", "--seed", seed, *QUICK) == 0
    folders = sorted(path.name for path in (tmp_path / "results").iterdir())
    assert folders == ["small-cmr-sequence_likelihood", "small-cmr-sequence_likelihood-2"]
    assert read(tmp_path / "results" / folders[0])[1]["hyperparameters"]["seed"] == 1
    taken = str(tmp_path / "results" / folders[0])
    assert fit(data_file, "--subjects", "1", "--seed", "3", "--out", taken, *QUICK) == 2
    assert "results of another run" in capsys.readouterr().err


@pytest.mark.parametrize(("loss", "fitter"), [("spc_mse", "jax"), ("sequence_likelihood", "scipy")])
def test_other_losses_and_fitters(data_file, tmp_path, capsys, loss, fitter):
    arguments = [
        "--loss",
        loss,
        "--fitter",
        fitter,
        "--subjects",
        "1",
        "--out",
        str(tmp_path / "o"),
    ]
    assert fit(data_file, *arguments, *QUICK) == 0
    assert ("MSE" if loss == "spc_mse" else "NLL") in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".npy", ".csv"])
def test_features_and_options_of_the_loss(small_data, tmp_path, suffix):
    """Vectors of the words from a file, which the record's fingerprint tells apart; a field named
    by the user. The configuration that is written repeats the run."""
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
    toml = tmp_path / "paper.toml"
    toml.write_text('[loss_options]\ncategory_field = "kind"\nn_simulations = 2\n')
    arguments = [paths[0], "--model", "semantic_cmr", "--loss", "category_spc_mse", *QUICK]
    arguments += ["--config", str(toml), "--subjects", "1"]
    folders = [tmp_path / name for name in ("one", "other", "again")]
    for folder, features in zip(folders, paths[1:], strict=False):
        assert fit(*arguments, "--features", features, "--out", str(folder)) == 0
    assert fit("--config", str(folders[0] / "config.toml"), "--out", str(folders[2])) == 0
    (one, config), (other, _), (again, _) = map(read, folders)
    assert config["loss_options"] == {"category_field": "kind", "n_simulations": 2}
    assert one["fits"] == again["fits"] and one["run"]["features"] == again["run"]["features"]
    assert one["run"]["features"] != other["run"]["features"]
    assert one["run"]["data"] == other["run"]["data"]


def test_a_run_starts_from_another(data_file, tmp_path):
    """One run more than without; its path is part of the configuration."""
    first, second = tmp_path / "first", tmp_path / "second"
    arguments = [data_file, "--subjects", "2", *QUICK]
    assert fit(*arguments, "--out", str(first)) == 0
    start = ["--start-from", str(first / "result.json")]
    assert fit(*arguments, *start, "--out", str(second)) == 0
    (one, _), (two, config) = read(first), read(second)
    assert config["start_from"] == [str(first / "result.json")]
    assert two["run"]["start_from"][0].startswith("sha256:") and not one["run"]["start_from"]
    assert all(b <= a + 1e-3 for a, b in zip(one["fitness"], two["fitness"], strict=True))
    assert all(b > a for a, b in zip(one["nfev"], two["nfev"], strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Name the data"),
        (["DATA", "--loss", "summary_mse"], "takes a function of yours"),
        (["DATA", "--model", "semantic_cmr"], "features"),
        (["DATA", "--features", "none.npy"], "none.npy"),
        (["DATA", "--start-from", "none.json"], "none.json"),
        (["peers_notas"], "no file and no bundled data set. Did you mean 'peers_notask'?"),
        (["nowhere.h5"], "nowhere.h5"),
        (["DATA", "--subjects", "3,4"], "Subject 4 has no trials; there are [3, 7, 8, 20]"),
        (["DATA", "--subjects", "0"], "subjects must be"),
        (["DATA", "--query", "import os"], "import os"),
        (["DATA", "--query", "subject > 99"], "selects no trials"),
        (["DATA", "--config", "none.toml"], "no configuration file none.toml"),
        (["DATA", "--num-steps", "0"], "'num_steps' must be a whole number >= 1"),
    ],
)
def test_mistakes_are_told_in_a_sentence(data_file, capsys, arguments, message, tmp_path):
    """On stderr, with exit status 2 and without a traceback."""
    arguments = [data_file if word == "DATA" else word for word in arguments]
    assert fit(*arguments, "--out", str(tmp_path / "out")) == 2
    error = capsys.readouterr().err
    assert error.startswith("jaxcmr: error: ") and message in error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modl = 'cmr'", "unknown setting 'modl'. Did you mean 'model'?"),
        ("model = 'cmrr'", "Unknown model 'cmrr'. Did you mean 'cmr'?"),
        ("fixed = 3", "'fixed' must be a table"),
        ("features = 3", "features is the path of a file; got 3"),
        ("features = 'paper.toml'", "paper.toml holds no features"),
        ("start_from = 'paper.toml'", "paper.toml is no result of a run: not JSON"),
        ("start_from = [3]", "start_from is a list of paths"),
        ("[loss_options]\nevent = 'all'", "no option 'event'. Did you mean 'events'?"),
        ("[loss_options]\nevents = 'none'", "events is one of"),
        ("[model]\nname = 'cmr'", "'model' must be a value"),
        ("model = ", "is not a TOML file"),
        ("[hyperparameters]\npop = 3", "Unknown hyperparameter 'pop'"),
        ("[hyperparameters]\nbounds = 3", "table [bounds]"),
        (
            "[fixed]\nlearning_rat = 0.5",
            "cmr has no parameter 'learning_rat'. Did you mean 'learning_rate'?",
        ),
        ("[bounds]\nlearning_rate = [0.0, 1.0]", "needs parameter"),
    ],
)
def test_mistakes_in_a_configuration_file(data_file, tmp_path, capsys, monkeypatch, text, message):
    path = tmp_path / "paper.toml"
    path.write_text(text)
    monkeypatch.chdir(tmp_path)
    assert fit(data_file, "--config", str(path), "--out", str(tmp_path / "out")) == 2
    assert message in capsys.readouterr().err


def test_double_precision(data_file, tmp_path):
    """In a process of its own, since precision is a setting of the process."""
    out = tmp_path / "out"
    arguments = ["fit", data_file, "--precision", "float64", "--subjects", "1", "--out", str(out)]
    command = [sys.executable, "-m", "jaxcmr.cli", *arguments, *QUICK]
    subprocess.run(command, check=True, capture_output=True)
    fits = read(out)[0]["fits"]
    assert any(value != float(np.float32(value)) for [value] in fits.values())


def test_ctrl_c_writes_what_is_done(data_file, tmp_path):
    """An interrupted run ends by itself with status 130, says how much was done, and leaves a
    readable result."""
    out = tmp_path / "out"
    arguments = ["fit", data_file, "--num-steps", "1000000", "--best-of", "1", "--out", str(out)]
    path = tmp_path / "paper.toml"
    path.write_text("[hyperparameters]\nrelative_tolerance = 0.0\npop_size = 2\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "jaxcmr.cli", *arguments, "--config", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    shown = ""
    while "generation=" not in shown and process.poll() is None:  # the search has begun
        shown += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert "Interrupted" in stdout and "of 4 subjects done" in stdout
    assert "Traceback" not in stderr
    assert read(out)[0]["fits"]["subject"] == []


def test_models_are_listed_with_their_parameters(capsys):
    """Every named model, and each of its parameters; one of them alone if it is named."""
    assert main(["models"]) == 0
    everything = capsys.readouterr().out
    assert all(f"{name}: " in everything for name in MODELS)
    assert main(["models", "cru"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows[1:]] == list(usual_bounds("cru"))
