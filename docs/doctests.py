"""Doctests that stand in a docstring without a heading, shown as examples in the reference."""

from __future__ import annotations

import re
from typing import Any

import griffe

BLOCK = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)
"""A doctest at the left margin of a docstring, up to a blank line; those under a heading are
indented."""


def under_heading(docstring: str) -> str:
    """Return a docstring with the heading "Examples:" over its doctests."""
    return BLOCK.sub(lambda block: "Examples:\n    " + block[0].replace("\n", "\n    "), docstring)


class Doctests(griffe.Extension):
    """Puts the heading where mkdocstrings reads docstrings; without it, `>>>` would be a quote."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change the docstring of an object."""
        if obj.docstring is not None:
            obj.docstring.value = under_heading(obj.docstring.value)
