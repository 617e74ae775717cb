"""A report says what the result says, in one file that is the same each time."""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from report_pages import HOSTILE, Page, make_result

import jaxcmr as jc
from jaxcmr.front._report import make_chapter
from jaxcmr.reporting import About, Chapter, to_html


@pytest.fixture(scope="module")
def page(small_report):
    return Page(small_report.read_text(encoding="utf-8"))


def page_of(result, **changes):
    return Page(to_html([Chapter("one", result, About("a model"), About("a loss"), **changes)]))


def test_every_number_of_the_fits_is_that_of_the_result(page, small_fit):
    """Exactly, not as rounded: tables sort by these values, and downloads hold them."""
    columns = page.columns("r1-subjects")
    assert [int(each) for each in columns["subject"]] == small_fit["fits"]["subject"]
    assert [float(each) for each in columns["NLL"]] == small_fit["fitness"]
    assert [int(each) for each in columns["events"]] == small_fit["n_events"]
    for name in small_fit["free"]:
        assert [float(each) for each in columns[name]] == small_fit["fits"][name]
    agree = [int(each) for each in columns["agree"]]
    assert agree == [count for count, _ in small_fit.agreement()]


def test_parameters_are_described_over_fits():
    """Hand-worked: 0.25, 1 and 0.123456789, of which one is on the upper bound."""
    columns = page_of(make_result()).columns("r1-estimates")
    assert columns["parameter"] == ("learning_rate", "item_support")
    assert float(columns["mean"][0]) == pytest.approx(1.373456789 / 3, abs=1e-15)
    assert float(columns["median"][0]) == 0.25
    assert float(columns["SD"][0]) == pytest.approx(0.473786, abs=1e-6)
    assert float(columns["SD"][1]) == 0.0
    assert (columns["at lower"][0], columns["at upper"][0]) == ("0", "1")
    bounds = page_of(make_result()).columns("r1-bounds")
    assert bounds["parameter"] == ("learning_rate", "item_support", "primacy_decay")
    assert float(bounds["fixed at"][2]) == 0.5 and bounds["low"][2] == ""
    assert "fixed at" not in page_of(make_result(fixed={})).columns("r1-bounds")


def test_an_estimate_on_a_bound_is_marked():
    page = page_of(make_result())
    assert [row[4] for row in page.shown["r1-subjects"][1:]] == ["0.25", "1↑", "0.1235"]
    assert ("span", "title", "on its upper bound") in page.attributes


def test_the_table_of_the_data_counts_what_was_fitted(page, small_data):
    """Of the 20 trials, the 13 of subjects 3 and 7; recalls counted once more by sets."""
    rows = {row[0]: row[1] for row in page.tables["r1-facts"][1:]}
    recalls = small_data["recalls"][:13]
    assert rows["lists fitted"] == "13" and rows["subjects"] == "2"
    assert rows["lists in the data that were not fitted"] == "7"
    counted = sum(len(set(trial) - {0}) for trial in recalls.tolist())
    assert int(rows["recalls of studied items, repeats left out"]) == counted


def test_the_curves_in_the_report_are_those_of_the_measures(page, small_fit, small_data):
    """The serial position curve of the data, computed here by the mean over subjects."""
    rows = page.tables["r1-numbers-1"][1:]
    shown = [float(row[2]) for row in rows if row[0] == "serial position"]
    recalls, subjects = small_data["recalls"], small_data["subject"].reshape(-1)
    curves = [
        [np.mean([k in trial for trial in recalls[subjects == one]]) for k in range(1, 7)]
        for one in (3, 7)
    ]
    np.testing.assert_allclose(shown, np.mean(curves, axis=0), atol=1e-6)


def test_lists_are_cut_where_the_loss_takes_their_length_as_given(small_data):
    """Curves of data and model are then of equally many recalls, and the figure of recalls per list
    says that it is not a prediction. The model never stops by itself."""
    fixed = {name: 0.5 for name in jc.usual_bounds("cmr") if name != "learning_rate"}
    fixed |= {"stop_probability_scale": 0.0, "stop_probability_growth": 0.0}
    search = {"num_steps": 2, "pop_size": 2, "best_of": 1, "polish": False}
    result = jc.fit(small_data, loss_options={"events": "recalls"}, fixed=fixed, search=search,
                    progress=False)  # fmt: skip
    chapter = make_chapter("one", result, "r1", jc.FitProblem.from_result(result, small_data),
                           None, n_copies=2, seed=0)  # fmt: skip
    fit, recalls, *_ = chapter.figures
    curves = fit.table[fit.table["measure"] == "serial position"]
    assert curves["model"].sum() == pytest.approx(curves["data"].sum())
    assert curves["data"].sum() < 6
    assert "cut off" in fit.guide.shows and "not predict" in recalls.guide.shows


def test_names_stay_text():
    """Of subjects, models, chapters and titles: a page has one script, its own."""
    fits = {"learning_rate": [0.5], "subject": [HOSTILE]}
    result = jc.FitResult(
        fitness=[7.0], fits=fits, free={"learning_rate": [0, 1]}, fixed={}, model=HOSTILE
    )
    chapter = Chapter(HOSTILE, result, About(HOSTILE), About(HOSTILE), verdict=HOSTILE)
    page = Page(to_html([chapter, chapter], HOSTILE))
    assert page.tags.count("script") == 1
    assert page.columns("r1-subjects")["subject"] == (HOSTILE,)
    assert sum(HOSTILE in text for text in page.texts) >= 8


def test_the_page_asks_for_nothing(small_report, page):
    """Nothing in it is loaded from anywhere, and its policy forbids it: only its own script runs,
    known by its hash."""
    for tag, name, value in page.attributes:
        if name in ("src", "href", "xlink:href", "action", "poster", "srcset"):
            assert value.startswith(("#", "data:")), (tag, name, value)
    text = small_report.read_text(encoding="utf-8")
    assert "url(http" not in text and "@import" not in text
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)[1]
    digest = b64encode(sha256(script.encode()).digest()).decode()
    metas = [value for *name, value in page.attributes if name == ["meta", "content"]]
    (policy,) = [value for value in metas if "default-src 'none'" in value]
    assert f"script-src 'sha256-{digest}';" in policy
    assert len(text.encode()) < 2_000_000


def test_identifiers_are_unique(page):
    """Of several figures in one page, too: matplotlib gives all of them the same ones."""
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids)) > 50
    used = {
        value[1:] for _, name, value in page.attributes if name.endswith("href") and "#" in value
    }
    assert used <= set(ids)


def test_the_same_result_gives_the_same_bytes(small_fit, small_data, small_report, tmp_path):
    """However matplotlib's style has been changed."""
    with matplotlib.rc_context({"lines.linewidth": 9, "svg.hashsalt": None, "font.size": 20}):
        path = jc.report(
            {HOSTILE: small_fit}, tmp_path / "r.html", small_data, n_copies=2, curvature=False
        )
    assert path.read_bytes() == small_report.read_bytes()


def test_the_code_in_the_report_repeats_the_fit(small_report, small_fit, small_data):
    """Run as it is written, it finds the same losses at the same estimates, bit for bit."""
    page = small_report.read_text(encoding="utf-8")
    block = re.search(r'-code"><code>(.*?)</code>', page, re.DOTALL)[1]
    names = {"DATA": small_data}
    exec(block.replace("&#34;", '"').replace("seed=5,", "seed=5, progress=False,"), names)
    assert names["result"]["fitness"] == small_fit["fitness"]
    assert names["result"]["fits"] == small_fit["fits"]


def test_data_that_were_not_fitted_are_an_error(small_fit, small_data, tmp_path):
    others = {**small_data, "recalls": small_data["recalls"][::-1]}
    with pytest.raises(ValueError, match="fitted"):
        jc.report(small_fit, tmp_path / "r.html", others)
    assert not (tmp_path / "r.html").exists()


def test_a_report_does_not_replace_a_result(tmp_path):
    path = tmp_path / "result.json"
    make_result().save(path)
    with pytest.raises(ValueError, match=r"ends in \.html"):
        jc.report(path, path)
    with pytest.raises(ValueError, match=r"second argument, path, .* got FitResult"):
        jc.report(path, make_result())
    assert jc.FitResult.load(path) == make_result()


def test_several_results_are_chapters_of_one_page(tmp_path):
    """With a table of all of them, and a warning where their losses cannot be compared."""
    other = make_result(n_events=[20, 30, 41])
    path = jc.report({"one": make_result(), "two": other}, tmp_path / "r.html")
    page = Page(path.read_text(encoding="utf-8"))
    overview = page.columns("overview")
    assert overview["result"] == ("one", "two")
    assert [float(each) for each in overview["sum of losses"]] == pytest.approx([21.4, 21.4])
    assert "The results are of different numbers of events: do not compare their losses." in (
        page.texts
    )
    assert {"r1-subjects", "r2-subjects"} <= set(page.tables)


def test_results_are_named(tmp_path):
    """By their folders, or else by model and loss, each once."""
    from jaxcmr.front._report import name_results

    folder = tmp_path / "study"
    folder.mkdir()
    make_result().save(folder / "result.json")
    make_result().save(folder / "again.json")
    named = name_results([folder, folder / "again.json", make_result(), make_result()])
    words = "cmr by sequence_likelihood"
    assert list(named) == ["study", "again", words, f"{words} (2)"]
    with pytest.raises(ValueError, match="one result or more"):
        jc.report([], tmp_path / "r.html")


@pytest.mark.parametrize(
    ("losses", "grade"), [([7.0, 7.0], "caution"), ([7.0, 9.0], "bad"), ([7.0], "bad")]
)
def test_the_verdict_follows_the_checks(losses, grade, tmp_path):
    """Runs that disagree, or a single run: not confirmed. An estimate on a bound: a closer look."""
    runs = [{**make_result()["runs"][1][0], "loss": loss} for loss in losses]
    result = make_result(runs=[runs], fitness=[7.0], n_trials=[4], n_events=[20], converged=[True])
    result["fits"] = {name: values[1:2] for name, values in result["fits"].items()}
    page = Page(jc.report(result, tmp_path / "r.html").read_text(encoding="utf-8"))
    assert ("section", "class", f"verdict {grade}") in page.attributes


def test_checks_are_counted_over_fits(tmp_path):
    """One of three fits has a single run that ended low, and one an estimate on a bound."""
    page = Page(jc.report(make_result(), tmp_path / "r.html").read_text(encoding="utf-8"))
    counts = {row[0]: row[1:4] for row in page.tables["r1-checks"][1:]}
    assert counts["runs_agree"] == ["2", "1", "0"] and counts["on_bounds"] == ["2", "1", "0"]
    assert counts["lag_crp"] == ["0", "0", "3"]
    failed = [(row[0], row[1]) for row in page.tables["r1-failures"][1:]]
    assert ("10", "runs_agree") in failed and ("10", "on_bounds") in failed
    assert page.columns("r1-subjects")["failed checks"][1] == str(len(failed))


def test_template_style_and_script_are_packaged():
    """Files beside the modules are in a wheel only if pyproject.toml names them."""
    import tomllib

    root = Path(jc.__file__).parent
    setup = tomllib.loads((root.parent / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = setup["tool"]["setuptools"]["package-data"]["jaxcmr"]
    packaged = {path for pattern in patterns for path in root.glob(pattern)}
    others = {path for path in root.rglob("*.*") if path.suffix in (".html", ".css", ".js")}
    assert len(others) == 3 and others <= packaged


def test_results_of_the_same_trials_are_compared(tmp_path):
    """With the numbers of `jc.compare`; not where the losses are of something else."""
    one = make_result(loss_label="NLL", n_events=[100, 120, 90])
    two = {**one, "model": "other", "fitness": [9.1, 9.3, 6.5]}
    path = jc.report({"one": one, "<two>": two}, tmp_path / "report.html")
    page, found = Page(path.read_text(encoding="utf-8")), jc.compare({"one": one, "<two>": two})
    columns = page.columns("all-comparison-table-1")
    assert columns["model"] == ("one", "<two>")
    assert [float(each) for each in columns["AICc"]] == found.table["aicc"].tolist()
    assert page.columns("all-comparison-table-1")["best for"] == ("3.0", "0.0")
    assert [row[-2] for row in page.shown["all-comparison-table-1"][1:]] == ["3", "0"]
    low, high = found.table.loc[1, ["low", "high"]]
    [row] = page.shown["all-comparison-table-2"][1:]
    assert row[:4] == ["<two>", "7.00", "2.33", f"{low:.2f} to {high:.2f}"]
    assert found.verdict() in page.texts and found.warnings[0] in page.texts
    assert page.columns("all-comparison-numbers-2")["subject"]
    both = {"one": one, "<two>": two}
    named = jc.compare(both, "bic", reference="<two>")
    page = Page(jc.report(both, path, analyses=named).read_text(encoding="utf-8"))
    assert page.tables["all-comparison-table-2"][0][2] == "mean BIC per subject"
    assert page.columns("all-comparison-table-2")["model"] == ("one",)
    assert "BIC above <two>" in page.texts and named.header() in page.texts
    for results, given, message in (
        ({"one": one, "two": two}, named, "of other fits"),
        ({**both, "one": {**one, "fitness": [7.1, 8.3, 6.1]}}, named, "of other fits"),
        (one, named, "of other fits"),
        (both, "bic", "An analysis is one of .*; got str"),
    ):
        with pytest.raises(ValueError, match=message):
            jc.report(results, path, analyses=given)
    other = {**two, "loss_label": "MSE"}
    path = jc.report({"one": one, "two": other}, tmp_path / "report.html")
    assert "all-comparison-table-1" not in Page(path.read_text(encoding="utf-8")).tables
