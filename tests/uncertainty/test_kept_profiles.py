"""Profiles in a folder and in other processes: nothing is made twice, and no number changes."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pandas as pd
import pytest
from profile_problems import N_SUBJECTS, StaleLearners, make_problem

import jaxcmr
from jaxcmr.fitting import CheckpointMismatch, FitProblem
from jaxcmr.fitting._journal import from_line, to_line
from jaxcmr.results import FitResult
from jaxcmr.uncertainty import profile_likelihood

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")


@pytest.fixture(scope="module")
def learners():
    return make_problem()


@pytest.fixture(scope="module")
def whole(learners):
    """Profiles without a folder."""
    return profile_likelihood(*learners)


@pytest.fixture
def count(monkeypatch):
    """Numbers of the fits whose profiles are made."""
    made = []
    profile_fit = jaxcmr.uncertainty._profile_work.profile_fit

    def counted(polisher, fits, row, *arguments):
        made.append(fits.subjects[row])
        return profile_fit(polisher, fits, row, *arguments)

    monkeypatch.setattr(jaxcmr.uncertainty._profile_work, "profile_fit", counted)
    return made


def check_equal(found, whole):
    """Check that profiles are the same to the last bit, paths and better fits included."""
    pd.testing.assert_frame_equal(found.table, whole.table, check_exact=True)
    pd.testing.assert_frame_equal(found.path, whole.path, check_exact=True)
    assert (found.level, found.threshold) == (whole.level, whole.threshold)
    assert found.better == whole.better


def lines_in(folder):
    """Return the whole lines of finished profiles in a folder."""
    texts = [path.read_bytes() for path in (Path(folder) / "profiles").glob("*.jsonl")]
    lines = [line for text in texts for line in text.split(b"\n")[:-1]]
    return [json.loads(line) for line in lines if b'"record"' in line]


def subjects_in(folder):
    """Return whose profiles are in a folder, as often as they were made."""
    return sorted(line["subject"] for line in lines_in(folder))


def test_a_folder_changes_no_number_and_makes_nothing_twice(learners, whole, count, tmp_path):
    check_equal(profile_likelihood(*learners, checkpoint=tmp_path), whole)
    assert sorted(count) == subjects_in(tmp_path) == list(range(1, N_SUBJECTS + 1))
    check_equal(profile_likelihood(*learners, checkpoint=tmp_path), whole)
    assert len(count) == N_SUBJECTS


def test_subjects_may_be_added(learners, whole, count, tmp_path):
    """Those that are in the folder are not profiled again; the order is that of the result."""
    profile_likelihood(*learners, subjects=[5, 2], checkpoint=tmp_path)
    check_equal(profile_likelihood(*learners, checkpoint=tmp_path), whole)
    assert sorted(count) == list(range(1, N_SUBJECTS + 1))


def test_the_order_of_parameters_may_change(learners, count, tmp_path):
    """It is that of the tables, in a folder as without one."""
    problem, result = learners
    call = {"subjects": [1, 2]}
    profile_likelihood(problem, result, ["alpha", "beta"], checkpoint=tmp_path, **call)
    kept = profile_likelihood(problem, result, ["beta", "alpha"], checkpoint=tmp_path, **call)
    assert len(count) == 2
    check_equal(kept, profile_likelihood(problem, result, ["beta", "alpha"], **call))


def other_data(problem, result):
    """Return the same problem with another last choice of subject 2, and its losses."""
    choice = problem.dataset["choice"].copy()
    choice[1, -1] = 1 - choice[1, -1]
    other = FitProblem(
        {**problem.dataset, "choice": choice}, problem.model, problem.loss, problem.bounds
    )
    return other, with_estimates(other, result, 1, {})


def with_estimates(problem, result, row, changes):
    """Return a result with other estimates of one fit, and its loss there."""
    fits = {name: list(values) for name, values in result["fits"].items()}
    for name, value in changes.items():
        fits[name][row] = value
    at = {name: fits[name][row] for name in problem.free_names}
    fitness = list(result["fitness"])
    fitness[row] = problem.evaluate(at, problem.subjects == fits["subject"][row])
    return FitResult({**result, "fits": fits, "fitness": fitness})


def test_a_folder_of_other_profiles_is_refused(learners, tmp_path):
    """It says what differs: otherwise intervals of something else would come back."""
    problem, result = learners
    call = {"subjects": [1, 2, 3], "checkpoint": tmp_path}
    profile_likelihood(problem, result, **call)
    wider = FitProblem(
        problem.dataset, problem.model, problem.loss, {**problem.bounds, "beta": [0.01, 30.0]}
    )
    moved = with_estimates(problem, result, 1, {"alpha": 0.41})
    for arguments, options, message in [
        ((problem, result), {"level": 0.9}, r"differs in level: 0\.95 there, 0\.9 here"),
        ((problem, result, "alpha"), {}, r"differs in parameters: \['alpha', 'beta'\] there"),
        ((wider, result), {}, r"differs in bounds: beta is \[0\.01, 20\.0\] there"),
        ((problem, moved), {}, "profiles of subject 2, but of other estimates"),
        (other_data(problem, result), {}, "profiles of subject 2, but of other trials"),
    ]:
        with pytest.raises(CheckpointMismatch, match=message):
            profile_likelihood(*arguments, **options, **call)


def test_another_likelihood_under_the_same_name_is_refused(learners, tmp_path, monkeypatch):
    """A model that was edited has the same name; its loss at the estimates tells."""
    problem, result = learners
    profile_likelihood(problem, result, subjects=1, checkpoint=tmp_path)
    path = next((tmp_path / "profiles").glob("*.jsonl"))
    header, entry = map(from_line, path.read_bytes().splitlines())
    entry["record"]["loss"] += 1e-4
    path.write_bytes(to_line(header) + to_line(entry))
    with pytest.raises(CheckpointMismatch, match="subject 1, whose estimates had a loss of"):
        profile_likelihood(problem, result, subjects=1, checkpoint=tmp_path)


def test_damage_costs_work_and_no_number(learners, whole, count, tmp_path):
    """Lines with flipped bits or without an end are set aside, with a warning, and made again."""
    profile_likelihood(*learners, checkpoint=tmp_path)
    path = next((tmp_path / "profiles").glob("*.jsonl"))
    text = path.read_bytes()
    begins = [0] + [i + 1 for i, byte in enumerate(text) if byte == ord("\n")]
    random = np.random.default_rng(7)
    for n_damaged in (1, 2):
        damaged = bytearray(text[:-40])  # the last line has no end
        for line in range(1, n_damaged):
            damaged[random.integers(begins[line], begins[line + 1] - 1)] ^= 4
        for each in (tmp_path / "profiles").glob("*.jsonl"):
            each.unlink()
        path.write_bytes(damaged)
        count.clear()
        with pytest.warns(UserWarning, match=rf"{n_damaged} damaged or unfinished line"):
            found = profile_likelihood(*learners, checkpoint=tmp_path)
        check_equal(found, whole)
        assert len(count) == n_damaged


def test_lines_of_other_work_are_left_alone(learners, whole, tmp_path):
    """Such as the run of a fit in a file of profiles."""
    profile_likelihood(*learners, checkpoint=tmp_path)
    path = next((tmp_path / "profiles").glob("*.jsonl"))
    about = {"fit": "", "trials": "", "number": 0, "start": "", "by": "", "at": 0.0}
    with path.open("ab") as file:
        file.write(to_line({"subject": 2, **about, "record": {"loss": 1.0}}))
    check_equal(profile_likelihood(*learners, checkpoint=tmp_path), whole)


def test_a_folder_of_a_fit_may_be_shared(learners, whole, tmp_path):
    """Files have other names than those of a fit."""
    (tmp_path / "run.json").write_text('{"model": "cru"}')
    (tmp_path / "runs").mkdir()
    check_equal(profile_likelihood(*learners, checkpoint=tmp_path), whole)
    assert [each.name for each in (tmp_path / "runs").iterdir()] == []


def test_workers_change_no_number(learners, whole, tmp_path):
    """Threads, and two processes that are started afresh."""
    with ThreadPoolExecutor(2) as pool:
        check_equal(profile_likelihood(*learners, workers=pool), whole)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        found = profile_likelihood(*learners, workers=pool, checkpoint=tmp_path)
    check_equal(found, whole)
    assert subjects_in(tmp_path) == list(range(1, N_SUBJECTS + 1))


def test_workers_of_another_loss_are_refused(tmp_path):
    """Such as those that imported the model before it was changed: they need to be started anew."""
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(1, mp_context=context) as pool,
        pytest.raises(RuntimeError, match=r"another loss than this process.* Start new workers"),
    ):
        problem, result = make_problem(loss=StaleLearners)
        profile_likelihood(problem, result, workers=pool, checkpoint=tmp_path)
    assert subjects_in(tmp_path) == []


@pytest.mark.full
def test_dask_changes_no_number(learners, whole, dask_client, tmp_path):
    found = profile_likelihood(*learners, workers=dask_client, checkpoint=tmp_path)
    check_equal(found, whole)
    assert subjects_in(tmp_path) == list(range(1, N_SUBJECTS + 1))


@POSIX
@pytest.mark.full
def test_a_killed_process_of_a_pool(learners, whole, count, tmp_path):
    """What had finished is kept, and the error says how to go on."""
    problem, result = learners
    profile_likelihood(problem, result, subjects=[1, 2], checkpoint=tmp_path)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        pool.submit(time.sleep, 0).result()  # so that there is a process
        [process] = pool._processes
        pool.submit(os.kill, process, signal.SIGKILL)
        with pytest.raises(RuntimeError, match="Make new workers and call again") as failure:
            profile_likelihood(problem, result, workers=pool, checkpoint=tmp_path)
    assert any("goes on from there" in note for note in failure.value.__notes__)
    count.clear()
    check_equal(profile_likelihood(problem, result, checkpoint=tmp_path), whole)
    assert sorted(count) == [3, 4, 5, 6]


CODE = f"""
import sys
sys.path[:0] = [{str(Path(__file__).parents[1])!r}, {str(Path(jaxcmr.__file__).parents[1])!r}]
from profile_problems import main
main(sys.argv[1])
"""


@POSIX
def test_a_killed_call_goes_on_where_it_stopped(learners, whole, count, tmp_path):
    """A real SIGKILL after the second subject is on disk."""
    environment = {
        **os.environ,
        "PAUSE": "0.5",
        "PYTHONPATH": str(Path(jaxcmr.__file__).parents[1]),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, str(tmp_path)],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    while len(lines_in(tmp_path)) < 2:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -9
    done = subjects_in(tmp_path)
    assert 2 <= len(done) < N_SUBJECTS
    check_equal(profile_likelihood(*learners, checkpoint=tmp_path), whole)
    assert sorted([*done, *count]) == subjects_in(tmp_path) == list(range(1, N_SUBJECTS + 1))


def test_an_error_tells_where_finished_profiles_are(learners, count, tmp_path, monkeypatch):
    """And the next call makes the rest only."""
    profile_fit = jaxcmr.uncertainty._profile_work.profile_fit

    def fail(polisher, fits, row, *arguments):
        if row == N_SUBJECTS - 1:
            raise MemoryError("full")
        return profile_fit(polisher, fits, row, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(jaxcmr.uncertainty._profile_work, "profile_fit", fail)
        with pytest.raises(MemoryError) as failure:
            profile_likelihood(*learners, checkpoint=tmp_path)
    assert any("goes on from there" in note for note in failure.value.__notes__)
    done = subjects_in(tmp_path)
    assert N_SUBJECTS not in done
    count.clear()
    profile_likelihood(*learners, checkpoint=tmp_path)
    assert sorted([*done, *count]) == list(range(1, N_SUBJECTS + 1))


def test_an_error_does_not_cost_what_is_made_beside_it(learners, tmp_path, monkeypatch):
    """What other threads are at when one fails is kept, too."""
    profile_fit = jaxcmr.uncertainty._profile_work.profile_fit
    begun = Barrier(2)

    def fail(polisher, fits, row, *arguments):
        if row < 2:
            begun.wait(60)
        if row == 0:
            raise MemoryError("full")
        return profile_fit(polisher, fits, row, *arguments)

    monkeypatch.setattr(jaxcmr.uncertainty._profile_work, "profile_fit", fail)
    monkeypatch.setattr(jaxcmr.fitting._units, "count_cores", lambda: 2)
    with pytest.raises(MemoryError):
        profile_likelihood(*learners, checkpoint=tmp_path)
    done = subjects_in(tmp_path)
    assert 2 in done and 1 not in done


def test_progress_is_shown_only_if_it_is_asked_for(learners, capsys):
    profile_likelihood(*learners, subjects=[1, 2])
    assert capsys.readouterr().err == ""
    profile_likelihood(*learners, subjects=[1, 2], progress=True)
    assert "Making profiles: 100%" in capsys.readouterr().err
