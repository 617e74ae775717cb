"""Convert tables of events of any laboratory to a data set, by way of a psifr table."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from numbers import Number
from typing import TYPE_CHECKING

import numpy as np

from jaxcmr.datasets._check import is_table
from jaxcmr.datasets._psifr import from_psifr
from jaxcmr.names import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

STUDY = ("WORD", "STUDY", "study")
RECALL = ("REC_WORD", "recall")
VOCALIZATIONS = ("<>", "VV", "[VV]")
"""Items that stand for sounds that are not words."""

ABSENT = (-999,)
"""List numbers of events that are of no list."""


def from_events(
    table: pd.DataFrame,
    *,
    study: str | Sequence[str] = STUDY,
    recall: str | Sequence[str] = RECALL,
    trial_type: str = "trial_type",
    subject: str = "subject",
    session: str | None = "session",
    list: str = "list",
    item: str = "item_name",
    order: str | None = None,
    show: bool = True,
) -> dict[str, np.ndarray]:
    """Make a data set from a table of study events and recalls, whose order is that of its rows.

    A list is told by subject, session and list, because list numbers often start again in every
    session. In the data set lists are numbered from 1 for each subject, in the order of sessions
    and lists; ``session`` and ``session_list`` hold those of the table. Study positions and
    outputs are counted in the order of the events.

    Left out, counted and printed: events of other types; practice lists (numbered 0 or below);
    recalls that are not words (an empty item or "<>"); recalls of lists without study events.

    Args:
        table: One row per event, with the columns named below and any others, which are kept as
            `from_psifr` keeps them.
        study: Values of `trial_type` of study events.
        recall: Values of `trial_type` of recalls.
        trial_type: The column that tells types of events apart.
        subject: The column of subjects, all strings or all integers.
        session: The column of sessions. None: lists are told by subject and list alone.
        list: The column of list numbers.
        item: The column of words, all strings or all integers above 0.
        order: A column, such as a time, to sort the events of a list by.
        show: Print what was left out.

    Returns:
        The checked data set, as `from_psifr` makes it.

    Raises:
        ValueError: A column is missing, nothing is left, no list has more than one study event, a
            study event follows recalls of its list, or as for `from_psifr`.

    Examples:
        >>> import pandas as pd
        >>> events = [("s1", 1, 1, "WORD", "oak"), ("s1", 1, 1, "WORD", "elm"),
        ...           ("s1", 1, 1, "REC_WORD", "elm"), ("s1", 1, 1, "REC_WORD_VV", "<>")]
        >>> columns = ["subject", "session", "list", "trial_type", "item_name"]
        >>> from_events(pd.DataFrame(events, columns=columns))["recalls"]
        Left out: 1 event of another type (1 REC_WORD_VV).
        array([[2, 0]])
    """

    if not is_table(table):
        raise ValueError(f"Expected a pandas DataFrame; got {type(table).__name__}.")
    names = {"subject": subject, "list": list, "trial_type": trial_type, "item": item}
    names |= {} if session is None else {"session": session}
    _check_columns(table, [*names.values(), *([] if order is None else [order])])
    renamed = {column: name for name, column in names.items()}
    replaced = [name for name in ("position", *names) if name not in renamed]
    events = table.drop(columns=replaced, errors="ignore").rename(columns=renamed)
    keys = ["subject", "list"] if session is None else ["subject", "session", "list"]
    _check_cells(events, [*keys, "trial_type", "item"])
    types = dict.fromkeys(_as_names(study), "study") | dict.fromkeys(_as_names(recall), "recall")
    if order is not None:
        events = events.sort_values(renamed.get(order, order), kind="stable")
    events, left_out = _choose_events(events, types, keys)
    if show and left_out:
        print(f"Left out: {'; '.join(left_out)}.")
    if not (events["trial_type"] == "study").any():
        found = ", ".join(map(str, table[trial_type].unique()[:8]))
        raise ValueError(
            f"No study events are left: '{trial_type}' holds {found}; study events are "
            f"{', '.join(_as_names(study))}. Name yours with study=..."
        )
    n_studied = events[events["trial_type"] == "study"].groupby(keys).size()
    if len(n_studied) > 1 and n_studied.max() == 1:
        raise ValueError(
            f"All {len(n_studied)} lists have one study event. This is not free recall of lists, "
            f"or '{list}' numbers events in place of lists."
        )
    _check_order(events, keys)
    events = events.assign(
        position=events.groupby([*keys, "trial_type"], sort=False).cumcount() + 1,
        list=_number_lists(events, keys),
        session_list=_to_numbers(events["list"]).astype(np.int64),
    )
    return from_psifr(events)


def _as_names(types: str | Sequence[str]) -> tuple[str, ...]:
    return (types,) if isinstance(types, str) else tuple(types)


def _check_columns(table: pd.DataFrame, needed: Sequence[str]) -> None:
    """Raise a ValueError for a column that is missing or there twice."""
    names = [str(name) for name in table.columns]
    if not table.columns.is_unique:
        raise ValueError(f"Two columns share a name: {', '.join(names)}.")
    for column in needed:
        if column not in table.columns:
            raise ValueError(
                f"The table lacks the column '{column}'. {did_you_mean(column, names)} Name the "
                "columns of your table with subject=, session=, list=, trial_type=, item=."
            )


def _check_cells(events: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise a ValueError for a cell that is neither a number nor text, nor missing."""
    for column in columns:
        if events[column].dtype != object:
            continue
        for row, value in events[column].items():
            if isinstance(value, str | Number) or value is None:
                continue
            if not isinstance(value, Hashable) or isinstance(value, tuple):  # a list, a dict
                raise ValueError(
                    f"'{column}' is {value!r} in row {row} of the table; expected a number or text."
                )


def _choose_events(
    events: pd.DataFrame, types: Mapping[str, str], keys: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Return study events and recalls of lists, and what was left out, in words."""
    left_out = []

    def leave_out(events: pd.DataFrame, is_out: np.ndarray, what: str) -> pd.DataFrame:
        counts = events.loc[is_out, "trial_type"].astype(str).value_counts()
        if is_out.any():
            kinds = ", ".join(f"{n} {name}" for name, n in counts.head(6).items())
            several = f"{is_out.sum()} event{'s' if is_out.sum() > 1 else ''}"
            left_out.append(f"{several} {what} ({kinds}{', ...' if len(counts) > 6 else ''})")
        return events[~is_out]

    is_other = ~events["trial_type"].isin([*types]).to_numpy(bool)
    events = leave_out(events, is_other, "of another type")
    number = _to_numbers(events["list"])
    events = leave_out(events, (number <= 0).to_numpy(), "of practice, numbered 0 or below")
    kind = events["trial_type"].map(types)
    is_word = ~(events["item"].isna() | events["item"].isin([*VOCALIZATIONS, ""])).to_numpy(bool)
    events = leave_out(events, ~is_word & (kind == "recall").to_numpy(), "that are not words")
    kind = events["trial_type"].map(types)
    n_studied = (kind == "study").groupby([events[key] for key in keys]).transform("sum")
    events = leave_out(events, (n_studied == 0).to_numpy(bool), "of lists without study events")
    return events.assign(trial_type=events["trial_type"].map(types)), left_out


def _check_order(events: pd.DataFrame, keys: Sequence[str]) -> None:
    """Raise a ValueError if a list is studied on after a recall: two lists share a number."""
    is_recall = events["trial_type"] == "recall"
    n_before = is_recall.astype(int).groupby([events[key] for key in keys]).cumsum()
    is_wrong = (~is_recall & (n_before > 0)).to_numpy()
    if is_wrong.any():
        row = int(np.argmax(is_wrong))
        which = ", ".join(f"{key} {events[key].iloc[row]}" for key in keys)
        raise ValueError(
            f"A study event follows recalls of its list ({which}; row {events.index[row]} of the "
            "table). Where list numbers start again within a session, as in each run, number the "
            "lists on, or make 'session' tell the runs apart. Where events are not in their order, "
            "name a column to sort by: order=..."
        )


def _to_numbers(lists: pd.Series) -> pd.Series:
    """Return list numbers; NaN for what is not a number."""
    import pandas as pd

    return pd.to_numeric(lists, errors="coerce").astype(float)


def _number_lists(events: pd.DataFrame, keys: Sequence[str]) -> pd.Series:
    """Return the number of each event's list among the lists of its subject, from 1."""
    import pandas as pd

    number = _to_numbers(events["list"])
    wrong = {key: (events[key].isna() | (events[key] == ""), "missing") for key in keys}
    is_text = ~np.isfinite(number) | (number != np.round(number))
    wrong["list "] = (is_text, "not a whole number. Number the lists, e.g. with pandas.factorize")
    for key, (is_wrong, what) in wrong.items():
        if is_wrong.any():
            row = int(np.argmax(is_wrong))
            value = events[key.strip()].iloc[row]
            raise ValueError(
                f"'{key.strip()}' is {what} in row {events.index[row]} of the table: {value!r}."
            )
    events = events.assign(list=number.astype(np.int64))
    try:
        lists = events[[*keys]].drop_duplicates().sort_values([*keys])
    except TypeError as error:
        raise ValueError(
            f"{', '.join(keys)}: a column mixes text and numbers, which have no order ({error})."
        ) from None
    lists["number"] = lists.groupby("subject").cumcount() + 1
    return pd.Series(events[[*keys]].merge(lists, how="left")["number"].to_numpy(), events.index)
