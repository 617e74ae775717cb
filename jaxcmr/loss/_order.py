"""From the order in which a set of trials is visited back to the one it was asked for in."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from jaxcmr.trials import TrialBlocks

__all__ = ["places_in"]


def places_in(blocks: TrialBlocks, trial_indices: np.ndarray) -> Int[np.ndarray, " trials"]:
    """Where each trial stands in ``blocks.trials.reshape(-1)``; for -1, a place without a trial.

    There is such a place: blocks have room for every trial asked for, and -1 takes none of it.
    """
    visited = np.asarray(blocks.trials).reshape(-1)
    order = np.argsort(visited, kind="stable")
    return order[np.searchsorted(visited[order], trial_indices)]
