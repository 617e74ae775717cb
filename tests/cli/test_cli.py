"""The command line does what it says, end to end."""

import json
import signal
import socket
import subprocess
import sys
import tomllib

import numpy as np
import pytest

from jaxcmr.cli import main
from jaxcmr.cli._config import read_config
from jaxcmr.cli._folder import claim_folder
from jaxcmr.datasets import fingerprint, load_data, save_data
from jaxcmr.fitting import DEFAULTS
from jaxcmr.models import MODELS, usual_bounds
from jaxcmr.results import FitResult

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
    assert FitResult(result).verdict() in table
    assert (out / "spc.png").read_bytes().startswith(b"\x89PNG")

    run = result["run"]
    assert {**run["config"], "data": config["data"]} == config
    assert config["data_fingerprint"] == result["data"]["fingerprint"] == fingerprint(small_data)
    assert result["n_trials"] == [9, 4] and not result["interrupted"]
    assert {"jaxcmr", "jax", "numpy", "python"} <= set(run["versions"])
    assert config["seed"] == result["hyperparameters"]["seed"] == 4
    assert set(config["search"]) == set(DEFAULTS) - {"seed", "progress_bar"}
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


def test_results_of_another_run_are_not_overwritten(data_file, tmp_path, monkeypatch, capsys):
    """The same run again replaces its results; another one gets a folder of its own, or, where the
    folder is named, an error."""
    monkeypatch.chdir(tmp_path)
    for seed in ("1", "1", "2"):
        assert fit(data_file, "--subjects", "1", "--seed", seed, *QUICK) == 0
    folders = sorted(path.name for path in (tmp_path / "results").iterdir())
    assert folders == ["small-cmr-sequence_likelihood", "small-cmr-sequence_likelihood-2"]
    assert read(tmp_path / "results" / folders[0])[1]["seed"] == 1
    taken = str(tmp_path / "results" / folders[0])
    assert fit(data_file, "--subjects", "1", "--seed", "3", "--out", taken, *QUICK) == 2
    assert "the results of another run" in capsys.readouterr().err


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
    assert one["fits"] == again["fits"] and one["features"] == again["features"]
    assert one["features"] != other["features"] and one["data"] == other["data"]


def test_a_run_starts_from_another(data_file, tmp_path):
    """One run more than without; its path is part of the configuration."""
    first, second = tmp_path / "first", tmp_path / "second"
    arguments = [data_file, "--subjects", "2", *QUICK]
    assert fit(*arguments, "--out", str(first)) == 0
    start = ["--start-from", str(first / "result.json")]
    assert fit(*arguments, *start, "--out", str(second)) == 0
    (one, _), (two, config) = read(first), read(second)
    assert config["start_from"] == ["../first/result.json"]
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
        (["peers_notas"], "Did you mean 'peers_notask'?"),
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
        ("model = ['cmr']", "'model' must be text; got ['cmr']"),
        ("data = 5", "'data' must be text; got 5"),
        ("seed = true", "'seed' must be a whole number; got True"),
        ("search = 5", "'search' must be text or a table; got 5"),
        ("[search]\nstrategy = ['best1bin']", "strategy"),
        ("[search]\ninit = 3", "'init' must be a name"),
        ("features = 3", "'features' must be text; got 3"),
        ("features = 'paper.toml'", "paper.toml does not hold features"),
        ("start_from = 'paper.toml'", "paper.toml is not the result of a fit: not JSON"),
        ("start_from = [3]", "a list of results or paths"),
        ("[loss_options]\nevent = 'all'", "no option 'event'. Did you mean 'events'?"),
        ("[loss_options]\nevents = 'none'", "events is one of"),
        ("[model]\nname = 'cmr'", "'model' must be text"),
        ("model = ", "is not a TOML file"),
        ("[hyperparameters]\npop = 3", "Unknown hyperparameter 'pop'"),
        ("[hyperparameters]\nbounds = 3", "as the argument bounds="),
        (
            "[fixed]\nlearning_rat = 0.5",
            "cmr has no parameter 'learning_rat'. Did you mean 'learning_rate'?",
        ),
        ("[bounds]\nlearning_rate = [0.0, 2.0]", "defined from 0.0 to 1.0 only"),
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
    path.write_text("[hyperparameters]\nrelative_tolerance = 0.0\npop_size = 40\n")
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
    assert "Interrupted with 0 of 4 subjects done" in stdout and "Fitted in" not in stdout
    assert "Traceback" not in stderr
    result = read(out)[0]
    assert result["fits"]["subject"] == [] and result["interrupted"]
    assert sorted(path.name for path in out.iterdir()) == ["config.toml", "result.json"]


@pytest.mark.parametrize("again", [False, True])
def test_an_interrupted_run_leaves_a_longer_result_alone(data_file, tmp_path, monkeypatch, again):
    """The finished fits stay; those of the interrupted run go into a file beside. A result of as
    many subjects may be replaced."""
    out = tmp_path / "out"
    arguments = [data_file, "--out", str(out), *QUICK]
    assert fit(*arguments) == 0
    finished = (out / "result.json").read_bytes()

    class Stop:
        def update(self, report):
            if report.n_done == 2:
                raise KeyboardInterrupt

        def close(self):
            pass

    monkeypatch.setattr("jaxcmr.fitting._fitter.default_watchers", lambda *_: [Stop()])
    assert fit(*arguments) == 130
    assert (out / "result.json").read_bytes() == finished
    beside = FitResult.load(out / "result.interrupted.json")
    assert len(beside["fitness"]) == 2 and beside["interrupted"]
    if again:
        monkeypatch.undo()
        assert fit(*arguments) == 0
        assert json.loads(finished)["fits"] == read(out)[0]["fits"]


def watch(monkeypatch, error, after):
    """Raises `error` in each run of the shell once so many subjects are done."""

    class Watcher:
        def update(self, report):
            if report.n_done == after:
                raise error

        def close(self):
            pass

    monkeypatch.setattr("jaxcmr.fitting._fitter.default_watchers", lambda *_: [Watcher()])


def test_an_error_on_the_way_keeps_the_subjects_done(data_file, tmp_path, monkeypatch, capsys):
    """They are written, and the message says where."""
    watch(monkeypatch, ValueError("a watcher's error"), 2)
    out = tmp_path / "out"
    assert fit(data_file, "--out", str(out), *QUICK) == 2
    told = capsys.readouterr()
    assert "a watcher's error" in told.err and "result.json" in told.out
    assert len(read(out)[0]["fitness"]) == 2 and read(out)[0]["interrupted"]


def test_interrupted_runs_do_not_replace_each_other(data_file, tmp_path, monkeypatch):
    """Unless the later one has all that the earlier one had."""
    out = tmp_path / "out"
    for after in (3, 2, 1):
        watch(monkeypatch, KeyboardInterrupt, after)
        assert fit(data_file, "--out", str(out), *QUICK) == 130
    results = {path.name: FitResult.load(path) for path in out.glob("result*.json")}
    found = {name: len(result["fitness"]) for name, result in results.items()}
    assert found["result.json"] == 3 and len(found) > 1


def test_a_request_to_terminate_ends_a_run_as_ctrl_c_does(data_file, tmp_path):
    """A scheduler sends it when time is up: what is done is written."""
    out = tmp_path / "out"
    path = tmp_path / "paper.toml"
    path.write_text("[search]\nrelative_tolerance = 0.0\npop_size = 40\n")
    arguments = [data_file, "--num-steps", "1000000", "--best-of", "1", "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "jaxcmr.cli", "fit", *arguments, "--config", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    shown = ""
    while "generation=" not in shown and process.poll() is None:
        shown += process.stderr.read(1)
    process.send_signal(signal.SIGTERM)
    stdout, _ = process.communicate(timeout=120)
    assert process.returncode == 130 and "of 4 subjects done" in stdout
    assert read(out)[0]["interrupted"] and not (out / ".running").exists()


def test_other_data_than_those_of_the_configuration(data_file, small_data, tmp_path):
    """May be named: options win, and the fingerprint is of the data of the file."""
    assert fit(data_file, "--subjects", "1", "--out", str(tmp_path / "one"), *QUICK) == 0
    recalls = small_data["recalls"].copy()
    recalls[0] = 0
    save_data({**small_data, "recalls": recalls}, tmp_path / "other.h5")
    config = ["--config", str(tmp_path / "one" / "config.toml")]
    assert fit(str(tmp_path / "other.h5"), *config, "--out", str(tmp_path / "two")) == 0
    assert read(tmp_path / "two")[1]["data"] == "../other.h5"


def test_ctrl_c_while_the_figure_is_drawn(data_file, tmp_path, monkeypatch, capsys):
    """The fit is done and written: only the figure is missing."""

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxcmr.cli._run.save_spc_figure", interrupted)
    out = tmp_path / "out"
    assert fit(data_file, "--subjects", "1", "--out", str(out), *QUICK) == 130
    error = capsys.readouterr().err
    assert "only the figure is missing" in error and "before the search" not in error
    assert read(out)[0]["fits"]["subject"] == [3]


def test_runs_started_together_have_folders_of_their_own(data_file, tmp_path):
    """As a job array starts them: both results are there, though each default folder is the
    same."""
    command = [sys.executable, "-m", "jaxcmr.cli", "fit", data_file, *QUICK]
    runs = [
        subprocess.Popen([*command, "--subjects", f"{s},"], cwd=tmp_path, stdout=subprocess.DEVNULL)
        for s in (3, 7, 20)
    ]
    assert [run.wait() for run in runs] == [0, 0, 0]
    results = [FitResult.load(path) for path in (tmp_path / "results").glob("*/result.json")]
    assert sorted(s for result in results for s in result["fits"]["subject"]) == [3, 7, 20]
    assert not list((tmp_path / "results").glob("*/.running"))


def test_a_folder_is_claimed_by_one_run(tmp_path):
    """Another is told so, or takes the next; the claim of a process that was killed is taken
    over."""
    config = {"data": "d.h5", "model": "cmr", "loss": "nll"}
    with claim_folder(config, tmp_path / "x"):
        with (
            pytest.raises(ValueError, match="another run is writing into it"),
            claim_folder(config, tmp_path / "x"),
        ):
            pass
        assert (tmp_path / "x" / ".running").exists()
    assert not (tmp_path / "x" / ".running").exists()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "x" / ".running").write_text(f"{socket.gethostname()} {ended.pid}\n")
    with claim_folder(config, tmp_path / "x") as folder:
        assert folder == tmp_path / "x"
    (tmp_path / "x" / ".running").write_text(f"elsewhere {ended.pid}\n")
    with (
        pytest.raises(ValueError, match=r"delete .*\.running"),
        claim_folder(config, tmp_path / "x"),
    ):
        pass


def test_a_folder_of_results_repeats_its_run_from_anywhere(
    small_data, tmp_path, monkeypatch, capsys
):
    """Paths in the configuration hold from where it lies; changed data are noticed."""
    study = tmp_path / "study"
    study.mkdir()
    save_data(small_data, study / "mine.h5")
    monkeypatch.chdir(study)
    assert fit("mine.h5", "--subjects", "2", "--out", "out", *QUICK) == 0
    assert read(study / "out")[1]["data"] == "../mine.h5"
    study.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    config = ["--config", "moved/out/config.toml"]
    assert fit(*config, "--out", "again") == 0
    assert read(tmp_path / "again")[0]["fits"] == read(tmp_path / "moved" / "out")[0]["fits"]
    assert read(tmp_path / "again")[1]["data"] == "../moved/mine.h5"
    assert fit(*config, "--out", "moved/out") == 0  # the same run: it may replace its results

    changed = load_data("moved/mine.h5")
    changed["recalls"][0] = 0
    save_data(changed, "moved/mine.h5")
    assert fit(*config, "--out", "third") == 2
    assert "has changed since the configuration was written" in capsys.readouterr().err
    assert not (tmp_path / "third").exists()


@pytest.mark.parametrize("text", ['query = "subject == 3"', 'where = "subject == 3"'])
def test_configurations_of_earlier_versions_are_read(data_file, tmp_path, text):
    """Settings by their earlier names mean what they meant; an old folder blocks no other run."""
    path = tmp_path / "old.toml"
    path.write_text(f"{text}\nfeatures = ''\n[hyperparameters]\nnum_steps = 3\nseed = 4\n")
    config = read_config(path)
    assert config == {"where": "subject == 3", "seed": 4, "search": {"num_steps": 3}}
    out = tmp_path / "out"
    out.mkdir()
    (out / "config.toml").write_text("a_setting_of_another_version = 3\n")
    assert fit(data_file, "--config", str(path), "--out", str(out), *QUICK) == 0


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


def test_settings_by_option(data_file, tmp_path):
    """Fixed values, bounds, options of the loss, pooled fits."""
    out = tmp_path / "out"
    options = ["--fixed", "learning_rate=0.5", "--bounds", "item_support=1:2", "--pooled"]
    options += ["--loss-option", "events=recalls", "--search", "quick", "--where", "subject != 7"]
    assert fit(data_file, *options, "--no-progress", "--out", str(out), *QUICK) == 0
    result, config = read(out)
    assert result["fixed"] == {"learning_rate": 0.5} and result["free"]["item_support"] == [1, 2]
    assert result["loss_options"] == {"events": "recalls"} and result["pooled"]
    assert result["fits"]["subject"] == [-1] and result["n_trials"] == [16]
    assert config["progress"] is False and config["search"]["scale"] == "alternate"


def test_a_table_of_events_is_fitted(tmp_path):
    """A CSV in psifr's form, with a byte-order mark."""
    rows = ["subject,list,trial_type,position,item"]
    for number in (1, 2, 3):
        rows += [f"1,{number},study,{p},{item}" for p, item in enumerate("abc", 1)]
        rows += [f"1,{number},recall,1,c", f"1,{number},recall,2,a"]
    (tmp_path / "study.csv").write_text("\n".join(rows), encoding="utf-8-sig")
    out = tmp_path / "out"
    assert fit(str(tmp_path / "study.csv"), "--out", str(out), *QUICK) == 0
    assert read(out)[0]["n_events"] == [9]


def test_models_are_listed_with_their_parameters(capsys):
    """Every named model, and each of its parameters; one of them alone if it is named."""
    assert main(["models"]) == 0
    everything = capsys.readouterr().out
    assert all(f"{name}: " in everything for name in MODELS)
    assert main(["models", "cru"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows[1:]] == list(usual_bounds("cru"))
