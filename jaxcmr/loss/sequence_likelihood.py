"""Negative log-likelihood of recall sequences, event by event.

Source: Kragel, Morton & Polyn (2015): a trial's probability is the product, over its recalls and
the stop that ends them, of the probability that the model gives each event after the ones before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxcmr._scan import scan_model
from jaxcmr.loss._likelihood import EventLikelihood, LikelihoodGenerator, fill_vectors
from jaxcmr.math import append_axes, safe_log
from jaxcmr.parameters import as_candidates, bind, to_double
from jaxcmr.simulation import compiled_once
from jaxcmr.trials import Blocks, ModelData, SelectedTrials, as_rows, map_rows, ordered_sum
from jaxcmr.typing import Features, MemorySearch, Model, Parameters, RecallDataset, Replay

__all__ = [
    "EVENTS",
    "MemorySearchLikelihoodFnGenerator",
    "ReplayedLikelihood",
    "SequenceLikelihood",
    "event_nll",
]


EVENTS: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "all": lambda position, choices: position >= 0,
    "recalls": lambda position, choices: choices > 0,
    "after_first": lambda position, choices: position > 0,
    "recalls_after_first": lambda position, choices: (position > 0) & (choices > 0),
}
"""Which events are scored, by name, given output positions from 0 and choices ``(trials, events)``.
Events after the stop never are."""


@compiled_once
def event_nll(
    model: MemorySearch,
    choices: Int[Array, " events"],
    is_scored: Bool[Array, " events"] | bool = True,
) -> Float[Array, "events ..."]:
    """Return ``-log P`` (nats) of each recall event, given those before it.

    Args:
        model: has studied the list (`jaxcmr.simulation.study`).
        choices: item numbers in order of recall; the first 0 is the stop and is scored, later
            zeros are not.
        is_scored: which events to score; the model goes through the others all the same.

    Returns:
        Nats of each event, 0 where there is no event; infinite if the model gives it probability 0.

    Examples:
        >>> from jaxcmr.models import usual_bounds
        >>> from jaxcmr.simulation import make_model_factory, study
        >>> data = {"listLength": np.array([[2]]), "pres_itemnos": np.array([[1, 2]])}
        >>> parameters = {**dict.fromkeys(usual_bounds("cmr"), 0.5), "stop_probability_scale": 0.0}
        >>> model = make_model_factory("cmr", data).create_trial_model(jnp.array(0), parameters)
        >>> first, second = event_nll(study(model, jnp.array([1, 2])), jnp.array([2, 1]))
        >>> bool(first > 0), bool(second < 1e-5)  # the last item is all that is left
        (True, True)
    """
    happens = jnp.concatenate([jnp.array([True]), choices[:-1] > 0])  # recall had not stopped

    def step(model: Any, choice: Int[Array, ""]) -> tuple[Any, Float[Array, "..."]]:
        return model.retrieve(choice), model.outcome_probability(choice)

    _, probabilities = scan_model(step, model, choices, happens)
    return -safe_log(probabilities, append_axes(happens & is_scored, probabilities.ndim - 1))


class SequenceLikelihood(EventLikelihood):
    """Negative log-likelihood (nats) of the recalls of a set of trials: a `LossFn`."""

    trials: SelectedTrials
    is_scored: Bool[Array, "all_trials events"] | None = None  # None: all events

    def nll_of_trial(
        self, model: MemorySearch, trial: Int[Array, ""]
    ) -> Float[Array, "events ..."]:
        """Return ``-log P`` of each event of a trial that is scored, 0 for the others."""
        is_scored = True if self.is_scored is None else self.is_scored[trial]
        return event_nll(model, self.trials.choices[trial], is_scored)


class ReplayedLikelihood(eqx.Module):
    """The same loss, of a model that scores whole trials of many candidates at once."""

    replay: Replay
    blocks: Int[Array, "blocks width"]  # rows of the data set; -1 is "no trial"
    base_params: dict[str, Float[np.ndarray, ""]]
    free_param_names: tuple[str, ...] = eqx.field(static=True)

    @compiled_once
    def __call__(self, x: Float[Array, "n_params ..."]) -> Float[Array, "..."]:
        """Return the loss of parameter vector(s) `x`, whose rows are the free parameters."""
        columns = fill_vectors(x[:, None] if jnp.ndim(x) == 1 else x)
        parameters = as_candidates(bind(self.base_params, self.free_param_names, columns), rank=1)

        def nll_of_block(trials: Int[Array, " width"]) -> Float[Array, "width candidates"]:
            # "no trial" is computed as the first one, then replaced by 0
            nats = self.replay.nll(parameters, jnp.where(trials >= 0, trials, trials[0]))
            # one value for all candidates if no parameter is free
            nats = jnp.broadcast_to(nats, (len(trials), columns.shape[1]))
            return jnp.where(trials[:, None] >= 0, nats, 0.0)

        nll = map_rows(nll_of_block, self.blocks, self.blocks[:, 0] >= 0, at_once=1)
        losses = ordered_sum(nll.reshape(-1, columns.shape[1]))
        return losses[0] if jnp.ndim(x) == 1 else losses[: x.shape[1]]


class MemorySearchLikelihoodFnGenerator(LikelihoodGenerator):
    """Makes sequence likelihoods of sets of trials of one data set.

    Args:
        model_factory: name of a model, or ``(dataset, features) -> factory``.
        dataset: recall data; its ``pres_itemnos`` are studied, its ``recalls`` scored.
        features: passed to `model_factory`.
        events: which events are scored. ``"all"``; ``"recalls"``: not the stop;
            ``"after_first"``: not the first event, so that the others are conditional on it (a
            trial without recalls, whose first event is its stop, adds nothing);
            ``"recalls_after_first"``: neither. The probability of an event is the same with each.
            Hence stopping discounts recalls even if stops are not scored, and a fit that is free to
            do so drives stopping to 0: hold ``stop_probability_scale`` at 0, or give the model a
            stopping rule that does not stop.

    Raises:
        ValueError: `events` is another word; or as for `jaxcmr.trials.ModelData`.

    Examples:
        >>> from jaxcmr.models import usual_bounds
        >>> data = {"subject": np.array([[1], [1]]), "listLength": np.array([[3], [3]]),
        ...         "pres_itemnos": np.array([[1, 2, 3]] * 2),
        ...         "recalls": np.array([[3, 1, 0], [0, 0, 0]])}
        >>> generator = MemorySearchLikelihoodFnGenerator("cmr", data)
        >>> generator.count_events(np.array([0, 1]))  # two recalls and a stop; a stop
        array([3, 1])
        >>> loss = generator(np.array([0, 1]), dict.fromkeys(usual_bounds("cmr"), 0.5), [])
        >>> round(float(loss(jnp.zeros(0))), 3)
        4.935
    """

    def __init__(
        self,
        model_factory: Model,
        dataset: RecallDataset,
        features: Features = None,
        *,
        events: str = "all",
    ) -> None:
        self.data = ModelData(model_factory, dataset, features)
        until = "list length" if self.data.factory.choices_are_ids else "all items"
        self.n_events, self.is_scored = score_events(self.data, events, until)
        self.n_given = recalls_given(self.data, events)
        self.counted = name_events(self.n_given)
        self.replay = self.data.factory.replay(dataset) if events == "all" else None
        if self.replay is not None:
            self.blocks = Blocks.of(dataset, self.replay.study_lists)

    @property
    def gradients(self) -> str:
        """Return "exact" for a model that is replayed, else "differences"."""
        return "differences" if self.replay is None else "exact"

    def __call__(
        self, trial_indices: np.ndarray, base_params: Parameters, free_param_names: Sequence[str]
    ) -> SequenceLikelihood | ReplayedLikelihood:
        """Return the loss over `trial_indices` (0-based rows; -1 is "no trial", adds nothing)."""
        if self.replay is None:
            return self.by_event(trial_indices, base_params, free_param_names)
        rows = as_rows(trial_indices, self.data.n_trials)
        return ReplayedLikelihood(
            self.replay,
            jnp.asarray(self.blocks.arrange(rows)),
            to_double(base_params),
            tuple(free_param_names),
        )

    def by_event(
        self, trial_indices: np.ndarray, base_params: Parameters, free_param_names: Sequence[str]
    ) -> SequenceLikelihood:
        """Return the loss as `__call__` does, with the model played event by event."""
        trials = self.data.select(trial_indices, base_params, free_param_names)
        return SequenceLikelihood(trials, self.is_scored)


def score_events(
    data: ModelData, events: str, until: str
) -> tuple[Int[np.ndarray, " all_trials"], Bool[Array, "all_trials events"] | None]:
    """Return how many events of each trial are scored, and which; None for all up to the first 0.

    Args:
        data: its choices get a column for a stop after a full row, if there is one.
        events: a name of `EVENTS`.
        until: that of `jaxcmr.trials.events_scored`.

    Raises:
        ValueError: `events` is unknown.
    """
    if events not in EVENTS:
        raise ValueError(f"events is one of {', '.join(EVENTS)}; got {events!r}.")
    is_event = data.score_stops(until)
    choices = np.asarray(data.choices)
    is_scored = is_event & EVENTS[events](np.arange(choices.shape[1]), choices)
    happened = np.pad(choices[:, :-1] > 0, ((0, 0), (1, 0)), constant_values=True)
    are_all = np.array_equal(is_scored, happened)
    return is_scored.sum(axis=1), None if are_all else jnp.asarray(is_scored)


def recalls_given(data: ModelData, events: str) -> Int[np.ndarray, " all_trials"] | None:
    """Return the number of recalls of each trial; None if `events` scores the stop after them."""
    a_stop_is_scored = EVENTS[events](np.array(1), np.array(0))  # after one recall
    return None if a_stop_is_scored else np.sum(np.asarray(data.choices) > 0, axis=1)


def name_events(n_given: Int[np.ndarray, " all_trials"] | None) -> str:
    """Return in words what is scored, by the recalls that are given."""
    return "scored recalls and stops" if n_given is None else "scored recalls"
