"""Sections on several models, predictions and the group hold the numbers of their analyses."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from report_pages import Page, make_result
from scipy.stats import norm, ttest_1samp, wilcoxon
from toy_likelihoods import Normals, problem_of

import jaxcmr as jc
from jaxcmr import plots
from jaxcmr.bayes import hierarchical_map
from jaxcmr.comparison import (
    ApproximateCrossValidation,
    CrossValidation,
    LikelihoodRatioTest,
    bayesian_model_selection,
    log_evidence,
)
from jaxcmr.front._report_group import make_group_section
from jaxcmr.reporting import About, Chapter, to_html

SUBJECTS = (3, 10, 7)
TRIALS = [[[0, 2]], [[2, 4]], [[4, 6]]]
"""Two lists of each subject."""


def likelihood(**changes):
    """Return a result of three subjects with two lists each, by a likelihood."""
    about = {
        "data": {"fingerprint": "sha256:1", "n_trials": 6},
        "loss_options": {},
        "trials": TRIALS,
    }
    return make_result(loss_label="NLL", n_events=[100, 120, 90], **{**about, **changes})


@pytest.fixture
def results():
    """One model, and another one with a parameter less."""
    one = likelihood()
    free = {"learning_rate": [0.0, 1.0]}
    return {"<one>": one, "two": likelihood(fitness=[9.1, 9.3, 6.5], free=free)}


def validation_of(result, scores, kind=CrossValidation):
    """Return predictions of the lists of a result, two folds per subject."""
    lists = pd.DataFrame(
        {
            "subject": np.repeat(SUBJECTS, 2),
            "fold": [1, 2] * 3,
            "trial": range(6),
            "n_events": 5,
            "log_likelihood": scores,
        }
    )
    about = {name: result[name] for name in ("data", "loss", "loss_options")}
    fitted = {name: result[name] for name in ("model", "free", "fixed")}
    if kind is ApproximateCrossValidation:
        table = pd.DataFrame(
            {
                "subject": SUBJECTS,
                "in_sample": [-loss for loss in result["fitness"]],
                "log_likelihood": lists.groupby("subject", sort=False)["log_likelihood"].sum(),
                "n_parameters": 2,
                "penalty": 1.0,
                "tic": 9.0,
                "n_outside": 0,
                "above_minimum": 0.0,
            }
        )
        return ApproximateCrossValidation(lists, table, about, fitted)
    folds = lists[["subject", "fold", "log_likelihood"]].assign(
        n_train=1, n_test=1, train_loss=3.0, converged=True
    )
    folds = folds.assign(**dict.fromkeys(result["free"], 0.5))
    return CrossValidation(lists, folds, "list", about, fitted)


def report(path, *arguments, **options):
    return Page(jc.report(*arguments[:1], path, *arguments[1:], **options).read_text("utf-8"))


def words_of(page):
    return " ".join(" ".join(page.texts).split())


def numbers(column):
    return [float(each) for each in column]


def test_a_comparison_has_methods_to_paste(results, tmp_path):
    """Hand-worked: AICc = 2 L + 2 k + 2 k (k + 1) / (n - k - 1), with k of 2 and 1."""
    corrections = [12 / (n - 3) - 4 / (n - 2) for n in (100, 120, 90)]
    losses = [2 * (7.1 - 9.1), 2 * (8.3 - 9.3), 2 * (6.0 - 6.5)]
    mean = np.mean([loss + 2 + more for loss, more in zip(losses, corrections, strict=True)])
    found = jc.compare(results, reference="two")
    text = words_of(report(tmp_path / "r.html", results, analyses=found))
    assert "2 models were compared by AICc (Hurvich & Tsai, 1989) of each of 3 subjects" in text
    assert f"were: <one> {mean:.2f} (" in text
    assert "Biometrika, 76(2), 297–307" in text


def test_one_subject_has_neither_intervals_nor_tests(results, tmp_path):
    """There is nothing over which they could be."""
    alone = {name: result.select([3]) for name, result in results.items()}
    given = {name: validation_of(result, [-4.0] * 6) for name, result in results.items()}
    for name, each in given.items():
        lists = each.by_list[each.by_list["subject"] == 3]
        folds = each.by_fold[each.by_fold["subject"] == 3]
        given[name] = dataclasses.replace(each, by_list=lists, by_fold=folds)
    page = report(tmp_path / "r.html", alone, analyses=given)
    text = " ".join(words_of(page).split("addEventListener")[:1])
    assert "interval over subjects)" in text and " nan" not in text
    assert (
        "Mean differences of AICc per subject from <one>, the best model of these data, p" in text
    )
    assert "interval of differences lies" not in text and "were: two" in text
    assert "all-comparison-table-3" not in page.tables


def test_a_comparison_that_cannot_be_made_says_why(results, tmp_path):
    """Eleven observations are too few for two parameters and AICc with n = 3."""
    few = {name: jc.FitResult({**each, "n_events": [3, 3, 3]}) for name, each in results.items()}
    with pytest.warns(UserWarning, match="AICc is infinite"):
        page = report(tmp_path / "r.html", few)
    assert "were not compared by a criterion. AICc is not finite" in words_of(page)


def test_numbers_that_n_counts_are_said(results, tmp_path):
    found = jc.compare(results, "bic", n=40)
    given = [found, bayesian_model_selection(found.log_evidence())]
    text = words_of(report(tmp_path / "r.html", results, analyses=given))
    assert "of each of 3 subjects, with n = 40. Mean differences" in text
    assert "minus half of BIC (n: what was given)" in text


def test_frequencies_of_models_are_shown_with_what_they_are_from(results, tmp_path):
    evidence = log_evidence(results, "bic")
    found = bayesian_model_selection(evidence, "vba")
    page = report(tmp_path / "r.html", results, analyses=found)
    columns, table = page.columns("all-selection-table-1"), found.table()
    assert columns["model"] == tuple(table["model"])
    for name in ("alpha", "expected_frequency", "sd", "protected_exceedance"):
        assert numbers(columns[name]) == table[name].tolist()
    shares = page.columns("all-selection-table-2")
    assert shares["subject"] == ("3", "10", "7")
    assert numbers(shares["<one>"]) == found.responsibilities["<one>"].tolist()
    text = words_of(page)
    assert found.verdict() in text and "(Rigoux et al., 2014; Stephan et al., 2009)" in text
    assert "from minus half of BIC (n: scored events) of 3 subjects, by variational" in text
    assert "with a prior count of 1 in all." in text and "NeuroImage, 84, 971" in text
    best = table.iloc[0]
    assert (
        f"were: {best['model']} {best['expected_frequency']:.2f} (SD {best['sd']:.2f}; "
        f"{best['protected_exceedance']:.3f}), "
    ) in text
    assert "2 models were compared" in text  # as without it


def test_the_log_evidence_is_named(results, tmp_path):
    """It decides what the frequencies are of; a table that the report does not know is said."""
    validated = {
        name: validation_of(result, [-4.0, -5.0, -4.5, -4.0, -3.0, -4.0 - len(result["free"])])
        for name, result in results.items()
    }
    held_out = pd.DataFrame(
        {name: each.by_subject.set_index("subject")["log_likelihood"]
         for name, each in validated.items()}
    )  # fmt: skip
    for evidence, words, caveat in (
        (log_evidence(results, "aic"), "from minus half of AIC of 3 subjects", "does not appr"),
        (log_evidence(results, "bic", "trials"), "half of BIC (n: trials)", "approximates"),
        (held_out, "held-out log-likelihood of cross-validation (one list at a time)", "t best."),
        (held_out + 1.0, "from log evidence (say which) of", "cannot tell which"),
    ):
        given = {**validated, "all": bayesian_model_selection(evidence)}
        text = words_of(report(tmp_path / "r.html", results, analyses=given))
        assert words in text and caveat in text


def test_families_are_named_with_their_models(results, tmp_path):
    results = {**results, "three": results["two"]}
    families = {"small": ["two", "three"], "big": ["<one>"]}
    found = bayesian_model_selection(log_evidence(results), 2.0, "exact", families)
    page = report(tmp_path / "r.html", results, analyses=[found])
    columns = page.columns("all-selection-table-1")
    assert dict(zip(columns["family"], columns["models"], strict=True)) == {
        "small": "two, three",
        "big": "<one>",
    }
    text = words_of(page)
    assert "families (small: two, three; big: <one>)." in text
    assert "from the exact posterior, with prior counts of 2, 2, 2." in text


def test_frequencies_among_other_models_or_subjects_are_refused(results, tmp_path):
    evidence = log_evidence(results)
    for table, message in (
        (evidence.to_numpy(), r"among \['1', '2'\], the results are"),
        (evidence.rename(columns={"two": "three"}), "name the columns"),
        (evidence.rename(index={7: 8}), "of subject 8, whom the result '<one>' has not"),
    ):
        with pytest.raises(ValueError, match=message):
            jc.report(results, tmp_path / "r.html", analyses=bayesian_model_selection(table))
    assert not (tmp_path / "r.html").exists()
    some = bayesian_model_selection(evidence.iloc[:2])
    text = words_of(report(tmp_path / "r.html", results, analyses=some))
    assert "Made for 2 of 3 subjects." in text
    together = {name: jc.FitResult({**each, "pooled": True}) for name, each in results.items()}
    with pytest.raises(ValueError, match="is one fit to all subjects"):
        jc.report(together, tmp_path / "r.html", analyses=some)


def test_predictions_of_a_model_are_summed(results, tmp_path):
    """Hand-worked: of 7.1, 8.3 and 6.0 nats in sample, 9.0, 8.5 and 7.0 are held out."""
    result = results["<one>"]
    found = validation_of(result, [-4.0, -5.0, -4.5, -4.0, -3.0, -4.0])
    page = report(tmp_path / "r.html", result, analyses=found)
    columns = page.columns("r1-prediction-table-1")
    assert columns["subjects"] == ("3",) and columns["lists"] == ("6",)
    for name, value in (("in_sample", -21.4), ("held_out", -24.5), ("optimism", 3.1)):
        assert numbers(columns[name]) == pytest.approx([value])
    assert numbers(columns["held_out_per_event"]) == pytest.approx([-24.5 / 30])
    bars = page.columns("r1-prediction-numbers-1")
    assert bars["subject"] == ("10", "7", "3")  # 0.2, 1.0 and 1.9 nats
    assert numbers(bars["optimism"]) == pytest.approx([0.2, 1.0, 1.9])
    assert len(page.columns("r1-prediction-table-3")["fold"]) == 6
    text = words_of(page)
    assert found.verdict() in text and "started where" not in text
    assert ("p", "class", "warning") not in page.attributes
    lists = found.by_list.assign(log_likelihood=[-3.0, -4.0, -4.5, -4.0, -3.0, -4.0])
    better = report(tmp_path / "r.html", result, analyses=dataclasses.replace(found, by_list=lists))
    assert "For 1 subject held-out lists are predicted better than they were fitted, by up to " in (
        words_of(better)
    )
    started = dataclasses.replace(found, has_starts=True)
    words = words_of(report(tmp_path / "r.html", result, analyses=started))
    assert words.count("started where") == 2  # in what may not be concluded, and in the methods
    assert "held out one list at a time, in 2 folds each, and" in text
    assert "The held-out log-likelihood was -24.5 nats for 3 subjects with 6 lists" in text


def test_an_approximation_is_called_one(results, tmp_path):
    """What is missing for a subject does not enter the sums."""
    result = results["<one>"]
    scores = [-4.0, -5.0, -4.5, -4.0, np.nan, -4.0]
    found = validation_of(result, scores, ApproximateCrossValidation)
    page = report(tmp_path / "r.html", result, analyses={result["model"] + " by "
                  + result["loss"]: found})  # fmt: skip
    columns = page.columns("r1-prediction-table-1")
    assert columns["subjects"] == ("2",) and numbers(columns["held_out"]) == [-17.5]
    assert numbers(columns["in_sample"]) == pytest.approx([-15.4])
    text = words_of(page)
    assert "one list at a time by an approximation" in text and "Bell Laboratories" in text
    assert "too optimistic" in text and "For 1 subject it is not known" in text
    assert page.columns("r1-prediction-numbers-1")["subject"] == ("10", "3", "7")
    nothing = validation_of(result, [np.nan] * 6, ApproximateCrossValidation)
    page = report(tmp_path / "r.html", result, analyses=nothing)
    assert page.columns("r1-prediction-table-1")["held_out"] == ("",)
    assert "held-out log-likelihood was" not in words_of(page)


def test_models_are_compared_by_their_predictions(results, tmp_path):
    """Hand-worked: <one> predicts 1, 1 and -2 nats better, 0 on average."""
    ones = validation_of(results["<one>"], [-4.0, -5.0, -4.5, -4.0, -3.0, -4.0])
    twos = validation_of(results["two"], [-5.0, -5.0, -4.5, -5.0, -2.0, -3.0])
    given = {"<one>": ones, "two": twos}
    given["all"] = jc.compare(results, reference="<one>")
    page = report(tmp_path / "r.html", results, analyses=given)
    columns = page.columns("all-predictions-table-1")
    assert columns["model"] == ("<one>", "two")
    assert numbers(columns["held_out"]) == [-24.5, -24.5]
    assert float(columns["mean_difference"][1]) == pytest.approx(0.0)
    assert columns["<one> better for"][1] == "2" and columns["model better for"][1] == "1"
    tests = ttest_1samp([1.0, 1.0, -2.0], 0.0), wilcoxon([1.0, 1.0, -2.0])
    for name, test in zip(("p_t", "p_wilcoxon"), tests, strict=True):
        assert float(columns[name][1]) == pytest.approx(test.pvalue)
    bars = page.columns("all-predictions-numbers-1")
    assert numbers(bars["difference"]) == [-2.0, 1.0, 1.0] and bars["subject"] == ("7", "3", "10")
    text = words_of(page)
    assert "one list at a time (nats: <one> -24.5, two -24.5)" in text
    assert "not named as the reference" not in text
    assert page.columns("r1-prediction-table-1") and page.columns("r2-prediction-table-1")
    del given["all"]  # without a comparison, by the best of these data
    best = {**results, "two": likelihood(fitness=[7.0, 7.0, 6.0], free=results["two"]["free"])}
    text = words_of(report(tmp_path / "r.html", best, analyses=given))
    assert "That of <one> less that of other models" in text
    assert text.count("not named as the reference, but") == 2  # of the comparison, too


def test_predictions_of_other_folds_are_not_compared(results, tmp_path):
    """Beside each other they would look as if they were of the same lists."""
    ones = validation_of(results["<one>"], [-4.0] * 6)
    twos = validation_of(results["two"], [-5.0] * 6)
    other = dataclasses.replace(twos, by_list=twos.by_list.assign(fold=[2, 1] * 3))
    page = report(tmp_path / "r.html", results, analyses={"<one>": ones, "two": other})
    words = "two was not compared with <one>. The two are of other lists or folds"
    assert words in words_of(page)
    sessions = dataclasses.replace(twos, folds="session")
    page = report(tmp_path / "r.html", results, analyses={"<one>": ones, "two": sessions})
    assert "all-predictions-table-1" not in page.tables
    assert "were not compared: <one>, one list at a time; two, one session at a" in words_of(page)
    assert "r2-prediction-table-1" in page.tables
    with pytest.raises(ValueError, match="'two' has two cross-validations, one list at a time"):
        jc.report(results, tmp_path / "r.html", analyses={"<one>": ones, "two": [twos, twos]})
    both = {"two": [twos, dataclasses.replace(twos, has_starts=True)]}
    page = report(tmp_path / "r.html", results, analyses=both)
    assert "r2-prediction-2-table-1" in page.tables
    with pytest.raises(ValueError, match="A CrossValidation is of one result, by its name"):
        jc.report(results, tmp_path / "r.html", analyses={"all": twos})


def test_predictions_of_other_fits_are_refused(results, tmp_path):
    result = results["<one>"]
    found = validation_of(result, [-4.0] * 6)
    rough = validation_of(result, [-4.0] * 6, ApproximateCrossValidation)
    for other, given, message in (
        (likelihood(data={"fingerprint": "sha256:2", "n_trials": 6}), found, "data"),
        (likelihood(trials=[[[0, 2]], [[2, 5]], [[5, 6]]]), found, "lists"),
        (likelihood(model="cru"), found, "model"),
        (results["two"], found, "free parameters or bounds"),
        (likelihood(fixed={"primacy_decay": 0.6}), found, "fixed parameters"),
        (likelihood(loss_options={"events": "recalls"}), found, "options of the loss"),
        (likelihood(fitness=[7.1, 8.3, 6.1]), rough, "estimates"),
    ):
        with pytest.raises(ValueError, match=f"not of this result, as these differ: {message}"):
            jc.report(other, tmp_path / "r.html", analyses=given)
    assert not (tmp_path / "r.html").exists()


def test_a_test_of_nested_models_finds_its_results(results, tmp_path):
    """Twice the differences of the losses are 4, 2 and 1, with one parameter more."""
    table = pd.DataFrame(
        {"subject": SUBJECTS, "statistic": [4.0, 2.0, 1.0], "p": [0.05, 0.2, 0.3]}
    ).assign(p_low=0.01, p_high=0.4)
    total = {"statistic": 7.0, "p": 0.04, "p_low": 0.01, "p_high": 0.1}
    draws = pd.DataFrame({"subject": 3, "draw": [1, 2, 3], "statistic": 1.0})
    found = LikelihoodRatioTest("bootstrap", 1, table, total, draws, ("Look out.",))
    page = report(tmp_path / "r.html", {**results, "more": results["two"]}, analyses=found)
    columns = page.columns("all-test-table-1")
    assert numbers(columns["statistic"]) == [7.0] and numbers(columns["p"]) == [0.04]
    text = words_of(page)
    assert "Test of 'two' in '<one>'" in text and text.count("Look out.") == 2  # in methods, too
    assert "a parametric bootstrap of 3 simulated data sets per subject: twice the" in text
    known = [{"model": each["model"], "free": each["free"]} for each in results.values()]
    same = dataclasses.replace(found, fitted=(known[1], known[0]))
    assert "Test of 'two' in" in words_of(report(tmp_path / "r.html", results, analyses=same))
    for other in (
        dataclasses.replace(found, df=2),
        dataclasses.replace(found, fitted=(known[0], known[0])),
        dataclasses.replace(found, table=table.assign(statistic=[4.0, 2.0, 1.1])),
    ):
        with pytest.raises(ValueError, match="test is of other fits"):
            jc.report(results, tmp_path / "r.html", analyses=other)


OBSERVED = np.array([0.3, -0.5, 1.4, 0.8, -0.2, 0.9])


@pytest.fixture(scope="module")
def group():
    """A hierarchical fit of six normal means, and the fits that it started from."""
    problem = problem_of(Normals, observed=OBSERVED, weight=np.full(6, 4.0))
    result = jc.FitResult(
        fits={"learning_rate": norm.cdf(OBSERVED).tolist(), "subject": [1, 2, 3, 4, 5, 6]},
        fitness=[4 / 2 * float(np.log(2 * np.pi))] * 6,
        free={"learning_rate": [0.0, 1.0]},
        fixed=dict(problem.fixed),
        trials=[[[i, i + 1]] for i in range(6)],
        data={"fingerprint": problem.data_fingerprint, "n_trials": 6},
        loss_label="NLL",
    )
    return hierarchical_map(problem, result), result


def page_of(section, result):
    return Page(to_html([Chapter("a", result, About("a"), About("b"), sections=[section])]))


def test_a_group_is_shown_with_its_subjects(group):
    """Six normal means of four observations each: the closed form of the group's median."""
    found, result = group
    page = page_of(make_group_section(found, result, "r1-g1"), result)
    columns = page.columns("r1-group-table-1")
    assert numbers(columns["median"]) == pytest.approx([norm.cdf(OBSERVED.mean())], abs=1e-3)
    shrunken = page.columns("r1-group-numbers-1")
    assert numbers(shrunken["before"]) == result["fits"]["learning_rate"]
    assert numbers(shrunken["after"]) == found.estimates["learning_rate"].tolist()
    assert len(page.columns("r1-group-table-2")["subject"]) == 6
    text = words_of(page)
    assert found.verdict() in text
    assert "(Gershman, 2016; Huys et al., 2011)" in text and "(Varadhan & Roland, 2008)" in text
    row = found.group.iloc[0]
    words = f"learning rate {row['median']:.3g} ({row['low']:.3g} to {row['high']:.3g})."
    assert words in text
    assert ("p", "class", "warning") not in page.attributes


def test_a_group_of_other_fits_is_refused_and_a_lower_loss_is_told(group):
    found, result = group
    moved = jc.FitResult({**result, "fits": {**result["fits"], "learning_rate": [0.5] * 6}})
    with pytest.raises(ValueError, match="as these differ: estimates"):
        make_group_section(found, moved, "r1-g1")
    renamed = jc.FitResult({**result, "free": {"item_support": [0, 1]}})
    with pytest.raises(ValueError, match="free parameters or bounds"):
        make_group_section(found, renamed, "r1-g1")
    within = {**result, "agree_within": 0.05}
    for above, n_warnings in ((0.04, 0), (0.06, 1)):  # of the loss at the shrunken estimates
        losses = (above - found.log_likelihood).tolist()
        higher = jc.FitResult({**within, "fitness": losses})
        warnings = make_group_section(found, higher, "r1-g1").warnings
        assert len(warnings) == n_warnings
    assert "For 6 subjects the loss at the shrunken estimates is lower" in warnings[0]
    alone = dataclasses.replace(found, before=None)
    assert not make_group_section(alone, result, "r1-g1").figures


def test_shrinkage_is_drawn_on_the_scale_of_the_search(group, monkeypatch):
    """Four decades below the upper bound are spread for a parameter on a logarithmic scale."""
    drawn = {}
    draw = plots.plot_shrinkage

    def record(before, after, name, *, log_from, **options):
        drawn[name] = log_from
        return draw(before, after, name, log_from=log_from, **options)

    monkeypatch.setattr(plots, "plot_shrinkage", record)
    found, result = group
    make_group_section(found, result, "r1-g1")
    renamed = {"learning_rate": "item_support"}
    other = dataclasses.replace(
        found,
        names=("item_support",),
        group=found.group.replace(renamed),
        before=found.before.rename(columns=renamed),
        estimates=found.estimates.rename(columns=renamed),
        fitted={},
    )
    fits = {"item_support": result["fits"]["learning_rate"], "subject": [1, 2, 3, 4, 5, 6]}
    of_support = {"model": "cmr", "free": {"item_support": [0.0, 100.0]}, "fits": fits}
    make_group_section(other, jc.FitResult({**result, **of_support}), "r1-g1")
    assert drawn == {"learning_rate": None, "item_support": pytest.approx(0.01)}


def test_a_report_takes_the_group_of_each_result(group, tmp_path):
    found, result = group
    page = report(tmp_path / "r.html", {"a": result, "b": result}, analyses={"b": found})
    assert "r2-group-table-1" in page.tables and "r1-group-table-1" not in page.tables
    evidence = pd.DataFrame(
        {"a": found.log_evidence, "b": found.log_evidence}, index=list(found.subjects)
    )
    both = {"a": found, "b": found, "all": bayesian_model_selection(evidence)}
    text = words_of(report(tmp_path / "r.html", {"a": result, "b": result}, analyses=both))
    assert "from the log evidence given the group (by Laplace's approximation) of 6" in text
    with pytest.raises(ValueError, match="An analysis is one of"):
        jc.report(result, tmp_path / "r.html", analyses="group")
