"""Load data from any source: a name, a file, a psifr table or arrays."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxcmr.datasets._bids import from_bids, from_cml
from jaxcmr.datasets._check import check_data, is_table
from jaxcmr.datasets._hdf5 import describe_format, load_data
from jaxcmr.datasets._mat import from_mat, holds_fields
from jaxcmr.datasets._psifr import from_psifr
from jaxcmr.names import describe_missing, describe_unknown

if TYPE_CHECKING:
    import pandas as pd

    from jaxcmr.typing import RecallDataset

BUNDLED: dict[str, str] = {
    "peers_notask": (
        "126 subjects, 28 lists of 16 words each, studied without an encoding task and recalled "
        "at once, in any order: the PEERS lists of Healey and Kahana (2014)"
    ),
    "Morton2013": (
        "40 subjects, 48 lists of 24 names of people, places and objects, some lists of one "
        "category and some mixed, recalled in any order: Morton et al. (2013)"
    ),
}
"""The data sets that `load_bundled` reads by name, with a description. They come with psifr."""

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
"""The suffixes of files that hold a psifr table, each with the separator of its columns."""


def load(
    source: str | os.PathLike[str] | pd.DataFrame | RecallDataset,
) -> dict[str, np.ndarray]:
    """Return a checked data set from a name, a file, a psifr table or arrays.

    Args:
        source: One of

            - a name in `BUNDLED`, unless a file of this name exists;
            - the path of a .csv (columns separated by commas), .tsv or .txt (by tabs) file with a
              psifr table in UTF-8, read with `pandas.read_csv` and `from_psifr`; or with events as
              BIDS has them (columns ``trial_type`` and ``item_name``; see `from_bids`);
            - a folder in BIDS format (see `from_bids`);
            - the path of a .json file of events (see `from_cml`);
            - the path of a .mat file (see `from_mat`; or `load_data`, if it holds the fields of a
              data set);
            - the path of any other file, such as .h5 or .hdf5 (see `load_data`);
            - a pandas DataFrame with a psifr table (see `from_psifr`);
            - a mapping of field names to arrays (see `check_data`).

    Returns:
        The checked data set (see `check_data`).

    Raises:
        FileNotFoundError: The file does not exist.
        ImportError: The name is bundled with psifr, which is not installed.
        ValueError: `source` is something else, or does not hold a data set.

    Examples:
        >>> data = load("peers_notask")
        >>> data["recalls"].shape
        (3528, 16)
        >>> load({name: data[name][:5] for name in data})["recalls"].shape
        (5, 16)
    """
    if isinstance(source, Mapping):
        return check_data(source)
    if is_table(source):
        return from_psifr(source)
    if not isinstance(source, str | os.PathLike):
        raise ValueError(
            "Data are the name of a bundled data set, the path of a file, a psifr table or a "
            f"mapping of arrays; got {type(source).__name__}."
        )
    path = Path(source)
    if path.is_file():
        return _load_file(path)
    if str(source) in BUNDLED:
        return load_bundled(str(source))
    if path.is_dir():
        return from_bids(path)
    if not path.suffix:
        unknown = describe_unknown("data set", str(source), BUNDLED)
        raise ValueError(f"{unknown} Nor is it a file (looked from {Path.cwd()}).")
    return load_data(path)  # which says that the file does not exist


def load_bundled(name: str) -> dict[str, np.ndarray]:
    """Return a bundled data set by name.

    The data are tables that come with the package psifr, converted with `from_psifr`.

    Args:
        name: A key of `BUNDLED`.

    Returns:
        The checked data set (see `check_data`).

    Raises:
        ValueError: The name is unknown. The message gives the closest.
        ImportError: psifr is not installed.

    Examples:
        >>> load_bundled("peers_notask")["recalls"].shape
        (3528, 16)
    """
    if name not in BUNDLED:
        raise ValueError(describe_unknown("data set", name, BUNDLED))
    import pandas as pd

    # Importing psifr would take most of a second, for the plots that it can make.
    psifr = find_spec("psifr")
    if psifr is None or psifr.origin is None:
        raise ImportError(describe_missing(f"The lists '{name}'", "psifr", "demo"))
    return from_psifr(pd.read_csv(Path(psifr.origin).parent / "data" / f"{name}.csv"))


def _load_file(path: Path) -> dict[str, np.ndarray]:
    """Read a file by its suffix and content."""
    suffix = path.suffix.lower()
    if suffix in SEPARATORS:
        return _load_table(path)
    if suffix == ".json":
        return from_cml(path)
    if suffix == ".mat" and path.stat().st_size and not holds_fields(path):
        return from_mat(path)
    return load_data(path)


def _load_table(path: Path) -> dict[str, np.ndarray]:
    """Read a psifr table from a text file and convert it."""
    import pandas as pd

    separator = SEPARATORS[path.suffix.lower()]
    try:
        table = pd.read_csv(path, sep=separator, encoding="utf-8-sig", low_memory=False)
    except ValueError as error:  # the errors of pandas and of decoding are ValueErrors
        raise ValueError(
            f"{path} cannot be read as a table in UTF-8 ({describe_format(path)}): "
            + str(error).strip(". \n")
            + "."
        ) from error
    if {"trial_type", "item_name"} <= {*table.columns} and "position" not in table.columns:
        return from_bids([path])
    try:
        return from_psifr(table)
    except ValueError as error:
        hint = f" Only one column was found, with the separator {separator!r}."
        raise ValueError(f"{path}: {error}{hint if table.shape[1] == 1 else ''}") from error
