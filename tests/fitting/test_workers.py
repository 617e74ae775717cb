"""Workers in other processes: they change no bit, and their deaths lose nothing.

Processes are started afresh ("spawn"), as every use of JAX needs.
"""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from simple_losses import Bowl, BowlGenerator
from stopped_fits import without_times

import jaxcmr
from jaxcmr.fitting import _states
from jaxcmr.fitting._workers import AtOnce, open_workers

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

SPAWN = multiprocessing.get_context("spawn")


class SlowBowls(BowlGenerator):
    """Bowls of which each fit takes a moment, so that workers can be killed in the middle."""

    def __call__(self, *arguments):
        time.sleep(0.3)
        return super().__call__(*arguments)


def runs_on_disk(folder):
    """Return subject and number of each finished run, as often as it was made."""
    text = "".join(path.read_text() for path in (folder / "runs").glob("*.jsonl"))
    entries = [entry for entry in map(json.loads, text.splitlines()) if "record" in entry]
    return [(entry["subject"], entry["number"]) for entry in entries]


class Kill:
    """A watcher that kills a process, chosen by a function, when the first run has finished."""

    def __init__(self, choose):
        self.choose = choose

    def update(self, report):
        if self.choose is not None:
            os.kill(self.choose(), signal.SIGKILL)
            self.choose = None

    def close(self):
        pass


@pytest.fixture(scope="module")
def spawned():
    """Two processes."""
    with ProcessPoolExecutor(2, mp_context=SPAWN) as pool:
        yield pool


def test_spawned_processes_change_no_bit(make, everyone, spawned, tmp_path):
    """All runs of several subjects, then single runs of a pooled fit."""
    fitter = make(best_of=3, polish=True)
    result = fitter.fit_subjects(everyone, workers=spawned, checkpoint=tmp_path)
    assert without_times(result) == without_times(fitter.fit_subjects(everyone))
    assert len(runs_on_disk(tmp_path)) == 12
    result = fitter.fit(everyone, workers=spawned)
    assert without_times(result) == without_times(fitter.fit(everyone))


def test_a_killed_process_of_a_pool(make, everyone, tmp_path):
    """The error says how to go on. What had finished is kept, and the next call adds the rest."""
    fitter = make(loss=SlowBowls, best_of=2)
    with (
        ProcessPoolExecutor(1, mp_context=SPAWN) as pool,
        pytest.raises(RuntimeError, match="Make new workers and call again") as failure,
    ):
        kill = Kill(lambda: next(iter(pool._processes)))
        fitter.fit_subjects(everyone, workers=pool, checkpoint=tmp_path, watchers=[kill])
    assert any("goes on from there" in note for note in failure.value.__notes__)
    done = runs_on_disk(tmp_path)
    assert 2 <= len(done) < 8
    result = fitter.fit_subjects(everyone, checkpoint=tmp_path)
    assert sorted(runs_on_disk(tmp_path)) == all_runs()
    assert without_times(result) == without_times(fitter.fit_subjects(everyone))


def all_runs():
    """Return subject and number of two runs for each subject of the small data."""
    return [(subject, number) for subject in (3, 7, 8, 20) for number in (0, 1)]


class Stale(BowlGenerator):
    """Bowls that are another function in the processes of a pool, for fits of one trial."""

    def __call__(self, *arguments):
        bowl = super().__call__(*arguments)
        is_here = multiprocessing.parent_process() is None
        return bowl if is_here or bowl.n > 1 else Bowl(bowl.n * 1.001, bowl.center)


def test_workers_that_compute_another_loss(make, everyone, spawned, tmp_path):
    """Such as those that have imported a model before it was changed: their runs are not taken,
    though the change may concern one subject only."""
    with pytest.raises(RuntimeError, match=r"another loss than this process.* Start new workers"):
        make(loss=Stale).fit_subjects(everyone, workers=spawned, checkpoint=tmp_path)
    assert 8 not in dict(runs_on_disk(tmp_path))


@pytest.mark.parametrize("again_in_workers", [True, False])
def test_long_runs_in_workers_keep_their_population(
    make, everyone, tmp_path, monkeypatch, again_in_workers
):
    """A pooled fit whose worker fails goes on from there, to the same result."""
    monkeypatch.setattr(_states, "SAVE_SECONDS", 0.0)
    fitter = make(num_steps=60, relative_tolerance=0.0)
    whole = fitter.fit(everyone)
    generations, save = [], _states.SavedStates.save

    def note(self, i, state):
        save(self, i, state)
        generations.append(int(state.generation))
        if len(generations) == n_saved:
            raise MemoryError

    monkeypatch.setattr(_states.SavedStates, "save", note)
    with ThreadPoolExecutor(1) as worker:  # its thread stands in for a process
        n_saved = 3
        with pytest.raises(MemoryError):
            fitter.fit(everyone, checkpoint=tmp_path, workers=worker)
        [last] = generations[n_saved - 1 :]
        n_saved = None
        result = fitter.fit(
            everyone, checkpoint=tmp_path, workers=worker if again_in_workers else None
        )
    assert generations[3] > last > 0
    assert without_times(result) == without_times(whole)
    assert not list(tmp_path.rglob("*.npz"))


def test_a_worker_that_cannot_keep_populations_goes_on(make, everyone, tmp_path, monkeypatch):
    """The folder may be read-only there, or missing; this process writes what has finished."""
    monkeypatch.setattr(_states, "SAVE_SECONDS", 0.0)

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(_states, "replace_file", refuse)
    fitter = make(num_steps=60, relative_tolerance=0.0)
    with ThreadPoolExecutor(1) as worker:
        result = fitter.fit(everyone, checkpoint=tmp_path, workers=worker)
    assert without_times(result) == without_times(fitter.fit(everyone))
    with pytest.raises(PermissionError, match="cannot be written"):
        fitter.fit(everyone, checkpoint=tmp_path / "here")


def test_a_pool_of_threads_leaves_the_environment_alone(make, everyone, monkeypatch):
    """Processes that are started later would inherit the number of cores."""
    monkeypatch.delenv("PJRT_NPROC", raising=False)
    with ThreadPoolExecutor(2) as workers:
        make().fit_subjects(everyone, workers=workers)
    assert "PJRT_NPROC" not in os.environ


def test_processes_that_would_fork_are_refused(make, everyone):
    """JAX runs in this process: a copy of it would hang."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        with pytest.raises(ValueError, match=r"get_context\('spawn'\)"):
            make().fit_subjects(everyone, workers=pool)
        assert pool._processes == {}


@pytest.mark.parametrize(
    "make_pool", [ThreadPoolExecutor, partial(ProcessPoolExecutor, mp_context=SPAWN)]
)
def test_workers_that_have_been_shut_down(make, everyone, make_pool):
    """As after their `with` block, where Python speaks of futures."""
    with make_pool(1) as workers:
        pass
    with pytest.raises(ValueError, match=r"a \w+PoolExecutor that has been shut down"):
        make().fit_subjects(everyone, workers=workers)


SCRIPT = f"""
import multiprocessing, sys, time
from concurrent.futures import ProcessPoolExecutor
sys.path[:0] = [{str(Path(__file__).parents[1])!r}, {str(Path(jaxcmr.__file__).parents[1])!r}]

def main():
    import numpy as np
    from simple_losses import BowlGenerator
    from jaxcmr.fitting import JaxDE
    data = {{"subject": np.repeat([1, 2, 3, 4], 5)[:, None], "recalls": np.ones((20, 6), int),
            "listLength": np.full((20, 1), 6), "pres_itemnos": np.tile(np.arange(1, 7), (20, 1))}}
    bounds = {{f"p{{i}}": [0.0, 1.0] for i in range(40)}}
    settings = {{"bounds": bounds, "num_steps": 10**6, "relative_tolerance": 0.0, "diff_w": 1.9,
                "strategy": "rand1bin", "polish": False, "progress_bar": False}}
    fitter = JaxDE(data, None, {{}}, None, BowlGenerator, settings)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as pool:
        for future in [pool.submit(time.sleep, 1) for _ in range(2)]:  # so that both start
            future.result()
        print(*pool._processes, flush=True)
        fitter.fit_subjects(np.ones(20, bool), workers=pool)

if __name__ == "__main__":
    main()
"""
"""A fit that never ends, in two processes, whose ids it prints."""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.full
def test_processes_end_with_the_fit(tmp_path, number):
    """However it ends, by Ctrl-C in a terminal or by a kill, they do not linger."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    fit = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # a group of its own, as a terminal gives it
    )
    processes = [int(word) for word in fit.stdout.readline().split()]
    assert processes
    wait_until(lambda: all(seconds_of(process) > 8 for process in processes))  # they search
    if number == signal.SIGINT:
        os.killpg(fit.pid, number)  # as a terminal sends it
    else:
        fit.send_signal(number)
    fit.communicate(timeout=120)
    wait_until(lambda: not any(is_alive(process) for process in processes))


def wait_until(condition):
    """Wait until a condition holds, at most two minutes."""
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def seconds_of(process):
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_alive(process):
    """Return whether a process exists, and has not ended yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# Dask


def pid_of_worker():
    """Return the process of the worker that this runs in."""
    return os.getpid()


def times_sent(dask_worker):
    """Return how often each problem came to a worker from another one."""
    entries = dask_worker.transfer_incoming_log
    return [key for entry in entries for key in entry["keys"] if key.startswith("jaxcmr-")]


def test_dask_changes_no_bit(make, everyone, dask_client):
    """The problem is sent to each worker once, not with each block of runs. Losses may be defined
    where no module is, as in a notebook."""
    source = "class Mine(BowlGenerator):\n    label = 'mine'"
    names = {"__name__": "__main__", "BowlGenerator": BowlGenerator}
    exec(source, names)
    fitter = make(loss=names["Mine"], best_of=2)
    result = fitter.fit_subjects(everyone, workers=dask_client)
    assert without_times(result) == without_times(fitter.fit_subjects(everyone))
    sent = [key for keys in dask_client.run(times_sent).values() for key in keys]
    assert len(sent) == len(set(sent)) <= 1  # one worker has it, the other gets it from there


def test_large_data_are_no_reason_for_a_warning(make, small_data, everyone, dask_client):
    """They are sent once to each worker, which is what Dask's warning asks for."""
    dask = pytest.importorskip("dask")
    data = {**small_data, "signal": np.random.default_rng(0).random((20, 10_000))}
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1MB"}):
        result = make(data=data).fit_subjects(everyone, workers=dask_client)
    assert len(result["fitness"]) == 4


def test_a_dask_client_that_has_been_closed(make, everyone, dask_client):
    """Its cluster may still be there; Dask speaks of a loop."""
    with type(dask_client)(dask_client.scheduler.address) as client:
        pass
    with pytest.raises(ValueError, match="a Client that has been shut down"):
        make().fit_subjects(everyone, workers=client)


def test_a_killed_dask_worker(make, everyone, dask_client, tmp_path):
    """Its block is made again elsewhere: the result has the same bits, each run is there once."""
    fitter = make(loss=SlowBowls, best_of=2)
    victim = next(iter(dask_client.run(pid_of_worker).values()))
    result = fitter.fit_subjects(
        everyone, workers=dask_client, checkpoint=tmp_path, watchers=[Kill(lambda: victim)]
    )
    assert not is_alive(victim)
    assert sorted(runs_on_disk(tmp_path)) == all_runs()
    assert without_times(result) == without_times(fitter.fit_subjects(everyone))


@pytest.mark.slow
def test_a_dask_worker_is_killed_every_second(make, everyone, dask_client, tmp_path):
    """All but one, as often as they come back. The scheduler must bear with a block that loses
    many workers."""
    fitter = make(loss=SlowBowls, best_of=20)
    survivor, *_ = dask_client.run(pid_of_worker).values()
    killed, ended = set(), threading.Event()

    def kill_on():
        while not ended.wait(1.0):
            processes = set(dask_client.run(pid_of_worker, on_error="ignore").values())
            for process in processes - {survivor}:
                os.kill(process, signal.SIGKILL)
                killed.add(process)

    dask_client.run_on_scheduler(bear_with_failures)
    killer = threading.Thread(target=kill_on)
    killer.start()
    try:
        result = fitter.fit_subjects(everyone, workers=dask_client, checkpoint=tmp_path)
    finally:
        ended.set()
        killer.join()
    assert killed and is_alive(survivor)
    assert len(runs_on_disk(tmp_path)) == len(set(runs_on_disk(tmp_path))) == 80
    assert without_times(result) == without_times(fitter.fit_subjects(everyone))


def bear_with_failures(dask_scheduler):
    dask_scheduler.allowed_failures = 1000


@pytest.mark.full
def test_a_scheduler_that_dies(make, everyone, tmp_path):
    """The error says how to go on, and what had finished is kept."""
    distributed = pytest.importorskip("distributed")
    address = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    options = ["--scheduler-file", str(address), "--port", "0", "--dashboard-address", ":0"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1"]
    worker += ["--scheduler-file", str(address), "--no-dashboard", "--no-nanny"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    places = [str(Path(jaxcmr.__file__).parents[1]), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    processes = [subprocess.Popen([*command, *options], **quiet)]
    try:
        wait_until(address.exists)
        processes.append(subprocess.Popen(worker, env=environment, **quiet))
        with distributed.Client(scheduler_file=str(address)) as client:
            client.wait_for_workers(1, timeout=120)
            fitter = make(loss=SlowBowls, best_of=2)
            with pytest.raises(RuntimeError, match="the scheduler has ended") as failure:
                fitter.fit_subjects(
                    everyone,
                    workers=client,
                    checkpoint=tmp_path / "fit",
                    watchers=[Kill(lambda: processes[0].pid)],
                )
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert any("goes on from there" in note for note in failure.value.__notes__)
    assert 2 <= len(runs_on_disk(tmp_path / "fit")) < 8


class ThreeDaskWorkers:
    """A client of two workers with four threads each on one machine, and one on another."""

    status = "running"

    def scheduler_info(self, **options):
        hosts = [("lab", 4), ("lab", 4), ("desk", 1)]
        return {"workers": {i: {"host": h, "nthreads": n} for i, (h, n) in enumerate(hosts)}}

    def submit(self, function, *arguments, **options):
        return None

    def get_executor(self, **options):
        return None


def test_processes_share_the_cores_of_a_machine():
    """Blocks that share a process compute on the threads of its XLA: it keeps to the cores of all
    of them, not of one."""
    with ProcessPoolExecutor(3, mp_context=SPAWN) as pool:
        assert open_workers(pool, b"")[2] == AtOnce(blocks=3, processes=3)
    with ThreadPoolExecutor(3) as pool:
        assert open_workers(pool, b"")[2] == AtOnce(blocks=3, processes=1)
    assert open_workers(ThreeDaskWorkers(), b"")[2] == AtOnce(blocks=8, processes=2)
