"""The figure of a fit: three curves of the data and of the fitted model."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np

from jaxcmr._result_words import count_of
from jaxcmr.datasets import select_trials
from jaxcmr.fitting import FitProblem, RunReport
from jaxcmr.front import CUT_OFF, simulate_problem
from jaxcmr.plots import plot_fit
from jaxcmr.results import FitResult
from jaxcmr.typing import RecallDataset, TrialMask

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FigureWarmUp", "make_fit_figure", "note_cut", "save_fit_figure"]

N_COPIES = 20  # simulated recalls of each trial in the figure
FEW = 10_000  # simulated recalls that take little time next to compiling their program


def save_fit_figure(
    problem: FitProblem, trial_mask: TrialMask, result: FitResult, path: Path | BytesIO
) -> None:
    """Draw first recalls, lag-CRP and serial position curve of data and model, as a PNG.

    Args:
        problem: data and model.
        trial_mask: (trials,) boolean; trials to draw.
        result: the estimates. The simulation has the seed of the fit.
        path: the file to write, or a buffer.

    Raises:
        ImportError: matplotlib is not installed.
    """
    seed = result["hyperparameters"]["seed"]
    simulated = simulate_problem(problem, result, trial_mask, n_copies=N_COPIES, seed=seed)
    data = select_trials(problem.dataset, trial_mask)
    figure = make_fit_figure(data, simulated, str(result["model"] or "model"))
    note_cut(figure, problem)
    figure.savefig(path, dpi=150)


def make_fit_figure(data: RecallDataset, simulated: RecallDataset, name: str) -> Figure:
    """Return the figure of three curves of data and model, with a title that counts both.

    Args:
        data: the trials that were simulated.
        simulated: their copies.
        name: of the model.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 3.3), layout="constrained")
    plot_fit(data, {name: simulated}, ax=figure.subplots(1, 3))
    n_lists, n_subjects = len(data["recalls"]), len(np.unique(data["subject"]))
    n_copies = len(simulated["recalls"]) // n_lists
    bars = ", 95 % intervals over subjects" if n_subjects > 1 else ""
    figure.suptitle(
        f"{name}: {count_of(n_subjects, 'subject')}, {count_of(n_lists, 'list')}"
        f"{bars}; model: {count_of(n_copies, 'recall')} of each list",
        fontsize=10,
    )
    return figure


def note_cut(figure: Figure, problem: FitProblem) -> None:
    """Write below a figure that its simulated lists are cut off, if the loss has them so."""
    if problem.count_given_recalls() is not None:
        figure.supxlabel(CUT_OFF, fontsize=8)


class FigureWarmUp:
    """Compiles and imports what the figure takes, beside the searches: a watcher of the fit.

    It draws the figure of a guess, and drops it. It begins at the first report: before, the search
    itself is being compiled, and the figure would take a core from that. Figures of many trials are
    not warmed up: theirs end long fits, and take long to simulate.
    """

    def __init__(self, problem: FitProblem, trial_mask: TrialMask) -> None:
        self.problem, self.trial_mask = problem, trial_mask
        self.thread: Thread | None = None

    def update(self, report: RunReport) -> None:
        """Begin, at the first report."""
        if self.thread is None and self.trial_mask.sum() * N_COPIES <= FEW:
            self.thread = Thread(target=self.draw)
            self.thread.start()

    def close(self) -> None:
        """Do nothing: the fit need not wait for the figure."""

    def wait(self) -> None:
        """Wait until the figure of the guess is done."""
        if self.thread is not None:
            self.thread.join()

    def draw(self) -> None:
        """Draw the figure of the middle of the bounds."""
        subjects = np.unique(self.problem.subjects[self.trial_mask]).tolist()
        middle = {name: (low + high) / 2 for name, (low, high) in self.problem.bounds.items()}
        guess = {**self.problem.fixed, **middle, "subject": subjects}
        fits = {name: np.broadcast_to(v, len(subjects)).tolist() for name, v in guess.items()}
        result = FitResult(fits=fits, model="guess", hyperparameters={"seed": 0})
        with suppress(Exception):  # the figure itself meets it again, and it is raised there
            save_fit_figure(self.problem, self.trial_mask, result, BytesIO())
