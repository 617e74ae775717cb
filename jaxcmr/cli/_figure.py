"""The figure of a fit: observed and simulated serial position curve."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jaxcmr.analyses import serial_position_curve
from jaxcmr.fitting import FitProblem
from jaxcmr.names import find_named
from jaxcmr.results import FitResult
from jaxcmr.simulation import simulate_dataset
from jaxcmr.typing import TrialMask

__all__ = ["save_spc_figure"]

N_COPIES = 20  # simulated recalls of each trial in the figure


def save_spc_figure(
    problem: FitProblem, trial_mask: TrialMask, result: FitResult, path: Path
) -> None:
    """Draw the observed serial position curve and that of the fitted model, as a PNG.

    Args:
        problem: data and model.
        trial_mask: (trials,) boolean; trials to draw.
        result: the estimates. The simulation has the seed of the fit.
        path: the file to write.

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
