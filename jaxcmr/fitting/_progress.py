"""A live progress bar: subjects done, generation, best fitness."""

from __future__ import annotations

from types import TracebackType

from tqdm import tqdm

from jaxcmr.optimize import LaneReport

__all__ = ["ProgressBar"]


class ProgressBar:
    """Shows the reports of a fit of `n_subjects` subjects; a context manager.

    Args:
        n_subjects: subjects to fit.
        enabled: False shows nothing.
    """

    def __init__(self, n_subjects: int, enabled: bool) -> None:
        self.bar = tqdm(total=n_subjects, desc="Fitting", unit="subject", disable=not enabled)

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.close()

    def show(self, subject: int, report: LaneReport, n_done: int) -> None:
        """Takes in a report on a run of `subject`, with `n_done` subjects done so far."""
        self.bar.set_postfix(
            subject=subject,
            generation=report.generation,
            best=f"{report.energy:.5g}",
            refresh=False,
        )
        self.bar.update(n_done - self.bar.n)
        self.bar.refresh()
