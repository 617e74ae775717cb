"""Negative log-likelihood of recall sequences, event by event.

Source: Kragel, Morton & Polyn (2015): a trial's probability is the product, over its recalls and
the stop that ends them, of the probability that the model gives each event after the ones before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxcmr.loss._likelihood import LikelihoodGenerator, TrialLikelihood
from jaxcmr.math import safe_log
from jaxcmr.parameters import bind, doubles
from jaxcmr.simulation import compiled_once
from jaxcmr.trials import TrialSet, TrialSets, as_rows, ordered_sum
from jaxcmr.typing import MemorySearch, MemorySearchFactory, Parameters, RecallDataset, Replay

__all__ = [
    "EVENTS",
    "MemorySearchLikelihoodFnGenerator",
    "ReplayedLikelihood",
    "SequenceLikelihood",
    "event_nll",
]

MOST_AT_ONCE = 32  # trials replayed side by side; more keep no core busier and take more memory
VECTOR = 16  # numbers of single precision in the longest vectors of today's processors

EVENTS: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "all": lambda position, choices: position >= 0,
    "recalls": lambda position, choices: choices > 0,
    "after_first": lambda position, choices: position > 0,
    "recalls_after_first": lambda position, choices: (position > 0) & (choices > 0),
}
"""Which events count, by name, given output positions from 0 and choices ``(trials, events)``.
Events after the stop never do."""


@compiled_once
def event_nll(
    model: MemorySearch,
    choices: Int[Array, " events"],
    counts: Bool[Array, " events"] | bool = True,
) -> Float[Array, " events"]:
    """``-log P`` of each recall event, given a model that has studied the list.

    Args:
        model: ready for its first recall.
        choices: item numbers in order of recall; the first 0 is the stop and is scored, later
            zeros are not.
        counts: which events to score; the model goes through the others all the same.

    Returns:
        Nats per event, 0 where there is no event; infinite where the model rules the event out.
    """

    def score(model: MemorySearch, choice: Int[Array, ""]) -> tuple[Any, Float[Array, ""]]:
        return model.retrieve(choice), model.outcome_probability(choice)

    _, probabilities = jax.lax.scan(score, model, choices)
    happened = jnp.concatenate([jnp.array([True]), choices[:-1] > 0])
    return -safe_log(probabilities, happened & counts)


class SequenceLikelihood(TrialLikelihood):
    """Negative log-likelihood (nats) of the recalls of a set of trials, as a `LossFn`."""

    trials: TrialSet
    counts: Bool[Array, "all_trials events"] | None = None  # None: all events

    def nll_of_trial(self, model: MemorySearch, trial: Int[Array, ""]) -> Float[Array, " events"]:
        """``-log P`` of each event of a trial that counts, 0 for the others."""
        counts = True if self.counts is None else self.counts[trial]
        return event_nll(model, self.trials.choices[trial], counts)


class ReplayedLikelihood(eqx.Module):
    """The same loss, of a model that scores whole trials at once: trials in blocks, -1 for none."""

    replay: Replay
    trials: Int[Array, "blocks width"]
    base_params: dict[str, np.ndarray]
    free_param_names: tuple[str, ...] = eqx.field(static=True)

    has_slope: ClassVar[bool] = True

    @compiled_once
    def __call__(self, x: Float[Array, "n_params ..."]) -> Float[Array, "..."]:
        """The loss of parameter vector(s) `x`, whose rows are the free parameters."""
        if jnp.ndim(x) == 1:
            return self(x[:, None])[0]
        n_candidates = x.shape[1]
        if n_candidates > VECTOR:  # whole vectors: what is left over would go one by one
            x = jnp.pad(x, ((0, 0), (0, -n_candidates % VECTOR)), mode="edge")
        parameters = {
            name: jnp.broadcast_to(jnp.asarray(value, jnp.result_type(float)), x.shape[1:])
            for name, value in bind(self.base_params, self.free_param_names, x).items()
        }

        def of_block(trials: Int[Array, " width"]) -> Float[Array, "width candidates"]:
            nll = self.replay.nll(parameters, jnp.maximum(trials, 0))
            return jnp.where(trials[:, None] >= 0, nll, 0.0)

        per_trial = jnp.concatenate(jax.lax.map(of_block, self.trials))
        return ordered_sum(per_trial)[:n_candidates]


class MemorySearchLikelihoodFnGenerator(LikelihoodGenerator):
    """Makes sequence likelihoods of sets of trials of one data set (a `LossFnGenerator`).

    Args:
        model_factory: name of a model, or ``(dataset, features) -> factory``.
        dataset: recall data; its ``pres_itemnos`` are studied, its ``recalls`` scored.
        features: passed to `model_factory`.
        events: which events add to the loss. ``"all"``; ``"recalls"``: not the stop;
            ``"after_first"``: not the event that recall begins with, so that the rest is
            conditional on it (a trial without recalls, whose first event is its stop, adds
            nothing); ``"recalls_after_first"``: neither. The probabilities are the same in all
            cases. Hence stopping discounts recalls even where stops do not count, and a fit that
            is free to do so drives stopping to 0: hold ``stop_probability_scale`` at 0, or give
            the model a stopping rule that does not stop.

    Raises:
        ValueError: `events` is none of these.
    """

    def __init__(
        self,
        model_factory: str | Callable[..., MemorySearchFactory],
        dataset: RecallDataset,
        features: Any = None,
        *,
        events: str = "all",
    ) -> None:
        self.trial_sets = TrialSets(model_factory, dataset, features)
        is_typed = getattr(self.trial_sets.factory, "choices_are_ids", False)
        until = "list length" if is_typed else "all items"
        self.n_events, self.counts = events_that_count(self.trial_sets, events, until)
        self.width = width_of_blocks(np.asarray(dataset["subject"]), MOST_AT_ONCE)
        self.replay: Replay | None = None
        if events == "all":
            make_replay = getattr(self.trial_sets.factory, "replay", None)
            self.replay = None if make_replay is None else make_replay(dataset)

    def __call__(
        self,
        trial_indices: np.ndarray,
        base_params: Parameters,
        free_param_names: Sequence[str],
    ) -> SequenceLikelihood | ReplayedLikelihood:
        """The loss over `trial_indices` (0-based rows; -1 is "no trial" and adds nothing)."""
        if self.replay is None:
            return self._by_event(trial_indices, base_params, free_param_names)
        rows = as_rows(trial_indices, len(self.trial_sets.choices))
        return ReplayedLikelihood(
            self.replay,
            jnp.asarray(in_blocks(rows, self.width)),
            doubles(base_params),
            tuple(free_param_names),
        )

    def _by_event(
        self, trial_indices: np.ndarray, base_params: Parameters, free_param_names: Sequence[str]
    ) -> SequenceLikelihood:
        trials = self.trial_sets(trial_indices, base_params, free_param_names)
        return SequenceLikelihood(trials, self.counts)


def events_that_count(
    trial_sets: TrialSets, events: str, until: str
) -> tuple[Int[np.ndarray, " all_trials"], Bool[Array, "all_trials events"] | None]:
    """How many events of each trial count, and which; None for all up to the first 0.

    Args:
        trial_sets: get a column for the stop where a full row has one.
        events: a name of `EVENTS`; a ValueError if it is another.
        until: that of `jaxcmr.trials.events_scored`.
    """
    if events not in EVENTS:
        raise ValueError(f"events is one of {', '.join(EVENTS)}; got {events!r}.")
    is_event = trial_sets.score_stops(until)
    choices = np.asarray(trial_sets.choices)
    counts = is_event & EVENTS[events](np.arange(choices.shape[1]), choices)
    happened = np.pad(choices[:, :-1] > 0, ((0, 0), (1, 0)), constant_values=True)
    all_count = np.array_equal(counts, happened)
    return counts.sum(axis=1), None if all_count else jnp.asarray(counts)


def width_of_blocks(subjects: np.ndarray, most: int) -> int:
    """How many trials to take at once, at most `most`: what fills blocks of the largest subject.

    It depends on the data set, not on the trials asked for, as slopes are sums over a block: padded
    ones of a subject are then the same bit for bit.
    """
    largest = int(np.max(np.unique(subjects, return_counts=True)[1]))
    return -(-largest // -(-largest // most))


def in_blocks(trials: np.ndarray, width: int) -> np.ndarray:
    """Trial numbers in rows of `width`, filled up with -1."""
    n_blocks = max(1, -(-len(trials) // width))
    return np.pad(trials, (0, n_blocks * width - len(trials)), constant_values=-1).reshape(
        n_blocks, width
    )
