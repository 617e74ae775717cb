"""Recall data in HDF5 files, in the layout that the field shares.

A file has one group, ``data``, with one array per field. Each array is stored transposed, as
MATLAB does: a field that is (trials, columns) in memory is (columns, trials) in the file. Text is
stored as UTF-8.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import mmap
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from jaxcmr.datasets._check import as_fields, check_data, is_text
from jaxcmr.files import replace_file

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset

CHECKSUM = "fingerprint"
"""The attribute of the group ``data`` that holds the `fingerprint` of the fields."""

MATLAB_ADVICE = {
    "char": "convert text with str2double, or code it with findgroups",
    "cell": "convert it with cell2mat",
    "sparse": "convert it with full",
}
"""By MATLAB class, how to make an array of numbers in MATLAB."""

BEGINNINGS = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file; if it is named .h5, it is damaged",
    b"MATLAB 7.3": "a MATLAB file of version 7.3; if it is named .mat, it is damaged",
    b"MATLAB 5.0": (
        "a MATLAB file older than version 7.3; save it with '-v7.3' in MATLAB, or read it with "
        "scipy.io.loadmat and pass the arrays to check_data"
    ),
    b"PK": "a zip archive, as .xlsx and .npz files are",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"\x93NUMPY": "a NumPy array; read it with numpy.load",
    b"\xff\xfe": "text in UTF-16; save it as UTF-8",
}
"""The first bytes of files, and what they tell of the format."""


HEAP = b"GCOL\x01\0\0\0"
"""How a heap of strings of variable length begins in an HDF5 file."""

MOST_COMPRESSED = 2000
"""More than gzip can make of a byte, which is 1032."""


class _WrongLayout(ValueError):
    """The file is sound HDF5, but does not hold a data set."""


def fingerprint(data: RecallDataset) -> str:
    """Return the SHA-256 of the names, shapes and values of a data set.

    Equal data have equal fingerprints in every process and on every machine. The order of the
    fields, the width and byte order of numbers, the memory layout and the sign of zero do not
    count. Integers and booleans are hashed as int64 (as uint64 where a field needs it), floats as
    float64, so 1 and 1.0 differ. Text is hashed as JSON.

    Args:
        data: Array-likes of numbers or text by field name. They need not pass `check_data`.

    Returns:
        ``"sha256:"`` and 64 hexadecimal digits.

    Raises:
        ValueError: A field is not an array of numbers or text.

    Examples:
        >>> fingerprint({"subject": [1, 2]}) == fingerprint({"subject": [[1], [2]]})
        True
        >>> fingerprint({"subject": [1, 2]}) == fingerprint({"subject": [1, 3]})
        False
    """
    digest = hashlib.sha256()
    for name, array in sorted(as_fields(data).items()):
        if is_text(array):
            digest.update(json.dumps([name, "text", array.shape, array.tolist()]).encode())
            continue
        dtype = "<f8" if array.dtype.kind == "f" else "<i8"
        if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
            dtype = "<u8"
        # Adding 0 turns -0.0 into 0.0, which equals it but has other bytes.
        values = np.ascontiguousarray(array, dtype=dtype) + 0
        # The shape says how many bytes follow, so no two data sets give the same stream.
        digest.update(json.dumps([name, dtype, values.shape]).encode())
        digest.update(values.tobytes())
    return f"sha256:{digest.hexdigest()}"


def load_data(
    path: str | os.PathLike[str],
    *,
    prepare: Callable[[dict[str, np.ndarray]], RecallDataset] | None = None,
) -> dict[str, np.ndarray]:
    """Read a data set from an HDF5 file and check it.

    Every array of the group ``data`` becomes a field, transposed back to one row per trial. Of
    files made by MATLAB, logical arrays become booleans and empty ones are left out. The fields of
    a file written by `save_data` are compared with the fingerprint stored in it.

    Args:
        path: The file, e.g. one written by `save_data`, or a MATLAB file of version 7.3.
        prepare: Applied to the fields before they are checked, e.g. `first_recalls`.

    Returns:
        The checked data set (see `check_data`).

    Raises:
        FileNotFoundError: The file does not exist.
        PermissionError: The file may not be read.
        ValueError: The file is damaged, not HDF5, has no group ``data``, or fails `check_data`.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> data = {"subject": [1], "listLength": [2], "pres_itemnos": [[1, 2]], "recalls": [[2]]}
        >>> with TemporaryDirectory() as folder:
        ...     save_data(data, f"{folder}/study.h5")
        ...     load_data(f"{folder}/study.h5")["recalls"]
        array([[2]])
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"The data file {path} does not exist (looked from {Path.cwd()}).")
    fields, stored = _read_file(path)
    try:
        if stored is not None and fingerprint(fields) != stored:
            raise ValueError(
                "The fields differ from those that were saved. The file is damaged, or was changed "
                "by another program. Use a copy of it, or save the data again with save_data. To "
                f"read a file that was changed on purpose, delete the attribute '{CHECKSUM}' of "
                "its group 'data'."
            )
        return check_data(fields if prepare is None else prepare(fields))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def save_data(data: RecallDataset, path: str | os.PathLike[str]) -> None:
    """Check a data set and write it to an HDF5 file.

    `load_data` reads it back unchanged. The file appears complete or not at all: a save that fails
    leaves an older file as it was. The `fingerprint` of the data is stored with them, so that
    `load_data` notices damage.

    Args:
        data: The data set; written as `check_data` returns it.
        path: The file to write. An existing one is replaced (see `jaxcmr.files.replace_file`).

    Raises:
        FileNotFoundError: The folder does not exist.
        ValueError: The data fail `check_data`, or the name of a field cannot be stored.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> data = {"subject": [1], "listLength": [2], "pres_itemnos": [[1, 2]], "recalls": [[2]]}
        >>> with TemporaryDirectory() as folder:
        ...     save_data(data, f"{folder}/study.h5")
        ...     [path.name for path in Path(folder).iterdir()]
        ['study.h5']
    """
    fields = check_data(data)
    for name in fields:
        if "/" in name or "\0" in name or name in ("", "."):
            raise ValueError(
                f"A field named {name!r} cannot be stored, because HDF5 reads the name as a path. "
                "Rename it."
            )
    with replace_file(path) as draft, h5py.File(draft, "w") as file:
        group = file.create_group("data")
        # Of fixed length: HDF5 can hang on a damaged file with strings of variable length.
        group.attrs[CHECKSUM] = np.bytes_(fingerprint(fields))
        for name, array in fields.items():
            compression = "gzip" if array.size else None  # HDF5 cannot chunk an empty array
            stored = _to_bytes(name, array) if is_text(array) else array
            group.create_dataset(name, data=stored.T, compression=compression)


def _to_bytes(name: str, text: np.ndarray) -> np.ndarray:
    """Return text as UTF-8 of fixed length, in a type that HDF5 knows as such."""
    try:
        encoded = np.char.encode(text, "utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"'{name}' holds text that UTF-8 cannot store: {error}.") from None
    width = max(1, encoded.dtype.itemsize)
    return encoded.astype(h5py.string_dtype("utf-8", width))


def _read_file(path: Path) -> tuple[dict[str, np.ndarray], str | None]:
    """Return the fields of a file, and the fingerprint stored in it or None."""
    try:
        check_heaps(path)
        with h5py.File(path, "r") as file:
            group = file.get("data")
            if not isinstance(group, h5py.Group):
                names = (
                    "an array of this name"
                    if "data" in file
                    else ", ".join(map(str, file)) or "nothing"
                )
                raise _WrongLayout(f"Expected a group 'data'; the file holds {names}.")
            fields = {name: _read_array(name, entry) for name, entry in group.items()}
            stored = _to_text(group.attrs[CHECKSUM]) if CHECKSUM in group.attrs else None
    except (FileNotFoundError, PermissionError):
        raise
    except _WrongLayout as error:
        raise ValueError(f"{path}: {error}") from error
    except BlockingIOError as error:
        raise ValueError(f"{path} is being written by another program: {error}.") from error
    except Exception as error:  # h5py raises nearly any exception for a damaged file
        raise ValueError(
            f"{path} cannot be read as HDF5 ({describe_format(path)}): {error}."
        ) from error
    return {name: array for name, array in fields.items() if array is not None}, stored


def _read_array(name: str, entry: h5py.Dataset | h5py.Group) -> np.ndarray | None:
    """Return a field with one row per trial; None for an empty MATLAB array."""
    kind = _to_text(entry.attrs.get("MATLAB_class", ""))
    if "MATLAB_sparse" in entry.attrs:
        kind = "sparse"
    if not isinstance(entry, h5py.Dataset) and not kind:
        raise _WrongLayout(f"'data/{name}' is a group; expected an array.")
    if entry.attrs.get("MATLAB_empty", 0):  # stored as its dimensions
        return None
    if kind not in ("", "double", "single", "logical") and "int" not in kind:
        advice = MATLAB_ADVICE.get(kind, "convert it to an array of numbers")
        raise _WrongLayout(
            f"'{name}' has the MATLAB class {kind}; fields are numeric arrays. In MATLAB, {advice}."
        )
    is_text = h5py.check_string_dtype(entry.dtype)
    array = np.asarray(_read_text(name, entry) if is_text else read_values(entry))
    if kind == "logical":
        array = array.astype(bool)
    return np.ascontiguousarray(array.T)


def read_values(entry: h5py.Dataset) -> object:
    """Return the values of an array, unless it is far larger than compression can make it.

    Raises:
        ValueError: The array claims more bytes than the file can hold.
    """
    most = MOST_COMPRESSED * entry.file.id.get_filesize()
    if entry.size is not None and entry.nbytes > most:
        raise _WrongLayout(f"'{entry.name}' claims {entry.nbytes} bytes; the file is damaged.")
    return entry[()]


def check_heaps(path: Path) -> None:
    """Check the heaps that hold strings of variable length in an HDF5 file.

    In a heap with a damaged size HDF5 searches forever. A heap is its signature, its size, and
    objects: index (2 bytes), count (2), 4 bytes that are not used, size (8), and content filled up
    to 8 bytes. The object with index 0 is the free space behind the others.

    Raises:
        ValueError: The objects of a heap do not fit into it.
    """
    if not path.stat().st_size:
        return
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        heap = content.find(HEAP)
        while heap >= 0:
            (size,) = struct.unpack_from("<Q", content, heap + len(HEAP))
            at, end, index = heap + 16, heap + size, 1
            while at + 16 <= min(end, len(content)):
                index, size = struct.unpack_from("<H6xQ", content, at)
                at += size if index == 0 else 16 + size + -size % 8
                if index == 0:
                    break
            if at > end or end > len(content) or (index == 0 and at != end):
                raise _WrongLayout(f"The heap of strings at byte {heap} is damaged.")
            heap = content.find(HEAP, heap + 1)


def _read_text(name: str, entry: h5py.Dataset) -> np.ndarray:
    """Return a field of strings as text."""
    try:
        return np.asarray(entry.asstr("utf-8")[()]).astype(str)
    except UnicodeDecodeError as error:
        raise _WrongLayout(f"'{name}' holds text that is not UTF-8: {error}.") from None


def _to_text(value: str | bytes) -> str:
    """Return an attribute as text; HDF5 has two kinds of strings."""
    return value.decode() if isinstance(value, bytes) else str(value)


def describe_format(path: Path) -> str:
    """Return a clause about the format of a file, told by its first bytes."""
    with open(path, "rb") as file:
        head = file.read(4096)
    if not head:
        return "it is empty"
    for beginning, description in BEGINNINGS.items():
        if head.startswith(beginning):
            return f"it seems to be {description}"
    try:
        is_text = "\0" not in codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        is_text = False
    if is_text:
        return "it seems to be text; a psifr table is named .csv, .tsv or .txt"
    return "it is damaged or has another format"
