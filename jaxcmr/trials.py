"""Sets of trials as losses visit them: in blocks of fixed size, each study list studied once.

A block is one study list and up to `width` trials that studied it. Blocks keep memory the same
however many trials there are, and give every trial the same arithmetic in the same order: padding
a set of trials with -1 changes no bit of a result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxcmr.names import find_named
from jaxcmr.parameters import bind, doubles
from jaxcmr.simulation import items_at, study
from jaxcmr.typing import MemorySearch, MemorySearchFactory, Parameters, RecallDataset

__all__ = ["TrialBlocks", "TrialSet", "TrialSets", "as_rows", "events_scored", "ordered_sum"]

MOST_WIDTH = 4  # wide enough to keep vector units busy; a wider block wastes more on padding


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


class TrialSet(eqx.Module):
    """Some trials of a data set, with all that a loss over them needs."""

    factory: MemorySearchFactory
    pres_itemnos: Int[Array, "all_trials positions"]
    choices: Int[Array, "all_trials outputs"]  # recalls as item numbers
    blocks: TrialBlocks
    base_params: dict[str, Any]  # numbers, in double precision
    free_param_names: tuple[str, ...] = eqx.field(static=True)

    def visit(
        self,
        x: Float[Array, " n_params"],
        per_trial: Callable[[MemorySearch, Int[Array, ""]], Float[Array, "..."]],
    ) -> Float[Array, "blocks width ..."]:
        """``per_trial(model, trial)`` of every trial, 0 where there is none.

        The model has the free parameters `x`, has studied the trial's list, and is ready for its
        first recall; `trial` is the row in the data set.
        """
        parameters = bind(self.base_params, self.free_param_names, x)

        def studied(trial: Int[Array, ""]) -> MemorySearch:
            model = self.factory.create_trial_model(trial, parameters)
            return study(model, self.pres_itemnos[trial])

        return self.blocks.visit(studied, per_trial)


class TrialSets:
    """Makes the trial sets of one data set under one model.

    Sets of equally many trials have the same structure and share the data's arrays, so that one
    compiled program serves them all: the number of blocks depends on nothing but how many trials
    are asked for.

    Args:
        model_factory: name of a model, or ``(dataset, features) -> factory``.
        dataset: recall data; ``pres_itemnos`` is studied.
        features: passed to `model_factory`.
        choices: (trials, outputs) recalls as the model's choices, for models of more than what was
            studied; by default the items at the study positions in ``recalls``.

    Raises:
        ValueError: without `choices`, there are recalls that could only be scored as what they are
            not: of a negative position, of one where nothing was studied, or after a 0; or an item
            number above the longest list's length.
    """

    def __init__(
        self,
        model_factory: str | Callable[..., MemorySearchFactory],
        dataset: RecallDataset,
        features: Any,
        choices: np.ndarray | None = None,
    ) -> None:
        if choices is None:
            check_recalls(dataset)
        self.factory = find_named("model", model_factory)(dataset, features)
        self.parameters = self.factory.parameters
        self.pres_itemnos = jnp.asarray(dataset["pres_itemnos"])
        if choices is None:
            self.choices = items_at(self.pres_itemnos, jnp.asarray(dataset["recalls"]))
        else:
            self.choices = jnp.asarray(choices)

        n_trials = len(self.choices)
        find_lists = getattr(self.factory, "study_lists", None)
        self.lists = np.arange(n_trials) if find_lists is None else np.asarray(find_lists(dataset))
        self.n_lists = len(np.unique(self.lists))
        subjects = np.unique(np.asarray(dataset["subject"]).reshape(n_trials), return_inverse=True)[
            1
        ]
        n_pairs = len(np.unique(np.column_stack([subjects, self.lists]), axis=0))
        self.width = min(MOST_WIDTH, max(1, n_trials // n_pairs))

    def __call__(
        self, trial_indices: np.ndarray, base_params: Parameters, free_param_names: Sequence[str]
    ) -> TrialSet:
        """The set of trials `trial_indices` (0-based rows; -1 is "no trial")."""
        return TrialSet(
            self.factory,
            self.pres_itemnos,
            self.choices,
            self.arrange(as_rows(trial_indices, len(self.choices))),
            doubles(base_params),
            tuple(free_param_names),
        )

    def score_stops(self, until: str = "all items") -> Bool[np.ndarray, "all_trials events"]:
        """Make room in `choices` for stops after full rows; which of them are events.

        `until` is that of `events_scored`.
        """
        choices = np.asarray(self.choices)
        is_event = events_scored(np.asarray(self.pres_itemnos), choices, until)
        if is_event[:, -1].any():
            self.choices = jnp.asarray(np.pad(choices, ((0, 0), (0, 1))))
            return is_event
        return is_event[:, :-1]

    def arrange(self, trial_indices: np.ndarray) -> TrialBlocks:
        """The trials in blocks, sorted by list."""
        present = trial_indices[trial_indices >= 0]
        present = present[np.argsort(self.lists[present], kind="stable")]
        blocks = np.full((self.n_blocks(len(trial_indices)), self.width), -1, np.int32)
        is_new_list = np.zeros(len(blocks), bool)
        row = 0
        for same_list in np.split(present, np.flatnonzero(np.diff(self.lists[present])) + 1):
            is_new_list[row] = True
            for start in range(0, len(same_list), self.width):
                members = same_list[start : start + self.width]
                blocks[row, : len(members)] = members
                row += 1
        return TrialBlocks(jnp.asarray(blocks), jnp.asarray(is_new_list))

    def n_blocks(self, n_trials: int) -> int:
        """The most blocks that `n_trials` trials can need: each list may end in an unfilled one."""
        unfilled = min(self.n_lists, n_trials)
        return max(1, (n_trials - unfilled) // self.width + unfilled)


def check_recalls(dataset: RecallDataset) -> None:
    """Raise a ValueError for recalls, or items, that would be taken for others."""
    items, recalls = np.asarray(dataset["pres_itemnos"]), np.asarray(dataset["recalls"])
    n_items = int(np.max(dataset["listLength"]))
    studied = np.pad(items > 0, ((0, 0), (1, 0)), constant_values=True)  # 0 is a stop
    known = (recalls >= 0) & (recalls <= items.shape[1])
    of_nothing = ~np.take_along_axis(studied, np.where(known, recalls, 0), axis=1) | ~known
    stopped = np.pad(np.cumsum(recalls == 0, axis=1)[:, :-1] > 0, ((0, 0), (1, 0)))
    advice = "jaxcmr.datasets.first_recalls leaves intrusions out"
    for odd, field, what in (
        (items > n_items, "pres_itemnos", f"above the longest 'listLength', {n_items}"),
        (recalls < 0, "recalls", f"no study position; {advice}"),
        (of_nothing, "recalls", "a position where nothing was studied"),
        (stopped & (recalls > 0), "recalls", "after a 0, where recall had stopped"),
    ):
        if odd.any():
            trial, column = np.argwhere(odd)[0]
            value = np.asarray(dataset[field])[trial, column]
            raise ValueError(f"'{field}' holds {value} in trial {trial}, column {column}: {what}.")


def as_rows(trial_indices: Any, n_trials: int) -> np.ndarray:
    """`trial_indices` as an array, all of them rows of the data set or -1 (a ValueError)."""
    indices = np.asarray(trial_indices)
    if indices.size == 0:
        indices = indices.astype(int)
    if indices.dtype.kind not in "iu" or indices.ndim != 1:
        advice = " Take np.flatnonzero(mask) of a mask." if indices.dtype == bool else ""
        raise ValueError(
            "Trials are given by their row numbers, whole numbers of shape (trials,); got "
            f"{indices.dtype} of shape {indices.shape}.{advice}"
        )
    outside = indices[(indices < -1) | (indices >= n_trials)]
    if outside.size:
        raise ValueError(
            f"There is no trial {outside[0]}: rows are 0 to {n_trials - 1}, and -1 for no trial."
        )
    return indices.astype(int)


def events_scored(
    studied: Int[np.ndarray, "trials positions"],
    choices: Int[np.ndarray, "trials outputs"],
    until: str = "all items",
) -> Bool[np.ndarray, "trials outputs+1"]:
    """Which recalls and stops of each trial are events, with room for a stop after a full row.

    A stop is an event where recall ended before everything was recalled. Zeros that follow change
    nothing, so that a trial is scored alike whatever the width of its array.

    Args:
        studied: item numbers by study position, 0 for none.
        choices: item numbers by output position, zeros at the end.
        until: "all items": everything is each studied item at least once. "list length":
            everything is as many choices as were studied, right or wrong, as in serial recall.

    >>> events_scored(np.array([[1, 2], [1, 2]]), np.array([[2, 1], [1, 0]])).astype(int)
    array([[1, 1, 0],
           [1, 1, 0]])
    """
    n_choices = np.sum(choices > 0, axis=1)
    if until == "list length":
        ended_early = n_choices < np.sum(studied > 0, axis=1)
    else:
        to_come = np.zeros((len(studied), 1 + max(np.max(studied), np.max(choices))), bool)
        np.put_along_axis(to_come, studied.astype(int), True, axis=1)
        np.put_along_axis(to_come, choices.astype(int), False, axis=1)
        ended_early = np.any(to_come[:, 1:], axis=1)
    position = np.arange(choices.shape[1] + 1)
    is_stop = (position == n_choices[:, None]) & ended_early[:, None]
    return (position < n_choices[:, None]) | is_stop


def ordered_sum(values: Float[Array, "n ..."]) -> Float[Array, "..."]:
    """Sum along the first axis, from first to last: zeros in between change no bit of it."""
    total = jnp.zeros(values.shape[1:], values.dtype)
    return jax.lax.scan(lambda total, value: (total + value, None), total, values)[0]
