"""The settings of ``jaxcmr fit``: its options, over those of a file."""

from __future__ import annotations

import argparse
import re
from typing import Any

__all__ = [
    "HYPERPARAMETERS",
    "TABLES",
    "VALUES",
    "gather_settings",
    "parse_subjects",
    "parse_value",
]

HYPERPARAMETERS = {
    "best_of": "independent searches per subject, of which the best is kept",
    "num_steps": "most generations of a search",
    "pop_size": "members of a population per free parameter",
}
"""Hyperparameters of the search that have an option of their own, with its help."""

VALUES = (
    "data",
    "model",
    "loss",
    "where",
    "subjects",
    "pooled",
    "features",
    "similarities",
    "distances",
    "fitter",
    "precision",
    "seed",
    "start_from",
    "progress",
)
"""Settings with one value."""

TABLES = ("fixed", "bounds", "loss_options")
"""Settings with a value per name."""


def gather_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of the configuration file, overridden by the options given."""
    from jaxcmr.cli._config import read_config

    config = read_config(options.config) if options.config else {}
    if options.data is not None:
        config.pop("data_fingerprint", None)  # it is of the data in the file
    for name in VALUES:
        if getattr(options, name) is not None:
            config[name] = getattr(options, name)
    for name in TABLES:
        pairs = [parse_pair(name, text) for text in getattr(options, name) or []]
        if pairs:
            config[name] = {**config.get(name, {}), **dict(pairs)}
    search = config.get("search", {})
    search = {"preset": search} if isinstance(search, str) else dict(search)
    if options.search is not None:
        search = {"preset": options.search}
    given = {name: getattr(options, name) for name in HYPERPARAMETERS}
    search.update({name: value for name, value in given.items() if value is not None})
    if search:
        config["search"] = search
    return config


def parse_pair(table: str, text: str) -> tuple[str, Any]:
    """Return name and value of ``NAME=VALUE``. Bounds, ``LOW:HIGH``, are a list of numbers."""
    name, is_pair, value = text.partition("=")
    if not is_pair:
        raise ValueError(f"--{table.replace('_', '-')} takes NAME=VALUE; got '{text}'.")
    numbers = [parse_value(part) for part in value.split(":")]
    return name.strip(), numbers if table == "bounds" else numbers[0]


def parse_value(text: str) -> int | float | str:
    """Return a number, or the text if it is not a number."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def parse_subjects(text: str) -> str | int | list[int | str]:
    """Return ``all``, how many subjects, or a list of subject ids."""
    if text == "all":
        return text
    if "," in text:
        ids = [subject for subject in text.split(",") if subject]
        is_numbered = all(re.fullmatch(r"[+-]?\d+", subject) for subject in ids)
        return [int(subject) for subject in ids] if is_numbered else list(ids)
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither 'all', nor how many, nor ids with commas (one id: '{text},')"
        ) from None
