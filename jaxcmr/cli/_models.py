"""``jaxcmr models``: the models and their parameters."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from jaxcmr.cli._json import to_json
from jaxcmr.models import CATALOGUE, NamedModel
from jaxcmr.names import find_named

__all__ = ["show_models"]

WIDTH = 100
"""Most characters of a printed line."""


def show_models(options: argparse.Namespace) -> int:
    """Print all models, or the one of the options with what its parameters mean.

    Raises:
        ValueError: the model is unknown.
    """
    only = options.model
    if only is not None:
        find_named("model", only)
    chosen = {name: each for name, each in CATALOGUE.items() if only in (None, name)}
    if options.json:
        print(to_json({name: to_record(each) for name, each in chosen.items()}))
    elif not options.quiet:
        for name, model in chosen.items():
            print("\n".join(describe_model(name, model, has_meanings=only is not None)))
    return 0


def to_record(model: NamedModel) -> dict[str, Any]:
    """Return what a model is, the works to cite for it, and its parameters."""
    parameters = [
        {
            "name": each.name,
            "symbol": each.symbol,
            "low": each.low,
            "high": each.high,
            "scale": each.scale,
            "meaning": each.meaning,
        }
        for each in model.parameters
    ]
    return {"about": model.about, "works": list(model.works), "parameters": parameters}


def describe_model(name: str, model: NamedModel, has_meanings: bool) -> Iterator[str]:
    """Yield the lines on a model: what it is, then its parameters, with or without meanings."""
    yield from wrap(f"{name}: {model.about}", WIDTH, subsequent_indent="  ")
    for each in model.parameters:
        yield f"    {each.name:24}{each.symbol:>8}{each.low:>12.2g} to {each.high:.4g}"
        if has_meanings:
            indent = " " * 8
            yield from wrap(each.meaning, WIDTH, initial_indent=indent, subsequent_indent=indent)
