"""Visit trials in fixed-size blocks, studying each distinct list once.

A block is one study list and up to `width` trials that studied it. Blocks keep memory the same
however many trials there are, and give every trial the same arithmetic in the same order: padding
a set of trials with -1 changes no bit of a result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxcmr.typing import MemorySearchFactory, RecallDataset

__all__ = ["TrialArranger", "TrialBlocks", "ordered_sum"]


class TrialBlocks(eqx.Module):
    """Trials by block; -1 is "no trial"."""

    trials: Int[Array, "blocks width"]
    is_new_list: Bool[Array, " blocks"]

    def visit(
        self, study: Callable[[Any], Any], per_trial: Callable[[Any, Any], Float[Array, "..."]]
    ) -> Float[Array, "blocks width ..."]:
        """``per_trial(studied_model, trial)`` of every trial, 0 where there is none.

        ``study(trial)`` gives the model that has studied the list of a trial; it runs once a list.
        """

        def of_trial(studied: Any, trial: Int[Array, ""]) -> Float[Array, "..."]:
            return jnp.where(trial >= 0, per_trial(studied, jnp.maximum(trial, 0)), 0.0)

        def of_block(studied: Any, block: TrialBlocks) -> tuple[Any, Float[Array, "width ..."]]:
            first = jnp.maximum(block.trials[0], 0)
            studied = jax.lax.cond(block.is_new_list, lambda: study(first), lambda: studied)
            return studied, jax.vmap(of_trial, in_axes=(None, 0))(studied, block.trials)

        nothing_yet = jax.tree.map(
            lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(study, self.trials[0, 0])
        )
        return jax.lax.scan(of_block, nothing_yet, self)[1]


class TrialArranger:
    """Arranges trials of one data set into blocks whose number depends on nothing but how many
    trials are asked for, so that sets of equally many trials share one compiled program."""

    def __init__(self, factory: MemorySearchFactory, dataset: RecallDataset) -> None:
        n_trials = len(dataset["recalls"])
        find_lists = getattr(factory, "study_lists", None)
        self.lists = np.arange(n_trials) if find_lists is None else np.asarray(find_lists(dataset))
        self.n_lists = len(np.unique(self.lists))
        subjects = np.asarray(dataset.get("subject", np.zeros(n_trials))).reshape(n_trials)
        n_pairs = len(np.unique(np.column_stack([subjects, self.lists]), axis=0))
        self.width = min(_MOST_WIDTH, max(1, n_trials // n_pairs))

    def __call__(self, trial_indices: np.ndarray) -> TrialBlocks:
        """Blocks of the trials `trial_indices` (0-based rows, -1 for none), sorted by list."""
        indices = np.asarray(trial_indices)
        present = indices[indices >= 0]
        present = present[np.argsort(self.lists[present], kind="stable")]
        blocks = np.full((self._n_blocks(len(indices)), self.width), -1, np.int32)
        is_new_list = np.zeros(len(blocks), bool)
        row = 0
        for same_list in np.split(present, np.flatnonzero(np.diff(self.lists[present])) + 1):
            is_new_list[row] = True
            for start in range(0, len(same_list), self.width):
                members = same_list[start : start + self.width]
                blocks[row, : len(members)] = members
                row += 1
        return TrialBlocks(jnp.asarray(blocks), jnp.asarray(is_new_list))

    def _n_blocks(self, n_trials: int) -> int:
        """The most blocks that `n_trials` trials can need: each list may end in an unfilled one."""
        if self.width == 1:
            return max(1, n_trials)
        unfilled = min(self.n_lists, n_trials)
        return max(1, (n_trials - unfilled) // self.width + unfilled)


_MOST_WIDTH = 4  # wide enough to keep vector units busy; a wider block wastes more on padding


def ordered_sum(values: Float[Array, " n"]) -> Float[Array, ""]:
    """Sum from first to last, so that zeros added at the end change no bit of it."""
    return jax.lax.scan(
        lambda total, value: (total + value, None), jnp.zeros((), values.dtype), values
    )[0]
