"""Figures of a result alone: estimates between their bounds, and the runs of a fit."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from jaxcmr.plots import (
    parameters_table,
    plot_parameters,
    plot_restart_estimates,
    plot_restarts,
    restarts_table,
)
from jaxcmr.results import FitResult

LOSSES = {3: [7.5, 7.0, 7.02, np.inf, 7.06, 9.0], 7: [5.0, 5.0, 5.0, 5.0, 5.0, 5.0]}
"""Of six runs of each subject. The third lowest of subject 3 is 0.04 above the second."""


def make_run(number, loss, subject):
    """Return a run that ended at a drift of 0.1 and a strength of 1 per number."""
    on_bound = {"strength": "lower"} if number == 0 else {}
    return {
        "run": number,
        "loss": loss,
        "scale": {"drift": "linear", "strength": ["log", "half-log"][number % 2]},
        "estimates": {"drift": 0.1 * number, "strength": 1.0 * number},
        "at_bound": on_bound,
        "subject": subject,
    }


@pytest.fixture
def result():
    """Two subjects with a linear and a logarithmic parameter; of 3 the best is run 1."""
    return FitResult(
        fits={"drift": [0.1, 0.0], "strength": [1.0, 0.0], "fixed": [2.0, 2.0], "subject": [3, 7]},
        free={"drift": [0.0, 1.0], "strength": [0.0, 100.0]},
        fixed={"fixed": 2.0},
        fitness=[7.0, 5.0],
        runs=[[make_run(i, v, s) for i, v in enumerate(LOSSES[s])] for s in LOSSES],
        agree_within=0.05,
        loss_label="NLL",
        model=None,
    )


def log_place(value):
    """Return the place of a value between 0 and 100 on a scale of four decades."""
    return np.log10(1 + value / 100 * (1e4 - 1)) / 4


def test_a_logarithmic_scale_has_ticks_at_its_decades(result):
    """Four below the upper bound of 100; what is smaller is at the left of the last one."""
    ax = plot_parameters(result, ax=Figure().subplots())
    ticks = {text.get_text(): text.xy[0] for text in ax.texts if text.get_fontsize() == 6}
    assert list(ticks) == ["10", "1", "0.1", "0.01"]
    np.testing.assert_allclose(list(ticks.values()), [log_place(float(each)) for each in ticks])
    assert 0.05 < ticks["0.01"] < 0.1


def test_the_place_of_an_estimate_is_on_the_scale_of_its_parameter(result):
    """Fixed parameters have no place. A bound counts where the result says so."""
    table = parameters_table(result)
    assert table["parameter"].tolist() == ["drift", "strength"] * 2
    assert table["subject"].tolist() == [3, 3, 7, 7]
    np.testing.assert_allclose(table["place"], [0.1, log_place(1.0), 0.0, 0.0], atol=1e-12)
    assert table["scale"].tolist() == ["linear", "log"] * 2
    assert table["at_bound"].tolist() == ["", "", "", "lower"]


def test_scales_are_those_the_model_declares(result):
    """The search may have used others, so that estimates near a bound could not be told apart."""
    result["free"] = {"learning_rate": [0.0, 1.0], "item_support": [0.0, 100.0]}
    result["fits"] = {"learning_rate": [0.25], "item_support": [1.0], "subject": [3]}
    result.update(fitness=[7.0], model="cmr", runs=None)
    table = parameters_table(result)
    assert table["scale"].tolist() == ["linear", "log"]
    np.testing.assert_allclose(table["place"], [0.25, log_place(1.0)])


def test_runs_are_in_one_basin_while_their_losses_are_close(result):
    """7.06 is more than 0.05 above the best, but not above the run before it; a run without a
    finite loss has no basin."""
    table = restarts_table(result, 3)
    assert table["run"].tolist() == [1, 2, 4, 0, 5, 3]
    assert table["basin"].tolist() == [1, 1, 1, 2, 3, pd.NA]
    np.testing.assert_allclose(table["above_best"], [0, 0.02, 0.06, 0.5, 2, np.nan], atol=1e-9)
    np.testing.assert_allclose(table["drift"], [0.1, 0.2, 0.4, 0.0, 0.5, 0.3], atol=1e-12)
    assert restarts_table(result, 3, within=0.03)["basin"].tolist() == [1, 1, 2, 3, 4, pd.NA]
    assert restarts_table(result)["subject"].tolist() == [3] * 6 + [7] * 6


def test_errors_say_whose_runs_there_are(result):
    with pytest.raises(ValueError, match=r"Subject 4 was not fitted; the fits are of \[3, 7\]"):
        restarts_table(result, 4)
    with pytest.raises(ValueError, match=r"give subject, one of \[3, 7\]"):
        plot_restart_estimates(result)
    with pytest.raises(ValueError, match="were not kept"):
        plot_restarts({**result, "runs": None})


def test_the_figures_show_their_tables(result):
    """Axes that are handed in are drawn into and returned."""
    ax = Figure().subplots()
    assert plot_restarts(result, 3, ax=ax) is ax
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["within 0.05 of the best", "best: 3 runs", "+0.5: 1 run", "+2: 1 run"]
    np.testing.assert_allclose(ax.lines[0].get_ydata()[:5], [0, 0.02, 0.06, 0.5, 2], atol=1e-9)
    of_all = plot_restarts(result, ax=Figure().subplots())
    np.testing.assert_allclose(of_all.lines[-1].get_ydata()[:2], [0, 0.01], atol=1e-9)  # median
    lines = plot_restart_estimates(result, 3, ax=Figure().subplots()).lines
    assert len(lines) == 5  # without the run that has no finite loss
    np.testing.assert_allclose(lines[-1].get_ydata()[0], 0.4, atol=1e-12)
    rows = plot_parameters(result, ax=Figure().subplots())
    names = [label.get_text() for label in rows.get_yticklabels()]
    assert names == ["drift", "strength\n(log scale)"]
    rows.figure.canvas.draw()


def test_many_basins_share_a_legend(result):
    """Those past the fifth are one entry, so that a legend fits."""
    result["runs"][0] = [make_run(i, float(i), 3) for i in range(9)]
    ax = plot_restarts(result, 3, ax=Figure().subplots())
    assert ax.get_legend().get_texts()[-1].get_text() == "+5 and more: 4 runs"
