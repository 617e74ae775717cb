"""Results are never lost: folders are claimed, and what an end leaves undone is kept and told."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from jaxcmr.cli._folder import claim_folder
from jaxcmr.results import FitResult

ENDLESS = "[search]\nnum_steps = 1000000\nrelative_tolerance = 0.0\ndiff_w = 1.9"
"""A search whose steps are too wide to converge."""


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
    assert "the results of another fit" in capsys.readouterr().err


def test_a_configuration_of_another_version_blocks_no_fit(shell, data_file, tmp_path):
    """Its unknown settings are no error of this fit: without results, its folder may be used, and
    with them the fit takes the next."""
    out = tmp_path / "results" / "small-cmr-bowl"
    out.mkdir(parents=True)
    (out / "config.toml").write_text("a_setting_of_another_version = 3\n")
    config = {"data": data_file, "model": "cmr", "loss": "bowl"}
    with claim_folder(config, out) as folder:
        assert folder == out
    (out / "result.json").write_text("{}")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        with claim_folder(config, None) as folder:
            assert folder.name == "small-cmr-bowl-2"


def test_ctrl_c_writes_what_is_done(shell, data_file, tmp_path):
    """An interrupted fit ends by itself with status 130, says how much was done, and leaves a
    readable result."""
    out = tmp_path / "out"
    arguments = [data_file, "--best-of", "1", "--out", str(out)]
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
    assert "Interrupted with 0 of 4 subjects done" in stderr and "Fitted in" not in stdout
    assert "Traceback" not in stderr
    result = shell.read(out)[0]
    assert result["fits"]["subject"] == [] and result["interrupted"]
    assert sorted(path.name for path in out.iterdir()) == ["config.toml", "result.json"]


@pytest.mark.skipif(
    sys.platform == "win32" or threading.current_thread() is not threading.main_thread(),
    reason="signals come to the main thread",
)
def test_a_request_to_terminate_ends_a_fit_as_ctrl_c_does(
    shell, data_file, tmp_path, watch, capsys
):
    """A scheduler sends it when time is up: what is done is written."""
    before = signal.getsignal(signal.SIGTERM)
    watch(lambda: os.kill(os.getpid(), signal.SIGTERM), 2)
    out = tmp_path / "out"
    assert shell.fit(data_file, "--out", str(out)) == 130
    assert "Interrupted with 2 of 4 subjects done" in capsys.readouterr().err
    assert shell.read(out)[0]["interrupted"] and not (out / ".running").exists()
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_interrupted_fit_leaves_a_longer_result_alone(
    shell, data_file, tmp_path, watch, monkeypatch
):
    """The finished fits stay; those of the interrupted fit go into a file beside it. A result of as
    many subjects may be replaced."""
    out = tmp_path / "out"
    arguments = [data_file, "--out", str(out)]
    assert shell.fit(*arguments) == 0
    finished = (out / "result.json").read_bytes()
    watch(interrupt, 2)
    assert shell.fit(*arguments) == 130
    assert (out / "result.json").read_bytes() == finished
    beside = FitResult.load(out / "result.interrupted.json")
    assert len(beside["fitness"]) == 2 and beside["interrupted"]
    watch(lambda: None, 0)
    assert shell.fit(*arguments) == 0
    assert json.loads(finished)["fits"] == shell.read(out)[0]["fits"]


def test_interrupted_fits_do_not_replace_each_other(shell, data_file, tmp_path, watch):
    """Unless the later one has all that the earlier one had."""
    out = tmp_path / "out"
    for after in (3, 2, 1):
        watch(interrupt, after)
        assert shell.fit(data_file, "--out", str(out)) == 130
    results = {path.name: FitResult.load(path) for path in out.glob("result*.json")}
    found = {name: len(result["fitness"]) for name, result in results.items()}
    assert found["result.json"] == 3 and len(found) > 1


def test_an_error_on_the_way_keeps_the_subjects_done(shell, data_file, tmp_path, watch, capsys):
    """They are written, and the message says where."""
    watch(fail, 2)
    out = tmp_path / "out"
    assert shell.fit(data_file, "--out", str(out)) == 2
    told = capsys.readouterr()
    assert "a watcher's error" in told.err and "result.json" in told.err
    result = shell.read(out)[0]
    assert len(result["fitness"]) == 2 and result["interrupted"]


def test_an_error_before_any_subject_is_done_writes_no_result(shell, data_file, tmp_path, watch):
    watch(fail, 0)
    assert shell.fit(data_file, "--out", str(tmp_path / "out")) == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["config.toml"]


def test_ctrl_c_while_the_figure_is_drawn(shell, data_file, tmp_path, monkeypatch, capsys):
    """The fit is done and written: only the figure is missing."""
    monkeypatch.setattr("jaxcmr.cli._run.save_fit_figure", lambda *arguments: interrupt())
    out = tmp_path / "out"
    assert shell.fit(data_file, "--subjects", "1", "--out", str(out)) == 130
    error = capsys.readouterr().err
    assert "only the figure is missing" in error and "before the search" not in error
    assert shell.read(out)[0]["fits"]["subject"] == [3]


@pytest.mark.full
def test_fits_started_together_have_folders_of_their_own(shell, data_file, tmp_path):
    """As a job array starts them: both results are there, though each default folder is the
    same."""
    command = [*shell.in_a_process, data_file, "--num-steps", "3"]
    fits = [
        subprocess.Popen([*command, "--subjects", f"{s},"], cwd=tmp_path, stdout=subprocess.DEVNULL)
        for s in (3, 7, 20)
    ]
    assert [fit.wait() for fit in fits] == [0, 0, 0]
    results = [FitResult.load(path) for path in (tmp_path / "results").glob("*/result.json")]
    assert sorted(s for result in results for s in result["fits"]["subject"]) == [3, 7, 20]
    assert not list((tmp_path / "results").glob("*/.running"))


def test_a_folder_is_claimed_by_one_process(tmp_path):
    """Another is told so, or takes the next; the claim of a process that was killed is taken
    over."""
    config = {"data": "d.h5", "model": "cmr", "loss": "nll"}
    with claim_folder(config, tmp_path / "x"):
        with (
            pytest.raises(ValueError, match="another process is writing into it"),
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
