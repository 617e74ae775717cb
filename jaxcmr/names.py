"""Names: what "cmr" stands for, which one a misspelled one meant, which extra has a library."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

__all__ = [
    "describe_missing",
    "describe_unknown",
    "did_you_mean",
    "find_named",
    "name_of",
    "table_of",
]

TABLES: Mapping[str, tuple[str, str]] = {
    "model": ("jaxcmr.models", "MODELS"),
    "loss": ("jaxcmr.loss", "LOSSES"),
}
"""The table of each kind of thing as ``(module, name)``; imported when it is first needed."""


def describe_unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """Return the message about a name that is not in a table.

    Args:
        kind: What the name is of, such as "loss".
        name: The unknown name.
        known: The names in the table.

    Examples:
        >>> describe_unknown("parameter", "learning_rat", ["learning_rate", "item_support"])
        "Unknown parameter 'learning_rat'. Did you mean 'learning_rate'?"
    """
    return f"Unknown {kind} {name!r}. {did_you_mean(name, known)}"


def describe_missing(what: str, library: str, extra: str) -> str:
    """Return the message about a library that is not installed.

    It installs from the copy, not by name: on the package index, another package has this name.

    Args:
        what: What needs it, in the plural.
        library: Its name.
        extra: The extra of this project that includes it.

    Examples:
        >>> print(describe_missing("Figures", "matplotlib", "plots"))
        Figures need matplotlib. In your copy of jaxcmr: pip install ".[plots]"
    """
    return f'{what} need {library}. In your copy of jaxcmr: pip install ".[{extra}]"'


MANY = 60
"""Names that are not listed one by one."""


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return a sentence with the known name closest to `name`, or with all, or the first of many.

    Case is ignored: ``listlength`` for ``listLength`` is the usual slip.

    Examples:
        >>> did_you_mean("listlength", ["listLength", "subject"])
        "Did you mean 'listLength'?"
        >>> did_you_mean("age", ["listLength", "subject"])
        'There are: listLength, subject.'
    """
    by_lower_case = {each.lower(): each for each in sorted(known)}
    close = get_close_matches(str(name).lower(), by_lower_case, n=1)
    if close:
        return f"Did you mean '{by_lower_case[close[0]]}'?"
    names = list(by_lower_case.values())
    if len(names) > MANY:
        return f"There are {len(names)}, among them {', '.join(names[:5])}."
    return f"There are: {', '.join(names) or 'none'}."


def table_of(kind: str) -> Mapping[str, Callable[..., Any]]:
    """Return all models or all losses by name.

    Args:
        kind: "model" or "loss".

    Examples:
        >>> "cmr" in table_of("model")
        True
    """
    module, table = TABLES[kind]
    return getattr(import_module(module), table)


def find_named(kind: str, thing: str | Callable[..., Any] | None) -> Any:
    """Return the model or loss of a name, or `thing` itself if it is not a name.

    Args:
        kind: "model" or "loss".
        thing: A name, or a callable of your own. None stays None, for losses without a model.

    Raises:
        ValueError: The name is unknown, or `thing` is neither a name nor callable.

    Examples:
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
        raise ValueError(describe_unknown(kind, thing, known))
    return known[thing]


def name_of(kind: str, thing: str | Callable[..., Any] | None) -> str | None:
    """Return the name of a model or loss, or None if it has no name.

    Examples:
        >>> from jaxcmr.models import cmr
        >>> name_of("model", cmr.make_factory())
        'cmr'
    """
    if isinstance(thing, str):
        return thing
    return next((name for name, known in table_of(kind).items() if known == thing), None)
