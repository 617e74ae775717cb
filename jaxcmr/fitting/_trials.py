"""Which trials a fit is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxcmr.datasets import check_mask
from jaxcmr.typing import TrialMask

__all__ = ["make_subject_trial_masks", "stack_trials"]


def make_subject_trial_masks(
    trial_mask: TrialMask, subject_vector: Any
) -> tuple[list[TrialMask], np.ndarray]:
    """One trial mask per subject.

    Args:
        trial_mask: (trials,) boolean; trials to use at all.
        subject_vector: (trials,) or (trials, 1) subject ids.

    Returns:
        ``(masks, unique_subjects)``: for each subject id in ascending order, the selected trials of
        that subject. A subject without selected trials has an empty mask.
    """
    subjects = np.asarray(subject_vector).reshape(-1)
    mask = check_mask(trial_mask, len(subjects))
    unique_subjects = np.unique(subjects)
    return [mask & (subjects == subject) for subject in unique_subjects], unique_subjects


def stack_trials(masks: Sequence[TrialMask]) -> np.ndarray:
    """Row numbers of each mask's trials: (masks, most trials), filled up with -1.

    The number of columns is rounded up to one of eight steps per octave, so that a loop of fits
    over subjects with unequal trial counts meets few shapes, hence few compilations.
    """
    rows = [np.flatnonzero(mask) for mask in masks]
    most = max(len(trials) for trials in rows)
    grain = max(1, 2 ** (most.bit_length() - 4))
    stacked = np.full((len(rows), -(-most // grain) * grain), -1)
    for row, trials in zip(stacked, rows, strict=True):
        row[: len(trials)] = trials
    return stacked
