"""Figures of a comparison: their tables by hand, and that they show them."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from jaxcmr.comparison import (
    CrossValidation,
    bayesian_model_selection,
    compare,
    paired_differences,
)
from jaxcmr.plots import (
    comparison_table,
    differences_table,
    frequencies_table,
    optimism_table,
    paired_differences_table,
    plot_comparison,
    plot_differences,
    plot_model_frequencies,
    plot_optimism,
    plot_paired_differences,
    plot_shrinkage,
    plot_weights,
    weights_table,
)


@pytest.fixture
def found():
    """b is worse than a by 2, 4 and -1 nats for subjects 7, 8 and "x", c by 10 nats for each."""
    losses = {"a": [10.0, 20.0, 30.0], "b": [12.0, 24.0, 29.0], "c": [20.0, 30.0, 40.0]}
    results = {
        name: {
            "fitness": each,
            "fits": {"p": [0.5] * 3, "subject": [7, 8, "x"]},
            "free": {"p": [0, 1]},
            "n_events": [50] * 3,
            "loss_label": "NLL",
        }
        for name, each in losses.items()
    }
    return compare(results, criterion="aic")


def test_a_dot_per_model_the_best_on_top(found):
    table = comparison_table(found)
    assert table["model"].tolist() == ["a", "b", "c"] and table["wins"].tolist() == [2, 1, 0]
    np.testing.assert_allclose(table["mean_difference"], [0, 10 / 3, 20])
    ax = Figure().subplots()
    assert plot_comparison(found, ax=ax) is ax
    dots = [line for line in ax.lines if line.get_marker() in ("o", "D")]
    np.testing.assert_allclose([dot.get_xdata()[0] for dot in dots], table["mean_difference"])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]
    assert ax.yaxis_inverted()
    low, high = table.loc[2, ["low", "high"]]
    texts = [text.get_text() for text in ax.texts]
    assert f"20.0, {low:.1f} to {high:.1f}" in texts and texts.count("2") == 1


def test_a_bar_per_subject_in_order(found):
    """The same bars from the other side are negative."""
    table = differences_table(found, "b")
    assert table["subject"].tolist() == ["x", 7, 8]
    np.testing.assert_allclose(table["difference"], [-2, 4, 8])
    np.testing.assert_allclose(differences_table(found, "a", "b")["difference"], [-8, -4, 2])
    ax = plot_differences(found, "b", ax=Figure().subplots())
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches[:3]], [-2, 4, 8])
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["mean 3.33", "a better: 2", "b better: 1"]
    with pytest.raises(ValueError, match="is the reference"):
        plot_differences(found, "a")
    with pytest.raises(ValueError, match="Unknown model"):
        plot_differences(found, "d")


def paired(*differences, names=("CMR", "CRU")):
    """Two cross-validations of one list per subject, and by how much the first predicts better."""
    lists = pd.DataFrame({"subject": [f"s{i}" for i in range(len(differences))], "fold": 1})
    lists = lists.assign(trial=range(len(lists)), n_events=5, log_likelihood=-10.0)
    first = lists.assign(log_likelihood=-10.0 + np.array(differences))
    return paired_differences(
        CrossValidation(first, lists, "list", {}), CrossValidation(lists, lists, "list", {}), names
    )


def test_held_out_lists_have_a_bar_per_subject_in_order():
    """Higher is better here: bars above 0 count for the first model. An equal subject, with a bar
    of 0, counts for neither."""
    found = paired(3.0, -1.0, 0.0, 4.0)
    table = paired_differences_table(found)
    assert table["rank"].tolist() == [1, 2, 3, 4]
    assert table["subject"].tolist() == ["s1", "s2", "s0", "s3"]
    np.testing.assert_allclose(table["difference"], [-1, 0, 3, 4])
    ax = Figure().subplots()
    assert plot_paired_differences(found, ax=ax) is ax
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches[:4]], [-1, 0, 3, 4])
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["mean 1.50", "CMR better: 2", "CRU better: 1"]
    np.testing.assert_allclose(ax.lines[-1].get_ydata(), 1.5)
    above, below = (ax.patches[i].get_facecolor() for i in (3, 0))
    drawn = [patch.get_facecolor() for patch in ax.get_legend().get_patches()]
    assert drawn == [above, below]
    assert ax.get_ylabel() == "held-out log-likelihood (nats):\nCMR above CRU"


def test_optimism_has_its_mean_beside_the_number_of_parameters():
    """One subject is not known and left out: 1, 2 and 9 nats have the mean 4 and the median 2."""
    optimism = {"a": 9.0, "b": np.nan, "c": 1.0, "d": 2.0}
    lists = pd.DataFrame({"subject": list(optimism), "fold": 1, "trial": range(4), "n_events": 5})
    lists = lists.assign(log_likelihood=-20.0 - np.array(list(optimism.values())))
    found = CrossValidation(lists, lists, "list", {})
    free = {"learning_rate": [0, 1], "item_support": [0, 4], "fixed_by_bounds": [1, 1]}
    result = {"fits": {"subject": list(optimism)}, "fitness": [20.0] * 4, "free": free}
    table = optimism_table(found, result)
    assert table["subject"].tolist() == ["c", "d", "a", "b"]
    np.testing.assert_allclose(table["optimism"], [1, 2, 9, np.nan])
    ax = plot_optimism(found, result, ax=Figure().subplots())
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches[:3]], [1, 2, 9])
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["2 free parameters (AIC)", "mean 4.00"]
    heights = [line.get_ydata()[0] for line in ax.lines]
    assert 4.0 in heights and 2 in heights and len(ax.patches) == 3


LONG = "CMR without primacy and with a stopping rule that depends on the time since the last recall"


@pytest.mark.parametrize("names", [("CMR", "CRU"), (LONG, "CRU")])
@pytest.mark.parametrize("differences", [(3.0, 9.0), (-3.0, -9.0), (-5.0, 0.0, 6.0, 7.0)])
def test_the_legend_covers_no_bar(differences, names):
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    ax = plot_paired_differences(paired(*differences, names=names), ax=figure.subplots())
    figure.draw_without_rendering()
    legend, axes = ax.get_legend().get_window_extent(), ax.get_window_extent()
    assert legend.y0 >= axes.y1
    assert figure.bbox.x0 <= legend.x0 and legend.x1 <= figure.bbox.x1
    assert legend.y1 <= figure.bbox.y1


def test_weights_are_stacked_to_one(found):
    """Subjects whose best model is a come first, the most decided one at the left."""
    table = weights_table(found)
    assert table["subject"].tolist() == [8, 7, "x"]
    e = np.exp([0.0, -4.0, -10.0])
    np.testing.assert_allclose(table[["a", "b", "c"]].iloc[0].tolist(), e / e.sum())
    ax = plot_weights(found, ax=Figure().subplots())
    assert len(ax.patches) == 3  # one shape per model, without seams between subjects
    np.testing.assert_allclose(ax.patches[0].get_data().values, table["a"])
    np.testing.assert_allclose(ax.patches[-1].get_data().values, 1)


def test_frequencies_with_their_exceedance(found):
    selection = bayesian_model_selection(found.log_evidence())
    table = frequencies_table(selection)
    ax = plot_model_frequencies(selection, ax=Figure().subplots())
    heights = [bar.get_height() for bar in ax.patches]
    np.testing.assert_allclose(heights, table["expected_frequency"])
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    np.testing.assert_allclose(lines["protected exceedance"], table["protected_exceedance"])
    np.testing.assert_allclose(lines["1/3"], 1 / 3)
    ax.figure.canvas.draw()


@pytest.mark.parametrize(
    ("before", "scale"), [([0.3, 0.5], "linear"), ([0.02, 0.5], "log"), ([0.0, 0.5], "symlog")]
)
def test_shrinkage_is_on_a_logarithmic_axis_where_values_span_decades(before, scale):
    """On an axis down to 0, estimates within a decade would look level."""
    table = pd.DataFrame({"subject": [1, 2], "item_support": before})
    after = table.assign(item_support=[0.4, 0.45])
    for log_from, expected in ((0.01, scale), (None, "linear")):
        ax = Figure().subplots()
        plot_shrinkage(table, after, "item_support", log_from=log_from, ax=ax)
        assert ax.get_yscale() == expected
    ax = Figure().subplots()
    plot_shrinkage(table, after, "item_support", log_from=0.01, ax=ax)
    assert (ax.get_ylim()[0] == 0) == (scale == "symlog")
