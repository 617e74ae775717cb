"""Read free-recall events of BIDS folders and of the computational memory lab's JSON files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcmr.datasets._check import is_table
from jaxcmr.datasets._events import from_events

if TYPE_CHECKING:
    import pandas as pd

PathLike = str | os.PathLike[str]
POINTER = b"/annex/objects/"
"""What the placeholder of a file that DataLad has not downloaded holds."""


def from_bids(
    source: PathLike | Iterable[PathLike], *, task: str | None = None, show: bool = True
) -> dict[str, np.ndarray]:
    """Make a data set from the events of free recall in a BIDS folder.

    Read are the files ``*_beh.tsv``; of a recording without one, ``*_events.tsv``. Study events
    have the trial type WORD, recalls REC_WORD. Lists are numbered by the column ``list`` or else
    ``trial``, words are in ``item_name``. Subject and session are those of the columns or else of
    the file's name.

    Args:
        source: The folder of the study (or of a subject), or files.
        task: The task to read, the part of file names after ``task-``, where there are several.
        show: Print what was left out; see `from_events`.

    Returns:
        The checked data set, with text subjects; see `from_events`.

    Raises:
        FileNotFoundError: The folder or a file does not exist.
        ValueError: There are no such files, or of several tasks; a file is not downloaded or not a
            table; or as for `from_events`.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "sub-01_task-recall_beh.tsv")
        ...     rows = ["trial_type\\titem_name\\tlist", "WORD\\toak\\t1", "WORD\\telm\\t1"]
        ...     _ = path.write_text("\\n".join([*rows, "REC_WORD\\telm\\t1"]))
        ...     from_bids(folder)["recalls"]
        array([[2, 0]])
    """
    import pandas as pd

    paths = _find_files(source, task)
    tables = [_read_file(path) for path in paths]
    for path, table in zip(paths, tables, strict=True):
        if set(table.columns) & {"list", "trial"} == set():
            raise ValueError(f"{path}: The table lacks the column 'list' or 'trial'.")
    if len(tables) > 1:  # so that errors name the file with the row
        for path, each in zip(paths, tables, strict=True):
            each.index = pd.Index([f"{row} of {path.name}" for row in range(len(each))])
    table = pd.concat(tables)
    number = "list" if all("list" in each.columns for each in tables) else "trial"
    files = str(paths[0]) if len(paths) == 1 else f"{source} ({len(paths)} files)"
    try:
        return from_events(table, list=number, show=show)
    except ValueError as error:
        raise ValueError(f"{files}: {error}") from error


def _find_files(source: PathLike | Iterable[PathLike], task: str | None) -> list[Path]:
    """Return the files of one task, in order of their names."""
    if not isinstance(source, str | os.PathLike):
        return [Path(path) for path in source]
    root = Path(source)
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise FileNotFoundError(f"The folder {root} does not exist (looked from {Path.cwd()}).")
    chosen: dict[str, Path] = {}
    for kind in ("events", "beh"):  # behavior replaces the events of the same recording
        for path in sorted(root.rglob(f"sub-*_{kind}.tsv")):
            chosen[path.name.removesuffix(f"_{kind}.tsv")] = path
    tasks = {name: _entity("task", name) for name in chosen}
    if task is not None:
        chosen = {name: path for name, path in chosen.items() if tasks[name] == task}
    known = sorted({str(each) for each in tasks.values()})
    if not chosen:
        what = f"files sub-*_task-{task or '*'}_beh.tsv or _events.tsv"
        raise ValueError(f"{root} has no {what}. Tasks there: {', '.join(known) or 'none'}.")
    if task is None and len(known) > 1:
        raise ValueError(f"{root} has several tasks: {', '.join(known)}. Choose one with task=...")
    return [chosen[name] for name in sorted(chosen)]


def _entity(name: str, file_name: str) -> str | None:
    """Return the value of an entity in the name of a BIDS file: "01" of sub-01_..., for "sub"."""
    found = re.search(rf"(?:^|_){name}-([a-zA-Z0-9+]+)", file_name)
    return found[1] if found else None


def _read_file(path: Path) -> pd.DataFrame:
    """Return the table in a BIDS file, with subject and session."""
    import pandas as pd

    if not path.exists():
        if path.is_symlink():
            raise ValueError(f"{path} is not downloaded: fetch it, e.g. with datalad get.")
        raise FileNotFoundError(f"The file {path} does not exist (looked from {Path.cwd()}).")
    with open(path, "rb") as file:
        if POINTER in file.read(300):
            raise ValueError(f"{path} is not downloaded: fetch it, e.g. with datalad get.")
    try:
        table = pd.read_csv(
            path,
            sep="," if path.suffix.lower() == ".csv" else "\t",
            na_values=["n/a"],
            keep_default_na=False,  # "null" is a word
            encoding="utf-8-sig",
            low_memory=False,
            dtype={"subject": str},  # a missing one would make floats of numbers
        )
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as a table: {error}.") from error
    for column, entity in (("subject", "sub"), ("session", "ses")):
        if column not in table.columns:
            value = _entity(entity, path.name)
            if value is None and column == "subject":
                raise ValueError(f"{path}: neither a column nor the file's name has the subject.")
            is_number = column == "session" and (value or "0").isdigit()
            table[column] = int(value or 0) if is_number else value
    return table


def from_cml(source: PathLike | pd.DataFrame, *, show: bool = True) -> dict[str, np.ndarray]:
    """Make a data set from events of the computational memory lab, as cmlreaders gives them.

    Args:
        source: A JSON file of events, as a list of records or as columns; or a DataFrame of them.
            Columns ``subject``, ``session``, ``list``, ``type`` (WORD, REC_WORD) and ``item_name``.
        show: Print what was left out; see `from_events`.

    Returns:
        The checked data set; see `from_events`.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is not JSON of this form, or as for `from_events`.

    Examples:
        >>> import pandas as pd
        >>> events = [("R1", 0, 1, "WORD", "OAK"), ("R1", 0, 1, "WORD", "ELM"),
        ...           ("R1", 0, 1, "REC_WORD", "OAK")]
        >>> columns = ["subject", "session", "list", "type", "item_name"]
        >>> from_cml(pd.DataFrame(events, columns=columns))["recalls"]
        array([[1, 0]])
    """
    import pandas as pd

    if is_table(source):
        return from_events(source, trial_type="type", show=show)
    path = Path(source)  # type: ignore[arg-type]
    if not path.is_file():
        raise FileNotFoundError(f"The data file {path} does not exist (looked from {Path.cwd()}).")
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8-sig"))
        table = pd.DataFrame(content)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} does not hold events in JSON, a list of records or a dict of columns: {error}."
        ) from error
    try:
        return from_events(table, trial_type="type", show=show)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
