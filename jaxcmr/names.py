"""Names that are wrong by a letter: find the one that was meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["did_you_mean"]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that names the known name closest to `name`, or lists all of them.

    Case is ignored: ``listlength`` for ``listLength`` is the usual slip.
    """
    by_lower_case = {each.lower(): each for each in sorted(known)}
    close = get_close_matches(str(name).lower(), by_lower_case, n=1)
    if close:
        return f"Did you mean '{by_lower_case[close[0]]}'?"
    return f"There are: {', '.join(by_lower_case.values()) or 'none'}."
