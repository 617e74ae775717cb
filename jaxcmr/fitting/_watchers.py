"""Watchers follow a fit while it runs: progress bars, printing, journals.

A watcher has two methods: ``update(report)``, called after every chunk of generations of a run, and
``close()``, called once when the fit ends, also by an error. Watchers are plain Python, called
between compiled programs: they may print, write files, or raise KeyboardInterrupt to stop the fit.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tqdm import tqdm

from jaxcmr.optimize import State
from jaxcmr.typing import Subject

__all__ = [
    "PrintedIterations",
    "ProgressBar",
    "RunReport",
    "Watcher",
    "default_watchers",
    "make_bar",
]


@dataclass(frozen=True)
class RunReport:
    """The state of one run of one fit after a chunk of generations."""

    subject: Subject
    """Its subject, -1 in a pooled fit."""
    run: int
    """Its number among the runs of the subject, from 0."""
    generation: int
    """Generations so far."""
    loss: float
    """Lowest loss so far."""
    seconds: float
    """Seconds spent on the run so far."""
    state: State | None
    """The population, from which the search can continue; None once the run has finished."""
    record: Mapping[str, Any] | None
    """The run's entry in ``result["runs"]``, once it has finished."""
    n_done: int
    """Fits whose runs have all finished."""
    n_fits: int
    """Fits in all."""


class Watcher(Protocol):
    """Follows a fit; see the head of this file."""

    def update(self, report: RunReport) -> None:
        """Follow a report."""

    def close(self) -> None:
        """The fit has ended."""


class ProgressBar:
    """A live bar: subjects done, and generation and loss of the run that reported last.

    Args:
        n_fits: fits in all.
        n_done: those that a checkpoint held.
    """

    def __init__(self, n_fits: int, n_done: int = 0) -> None:
        self.bar = make_bar(n_fits, "Fitting", "subject")
        self.bar.update(n_done)

    def update(self, report: RunReport) -> None:
        """Show a report."""
        shown = {
            "subject": report.subject,
            "generation": report.generation,
            "loss of the run": f"{report.loss:.5g}",
        }
        self.bar.set_postfix(shown, refresh=False)
        self.bar.update(report.n_done - self.bar.n)
        self.bar.refresh()

    def close(self) -> None:
        """Leave the bar as it is."""
        self.bar.close()


class PrintedIterations:
    """A line for each report."""

    def update(self, report: RunReport) -> None:
        """Print a report."""
        print(
            f"subject={report.subject} run={report.run} step {report.generation}: "
            f"f(x)= {report.loss}"
        )

    def close(self) -> None:
        """Do nothing."""


def make_bar(total: int | None, what: str, unit: str, shown: bool = True) -> tqdm[Any]:
    """Return a progress bar; one that is not `shown`, or has no stderr, stays silent."""
    return tqdm(total=total, desc=what, unit=unit, disable=not shown or sys.stderr is None)


def default_watchers(
    hyperparameters: Mapping[str, Any], n_fits: int, n_done: int = 0
) -> list[Watcher]:
    """Return the watchers that hyperparameters ask for. There is no bar without a stderr.

    Args:
        hyperparameters: of the fitter.
        n_fits: fits in all.
        n_done: those that a checkpoint held.
    """
    watchers: list[Watcher] = []
    if hyperparameters["progress_bar"] and sys.stderr is not None:
        watchers.append(ProgressBar(n_fits, n_done))
    if hyperparameters["display_iterations"]:
        watchers.append(PrintedIterations())
    return watchers
