"""Write files in one step, and read text files.

A file appears complete or not at all. An error or an interruption in the middle of writing leaves
an older file as it was.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["read_text", "replace_file", "write_once", "write_text"]


@contextmanager
def replace_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the path of a draft, and move the draft to `path` once it is complete.

    The draft has the name of the target and lies in a temporary folder beside it, on the same
    disk, so that it is moved in one step. If the block raises, `KeyboardInterrupt` included, the
    draft is deleted and the target stays as it was. A symbolic link is followed: the file that it
    points to is replaced. A replaced file keeps its permissions; a new file gets the usual ones.

    Args:
        path: The file to write.

    Raises:
        FileNotFoundError: The folder does not exist.
        PermissionError: The file is read-only.
        ValueError: `path` is a folder or a device.

    Examples:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replace_file(f"{folder}/numbers.txt") as draft:
        ...         _ = draft.write_text("1 2 3")
        ...     read_text(f"{folder}/numbers.txt")
        '1 2 3'
    """
    target = Path(os.path.realpath(path))
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and not stat.S_ISREG(mode):
        raise ValueError(f"{path} is a folder or a device; expected the path of a file to write.")
    if mode is not None and not os.access(target, os.W_OK):
        raise PermissionError(f"{path} is read-only. Choose another path, or make it writable.")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"Folder {target.parent} does not exist; create it first to save {target.name} in it."
        )
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".saving-") as folder:
        draft = Path(folder, target.name)
        yield draft
        if mode is not None:
            draft.chmod(stat.S_IMODE(mode))
        force_to_disk(draft)
        os.replace(draft, target)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file as UTF-8, complete or not at all (see `replace_file`).

    A file name that Python could not decode, as under ``LANG=C``, holds surrogates in place of its
    bytes. It is written as these bytes, provided that they are UTF-8.

    Raises:
        ValueError: `text` cannot be written as UTF-8.

    Examples:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_text(f"{folder}/note.txt", "Müller")
        ...     read_text(f"{folder}/note.txt")
        'Müller'
    """
    try:
        text = text.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError as error:
        raise ValueError(
            f"{path} cannot be written as UTF-8: the text holds a name that Python could not "
            f"decode ({error}). Rename that file, or set the environment variable PYTHONUTF8=1."
        ) from error
    with replace_file(path) as draft:
        draft.write_text(text, encoding="utf-8")


def read_text(path: str | os.PathLike[str]) -> str:
    """Return the text of a UTF-8 file, which may begin with a byte-order mark.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is not UTF-8.

    Examples:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_text(f"{folder}/note.txt", "\\ufeffsaved by Notepad")
        ...     read_text(f"{folder}/note.txt")
        'saved by Notepad'
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error}); save it as UTF-8.") from error
    if "\0" in text:  # UTF-16 without a byte-order mark is valid UTF-8 with null characters
        raise ValueError(f"{path} is not UTF-8 text (it holds null characters); save it as UTF-8.")
    return text


def write_once(path: str | os.PathLike[str], text: str) -> bool:
    """Write a text file unless it exists, and return whether it was written.

    Of several processes that try at the same time, on one machine or a shared disk, one writes the
    file. The others never see it half written.

    Examples:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [write_once(f"{folder}/note.txt", text) for text in ("first", "second")]
        [True, False]
    """
    target = Path(path)
    if target.exists():
        return False
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".saving-") as folder:
        draft = Path(folder, target.name)
        draft.write_text(text, encoding="utf-8")
        force_to_disk(draft)
        try:
            os.link(draft, target)
        except FileExistsError:
            return False
        except OSError:  # a disk without links: the last of several writers wins
            os.replace(draft, target)
    return True


def force_to_disk(path: Path) -> None:
    """Wait until a file is on the disk, so that a power cut does not leave it empty."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
