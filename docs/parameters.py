"""Tables of parameters, from their declarations in the code.

A page asks for one by a comment: `<!-- parameters -->` for all parameters, and of a model by
`<!-- parameters of cru -->`, or `<!-- parameters of cru_cmr beyond cmr -->` without another's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from jaxcmr.models import CATALOGUE
from jaxcmr.parameters import ABOVE_0, BELOW_1, Parameter

PLACE = re.compile(r"<!-- parameters(?: of (\w+))?(?: beyond (\w+))? -->")
COLUMNS = ("Parameter", "Symbol", "Meaning", "Usual bounds")


def fill_in(markdown: str) -> str:
    """Return a page with its tables of parameters in their places."""
    return PLACE.sub(lambda place: of_model(*place.groups()) if place[1] else of_all(), markdown)


def of_model(name: str, other: str | None) -> str:
    """Return the table of a model's parameters, without those of another model."""
    known = CATALOGUE[other].parameters if other else ()
    return as_table({one: () for one in CATALOGUE[name].parameters if one not in known})


def of_all() -> str:
    """Return the table of every parameter, with scales, limits and models."""
    models: dict[Parameter, list[str]] = {}
    for name, model in CATALOGUE.items():
        for parameter in model.parameters:
            models.setdefault(parameter, []).append(name)
    more = {one: (one.scale, as_limits(one), as_list(names)) for one, names in models.items()}
    return as_table(more, ("Scale", "Defined for", "Models"))


def as_table(rows: Mapping[Parameter, tuple[str, ...]], columns: tuple[str, ...] = ()) -> str:
    """Return a Markdown table with one row per parameter, and further columns."""
    head = (*COLUMNS, *columns)
    lines = [
        (f"`{one.name}`", as_math(one.symbol), one.meaning, as_bounds(one), *more)
        for one, more in rows.items()
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))


def as_math(symbol: str) -> str:
    """Return a symbol as an equation: "β_enc" with a subscript, in roman if it is a word."""
    letter, _, subscript = symbol.partition("_")
    if len(subscript) > 1:
        subscript = rf"\text{{{subscript}}}"
    return f"${letter}_{{{subscript}}}$" if subscript else f"${letter}$"


def as_bounds(parameter: Parameter) -> str:
    """Return usual bounds as they are read: those next to 0 and 1 as 0 and 1."""
    low, high = ({ABOVE_0: 0.0, BELOW_1: 1.0}.get(end, end) for end in parameter.bounds)
    return f"{low:g}–{high:g}"


def as_limits(parameter: Parameter) -> str:
    """Return the values for which the model is defined."""
    low, high = parameter.limits
    if low == -high:
        return "everywhere"
    return f"from {low:g}" if high == float("inf") else f"{low:g}–{high:g}"


def as_list(names: list[str]) -> str:
    """Return names of models; if most of them are there, those that are missing."""
    missing = [name for name in CATALOGUE if name not in names]
    if not missing:
        return "all"
    shown = ", ".join(f"`{name}`" for name in min(names, missing, key=len))
    return f"all but {shown}" if len(missing) < len(names) else shown
