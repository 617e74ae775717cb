"""What the shell says: models with their parameters, and mistakes in a sentence."""

import json

import pytest

from jaxcmr.cli import main
from jaxcmr.models import CATALOGUE


def test_models_are_listed_with_their_parameters(capsys):
    """Every named model, and one line per parameter with symbol and bounds, in 100 columns."""
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert all(any(line.startswith(f"{name}: ") for line in lines) for name in CATALOGUE)
    shown = [line.split() for line in lines if line.startswith("    ")]
    declared = [each for model in CATALOGUE.values() for each in model.parameters]
    assert [words[:2] for words in shown] == [[each.name, each.symbol] for each in declared]


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_model_is_shown_with_what_its_parameters_mean(capsys, name):
    """As declared: name, symbol and bounds in a line, and the meaning below, in 100 columns."""
    assert main(["models", name]) == 0
    about, *lines = capsys.readouterr().out.splitlines()
    assert about.startswith(f"{name}: ") and max(map(len, lines)) <= 100
    text = " ".join(" ".join(lines).split())
    for each in CATALOGUE[name].parameters:
        bounds = f"{each.low:.2g} to {each.high:.4g}"
        assert f"{each.name} {each.symbol} {bounds} {each.meaning}" in text


def test_a_model_as_json(capsys):
    """The same numbers; --quiet prints nothing, and the exit status still tells."""
    assert main(["models", "cmr", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    names = [each["name"] for each in shown["cmr"]["parameters"]]
    assert names == [each.name for each in CATALOGUE["cmr"].parameters]
    assert main(["models", "cmr", "--quiet"]) == 0 and capsys.readouterr().out == ""


def test_an_unknown_model_is_told_with_the_nearest(capsys):
    assert main(["models", "cmrr"]) == 2
    assert "Did you mean 'cmr'?" in capsys.readouterr().err


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
        (["DATA", "--num-steps", "-1"], "'num_steps' must be a whole number >= 0"),
        (["DATA", "--fixed", "learning_rate"], "--fixed takes NAME=VALUE; got 'learning_rate'"),
    ],
)
def test_mistakes_are_told_in_a_sentence(data_file, capsys, arguments, message, tmp_path):
    """On stderr, with exit status 2 and without a traceback."""
    arguments = [data_file if word == "DATA" else word for word in arguments]
    assert main(["fit", *arguments, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err.splitlines()[-1]  # a line on progress may come first
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
    arguments = ["fit", data_file, "--config", str(path), "--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
