"""Watchers that stop a fit or follow it, the runs that it makes, and its result without times."""

import pytest

from jaxcmr.fitting._fitter import Fitter


@pytest.fixture
def calls(monkeypatch):
    """A list that grows by subject and number of each run that is finished in this process."""
    made = []
    record = Fitter._record

    def note(self, run, lane):
        made.append((run.subject, run.number))
        return record(self, run, lane)

    monkeypatch.setattr(Fitter, "_record", note)
    return made


class Stop:
    """A watcher that interrupts a fit.

    Args:
        after: so many runs have finished.
        generation: a run has reached this generation.
    """

    def __init__(self, after=10**9, generation=10**9):
        self.left, self.generation = after, generation

    def update(self, report):
        self.left -= report.record is not None
        if self.left <= 0 or report.generation >= self.generation:
            raise KeyboardInterrupt

    def close(self):
        pass


class Generations:
    """A watcher that notes the generation of each report."""

    def __init__(self):
        self.seen = []

    def update(self, report):
        self.seen.append(report.generation)

    def close(self):
        pass


def without_times(result):
    """Return a result without what differs from call to call."""
    runs = [[{**run, "seconds": 0} for run in of_fit] for of_fit in result["runs"]]
    return {**result, "runs": runs, "fit_time": 0}
