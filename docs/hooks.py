"""What of the site is made, not written: examples/*.ipynb as Markdown under learn/, and figures."""

from __future__ import annotations

import json
import re
import sys
from base64 import b64decode
from itertools import groupby
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
import figures

EXAMPLES = Path(__file__).parents[1] / "examples"
TABLE = re.compile("<table.*?>(.*?)</table>|<p>(.*?)</p>", re.DOTALL)
"""A table, or a paragraph beside it, as pandas and `FitResult` write them."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a page for each notebook with its figures, and the figures that the site draws."""
    for path in sorted(EXAMPLES.glob("*.ipynb")):
        for name, content in render(path).items():
            files.append(File.generated(config, f"learn/{name}", content=content))
    figure = figures.convergence()
    files.append(File.generated(config, "explain/convergence.svg", content=figure))
    return files


def render(path: Path) -> dict[str, Any]:
    """The files of the notebook at `path`, by name: a Markdown page and PNG figures."""
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
    """A table or a paragraph of an output, as a block."""
    inside = f"<table>{table}</table>" if table else f"<p>{paragraph}</p>"
    return f'<div class="frame">{inside}</div>'


def as_output(text: str) -> str:
    """What a cell printed, as a block."""
    return f"``` {{ .text .output .no-copy }}\n{text.rstrip()}\n```"
