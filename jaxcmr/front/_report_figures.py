"""Figures of a report as they are planned, and how they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxcmr.plots._axes import COLUMNS, make_grid
from jaxcmr.reporting import Figure, Guide, drawing_style, to_svg

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Planned", "draw_planned"]


class Planned(NamedTuple):
    """A figure that has not been drawn yet.

    `draw` draws into axes, or into an array of `n` of them, and returns the numbers in the figure.
    Axes are `width` by `height` inches each, and stand in rows of `columns`.
    """

    name: str
    title: str
    draw: Callable[[Any], pd.DataFrame | None]
    width: float
    height: float
    n: int | None = None
    columns: int = COLUMNS


def draw_planned(
    planned: Iterable[Planned], prefix: str, guides: Mapping[str, Guide]
) -> list[Figure]:
    """Return figures as they are planned, each with its guide.

    Args:
        planned: the figures.
        prefix: what identifiers begin with, unlike that of any other figures of the page.
        guides: how to read each figure, by name.
    """
    with drawing_style():
        from matplotlib.figure import Figure as Drawing

        figures = []
        for each in planned:
            drawing = Drawing(layout="constrained")
            panels = make_grid(each.n or 1, each.width, each.height, drawing, each.columns)
            table = each.draw(panels[0] if each.n is None else panels)
            svg = to_svg(drawing, f"{prefix}-{each.name}", each.title)
            figures.append(Figure(each.title, svg, guides[each.name], table))
        return figures
