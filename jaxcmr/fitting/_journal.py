"""A journal: what has been done, as lines of JSON in a folder, safe from kills and other writers.

Each process that writes has a file of its own, to which it only appends: nothing is ever rewritten,
and no locks are needed, on network disks either. Each line ends with a checksum. A line that a
killed process left half written, or that was damaged later, is set aside and counted; all others
count. No line can run code.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     journal = Journal(folder, {"host": "lab"})
...     journal.add({"run": 3, "loss": 1.5})
...     journal.close()
...     [part] = Journal(folder, {}).read()
>>> part.header, part.entries
({'host': 'lab'}, [{'run': 3, 'loss': 1.5}])
"""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

__all__ = ["Journal", "Part", "explained_errors", "from_line", "to_line"]

CHECKSUM = re.compile(rb'^(\{.*), "crc32": "([0-9a-f]{8})"\}$', re.DOTALL)
MOST_BYTES = 1 << 24
"""Of a line; a longer one is damaged."""

SYNC_SECONDS = 1.0
"""How often lines are forced to the disk. Until then the operating system holds them, which
survives the end of the process, but not a power cut."""


class Part(NamedTuple):
    """What one file of a journal has had added since it was last read."""

    path: Path
    header: dict[str, Any]
    """What its writer said of itself."""
    entries: list[dict[str, Any]]


class Journal:
    """The lines in a folder, and a file in it for those of this process.

    Args:
        folder: where the files are, or will be.
        header: what the first line of this process's file says of it, such as its machine.

    Attributes:
        headers: the header of each file that has been read.
    """

    def __init__(self, folder: str | os.PathLike[str], header: Mapping[str, Any]) -> None:
        self.folder, self.header = Path(folder), header
        self.headers: dict[Path, dict[str, Any]] = {}
        self._damaged: dict[Path, int] = {}  # lines by file
        self._cut: dict[Path, bool] = {}  # whether a file ends in the middle of a line
        self._ends: dict[Path, int] = {}  # how many bytes of each file have been read
        self._file: IO[bytes] | None = None
        self._synced = 0.0

    @property
    def n_damaged(self) -> int:
        """Return how many lines were set aside, those that are just being written included."""
        return sum(self._damaged.values()) + sum(self._cut.values())

    def read(self) -> list[Part]:
        """Return what other writers have added since the last call, file by file."""
        own = None if self._file is None else Path(self._file.name)
        parts = [self._read_file(path) for path in sorted(self.folder.glob("*.jsonl"))
                 if path != own]  # fmt: skip
        return [part for part in parts if part.entries]

    def _read_file(self, path: Path) -> Part:
        """Return what a file has had added. Lines of a file without a header are set aside."""
        begin = self._ends.get(path, 0)
        try:
            with path.open("rb") as file:
                file.seek(begin)
                text = file.read()
        except FileNotFoundError:  # deleted by its writer, as it was empty
            text = b""
        lines = text.split(b"\n")
        is_whole = from_line(lines[-1]) is not None  # but for its line end
        whole = lines if is_whole else lines[:-1]
        self._ends[path] = begin + sum(len(line) + 1 for line in whole)
        self._cut[path] = not is_whole and lines[-1] != b""
        found = [from_line(line) for line in whole if line]
        entries = [entry for entry in found if entry is not None]
        if begin == 0 and entries and "header" in entries[0]:
            self.headers[path] = entries.pop(0)["header"]
        n_damaged = found.count(None)
        if path not in self.headers:
            n_damaged, entries = n_damaged + len(entries), []
        self._damaged[path] = self._damaged.get(path, 0) + n_damaged
        return Part(path, self.headers.get(path, {}), entries)

    def add(self, entry: Mapping[str, Any]) -> None:
        """Append an entry: plain values that survive JSON.

        Raises:
            OSError: the disk is full, the folder read-only, or the file was deleted meanwhile.
        """
        file = self.open()
        file.write(to_line(entry))
        file.flush()
        if time.monotonic() - self._synced >= SYNC_SECONDS:
            self._sync()

    def open(self) -> IO[bytes]:
        """Return the file of this process, with a name that no other process or thread has.

        Raises:
            OSError: the folder cannot be written.
        """
        if self._file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            host = re.sub(r"[^\w-]", "_", socket.gethostname())
            name = f"{host}.{os.getpid()}.{time.time_ns()}.jsonl"
            self._file = (self.folder / name).open("xb")
            self._file.write(to_line({"header": self.header}))
            self._file.flush()
        return self._file

    def _sync(self) -> None:
        assert self._file is not None
        os.fsync(self._file.fileno())
        if not os.path.exists(self._file.name):  # what is written is lost with the last handle
            raise FileNotFoundError(
                errno.ENOENT, f"{self._file.name}, which keeps what is done, was deleted or moved"
            )
        self._synced = time.monotonic()

    def close(self) -> None:
        """Force the lines to the disk, and close the file."""
        if self._file is None:
            return
        try:
            self._file.flush()
            self._sync()
        finally:
            self._file.close()
            self._file = None


def to_line(entry: Mapping[str, Any]) -> bytes:
    """Return an entry as a line of JSON whose last key is a checksum of the rest."""
    text = json.dumps(entry)[:-1].encode()
    return text + b', "crc32": "%08x"}\n' % zlib.crc32(text)


def from_line(line: bytes) -> dict[str, Any] | None:
    """Return the entry of a line; None if it is damaged. It may end as lines do on Windows."""
    line = line.removesuffix(b"\r")
    found = CHECKSUM.match(line) if len(line) <= MOST_BYTES else None
    if found is None or zlib.crc32(found[1]) != int(found[2], 16):
        return None
    try:
        entry = json.loads(found[1] + b"}")
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


@contextmanager
def explained_errors(folder: Path) -> Iterator[None]:
    """Add to errors of the disk which folder they concern, and what to do.

    Raises:
        OSError: of the kind that came.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or str(folder) in str(error.strerror):
            raise
        raise OSError(
            error.errno,
            f"{error.strerror}: {folder}, which keeps finished runs, cannot be written. Make room "
            "on the disk or name another folder",
        ) from error
