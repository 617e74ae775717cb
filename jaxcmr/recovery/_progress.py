"""One progress bar for all fits of a recovery, which says what is being fitted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jaxcmr.fitting import RunReport
from jaxcmr.fitting._watchers import make_bar

__all__ = ["RecoveryBar"]


class RecoveryBar:
    """A watcher of several calls of `JaxDE.make_runs`; see `step`.

    Args:
        n_fits: fits of all calls.
        shown: whether there is a bar.
    """

    def __init__(self, n_fits: int, shown: bool) -> None:
        self.bar = make_bar(n_fits, "Fitting", "fit", shown)
        self.n_before = 0

    def __enter__(self) -> RecoveryBar:
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()

    @contextmanager
    def step(self, what: str, n_fits: int) -> Iterator[None]:
        """Show what the call in this block fits; at its end its fits count, also those kept."""
        self.bar.set_description(what)
        yield
        self.n_before += n_fits
        self.bar.update(self.n_before - self.bar.n)

    def update(self, report: RunReport) -> None:
        """Show how many fits are done."""
        self.bar.update(self.n_before + report.n_done - self.bar.n)

    def close(self) -> None:
        """Keep the bar for the next call."""
