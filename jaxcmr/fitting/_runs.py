"""Fits and runs as plain data, which a file or another process can take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxcmr.optimize import State
from jaxcmr.typing import Subject

__all__ = ["Fit", "Progress", "Run"]


class Fit(NamedTuple):
    """One parameter set to estimate, from some trials."""

    subject: Subject
    """Goes into the random draws, with the number of the run."""
    rows: np.ndarray
    """Rows of the data set, (trials,) from 0. A row may occur more than once."""
    name: str = ""
    """Tells fits of one subject apart, such as "fold 2"."""
    starts: Sequence[np.ndarray] = ()
    """Places to start one more run from, each (n_free,) in the user's units."""


class Run(NamedTuple):
    """One search of one fit."""

    subject: Subject
    name: str  # of the fit, among those of the subject
    number: int  # 0, 1, ... start at random; -1, -2, ... from the first, second, ... start
    rows: np.ndarray  # (trials,), padded with -1; runs of a fit have the same object
    start: np.ndarray | None = None  # (n_free,) in the user's units
    state: State | None = None  # to go on from


class Progress(NamedTuple):
    """Where a run stands after a chunk of generations."""

    run: int  # its place among the runs
    generation: int
    loss: float
    seconds: float
    state: State | None
    record: Mapping[str, Any] | None  # once it has finished
    by: str = ""  # id of the environment of the worker that made it; "" for this process
