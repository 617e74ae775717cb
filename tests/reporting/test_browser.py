"""A report in a browser: it asks for nothing, runs without errors, sorts, and shows names as text.

Needs a Chromium (Debian's ``chromium``, or the program that JAXCMR_CHROMIUM names) and the extra
``browser``. Without them these tests are skipped; a continuous integration that has the browser
must have the extra.
"""

import os
import shutil
from importlib.util import find_spec

import numpy as np
import pytest
from matplotlib.figure import Figure as Drawing
from report_pages import HOSTILE, make_result

import jaxcmr as jc
from jaxcmr.reporting import About, Chapter, Figure, Guide, drawing_style, to_html, to_svg

CHROMIUM = os.environ.get("JAXCMR_CHROMIUM") or shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
]
"""For containers, and so that the browser itself asks for nothing."""


@pytest.fixture(scope="module")
def browser():
    missing = [
        what
        for what, is_there in (
            ("a chromium (apt-get install chromium)", CHROMIUM is not None),
            ('playwright (pip install -e ".[browser]")', find_spec("playwright") is not None),
        )
        if not is_there
    ]
    if missing:  # never skipped in silence where changes are checked
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(f"There is no {' and no '.join(missing)}.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A report in which every name is a script, in tables, texts and figures."""
    with drawing_style():
        drawing = Drawing(figsize=(3, 2))
        drawing.subplots().set(title=HOSTILE, xlabel=HOSTILE)
        svg = to_svg(drawing, "r1-a", HOSTILE)
    figure = Figure(HOSTILE, svg, Guide(*[HOSTILE] * 4))
    result = make_result(model=HOSTILE)
    result["fits"]["subject"] = [HOSTILE, "b10", "b9"]
    about = About(HOSTILE, ["polyn-2009"])
    chapter = Chapter(HOSTILE, result, about, about, figures=[figure], verdict=HOSTILE)
    path = tmp_path_factory.mktemp("browser") / "report.html"
    path.write_text(to_html([chapter], HOSTILE), encoding="utf-8")
    return path


@pytest.fixture
def page(browser, file):
    """The page, opened; at the end, nothing was asked for, and nothing went wrong."""
    page = browser.new_page()
    requests, wrong = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.goto(file.as_uri())
    yield page
    assert requests == [file.as_uri()] and wrong == []
    page.close()


def column(page, number):
    """Return what a column of the table of fits shows, from top to bottom."""
    return page.locator(f"#r1-subjects tbody td:nth-child({number})").all_inner_texts()


def heading(page, words):
    return page.locator("#r1-subjects thead th", has_text=words).first


def test_names_stay_text(page):
    """Nothing was run (the fixture sees to that), and what is shown is what was given."""
    assert page.title() == HOSTILE
    assert page.evaluate("document.scripts.length") == 1
    assert page.locator("h1").inner_text() == HOSTILE
    assert column(page, 1) == [HOSTILE, "b10", "b9"]
    labels = page.locator("svg text").all_text_contents()
    assert labels.count(HOSTILE) == 2


def test_a_click_sorts_by_number(page):
    """Not by digits: 0.1234... is less than 0.25. A second click turns the order around."""
    rate = heading(page, "learning_rate")
    assert rate.get_attribute("aria-sort") == "none"
    rate.locator("button").click()
    assert column(page, 1) == ["b9", HOSTILE, "b10"]
    assert rate.get_attribute("aria-sort") == "ascending"
    rate.locator("button").click()
    assert column(page, 1) == ["b10", HOSTILE, "b9"]
    assert rate.get_attribute("aria-sort") == "descending"


def test_the_keyboard_sorts_too(page):
    """Rows move as wholes, and only one heading says that it is sorted."""
    heading(page, "NLL").locator("button").click()
    subject = heading(page, "subject").locator("button")
    subject.focus()
    page.keyboard.press("Enter")
    assert column(page, 1) == [HOSTILE, "b9", "b10"] and column(page, 2) == ["7.1", "6", "8.3"]
    page.keyboard.press("Space")
    assert column(page, 1) == ["b10", "b9", HOSTILE]
    sorts = page.locator("#r1-subjects th").evaluate_all("all => all.map(x => x.ariaSort)")
    assert sorts.count("none") == len(sorts) - 1


def test_the_download_holds_exact_values(page, tmp_path):
    """In the order in which they were, without the marks of bounds."""
    with page.expect_download() as waiting:
        page.locator("button[data-csv=r1-subjects]").click()
    waiting.value.save_as(tmp_path / "fits.csv")
    import pandas as pd

    table = pd.read_csv(tmp_path / "fits.csv")
    expected = make_result()["fits"]["learning_rate"]
    np.testing.assert_array_equal(table["learning_rate"], expected)
    assert table["subject"][0] == HOSTILE


def test_a_phone_shows_the_page_without_scrolling_sideways(page):
    """Wide tables scroll by themselves."""
    page.set_viewport_size({"width": 380, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 380


def test_dark_mode_turns_the_page_dark(page):
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="light")
    assert dark != page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_paper_shows_every_row(page):
    """Nothing is cut off by a table that scrolls on the screen."""
    limits = "all => all.map(x => getComputedStyle(x).maxHeight + getComputedStyle(x).overflow)"
    assert "nonevisible" not in page.locator(".scroll, pre").evaluate_all(limits)
    page.emulate_media(media="print")
    assert set(page.locator(".scroll, pre").evaluate_all(limits)) == {"nonevisible"}


def test_tables_of_models_and_parameters_are_shown_whole(browser, tmp_path):
    """On a screen of 1300 pixels no column of them is behind a scroll bar."""
    one = make_result(loss_label="NLL", n_events=[100, 120, 90])
    two = {**one, "fitness": [1179.12, 1209.33, 1006.54]}
    path = jc.report({"one": one, "CMR without primacy": two}, tmp_path / "report.html")
    page = browser.new_page(viewport={"width": 1300, "height": 800})
    page.goto(path.as_uri())
    for table in ("all-comparison-table-1", "all-comparison-table-2", "r1-bounds", "r1-estimates"):
        scroll = page.locator(f".scroll:has(> #{table})")
        hidden = scroll.evaluate("all => all.scrollWidth - all.clientWidth")
        assert hidden == 0, table
    page.close()
