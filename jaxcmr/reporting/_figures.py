"""Figures as SVG that can stand in a page beside others, the same bytes for the same drawing."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jaxcmr.names import describe_missing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Drawing

__all__ = ["Figure", "Guide", "drawing_style", "to_svg"]

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
STROKES = {"stroke-linejoin": "round", "stroke-linecap": "butt"}
"""What matplotlib says for all elements in a style sheet, which would hold for the whole page."""

WIDE = 720
"""Pixels from which on a figure is not shrunk to fit a phone."""

SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text as text: small, and it can be searched and read out
    "svg.hashsalt": "jaxcmr",
    "text.parse_math": False,  # a subject named "$1$" is not an equation
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


@dataclass(frozen=True)
class Guide:
    """How to read a figure, one sentence or two for each question."""

    shows: str
    good: str
    bad: str
    action: str


@dataclass(frozen=True)
class Figure:
    """A figure of a report: a title, the drawing as SVG, how to read it, and the numbers in it."""

    title: str
    svg: str
    guide: Guide
    table: pd.DataFrame | None = None


@contextmanager
def drawing_style() -> Iterator[None]:
    """Let figures be drawn in matplotlib's default style, however it has been changed.

    Raises:
        ImportError: matplotlib is not installed.

    >>> from matplotlib import rcParams
    >>> with drawing_style():
    ...     rcParams["svg.fonttype"]
    'none'
    """
    try:
        import matplotlib
        from matplotlib import style
    except ImportError as error:
        raise ImportError(describe_missing("Reports", "matplotlib", "report")) from error
    with style.context("default"), matplotlib.rc_context(SETTINGS):
        yield


def to_svg(drawing: Drawing, name: str, label: str) -> str:
    """Return a figure of matplotlib as an SVG element.

    It holds no date, no style sheet and no identifier without `name` in front, so that several
    stand in one page. Draw and convert in a block of `drawing_style`.

    Args:
        drawing: the figure.
        name: what identifiers begin with, unlike that of any other figure of the page.
        label: what the figure is, for readers who cannot see it.

    >>> from matplotlib.figure import Figure as Drawing
    >>> with drawing_style():
    ...     drawing = Drawing(figsize=(2, 1))
    ...     drawing.text(0.5, 0.5, "<b>")
    ...     svg = to_svg(drawing, "one", "a text")
    Text(0.5, 0.5, '<b>')
    >>> "<svg" in svg, 'id="one-' in svg, "&lt;b&gt;" in svg, "<style" in svg
    (True, True, True, False)
    """
    written = io.BytesIO()
    drawing.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    root = ET.fromstring(written.getvalue())
    drop(root, f"{{{SVG}}}metadata", f"{{{SVG}}}style")
    for element in root.iter():
        for key, value in element.attrib.items():
            element.set(key, with_prefix(key, value, f"{name}-"))
    width = float(root.attrib.pop("width").removesuffix("pt")) * 4 / 3  # in pixels
    root.attrib.pop("height")
    root.set("style", f"max-width: {width:.0f}px")
    root.set("class", "wide" if width > WIDE else "narrow")
    root.attrib.update({**STROKES, "role": "img", "aria-label": label})
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", XLINK)
    return ET.tostring(root, encoding="unicode")


def drop(parent: ET.Element, *tags: str) -> None:
    """Remove all elements with these tags below `parent`."""
    for child in list(parent):
        if child.tag in tags:
            parent.remove(child)
        else:
            drop(child, *tags)


def with_prefix(key: str, value: str, prefix: str) -> str:
    """Return the value of an attribute with a prefix before the identifier that it holds."""
    if key == "id":
        return prefix + value
    if key == f"{{{XLINK}}}href" and value.startswith("#"):
        return f"#{prefix}{value[1:]}"
    return re.sub(r"url\(#", f"url(#{prefix}", value)
