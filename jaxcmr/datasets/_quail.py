"""Convert an Egg of the package quail to a data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from jaxcmr.datasets._psifr import from_psifr

if TYPE_CHECKING:
    import pandas as pd


class Egg(Protocol):
    """What is read of an Egg: tables indexed by subject and list, a column per position."""

    @property
    def pres(self) -> pd.DataFrame:
        """Return the items studied."""
        ...

    @property
    def rec(self) -> pd.DataFrame:
        """Return the items recalled."""
        ...


def from_quail(egg: Egg) -> dict[str, np.ndarray]:
    """Make a data set from an Egg of quail.

    Files of quail (.egg) are pickles, which run code when they are opened. Open only files that you
    trust, with quail, and hand in the object.

    Args:
        egg: Has tables ``pres`` and ``rec``, indexed by subject and list. A cell is a word, or a
            dict with the word as ``item`` and features that are kept as columns are; or None, NaN
            or "" after the end.

    Returns:
        The checked data set; see `from_psifr`.

    Raises:
        ValueError: `egg` has no such tables, or as for `from_psifr`.

    Examples:
        >>> import pandas as pd
        >>> from types import SimpleNamespace
        >>> index = pd.MultiIndex.from_tuples([(0, 0)], names=["Subject", "List"])
        >>> pres = pd.DataFrame([[{"item": "oak"}, {"item": "elm"}]], index=index)
        >>> rec = pd.DataFrame([[{"item": "elm"}, None]], index=index)
        >>> from_quail(SimpleNamespace(pres=pres, rec=rec))["recalls"]
        array([[2, 0]])
    """
    import pandas as pd

    try:
        tables = {"study": egg.pres, "recall": egg.rec}
    except AttributeError as error:
        raise ValueError(f"Expected an Egg of quail with tables pres and rec: {error}.") from None
    rows = [row for kind, table in tables.items() for row in _read_events(kind, table)]
    if not rows:
        raise ValueError("The Egg holds no items.")
    return from_psifr(pd.DataFrame(rows))


def _read_events(kind: str, table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the events of a table as rows of a psifr table."""
    import pandas as pd

    if not isinstance(table, pd.DataFrame) or table.index.nlevels != 2:
        raise ValueError(
            f"The Egg's table of {kind} events must be a DataFrame indexed by subject and list."
        )
    if not table.index.is_unique:
        subject, number = table.index[table.index.duplicated()][0]
        raise ValueError(f"The Egg has list {number} of subject {subject} twice.")
    for (subject, number), cells in zip(table.index, table.to_numpy(object), strict=True):
        position = 0
        for place, cell in enumerate(cells):
            of_item = dict(cell) if isinstance(cell, Mapping) else {"item": cell}
            item = of_item.pop("item", None)
            if _is_absent(item):
                if kind == "study" and any(_has_item(later) for later in cells[place:]):
                    raise ValueError(
                        f"Subject {subject}, list {number}: the study event at position "
                        f"{place + 1} has no item, but a later one has."
                    )
                continue
            position += 1
            features = {str(name): value for name, value in of_item.items() if np.ndim(value) == 0}
            yield {
                **features,
                "subject": subject,
                "list": number,
                "trial_type": kind,
                "position": position,
                "item": str(item) if isinstance(item, str) else item,
            }


def _has_item(cell: Any) -> bool:
    return not _is_absent(cell.get("item") if isinstance(cell, Mapping) else cell)


def _is_absent(item: Any) -> bool:
    """Return True for None, NaN, what pandas writes for them, and an empty text."""
    import pandas as pd

    return bool(np.ndim(item) == 0 and pd.isna(item)) or (isinstance(item, str) and item == "")
