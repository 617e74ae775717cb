"""The texts of a report: citations as the references list them, methods as the result has them."""

import re
from pathlib import Path

import numpy as np
import pytest
from report_pages import make_result

import jaxcmr as jc
from jaxcmr.front._report import LOSS_WORDS, about_loss, about_model
from jaxcmr.loss import LOSSES
from jaxcmr.models import CATALOGUE
from jaxcmr.parameters import DECADES
from jaxcmr.reporting import WORKS, Chapter, cite, describe_data
from jaxcmr.reporting._methods import methods, references, to_report
from jaxcmr.reporting._repeat import code

ROOT = Path(jc.__file__).parents[1]


def chapter_of(result, **changes):
    return Chapter("one", result, about_model(result), about_loss(result), **changes)


def listed_works():
    """Return text and DOI of each work in docs/references.md, by its anchor."""
    text = (ROOT / "docs" / "references.md").read_text(encoding="utf-8")
    works = {}
    for entry, key in re.findall(r"^- (.*?)\{: #(.*?) \}", text, re.DOTALL | re.MULTILINE):
        words = " ".join(entry.split())
        doi = re.search(r"\(https://doi.org/(.*?)\)", words)
        works[key] = re.sub(r" (\[|Program and).*", "", words).replace("*", ""), doi and doi[1]
    return works


@pytest.mark.parametrize("key", WORKS)
def test_a_work_is_that_of_the_references(key):
    """Word for word, with the same DOI; what is cited is the first author and the year."""
    entry, doi = listed_works()[key]
    work = WORKS[key]
    assert (work.entry, work.doi) == (entry, doi)
    author, year = work.short.split(" ")[0].rstrip(","), work.short[-4:]
    assert work.entry.startswith(author) and f"({year})" in work.entry


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_named_model_has_works(name):
    assert CATALOGUE[name].works and cite(CATALOGUE[name].works)


def test_every_named_loss_has_words():
    assert set(LOSS_WORDS) == set(LOSSES)
    assert all(cite(about.works) or not about.works for about in LOSS_WORDS.values())


def test_methods_have_the_numbers_of_the_result():
    text = methods(chapter_of(make_result()))
    for words in (
        "to the recalls of each of 3 subjects (15 lists)",
        "2 parameters with these bounds were free: learning rate γ (0 to 1), item support δ (0 to "
        "100). Fixed were primacy decay φ_d = 0.5.",
        "the best of 2 independent runs of differential evolution (Storn & Price, 1997)",
        "The strategy was best1bin, with 8 population members per free parameter, at most 50 "
        "generations, F = 0.85 and CR = 0.9.",
        "The seed was 5.",
        "For 2 of 3 fits, two or more runs ended within 0.05 nats of the lowest loss.",
        "Estimates were on a bound for so many fits: learning rate for 1 (upper).",
    ):
        assert words in text


def result_from_earlier_fits(origins, **changes):
    """Return a result whose runs have these origins."""
    result = make_result(**changes)
    for of_fit in result["runs"]:
        of_fit[:] = [
            {**of_fit[i % 2], "run": i, "origin": origin} for i, origin in enumerate(origins)
        ]
    return result


def test_runs_from_an_earlier_fit_are_not_called_independent():
    """They are told apart, with the name of the earlier fit where it is recorded."""
    text = methods(chapter_of(result_from_earlier_fits(["random"] * 3 + ["start_from[0]"])))
    assert "the best of 3 independent runs of differential evolution (Storn" in text
    assert "and of one more that started from the estimates of an earlier fit." in text
    run = {"config": {"start_from": ["fits/no primacy/result.json", "small.json"]}}
    started = [f"start_from[{i}]" for i in range(2)]
    text = methods(chapter_of(result_from_earlier_fits(["random", *started], run=run)))
    assert "the best of one run of differential evolution" in text
    assert (
        "of 2 more that started from the estimates of 2 earlier fits (no primacy, small)." in text
    )
    text = methods(chapter_of(result_from_earlier_fits(started[:1])))
    assert "a single run of differential evolution (Storn & Price, 1997), which started" in text


def test_the_scale_of_the_search_is_a_sentence():
    """Of every scale that a search may have."""
    for scale in (*DECADES, "auto", "alternate", {"item_support": "log"}):
        given = {**make_result()["hyperparameters"], "scale": scale}
        text = methods(chapter_of(make_result(hyperparameters=given)))
        assert ("set by parameter: item" if isinstance(scale, dict) else "searched on") in text
        assert f"{scale!r}" not in text


def test_methods_of_runs_without_a_polish_do_not_claim_one():
    result = make_result()
    for of_fit in result["runs"]:
        for run in of_fit:
            run["polish"] = None
    assert "quasi-Newton" not in methods(chapter_of(result))
    assert "quasi-Newton" in methods(chapter_of(make_result()))


def test_methods_of_the_fitter_of_scipy_do_not_cite_the_own_polish():
    text = methods(chapter_of(make_result(run={"config": {"fitter": "scipy"}})))
    assert "L-BFGS-B of SciPy" in text and "Bertsekas" not in text


def test_the_code_names_the_features_as_they_were_given():
    """By their path and the argument; by a name to fill in where they were objects."""
    assert "    features=FEATURES,\n" in code(make_result(features="sha256:1"))
    run = {"config": {"distances": "words.csv", "features": None}}
    assert '    distances="words.csv",\n' in code(make_result(features="sha256:1", run=run))
    assert "features=" not in code(make_result())


def test_the_code_leaves_a_gap_for_what_the_result_does_not_say():
    """Trials and earlier fits: left out, it would make another fit without a word."""
    known = make_result(data={"n_trials": 15, "fingerprint": "sha256:1"}, trials=[[[0, 15]]])
    assert "where" not in code(known) and "start_from" not in code(known)
    some = make_result(
        data={"n_trials": 15, "fingerprint": "sha256:1"}, trials=[[[0, 9]], [[9, 12]]]
    )
    assert "in [[0, 12]]:" in code(some) and "    where=lambda data: fitted,\n" in code(some)
    assert "    where=WHERE,  #" in code(make_result())
    known["runs"][0][1]["origin"] = "start_from[0]"
    assert "    start_from=EARLIER,  #" in code(known)


def test_methods_of_a_pooled_fit():
    result = make_result(pooled=True, fitness=[7.1], runs=make_result()["runs"][:1])
    assert "to the recalls of all subjects together (15 lists)" in methods(chapter_of(result))


def test_references_are_those_that_are_cited():
    """Each once, and no other."""
    chapter = chapter_of(make_result())
    listed = references(methods(chapter), None)
    assert len(listed) == len(set(listed)) == 6
    cited = {part for found in re.findall(r"\(([^()]*\d{4})\)", methods(chapter))
             for part in found.split("; ")}  # fmt: skip
    assert cited == {w.short for w in WORKS.values() if w.full in listed} and len(cited) == 5


def test_an_unknown_work_is_an_error():
    with pytest.raises(ValueError, match="Did you mean 'polyn-2009'"):
        cite(["polyn-209"])


def test_what_a_report_lacks_is_said():
    """The version and the data are not in this result."""
    has = {thing: found for thing, _, found in to_report(chapter_of(make_result()))}
    assert has["Software with version, seed"] is False
    assert has["Subjects, lists and list lengths"] is False
    assert has["Evidence that the lowest loss was found"] is True


def test_data_are_counted_by_hand():
    """Two subjects: 2 and 1 recalls of lists of 3, and 2 of a list of 2; a repeat counts once."""
    data = {
        "subject": np.array([["a"], ["a"], ["b"], ["b"]]),
        "listLength": np.array([[3], [3], [2], [2]]),
        "recalls": np.array([[3, 1, 3], [2, 0, 0], [1, 2, 0], [1, 0, 0]]),
        "intrusions": np.array([[1], [0], [4], [9]]),
    }
    facts = describe_data(data, np.array([True, True, True, False]))
    assert (facts.n_subjects, facts.n_trials, facts.n_left_out) == (2, 3, 1)
    assert facts.lengths == {2: 1, 3: 2} and facts.trials_per_subject == (1, 2)
    assert facts.n_recalls == 5 and facts.n_intrusions == 5 and facts.n_repeats is None
    assert facts.recalls_per_list == pytest.approx((1.75, np.sqrt(0.125)))
    with pytest.raises(ValueError, match="holds no trial"):
        describe_data(data, np.zeros(4, bool))


def test_methods_say_which_events_were_scored():
    """In words of a paper, not as an option; and that lists of the model were cut off."""
    result = make_result(loss_options={"events": "recalls", "x": 2}, stops_scored=False)
    text = methods(chapter_of(result))
    assert "with x = 2. Recalls were scored, but not where recall stopped." in text
    assert "events" not in text and "cut off" not in text  # without the data nothing is simulated
    facts = describe_data(
        {"subject": [[3]], "listLength": [[2]], "pres_itemnos": [[1, 2]], "recalls": [[1, 0]]},
        np.ones(1, bool),
    )
    assert "were cut off after as many recalls as" in methods(chapter_of(result, data=facts))
    everything = make_result(loss_options={"events": "all"}, stops_scored=True)
    assert "events" not in methods(chapter_of(everything, data=facts))
