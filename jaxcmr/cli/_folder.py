"""The folder that a run writes into: claimed by one process at a time."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jaxcmr.cli._config import same_run

__all__ = ["claim_folder"]

CLAIM = ".running"
"""A file in a folder that a run writes into, with host and process of the run."""

HELD: set[str] = set()
"""Claims that this process holds, as absolute paths."""


@contextmanager
def claim_folder(config: Mapping[str, Any], wanted: Path | None) -> Iterator[Path]:
    """Yield a folder for the results, which no other run writes into meanwhile.

    A run may replace the results of the same run, but not those of another: without a folder of
    its own choice it gets one with a number.

    Args:
        config: the complete configuration.
        wanted: the folder, or None for one named after the run.

    Raises:
        ValueError: the folder wanted holds the results of another run, or is being written into.
    """
    name = f"{Path(config['data']).stem}-{config['model']}-{config['loss']}"
    numbered = (name if i == 1 else f"{name}-{i}" for i in itertools.count(1))
    candidates = [wanted] if wanted is not None else map(Path("results").joinpath, numbered)
    for folder in candidates:
        folder.mkdir(parents=True, exist_ok=True)
        if not claim(folder / CLAIM):
            why = f"another run is writing into it (if not, delete {folder / CLAIM})"
            continue
        try:
            if not (folder / "result.json").exists() or same_run(folder / "config.toml", config):
                yield folder
                return
        finally:
            release(folder / CLAIM)
        why = "it holds the results of another run"
    raise ValueError(f"{wanted} cannot be used: {why}; name another folder.")


def claim(path: Path) -> bool:
    """Return whether this process now holds the claim `path`, which only one can create.

    The claim of a process that was killed is taken over, if it ran on this machine.
    """
    for _ in range(2):
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(f"{socket.gethostname()} {os.getpid()}\n")
            HELD.add(os.path.abspath(path))
            return True
        except FileExistsError:
            if not is_abandoned(path):
                return False
            path.unlink(missing_ok=True)
    return False


def release(path: Path) -> None:
    """Give up a claim that this process holds."""
    HELD.discard(os.path.abspath(path))
    path.unlink(missing_ok=True)


def is_abandoned(path: Path) -> bool:
    """Return whether the process that holds a claim has ended, as far as can be seen from here."""
    try:
        host, number = path.read_text(encoding="utf-8").split()
        process = int(number)
    except (OSError, ValueError):  # just released, or just being written
        return False
    if host != socket.gethostname() or os.path.abspath(path) in HELD:
        return False
    if process == os.getpid():  # numbers are used again: in a container, each time
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:  # it lives, but is not ours
        return False
    return False
