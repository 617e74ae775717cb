"""Read MATLAB files: the behavioral toolbox's structure of trials, and structures of events."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from jaxcmr.datasets._events import from_events
from jaxcmr.datasets._first_recalls import first_recalls
from jaxcmr.datasets._hdf5 import check_heaps, read_values
from jaxcmr.datasets._mat_elements import check_elements

OF_RECALLS = ("times", "irt")
"""Fields of the behavioral toolbox with a value per recall. In a data set they begin with rec_."""

ITEM_FIELDS = {"pres_itemnos", "rec_itemnos", "pres_items", "rec_items", "recalls", "listLength"}


def from_mat(
    path: str | os.PathLike[str], name: str | None = None, *, show: bool = True
) -> dict[str, np.ndarray]:
    """Make a data set from a MATLAB file of any version.

    A structure of trials, as the behavioral toolbox has them, holds arrays with one row per trial:
    ``subject``, ``recalls`` (study positions; below 0 for intrusions), and ``pres_itemnos``
    (numbers of the word pool, which become ``pres_itemids``) or ``pres_items`` (words). Those of
    recalls, ``rec_itemnos`` and ``rec_items``, are read, too. Intrusions and repeats are left out
    of ``recalls``, and counted, by `first_recalls`. Other arrays of numbers or text with one row
    per trial are kept; the toolbox's ``times`` and ``irt`` of recalls become ``rec_times`` and
    ``rec_irt``.

    An array of structures is one of events, with ``subject``, ``session``, ``list``, ``type`` and
    ``item`` (see `from_events`).

    Args:
        path: The file.
        name: The variable to read. By default ``data`` or ``events``, or the only one.
        show: Print what was left out.

    Returns:
        The checked data set (see `check_data`).

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is damaged, or does not hold such a structure.

    Examples:
        >>> from scipy.io import savemat
        >>> from tempfile import TemporaryDirectory
        >>> data = {"subject": [1], "pres_itemnos": [[7, 9, 4]], "recalls": [[3, -1, 1]]}
        >>> with TemporaryDirectory() as folder:
        ...     savemat(f"{folder}/study.mat", {"data": data})
        ...     found = from_mat(f"{folder}/study.mat")
        >>> found["recalls"], found["pres_itemids"], found["intrusions"]
        (array([[3, 1, 0]]), array([[7, 9, 4]]), array([[1]]))
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"The data file {path} does not exist (looked from {Path.cwd()}).")
    variable = _choose_variable(path, _read_variables(path), name)
    try:
        if isinstance(variable, Mapping) and "recalls" not in variable and "type" in variable:
            variable = _split_structure(variable)
        if isinstance(variable, Mapping):
            return _from_trials(variable, show)
        return _from_structures(variable, show)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def holds_fields(path: Path) -> bool:
    """Return True for an HDF5 file whose group ``data`` holds the fields of a data set.

    A structure of trials in MATLAB has cells, or one ``listLength`` for all trials.
    """
    if not h5py.is_hdf5(path):
        return False
    try:
        with h5py.File(path, "r") as file:
            group = file.get("data")
            if not isinstance(group, h5py.Group):
                return "events" not in file
            has_cells = any(
                isinstance(entry, h5py.Dataset) and entry.dtype == h5py.ref_dtype
                for entry in group.values()
            )
            return "listLength" in group and np.size(group["listLength"]) > 1 and not has_cells
    except Exception:  # a damaged file, which `load_data` describes
        return True


def _read_variables(path: Path) -> dict[str, Any]:
    """Return the variables of a file; structures are dicts, cells object arrays."""
    from scipy.io import loadmat

    try:
        if h5py.is_hdf5(path):
            check_heaps(path)
            with h5py.File(path, "r") as file:
                known: dict[int, Any] = {}
                return {key: _read_hdf5(file, file[key], known) for key in file if key[0] != "#"}
        check_elements(path)
        variables = loadmat(path, simplify_cells=True)
        return {key: value for key, value in variables.items() if not key.startswith("__")}
    except Exception as error:  # both readers raise nearly any exception for a damaged file
        raise ValueError(f"{path} cannot be read as a MATLAB file: {error}.") from error


def _read_hdf5(file: h5py.File, entry: h5py.Dataset | h5py.Group, known: dict[int, Any]) -> Any:
    """Return a variable of a file of version 7.3, in which rows and columns are exchanged.

    Args:
        file: The file.
        entry: The variable, or a part of one.
        known: What was read before, by address. Each object is read once: one that holds itself
            would be read forever, and forty that each hold the next one twice, a trillion times.
    """
    address = h5py.h5o.get_info(entry.id).addr
    if address not in known:
        known[address] = None
        known[address] = _read_object(file, entry, known)
    if known[address] is None:
        raise ValueError(f"'{entry.name}' holds itself")
    return known[address]


def _read_object(file: h5py.File, entry: h5py.Dataset | h5py.Group, known: dict[int, Any]) -> Any:
    """Return what `_read_hdf5` does of an object that was not read before."""
    if isinstance(entry, h5py.Group):
        return {key: _read_hdf5(file, entry[key], known) for key in entry}
    kind = entry.attrs.get("MATLAB_class", b"")
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if entry.attrs.get("MATLAB_empty", 0):
        return np.zeros(0)
    values = np.asarray(read_values(entry))
    if kind == "char":
        return "".join(map(chr, values.ravel(order="F")))
    if values.dtype == h5py.ref_dtype:
        cells = np.empty(values.shape, object)
        for place in np.ndindex(values.shape):
            cells[place] = _read_hdf5(file, file[values[place]], known)
        return cells.T
    return values.T.astype(bool) if kind == "logical" else values.T


def _choose_variable(path: Path, variables: dict[str, Any], name: str | None) -> Any:
    names = [name] if name else ["data", "events", *(variables if len(variables) == 1 else ())]
    for each in names:
        if each in variables:
            return variables[each]
    wanted = f"'{name}'" if name else "'data' or 'events'"
    found = ", ".join(map(str, variables)) or "nothing"
    raise ValueError(
        f"{path} lacks a variable {wanted}; it holds {found}. Name the one to read  with name=..."
    )


def _split_structure(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the structures of an array that a file of version 7.3 holds by field."""
    cells = {name: np.ravel(np.asarray(value, object)) for name, value in columns.items()}
    n_events = len(cells["type"])
    kept = {name: values for name, values in cells.items() if len(values) == n_events}
    return [{name: values[i] for name, values in kept.items()} for i in range(n_events)]


def _from_structures(events: Any, show: bool) -> dict[str, np.ndarray]:
    """Make a data set of an array of structures, one per event."""
    import pandas as pd

    records = [each for each in np.ravel(np.asarray(events, object)) if isinstance(each, Mapping)]
    if not records or len(records) < np.size(np.asarray(events, object)):
        raise ValueError(
            "The variable is neither a structure of trials nor an array of structures, one for "
            "each event."
        )
    table = pd.DataFrame([{key: _plain(value) for key, value in one.items()} for one in records])
    item = "item" if "item" in table.columns else "item_name"
    return from_events(table, trial_type="type", item=item, show=show)


def _plain(value: Any) -> Any:
    """Return the value of an event: a number, a text, or None for an empty array."""
    if isinstance(value, np.ndarray):
        return value.item() if value.size == 1 else None
    return value.item() if isinstance(value, np.generic) else value


def _from_trials(data: Mapping[str, Any], show: bool) -> dict[str, np.ndarray]:
    """Make a data set of a structure of trials."""
    for needed in ("subject", "recalls"):
        if needed not in data:
            raise ValueError(
                f"The structure lacks '{needed}'; it holds {', '.join(map(str, data))}."
            )
    n_trials = np.size(data["subject"])
    fields, left_out = {}, []
    for name, value in data.items():
        field = _as_rows(value, n_trials)
        if field is not None:
            fields[name] = field
        elif name != "listLength":
            left_out.append(name)
    for needed in ("subject", "recalls"):
        if needed not in fields:
            raise ValueError(
                f"'{needed}' is not an array of numbers or text with one row for each of "
                f"{n_trials} trials, the number of entries of 'subject'."
            )
    kinds = ("pres_itemids", "pres_itemnos", "pres_items")
    studied = next((fields[name] for name in kinds if name in fields), None)
    if studied is None:
        raise ValueError(
            "The structure lacks 'pres_itemnos' or 'pres_items', with a row per trial."
        )
    fields |= _number_items(fields, studied)
    for name in ("recalls", "rec_itemids"):
        if name in fields and fields[name].dtype.kind == "U":
            raise ValueError(f"'{name}' holds text; expected numbers. Words are 'rec_items'.")
        if name in fields and fields[name].dtype.kind == "f":
            fields[name] = np.nan_to_num(fields[name], nan=0.0)
    if "rec_itemids" in fields:  # in some files a recall of an unknown item has the number 0
        recalled = fields["rec_itemids"]
        is_before = np.cumsum((recalled != 0)[:, ::-1], axis=1)[:, ::-1] > 0
        is_unknown = (recalled == 0) & is_before
        if fields["recalls"].shape == recalled.shape:
            is_unknown |= (recalled == 0) & (fields["recalls"] < 0)
        fields["rec_itemids"] = np.where(is_unknown, -1, recalled)
    for name in OF_RECALLS:
        if name in fields:
            fields[f"rec_{name}"] = fields.pop(name)
    if "rec_items" in fields:
        ids = fields.get("rec_itemids")
        words = fields["rec_items"]
        if ids is None or words.shape != ids.shape or ((words == "") != (ids == 0)).any():
            del fields["rec_items"]  # which are not the words of the recalls that the ids tell of
            left_out.append("rec_items")
    if show and left_out:
        print(
            f"Left out: {', '.join(map(str, left_out))} (not one row of numbers or text per trial)."
        )
    return first_recalls(fields)


def _number_items(fields: dict[str, np.ndarray], studied: np.ndarray) -> dict[str, np.ndarray]:
    """Return the fields of items: ids from pool numbers or words, and numbers within lists.

    Takes out of `fields` what it converts.
    """
    is_word = studied.dtype.kind == "U"
    is_studied = studied != "" if is_word else np.nan_to_num(studied.astype(float)) > 0
    same = studied[:, :, None] == studied[:, None, :]  # [trial, position, earlier position]
    first = np.where(is_studied, same.argmax(axis=2) + 1, 0)
    made = {"pres_itemnos": first, "listLength": is_studied.sum(axis=1)}
    if "pres_itemids" in fields:  # the fields of a data set, with numbers within lists
        return made
    if is_word:
        words = np.unique(studied[is_studied])
        made["pres_itemids"] = np.where(is_studied, np.searchsorted(words, studied) + 1, 0)
        if (recalled := fields.get("rec_items")) is not None:
            place = np.searchsorted(words, recalled).clip(max=len(words) - 1)
            ids = np.where(words[place] == recalled, place + 1, -1)
            made["rec_itemids"] = np.where(recalled == "", 0, ids)
    else:
        made["pres_itemids"] = np.where(is_studied, studied, 0)
        if (recalled := fields.pop("rec_itemnos", None)) is not None:
            made["rec_itemids"] = recalled
    words_of = fields.get("pres_items")
    if words_of is not None and ((words_of == "") == is_studied).any():
        raise ValueError("'pres_items' lacks the word of a studied item, or has one too many.")
    return made


def _as_rows(value: Any, n_trials: int) -> np.ndarray | None:
    """Return a field with one row per trial, of numbers or text; None for anything else."""
    if isinstance(value, Mapping | str):
        return None
    array: np.ndarray | None = np.asarray(value)
    if array is not None and array.dtype == object:
        array = _as_text(array)
    if array is None or array.dtype.kind not in "biufU":
        return None
    array = np.atleast_1d(array)
    if array.ndim == 1 and len(array) == n_trials:
        return array[:, None]
    if array.ndim == 1 and n_trials == 1:
        return array[None]  # one trial, whose row MATLAB's reader has made a vector
    if array.ndim == 2 and array.shape == (1, n_trials) and n_trials > 1:
        return array.T
    return array if array.ndim == 2 and len(array) == n_trials else None


def _as_text(cells: np.ndarray) -> np.ndarray | None:
    """Return cells of text, "" where they are empty; None if they hold anything else.

    Cells of cells, one for each trial, become rows.
    """
    if cells.ndim == 1 and all(isinstance(cell, np.ndarray | list) for cell in cells):
        rows = [np.ravel(np.asarray(cell, object)) for cell in cells]
        width = max((len(row) for row in rows), default=0)
        padded = np.full((len(rows), width), "", object)
        for row, cell in zip(padded, rows, strict=True):
            row[: len(cell)] = cell
        cells = padded
    text = np.array(
        ["" if isinstance(cell, np.ndarray) and cell.size == 0 else cell for cell in cells.ravel()],
        object,
    )
    if not all(isinstance(cell, str) for cell in text):
        return None
    return text.astype(str).reshape(cells.shape)
