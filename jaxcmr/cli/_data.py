"""``jaxcmr check DATA`` and ``jaxcmr convert IN OUT``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from jaxcmr.datasets import load, save_data, to_psifr
from jaxcmr.files import write_text

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset

__all__ = ["run"]

SEPARATORS = {".csv": ",", ".tsv": "\t"}


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status.

    Raises:
        ValueError: the data are invalid, or the output cannot be written as asked.
    """
    data = load(options.data)
    if options.command == "check":
        print("\n".join(describe_data(data, find_dropped(options.data, data))))
        return 0
    out = Path(options.out)
    if out.suffix.lower() not in (".h5", ".hdf5", *SEPARATORS):
        raise ValueError(f"{out}: the output is an .h5, .csv or .tsv file.")
    if out.exists() and not options.force:
        raise ValueError(f"{out} exists. Give another name, or --force to replace it.")
    if out.suffix.lower() in SEPARATORS:
        table = to_psifr(data)
        write_text(out, table.to_csv(sep=SEPARATORS[out.suffix.lower()], index=False))
    else:
        save_data(data, out)
    print(f"Wrote {len(data['recalls'])} lists to {out}.")
    return 0


def describe_data(data: RecallDataset, dropped: list[str]) -> Iterator[str]:
    """Yield lines on a data set: subjects, lists, recalls and fields.

    Args:
        data: a checked data set.
        dropped: columns of the source that the data set lacks.
    """
    subjects, counts = np.unique(data["subject"], return_counts=True)
    lengths, n_lists = np.unique(data["listLength"], return_counts=True)
    named = ", ".join(map(str, subjects[:5])) + (", ..." if len(subjects) > 5 else "")
    yield f"subjects     {len(subjects)} ({named})"
    yield f"lists        {len(data['subject'])}, {as_range(counts)} per subject"
    of_length = (f"{length} ({n} lists)" for length, n in zip(lengths, n_lists, strict=True))
    yield from fill("list length", ", ".join(of_length))
    yield f"recalls      {np.mean(np.sum(data['recalls'] > 0, axis=1)):.2f} per list on average"
    for name in ("intrusions", "repeats"):
        count = str(int(np.sum(data[name]))) if name in data else "not counted"
        yield f"{name:13}{count}"
    if "pres_itemids" in data:
        ids = data["pres_itemids"]
        is_named = "with" if "pres_items" in data else "without"
        yield f"items        {len(np.unique(ids[ids > 0]))}, {is_named} words"
    for heading, names in group_fields(data).items():
        if names:
            yield from fill(heading, ", ".join(names))
    if dropped:
        yield from fill("dropped", ", ".join(dropped))


def as_range(counts: np.ndarray) -> str:
    """Return "28", or "9 to 28"."""
    low, high = int(counts.min()), int(counts.max())
    return f"{low}" if low == high else f"{low} to {high}"


def group_fields(data: RecallDataset) -> Mapping[str, list[str]]:
    """Return the names of fields by what they hold a value of."""
    groups: dict[str, list[str]] = {"per list": [], "per item": [], "per recall": [], "others": []}
    studied = np.shape(data["pres_itemnos"])
    for name, field in data.items():
        if name == "recalls" or name.startswith("rec_"):
            groups["per recall"].append(name)
        elif field.shape[1:] == (1,):
            groups["per list"].append(name)
        else:
            groups["per item" if field.shape == studied else "others"].append(name)
    return groups


def fill(heading: str, text: str) -> list[str]:
    """Return text beside a heading, wrapped."""
    return wrap(text, 100, initial_indent=f"{heading:13}", subsequent_indent=" " * 13)


def find_dropped(source: str, data: RecallDataset) -> list[str]:
    """Return the columns of a table of events, in a file, that are not in the data set."""
    path = Path(source)
    if not path.is_file() or path.suffix.lower() not in SEPARATORS:
        return []
    import pandas as pd

    header = pd.read_csv(path, sep=SEPARATORS[path.suffix.lower()], nrows=0, encoding="utf-8-sig")
    columns = [str(column) for column in header.columns]
    item = "item_name" if "item_name" in columns and "position" not in columns else "item"
    made = {"trial_type", "position", item, "trial", *data}
    return [name for name in columns if name not in made and f"rec_{name}" not in made]
