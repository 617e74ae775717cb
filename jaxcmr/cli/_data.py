"""``jaxcmr check DATA`` and ``jaxcmr convert IN OUT``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcmr.cli._json import to_json
from jaxcmr.datasets import load, save_data, to_psifr
from jaxcmr.files import write_text

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset

__all__ = ["check", "check_output", "convert", "write_data"]

SEPARATORS = {".csv": ",", ".tsv": "\t"}


def check(options: argparse.Namespace) -> int:
    """Print what a data set holds, and return the exit status.

    Raises:
        ValueError: the data are invalid.
    """
    data = load(options.data)
    record = count_data(data, find_dropped(options.data, data))
    if options.json:
        print(to_json(record))
    elif not options.quiet:
        print("\n".join(describe_data(record)))
    return 0


def convert(options: argparse.Namespace) -> int:
    """Write a data set in another format, and return the exit status.

    Raises:
        ValueError: the data are invalid, or the output cannot be written as asked.
    """
    data = load(options.data)
    out = Path(options.out)
    check_output(out, options.force)
    write_data(data, out)
    if options.json:
        print(to_json({"out": str(out), "lists": len(data["recalls"])}))
    elif not options.quiet:
        print(f"Wrote {len(data['recalls'])} lists to {out}.")
    return 0


def check_output(out: Path, may_replace: bool) -> None:
    """Raise a ValueError unless data can be written to the file `out`.

    Raises:
        ValueError: its suffix is not of a format of data, or it exists.
    """
    if out.suffix.lower() not in (".h5", ".hdf5", *SEPARATORS):
        raise ValueError(f"{out}: the output is an .h5, .csv or .tsv file.")
    if out.exists() and not may_replace:
        raise ValueError(f"{out} exists. Give another name, or --force to replace it.")


def write_data(data: RecallDataset, out: Path) -> None:
    """Write a data set as .h5, or as a psifr table in .csv or .tsv, by the suffix of `out`."""
    separator = SEPARATORS.get(out.suffix.lower())
    if separator is None:
        save_data(data, out)
    else:
        write_text(out, to_psifr(data).to_csv(sep=separator, index=False))


def count_data(data: RecallDataset, dropped: list[str]) -> dict[str, Any]:
    """Return counts of subjects, lists, recalls and items, and the names of fields.

    Args:
        data: a checked data set.
        dropped: columns of the source that the data set lacks.
    """
    subjects, per_subject = np.unique(data["subject"], return_counts=True)
    lengths, n_lists = np.unique(data["listLength"], return_counts=True)
    ids = data.get("pres_itemids")
    return {
        "subjects": subjects.tolist(),
        "lists": len(data["subject"]),
        "lists_per_subject": [int(per_subject.min()), int(per_subject.max())],
        "list_lengths": dict(zip(map(str, lengths), n_lists.tolist(), strict=True)),
        "recalls_per_list": float(np.mean(np.sum(data["recalls"] > 0, axis=1))),
        "intrusions": int(np.sum(data["intrusions"])) if "intrusions" in data else None,
        "repeats": int(np.sum(data["repeats"])) if "repeats" in data else None,
        "items": None if ids is None else len(np.unique(ids[ids > 0])),
        "words": "pres_items" in data,
        "fields": dict(group_fields(data)),
        "dropped": dropped,
    }


def describe_data(counts: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines on a data set, of the counts of `count_data`."""
    subjects = counts["subjects"]
    named = ", ".join(map(str, subjects[:5])) + (", ..." if len(subjects) > 5 else "")
    yield f"subjects     {len(subjects)} ({named})"
    yield f"lists        {counts['lists']}, {as_range(*counts['lists_per_subject'])} per subject"
    of_length = (f"{length} ({n} lists)" for length, n in counts["list_lengths"].items())
    yield from fill("list length", ", ".join(of_length))
    yield f"recalls      {counts['recalls_per_list']:.2f} per list on average"
    for name in ("intrusions", "repeats"):
        count = counts[name]
        yield f"{name:13}{'not counted' if count is None else count}"
    if counts["items"] is not None:
        yield f"items        {counts['items']}, {'with' if counts['words'] else 'without'} words"
    for heading, names in {**counts["fields"], "dropped": counts["dropped"]}.items():
        if names:
            yield from fill(heading, ", ".join(names))


def as_range(low: int, high: int) -> str:
    """Return "28", or "9 to 28"."""
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
