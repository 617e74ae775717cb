"""Convert a data set (one row per trial) to a psifr table (one row per event)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from jaxcmr.datasets._check import check_data
from jaxcmr.datasets._columns import is_missing

if TYPE_CHECKING:
    import pandas as pd

    from jaxcmr.typing import RecallDataset

MADE_ANEW = (
    *("subject", "list", "listLength", "pres_itemnos", "recalls", "pres_itemids", "rec_itemids"),
    *("pres_items", "rec_items", "intrusions", "repeats"),
)
"""Fields that are columns of the table in another form, or that `from_psifr` counts."""

UNKNOWN = "(unknown)"
"""The word of a recalled item that was never studied, if the data do not hold it."""


def to_psifr(data: RecallDataset) -> pd.DataFrame:
    """Return the psifr table of a data set: one row per study event and recall.

    `from_psifr` makes the same data set of it, with trials in the order of subjects and lists.

    The recalls are those of ``rec_itemids``, intrusions and repeats included. Without that field
    they are those of ``recalls``, and intrusions and repeats that were only counted are left out.
    Data without ``pres_itemids`` have different items in every list.

    Args:
        data: The data set. ``copy`` (trials, 1), if present, tells simulated recalls of the same
            list apart.

    Returns:
        Columns ``subject``, ``list``, ``trial_type``, ``position`` and ``item`` (the words where
        the data hold them), and the other fields: those with one value per trial in each of its
        rows, those of items in rows of study events, and those named ``rec_...`` in rows of recalls
        under the name without ``rec_``. If a subject has two lists of one number, as copies have,
        lists are numbered from 1 for each subject, and ``studied_list`` holds the former numbers.

    Raises:
        ValueError: The data fail `check_data`, ``rec_itemids`` contradict ``recalls``, or two
            fields claim a column.

    Examples:
        >>> data = {"subject": [1], "listLength": [2], "pres_itemnos": [[1, 2]], "recalls": [[2]],
        ...         "pres_itemids": [[1, 2]], "pres_items": [["oak", "elm"]]}
        >>> to_psifr(data)[["trial_type", "position", "item"]].values.tolist()
        [['study', 1, 'oak'], ['study', 2, 'elm'], ['recall', 1, 'elm']]
    """
    import pandas as pd

    fields = check_data(data)
    ids = fields.get("pres_itemids", _ids_of_lists(fields["pres_itemnos"]))
    recalled = _recalled_ids(fields, ids)
    # The rows of the table, as (trial, column) of the study events and of the recalls.
    study, recall = np.nonzero(fields["pres_itemnos"]), np.nonzero(recalled)
    trial = np.concatenate([study[0], recall[0]])
    lists, former = _number_lists(fields)
    columns = {
        "subject": fields["subject"][trial, 0],
        "list": lists[trial],
        "trial_type": np.repeat(["study", "recall"], [len(study[0]), len(recall[0])]),
        "position": np.concatenate([study[1], recall[1]]) + 1,
        "item": _name_items(fields, ids, recalled, study, recall),
    }
    if former is not None:
        fields["studied_list"] = former
    for name, parts in _other_columns(fields, recalled.shape, study, recall).items():
        if name in columns:
            raise ValueError(f"The field '{name}' has the name of a column of psifr. Rename it.")
        columns[name] = parts
    order = np.lexsort([columns["position"], np.arange(len(trial)) >= len(study[0]), trial])
    return pd.DataFrame({name: values[order] for name, values in columns.items()})


def _ids_of_lists(items: np.ndarray) -> np.ndarray:
    """Return item ids that no two lists share."""
    first = np.arange(len(items))[:, None] * items.shape[1]
    return np.where(items > 0, first + items, 0)


def _recalled_ids(fields: dict[str, np.ndarray], ids: np.ndarray) -> np.ndarray:
    """Return the item id of every recall, (trials, outputs), -1 if unknown and 0 for none."""
    items, recalls = fields["pres_itemnos"], fields["recalls"]
    scored = _first_at(items, np.take_along_axis(np.pad(items, ((0, 0), (1, 0))), recalls, 1))
    if "rec_itemids" not in fields:
        return np.take_along_axis(np.pad(ids, ((0, 0), (1, 0))), scored, 1)
    recalled = fields["rec_itemids"]
    found = _first_at(ids, recalled)
    for trial in range(len(found)):
        told, expected = found[trial][found[trial] > 0], scored[trial][scored[trial] > 0]
        firsts = told[np.sort(np.unique(told, return_index=True)[1])]
        if not (np.array_equal(told, expected) or np.array_equal(firsts, expected)):
            raise ValueError(
                f"'rec_itemids' and 'recalls' contradict each other in trial {trial}: the items "
                f"recalled were studied at positions {told.tolist()}, but 'recalls' holds "
                f"{expected.tolist()}. Leave 'rec_itemids' out to use 'recalls'."
            )
    return recalled


def _first_at(items: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the first column of `items`, from 1, that holds what is `wanted`; 0 if none does."""
    is_there = (items[:, None, :] == wanted[:, :, None]) & (wanted[:, :, None] > 0)
    return np.where(is_there.any(axis=2), is_there.argmax(axis=2) + 1, 0)


def _number_lists(fields: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
    """Return list numbers that are unique within subjects, and the former ones if they were not."""
    subject = np.unique(fields["subject"], return_inverse=True)[1].ravel()
    former = fields.get("list")
    if former is not None and former.shape[1:] == (1,) and former.dtype.kind in "iu":
        rank = np.unique(former, return_inverse=True)[1].ravel()
        if len(np.unique(np.stack([subject, rank]), axis=1).T) == len(subject):
            return former[:, 0], None
    by_subject = np.argsort(subject, kind="stable")
    sorted_subject = subject[by_subject]
    number = np.empty(len(subject), int)
    number[by_subject] = np.arange(len(subject)) - np.searchsorted(sorted_subject, sorted_subject)
    return number + 1, former


def _name_items(
    fields: dict[str, np.ndarray],
    ids: np.ndarray,
    recalled: np.ndarray,
    study: tuple[np.ndarray, ...],
    recall: tuple[np.ndarray, ...],
) -> np.ndarray:
    """Return the item of each row: words where the data hold them, or else item ids."""
    studied_ids, recalled_ids = ids[study], recalled[recall]
    if "pres_items" not in fields:
        return np.concatenate([studied_ids, recalled_ids])
    words = fields["pres_items"][study]
    if "rec_items" in fields:
        return np.concatenate([words, fields["rec_items"][recall]])
    known, first = np.unique(studied_ids, return_index=True)
    place = np.searchsorted(known, recalled_ids).clip(max=len(known) - 1)
    named = np.where(known[place] == recalled_ids, words[first][place], UNKNOWN)
    return np.concatenate([words, named])


def _other_columns(
    fields: dict[str, np.ndarray],
    of_recalls: tuple[int, ...],
    study: tuple[np.ndarray, ...],
    recall: tuple[np.ndarray, ...],
) -> dict[str, np.ndarray]:
    """Return the values of the other fields, row by row: study events first, then recalls."""
    n_study, n_recall = len(study[0]), len(recall[0])
    shape = fields["pres_itemnos"].shape
    columns: dict[str, np.ndarray] = {}
    parts: dict[str, list[np.ndarray | None]] = {}
    left_out = []
    for name, field in fields.items():
        if name in MADE_ANEW:
            continue
        if name.startswith("rec_") and field.shape == of_recalls:
            parts.setdefault(name[4:], [None, None])[1] = field[recall]
        elif field.shape[1:] == (1,):
            columns[name] = field[np.concatenate([study[0], recall[0]]), 0]
        elif field.shape == shape:
            parts.setdefault(name, [None, None])[0] = field[study]
        else:
            left_out.append(name)
    if left_out:
        warnings.warn(
            f"The psifr table lacks {', '.join(left_out)}, which do not hold one value per trial, "
            "studied item or recall.",
            stacklevel=4,
        )
    for name, (of_study, of_recall) in parts.items():
        if name in columns:
            raise ValueError(
                f"The fields '{name}' and 'rec_{name}' claim the column '{name}'. Rename one."
            )
        columns[name] = _join(of_study, n_study, of_recall, n_recall)
    return columns


def _join(
    of_study: np.ndarray | None, n_study: int, of_recall: np.ndarray | None, n_recall: int
) -> np.ndarray:
    """Return the values of study events and recalls in one array, with NaN or "" for no value."""
    if of_study is None:
        assert of_recall is not None
        of_study = _no_values(n_study, of_recall)
    if of_recall is None:
        of_recall = _no_values(n_recall, of_study)
    is_whole = of_study.dtype.kind in "iu" and not is_missing(of_recall).any()
    if is_whole and of_recall.dtype.kind == "f" and np.all(of_recall == np.round(of_recall)):
        of_recall = of_recall.astype(of_study.dtype)
    if (of_study.dtype.kind == "U") != (of_recall.dtype.kind == "U"):
        return np.concatenate([of_study.astype(object), of_recall.astype(object)])
    return np.concatenate([of_study, of_recall])


def _no_values(n_rows: int, like: np.ndarray) -> np.ndarray:
    return np.full(n_rows, "" if like.dtype.kind == "U" else np.nan)
