"""Figures of recovery: their tables by hand, and that they show them."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from jaxcmr.plots import (
    confusion_table,
    plot_confusion,
    plot_power,
    plot_recovery,
    plot_recovery_correlations,
    power_table,
    recovery_correlations_table,
    recovery_table,
)
from jaxcmr.recovery import ModelRecovery, PowerCurve, Recovery


@pytest.fixture
def found():
    """Of two parameters, ``a`` is found but for one on its bound, and ``b`` is always the same."""
    truth, estimate = np.array([0.2, 0.4, 0.6]), np.array([0.1, 0.5, 1.0])
    tables = [
        pd.DataFrame(
            {
                "subject": [1, 2, 3],
                "copy": 1,
                "parameter": name,
                "truth": truth,
                "estimate": values,
                "at_bound": np.where(values == 1, "upper", ""),
                "truth_place": truth,
                "estimate_place": values,
            }
        )
        for name, values in (("a", estimate), ("b", np.full(3, 0.5)))
    ]
    return Recovery(pd.concat(tables), pd.DataFrame({"missed": [False]}), 28, "fitted", 0)


def test_a_panel_per_parameter_with_hollow_points_on_bounds(found):
    table = recovery_table(found)
    assert table["on_bound"].tolist() == [False, False, True] + [False] * 3
    panels = plot_recovery(found, ax=Figure().subplots(1, 2))
    titles = [panel.get_title().splitlines() for panel in panels]
    assert [name for name, _ in titles] == ["a", "b"]
    inside, on_bound = panels[0].collections
    np.testing.assert_allclose(inside.get_offsets(), [[0.2, 0.1], [0.4, 0.5]])
    np.testing.assert_allclose(on_bound.get_offsets(), [[0.6, 1.0]])
    assert len(on_bound.get_facecolor()) == 0
    row = found.summary().iloc[0]
    words = f"r {row['r']:.2f}, RMSE {row['rmse']:.2f}, bias {row['bias']:+.2f}"
    assert titles[0][1] == words and titles[1][1].startswith("r -, ")


def test_a_new_figure_has_four_panels_in_a_row(found):
    panels = plot_recovery(found)
    assert len(panels) == 2 and panels[0].figure is panels[1].figure
    with pytest.raises(ValueError, match="2 panels"):
        plot_recovery(found, ax=Figure().subplots(1, 3))


def test_correlations_are_written_in_the_cells(found):
    table = recovery_correlations_table(found)
    assert table["r"].notna().tolist() == [True, True, False, False]  # estimates of b do not vary
    ax = plot_recovery_correlations(found, ax=Figure().subplots())
    assert [text.get_text() for text in ax.texts][1] == "-"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


def test_confusion_and_inversion_side_by_side():
    """Who simulated is on the vertical axis, as rows: 0.9 / (0.9 + 0.3) is at the top left."""
    counts = pd.DataFrame([[9.0, 1.0], [3.0, 7.0]], ["a", "b"], ["a", "b"])
    found = ModelRecovery(counts, pd.DataFrame(), "aicc", 0)
    table = confusion_table(found)
    assert table["confusion"].tolist() == [0.9, 0.1, 0.3, 0.7]
    np.testing.assert_allclose(table["inversion"], [0.75, 0.125, 0.25, 0.875])
    assert (table["low"] < table["confusion"]).all() and (table["confusion"] < table["high"]).all()
    left, right = plot_confusion(found, ax=Figure().subplots(1, 2))
    assert [text.get_text() for text in left.texts] == ["0.90", "0.10", "0.30", "0.70"]
    assert [text.get_text() for text in right.texts] == ["0.75", "0.13", "0.25", "0.88"]
    assert left.get_xlabel() == "fits best" and left.get_ylabel() == "simulated"


def test_a_panel_per_parameter_over_numbers_of_lists(found):
    curve = PowerCurve({7: found, 28: found})
    table = power_table(curve, "rmse")
    assert table.index.tolist() == [7, 28] and table.columns.tolist() == ["a", "b"]
    panels = plot_power(curve, "rmse", ax=Figure().subplots(1, 2))
    assert [panel.get_title() for panel in panels] == ["a", "b"]
    other, own = panels[1].lines  # behind that of b is the line of a
    np.testing.assert_allclose(own.get_ydata(), table["b"])
    np.testing.assert_allclose(other.get_ydata(), table["a"])
    ax = panels[0]
    assert ax.get_ylabel() == "RMSE, as a share of the range"
    assert ax.get_xlabel() == "lists per subject"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["7", "28"]
    with pytest.raises(ValueError, match="Unknown statistic 'coverage'"):
        power_table(curve, "coverage")
