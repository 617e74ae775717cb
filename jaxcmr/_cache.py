"""Compiled programs are kept on disk, so that a later process need not compile them again."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import jax

__all__ = ["COMPILED", "keep_compiled"]

VARIABLE = "JAXCMR_COMPILE_CACHE"
"""Environment variable: a folder to keep programs in, or "off"."""

STAMP = ".checked"


def default_folder() -> Path | None:
    """Return where programs are kept: a user's cache folder; None where there is no home.

    An XDG_CACHE_HOME that is empty or relative counts as not set, as its specification says.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        try:
            base = str(Path("~/.cache").expanduser())
        except RuntimeError:
            return None
    return Path(base, "jaxcmr")


COMPILED = default_folder()
"""Where compiled programs are kept, unless an environment variable says otherwise."""


def keep_compiled() -> None:
    """Let later processes find what this one compiles.

    JAX's own setting of the folder wins. The environment variable ``JAXCMR_COMPILE_CACHE`` names
    another folder, or "off". Programs of every size are kept: a fit has some forty small ones, each
    of which takes 25 ms to compile, but 5 ms to read.
    """
    wanted = os.environ.get(VARIABLE, "").strip()
    if wanted.lower() in ("off", "0", "no", "false"):
        return
    is_named = wanted.lower() not in ("", "on", "1", "yes", "true")
    folder = Path(os.path.expanduser(wanted)).absolute() if is_named else COMPILED
    if folder is None or jax.config.jax_compilation_cache_dir is not None:  # type: ignore[attr-defined]
        return
    drop_damaged(folder)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def drop_damaged(folder: Path) -> None:
    """Delete the entries of a cache that cannot be read.

    JAX writes an entry in place and never writes it again, so that one that a killed process left
    half written would stay, and be compiled anew by every process. Each entry is read once: those
    that are older than the last check have been.
    """
    stamp = folder / STAMP
    try:
        checked = stamp.stat().st_mtime if stamp.exists() else 0.0
        now = time.time() - 2.0  # file systems round times
        for entry in folder.glob("*-cache"):
            if entry.stat().st_mtime >= checked and not is_whole(entry.read_bytes()):
                entry.unlink(missing_ok=True)
        if folder.is_dir():
            stamp.touch()
            os.utime(stamp, (now, now))
    except OSError:  # a folder that cannot be written, or an entry that another process deleted
        return


def is_whole(entry: bytes) -> bool:
    """Return whether a compressed entry is complete: both formats carry a checksum or a length."""
    try:
        decompressor(entry)(entry)
    except Exception:  # each format has errors of its own
        return False
    return True


def decompressor(entry: bytes) -> Callable[[bytes], bytes]:
    """Return the function that reads an entry, by its first bytes; JAX chooses among the same."""
    if not entry.startswith(b"\x28\xb5\x2f\xfd"):
        return zlib.decompress
    try:
        from compression import zstd  # type: ignore[import-not-found]  # Python 3.14
    except ImportError:
        import zstandard as zstd  # type: ignore[import-not-found]
    return zstd.decompress
