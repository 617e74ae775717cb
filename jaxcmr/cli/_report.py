"""What a run shows: a table of estimates and a serial position curve."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxcmr.analyses import serial_position_curve
from jaxcmr.simulation import simulate_dataset
from jaxcmr.typing import FitResult, RecallDataset, TrialMask

__all__ = ["format_table", "save_spc_figure"]

N_COPIES = 20  # simulated recalls of each trial in the figure


FITNESS_NAMES = {
    "sequence_likelihood": "NLL",
    "set_likelihood": "NLL",
    "confusable_likelihood": "NLL",
    "spc_mse": "MSE",
    "category_spc_mse": "MSE",
    "summary_mse": "MSE",
}


def format_table(result: FitResult, loss: str, width: int | None = None) -> str:
    """One row per fit: subject, fitness (by the name it has for `loss`), parameters, converged.

    Columns that do not fit into `width` characters (the terminal's, by default) go into further
    blocks of rows below, each beginning with the subject.
    """
    fits = result["fits"]
    columns = {FITNESS_NAMES.get(loss, "fitness"): [f"{value:.2f}" for value in result["fitness"]]}
    for name in fits:
        if name != "subject":
            columns[name] = [f"{value:.4g}" for value in fits[name]]
    columns["converged"] = ["yes" if converged else "no" for converged in result["converged"]]
    subject = _column("subject", [str(subject) for subject in fits["subject"]])
    width = width or shutil.get_terminal_size((100, 24)).columns
    blocks = [[subject]]
    for name, cells in columns.items():
        column = _column(name, cells)
        if sum(len(c[0]) + 2 for c in blocks[-1]) + len(column[0]) > width:
            blocks.append([subject])
        blocks[-1].append(column)
    return "\n\n".join(
        "\n".join("  ".join(row) for row in zip(*block, strict=True)) for block in blocks
    )


def _column(name: str, cells: list[str]) -> list[str]:
    width = max(map(len, [name, *cells]))
    return [cell.rjust(width) for cell in [name, *cells]]


def save_spc_figure(
    model_factory: Callable[..., Any],
    data: RecallDataset,
    features: Any,
    trial_mask: TrialMask,
    fits: Mapping[str, Any],
    path: Path,
) -> None:
    """Observed and model serial position curve of the trials in `trial_mask`, as a PNG.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    simulated = simulate_dataset(
        model_factory, data, fits, features=features, trial_mask=trial_mask, n_copies=N_COPIES
    )
    observed = {name: data[name][trial_mask] for name in ("recalls", "listLength")}
    figure = Figure(figsize=(5, 3.5), layout="constrained")
    axes = figure.subplots()
    for recalled, label, style in ((observed, "Observed", "o-k"), (simulated, "Model", "s--C0")):
        curve = np.asarray(serial_position_curve(recalled["recalls"], recalled["listLength"]))
        axes.plot(np.arange(1, len(curve) + 1), curve, style, label=label, markersize=4)
    n_subjects = len(fits["subject"])
    axes.set(
        xlabel="Serial position",
        ylabel="Recall probability",
        ylim=(0, 1),
        title=f"{n_subjects} subject{'s' if n_subjects > 1 else ''}, {trial_mask.sum()} lists",
    )
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
