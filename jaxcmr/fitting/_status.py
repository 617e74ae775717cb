"""How far the runs in a folder are."""

from __future__ import annotations

import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxcmr.files import read_text
from jaxcmr.fitting._checkpoint import ABOUT, MANIFEST, RUNS, Key
from jaxcmr.fitting._journal import Journal

__all__ = ["Status", "status_of"]

RECENT = 600.0
"""Seconds over which the rate of finished runs is taken."""


class Status(NamedTuple):
    """What is done in a folder, what is missing, and who did it."""

    n_runs: int
    """Runs that the last call wanted."""
    n_runs_done: int
    n_fits: int
    n_fits_done: int
    begun: list[Any]
    """Subjects of which some runs are done, but not all."""
    seconds_per_fit: float
    """Time of all runs of a fit, added up."""
    runs_per_second: float
    """Of all writers together, in the last ten minutes; 0 if none has finished a run."""
    seconds_left: float | None
    """Until the end at that rate; None if no run has been finished for long."""
    last: float | None
    """Seconds since the last run was finished."""
    n_writers: int
    environments: dict[str, int]
    """Finished runs by the environment that they were made in."""
    n_damaged: int
    """Lines that were set aside."""
    manifest: Mapping[str, Any]
    """What is fitted."""


def status_of(folder: str | os.PathLike[str]) -> Status:
    """Return how far the runs in a folder are, which a fit has as its `checkpoint`.

    Raises:
        ValueError: the folder is not that of a fit.

    >>> import tempfile
    >>> from jaxcmr.fitting import FitProblem, JaxDE
    >>> data = {"subject": [1, 1], "listLength": [3, 3], "pres_itemnos": [[1, 2, 3]] * 2,
    ...         "recalls": [[3, 1, 0], [2, 3, 0]]}
    >>> tiny = {"num_steps": 2, "pop_size": 2, "polish": False, "progress_bar": False}
    >>> fitter = JaxDE.of(FitProblem(data, "cmr", "sequence_likelihood"), tiny)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = fitter.fit_subjects([True, True], checkpoint=folder)
    ...     status_of(folder)[:4]
    (1, 1, 1, 1)
    """
    folder = Path(folder)
    try:
        manifest = json.loads(read_text(folder / MANIFEST))
    except FileNotFoundError:
        raise ValueError(f"{folder} holds no runs of a fit: it has no {MANIFEST}.") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{folder / MANIFEST} cannot be read: {error}") from error
    journal = Journal(folder / RUNS, {})
    entries = [
        entry
        for part in journal.read()
        for entry in part.entries
        if entry.keys() >= {*Key._fields, *ABOUT}
    ]
    headers = list(journal.headers.values())
    wanted = max(headers, key=lambda header: header.get("began", 0.0), default={})
    n_fits, n_runs = wanted.get("n_fits", 0), wanted.get("n_runs", 0)
    if wanted.get("subjects") is not None:  # not those of an earlier call
        subjects = set(wanted["subjects"])
        entries = [entry for entry in entries if entry["subject"] in subjects]
    if wanted.get("starts") is not None:
        starts = set(wanted["starts"])
        entries = [entry for entry in entries if entry["start"] in starts]
    runs: dict[Any, set[Any]] = defaultdict(set)  # by fit
    for entry in entries:
        runs[entry["subject"], entry["fit"]].add((entry["number"], entry["start"]))
    per_fit = n_runs // max(n_fits, 1)
    n_done = sum(min(len(of_fit), per_fit) for of_fit in runs.values())  # not those of larger calls
    now, times = time.time(), sorted(entry["at"] for entry in entries)
    last = max(now - times[-1], 0.0) if times else None
    recent = [at for at in times if at > now - RECENT]
    rate = (len(recent) - 1) / max(recent[-1] - recent[0], 1.0) if recent else 0.0
    is_alive = rate > 0 and last is not None and last < max(60.0, 10 / rate)
    n_left = max(n_runs - n_done, 0)
    spent = sum(entry["record"]["seconds"] for entry in entries)
    return Status(
        n_runs=n_runs,
        n_runs_done=n_done,
        n_fits=n_fits,
        n_fits_done=sum(len(of_fit) >= per_fit for of_fit in runs.values()),
        begun=[subject for (subject, _), of_fit in runs.items() if len(of_fit) < per_fit],
        seconds_per_fit=spent / max(len(entries), 1) * per_fit,
        runs_per_second=rate,
        seconds_left=n_left / rate if is_alive else None,
        last=last,
        n_writers=len(headers),
        environments=dict(Counter(describe(entry["by"], headers) for entry in entries)),
        n_damaged=journal.n_damaged,
        manifest=manifest,
    )


def describe(name: str, headers: list[dict[str, Any]]) -> str:
    """Return an environment in words, given its id and the headers of all writers."""
    header = next((each for each in headers if each.get("id") == name), {})
    words = [header.get("processor") or header.get("device"), f"jax {header.get('jax')}"]
    return f"{', '.join(str(word) for word in words)} ({name})" if header else name
