"""The folder of a fit: its settings, its finished runs, its result."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxcmr.cli._config import find_differences, format_config
from jaxcmr.files import write_once

__all__ = ["open_folder"]


def open_folder(config: Mapping[str, Any], wanted: Path | None, fresh: bool = False) -> Path:
    """Return the folder of a fit, with settings in ``config.toml``.

    These are of this fit, or of an earlier call of it for other subjects or fewer runs: the result
    brings its own. A folder belongs to the fit whose settings it holds. That fit may use it again,
    in any number of processes at a time.

    Args:
        config: the complete configuration.
        wanted: the folder. None gives one named after data, model and loss, with a number if that
            belongs to another fit.
        fresh: take a new folder, with a number if `wanted` exists.

    Raises:
        ValueError: `wanted` belongs to another fit.
    """
    name = f"{Path(config['data']).stem}-{config['model']}-{config['loss']}"
    first = wanted or Path("results", name)
    for i in itertools.count(1):
        folder = first if i == 1 else first.with_name(f"{first.name}-{i}")
        if fresh and folder.exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "config.toml"
        if write_once(path, format_config(config, folder)):
            return folder
        differences = find_differences(path, config)
        if not differences:
            return folder
        if wanted is not None and not fresh:
            raise ValueError(
                f"{folder} holds the results of another fit ({differences}): name another folder, "
                "or add --fresh for a new one beside it."
            )
    raise AssertionError("unreachable")
