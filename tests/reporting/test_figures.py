"""Figures in a page: text stays text, and nothing in one figure reaches another."""

import xml.etree.ElementTree as ET

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure as Drawing
from report_pages import HOSTILE, make_result

from jaxcmr.front._report import draw_figures
from jaxcmr.reporting import drawing_style, to_svg

SVG = "{http://www.w3.org/2000/svg}"
TEXTS = (HOSTILE, 'id="x" url(#p) href="#m"', "$1$ and $\\frac{$", "& <b>", "Zoë")


def draw(name="one"):
    with drawing_style():
        drawing = Drawing(figsize=(4, 3))
        ax = drawing.subplots()
        ax.plot([0, 1], "o")
        for i, text in enumerate(TEXTS):
            ax.text(0.1, i / 5, text)
        return to_svg(drawing, name, HOSTILE)


def test_text_is_text():
    """As it was given: no markup, no equation, and no reference where one only looks like it."""
    root = ET.fromstring(draw())
    shown = [element.text for element in root.iter(f"{SVG}text")]
    assert set(TEXTS) <= set(shown)
    assert "<script" not in draw() and root.get("aria-label") == HOSTILE
    assert not list(root.iter(f"{SVG}script"))


def test_every_reference_is_to_an_element_of_the_figure():
    """With the prefix of the figure: clip paths and markers, which others have as well."""
    text = draw("two")
    root = ET.fromstring(text)
    ids = {element.get("id") for element in root.iter()} - {None}
    assert all(each.startswith("two-") for each in ids)
    links = [e.get("{http://www.w3.org/1999/xlink}href") for e in root.iter()]
    clips = [e.get("clip-path") for e in root.iter() if e.get("clip-path")]
    assert clips and {clip[5:-1] for clip in clips} <= ids
    assert {link[1:] for link in links if link} <= ids and any(links)


def test_a_figure_holds_no_date_and_no_style_sheet():
    """A style sheet in a figure holds for the whole page; a date changes from day to day."""
    root = ET.fromstring(draw())
    assert not list(root.iter(f"{SVG}style")) and not list(root.iter(f"{SVG}metadata"))
    assert draw() == draw()


def test_the_style_is_given_back():
    """Also after an error."""
    before = dict(matplotlib.rcParams)
    with pytest.raises(RuntimeError), drawing_style():
        raise RuntimeError
    assert dict(matplotlib.rcParams) == before


def test_subjects_with_names_of_their_own_stay_text_in_figures():
    """The labels of the rows of single subjects are what the data say."""
    recalls = np.array([[4, 3, 2, 1], [1, 2, 3, 4]] * 3)
    names = np.repeat([HOSTILE, "b10", "$b$"], 2)[:, None]
    data = {"subject": names, "listLength": np.full((6, 1), 4), "recalls": recalls}
    data["pres_itemnos"] = np.tile(np.arange(1, 5), (6, 1))
    simulated = {**data, "copy": np.zeros((6, 1), int)}
    figures = {each.title: each.svg for each in draw_figures(make_result(), "r1", data, simulated)}
    root = ET.fromstring(figures["Data and model: single subjects"])
    shown = [element.text for element in root.iter(f"{SVG}text")]
    assert {HOSTILE, "b10", "$b$"} <= set(shown)
    assert "<script" not in "".join(figures.values())
