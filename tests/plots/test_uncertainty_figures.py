"""Figures of uncertainty: they show what the tables behind them say."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from planted_fits import problem_with

from jaxcmr.plots import (
    intervals_table,
    plot_intervals,
    plot_profiles,
    plot_spectrum,
    profiles_table,
    spectrum_table,
)
from jaxcmr.uncertainty import Covariance, Profiles, covariance, profile_likelihood

CORRELATED = 100 * np.array([[1.0, 0.9], [0.9, 1.0]])


@pytest.fixture(scope="module")
def profiles():
    """Profiles of a quadratic loss; b reaches its bound on the way of a upwards."""
    return profile_likelihood(*problem_with(CORRELATED, center=(0.5, 0.05)))


def test_hollow_markers_are_points_with_another_parameter_on_a_bound(profiles):
    table = profiles_table(profiles, 1, "a")
    [panel] = plot_profiles(profiles, 1, "a", ax=[Figure().subplots()])
    filled, hollow = panel.collections[-2:]
    on_bound = table[table["at_bound"] == "b"]
    np.testing.assert_allclose(hollow.get_offsets()[:, 0], on_bound["value"])
    assert same_color(hollow.get_facecolor()[0], "white") and len(on_bound)
    assert len(filled.get_offsets()) == len(table) - len(on_bound)


def test_a_parameter_on_a_bound_at_the_estimates_makes_no_marker_hollow():
    """c is on its bound all the way, from the estimates; only b reaches one."""
    path = pd.DataFrame(
        {
            "subject": 1,
            "parameter": ["a"] * 3 + ["b"],
            "side": ["lower", "estimate", "upper", "estimate"],
            "value": [0.2, 0.5, 0.8, 0.4],
            "rise": [2.0, 0.0, 2.0, 0.0],
            "at_bound": ["c", "c", "b, c", "c"],
        }
    )
    table = pd.DataFrame({"subject": [1], "parameter": ["a"], "limit": [0.8]})
    found = Profiles(table, path, 0.95, 1.92, None)
    assert profiles_table(found, 1, "a")["reached"].tolist() == ["", "", "b"]
    [panel] = plot_profiles(found, 1, "a", ax=[Figure().subplots()])
    hollow = panel.collections[-1]
    np.testing.assert_allclose(hollow.get_offsets()[:, 0], [0.8])


def test_a_blocked_end_does_not_look_like_a_closed_one():
    """It has a marker of its own, and a legend says what it is."""
    table = pd.DataFrame(
        {
            "subject": [1, 1, 2, 2],
            "parameter": "b",
            "side": ["lower", "upper"] * 2,
            "estimate": 0.5,
            "status": ["closed", "blocked", "closed", "flat"],
            "end": [0.4, 0.7, 0.3, 1.0],
        }
    )
    found = Profiles(table, pd.DataFrame(), 0.95, 1.92, None)
    ax = plot_intervals(found, "b", ax=Figure().subplots())
    ends = {points.get_label(): points for points in ax.collections}
    blocked = ends["limit, another parameter on a bound"]
    np.testing.assert_allclose(blocked.get_offsets(), [[0.7, 0]])
    np.testing.assert_allclose(ends["limit"].get_offsets(), [[0.4, 0], [0.3, 1]])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "limit",
        "limit, another parameter on a bound",
        "open end",
    ]
    closed = table.assign(status="closed")
    plain = plot_intervals(
        Profiles(closed, pd.DataFrame(), 0.95, 1.92, None), "b", ax=Figure().subplots()
    )
    assert plain.get_legend() is None


def test_the_points_where_a_profile_crosses_the_threshold_are_marked(profiles):
    table = profiles_table(profiles, 1, "a")
    limits = table[table["is_limit"]]
    assert len(limits) == 2
    np.testing.assert_allclose(limits["rise"], profiles.threshold, atol=1e-5)


def test_open_ends_are_arrows(profiles):
    table = intervals_table(profiles, "b")
    assert table[["lower_is_limit", "upper_is_limit"]].values.tolist() == [[False, True]]
    ax = plot_intervals(profiles, "b", ax=Figure().subplots())
    ends = {points.get_label(): points.get_offsets() for points in ax.collections}
    np.testing.assert_allclose(ends["open end"], [[table["lower"][0], 0]])


def test_an_open_direction_has_its_own_color():
    """Eigenvalues 2 and 300 have errors of 0.71 and 0.06: the first is above half the range."""
    found = covariance(*problem_with(np.diag([300.0, 2.0])))
    assert spectrum_table(found)["is_open"].tolist() == [True, False]
    ax = plot_spectrum(found, ax=Figure().subplots())
    known, is_open = ax.collections[:2]
    np.testing.assert_allclose(known.get_segments()[0][:, 1], 300**-0.5, rtol=1e-6)
    np.testing.assert_allclose(is_open.get_segments()[0][:, 1], 2**-0.5, rtol=1e-6)
    ax.figure.canvas.draw()
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert "0.1" in labels and not any("$" in label for label in labels)  # plain text


@pytest.mark.parametrize("kind", ["hessian", "sandwich"])
def test_the_spectrum_shows_the_directions_that_the_verdict_counts(kind):
    """Subject 1 has an open direction by its errors, although the loss curves (an eigenvalue of 9);
    2 curves less, but its errors are short; 3 does not curve; 4 has a kink, so no errors."""
    eigenvalues = [9.0, 300.0, 1.0, 300.0, -2.0, 300.0, -1.0, 300.0]
    errors = [0.8, 0.1, 0.3, 0.1, np.nan, 0.06, np.nan, np.nan]
    subjects = np.repeat([1, 2, 3, 4], 2)
    status = ["interior"] * 4 + ["not identified"] * 2 + ["not a smooth minimum"] * 2
    table = pd.DataFrame({"subject": subjects, "parameter": ["a", "b"] * 4, "status": status})
    spectrum = pd.DataFrame(
        {"subject": subjects, "number": [0, 1] * 4, "eigenvalue": eigenvalues, "error": errors,
         "direction": "a up"}
    )  # fmt: skip
    found = Covariance(kind, table, spectrum, np.zeros((4, 2, 2)), ("a", "b"))
    assert "2 with a direction that the data leave open" in found.verdict()
    ax = plot_spectrum(found, ax=Figure().subplots())
    known, is_open, flat = ax.collections
    assert [segment[0, 1] for segment in known.get_segments()] == [0.1, 0.3, 0.1, 0.06]
    assert [segment[0, 1] for segment in is_open.get_segments()] == [0.8]
    assert len(flat.get_offsets()) == 1 and flat.get_offsets()[0, 0] == 0  # subject 3, first


def test_unknown_names_are_errors(profiles):
    with pytest.raises(ValueError, match="no profile of"):
        plot_profiles(profiles, 1, "c")
    with pytest.raises(ValueError, match="no profile of"):
        plot_profiles(profiles, 9)
    with pytest.raises(ValueError, match="no profile of 'c'"):
        plot_intervals(profiles, "c")
