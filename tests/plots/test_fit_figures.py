"""Figures of data and simulations: the tables behind them, and that they show these."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from jaxcmr.analyses import by_subject, first_recall, lag_crp, nth_recall, serial_position_curve
from jaxcmr.plots import (
    fit_table,
    mean_over_subjects,
    plot_fit,
    plot_fit_by_subject,
    plot_measure,
    plot_recalls_per_list,
    plot_sweep,
    sweep_table,
)


def make_data(subjects, recalls, **fields):
    """Return lists of three items."""
    n = len(subjects)
    return {
        "subject": np.array(subjects)[:, None],
        "listLength": np.full((n, 1), 3),
        "pres_itemnos": np.tile([1, 2, 3], (n, 1)),
        "recalls": np.array(recalls),
        **{name: np.array(values)[:, None] for name, values in fields.items()},
    }


@pytest.fixture
def data():
    """Subjects 4 and 9 recall two lists each; a third was not simulated."""
    subjects, recalls = [4, 4, 9, 9, 10], [[3, 1, 0], [3, 2, 1], [1, 2, 3], [3, 0, 0], [0, 0, 0]]
    return make_data(subjects, recalls, session=[1, 2, 1, 2, 1])


@pytest.fixture
def simulated():
    """Two copies of each list of subjects 4 and 9: everything in forward order, or nothing."""
    recalls = [[1, 2, 3]] * 4 + [[0, 0, 0]] * 4
    sessions, copies = [1, 2, 1, 2] * 2, [1] * 4 + [2] * 4
    return make_data([4, 4, 9, 9] * 2, recalls, session=sessions, copy=copies)


def values_of(table, measure, source, subject):
    """Return one curve of a table."""
    query = "measure == @measure and source == @source and subject == @subject"
    return table.query(query)["value"].tolist()


def test_the_table_of_a_fit_holds_measures_by_source_and_subject(data, simulated):
    """By hand, of the simulated subjects only."""
    table = fit_table(data, simulated)
    assert set(table["subject"]) == {4, 9} and set(table["source"]) == {"data", "model"}
    assert values_of(table, "serial position", "data", 4) == [1.0, 0.5, 1.0]
    assert values_of(table, "serial position", "data", 9) == [0.5, 0.5, 1.0]
    assert values_of(table, "serial position", "model", 9) == [0.5, 0.5, 0.5]
    assert values_of(table, "first recall", "data", 9) == [0.5, 0.0, 0.5]
    assert values_of(table, "first recall", "model", 4) == [1.0, 0.0, 0.0]
    lags = values_of(table, "lag-CRP", "data", 4)  # from 3 to 1; from 3 to 2, from 2 to 1
    np.testing.assert_allclose(lags, [0.5, 2 / 3, np.nan, np.nan, np.nan])


def test_models_by_name_and_trials_by_condition(data, simulated):
    """Each model is a source; a condition holds for data and simulations."""
    table = fit_table(data, {"A": simulated, "B": simulated}, where="session == 1")
    assert table["source"].unique().tolist() == ["data", "A", "B"]
    assert values_of(table, "serial position", "data", 4) == [1.0, 0.0, 1.0]
    assert table.query("source == 'A' and bin == 1 and subject == 4")["possible"].tolist()[-1] == 2


def test_other_trials_than_those_simulated_are_an_error(data, simulated):
    """Their curves would be of different lists, and no figure would show it."""
    some = {name: values[:1] for name, values in simulated.items()}
    with pytest.raises(ValueError, match=r"hold 2 trials of subject 4, but .* holds 1 in 1 cop"):
        fit_table(data, some)
    with pytest.raises(ValueError, match="of a sweep one value"):
        plot_fit(data, {name: np.tile(values, (2, 1)) for name, values in simulated.items()})
    with pytest.raises(ValueError, match="No trial meets"):
        fit_table(data, simulated, where="session == 3")


def test_the_interval_is_that_of_student():
    """By SciPy, over the subjects that have a value in the bin."""
    stats = pytest.importorskip("scipy.stats")
    values = {1: [0.2, 0.5, 0.9], 2: [0.1, np.nan, 0.4], 3: [np.nan, np.nan, 0.7]}
    rows = [(s, lag, v) for lag, each in values.items() for s, v in enumerate(each)]
    table = pd.DataFrame(rows, columns=["subject", "lag", "prob"])
    means = mean_over_subjects(table, 0.9).set_index("lag")
    assert means["n_subjects"].tolist() == [3, 2, 1]
    for lag in (1, 2):
        sample = np.array(values[lag])[np.isfinite(values[lag])]
        expected = stats.ttest_1samp(sample, 0).confidence_interval(0.9)
        np.testing.assert_allclose(means.loc[lag, "mean"], sample.mean())
        np.testing.assert_allclose(means.loc[lag, ["low", "high"]].astype(float), expected)
    assert means.loc[3, "mean"] == 0.7 and means.loc[3, ["low", "high"]].isna().all()


def test_tables_that_are_not_one_row_per_subject_and_bin_are_errors():
    """The mean over copies or conditions would have a wrong interval."""
    table = pd.DataFrame({"subject": [1, 1], "lag": [1, 1], "prob": [0.1, 0.2]})
    with pytest.raises(ValueError, match=r"several rows of one subject and bin \(lag\)"):
        mean_over_subjects(table)
    with pytest.raises(ValueError, match="columns subject, bins and a measure"):
        mean_over_subjects(table.drop(columns="subject"))
    with pytest.raises(ValueError, match="between 0 and 1"):
        mean_over_subjects(table[:1], 95)
    with pytest.raises(ValueError, match=r"one of the bins of the table, \['lag'\]; got 'lags'"):
        plot_measure(table[:1], x="lags")


@pytest.mark.parametrize("measure", ["spc", "lag_crp"])
def test_tables_of_psifr_are_drawn_as_ours(peers, measure):
    """The same columns in the same order, so the same means and intervals."""
    fr = pytest.importorskip("psifr.fr")
    is_first = peers["subject"][:, 0] < 66
    ours = {"spc": serial_position_curve, "lag_crp": lag_crp}[measure]
    events = fr.sample_data("peers_notask").query("subject < 66")
    theirs = getattr(fr, measure)(fr.merge_free_recall(events)).reset_index()
    theirs = theirs.drop(columns=[name for name in ("index",) if name in theirs])
    lines = [
        plot_measure(table, ax=Figure().subplots()).lines[0]
        for table in (by_subject(peers, ours, where=is_first), theirs)
    ]
    np.testing.assert_allclose(*(line.get_xydata() for line in lines))


def test_the_figure_of_a_fit_shows_the_means_over_subjects(data, simulated):
    """Dots are data, lines models, of the simulated subjects; lag 0 leaves a gap."""
    axes = Figure().subplots(1, 3)
    panels = plot_fit(data, {"CMR": simulated}, ax=axes)
    assert all(panel is ax for panel, ax in zip(panels, axes, strict=True))
    np.testing.assert_allclose(panels[2].lines[0].get_ydata(), [0.75, 0.5, 1.0])
    np.testing.assert_allclose(panels[2].lines[1].get_ydata(), [0.5, 0.5, 0.5])
    np.testing.assert_allclose(panels[0].lines[0].get_ydata(), [0.25, 0.0, 0.75])
    assert np.isnan(panels[1].lines[0].get_ydata()[2])
    assert panels[2].lines[0].get_linestyle() == "None" and panels[2].lines[1].get_marker() == ""
    assert [t.get_text() for t in panels[0].get_legend().get_texts()] == ["data", "CMR"]
    with pytest.raises(ValueError, match="3 panels"):
        plot_fit(data, simulated, ax=axes[:2])


def test_subjects_may_be_names(data, simulated):
    """They label the rows."""
    data, simulated = (
        {**each, "subject": np.char.add("sub-", each["subject"].astype(str))}
        for each in (data, simulated)
    )
    grid = plot_fit_by_subject(data, simulated, ax=Figure().subplots(2, 3))
    assert [row[0].get_ylabel() for row in grid] == ["sub-4", "sub-9"]


def test_no_line_is_cut_off(data, simulated):
    """Also if the highest is drawn last."""
    for ax in plot_fit(data, simulated, ax=Figure().subplots(1, 3)):
        ax.figure.canvas.draw()
        heights = np.concatenate([line.get_ydata() for line in ax.lines])
        low, high = ax.get_ylim()
        assert low == 0 and np.nanmax(heights) < high <= 1.03


def test_each_subject_has_a_row(data, simulated):
    """Its own curves, in the order asked for."""
    grid = plot_fit_by_subject(data, simulated, subjects=[9, 4], ax=Figure().subplots(2, 3))
    assert [row[0].get_ylabel() for row in grid] == ["9", "4"]
    np.testing.assert_allclose(grid[0, 2].lines[0].get_ydata(), [0.5, 0.5, 1.0])
    np.testing.assert_allclose(grid[1, 2].lines[0].get_ydata(), [1.0, 0.5, 1.0])
    with pytest.raises(ValueError, match=r"No simulation of subject\(s\) \[10\]"):
        plot_fit_by_subject(data, simulated, subjects=[10])


def test_recalls_per_list_are_shares_of_lists(data, simulated):
    """Of each subject, then their mean: 4 recalls two and three items, 9 three and one."""
    ax = plot_recalls_per_list(data, simulated, ax=Figure().subplots())
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0, 0.25, 0.25, 0.5])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [0.5, 0, 0, 0.5])
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["data, mean 2.25", "model, mean 1.5"]
    alone = plot_recalls_per_list(data, ax=Figure().subplots())
    np.testing.assert_allclose(alone.lines[0].get_ydata().sum(), 1.0)


def test_a_sweep_has_a_curve_for_each_value(simulated, data):
    """In order of the values; data are of the simulated subjects."""
    rates = np.repeat([[0.9], [0.1]], 4, axis=0)  # at 0.9 all is recalled, at 0.1 nothing
    swept = {**simulated, "rate": rates}
    table = sweep_table(swept, "rate")
    assert table.columns.tolist()[:3] == ["rate", "subject", "input"]
    assert table.groupby("rate")["recall"].mean().to_dict() == {0.1: 0.0, 0.9: 1.0}
    ax = plot_sweep(swept, "rate", data=data, ax=Figure().subplots())
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["data", "0.1", "0.9"]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.75, 0.5, 1.0])
    np.testing.assert_allclose(ax.lines[2].get_ydata(), [1, 1, 1])
    with pytest.raises(ValueError, match=r"vary=\{'rate': \[...\]\}"):
        sweep_table(simulated, "rate")
    both = {**swept, "learning_rate": np.tile([[0.2], [0.8]], (4, 1))}
    with pytest.raises(ValueError, match="'learning_rate' has 2 values as well"):
        sweep_table(both, "rate")
    with pytest.raises(ValueError, match="one kind of bin"):
        plot_sweep(swept, "rate", nth_recall, ax=Figure().subplots())


def test_further_bins_are_lines_of_their_own(data):
    """Output positions of the nth recall; the first are those of `first_recall`."""
    table = by_subject(data, nth_recall, where="subject < 10")
    ax = plot_measure(table, ax=Figure().subplots())
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == [f"output position {n}" for n in (1, 2, 3)]
    first = by_subject(data, first_recall, where="subject < 10").groupby("input")["prob"].mean()
    np.testing.assert_allclose(ax.lines[0].get_ydata(), first)


def test_looks_differ_without_color(data):
    """In gray, lines are told apart by marker and style."""
    ax = plot_measure(by_subject(data, nth_recall), ax=Figure().subplots())
    looks = {(line.get_marker(), line.get_linestyle()) for line in ax.lines}
    assert len(looks) == len(ax.lines) == 3
