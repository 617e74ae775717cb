"""Trials as losses visit them: in blocks of fixed size, each of one study list.

A block is a study list and up to `MOST_WIDTH` trials that studied it, which is played once for all
of them. Blocks keep memory the same for any number of trials, and give every trial the same
arithmetic in the same order: padding the trials with -1 changes no bit of a result.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num, PyTree

from jaxcmr.parameters import as_candidates, bind, to_double
from jaxcmr.simulation import items_at, make_model_factory, study
from jaxcmr.typing import (
    Features,
    MemorySearch,
    MemorySearchFactory,
    Model,
    Parameters,
    RecallDataset,
)

__all__ = [
    "Blocks",
    "ModelData",
    "SelectedTrials",
    "as_rows",
    "check_after_stop",
    "events_scored",
    "map_rows",
    "ordered_sum",
]

MOST_WIDTH = 32  # trials of a block; of a longer list, the study of each block is a small share
SIDE_BY_SIDE = 32  # trials that an accelerator plays at a time

SLOW = (
    "This model takes one parameter set at a time, so that a fit calls it for each member of the "
    "population, which is slow: CMR would take two to four times as long. If the model takes all "
    "of them at once, declare it: vectorized = True in the factory, @reads(..., vectorized=True) "
    "for parts; see jaxcmr.typing.MemorySearchFactory.vectorized."
)

T = TypeVar("T")


def map_rows(
    function: Callable[[T], PyTree], rows: T, is_present: Bool[Array, " n"], at_once: int
) -> PyTree:
    """Return the values of `function` for each row, stacked; 0 for rows that are not present.

    On a CPU, whose vector units the candidates keep busy, one row comes after the other, and rows
    that are not present take no time. An accelerator computes `at_once` rows side by side.
    """
    first = jax.tree.map(lambda leaf: leaf[0], rows)
    shapes = jax.eval_shape(function, first)

    def nothing(row: T) -> PyTree:
        return jax.tree.map(lambda value: jnp.zeros(value.shape, value.dtype), shapes)

    def of_row(row_and_flag: tuple[T, Bool[Array, ""]]) -> PyTree:
        row, is_there = row_and_flag
        return jax.lax.cond(is_there, function, nothing, row)

    batch_size = None if jax.default_backend() == "cpu" else at_once
    return jax.lax.map(of_row, (rows, is_present), batch_size=batch_size)


class SelectedTrials(eqx.Module):
    """Some trials of a data set, with all that a loss over them needs."""

    factory: MemorySearchFactory
    pres_itemnos: Int[Array, "all_trials positions"]
    choices: Int[Array, "all_trials outputs"]  # recalls as item numbers
    blocks: Int[Array, "blocks width"]  # rows of the data set; -1 is "no trial"
    base_params: dict[str, Float[np.ndarray, ""]]  # in double precision
    free_param_names: tuple[str, ...] = eqx.field(static=True)

    def visit(
        self,
        x: Float[Array, "n_params ..."],
        per_trial: Callable[[MemorySearch, Int[Array, ""]], Num[Array, "..."]],
    ) -> Num[Array, "blocks width ..."]:
        """Return ``per_trial(model, trial)`` of every trial, 0 where a block has no trial.

        The model has the free parameters `x`, has studied the trial's list, and is ready for its
        first recall; `trial` is the row in the data set. Axes of `x` after the first are those of
        candidates, which only models that are `vectorized` can have.
        """
        parameters = bind(self.base_params, self.free_param_names, x)
        if self.factory.vectorized:
            parameters = as_candidates(parameters, jnp.ndim(x) - 1)

        def of_block(trials: Int[Array, " width"]) -> Num[Array, "width ..."]:
            first = trials[0]
            model = self.factory.create_trial_model(first, parameters)
            model = study(model, self.pres_itemnos[first])

            def of_trial(trial: Int[Array, ""]) -> Num[Array, "..."]:
                return per_trial(self.factory.move_to_trial(model, trial), trial)

            return map_rows(of_trial, trials, trials >= 0, self.blocks.shape[1])

        blocks_at_once = max(1, SIDE_BY_SIDE // self.blocks.shape[1])
        return map_rows(of_block, self.blocks, self.blocks[:, 0] >= 0, blocks_at_once)

    def places_of(self, trial_indices: np.ndarray) -> Int[np.ndarray, " trials"]:
        """Return the place of each trial in ``blocks.reshape(-1)``; of -1, one without a trial.

        There is such a place: blocks have room for every trial asked for, and -1 takes none of it.
        """
        visited = np.asarray(self.blocks).reshape(-1)
        order = np.argsort(visited, kind="stable")
        return order[np.searchsorted(visited[order], trial_indices)]


class ModelData:
    """A data set as a model meets it: the items studied, the choices made, and equal study lists.

    Args:
        model_factory: name of a model, or ``(dataset, features) -> factory``.
        dataset: recall data; ``pres_itemnos`` is studied.
        features: passed to `model_factory`.
        choices: (trials, outputs) recalls as the model's choices, for models that may choose what
            was not studied; by default the items at the study positions in ``recalls``.

    Raises:
        ValueError: the factory is not a `MemorySearchFactory`; or, without `choices`, an item
            number is above the longest list's length, or recalls are invalid: of a negative
            position, of a position where nothing was studied, or after a 0.

    Examples:
        >>> data = {"subject": np.array([[1], [1]]), "listLength": np.array([[3], [3]]),
        ...         "pres_itemnos": np.array([[1, 2, 3]] * 2),
        ...         "recalls": np.array([[3, 1, 0], [2, 0, 0]])}
        >>> trials = ModelData("cmr", data).select(np.array([0, 1, -1]), {}, ["learning_rate"])
        >>> trials.blocks.tolist()
        [[0, 1], [-1, -1]]
    """

    def __init__(
        self,
        model_factory: Model,
        dataset: RecallDataset,
        features: Features = None,
        choices: np.ndarray | None = None,
    ) -> None:
        if choices is None:
            check_recalls(dataset)
        self.factory = make_model_factory(model_factory, dataset, features)
        if not self.factory.vectorized:
            warnings.warn(SLOW, stacklevel=4)
        self.pres_itemnos = jnp.asarray(dataset["pres_itemnos"])
        if choices is None:
            self.choices = items_at(self.pres_itemnos, jnp.asarray(dataset["recalls"]))
        else:
            self.choices = jnp.asarray(choices)

        self.blocks = Blocks.of(dataset, np.asarray(self.factory.study_lists(dataset)))

    @property
    def n_trials(self) -> int:
        """Return the number of trials of the data set."""
        return len(self.choices)

    def select(
        self, trial_indices: np.ndarray, base_params: Parameters, free_param_names: Sequence[str]
    ) -> SelectedTrials:
        """Return the trials `trial_indices` (0-based rows; -1 is "no trial").

        Selections of equally many trials have the same structure and share the arrays of the data,
        so that one compiled program serves them all.
        """
        blocks = self.blocks.arrange(as_rows(trial_indices, self.n_trials))
        return SelectedTrials(
            self.factory,
            self.pres_itemnos,
            self.choices,
            jnp.asarray(blocks),
            to_double(base_params),
            tuple(free_param_names),
        )

    def score_stops(self, until: str = "all items") -> Bool[np.ndarray, "all_trials events"]:
        """Return which choices and stops are events, and make room for stops after full rows.

        `choices` gets a column of zeros if a full row is followed by a stop. `until` is that of
        `events_scored`.
        """
        choices = np.asarray(self.choices)
        is_event = events_scored(np.asarray(self.pres_itemnos), choices, until)
        if is_event[:, -1].any():
            self.choices = jnp.asarray(np.pad(choices, ((0, 0), (0, 1))))
            return is_event
        return is_event[:, :-1]


class Blocks(NamedTuple):
    """How trials are put into blocks, each of one study list."""

    lists: Int[np.ndarray, " all_trials"]  # the study-list id of each trial
    n_lists: int
    width: int  # trials of a block

    @classmethod
    def of(cls, dataset: RecallDataset, lists: Int[np.ndarray, " all_trials"]) -> Blocks:
        """Return blocks as wide as a list of a subject has trials, on average."""
        ids = np.asarray(dataset["subject"]).reshape(len(lists))
        subjects = np.unique(ids, return_inverse=True)[1]
        n_pairs = len(np.unique(np.column_stack([subjects, lists]), axis=0))
        mean = len(lists) / n_pairs
        width = max(1, math.ceil(mean / math.ceil(mean / MOST_WIDTH)))
        return cls(lists, len(np.unique(lists)), width)

    def arrange(self, trial_indices: Int[np.ndarray, " trials"]) -> Int[np.ndarray, "blocks width"]:
        """Return trials in blocks, filled up with -1.

        The number of blocks depends on how many trials are asked for alone: it is the most that can
        be needed, as each list may end in an unfilled block.
        """
        unfilled = min(self.n_lists, len(trial_indices))
        n_blocks = max(1, (len(trial_indices) - unfilled) // self.width + unfilled)
        blocks = np.full((n_blocks, self.width), -1, np.int32)
        present = trial_indices[trial_indices >= 0]
        present = present[np.argsort(self.lists[present], kind="stable")]
        row = 0
        for same_list in np.split(present, np.flatnonzero(np.diff(self.lists[present])) + 1):
            for start in range(0, len(same_list), self.width):
                members = same_list[start : start + self.width]
                blocks[row, : len(members)] = members
                row += 1
        return blocks


def check_recalls(dataset: RecallDataset) -> None:
    """Check that recalls are of studied positions and end at their first 0.

    Raises:
        ValueError: an item number is out of range, a recall is not of a studied position, or
            follows a 0.
    """
    items, recalls = np.asarray(dataset["pres_itemnos"]), np.asarray(dataset["recalls"])
    n_items = int(np.max(dataset["listLength"]))
    studied = np.pad(items > 0, ((0, 0), (1, 0)), constant_values=True)  # 0 is a stop
    in_range = (recalls >= 0) & (recalls <= items.shape[1])
    was_studied = np.take_along_axis(studied, np.where(in_range, recalls, 0), axis=1) & in_range
    first_recalls = "jaxcmr.datasets.first_recalls leaves out intrusions and repeats"
    for is_odd, field, reason in (
        (items > n_items, "pres_itemnos", f"above the longest 'listLength', {n_items}"),
        (recalls < 0, "recalls", f"not a study position ({first_recalls})"),
        (~was_studied, "recalls", "a position where nothing was studied"),
    ):
        if is_odd.any():
            trial, column = np.argwhere(is_odd)[0]
            value = np.asarray(dataset[field])[trial, column]
            raise ValueError(
                f"'{field}' holds {value} in trial {trial}, column {column}: {reason}."
            )
    check_after_stop(recalls, "recalls")


def check_after_stop(choices: Int[np.ndarray, "trials outputs"], field: str) -> None:
    """Check that nothing follows the first 0 of a trial, which is where recall stopped.

    Raises:
        ValueError: something does.

    Examples:
        >>> check_after_stop(np.array([[3, 1, 0], [2, 0, 0]]), "recalls")
        >>> check_after_stop(np.array([[3, 0, 1]]), "recalls")
        Traceback (most recent call last):
        ValueError: 'recalls' holds 1 in trial 0, column 2: after a 0, where recall had stopped. ...
    """
    has_stopped = np.cumsum(choices == 0, axis=1) > 0
    if (has_stopped & (choices > 0)).any():
        trial, column = np.argwhere(has_stopped & (choices > 0))[0]
        raise ValueError(
            f"'{field}' holds {choices[trial, column]} in trial {trial}, column {column}: after a "
            "0, where recall had stopped. Leave out zeros that stand for anything else."
        )


def as_rows(trial_indices: np.ndarray, n_trials: int) -> Int[np.ndarray, " trials"]:
    """Return trial indices as an array of integers, each a row of the data set or -1.

    Raises:
        ValueError: they are not whole numbers of shape (trials,), or out of range.

    Examples:
        >>> as_rows([0, 4, -1], 5)
        array([ 0,  4, -1])
        >>> as_rows(np.array([True, False]), 2)
        Traceback (most recent call last):
        ValueError: ... got bool of shape (2,). Take np.flatnonzero(mask) of a mask.
    """
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
    """Return which recalls and stops are events, with a column for a stop after a full row.

    A stop is an event where recall ended early. Zeros that follow it change nothing: a trial is
    scored alike in an array of any width.

    Args:
        studied: item numbers by study position, 0 for none.
        choices: item numbers by output position, zeros at the end.
        until: when recall is complete. "all items": each studied item was recalled. "list length":
            there are as many choices as studied items, right or wrong, as in serial recall.

    Examples:
        >>> events_scored(np.array([[1, 2], [1, 2]]), np.array([[2, 1], [1, 0]])).astype(int)
        array([[1, 1, 0],
               [1, 1, 0]])
    """
    n_choices = np.sum(choices > 0, axis=1)
    if until == "list length":
        ended_early = n_choices < np.sum(studied > 0, axis=1)
    elif until != "all items":
        raise ValueError(f"until is 'all items' or 'list length'; got {until!r}.")
    else:  # mark the items studied, then unmark those recalled: what is left is still to come
        to_come = np.zeros((len(studied), 1 + max(np.max(studied), np.max(choices))), bool)
        np.put_along_axis(to_come, studied.astype(int), True, axis=1)
        np.put_along_axis(to_come, choices.astype(int), False, axis=1)
        ended_early = np.any(to_come[:, 1:], axis=1)
    position = np.arange(choices.shape[1] + 1)
    is_stop = (position == n_choices[:, None]) & ended_early[:, None]
    return (position < n_choices[:, None]) | is_stop


def ordered_sum(values: Float[Array, "n ..."]) -> Float[Array, "..."]:
    """Return the sum along the first axis, from first to last: zeros in between change no bit.

    Examples:
        >>> float(ordered_sum(jnp.array([0.1, 0.0, 0.2])) - ordered_sum(jnp.array([0.1, 0.2])))
        0.0
    """
    total = jnp.zeros(values.shape[1:], values.dtype)
    return jax.lax.scan(lambda total, value: (total + value, None), total, values)[0]
