"""What a result in a folder was fitted to, by the settings beside it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from jaxcmr.cli._config import read_config
from jaxcmr.fitting import FitProblem
from jaxcmr.front import problem_of
from jaxcmr.results import FitResult

__all__ = ["FEATURES", "beside", "file_of", "find_problem"]

FEATURES = ("features", "similarities", "distances")


def file_of(path: Path) -> Path:
    """Return the file of a result: that in a folder, or the file given."""
    return path / "result.json" if path.is_dir() else path


def beside(file: Path, name: str) -> Path:
    """Return where a file about a result goes: NAME, or FILE-NAME if it is not result.json.

    >>> beside(Path("fits/mine.json"), "fit.png").name
    'mine-fit.png'
    """
    return file.with_name(name if file.stem == "result" else f"{file.stem}-{name}")


def find_problem(path: Path, result: FitResult, options: argparse.Namespace) -> FitProblem:
    """Return what was fitted: the data of the options, or of the settings beside the result.

    Raises:
        ValueError: neither names the data, or they are not those that were fitted.
    """
    config = file_of(path).parent / "config.toml"
    settings = read_config(config) if config.exists() else {}
    data = options.data or settings.get("data")
    if data is None:
        raise ValueError(f"{path}: no config.toml beside it names the data: give --data DATA.")
    given = {name: getattr(options, name) for name in FEATURES}
    if not any(given.values()):
        given = {name: settings.get(name) for name in FEATURES}
    sources: dict[str, Any] = given if result.get("features") else {}
    return problem_of(result, data, **sources)
