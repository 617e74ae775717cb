"""Recall data on disk, in the layout that the field shares.

A file has one group, ``data``, with one array a field, each stored transposed: a field that is
(trials, columns) in memory is (columns, trials) in the file, as MATLAB-made files have it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from jaxcmr.datasets._check import check_data

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset


def load_data(
    path: str | os.PathLike[str],
    *,
    prepare: Callable[[dict[str, np.ndarray]], RecallDataset] | None = None,
) -> dict[str, np.ndarray]:
    """Read a data set from an HDF5 file and check it.

    Every array of the group ``data`` becomes a field, transposed back to one row a trial.

    Args:
        path: The file, e.g. one written by `save_data`.
        prepare: What to do with the fields before they are checked, e.g. `first_recalls`.

    Returns:
        The checked data set (see `check_data`).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not HDF5, has no group ``data``, or fails `check_data`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no data file at {path} (looked from {Path.cwd()})")
    try:
        fields = _read_fields(path)
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read as HDF5 (damaged, or another format?): {error}"
        ) from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    try:
        return check_data(fields if prepare is None else prepare(fields))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def save_data(data: RecallDataset, path: str | os.PathLike[str]) -> None:
    """Check a data set and write it to an HDF5 file that `load_data` reads back unchanged.

    The file appears complete or not at all: a save that fails leaves an older file as it was.

    Args:
        data: The data set; written as `check_data` returns it.
        path: The file to write. An existing one is replaced.

    Raises:
        FileNotFoundError: The folder does not exist.
        ValueError: The data fail `check_data`, or a field's name cannot be stored.
    """
    path = Path(path)
    fields = check_data(data)
    for name in fields:
        if "/" in name or name in ("", "."):
            raise ValueError(f"cannot store a field named '{name}': HDF5 reads it as a path")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} to save {path.name} in; create it first")
    # A draft in a folder of its own beside the target: same disk, so that replacing is one step.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".saving-") as folder:
        draft = Path(folder) / path.name
        with h5py.File(draft, "w") as file:
            group = file.create_group("data")
            for name, array in fields.items():
                compression = "gzip" if array.size else None  # HDF5 cannot chunk an empty array
                group.create_dataset(name, data=array.T, compression=compression)
        os.replace(draft, path)


def _read_fields(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path, "r") as file:
        group = file.get("data")
        if not isinstance(group, h5py.Group):
            raise ValueError(f"no group 'data'; the file holds {', '.join(file) or 'nothing'}")
        return {name: _read_array(name, entry) for name, entry in group.items()}


def _read_array(name: str, entry: h5py.Dataset | h5py.Group) -> np.ndarray:
    if not isinstance(entry, h5py.Dataset):
        raise ValueError(f"'data/{name}' is a group; expected an array")
    return np.ascontiguousarray(np.asarray(entry[()]).T)
