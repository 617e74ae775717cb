"""``jaxcmr completion``: the script by which a shell completes commands, options and names."""

from __future__ import annotations

import argparse
import ast
from importlib.util import find_spec

from jaxcmr.cli._parsers import make_parser
from jaxcmr.files import read_text
from jaxcmr.names import describe_missing

__all__ = ["print_completion"]

TABLES = {
    "model": ("jaxcmr.models", "CATALOGUE"),
    "loss": ("jaxcmr.loss", "LOSSES"),
}
"""The module and the table of names, by option."""

NAMES = {
    "search": ["thorough", "quick", "classic"],
    "fitter": ["jax", "scipy"],
    "precision": ["float32", "float64"],
}
"""Names that are not in a table that can be read without importing it, by option."""

PATHS = (
    "data",
    "results",
    "features",
    "similarities",
    "distances",
    "start_from",
    "config",
    "draws",
    "models",
    "out",
)
"""Options that take a file or a folder."""


def print_completion(options: argparse.Namespace) -> int:
    """Print the script for the shell of the options, and return the exit status.

    Raises:
        ImportError: shtab is not installed.
    """
    try:
        import shtab
    except ImportError as error:
        raise ImportError(describe_missing("Completions", "shtab", "completion")) from error
    parser = make_parser()
    names = {option: names_in(*table) for option, table in TABLES.items()} | NAMES
    for command in commands_of(parser):
        for action in command._actions:
            if action.choices is None and action.dest in names:
                action.choices = names[action.dest]
            elif action.dest in PATHS:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, shell=options.shell))
    return 0


def commands_of(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """Return the parser of each command."""
    return [
        command
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for command in action.choices.values()
    ]


def names_in(module: str, table: str) -> list[str]:
    """Return the keys of a table, read from the source of its module.

    To import the module takes a second, in which JAX is imported.

    Raises:
        ValueError: the source of the module does not hold the table as a literal.
    """
    spec = find_spec(module)
    source = read_text(spec.origin) if spec is not None and spec.origin is not None else ""
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict):
            keys = [key.value for key in node.value.keys if isinstance(key, ast.Constant)]
            if isinstance(node.target, ast.Name) and node.target.id == table:
                return [str(key) for key in keys]
    raise ValueError(f"{module} does not hold a table of names {table}.")
