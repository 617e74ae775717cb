"""Real processes that are killed: nothing that had finished is lost, and the result is the same.

The processes are those of ``jaxcmr fit``. They die by SIGKILL, which no program can see coming.
"""

import json
import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from simple_losses import LOSSES, BowlGenerator

from jaxcmr.cli import main
from jaxcmr.datasets import save_data

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")

CODE = f"""
import os, sys, time
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from simple_losses import LOSSES, BowlGenerator
import jaxcmr.cli._run as run
import jaxcmr.fitting._fitter as fitter
from jaxcmr.cli import main

class Slow:  # so that there is a search to be killed in
    def update(self, report):
        time.sleep(float(os.environ["PAUSE"]) * (report.record is not None))
    def close(self):
        pass

LOSSES["bowl"] = BowlGenerator
fitter.default_watchers = lambda *_: [Slow()]
run.save_fit_figure = lambda *_: None
sys.exit(main(["fit", *sys.argv[1:], "--quiet"]))
"""

N_SUBJECTS = 4


class Folder:
    """A fit to four subjects with so many runs each, as commands that write into one folder."""

    def __init__(self, path, data, best_of, loss="bowl"):
        self.path, self.n_runs = path, N_SUBJECTS * best_of
        self.arguments = [str(data), "--out", str(path), "--best-of", str(best_of)]
        self.arguments += ["--num-steps", "3", "--pop-size", "2", "--loss", loss]
        programs = str(data.parent / "programs")  # a kill may leave one half written
        self.environment = {**os.environ, "JAXCMR_COMPILE_CACHE": programs, "PAUSE": "0.02"}
        self.environment.pop("JAX_COMPILATION_CACHE_DIR", None)

    def start(self, *arguments):
        """Start the fit in a process."""
        return subprocess.Popen(
            [sys.executable, "-c", CODE, *self.arguments, *arguments],
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self):
        """Run the fit to its end, and return how long that took."""
        began = time.monotonic()
        process = self.start()
        errors = process.communicate()[1]
        assert process.returncode == 0, errors
        return time.monotonic() - began

    def finish_here(self, monkeypatch):
        """Run the fit to its end in this process."""
        monkeypatch.setattr("jaxcmr.cli._run.save_fit_figure", lambda *arguments: None)
        monkeypatch.setitem(LOSSES, "bowl", BowlGenerator)
        assert main(["fit", *self.arguments, "--quiet"]) == 0

    def texts(self):
        """Return the journals, by file."""
        return [path.read_bytes() for path in sorted((self.path / "runs").glob("*.jsonl"))]

    def kill_after(self, n_runs, seconds):
        """Kill the fit some time after so many more runs are on disk."""
        before = sum(text.count(b"\n") for text in self.texts())
        process = self.start()
        n_lines = n_runs and before + 1 + n_runs  # with a header
        while sum(text.count(b"\n") for text in self.texts()) < n_lines:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.002)
        time.sleep(seconds)
        process.kill()
        process.communicate()
        return process.returncode

    def entries(self):
        """Return what is on disk of finished runs."""
        entries = []
        for line in b"".join(self.texts()).splitlines():
            with suppress(ValueError):  # half written
                entries.append(json.loads(line))
        return [entry for entry in entries if "record" in entry]

    def runs_on_disk(self):
        """Return subject and number of each finished run, as often as it was made."""
        return [(entry["subject"], entry["number"]) for entry in self.entries()]

    def result(self):
        """Return the result without what differs from call to call."""
        result = json.loads((self.path / "result.json").read_text())
        runs = [[{**run, "seconds": 0} for run in of_fit] for of_fit in result["runs"]]
        return {**result, "runs": runs, "fit_time": 0, "run": None}


@pytest.fixture
def folder(small_data, tmp_path):
    """Makes folders of one fit."""
    data = tmp_path / "small.h5"
    save_data(small_data, data)
    return lambda name, *options: Folder(tmp_path / name, data, *options)


def check_nothing_was_lost(killed, whole):
    """Check that a folder holds each run once, and the result of a fit in one go."""
    made = killed.runs_on_disk()
    assert len(made) == len(set(made)) == killed.n_runs
    assert killed.result() == whole.result()


def test_three_kills(folder, monkeypatch):
    """One while the process starts or compiles, two while it searches."""
    killed, whole = folder("killed", 6), folder("whole", 6)
    rng = random.Random(3)
    moments = [(0, rng.uniform(0, 3)), (rng.randint(1, 6), 0), (rng.randint(1, 6), 0.01)]
    assert [killed.kill_after(*moment) for moment in moments] == [-9] * 3
    done = killed.runs_on_disk()
    assert 2 <= len(done) < 24
    killed.finish()
    assert killed.runs_on_disk()[: len(done)] == done
    whole.finish_here(monkeypatch)
    check_nothing_was_lost(killed, whole)


@pytest.mark.slow
def test_twenty_kills(folder):
    """At moments spread over start, compiling, search and writing."""
    killed, whole = folder("killed", 30), folder("whole", 30)
    whole.finish()
    start = whole.finish()  # of a process that finds all runs made
    killed.environment["PAUSE"] = "0.2"  # a search that outlasts the kills
    rng = random.Random(20)
    for i in range(20):
        n_runs = 0 if i % 2 else rng.randint(1, 3)
        delay = rng.uniform(0, 0.3) if n_runs else rng.uniform(0, 1.2 * start)
        assert killed.kill_after(n_runs, delay) == -9
    assert 10 <= len(killed.runs_on_disk()) < killed.n_runs
    killed.environment["PAUSE"] = "0"
    killed.finish()
    check_nothing_was_lost(killed, whole)


@pytest.mark.full
def test_parts_and_a_whole_fit_at_once(folder, monkeypatch):
    """On one folder: each ends with the whole result. A run may be made twice, to the same end."""
    shared, whole = folder("shared", 6), folder("whole", 6)
    processes = [shared.start(*each) for each in (["--part", "1/2"], ["--part", "2/2"], [])]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], errors
    whole.finish_here(monkeypatch)
    assert set(shared.runs_on_disk()) == set(whole.runs_on_disk())
    assert shared.result() == whole.result()


@pytest.mark.full
def test_another_machine_joins(folder):
    """Here the same one without its widest instructions: one warning says what differs, the runs
    that are there stay as they are, and the fit goes on."""
    shared = folder("shared", 2, "sequence_likelihood")
    shared.kill_after(1, 0)
    done = shared.runs_on_disk()
    kept = {(run["subject"], run["number"]): run["record"]["loss"] for run in shared.entries()}
    shared.environment["XLA_FLAGS"] = "--xla_cpu_max_isa=AVX2"
    process = shared.start()
    errors = process.communicate()[1]
    assert process.returncode == 0, errors
    made = shared.runs_on_disk()
    assert len(made) == len(set(made)) == shared.n_runs and set(done) < set(made)
    result = shared.result()
    for (subject, number), loss in kept.items():
        place = result["fits"]["subject"].index(subject)
        assert result["runs"][place][number]["loss"] == loss
    told = [line for line in errors.splitlines() if line.startswith("jaxcmr: warning")]
    assert len(told) == 1 and "flags" in told[0] and "The fit goes on" in told[0]
