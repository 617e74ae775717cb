"""Sections on uncertainty and recovery hold the numbers of the analyses that were handed in."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from planted_fits import problem_with
from report_pages import HOSTILE, Page
from simple_losses import BowlGenerator

import jaxcmr as jc
from jaxcmr.fitting import FitProblem
from jaxcmr.front._report_uncertainty import make_uncertainty_sections
from jaxcmr.front._report_uncertainty_words import summarize_ends
from jaxcmr.recovery import ModelRecovery, PowerCurve, Recovery
from jaxcmr.reporting import About, Chapter, Section, to_html
from jaxcmr.reporting._methods import methods, to_report
from jaxcmr.uncertainty import Bootstrap, Profiles, covariance, profile_likelihood

CURVED = 100 * np.array([[1.0, 0.5], [0.5, 1.0]])


@pytest.fixture(scope="module")
def planted():
    """Problem and result of a quadratic loss whose errors are known."""
    problem, result = problem_with(CURVED, center=(0.5, 0.4))
    bounds = {name: list(pair) for name, pair in problem.bounds.items()}
    return problem, jc.FitResult({**result, "free": bounds, "fixed": {}, "loss_label": "NLL"})


@pytest.fixture(scope="module")
def profiles(planted):
    return profile_likelihood(*planted)


@pytest.fixture(scope="module")
def errors(planted):
    return covariance(*planted)


def recovery_of(result, estimates):
    """Return a recovery whose truths are the estimates of a result, in the bounds 0 and 1."""
    subjects, names = result["fits"]["subject"], list(result["free"])
    truth = [result["fits"][name][i] for i in range(len(subjects)) for name in names]
    table = pd.DataFrame(
        {
            "subject": np.repeat(subjects, len(names)),
            "copy": 1,
            "parameter": names * len(subjects),
            "truth": truth,
            "estimate": estimates,
            "at_bound": "",
            "truth_place": truth,
            "estimate_place": estimates,
        }
    )
    losses = pd.DataFrame({"subject": subjects, "copy": 1, "missed": False})
    return Recovery(table, losses, 28, "fitted", 0)


def make_result(n=3):
    """Return fits of two parameters between 0 and 1."""
    return jc.FitResult(
        fitness=[7.0] * n,
        fits={"a": [0.2, 0.5, 0.8][:n], "b": [0.3, 0.1, 0.9][:n], "subject": list(range(1, n + 1))},
        free={"a": [0.0, 1.0], "b": [0.0, 1.0]},
        fixed={},
    )


def report(path, *arguments, **options):
    return Page(jc.report(*arguments[:1], path, *arguments[1:], **options).read_text("utf-8"))


def words_of(page):
    return " ".join(" ".join(page.texts).split())


def test_standard_errors_are_computed_from_the_data(planted, errors):
    """Hand-worked: the inverse of the Hessian has 4/300 on its diagonal."""
    problem, result = planted
    sections = make_uncertainty_sections([], result, problem, "r1")
    page = Page(to_html([Chapter("one", result, About("a"), About("b"), sections=sections)]))
    columns = page.columns("r1-uncertainty-table-1")
    assert columns["parameter"] == ("a", "b") and columns["error known"] == ("1", "1")
    error = np.sqrt(4 / 300)
    assert [float(each) for each in columns["median error"]] == pytest.approx([error] * 2, rel=1e-4)
    ends = page.columns("r1-uncertainty-table-2")
    for name, sign in (("lower", -1), ("upper", 1)):
        expected = [0.5 + sign * 1.959964 * error, 0.4 + sign * 1.959964 * error]
        np.testing.assert_allclose([float(each) for each in ends[name]], expected, atol=1e-4)
    assert words_of(page).count(errors.verdict()) == 1
    assert "Standard errors of the subject are from the inverse of the Hessian" in words_of(page)
    assert "They are known for 1 of 1 subject." in words_of(page)
    assert "How well each parameter is known: Uncertainty: standard errors." in words_of(page)


def test_open_directions_are_those_of_the_verdict():
    """Of two subjects whose loss hardly curves along one direction, with 1 / sqrt(2) as error."""
    problem, result = problem_with(np.diag([2.0, 300.0]), n_subjects=2)
    result = jc.FitResult({**result, "fixed": {}})
    [section] = make_uncertainty_sections([], result, problem, "r1")
    page = Page(to_html([Chapter("one", result, About("a"), About("b"), sections=[section])]))
    columns = page.columns("r1-uncertainty-table-2")
    assert columns["subject"] == ("1", "2") and columns["direction"] == ("a up", "a up")
    assert [float(each) for each in columns["error"]] == pytest.approx([0.7071] * 2, abs=1e-4)
    assert "2 with a direction that the data leave open" in section.verdict


def test_a_loss_that_is_not_a_likelihood_has_a_sentence(small_data):
    """In place of an error."""
    fixed = {name: 0.5 for name in jc.usual_bounds("cmr") if name not in ("a", "learning_rate")}
    problem = FitProblem(small_data, "cmr", BowlGenerator, {"learning_rate": [0, 1]}, fixed=fixed)
    result = make_result()
    [section] = make_uncertainty_sections([], result, problem, "r1")
    page = Page(to_html([Chapter("one", result, About("a"), About("b"), sections=[section])]))
    assert "Standard errors were not computed. Uncertainty takes a negative log-likelihood" in (
        words_of(page)
    )
    assert "How well each parameter is known: Not in this report" in words_of(page)
    assert make_uncertainty_sections([], result, None, "r1") == []


@pytest.mark.full
def test_a_report_with_the_data_has_standard_errors(small_fit, small_data, tmp_path):
    """Unless the curvature is left out."""
    page = report(tmp_path / "r.html", small_fit, small_data, n_copies=1)
    found = covariance(FitProblem.from_result(small_fit, small_data), small_fit)
    assert found.verdict() in words_of(page)
    plain = report(tmp_path / "r.html", small_fit, small_data, n_copies=1, curvature=False)
    assert "r1-uncertainty-table-1" not in plain.tables


def test_profiles_are_counted_by_their_ends(planted, profiles, tmp_path):
    """Both intervals of a quadratic loss far from the bounds are closed, at 1.96 errors."""
    _, result = planted
    page = report(tmp_path / "r.html", result, analyses=profiles)
    columns = page.columns("r1-uncertainty-table-1")
    assert columns["intervals"] == columns["two limits"] == columns["closed"] == ("1", "1")
    assert columns["flat"] == columns["better fit"] == ("0", "0")
    widths = [float(each) for each in columns["median width with two limits"]]
    assert widths == pytest.approx([2 * 1.959964 * np.sqrt(4 / 300)] * 2, rel=1e-3)
    text = words_of(page)
    assert "(Venzon & Moolgavkar, 1988)" in text and "Applied Statistics, 37(1)" in text


def test_closed_intervals_are_as_many_as_in_the_verdict():
    """A blocked interval has two limits, but is not counted as closed."""
    status = ["closed", "closed", "closed", "blocked", "closed", "flat"]
    table = pd.DataFrame(
        {
            "subject": np.repeat([1, 2, 3], 2),
            "parameter": "b",
            "side": ["lower", "upper"] * 3,
            "status": status,
            "estimate": 0.5,
            "limit": [0.4, 0.6, 0.3, 0.7, 0.4, np.nan],
        }
    )
    found = Profiles(table, pd.DataFrame(), 0.95, 1.92, None)
    [row] = summarize_ends(found).to_dict("records")
    assert "1 of 3 are closed" in found.verdict()
    assert (row["intervals"], row["two limits"], row["closed"], row["blocked"]) == (3, 2, 1, 1)
    assert row["median width with two limits"] == pytest.approx(0.3)


def test_the_methods_say_of_which_subjects_an_analysis_is(planted):
    """An analysis of one of two subjects does not read as one of both."""
    problem, result = problem_with(CURVED, center=(0.5, 0.4), n_subjects=2)
    result = jc.FitResult({**result, "fixed": {}})
    draws = pd.DataFrame({"subject": 2, "draw": [1, 2], "loss": 3.0, "a": [0.4, 0.6], "b": 0.4})
    errors = covariance(problem, result, subjects=2)
    estimates = errors.table[["subject", "parameter", "estimate"]].assign(acceleration=0.0)
    profiles = profile_likelihood(problem, result, subjects=2)
    given = [errors, profiles, Bootstrap("lists", draws, estimates)]
    for section in make_uncertainty_sections(given, result, None, "r1"):
        assert "of 1 of 2 subjects (2) " in section.methods
        assert section.verdict.startswith("Made for 1 of 2 subjects (2). ")
    both = covariance(problem, result).table[["subject", "parameter", "estimate"]]
    few = Bootstrap("lists", draws, both.assign(acceleration=0.0))  # subject 1 has a single list
    [section] = make_uncertainty_sections([few], result, None, "r1")
    assert "the parameters of 1 of 2 subjects (2) were" in section.methods
    whole = make_uncertainty_sections([covariance(problem, result)], result, None, "r1")
    assert "of all 2 subjects are from" in whole[0].methods and "Made for" not in whole[0].verdict


def test_methods_have_neither_fragments_nor_names_of_code(planted):
    """Semicolons and underscores of verdicts are not in a paragraph to paste."""
    problem, result = problem_with(np.diag([2.0, 300.0]), center=(0.5, 1.0), n_subjects=2)
    result = jc.FitResult({**result, "fixed": {"item_support": 0.0}})
    sections = make_uncertainty_sections([], result, problem, "r1")
    text = methods(Chapter("one", result, About("a"), About("b"), sections=sections))
    assert "; " not in text and "_" not in text and "Fixed were item support = 0." in text
    assert "For 2 subjects an estimate or more lies on a bound, and has no standard error." in text
    assert "For 2 subjects the lists leave open a combination of parameters or more." in text


def test_several_analyses_have_sections_of_their_own(planted, errors, profiles, tmp_path):
    _, result = planted
    draws = pd.DataFrame({"subject": 1, "draw": [1, 2], "loss": 3.0, "a": [0.4, 0.6], "b": 0.4})
    estimates = errors.table[["subject", "parameter", "estimate"]].assign(acceleration=0.0)
    given = [errors, profiles, Bootstrap("lists", draws, estimates)]
    page = report(tmp_path / "r.html", result, analyses=given)
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {f"r1-uncertainty{end}" for end in ("", "-2", "-3")} <= set(ids)
    columns = page.columns("r1-uncertainty-3-table-1")
    assert float(columns["median error"][0]) == pytest.approx(np.sqrt(0.02))  # of 0.4 and 0.6


def test_a_recovery_is_shown_with_its_numbers(tmp_path):
    """Hand-worked: all estimates of a are 0.1 too high, those of b are right."""
    result = make_result()
    found = recovery_of(result, [0.3, 0.3, 0.6, 0.1, 0.9, 0.9])
    page = report(tmp_path / "r.html", result, analyses=found)
    columns = page.columns("r1-recovery-table-1")
    assert [float(each) for each in columns["bias"]] == pytest.approx([0.1, 0.0])
    assert [float(each) for each in columns["rmse"]] == pytest.approx([0.1, 0.0])
    dots = page.columns("r1-recovery-numbers-1")
    assert [float(each) for each in dots["estimate"]] == found.table["estimate"].tolist()
    text = words_of(page)
    assert found.verdict() in text and text.count("r is optimistic") == 2  # and in What may not
    assert "and a bootstrap), were: a 1.00 (-1.00 to 1.00), b 1.00 (-1.00 to 1.00)." in text
    assert "(Wilson & Collins, 2019)" in text and "eLife, 8, e49547" in text
    assert "Whether each parameter can be recovered: Recovery of parameters." in text
    assert "What may not" in text and "missed" not in " ".join(
        value for tag, name, value in page.attributes if value == "warning"
    )


def test_a_search_that_missed_is_a_warning(tmp_path):
    result = make_result()
    found = recovery_of(result, [0.3, 0.3, 0.6, 0.1, 0.9, 0.9])
    found.losses.loc[1, "missed"] = True
    page = report(tmp_path / "r.html", result, analyses=found)
    assert "For 1 of 3 simulated subjects the loss at the truth is lower" in words_of(page)
    assert ("p", "class", "warning") in page.attributes


def test_recoveries_by_number_of_lists(tmp_path):
    result = make_result()
    bad = recovery_of(result, [0.5, 0.3, 0.2, 0.1, 0.6, 0.9])
    curve = PowerCurve({7: bad, 14: recovery_of(result, [0.2, 0.3, 0.5, 0.1, 0.8, 0.9])})
    page = report(tmp_path / "r.html", result, analyses=curve)
    rows = page.tables["r1-recovery-table-1"]
    assert rows[0] == ["lists", "a", "b"] and [row[0] for row in rows[1:]] == ["7", "14"]
    r = float(np.corrcoef([0.2, 0.5, 0.8], [0.5, 0.2, 0.6])[0, 1])
    assert float(rows[1][1]) == pytest.approx(r) and float(rows[2][1]) == pytest.approx(1.0)


@pytest.fixture
def models():
    counts = pd.DataFrame([[9.0, 1.0], [3.0, 7.0]], ["<a>", "b"], ["<a>", "b"])
    rows = [
        {
            "simulated": one,
            "subject": 1,
            "copy": 1,
            "fitted": other,
            "aic": float(one != other),
            "loss": 0.5 * (one != other) - 2.0,
        }  # k = 2
        for one in counts.index
        for other in counts.index
    ]
    return ModelRecovery(counts, pd.DataFrame(rows), "aic", 0)


def test_models_have_a_section_for_all_results(models, tmp_path):
    """By Bayes' rule, 0.9 / (0.9 + 0.3) of the best fits of <a> are of data of <a>."""
    results = {"one": make_result(), "two": make_result()}
    page = report(tmp_path / "r.html", results, analyses={"models": models})
    columns = page.columns("all-recovery-table-1")
    assert columns["simulated"] == ("<a>", "<a>", "b", "b")
    assert [float(each) for each in columns["count"]] == [9, 1, 3, 7]
    assert float(columns["inversion"][0]) == pytest.approx(0.75)
    assert page.columns("all-recovery-table-2")["best by the sum"] == ("<a>", "b")
    text = words_of(page)
    assert models.verdict() in text  # 7 of 10 by Wilson's score: 0.397 to 0.892
    assert "b 0.70 (95 % interval 0.40 to 0.89)." in text
    assert report(tmp_path / "r.html", make_result(), analyses=models).columns(
        "all-recovery-table-1"
    ) == (columns)


def test_a_model_has_one_name_in_a_report(models, tmp_path):
    """`jc.recover` names its first result "cmr", by its model; the report, by its own name.

    Not where two results are of this model, or the recovered one had another number of parameters.
    """
    criteria = models.criteria.replace("<a>", "cmr")
    counts = models.counts.rename(index={"<a>": "cmr"}, columns={"<a>": "cmr"})
    recovered = dataclasses.replace(models, counts=counts, criteria=criteria)
    mine = jc.FitResult({**make_result(), "model": "cmr"})
    other_k = dataclasses.replace(recovered, criteria=criteria.assign(loss=0.0))
    for given, others, name in (
        (recovered, {}, "<CMR>"),
        (recovered, {"more": mine}, "cmr"),
        (other_k, {}, "cmr"),
    ):
        results = {"<CMR>": mine, "b": make_result(), **others}
        page = report(tmp_path / "r.html", results, analyses={"models": given})
        assert page.columns("all-recovery-table-1")["fitted"] == (name, "b", name, "b")
        assert page.columns("all-recovery-table-2")["best by the sum"] == (name, "b")
        assert f"with a share of: {name} 0.90 (95 % interval" in words_of(page)


def test_analyses_of_other_fits_are_told(planted, errors, profiles, tmp_path):
    """They would be wrong numbers beside a result."""
    _, result = planted
    path = tmp_path / "r.html"
    moved = jc.FitResult({**result, "fits": {**result["fits"], "a": [0.51]}})
    with pytest.raises(ValueError, match="Covariance is of other fits"):
        jc.report(moved, path, analyses=errors)
    for loss, message in ((result["fitness"][0] - 1, "Profiles is of other"), (9.0, None)):
        other = jc.FitResult({**result, "fitness": [loss]})
        if message:
            with pytest.raises(ValueError, match=message):
                jc.report(other, path, analyses=profiles)
        else:
            page = report(tmp_path / "other.html", other, analyses=profiles)
            assert "lower than that of the fit, by up to 4.00 nats" in words_of(page)
    held = jc.FitResult({**result, "fixed": {"item_support": 1.0}})
    fixed = dataclasses.replace(profiles, fitted={"fixed": {"item_support": 0.0}})
    with pytest.raises(ValueError, match="as these differ: fixed parameters"):
        jc.report(held, path, analyses=fixed)
    mine = make_result()
    recovered = recovery_of(mine, [0.3, 0.3, 0.6, 0.1, 0.9, 0.9])
    mine["fits"]["a"][0] = 0.21
    with pytest.raises(ValueError, match="recovery is of other fits"):
        jc.report(mine, path, analyses=recovered)
    assert not path.exists()


def test_it_is_said_which_result_an_analysis_is_of(planted, errors, tmp_path):
    _, result = planted
    path = tmp_path / "r.html"
    both = {"one": result, "two": result}
    for given, message in (
        (errors, "2 results: say which one"),
        ({"on": errors}, "Unknown result 'on'. Did you mean 'one'"),
        ({"one": "errors"}, "An analysis is one of Covariance, Profiles, .*; got str"),
    ):
        with pytest.raises(ValueError, match=message):
            jc.report(both, path, analyses=given)
    page = report(path, both, analyses={"two": [errors]})
    assert "r2-uncertainty-table-1" in page.tables and "r1-uncertainty-table-1" not in page.tables


def test_texts_of_a_section_stay_text():
    section = Section("recovery", *[HOSTILE] * 4, warnings=[HOSTILE], methods=HOSTILE)
    chapter = Chapter("one", make_result(), About("a"), About("b"), sections=[section])
    page = Page(to_html([chapter], sections=[section]))
    assert page.tags.count("script") == 1
    assert sum(HOSTILE in text for text in page.texts) >= 10
    entries = {thing: where for thing, where, _ in to_report(chapter)}
    assert entries["Whether each parameter can be recovered"] == HOSTILE
