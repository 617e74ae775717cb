"""Data from any source: a name, a file, a psifr table or arrays."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcmr.datasets._bundled import BUNDLED, load_bundled
from jaxcmr.datasets._check import check_data
from jaxcmr.datasets._fields import is_table
from jaxcmr.datasets._format import describe_format
from jaxcmr.datasets._hdf5 import load_data
from jaxcmr.datasets._psifr import from_psifr
from jaxcmr.names import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
"""The suffixes of files that hold a psifr table, each with what separates its columns."""


def load(
    source: str | os.PathLike[str] | pd.DataFrame | Mapping[str, Any],
) -> dict[str, np.ndarray]:
    """Return a checked data set from a name, a file, a psifr table or arrays.

    Args:
        source: One of

            - a name in `BUNDLED`, unless a file of this name exists;
            - the path of a .csv (columns separated by commas), .tsv or .txt (by tabs) file with a
              psifr table in UTF-8, read with `pandas.read_csv` and `from_psifr`;
            - the path of any other file, such as .h5, .hdf5 or .mat (see `load_data`);
            - a pandas DataFrame with a psifr table (see `from_psifr`);
            - a mapping of field names to arrays (see `check_data`).

    Returns:
        The checked data set (see `check_data`).

    Raises:
        FileNotFoundError: There is no such file.
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
        return from_psifr(source)  # type: ignore[arg-type]
    if not isinstance(source, str | os.PathLike):
        raise ValueError(
            "expected the name of a bundled data set, the path of a file, a psifr table or a "
            f"mapping of arrays, got {type(source).__name__}"
        )
    path = Path(source)
    if path.is_file():
        return _load_table(path) if path.suffix.lower() in SEPARATORS else load_data(path)
    if str(source) in BUNDLED:
        return load_bundled(str(source))
    if not path.suffix:
        raise ValueError(
            f"'{source}' is not a file (looked from {Path.cwd()}) and not a bundled data set. "
            + did_you_mean(str(source), BUNDLED)
        )
    raise FileNotFoundError(f"no data file at {path} (looked from {Path.cwd()})")


def _load_table(path: Path) -> dict[str, np.ndarray]:
    """Read a psifr table from a text file and convert it."""
    import pandas as pd

    separator = SEPARATORS[path.suffix.lower()]
    try:
        table = pd.read_csv(path, sep=separator, encoding="utf-8-sig", low_memory=False)
    except ValueError as error:  # the errors of pandas and of decoding are ValueErrors
        raise ValueError(
            f"{path} cannot be read as a table in UTF-8 ({describe_format(path)}): {error}"
        ) from error
    try:
        return from_psifr(table)
    except ValueError as error:
        few = f" (found one column only, with the separator {separator!r})"
        raise ValueError(f"{path}: {error}{few if table.shape[1] == 1 else ''}") from error
