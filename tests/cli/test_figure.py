"""The figure's programs are compiled while the fit goes on."""

import jax
import numpy as np
import pytest

from jaxcmr.cli import _figure
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


def test_lists_are_cut_where_the_loss_takes_their_length_as_given(
    small_data, tmp_path, monkeypatch
):
    """The figure compares lists of the same length, and says so; without stopping the model would
    recall all items."""
    pytest.importorskip("matplotlib")
    drawn, made = [], _figure.make_fit_figure

    def keep(data, simulated, name):
        drawn.append((data, simulated, made(data, simulated, name)))
        return drawn[0][-1]

    monkeypatch.setattr(_figure, "make_fit_figure", keep)
    options = {"events": "recalls"}
    problem = FitProblem(small_data, "cmr", "sequence_likelihood", loss_options=options)
    middle = {name: [(low + high) / 2] * 2 for name, (low, high) in problem.bounds.items()}
    never_stop = {"stop_probability_scale": [0.0] * 2, "subject": [3, 7]}
    result = FitResult(fits={**middle, **never_stop}, model="cmr", hyperparameters={"seed": 1})
    save_fit_figure(problem, np.isin(problem.subjects, [3, 7]), result, tmp_path / "fit.png")
    [(data, simulated, figure)] = drawn
    expected = np.tile((data["recalls"] > 0).sum(1), 20)
    np.testing.assert_array_equal((simulated["recalls"] > 0).sum(1), expected)
    assert "cut off" in figure.get_supxlabel()
