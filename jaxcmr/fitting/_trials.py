"""Which trials a fit is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxcmr.datasets import check_mask
from jaxcmr.typing import TrialMask

__all__ = [
    "make_subject_trial_masks",
    "pad_rows",
    "rows_by_subject",
    "stack_trials",
    "to_mask",
    "to_ranges",
    "to_rows",
]


def make_subject_trial_masks(
    trial_mask: TrialMask, subject_vector: Any
) -> tuple[list[TrialMask], np.ndarray]:
    """Return one trial mask per subject.

    Args:
        trial_mask: (trials,) boolean; trials to use at all.
        subject_vector: (trials,) or (trials, 1) subject ids.

    Returns:
        ``(masks, unique_subjects)``: for each subject id in ascending order, the selected trials of
        that subject. A subject without selected trials has an empty mask.

    Raises:
        ValueError: `trial_mask` is not one boolean per trial, or a subject id is masked.

    >>> masks, subjects = make_subject_trial_masks([True, True, False], [7, 3, 7])
    >>> [mask.tolist() for mask in masks], subjects.tolist()
    ([[False, True, False], [True, False, False]], [3, 7])
    """
    if np.ma.is_masked(subject_vector):
        raise ValueError(
            "subject_vector is a masked array with missing ids: leave these trials out."
        )
    subjects = np.asarray(subject_vector).reshape(-1)
    mask = check_mask(trial_mask, len(subjects))
    unique_subjects = np.unique(subjects)
    return [mask & (subjects == subject) for subject in unique_subjects], unique_subjects


def rows_by_subject(trial_mask: TrialMask, subjects: np.ndarray) -> dict[Any, np.ndarray]:
    """Return the selected rows of each subject that has some, in ascending order of id.

    In place of a mask per subject, which for thousands of subjects would take gigabytes.

    >>> rows = rows_by_subject(np.array([True, True, False, True]), np.array([7, 3, 7, 7]))
    >>> {subject: each.tolist() for subject, each in rows.items()}
    {3: [1], 7: [0, 3]}
    """
    rows = np.flatnonzero(trial_mask)
    ids, counts = np.unique(subjects[rows], return_counts=True)
    pieces = np.split(rows[np.argsort(subjects[rows], kind="stable")], np.cumsum(counts)[:-1])
    return dict(zip(ids.tolist(), pieces, strict=False))


def stack_trials(masks: Sequence[TrialMask]) -> np.ndarray:
    """Return the row numbers of each mask's trials, (masks, most trials), padded with -1."""
    return pad_rows([np.flatnonzero(mask) for mask in masks])


def pad_rows(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Return lists of row numbers as one array, (lists, most rows), padded with -1.

    The number of columns is rounded up to one of eight steps per octave, so that a loop of fits
    over subjects with unequal trial counts meets few shapes, hence few compilations.
    """
    most = max((len(trials) for trials in rows), default=0)
    grain = max(1, 2 ** (most.bit_length() - 4))
    stacked = np.full((len(rows), -(-most // grain) * grain), -1)
    for row, trials in zip(stacked, rows, strict=True):
        row[: len(trials)] = trials
    return stacked


def to_ranges(rows: np.ndarray) -> list[list[int]]:
    """Return ascending row numbers as ranges, ``[first, behind the last]``.

    >>> to_ranges(np.array([0, 1, 3]))
    [[0, 2], [3, 4]]
    """
    pieces = np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1)
    return [[int(piece[0]), int(piece[-1]) + 1] for piece in pieces if len(piece)]


def to_rows(ranges: Sequence[Sequence[int]]) -> np.ndarray:
    """Return the row numbers in `ranges`: the inverse of `to_ranges`."""
    return np.concatenate([np.zeros(0, int), *(np.arange(a, b) for a, b in ranges)])


def to_mask(trials: Sequence[Sequence[Sequence[int]]], n_trials: int) -> TrialMask:
    """Return the mask of all trials of several fits, given the ranges of each."""
    mask = np.zeros(n_trials, bool)
    for ranges in trials:
        mask[to_rows(ranges)] = True
    return mask
