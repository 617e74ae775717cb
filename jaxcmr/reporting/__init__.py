"""Reports: results into one HTML file. They need jinja2, and matplotlib for their figures.

`to_html` writes the page from chapters. Figures, checks, sections on analyses, and the words on
models are handed in with each `Chapter`: `jaxcmr.report` does that.

Files: `_works` (references), `_tables`, `_comparison_tables` and `_data` (numbers), `_figures`
(SVG), `_methods` and `_search_words` (texts), `_repeat` (code and versions), `_page` (HTML), and
beside them the template, the style and the script of the page.
"""

from jaxcmr.reporting._comparison_tables import criteria_table, differences_table
from jaxcmr.reporting._data import DataFacts, describe_data
from jaxcmr.reporting._figures import Figure, Guide, drawing_style, to_svg
from jaxcmr.reporting._methods import About, Chapter, Numbers, Section
from jaxcmr.reporting._page import to_html
from jaxcmr.reporting._tables import Table
from jaxcmr.reporting._works import WORKS, cite

__all__ = [
    "WORKS",
    "About",
    "Chapter",
    "DataFacts",
    "Figure",
    "Guide",
    "Numbers",
    "Section",
    "Table",
    "cite",
    "criteria_table",
    "describe_data",
    "differences_table",
    "drawing_style",
    "to_html",
    "to_svg",
]
