"""Numbers as JSON, which has neither NaN nor infinity."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["numbers_beside", "to_columns", "to_json", "to_rows"]


def numbers_beside(out: Path) -> Path:
    """Return the file for the numbers of a file; results have no such names.

    >>> numbers_beside(Path("fits/fit.png")).name
    'fit-numbers.json'
    """
    return out.with_name(f"{out.stem}-numbers.json")


def to_json(record: Any) -> str:
    """Return a record as JSON: numbers that are not finite are null.

    >>> print(to_json({"loss": [7.5, float("nan")]}))
    {
     "loss": [
      7.5,
      null
     ]
    }
    """
    return json.dumps(with_none(record), indent=1, allow_nan=False)


def with_none(record: Any) -> Any:
    """Return a record with None in place of NaN and infinity."""
    if isinstance(record, Mapping):
        return {name: with_none(value) for name, value in record.items()}
    if isinstance(record, list | tuple):
        return [with_none(value) for value in record]
    return None if isinstance(record, float) and not math.isfinite(record) else record


def to_columns(table: pd.DataFrame) -> dict[str, list[Any]]:
    """Return a table as lists by column; missing values are None.

    >>> import pandas as pd
    >>> to_columns(pd.DataFrame({"lag": [1, 2], "mean": [0.5, None]}))
    {'lag': [1, 2], 'mean': [0.5, None]}
    """
    plain = table.astype(object).where(table.notna(), None)
    return {str(name): column.tolist() for name, column in plain.items()}


def to_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table as one dict per row; missing values are None.

    >>> import pandas as pd
    >>> to_rows(pd.DataFrame({"lag": [1, 2], "mean": [0.5, None]}))
    [{'lag': 1, 'mean': 0.5}, {'lag': 2, 'mean': None}]
    """
    columns = to_columns(table)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
