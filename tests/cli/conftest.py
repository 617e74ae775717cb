"""What the tests of the shell share: calls in this process, of fits by a cheap loss."""

import json
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
from simple_losses import LOSSES, BowlGenerator, GivenBowlGenerator, bowl
from stopped_fits import calls

from jaxcmr.cli import main
from jaxcmr.cli._parsers import make_parser
from jaxcmr.cli._run import plan_run
from jaxcmr.cli._settings import gather_settings
from jaxcmr.datasets import save_data

__all__ = ["bowl", "calls", "shell"]

QUICK = ["--num-steps", "3", "--pop-size", "2", "--best-of", "1"]

CODE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from simple_losses import LOSSES, BowlGenerator
from jaxcmr.cli import main
LOSSES["bowl"] = BowlGenerator
sys.exit(main(["fit", *sys.argv[1:], "--loss", "bowl"]))
"""


class Shell:
    """Commands in this process."""

    in_a_process = (sys.executable, "-c", CODE)
    """The same ``jaxcmr fit``, as a command."""

    def __init__(self, folder):
        self.folder = folder

    def fit(self, *arguments, loss="bowl", quick=True):
        """Return the exit status of a short ``jaxcmr fit ...`` by a cheap loss."""
        return main(["fit", *arguments, "--loss", loss, *(QUICK if quick else [])])

    def plan(self, *arguments):
        """Return the plan of ``jaxcmr fit ...``, without a search."""
        return plan_run(gather_settings(make_parser().parse_args(["fit", *arguments])))

    def read(self, folder):
        """Return result and configuration in a folder."""
        result = json.loads((folder / "result.json").read_text())
        return result, tomllib.loads((folder / "config.toml").read_text())

    def write_config(self, text):
        """Return the path of a configuration file."""
        path = self.folder / "paper.toml"
        path.write_text(text)
        return str(path)


@pytest.fixture
def shell(bowl, tmp_path, monkeypatch):
    """Commands in this process, without figures. (One test draws the figure.)"""
    for drawing in ("_run.save_fit_figure", "_figure.save_fit_figure"):
        monkeypatch.setattr(f"jaxcmr.cli.{drawing}", lambda *arguments: None)
    return Shell(tmp_path)


@pytest.fixture
def data_file(small_data, tmp_path):
    path = tmp_path / "small.h5"
    save_data(small_data, path)
    return str(path)


@pytest.fixture(scope="session")
def study_once(small_data, tmp_path_factory):
    """A folder with data, and the result of two runs for each of subjects 3 and 7 in ``fit``."""
    folder = tmp_path_factory.mktemp("study")
    save_data(small_data, folder / "small.h5")
    options = ["--best-of", "2", "--num-steps", "3", "--pop-size", "2", "--subjects", "3,7"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LOSSES, "bowl", BowlGenerator)
        for drawing in ("_run.save_fit_figure", "_figure.save_fit_figure"):
            patch.setattr(f"jaxcmr.cli.{drawing}", lambda *arguments: None)
        call = ["fit", str(folder / "small.h5"), "--loss", "bowl", *options, "--quiet"]
        assert main([*call, "--out", str(folder / "fit")]) == 0
    return folder


@pytest.fixture
def study(bowl, study_once, tmp_path):
    """A copy of this folder of its own for a test."""
    return shutil.copytree(study_once, tmp_path / "study")


@pytest.fixture
def given(shell, data_file, tmp_path, monkeypatch):
    """The result of a fit without stopping, by a loss that takes the number of recalls as given."""
    monkeypatch.setitem(LOSSES, "bowl", GivenBowlGenerator)
    fixed = ["stop_probability_scale=0", "stop_probability_growth=0"]
    options = [word for each in fixed for word in ("--fixed", each)]
    assert shell.fit(data_file, *options, "--quiet", "--out", str(tmp_path / "given")) == 0
    return tmp_path / "given"
