"""From the long table of psifr, one row per event, to a data set, one row per trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jaxcmr.datasets._check import check_data
from jaxcmr.datasets._psifr_check import (
    COLUMNS,
    check_events,
    check_none,
    check_table,
    whole_numbers,
)

if TYPE_CHECKING:
    import pandas as pd


def from_psifr(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Make a data set from a table of study and recall events, counted as psifr does.

    Trials are the lists of the table, ordered by subject and list; a list without recalls is one
    of them. As in `psifr.fr.merge_free_recall`, a recalled item that was not on its list is an
    intrusion and only the first recall of an item counts, so ``recalls`` holds neither intrusions
    nor repeats. Recalls are in the order of their positions, which may have gaps.

    An item studied twice in a list has the number of its first position both times, and its recall
    is scored there (psifr would count that recall once for each position).

    Args:
        table: One row per event. Columns: ``subject`` and ``list`` (integers), ``trial_type``
            ("study" or "recall"), ``position`` (of the study event in its list, 1, 2, 3, ...; of
            the recall in its sequence) and ``item`` (all strings or all integers above 0).

    Returns:
        The checked data set (see `check_data`), padded with 0 to the longest list:

        - ``subject``, ``list``, ``listLength``, ``pres_itemnos``, ``recalls``.
        - ``pres_itemids``: the item of each study event. Integer items stay as they are; of strings
          ``sorted(set(studied items))`` is numbered from 1, over the whole table.
        - ``intrusions``, ``repeats``: how many recalls ``recalls`` leaves out for being one, as
          (trials, 1).
        - ``rec_itemids``: the item of every recall, repeats and intrusions included; -1 for an item
          that no list of the table holds. Padded to the longest sequence of recalls.
        - Every other numeric column that does not change within any list, as (trials, 1). Other
          columns are left out.

    Raises:
        ValueError: A column is missing or has a name that this function gives; or a value is
            missing or of the wrong kind, a list was not studied, two events share a position, or
            study positions skip one: names the subject and the list.

    Examples:
        >>> import pandas as pd
        >>> columns = ["subject", "list", "trial_type", "position", "item"]
        >>> study = [(1, 1, "study", 1, "oak"), (1, 1, "study", 2, "elm")]
        >>> table = pd.DataFrame([*study, (1, 1, "recall", 1, "elm")], columns=columns)
        >>> from_psifr(table)["recalls"]
        array([[2, 0]])
    """
    check_table(table)
    subject, list_number, position = (
        whole_numbers(table, column) for column in ("subject", "list", "position")
    )
    # By their rank, subjects fit in one array with lists: ids may be uint64, lists int64.
    subjects, rank = np.unique(subject, return_inverse=True)
    labels, trial = np.unique(np.column_stack([rank, list_number]), axis=0, return_inverse=True)
    trial = trial.reshape(-1)  # NumPy 2.0 gives a column
    is_study = (table["trial_type"] == "study").to_numpy()
    check_events(table, trial, position, is_study)
    order = np.lexsort([position, trial])
    study, recall = order[is_study[order]], order[~is_study[order]]

    code, item_id = _identify(table, is_study)
    # One number for each pair of trial and item; -1 for items that no list holds.
    pair = np.where(code < 0, -1, trial * (code.max() + 1) + code)
    number = _number_within_list(pair, position, study)
    correct = recall[number[recall] > 0]
    first_recall = correct[np.sort(np.unique(pair[correct], return_index=True)[1])]

    n_recalls, n_correct, n_first = (
        np.bincount(trial[rows], minlength=len(labels))[:, None]
        for rows in (recall, correct, first_recall)
    )

    positions = position[study].max()
    fields = {
        "subject": subjects[labels[:, :1]],
        "list": labels[:, 1:],
        "listLength": np.bincount(trial[study])[:, None],
        "pres_itemnos": _pad(number, trial, study, len(labels), positions),
        "recalls": _pad(number, trial, first_recall, len(labels), positions),
        "pres_itemids": _pad(item_id, trial, study, len(labels), positions),
        "rec_itemids": _pad(item_id, trial, recall, len(labels)),
        "intrusions": n_recalls - n_correct,
        "repeats": n_correct - n_first,
    }
    return check_data(fields | _constant_columns(table, trial, taken=fields))


def _identify(table: pd.DataFrame, is_study: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the item of each row, as its rank among the studied items (from 0) and as its id.

    Both are -1 where the item was never studied.
    """
    named = all(isinstance(item, str) for item in table["item"])
    items = table["item"].to_numpy(str) if named else whole_numbers(table, "item")
    if not named:
        message = "the studied item is {item}; integer items are 1 or more, 0 being the padding"
        check_none(is_study & (items < 1), table, message)
    studied = np.unique(items[is_study])
    rank, known = _look_up(studied, items)
    item_id = rank + 1 if named else studied[rank]
    return np.where(known, rank, -1), np.where(known, item_id, -1)


def _number_within_list(pair: np.ndarray, position: np.ndarray, study: np.ndarray) -> np.ndarray:
    """Return the first study position of each row's item in its own list; 0 for none.

    Args:
        pair: (rows,) a number for each pair of trial and item.
        position: (rows,) the position of each event.
        study: The rows that are study events, by trial and position: first is earliest.
    """
    pairs, first = np.unique(pair[study], return_index=True)
    spot, found = _look_up(pairs, pair)
    return np.where(found, position[study][first][spot], 0)


def _look_up(known: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where in the sorted `known` each value stands, and whether it does at all."""
    spot = np.searchsorted(known, values).clip(max=len(known) - 1)
    return spot, known[spot] == values


def _pad(
    values: np.ndarray, trial: np.ndarray, rows: np.ndarray, trials: int, columns: int = 1
) -> np.ndarray:
    """Return the `values` of `rows`, one row per trial, padded with 0: (trials, >= `columns`).

    Args:
        values: (all rows,) what to lay out.
        trial: (all rows,) the trial of each.
        rows: The rows to take, by trial and in the order wanted.
        trials: The number of trials.
        columns: The least number of columns; more are made where a trial has more rows.
    """
    into = trial[rows]
    column = np.arange(len(rows)) - np.searchsorted(into, into)  # searchsorted: its first row
    matrix = np.zeros((trials, max(columns, column.max(initial=0) + 1)), np.int64)
    matrix[into, column] = values[rows]
    return matrix


def _constant_columns(
    table: pd.DataFrame, trial: np.ndarray, taken: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return further numeric columns with one value per trial (NaN is one), as (trials, 1)."""
    a_row = np.unique(trial, return_index=True)[1]
    fields = {}
    for column in table.columns:
        if column in COLUMNS:
            continue
        if column in taken:
            raise ValueError(f"from_psifr makes a field '{column}' itself; rename that column")
        values = table[column].to_numpy()
        if values.dtype.kind in "biuf" and np.array_equal(
            values, values[a_row][trial], equal_nan=True
        ):
            fields[str(column)] = values[a_row][:, None]
    return fields
