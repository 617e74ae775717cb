"""The figure of a fit: observed and simulated serial position curve."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from pathlib import Path
from threading import Thread

import numpy as np

from jaxcmr.analyses import serial_position_curve
from jaxcmr.fitting import FitProblem, RunReport
from jaxcmr.names import find_named
from jaxcmr.results import FitResult
from jaxcmr.simulation import simulate_dataset
from jaxcmr.typing import TrialMask

__all__ = ["FigureWarmUp", "save_spc_figure"]

N_COPIES = 20  # simulated recalls of each trial in the figure
FEW = 10_000  # simulated recalls that take little time next to compiling their program


def save_spc_figure(
    problem: FitProblem, trial_mask: TrialMask, result: FitResult, path: Path | BytesIO
) -> None:
    """Draw the observed serial position curve and that of the fitted model, as a PNG.

    Args:
        problem: data and model.
        trial_mask: (trials,) boolean; trials to draw.
        result: the estimates. The simulation has the seed of the fit.
        path: the file to write, or a buffer.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    data = problem.dataset
    simulated = simulate_dataset(
        find_named("model", problem.model),
        data,
        result,
        features=problem.features,
        trial_mask=trial_mask,
        n_copies=N_COPIES,
        seed=result["hyperparameters"]["seed"],
    )
    observed = {name: data[name][trial_mask] for name in ("recalls", "listLength")}
    figure = Figure(figsize=(5, 3.5), layout="constrained")
    axes = figure.subplots()
    for recalled, label, style in ((observed, "Observed", "o-k"), (simulated, "Model", "s--C0")):
        curve = np.asarray(serial_position_curve(recalled["recalls"], recalled["listLength"]))
        axes.plot(np.arange(1, len(curve) + 1), curve, style, label=label, markersize=4)
    n_subjects = len(np.unique(problem.subjects[trial_mask]))
    axes.set(
        xlabel="Serial position",
        ylabel="Recall probability",
        ylim=(0, 1),
        title=f"{result['model']}: {n_subjects} subject{'s' if n_subjects > 1 else ''}, "
        f"{trial_mask.sum()} lists",
    )
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


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
            save_spc_figure(self.problem, self.trial_mask, result, BytesIO())
