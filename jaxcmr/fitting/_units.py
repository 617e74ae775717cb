"""Work beside runs that comes in units, such as profiles of each subject: made anywhere, and kept.

A unit is a function of its `Work` and its key, as a run is of its fit and its number: finished ones
on disk are all that it takes to go on. A folder of one kind of work holds::

    profiles/settings.json   what all units depend on; written once, compared ever after
    profiles/*.jsonl         a journal (see `_journal`): a line per unit, a file per process

So it may be the folder of a fit, which has other names.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from jaxcmr.fitting._checkpoint import (
    ABOUT,
    CheckpointMismatch,
    check_manifest,
    choose_record,
    digest_of,
)
from jaxcmr.fitting._environment import describe_differences, describe_environment, id_of
from jaxcmr.fitting._journal import Journal, Part, explained_errors
from jaxcmr.fitting._verify import Verified
from jaxcmr.fitting._watchers import make_bar
from jaxcmr.fitting._workers import (
    BLOCKS_PER_WORKER,
    Workers,
    ask_workers,
    message_other_loss,
)
from jaxcmr.optimize._lanes import count_cores

__all__ = ["Record", "Work", "make_units"]

SETTINGS = "settings.json"

MOST_UNITS = 8
"""Units in a block at most: as many are lost with a worker."""

Record: TypeAlias = Mapping[str, Any]
"""What a unit ends with, as JSON."""


class Work(Protocol):
    """Units of work of one kind. Workers get a pickle of it."""

    kind: str
    """Names the folder in which units are kept, such as "profiles"."""

    def identity(self) -> dict[str, Any]:
        """Return what all units depend on, as JSON."""

    def keys(self) -> list[dict[str, Any]]:
        """Return what each unit depends on beside that, as JSON: ``subject``, and digests."""

    def prepare(self) -> None:
        """Prepare this process to make units. It is called before threads call `make`."""

    def make(self, number: int) -> dict[str, Any]:
        """Make a unit, and return its record."""

    def verify(self, number: int, record: Record) -> Verified:
        """Compute a loss of a record anew, and compare."""


def make_units(
    work: Work,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    workers: Workers | None = None,
    progress: bool = False,
) -> list[Record]:
    """Return the records of all units of work.

    Args:
        work: what is to be done.
        checkpoint: a folder that keeps finished units. The same call goes on where it stopped.
        workers: processes to work in; by default threads of this one.
        progress: show a progress bar.

    Raises:
        CheckpointMismatch: the folder holds units of other work.
        RuntimeError: the workers are lost.
    """
    keys = work.keys()
    records: list[Record | None] = [None] * len(keys)
    with ExitStack() as stack:
        kept: Kept | None = None
        if checkpoint is not None:
            kept = Kept(Path(checkpoint), work, keys)
            stack.callback(kept.close)
            records[:] = kept.records
        missing = [i for i, record in enumerate(records) if record is None]
        bar = make_bar(len(keys), f"Making {work.kind}", "subject", progress)
        stack.callback(bar.close)
        bar.update(len(keys) - len(missing))
        try:
            for i, record, by in make_missing(work, missing, workers):
                records[i] = record
                if kept is not None:
                    kept.add(i, record, by)
                bar.update()
        except Exception as error:
            if kept is not None:
                error.add_note(
                    f"Finished {work.kind} are kept in {checkpoint}: the same call goes on from "
                    "there."
                )
            raise
    return [record for record in records if record is not None]


def make_missing(
    work: Work, numbers: Sequence[int], workers: Workers | None
) -> Iterator[tuple[int, Record, str]]:
    """Make units, and yield the number and record of each, and the environment it comes from.

    Raises:
        RuntimeError: the workers are lost, or compute another loss than this process.
    """
    if not numbers:
        return
    if workers is None:
        here = id_of(describe_environment())
        for i, record in make_here(work, numbers, count_cores()):
            yield i, record, here
        return

    def divide(n_workers: int) -> list[list[int]]:
        length = min(-(-len(numbers) // (BLOCKS_PER_WORKER * n_workers)), MOST_UNITS)
        return [list(numbers[i : i + length]) for i in range(0, len(numbers), length)]

    for _, (made, environment, error) in ask_workers(workers, work, make_block, divide, list):
        for i, record in made:
            found = work.verify(i, record)
            if not found.is_same:
                what = f"estimates of subject {work.keys()[i]['subject']} {found}"
                raise RuntimeError(message_other_loss(environment, what))
            yield i, record, id_of(environment)
        if error is not None:
            raise error


def make_here(
    work: Work, numbers: Sequence[int], n_threads: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Make units in threads of this process, and yield them as they end."""
    work.prepare()
    with ThreadPoolExecutor(min(len(numbers), n_threads)) as pool:
        futures = {pool.submit(work.make, i): i for i in numbers}
        failed: list[Future[dict[str, Any]]] = []
        try:
            for future in as_completed(futures):
                if future.cancelled():
                    continue
                if future.exception() is None:
                    yield futures[future], future.result()
                    continue
                failed.append(future)
                for other in futures:  # those that have begun end, and are not lost
                    other.cancel()
        finally:
            for future in futures:
                future.cancel()
    for future in failed:
        future.result()  # raises


def make_block(
    work: Work, numbers: list[int], n_threads: int
) -> tuple[list[tuple[int, dict[str, Any]]], dict[str, Any], Exception | None]:
    """Make units in a worker.

    Returns the finished ones, the environment, and the error that ended the others.
    """
    made = []
    here = describe_environment()
    try:
        for each in make_here(work, numbers, n_threads):
            made.append(each)
    except Exception as error:
        return made, here, error
    return made, here, None


class Kept:
    """The units of some work that are in a folder.

    Args:
        folder: made if it does not exist.
        work: whose units they are.
        keys: of all units.

    Raises:
        CheckpointMismatch: the folder holds units of other work.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path, work: Work, keys: Sequence[Mapping[str, Any]]) -> None:
        self.folder, self.work, self.keys = folder / work.kind, work, keys
        self.records: list[Record | None] = [None] * len(keys)
        identity = work.identity()
        with explained_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            check_manifest(self.folder / SETTINGS, identity, work.kind)
        self.environment = describe_environment()
        about = {"id": id_of(self.environment), "work": digest_of(identity), "began": time.time()}
        self.journal = Journal(self.folder, {**self.environment, **about})
        self._told: set[str] = set()
        self._read()
        if None in self.records:
            with explained_errors(self.folder):  # before the work begins
                self.journal.open()

    def _read(self) -> None:
        """Read what is in the folder."""
        places = {key["subject"]: i for i, key in enumerate(self.keys)}
        for part in self.journal.read():
            if part.header.get("work") != self.journal.header["work"]:
                raise CheckpointMismatch(
                    f"{part.path} holds {self.work.kind} of another fit than "
                    f"{self.folder / SETTINGS} says. Use another folder."
                )
            for entry in part.entries:
                if entry.keys() >= {*self.keys[0], *ABOUT}:
                    i = places.get(entry["subject"])
                    if i is not None:
                        self._take(part, i, entry)
        if self.journal.n_damaged:
            warnings.warn(
                f"{self.journal.n_damaged} damaged or unfinished line(s) in {self.folder} were set "
                "aside.",
                stacklevel=6,
            )

    def _take(self, part: Part, i: int, entry: Mapping[str, Any]) -> None:
        """Take the record of an entry.

        Raises:
            CheckpointMismatch: it is of other trials or estimates, or its numbers are others here.
        """
        key, record = self.keys[i], entry["record"]
        whose = f"{part.path} holds {self.work.kind} of subject {key['subject']!r}"
        for name, value in key.items():
            if entry.get(name) != value:
                raise CheckpointMismatch(
                    f"{whose}, but of other {name} than those given now. Use another folder."
                )
        found = self.work.verify(i, record)
        if not found.is_same:
            raise CheckpointMismatch(
                f"{whose}, whose estimates {found}. The model, the loss or the data have changed. "
                "Use another folder."
            )
        self._tell_of_another(part)
        self.records[i] = choose_record(self.records[i], record)

    def _tell_of_another(self, part: Part) -> None:
        """Warn of units from another environment, once."""
        differing = describe_differences(part.header, self.environment)
        name = part.header.get("id", "")
        if differing and name not in self._told:
            self._told.add(name)
            warnings.warn(
                f"{self.work.kind.capitalize()} in {self.folder} were made in another environment "
                f"({'; '.join(differing)}). They are used as they are.",
                stacklevel=7,
            )

    def add(self, i: int, record: Record, by: str) -> None:
        """Keep the record of a unit that has finished."""
        about = {"record": record, "by": by, "at": round(time.time(), 1)}
        with explained_errors(self.folder):
            self.journal.add({**self.keys[i], **about})
        if by != id_of(self.environment) and by not in self._told:
            self._told.add(by)
            warnings.warn(
                f"{self.work.kind.capitalize()} came from workers in environment {by}. They are "
                "used as they are.",
                stacklevel=4,
            )

    def close(self) -> None:
        """Force everything to the disk."""
        with explained_errors(self.folder):
            self.journal.close()
