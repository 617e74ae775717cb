"""Which runs a process makes next, where several processes share a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from jaxcmr.fitting._runs import Run
from jaxcmr.optimize._lanes import count_cores
from jaxcmr.typing import Subject

__all__ = ["as_part", "fit_of", "shares_of"]


def fit_of(run: Run) -> tuple[Subject, str]:
    """Return the fit that a run belongs to."""
    return run.subject, run.name


def shares_of(
    runs: Sequence[Run], records: Sequence[Any], part: tuple[int, int]
) -> Iterator[list[int]]:
    """Yield the runs to make next, until `records`, which others may fill, lacks none.

    Part k of n takes every n-th fit from the k-th, and then its part of what is still missing. A
    single fit is divided into its runs, at least one per core for each part.
    """
    of_fits = [list(group) for _, group in groupby(range(len(runs)), lambda i: fit_of(runs[i]))]
    is_one = len(of_fits) == 1
    units = [[i] for i in range(len(runs))] if is_one else of_fits
    fewest = count_cores() if is_one else 1
    number, n_parts = part
    while missing := [left for unit in units if (left := [i for i in unit if records[i] is None])]:
        n = min(n_parts, -(-len(missing) // fewest))
        yield [i for unit in missing[(number - 1) % n :: n] for i in unit]


def as_part(part: str | None, checkpoint: Any) -> tuple[int, int]:
    """Return "3/20" as two numbers.

    Raises:
        ValueError: it is something else, or there is no folder for the parts to meet in.
    """
    if part is None:
        return 1, 1
    words = part.split("/") if isinstance(part, str) else []
    if len(words) != 2 or not all(word.isascii() and word.isdigit() for word in words):
        raise ValueError(f'part must be a text such as "3/20"; got {part!r}.')
    number, n_parts = map(int, words)
    if not 1 <= number <= n_parts:
        n_parts = max(n_parts, 1)
        raise ValueError(f"part must be from 1/{n_parts} to {n_parts}/{n_parts}; got {part!r}.")
    if checkpoint is None:
        raise ValueError("A part needs checkpoint=..., a folder in which all parts meet.")
    return number, n_parts
