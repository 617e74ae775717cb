"""The folder that a fit writes its results into: claimed by one process at a time."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jaxcmr.cli._config import is_same_run

__all__ = ["claim_folder"]

CLAIM = ".running"
"""Name of the file that claims a folder; it holds host and process number of its run."""

HELD: set[str] = set()
"""Absolute paths of the claims that this process holds."""


@contextmanager
def claim_folder(config: Mapping[str, Any], wanted: Path | None) -> Iterator[Path]:
    """Yield a folder for the results, into which no other process writes meanwhile.

    Results may be replaced by those of the same fit, but not by those of another.

    Args:
        config: the complete configuration.
        wanted: the folder. None gives one named after data, model and loss, with a number if that
            is taken.

    Raises:
        ValueError: `wanted` holds the results of another fit, or another process writes into it.
    """
    name = f"{Path(config['data']).stem}-{config['model']}-{config['loss']}"
    numbered = (name if i == 1 else f"{name}-{i}" for i in itertools.count(1))
    candidates = [wanted] if wanted is not None else map(Path("results").joinpath, numbered)
    for folder in candidates:
        folder.mkdir(parents=True, exist_ok=True)
        if not claim(folder / CLAIM):
            why = f"another process is writing into it (if not, delete {folder / CLAIM})"
            continue
        try:
            if not (folder / "result.json").exists() or is_same_run(folder / "config.toml", config):
                yield folder
                return
        finally:
            release(folder / CLAIM)
        why = "it holds the results of another fit"
    raise ValueError(f"{wanted} cannot be used: {why}; name another folder.")


def claim(path: Path) -> bool:
    """Claim the path for this process, and return whether that worked.

    Only one process can create the file. The claim of a process that was killed is taken over, if
    it ran on this machine.
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
    """Give up the claim that this process holds."""
    HELD.discard(os.path.abspath(path))
    path.unlink(missing_ok=True)


def is_abandoned(path: Path) -> bool:
    """Return whether the process that holds a claim is known to have ended."""
    try:
        host, number = path.read_text(encoding="utf-8").split()
        process = int(number)
    except (OSError, ValueError):  # just released, or just being written
        return False
    if host != socket.gethostname() or os.path.abspath(path) in HELD:
        return False
    if process == os.getpid():  # an earlier process with this number, as in a new container
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:  # it is running, and belongs to another user
        return False
    return False
