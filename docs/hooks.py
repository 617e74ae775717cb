"""Steps of the build: notebooks to pages, figures, the table of parameters, and equations."""

from __future__ import annotations

import html
import json
import re
import sys
from base64 import b64decode
from itertools import groupby
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
import figures
import parameters

DOCS = Path(__file__).parent
EXAMPLES = DOCS.parent / "examples"
TABLE = re.compile("<table.*?>(.*?)</table>|<p>(.*?)</p>", re.DOTALL)
"""A table, or a paragraph beside it, as pandas and `FitResult` write them."""
MATH = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
"""An equation in LaTeX, as the Markdown extension arithmatex marks it."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each notebook with its figures, and the figures that are drawn here."""
    for path in sorted(EXAMPLES.glob("*.ipynb")):
        for name, content in render(path).items():
            files.append(File.generated(config, f"learn/{name}", content=content))
    home, gallery = (
        (DOCS / name).read_text(encoding="utf-8") for name in ("index.md", "gallery.md")
    )
    for name, content in {
        "study.svg": figures.study(home),
        "explain/convergence.svg": figures.convergence(),
        **figures.gallery(gallery),
    }.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, **kwargs: Any) -> str:
    """Put tables of parameters where a page asks for them."""
    return parameters.fill_in(markdown)


def on_page_content(content: str, **kwargs: Any) -> str:
    """Typeset equations as MathML, which browsers draw by themselves."""

    def typeset(equation: re.Match[str]) -> str:
        display = "block" if equation[1] == "div" else "inline"
        return convert(html.unescape(equation[2]).strip(), display=display)

    return MATH.sub(typeset, content)


def render(path: Path) -> dict[str, Any]:
    """Return the files of the notebook at `path`, by name: a Markdown page and PNG figures."""
    blocks: list[str] = []
    figures: dict[str, Any] = {}
    for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            blocks.append(source)
            continue
        blocks.append(f"```python\n{source}\n```")
        for kind, outputs in groupby(cell["outputs"], key=lambda output: output["output_type"]):
            if kind == "stream":
                blocks.append(as_output("".join("".join(output["text"]) for output in outputs)))
                continue
            for data in (output["data"] for output in outputs):
                if "image/png" in data:
                    name = f"{path.stem}_{number}.png"
                    figures[name] = b64decode("".join(data["image/png"]))
                    blocks.append(f"![]({name})")
                elif parts := TABLE.findall("".join(data.get("text/html", ""))):
                    blocks += [as_html(*part) for part in parts]
                else:
                    blocks.append(as_output("".join(data["text/plain"])))
    blocks.append(f"---\n\nThis page is the notebook `examples/{path.name}`.")
    return {f"{path.stem}.md": "\n\n".join(blocks), **figures}


def as_html(table: str, paragraph: str) -> str:
    """Return a table or a paragraph of an output as a block of the page."""
    inside = f"<table>{table}</table>" if table else f"<p>{paragraph}</p>"
    return f'<div class="frame">{inside}</div>'


def as_output(text: str) -> str:
    """Return what a cell printed as a block of the page."""
    return f"``` {{ .text .output .no-copy }}\n{text.rstrip()}\n```"
