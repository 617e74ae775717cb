"""The figure's programs are compiled while the fit goes on."""

import jax
import numpy as np
import pytest

from jaxcmr.cli._figure import FigureWarmUp, save_fit_figure
from jaxcmr.fitting import FitProblem
from jaxcmr.results import FitResult

compiled = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, seconds, **_: compiled.append(event) if "backend_compile" in event else None
)


def test_the_warm_up_compiles_all_that_the_figure_takes(small_data, tmp_path):
    """Once, at the first report. Otherwise it would cost time, and save none."""
    pytest.importorskip("matplotlib")
    problem = FitProblem(small_data, "cmr", "sequence_likelihood")
    mask = np.isin(problem.subjects, [3, 7])
    warm_up = FigureWarmUp(problem, mask)
    for _ in range(2):
        warm_up.update(None)
    warm_up.wait()
    before = len(compiled)
    fits = {name: [high, high] for name, (_, high) in problem.bounds.items()}
    result = FitResult(fits={**fits, "subject": [3, 7]}, model="cmr", hyperparameters={"seed": 1})
    save_fit_figure(problem, mask, result, tmp_path / "fit.png")
    assert 0 < before == len(compiled)
