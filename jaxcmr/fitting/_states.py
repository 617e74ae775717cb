"""Populations of long runs on their way, each in a file, so that a kill costs a minute of them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxcmr.files import replace_file
from jaxcmr.fitting._environment import describe_environment, id_of
from jaxcmr.fitting._journal import explained_errors
from jaxcmr.fitting._runs import Run
from jaxcmr.fitting._verify import ROUNDING
from jaxcmr.optimize import State

if TYPE_CHECKING:
    from jaxcmr.fitting._fitter import Fitter

__all__ = ["SavedStates"]

SAVE_SECONDS = 60.0
"""How often the population of a run is saved, and how old a run must be for that."""


class SavedStates:
    """Files with the populations of some runs.

    A file counts only for the fit and the environment that wrote it: elsewhere, the run begins
    anew, to an equally good end.

    Args:
        folder: where the files are.
        fit: digest of what is fitted.
        names: of the runs' files.
    """

    def __init__(self, folder: Path, fit: str, names: Sequence[str]) -> None:
        self.folder, self.fit, self.names = folder, fit, names
        self.is_optional = False
        """Whether a fit goes on if its populations cannot be saved, as on a worker."""
        self._saved: dict[int, float] = defaultdict(time.monotonic)  # the first time: now

    def select(self, which: Sequence[int]) -> SavedStates:
        """Return those of some of the runs."""
        return SavedStates(self.folder, self.fit, [self.names[i] for i in which])

    def load(self, i: int, fitter: Fitter, run: Run) -> State | None:
        """Return the population of run `i` that was saved by the same fit here, if any."""
        try:
            with self._path(i).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                about = str(arrays["by"]), str(arrays["fit"])
                state = State.from_arrays(dict(arrays))
                best, there = np.asarray(arrays["population"])[0], float(arrays["losses"][0])
        except Exception:  # none, or a damaged one: the run starts anew, to the same end
            return None
        if about != (id_of(describe_environment()), self.fit):
            return None
        here = fitter.evaluate_at(run, best)
        return state if np.isclose(here, there, rtol=ROUNDING[False], atol=0) else None

    def save(self, i: int, state: State) -> None:
        """Save the population of run `i`, if that is due.

        Raises:
            OSError: the disk is full, or the folder read-only; not if saving is optional.
        """
        if time.monotonic() - self._saved[i] < SAVE_SECONDS:
            return
        self._saved[i] = time.monotonic()
        try:
            self._write(i, state)
        except OSError:
            if not self.is_optional:
                raise

    def _write(self, i: int, state: State) -> None:
        about = {"by": np.array(id_of(describe_environment())), "fit": np.array(self.fit)}
        with (
            explained_errors(self.folder.parent),
            replace_file(self._path(i)) as draft,
            draft.open("wb") as file,
        ):
            np.savez(file, allow_pickle=False, **state.to_arrays(), **about)

    def remove(self, i: int) -> None:
        """Remove the file of run `i`, which has finished."""
        self._path(i).unlink(missing_ok=True)

    def _path(self, i: int) -> Path:
        return self.folder / f"{self.names[i]}.npz"
