"""Folders of finished runs: nothing is made twice, and nothing wrong is taken from them."""

import json
import pickle
import random
import shutil
import warnings
from concurrent.futures import Executor, Future

import numpy as np
import pytest
from simple_losses import Bowl, BowlGenerator
from stopped_fits import Generations, Stop, without_times

from jaxcmr.fitting import CheckpointMismatch, Fit, FitInterrupted, _environment, _journal, _states
from jaxcmr.fitting._parts import as_part, shares_of
from jaxcmr.fitting._runs import Run
from jaxcmr.fitting._verify import evaluate_near


def test_an_interrupted_fit_goes_on(make, fitter_class, everyone, tmp_path, calls):
    """From the runs that had finished, to the same result, bit for bit; the error says so."""
    fitter = make(fitter_class, best_of=3)
    whole = fitter.fit_subjects(everyone)
    calls.clear()
    for after in (1, 4, 2):
        with pytest.raises(FitInterrupted, match="same call goes on") as stop:
            fitter.fit_subjects(everyone, checkpoint=tmp_path, watchers=[Stop(after)])
        assert pickle.loads(pickle.dumps(stop.value)).checkpoint == tmp_path
    result = fitter.fit_subjects(everyone, checkpoint=tmp_path)
    assert without_times(result) == without_times(whole)
    assert len(calls) == len(set(calls)) == 12
    assert without_times(fitter.fit_subjects(everyone, checkpoint=tmp_path)) == without_times(whole)
    assert len(calls) == 12


def test_runs_and_subjects_may_grow(make, everyone, tmp_path, calls):
    """None that is there is made again, with starts from another fit neither."""
    start = make().fit_subjects(everyone)
    some = np.arange(20) < 9  # of the first subject
    make(best_of=1).fit_subjects(some, checkpoint=tmp_path)
    make(best_of=2).fit_subjects(some, start_from=start, checkpoint=tmp_path)
    calls.clear()
    grown = make(best_of=3).fit_subjects(everyone, start_from=start, checkpoint=tmp_path)
    assert calls.count((3, 2)) == 1 and not {(3, 0), (3, 1), (3, -1)} & set(calls)
    whole = make(best_of=3).fit_subjects(everyone, start_from=start)
    assert without_times(grown) == without_times(whole)
    assert [run["run"] for run in grown["runs"][0]] == [0, 1, 2, -1]


def test_fewer_runs_may_follow_more(make, tmp_path, calls):
    """Also if none of them has finished: what is there is of the same trials."""
    some = np.arange(20) < 9
    make(best_of=3).fit_subjects(some, checkpoint=tmp_path)
    [journal] = (tmp_path / "runs").glob("*.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(line for line in lines if b'"number": 0' not in line))
    calls.clear()
    make(best_of=1).fit_subjects(some, checkpoint=tmp_path)
    assert calls == [(3, 0)]


def test_another_start_is_another_run(make, everyone, tmp_path, calls):
    """Of the same number: its record is not that of the first start."""
    low, high = (
        {"fits": {"encoding_drift_rate": [x], "choice_sensitivity": [x], "subject": [-1]}}
        for x in (0.2, 0.8)
    )
    for start in (low, high, low):
        make().fit(everyone, start_from=[start], checkpoint=tmp_path)
    assert sorted(calls) == [(-1, -1), (-1, -1), (-1, 0)]


class OtherBowl(BowlGenerator):
    """A bowl that is a little deeper: nothing of it but its losses tells it from the first."""

    def __call__(self, *arguments):
        bowl = super().__call__(*arguments)
        return Bowl(bowl.n * 1.01, bowl.center)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "search: seed is 0 there, 1 here"),
        ({"num_steps": 4}, "search: num_steps is 3 there, 4 here"),
        (
            {"bounds": {"choice_sensitivity": [0.0, 20.0]}},
            "in bounds: encoding_drift_rate is",
        ),
        ({"loss": OtherBowl}, r"estimates of a run of subject (3|7|8|20) had a loss"),
    ],
)
def test_another_fit_is_refused(make, everyone, tmp_path, change, message, calls):
    """Before anything is searched; what is there stays."""
    make().fit_subjects(everyone, checkpoint=tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    calls.clear()
    with pytest.raises(CheckpointMismatch, match=message):
        make(**change).fit_subjects(everyone, checkpoint=tmp_path)
    assert not calls
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_other_trials_are_refused(make, small_data, everyone, tmp_path):
    """Of a subject that has runs: another condition, or data that were corrected. New subjects are
    welcome, and so are data with more columns of padding."""
    make().fit_subjects(everyone, checkpoint=tmp_path)
    with pytest.raises(CheckpointMismatch, match=r"subject 3.* other trials"):
        make().fit_subjects(np.arange(20) != 1, checkpoint=tmp_path)
    corrected = {**small_data, "recalls": small_data["recalls"].copy()}
    corrected["recalls"][12] = corrected["recalls"][13]
    with pytest.raises(CheckpointMismatch, match=r"subject 7.* other trials"):
        make(data=corrected).fit_subjects(everyone, checkpoint=tmp_path)
    wider = {
        name: np.pad(array, ((0, 0), (0, 2 * (array.ndim > 1 and array.shape[1] > 1))))
        for name, array in small_data.items()
    }
    make(data=wider).fit_subjects(everyone, checkpoint=tmp_path)


def test_another_environment_is_told_once(make, everyone, tmp_path, monkeypatch):
    """With what differs; the fit goes on."""
    make().fit_subjects(everyone, checkpoint=tmp_path)
    version = _environment.version
    newer = {"jaxlib": "9.9"}
    monkeypatch.setattr(_environment, "version", lambda name: newer.get(name) or version(name))
    with pytest.warns(UserWarning, match="another environment .*jaxlib.*'9.9' here") as told:
        make(best_of=2).fit_subjects(everyone, checkpoint=tmp_path)
    assert len(told) == 1


class Steep(BowlGenerator):
    """A line that turns the last digit of its argument into the seventh of its value."""

    def __call__(self, *arguments):
        return lambda x: 1 + 1e9 * (x[0] - 0.5)


def test_a_loss_that_amplifies_rounding(make):
    """Three units in the last place to either side of 1/2 change this loss by 6.7e-7, and others
    hardly. Catches refusals of fits whose losses cannot come out to nine digits."""
    estimates, rows = {"encoding_drift_rate": 0.5, "choice_sensitivity": 2.0}, np.arange(4)
    here, allowed = evaluate_near(make(loss=Steep).problem, rows, estimates, double=True)
    assert here == 1
    assert allowed == pytest.approx(1e-9 + 10 * 1e9 * 6 * np.finfo(float).eps / 2)
    assert evaluate_near(make().problem, rows, estimates, double=True)[1] < 1.1e-9


class Step(BowlGenerator):
    """A step of half its height."""

    def __call__(self, *arguments):
        return lambda x: 100 + 50.0 * (x[0] > 0.5)


def test_a_step_is_not_rounding(make):
    """A loss that jumps within the last digits of an estimate is still compared."""
    estimates = {"encoding_drift_rate": 0.5, "choice_sensitivity": 2.0}
    problem = make(loss=Step).problem
    assert evaluate_near(problem, np.arange(4), estimates, double=True) == (100, 1e-3)


@pytest.mark.parametrize("factor", [1.0001, 2.0, np.nan])
def test_a_changed_loss_is_noticed_in_every_file(make, everyone, tmp_path, factor):
    """Not only in the one that was written last: records of each are computed anew."""

    class Changed(BowlGenerator):
        def __call__(self, *arguments):
            bowl = super().__call__(*arguments)
            return Bowl(bowl.n * factor, bowl.center)

    make().fit_subjects(np.arange(20) < 9, checkpoint=tmp_path)  # subject 3
    later = np.isin(np.arange(20), np.arange(9, 13))  # subject 7
    if np.isfinite(factor):
        make(loss=Changed).fit_subjects(later, checkpoint=tmp_path)
    with pytest.raises(CheckpointMismatch, match="estimates of a run of subject 3"):
        make(loss=Changed).fit_subjects(everyone, checkpoint=tmp_path)


class Small(BowlGenerator):
    """Bowls whose lowest loss is small, as mean squared errors are."""

    differentiable = False
    factor = 1e-5

    def __call__(self, *arguments):
        bowl = super().__call__(*arguments)
        return Bowl(bowl.n * self.factor, bowl.center)


@pytest.mark.parametrize("change", [1.01, 3.0])
def test_a_change_of_small_losses_is_noticed(make, everyone, tmp_path, change):
    """By 1 per cent: it is not compared with 1."""

    class Changed(Small):
        factor = change * Small.factor

    make(loss=Small).fit_subjects(everyone, checkpoint=tmp_path)
    with pytest.raises(CheckpointMismatch, match="estimates of a run of subject"):
        make(loss=Changed).fit_subjects(everyone, checkpoint=tmp_path)


def test_a_loss_that_changes_for_one_subject_is_noticed(make, everyone, tmp_path):
    """Such as an edit of what happens in lists of one length: a run of each fit is compared."""

    class Changed(BowlGenerator):
        def __call__(self, *arguments):
            bowl = super().__call__(*arguments)
            return Bowl(bowl.n * np.where(bowl.n == 1, 1.01, 1.0), bowl.center)

    make(best_of=2).fit_subjects(everyone, checkpoint=tmp_path)
    with pytest.raises(CheckpointMismatch, match="estimates of a run of subject 8"):
        make(loss=Changed, best_of=2).fit_subjects(everyone, checkpoint=tmp_path)


def test_equal_numbers_are_the_same_settings(make, everyone, tmp_path, calls):
    """Whether they are written as whole numbers or not."""
    make(absolute_tolerance=0.0, diff_w=[0.5, 1.0]).fit_subjects(everyone, checkpoint=tmp_path)
    n_calls = len(calls)
    make(absolute_tolerance=0, diff_w=[0.5, 1]).fit_subjects(everyone, checkpoint=tmp_path)
    assert len(calls) == n_calls > 0


def test_a_folder_that_is_deleted_meanwhile(make, everyone, tmp_path, monkeypatch):
    """It is an error, with what is done: what is written to it would be lost without a word."""
    monkeypatch.setattr(_journal, "SYNC_SECONDS", 0.0)

    class Delete(Stop):
        def update(self, report):
            if report.n_done == 1:
                shutil.rmtree(tmp_path / "fit", ignore_errors=True)

    fitter = make(best_of=2)
    with pytest.raises(FileNotFoundError, match="was deleted or moved") as failure:
        fitter.fit_subjects(everyone, checkpoint=tmp_path / "fit", watchers=[Delete()])
    assert len(failure.value.result["fitness"]) >= 1
    assert not any("goes on from there" in note for note in failure.value.__notes__)


def test_runs_of_another_manifest_are_refused(make, everyone, tmp_path):
    """Where the manifest was deleted: each file says which it belongs to."""
    make().fit_subjects(everyone, checkpoint=tmp_path)
    (tmp_path / "run.json").unlink()
    with pytest.raises(CheckpointMismatch, match="another fit than"):
        make(num_steps=4).fit_subjects(everyone, checkpoint=tmp_path)


def test_what_others_add_meanwhile_is_checked(make, everyone, tmp_path):
    """Two fits that start at the same moment, one with another loss: neither takes the other's."""

    class Intrude(Stop):
        def update(self, report):
            if self.left:
                self.left = 0
                make(loss=OtherBowl).fit_subjects(everyone, checkpoint=tmp_path)

    with pytest.raises(CheckpointMismatch, match="estimates of a run"):
        make().fit_subjects(everyone, checkpoint=tmp_path, watchers=[Intrude(1)])


def test_damaged_folders(make, everyone, tmp_path, calls):
    """Damaged lines cost their runs, and are counted; a damaged manifest is an error."""
    make().fit_subjects(everyone, checkpoint=tmp_path)
    [journal] = (tmp_path / "runs").glob("*.jsonl")
    text = journal.read_bytes()
    journal.write_bytes(text[:-30])
    calls.clear()
    with pytest.warns(UserWarning, match="1 damaged or unfinished line"):
        make().fit_subjects(everyone, checkpoint=tmp_path)
    assert len(calls) == 1
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(CheckpointMismatch, match="cannot be read"):
        make().fit_subjects(everyone, checkpoint=tmp_path)


def test_long_runs_keep_their_population(make, everyone, tmp_path, monkeypatch):
    """A pooled run goes on from it, to the same result; a damaged or foreign one is left aside."""
    monkeypatch.setattr(_states, "SAVE_SECONDS", 0.0)
    fitter = make(num_steps=60, relative_tolerance=0.0)
    whole = fitter.fit(everyone)

    for damage in (None, b"", b"PK\x03\x04garbage"):
        folder = tmp_path / str(damage and len(damage))
        with pytest.raises(FitInterrupted):
            fitter.fit(everyone, checkpoint=folder, watchers=[Stop(generation=20)])
        [saved] = folder.rglob("*.npz")
        if damage is not None:
            saved.write_bytes(damage)
        generations = Generations()
        result = fitter.fit(everyone, checkpoint=folder, watchers=[generations])
        assert without_times(result) == without_times(whole)
        assert (generations.seen[0] > 20) == (damage is None)
        assert not list(folder.rglob("*.npz"))


def test_a_population_of_another_loss_is_left_aside(make, everyone, tmp_path, monkeypatch):
    """No run has finished, so no record tells: the saved losses do."""
    monkeypatch.setattr(_states, "SAVE_SECONDS", 0.0)

    long = {"num_steps": 60, "relative_tolerance": 0.0}
    with pytest.raises(FitInterrupted):
        make(**long).fit(everyone, checkpoint=tmp_path, watchers=[Stop(generation=10)])
    assert list(tmp_path.rglob("*.npz"))
    result = make(**long, loss=OtherBowl).fit(everyone, checkpoint=tmp_path)
    assert without_times(result) == without_times(make(**long, loss=OtherBowl).fit(everyone))


# Parts


def test_parts_divide_the_fits():
    """Each takes its share first, then a share of what is missing; together they make all, and each
    ends with all."""
    runs = [Run(subject, "", n, np.zeros(1, int)) for subject in range(7) for n in range(2)]
    records = [None] * len(runs)
    first = {k: next(shares_of(runs, records, (k, 3))) for k in (1, 2, 3)}
    assert sorted(i for share in first.values() for i in share) == list(range(14))
    assert {runs[i].subject for i in first[1]} == {0, 3, 6}
    made = []
    for share in shares_of(runs, records, (2, 3)):  # while no other part runs
        made += share
        for i in share:
            records[i] = {}
    assert sorted(made) == list(range(14))


def test_parts_of_a_single_fit_are_runs():
    runs = [Run(-1, "", n, np.zeros(1, int)) for n in range(5)]
    assert next(shares_of(runs, [None] * 5, (2, 2))) == [1, 3]


def test_every_part_returns_the_whole(make, everyone, tmp_path, calls):
    """One after the other, none makes a run of another again."""
    whole = make(best_of=2).fit_subjects(everyone)
    calls.clear()
    for part in ("1/3", "3/3", "2/3"):
        result = make(best_of=2).fit_subjects(everyone, part=part, checkpoint=tmp_path)
        assert without_times(result) == without_times(whole)
    assert len(calls) == 8


@pytest.mark.parametrize("part", ["0/3", "4/3", "3", "a/b", "1/2/3", "-1/3", "", 3, (1, 3), "²/3"])
def test_parts_are_checked(part):
    with pytest.raises(ValueError, match="part must be"):
        as_part(part, "folder")


def test_a_part_needs_a_folder(make, everyone):
    with pytest.raises(ValueError, match="checkpoint"):
        make().fit_subjects(everyone, part="1/2")


# Fits of other trials


def test_fits_of_any_rows(make, everyone, tmp_path, calls):
    """Folds, or draws with repeats, each under its name; another draw under a name is refused. The
    lowest loss of a bowl is its number of trials."""
    fitter = make(num_steps=40, best_of=1)
    start = np.array([0.3, 5.0])
    draws = [[0, 1, 1, 1], [4, 5], [2, 2]]
    fits = [Fit(3, np.array(rows), f"draw {i}", [start]) for i, rows in enumerate(draws)]
    records = fitter.make_runs(fits, checkpoint=tmp_path)
    assert [[run["run"] for run in of_fit] for of_fit in records] == [[0, -1]] * 3
    lows = [min(run["loss"] for run in of_fit) for of_fit in records]
    assert np.all(np.array(lows) >= [4, 2, 2])
    calls.clear()
    assert fitter.make_runs(fits, checkpoint=tmp_path) == records and not calls
    other = [fits[0]._replace(rows=np.array([7, 8, 8, 8])), *fits[1:]]
    with pytest.raises(CheckpointMismatch, match="draw 0"):
        fitter.make_runs(other, checkpoint=tmp_path)


def test_fits_of_one_subject_need_names(make):
    fits = [Fit(3, np.array([0, 1]), "a"), Fit(3, np.array([2]), "a")]
    with pytest.raises(ValueError, match="names of their own"):
        make().make_runs(fits)


def test_no_runs_at_all(make, everyone):
    with pytest.raises(ValueError, match="best_of is 0"):
        make(best_of=0).fit(everyone)


# Workers


class Shuffled(Executor):
    """Runs the tasks in this thread, in another order, and each of them twice."""

    def __init__(self):
        self.tasks, self.rng = [], random.Random(1)

    def submit(self, function, *arguments):
        future = Future()
        self.tasks.append((future, function, arguments))
        if len(self.tasks) == 4:  # as many as there are subjects
            self.rng.shuffle(self.tasks)
            for each, function, arguments in self.tasks:
                function(*pickle.loads(pickle.dumps(arguments)))
                each.set_result(function(*pickle.loads(pickle.dumps(arguments))))
        return future


def test_workers_change_no_bit(make, everyone, tmp_path):
    """Blocks in any order, made more than once; with a folder, nothing is left to do after."""
    fitter = make(best_of=2)
    whole = fitter.fit_subjects(everyone)
    result = fitter.fit_subjects(everyone, workers=Shuffled(), checkpoint=tmp_path)
    assert without_times(result) == without_times(whole)

    class NotNeeded(Executor):
        def submit(self, function, *arguments):
            raise AssertionError("there is nothing to do")

    again = fitter.fit_subjects(everyone, workers=NotNeeded(), checkpoint=tmp_path)
    assert without_times(again) == without_times(whole)


def test_workers_are_checked(make, everyone):
    with pytest.raises(ValueError, match=r"concurrent\.futures\.Executor"):
        make().fit_subjects(everyone, workers=4)


def test_an_error_in_a_worker_keeps_what_is_done(make, everyone, tmp_path, calls):
    """Its kind and message arrive; the finished runs are in the folder."""

    class Fails(Executor):
        n_done = 0

        def submit(self, function, *arguments):
            future = Future()
            if self.n_done == 2:
                future.set_exception(MemoryError("too little"))
            else:
                future.set_result(function(*arguments))
                self.n_done += 1
            return future

    with pytest.raises(MemoryError, match="too little") as failure:
        make().fit_subjects(everyone, workers=Fails(), checkpoint=tmp_path)
    assert any("goes on from there" in note for note in failure.value.__notes__)
    calls.clear()
    make().fit_subjects(everyone, checkpoint=tmp_path)
    assert len(calls) == 2


def test_warnings_are_not_noise(make, everyone, tmp_path):
    """A fit that goes on in the same place says nothing."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(2):
            make().fit_subjects(everyone, checkpoint=tmp_path)
    assert not told
    manifest = json.loads((tmp_path / "run.json").read_text())
    assert manifest["search"]["num_steps"] == 3
