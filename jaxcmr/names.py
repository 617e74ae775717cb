"""Names: what "cmr" stands for, and what was meant by a name that is wrong by a letter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

__all__ = ["did_you_mean", "find_named", "name_of", "table_of"]

TABLES: Mapping[str, tuple[str, str]] = {
    "model": ("jaxcmr.models", "MODELS"),
    "loss": ("jaxcmr.loss", "LOSSES"),
}
"""Where the things of a kind stand by name: ``(module, table)``, imported when first asked for."""


def did_you_mean(name: Any, known: Iterable[str]) -> str:
    """Return a sentence with the known name closest to `name`, or with all of them.

    Case is ignored: ``listlength`` for ``listLength`` is the usual slip.

    >>> did_you_mean("learning_rat", ["learning_rate", "item_support"])
    "Did you mean 'learning_rate'?"
    """
    by_lower_case = {each.lower(): each for each in sorted(known)}
    close = get_close_matches(str(name).lower(), by_lower_case, n=1)
    if close:
        return f"Did you mean '{by_lower_case[close[0]]}'?"
    return f"There are: {', '.join(by_lower_case.values()) or 'none'}."


def table_of(kind: str) -> Mapping[str, Any]:
    """Return the models or losses by name (`kind` is "model" or "loss")."""
    module, table = TABLES[kind]
    return getattr(import_module(module), table)


def find_named(kind: str, thing: Any) -> Any:
    """Return the model or loss that `thing` names, or `thing` itself if it is not a name.

    Args:
        kind: "model" or "loss".
        thing: a name, or a callable of one's own. None stays None, for losses without a model.

    Raises:
        ValueError: there is no such name, or `thing` is neither a name nor callable.

    >>> find_named("model", "cmrr")
    Traceback (most recent call last):
    ValueError: Unknown model 'cmrr'. Did you mean 'cmr'?
    """
    if callable(thing) or thing is None:
        return thing
    known = table_of(kind)
    if not isinstance(thing, str):
        raise ValueError(
            f"A {kind} is given by its name ({', '.join(known)}) or as a callable; got {thing!r}."
        )
    if thing not in known:
        raise ValueError(f"Unknown {kind} '{thing}'. {did_you_mean(thing, known)}")
    return known[thing]


def name_of(kind: str, thing: Any) -> str | None:
    """Return the name of a model or loss, or None if it has none.

    >>> from jaxcmr.models import cmr
    >>> name_of("model", cmr.make_factory())
    'cmr'
    """
    if isinstance(thing, str):
        return thing
    return next((name for name, known in table_of(kind).items() if known == thing), None)
