"""Recall data on disk, in the layout that the field shares.

A file has one group, ``data``, with one array per field, each stored transposed: a field that is
(trials, columns) in memory is (columns, trials) in the file, as MATLAB-made files have it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from jaxcmr.datasets._check import check_data
from jaxcmr.datasets._fingerprint import fingerprint
from jaxcmr.datasets._format import describe_format
from jaxcmr.files import replacing

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset

CHECKSUM = "fingerprint"
"""The attribute of the group ``data`` that holds what `fingerprint` says of the fields."""

MATLAB_ADVICE = {
    "char": "convert text with str2double, or code it with findgroups",
    "cell": "convert it with cell2mat",
    "sparse": "convert it with full",
}
"""What to do in MATLAB about fields that are not plain arrays of numbers, by class."""


class _WrongLayout(ValueError):
    """The file is sound HDF5, but does not hold a data set."""


def load_data(
    path: str | os.PathLike[str],
    *,
    prepare: Callable[[dict[str, np.ndarray]], RecallDataset] | None = None,
) -> dict[str, np.ndarray]:
    """Read a data set from an HDF5 file and check it.

    Every array of the group ``data`` becomes a field, transposed back to one row per trial. Of
    files made by MATLAB, logical arrays become booleans and empty ones are left out. If the file
    was written by `save_data`, its fields are compared with the fingerprint stored in it.

    Args:
        path: The file, e.g. one written by `save_data`, or a MATLAB file of version 7.3.
        prepare: What to do with the fields before they are checked, e.g. `first_recalls`.

    Returns:
        The checked data set (see `check_data`).

    Raises:
        FileNotFoundError: There is no such file.
        PermissionError: The file may not be read.
        ValueError: The file is damaged, not HDF5, has no group ``data``, or fails `check_data`.

    Examples:
        >>> data = {"subject": [1], "listLength": [2], "pres_itemnos": [[1, 2]], "recalls": [[2]]}
        >>> save_data(data, "study.h5")
        >>> load_data("study.h5")["recalls"]
        array([[2]])
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no data file at {path} (looked from {Path.cwd()})")
    fields, stored = _read_file(path)
    try:
        if stored is not None:
            _check_fingerprint(fields, stored)
        return check_data(fields if prepare is None else prepare(fields))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def save_data(data: RecallDataset, path: str | os.PathLike[str]) -> None:
    """Check a data set and write it to an HDF5 file that `load_data` reads back unchanged.

    The file appears complete or not at all: a save that fails leaves an older file as it was. The
    `fingerprint` of the data is stored with them, so that damage is noticed when they are read.

    Args:
        data: The data set; written as `check_data` returns it.
        path: The file to write. An existing one is replaced (see `jaxcmr.files.replacing`).

    Raises:
        FileNotFoundError: The folder does not exist.
        ValueError: The data fail `check_data`, or a field's name cannot be stored.

    Examples:
        >>> data = {"subject": [1], "listLength": [2], "pres_itemnos": [[1, 2]], "recalls": [[2]]}
        >>> save_data(data, "study.h5")
    """
    fields = check_data(data)
    for name in fields:
        if "/" in name or "\0" in name or name in ("", "."):
            raise ValueError(f"cannot store a field named {name!r}: HDF5 reads it as a path")
    with replacing(path) as draft, h5py.File(draft, "w") as file:
        group = file.create_group("data")
        # Of fixed length: HDF5 can hang on a damaged file with strings of variable length.
        group.attrs[CHECKSUM] = np.bytes_(fingerprint(fields))
        for name, array in fields.items():
            compression = "gzip" if array.size else None  # HDF5 cannot chunk an empty array
            group.create_dataset(name, data=array.T, compression=compression)


def _check_fingerprint(fields: dict[str, np.ndarray], stored: str) -> None:
    if fingerprint(fields) != stored:
        raise ValueError(
            "the fields differ from those that were saved: the file is damaged, or was changed by "
            "another program. Use a copy of it, or save the data again with save_data. To read a "
            f"file that was changed on purpose, delete the attribute '{CHECKSUM}' of its group "
            "'data'"
        )


def _read_file(path: Path) -> tuple[dict[str, np.ndarray], str | None]:
    """Return the fields of a file, and the fingerprint stored in it or None."""
    try:
        with h5py.File(path, "r") as file:
            group = file.get("data")
            if not isinstance(group, h5py.Group):
                names = "an array of this name" if "data" in file else ", ".join(file) or "nothing"
                raise _WrongLayout(f"no group 'data'; the file holds {names}")
            fields = {name: _read_array(name, entry) for name, entry in group.items()}
            stored = _text(group.attrs[CHECKSUM]) if CHECKSUM in group.attrs else None
    except (FileNotFoundError, PermissionError):
        raise
    except _WrongLayout as error:
        raise ValueError(f"{path}: {error}") from error
    except BlockingIOError as error:
        raise ValueError(f"{path} is being written by another program: {error}") from error
    except Exception as error:  # h5py raises nearly any exception for a damaged file
        raise ValueError(
            f"{path} cannot be read as HDF5 ({describe_format(path)}): {error}"
        ) from error
    return {name: array for name, array in fields.items() if array is not None}, stored


def _read_array(name: str, entry: h5py.Dataset | h5py.Group) -> np.ndarray | None:
    """Return a field with one row per trial; None for an empty MATLAB array."""
    kind = _text(entry.attrs.get("MATLAB_class", ""))
    if "MATLAB_sparse" in entry.attrs:
        kind = "sparse"
    if not isinstance(entry, h5py.Dataset) and not kind:
        raise _WrongLayout(f"'data/{name}' is a group; expected an array")
    if entry.attrs.get("MATLAB_empty", 0):  # stored as its dimensions
        return None
    if kind not in ("", "double", "single", "logical") and "int" not in kind:
        advice = MATLAB_ADVICE.get(kind, "convert it to an array of numbers")
        raise _WrongLayout(
            f"'{name}' has the MATLAB class {kind}; fields are numeric arrays only. In MATLAB, "
            f"{advice}"
        )
    array = np.asarray(entry[()])
    if kind == "logical":
        array = array.astype(bool)
    return np.ascontiguousarray(array.T)


def _text(value: str | bytes) -> str:
    """Return an attribute as text: HDF5 has two kinds of strings."""
    return value.decode() if isinstance(value, bytes) else str(value)
