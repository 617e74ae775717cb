"""Convert a psifr table (one row per event) to a data set (one row per trial)."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np

from jaxcmr.datasets._check import check_data, is_table, is_whole
from jaxcmr.datasets._columns import as_values, keep_columns, lay_out
from jaxcmr.names import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

INT64 = np.iinfo(np.int64)
COLUMNS = ("subject", "list", "position", "trial_type", "item")

ADVICE = {
    "subject": "Subjects are either all strings or all integers.",
    "list": "Number the lists of each subject with integers.",
    "position": "Number study positions and outputs from 1.",
    "item": "Items are either all strings or all integers.",
}
"""What to do about values of a column that are not integers."""


def from_psifr(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Make a data set from a table of study and recall events, counted as psifr does.

    Trials are the lists of the table, ordered by subject and list, also lists without recalls. As
    in `psifr.fr.merge_free_recall`, a recalled item that was not on its list is an intrusion, and
    only the first recall of an item counts: ``recalls`` holds neither intrusions nor repeats.
    Recalls are in the order of their positions, which may have gaps.

    An item studied twice in a list has the number of its first position both times, and its recall
    is scored there (psifr would count that recall once for each position).

    Args:
        table: One row per event. Columns: ``subject`` (all strings or all integers), ``list``
            (integers), ``trial_type`` ("study" or "recall"), ``position`` (of the study event in
            its list, 1, 2, 3, ...; of the recall in its sequence) and ``item`` (all strings or all
            integers above 0).

    Returns:
        The checked data set (see `check_data`), padded with 0 to the longest list:

        - ``subject``, ``list``, ``listLength``, ``pres_itemnos``, ``recalls``.
        - ``pres_itemids``: the item of each study event. Integer items stay as they are. Strings
          are numbered from 1 in the order of ``sorted(set(studied items))``, over the whole table.
        - ``intrusions``, ``repeats``: the number of intrusions and of repeats, which ``recalls``
          leaves out, as (trials, 1).
        - ``rec_itemids``: the item of every recall, repeats and intrusions included; -1 for an item
          that was never studied. Padded to the longest sequence of recalls.
        - ``pres_items``, ``rec_items``, if items are strings: the words of ``pres_itemids`` and
          ``rec_itemids``, "" for padding.
        - Every other column of numbers or strings. One that does not change within any list is
          (trials, 1). Of another the values of study events are a field (trials, positions) of its
          name, those of recalls a field (trials, outputs) named ``rec_`` and its name; NaN or ""
          stands for missing values and for padding. A field without values is left out, and so are
          columns of other types, such as dates.

    Raises:
        ValueError: A column is missing or has the name of a field that this function makes; or a
            value is missing or of the wrong kind, a list was not studied, two events share a
            position, or study positions skip one. The message names the subject and the list.

    Examples:
        >>> import pandas as pd
        >>> columns = ["subject", "list", "trial_type", "position", "item"]
        >>> study = [(1, 1, "study", 1, "oak"), (1, 1, "study", 2, "elm")]
        >>> table = pd.DataFrame([*study, (1, 1, "recall", 1, "elm")], columns=columns)
        >>> from_psifr(table)["recalls"]
        array([[2, 0]])
    """
    _check_table(table)
    list_number, position = (_to_integers(table, column) for column in ("list", "position"))
    is_named = all(isinstance(value, str) for value in table["subject"])
    subject = as_values(table["subject"]) if is_named else _to_integers(table, "subject")
    assert subject is not None
    subjects, subject_rank = np.unique(subject, return_inverse=True)
    lists, list_rank = np.unique(list_number, return_inverse=True)
    # Trials are the pairs of subject and list that occur, each numbered by its two ranks.
    pairs, trial = np.unique(subject_rank * len(lists) + list_rank, return_inverse=True)
    n_trials = len(pairs)
    is_study = (table["trial_type"] == "study").to_numpy()
    _check_events(table, trial, position, is_study)
    order = np.lexsort([position, trial])
    study, recall = order[is_study[order]], order[~is_study[order]]

    code, item_id, words = _identify_items(table, is_study)
    # One number for each pair of trial and item; -1 for items that were never studied.
    pair = np.where(code < 0, -1, trial * (code.max() + 1) + code)
    number = _number_within_list(pair, position, study)
    correct = recall[number[recall] > 0]
    first_recall = correct[np.sort(np.unique(pair[correct], return_index=True)[1])]

    n_recalls, n_correct, n_first = (
        np.bincount(trial[rows], minlength=n_trials)[:, None]
        for rows in (recall, correct, first_recall)
    )
    positions = position[study].max()
    fields = {
        "subject": subjects[pairs // len(lists)][:, None],
        "list": lists[pairs % len(lists)][:, None],
        "listLength": np.bincount(trial[study])[:, None],
        "pres_itemnos": lay_out(number, trial, study, n_trials, positions),
        "recalls": lay_out(number, trial, first_recall, n_trials, positions),
        "pres_itemids": lay_out(item_id, trial, study, n_trials, positions),
        "rec_itemids": lay_out(item_id, trial, recall, n_trials),
        "intrusions": n_recalls - n_correct,
        "repeats": n_correct - n_first,
    }
    if words is not None:
        fields["pres_items"] = lay_out(words, trial, study, n_trials, positions)
        fields["rec_items"] = lay_out(words, trial, recall, n_trials)
    others = [column for column in table.columns if column not in COLUMNS]
    return check_data(fields | keep_columns(table[others], trial, study, recall, taken=fields))


def _identify_items(
    table: pd.DataFrame, is_study: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return the item of each row: its rank among the studied items, its id, and its word.

    Ranks count from 0. Rank and id are -1 where the item was never studied. There are no words if
    items are integers.
    """
    words = None
    is_named = all(isinstance(item, str) for item in table["item"])
    if is_named:  # there are many rows, but few strings to sort
        row, distinct = table["item"].factorize()
        items = np.asarray(distinct, str)
        words = items[row]
        _check_rows(table, words == "", "'item' is an empty string. Fill it in or drop the row.")
        studied = np.unique(items[np.unique(row[is_study])])
    else:
        items, row = _to_integers(table, "item"), np.arange(len(table))
        message = "The studied item is {item}. Integer items are 1 or more; 0 is the padding."
        _check_rows(table, is_study & (items < 1), message)
        studied = np.unique(items[is_study])
    rank, is_known = _look_up(studied, items)
    item_id = rank + 1 if is_named else studied[rank]
    return np.where(is_known, rank, -1)[row], np.where(is_known, item_id, -1)[row], words


def _number_within_list(pair: np.ndarray, position: np.ndarray, study: np.ndarray) -> np.ndarray:
    """Return the first study position of each row's item in its own list, or 0.

    Args:
        pair: (rows,) a number for each pair of trial and item.
        position: (rows,) the position of each event.
        study: The rows that are study events, by trial and position: first is earliest.
    """
    pairs, first = np.unique(pair[study], return_index=True)
    place, is_known = _look_up(pairs, pair)
    return np.where(is_known, position[study][first][place], 0)


def _look_up(known: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the place of each value in the sorted `known`, and whether it is there."""
    place = np.searchsorted(known, values).clip(max=len(known) - 1)
    return place, known[place] == values


def _check_table(table: pd.DataFrame) -> None:
    """Check that `table` has the five columns, filled, and known trial types."""
    if not is_table(table):
        raise ValueError(f"Expected a pandas DataFrame; got {type(table).__name__}.")
    names = [str(name) for name in table.columns]
    if not table.columns.is_unique:
        raise ValueError(f"Two columns share a name: {', '.join(names)}.")
    if {"input", "output"} <= {*names} and "trial_type" not in names:
        raise ValueError(
            "The table seems to be one that psifr.fr.merge_free_recall made, with columns input "
            "and output. Hand in the events that it was made of."
        )
    for column in COLUMNS:
        if column not in table.columns:
            raise ValueError(
                f"The table lacks the column '{column}'; it needs {', '.join(COLUMNS)}. "
                + did_you_mean(column, names)
            )
    if len(table) == 0:
        raise ValueError("The table has no rows.")
    for column in COLUMNS:
        missing = table[column].isna().to_numpy()
        _check_rows(table, missing, f"'{column}' is missing (NaN). Fill it in or drop the row.")
    unknown = ~table["trial_type"].isin(["study", "recall"]).to_numpy(bool)
    _check_rows(table, unknown, "'trial_type' is '{trial_type}'; expected 'study' or 'recall'.")


def _check_events(
    table: pd.DataFrame, trial: np.ndarray, position: np.ndarray, is_study: np.ndarray
) -> None:
    """Check that every list was studied and that its events have an order.

    Args:
        table: The table, for the message.
        trial: (rows,) the trial of each row.
        position: (rows,) the position of each row.
        is_study: (rows,) True for study events.
    """
    message = "The list has recalls but no study events."
    _check_rows(table, ~np.isin(trial, trial[is_study]), message)
    order = np.lexsort([position, is_study, trial])
    trial, position, is_study = trial[order], position[order], is_study[order]
    # True for events that have another one of their trial and type before them.
    follows = (trial[1:] == trial[:-1]) & (is_study[1:] == is_study[:-1])
    step = position[1:] - position[:-1]
    is_twice, is_skip = np.zeros(len(order), bool), np.zeros(len(order), bool)
    is_twice[order[1:]] = follows & (step == 0)
    is_skip[order] = is_study & (position != 1) & ~np.append(False, follows & (step == 1))
    message = "Two {trial_type} events have position {position}. Give each its own."
    if "session" in table:
        message += " Where list numbers restart in each session, number the lists on: table['list']"
        message += " = table.groupby(['session', 'list']).ngroup() + 1."
    _check_rows(table, is_twice, message)
    message = "Study position {position} is out of order; study positions run 1, 2, 3, ..."
    _check_rows(table, is_skip, message)


def _to_integers(table: pd.DataFrame, column: str) -> np.ndarray:
    """Return a column of whole numbers as int64, or as uint64 if subjects need it."""
    values = table[column].infer_objects().to_numpy()
    if values.dtype.kind == "f":
        broken = ~is_whole(values)
    elif values.dtype.kind == "O":
        broken = np.array([not _is_integer(value) for value in values])
    else:
        broken = np.full(len(values), values.dtype.kind not in "iu")
    # One word makes text of all numbers that a file has in a column: name the word.
    odd = broken & np.array([not _is_digits(value) for value in values])
    is_wrong = odd if odd.any() else broken
    _check_rows(table, is_wrong, f"'{column}' is {{{column}}}, not an integer. {ADVICE[column]}")
    low, high = int(values.min()), int(values.max())
    if column == "subject" and low >= 0 and INT64.max < high < 2**64:
        return values.astype(np.uint64)
    if low < INT64.min or high > INT64.max:
        broken = np.array([not INT64.min <= int(value) <= INT64.max for value in values])
        limits = "from 0 to 2**64 - 1, or from" if column == "subject" else "from"
        message = f"'{column}' is {{{column}}}; expected integers {limits} -2**63 to 2**63 - 1."
        _check_rows(table, broken, message)
    return values.astype(np.int64)


def _is_integer(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool | np.timedelta64)


def _is_digits(value: object) -> bool:
    return isinstance(value, str) and value.strip().lstrip("+-").isdigit()


def _check_rows(table: pd.DataFrame, is_wrong: np.ndarray, message: str) -> None:
    """Raise a ValueError that names the first wrong row of the table, if it has one.

    Args:
        table: The table.
        is_wrong: (rows,) True for wrong rows.
        message: The problem; ``{column}`` in it is filled from the wrong row.
    """
    if not is_wrong.any():
        return
    row = int(np.argmax(is_wrong))
    values = {column: table[column].iloc[row] for column in COLUMNS}
    raise ValueError(
        f"Subject {values['subject']}, list {values['list']} (row {table.index[row]} of the "
        f"table): {message.format(**values)}"
    )
