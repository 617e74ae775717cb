"""A watcher sees every run of a fit, changes nothing, and may stop the fit for later."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from jaxcmr.fitting import FitInterrupted, ScipyDE
from jaxcmr.fitting._watchers import default_watchers
from jaxcmr.optimize import _program
from jaxcmr.simulation import simulate_dataset

TWO_RUNS = {"num_steps": 12, "best_of": 2}


class Listener:
    """Keeps the reports; raises an error after a number of them."""

    def __init__(self, after=None, error=KeyboardInterrupt):
        self.reports, self.closed, self.after, self.error = [], 0, after, error

    def update(self, report):
        self.reports.append(report)
        if len(self.reports) == self.after:
            raise self.error

    def close(self):
        self.closed += 1


def estimates(result):
    """Everything a fit found, without its seconds."""
    runs = [[{**run, "seconds": 0} for run in of_fit] for of_fit in result["runs"]]
    return {**result, "runs": runs, "fit_time": 0}


def test_every_run_is_reported_to_its_end(make, fitter_class, everyone):
    """With its record, which is the one in the result; and the watcher is closed once. Without a
    watcher the result is the same."""
    listener = Listener()
    fitter = make(fitter_class, **TWO_RUNS)
    result = fitter.fit_subjects(everyone, watchers=[listener])
    assert listener.closed == 1
    ended = {(r.subject, r.run): r for r in listener.reports if r.record is not None}
    assert set(ended) == {(s, run) for s in [3, 7, 8, 20] for run in (0, 1)}
    for subject, of_fit in zip(result["fits"]["subject"], result["runs"], strict=True):
        for run in of_fit:
            assert ended[subject, run["run"]].record == run
            assert run["loss"] == ended[subject, run["run"]].loss
    assert max(report.n_done for report in listener.reports) == 4
    assert all(report.n_fits == 4 and report.seconds >= 0 for report in listener.reports)
    assert estimates(fitter.fit_subjects(everyone)) == estimates(result)


def test_a_subject_that_cannot_be_fitted_keeps_those_that_were(small_data, parameters, everyone):
    """CMR rules out repeated recalls: the fit ends, and the error holds the fits of the others."""
    recalls = small_data["recalls"].copy()
    recalls[-6:, :2] = 1  # subject 20 recalls an item twice
    data = {**small_data, "recalls": recalls}
    options = {"bounds": {"encoding_drift_rate": [0.0, 1.0]}, "num_steps": 2, "polish": False}
    options["progress_bar"] = False
    fitter = ScipyDE(data, None, parameters, "cmr", "sequence_likelihood", options)
    with pytest.raises(ValueError, match="subject 20") as stop:
        fitter.fit_subjects(everyone)
    assert stop.value.result["fits"]["subject"] == [3, 7, 8] and stop.value.result["interrupted"]
    assert "3 fit(s)" in stop.value.__notes__[0]


def test_a_watcher_that_fails_to_close(make, everyone):
    """Its error keeps the fits, and other watchers are closed all the same."""

    class Broken(Listener):
        def close(self):
            raise OSError("disk full")

    last = Listener()
    with pytest.raises(OSError, match="disk full") as stop:
        make().fit_subjects(everyone, watchers=[last, Broken()])
    assert last.closed == 1 and len(stop.value.result["fitness"]) == 4


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_watcher_may_stop_a_fit(make, everyone, error):
    """It is closed all the same, and so are the others."""
    first, second = Listener(), Listener(after=3, error=error)
    with pytest.raises(FitInterrupted if error is KeyboardInterrupt else error):
        make().fit_subjects(everyone, watchers=[first, second])
    assert first.closed == second.closed == 1 and len(second.reports) == 3


def test_a_stopped_fit_continues_where_it_was(make, everyone, monkeypatch):
    """States from the reports of a stopped fit, handed in again: the result is that of a fit that
    was never stopped, bit for bit. Catches a state that misses its random key or its generation."""
    settings = {**TWO_RUNS, "relative_tolerance": 0.0}
    fitter = make(**settings)
    whole = fitter.fit_subjects(everyone)
    monkeypatch.setattr(_program, "CHUNK_SECONDS", 0.0)  # a report after each generation
    listener = Listener(after=40)
    with pytest.raises(FitInterrupted):
        fitter.fit_subjects(everyone, watchers=[listener])
    states = {(r.subject, r.run): r.state for r in listener.reports if r.state is not None}
    assert any(r.generation > 3 for r in listener.reports) and states
    resumed = Listener()
    again = fitter.fit_subjects(everyone, states=states, watchers=[resumed])
    assert estimates(again) == estimates(whole)
    begun = {(r.subject, r.run): r.generation for r in reversed(resumed.reports)}
    assert any(begun[key] > 2 for key in states)
    with pytest.raises(ValueError, match="ScipyDE cannot"):
        make(ScipyDE, **settings).fit_subjects(everyone, states=states)


def test_a_pool_of_the_users_own(make, everyone):
    """Used, and left open."""
    names = set()

    class Pool(ThreadPoolExecutor):
        def submit(self, function, *arguments):
            names.add(getattr(function, "__name__", type(function).__name__))
            return super().submit(function, *arguments)

    with Pool(1) as pool:
        result = make().fit_subjects(everyone, pool=pool)
        assert names and pool.submit(int, 3).result() == 3
    assert estimates(result) == estimates(make().fit_subjects(everyone))


def test_without_a_stderr_there_is_no_bar(make, everyone, monkeypatch):
    """As under pythonw, or in a windowed program."""
    monkeypatch.setattr(sys, "stderr", None)
    assert len(make(progress_bar=True).fit_subjects(everyone)["fitness"]) == 4


def test_a_bar_begins_with_what_is_done(capsys):
    """Catches a bar that ends at 0 % where nothing was left to do."""
    [bar] = default_watchers({"progress_bar": True, "display_iterations": False}, 4, 4)
    bar.close()
    assert "100%" in capsys.readouterr().err


def test_a_subject_may_have_the_id_of_pooled_fits(make, small_data, parameters, everyone):
    """Only what was fitted as pooled is pooled: the estimates of a subject -1 are its own."""
    subjects = np.where(small_data["subject"] == 3, -1, small_data["subject"])
    data = {**small_data, "subject": subjects}
    fitter = make(data=data)
    one = fitter.fit_subjects(subjects[:, 0] == -1)
    assert one["fits"]["subject"] == [-1] and not one["pooled"]
    assert not fitter.fit_subjects(everyone)["pooled"] and fitter.fit(everyone)["pooled"]
    with pytest.raises(ValueError, match="no estimates for subject"):
        fitter.fit_subjects(everyone, start_from=one)
    of_cmr = {**one, "fits": {**{k: [v] for k, v in parameters.items()}, **one["fits"]}}
    with pytest.raises(ValueError, match="No parameters for subject"):
        simulate_dataset("cmr", data, of_cmr)
    with pytest.raises(ValueError, match=r"whole number or a name; got 3\.5"):
        fitter.fit(everyone, 3.5)


def test_a_pooled_fit_of_several_subjects_says_so(make, capsys, small_data, everyone):
    """In a line; not where there is one subject, or nothing is to be shown."""
    shown = make(progress_bar=True)
    shown.fit(everyone)
    assert "one parameter set for 20 trials of 4 subjects" in capsys.readouterr().out
    shown.fit(small_data["subject"][:, 0] == 3, 3)
    make().fit(everyone)
    assert capsys.readouterr().out == ""
