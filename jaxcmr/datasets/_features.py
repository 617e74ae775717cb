"""Line up what is known of words with the item ids of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcmr.datasets._check import is_table
from jaxcmr.names import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from jaxcmr.typing import Features, RecallDataset


def align_features(
    data: RecallDataset,
    features: Features | pd.DataFrame = None,
    *,
    similarities: pd.DataFrame | np.ndarray | None = None,
    distances: pd.DataFrame | np.ndarray | None = None,
) -> Features:
    """Return features in the order of the item ids of a data set, as models read them.

    Tables are matched by name: their index holds the words of ``pres_items``, or the item ids if
    the data have no words. Arrays are matched by place: row k is the item with id k, from 1. For
    data with words, similarities and distances are tables.

    Args:
        data: A data set with ``pres_itemids`` and, to match by word, ``pres_items``.
        features: Word vectors: a table with a row per word, a dict of vectors by word, or an array
            (vocabulary, dimensions). Anything else is returned as it is.
        similarities: Similarity of each pair of words, square: a table with words as index and as
            columns, or an array.
        distances: In place of `similarities`, which are then 1 - distance.

    Returns:
        An array of vectors; or of square matrices a dict, ``{"similarities": array}`` or
        ``{"distances": array}``, which semantic models read.

    Raises:
        ValueError: A word has no features (the message names it) or has them twice; more than one
            of the three is given; or a matrix is not square, too small, not finite, or the other
            kind by its diagonal.

    Examples:
        >>> data = {"pres_itemids": np.array([[1, 2]]), "pres_items": np.array([["elm", "oak"]])}
        >>> align_features(data, {"oak": [1.0, 0.0], "elm": [0.6, 0.8], "yew": [0.0, 1.0]})
        array([[0.6, 0.8],
               [1. , 0. ]])
    """
    given = {"features": features, "similarities": similarities, "distances": distances}
    several = [name for name, value in given.items() if value is not None]
    if len(several) > 1:
        raise ValueError(f"Give one of {' and '.join(several)}, not both.")
    for name, matrix in (("similarities", similarities), ("distances", distances)):
        if matrix is not None:
            return {name: _as_matrix(data, name, matrix)}
    if is_table(features):
        _check_not_square(features)
        return _by_name(data, features)
    if isinstance(features, Mapping) and _names_words(data, features):
        import pandas as pd

        rows = {word: np.ravel(np.asarray(vector, float)) for word, vector in features.items()}
        if len({len(row) for row in rows.values()}) > 1:
            raise ValueError("features: the vectors of the words differ in length.")
        return _by_name(data, pd.DataFrame.from_dict(rows, orient="index"))
    return features


def _check_not_square(table: pd.DataFrame) -> None:
    """Raise a ValueError for a table whose columns are its rows: of pairs, not of vectors."""
    if len(table) > 1 and set(table.columns) == set(table.index):
        raise ValueError(
            "features: the table has the same names for its rows and its columns, as one of pairs "
            "of words has. Hand it in as distances= or similarities=."
        )


def _names_words(data: RecallDataset, features: Mapping[Any, Any]) -> bool:
    """Return True if a key of `features` is a studied word."""
    words = data.get("pres_items")
    return words is not None and not set(np.unique(words).tolist()).isdisjoint(features)


def _by_name(data: RecallDataset, table: pd.DataFrame) -> np.ndarray:
    """Return the rows of `table` by item id, (highest id, columns); 0 for ids without an item."""
    ids, names = _vocabulary(data)
    values = _to_floats("features", table)[_find_all("features", names, table.index)]
    aligned = np.zeros((int(ids.max()), values.shape[1]))
    aligned[ids - 1] = values
    return aligned


def _find_all(what: str, names: np.ndarray, index: pd.Index) -> np.ndarray:
    """Return the place of each name in an index that holds all of them, once each."""
    if not index.is_unique:
        raise ValueError(f"{what}: the table has '{index[index.duplicated()][0]}' twice.")
    import pandas as pd

    place = index.get_indexer(pd.Index(names))
    if (place < 0).any():
        name = names[int(np.argmax(place < 0))]
        raise ValueError(
            f"{what}: the table lacks the studied item '{name}' (and {(place < 0).sum() - 1} more)."
            " " + did_you_mean(str(name), [str(known) for known in index])
        )
    return place


def _to_floats(what: str, table: pd.DataFrame) -> np.ndarray:
    try:
        return table.to_numpy(float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what}: the table holds other values than numbers: {error}.") from None


def _vocabulary(data: RecallDataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of the studied items, in order, and the word of each, or else the ids."""
    if "pres_itemids" not in data:
        raise ValueError("Features by name need the field 'pres_itemids', the id of each item.")
    ids = np.asarray(data["pres_itemids"])
    if "pres_items" not in data:
        known = np.unique(ids[ids > 0])
        return known, known
    words = np.asarray(data["pres_items"])[ids > 0]
    known, first, inverse = np.unique(ids[ids > 0], return_index=True, return_inverse=True)
    clash = words[first][inverse] != words
    if clash.any():
        at = int(np.argmax(clash))
        raise ValueError(
            f"Item id {ids[ids > 0][at]} has two words: {words[first][inverse][at]!r} and "
            f"{words[at]!r}."
        )
    return known, words[first]


def _as_matrix(data: RecallDataset, what: str, matrix: pd.DataFrame | np.ndarray) -> np.ndarray:
    """Return a square matrix by item id, (highest id, highest id)."""
    ids, names = _vocabulary(data)
    if is_table(matrix):
        rows, columns = (_find_all(what, names, axis) for axis in (matrix.index, matrix.columns))
        values = _to_floats(what, matrix)[np.ix_(rows, columns)]
        _check_matrix(what, values)
        aligned = np.eye(int(ids.max())) if what == "similarities" else 1 - np.eye(int(ids.max()))
        aligned[np.ix_(ids - 1, ids - 1)] = values
        return aligned
    if "pres_items" in data:
        raise ValueError(
            f"{what} is an array, which does not say which row is which word. Hand in a DataFrame "
            "with the words as index and as columns: pandas.DataFrame(matrix, words, words)."
        )
    try:
        values = np.asarray(matrix, float)
    except (TypeError, ValueError):
        raise ValueError(f"{what} is not a matrix of numbers; got {matrix!r:.80}.") from None
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise ValueError(f"{what} has shape {values.shape}; expected a square matrix.")
    if len(values) < ids.max():
        raise ValueError(
            f"{what} is {len(values)} x {len(values)}, but the items have the ids 1 to {ids.max()};"
            " row k is the item with id k."
        )
    _check_matrix(what, values)
    return values


def _check_matrix(what: str, values: np.ndarray) -> None:
    """Check that a square matrix is finite and, by its diagonal, what it is given as."""
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(f"{what}: row {row + 1}, column {column + 1} is {values[row, column]}.")
    diagonal = np.diagonal(values)
    if what == "similarities" and np.allclose(diagonal, 0) and values.any():
        raise ValueError(
            "similarities: every item has similarity 0 to itself, as in a matrix of distances. "
            "Hand that in as distances=, or put 1 on the diagonal."
        )
    if what == "distances" and not np.allclose(diagonal, 0, atol=1e-6):
        raise ValueError(
            f"distances: item {int(np.argmax(np.abs(diagonal))) + 1} has the distance "
            f"{diagonal[np.argmax(np.abs(diagonal))]:.3g} to itself; expected 0. Hand in "
            "similarities as similarities=."
        )
    if what == "distances" and values.min() < -1e-6:
        raise ValueError(f"distances: one is {values.min():.3g}; expected 0 or more.")
