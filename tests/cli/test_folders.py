"""Results are never lost: a folder belongs to one fit, and an interrupted fit goes on in it."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from stopped_fits import without_times

from jaxcmr.cli._folder import open_folder

ENDLESS = "[search]\nnum_steps = 1000000\nrelative_tolerance = 0.0\ndiff_w = 1.9"
"""A search whose steps are too wide to converge."""


TWO_RUNS = ["--num-steps", "3", "--pop-size", "2", "--best-of", "2"]


@pytest.fixture
def watch(monkeypatch):
    """Calls a function in each fit of the shell once so many subjects are done."""

    def watch(function, after):
        class Watcher:
            def update(self, report):
                if report.n_done == after:
                    function()

            def close(self):
                pass

        monkeypatch.setattr("jaxcmr.fitting._fitter.default_watchers", lambda *_: [Watcher()])

    return watch


def interrupt():
    raise KeyboardInterrupt


def fail():
    raise ValueError("a watcher's error")


def test_results_of_another_fit_are_not_overwritten(
    shell, data_file, tmp_path, monkeypatch, capsys
):
    """The same fit again replaces its results; another one gets a folder of its own, or, where the
    folder is named, an error."""
    monkeypatch.chdir(tmp_path)
    arguments = [data_file, "--subjects", "1", "--fitter", "scipy", "--seed"]
    for seed in ("1", "1", "2"):
        assert shell.fit(*arguments, seed) == 0
    folders = sorted(path.name for path in (tmp_path / "results").iterdir())
    assert folders == ["small-cmr-bowl", "small-cmr-bowl-2"]
    assert shell.read(tmp_path / "results" / folders[0])[1]["seed"] == 1
    taken = str(tmp_path / "results" / folders[0])
    assert shell.fit(*arguments, "3", "--out", taken) == 2
    assert "the results of another fit (seed is 1 there, 3 here)" in capsys.readouterr().err


def test_a_fresh_start_takes_a_new_folder(shell, data_file, tmp_path):
    """The old one stays as it is."""
    out = tmp_path / "out"
    for options in ([], ["--fresh"], ["--fresh", "--seed", "2"]):
        assert shell.fit(data_file, "--out", str(out), *options) == 0
    seeds = [shell.read(tmp_path / name)[1]["seed"] for name in ("out", "out-2", "out-3")]
    assert seeds == [0, 0, 2]


def test_a_fresh_start_goes_on_without_the_option(shell, data_file, tmp_path, watch, calls, capsys):
    """With it, a repeated command would begin anew each time, and each part in a folder apart."""
    out, taken = tmp_path / "out-2", tmp_path / "out"
    taken.mkdir()
    watch(interrupt, 2)
    assert shell.fit(data_file, "--out", str(taken), "--fresh") == 130
    assert f"same command with --out {out}, without --fresh, goes on" in capsys.readouterr().err
    watch(lambda: None, 0)
    assert shell.fit(data_file, "--out", str(out)) == 0
    assert len(calls) == len(set(calls)) == 4
    assert shell.fit(data_file, "--out", str(out), "--fresh", "--part", "1/2") == 2
    assert "--fresh does not go with --part" in capsys.readouterr().err


def test_a_refused_fit_leaves_the_configuration_alone(shell, data_file, tmp_path, capsys):
    """It is that of the result beside it."""
    out = ["--out", str(tmp_path / "out")]
    assert shell.fit(data_file, "--pooled", "--subjects", "3,", *out) == 0
    result, config = shell.read(tmp_path / "out")
    assert shell.fit(data_file, "--pooled", "--subjects", "3,7", *out) == 2
    assert "runs of a pooled fit, but of other trials" in capsys.readouterr().err
    assert shell.read(tmp_path / "out") == (result, config)


def test_a_configuration_of_another_version_blocks_no_fit(shell, data_file, tmp_path):
    """Its unknown settings are those of another fit: the fit takes the next folder."""
    out = tmp_path / "results" / "small-cmr-bowl"
    out.mkdir(parents=True)
    (out / "config.toml").write_text("a_setting_of_another_version = 3\n")
    config = {"data": data_file, "model": "cmr", "loss": "bowl"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert open_folder(config, None).name == "small-cmr-bowl-2"
    with pytest.raises(ValueError, match="another fit"):
        open_folder(config, out)


def test_a_fit_goes_on_where_it_stopped(shell, data_file, tmp_path, watch, calls, capsys):
    """The same command makes what is missing, and nothing twice; more subjects and more runs add
    to what is there; the result is that of a fit in one go."""
    out, whole = tmp_path / "out", tmp_path / "whole"
    watch(interrupt, 2)
    assert shell.fit(data_file, "--out", str(out)) == 130
    assert not (out / "result.json").exists()
    watch(lambda: None, 0)
    assert shell.fit(data_file, "--out", str(out), *TWO_RUNS, quick=False) == 0
    assert len(calls) == len(set(calls)) == 8
    assert "2 finished runs in" in capsys.readouterr().err
    assert shell.fit(data_file, "--out", str(whole), *TWO_RUNS, quick=False) == 0
    ended, uninterrupted = (without_times(shell.read(each)[0]) for each in (out, whole))
    assert {**ended, "run": None} == {**uninterrupted, "run": None}


def test_ctrl_c_says_how_to_go_on(shell, data_file, tmp_path):
    """An interrupted fit ends by itself with status 130, and says how much was done."""
    out = tmp_path / "out"
    arguments = [data_file, "--best-of", "5000", "--out", str(out)]
    process = subprocess.Popen(
        [*shell.in_a_process, *arguments, "--config", shell.write_config(ENDLESS)],
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
    assert "interrupted with 0 of 4 subjects done" in stderr and "Fitted in" not in stdout
    assert "the same command goes on" in stderr and "Traceback" not in stderr
    assert sorted(path.name for path in out.iterdir()) == ["config.toml", "run.json", "runs"]


@pytest.mark.skipif(
    sys.platform == "win32" or threading.current_thread() is not threading.main_thread(),
    reason="signals come to the main thread",
)
def test_a_request_to_terminate_ends_a_fit_as_ctrl_c_does(
    shell, data_file, tmp_path, watch, capsys
):
    """A scheduler sends it when time is up: what is done is on disk."""
    before = signal.getsignal(signal.SIGTERM)
    watch(lambda: os.kill(os.getpid(), signal.SIGTERM), 2)
    out = tmp_path / "out"
    assert shell.fit(data_file, "--out", str(out)) == 130
    assert "interrupted with 2 of 4 subjects done" in capsys.readouterr().err
    [journal] = (out / "runs").iterdir()
    assert len(journal.read_text().splitlines()) == 3  # a header and two runs
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_interrupted_fit_leaves_the_result_alone(shell, data_file, tmp_path, watch):
    """With more runs asked for, the result of the fewer stays until all are made."""
    out = tmp_path / "out"
    assert shell.fit(data_file, "--out", str(out)) == 0
    finished = (out / "result.json").read_bytes()
    watch(interrupt, 2)
    assert shell.fit(data_file, "--out", str(out), *TWO_RUNS, quick=False) == 130
    assert (out / "result.json").read_bytes() == finished


def test_an_error_on_the_way_keeps_the_runs_done(shell, data_file, tmp_path, watch, capsys, calls):
    """They are on disk, and the message says where."""
    watch(fail, 2)
    out = tmp_path / "out"
    assert shell.fit(data_file, "--out", str(out)) == 2
    told = capsys.readouterr()
    assert "a watcher's error" in told.err and f"kept in {out}" in told.err
    watch(lambda: None, 0)
    assert shell.fit(data_file, "--out", str(out)) == 0
    assert sorted(calls) == [(3, 0), (7, 0), (8, 0), (20, 0)]


def test_ctrl_c_while_the_figure_is_drawn(shell, data_file, tmp_path, monkeypatch, capsys):
    """The fit is done and written: only the figure is missing."""
    monkeypatch.setattr("jaxcmr.cli._run.save_fit_figure", lambda *arguments: interrupt())
    out = tmp_path / "out"
    assert shell.fit(data_file, "--subjects", "1", "--out", str(out)) == 130
    error = capsys.readouterr().err
    assert "only the figure is missing" in error and "before the search" not in error
    assert shell.read(out)[0]["fits"]["subject"] == [3]


@pytest.mark.full
def test_fits_started_together_share_a_folder(shell, data_file, tmp_path):
    """As jobs start them, each for a subject of its own: no run of one is lost to another."""
    command = [*shell.in_a_process, data_file, "--num-steps", "3", "--best-of", "1"]
    fits = [
        subprocess.Popen([*command, "--subjects", f"{s},"], cwd=tmp_path, stdout=subprocess.DEVNULL)
        for s in (3, 7, 20)
    ]
    assert [fit.wait() for fit in fits] == [0, 0, 0]
    [folder] = (tmp_path / "results").iterdir()
    lines = [line for file in (folder / "runs").iterdir() for line in file.read_text().splitlines()]
    assert sorted(json.loads(line).get("subject", 0) for line in lines) == [0, 0, 0, 3, 7, 20]
    whole = subprocess.run([*command, "--subjects", "3,7,20"], cwd=tmp_path, capture_output=True)
    assert whole.returncode == 0 and b"3 finished runs in" in whole.stderr
    assert shell.read(folder)[0]["fits"]["subject"] == [3, 7, 20]
