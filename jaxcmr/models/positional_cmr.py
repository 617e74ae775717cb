"""Positional CMR: for lists that repeat items, CMR whose unit is the study event, not the item.

Each study event has a unit of context and associations of its own, which a repetition does not
change; recall of a repeated item reinstates all of its contexts. Without repetitions it is CMR. In
the variant with out-of-list context, a repetition also reinstates a context new to the list.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxcmr.components import LinearMemory, TemporalContext, context_to_item, item_to_context
from jaxcmr.components.linear_memory import ITEM_SUPPORT, LEARNING_RATE, SHARED_SUPPORT
from jaxcmr.math import (
    append_axes,
    combine_rows,
    highest,
    is_any,
    is_unit,
    total,
    unit_length,
    with_item_axis,
)
from jaxcmr.models import cmr
from jaxcmr.models._replay import Replay
from jaxcmr.parameters import ABOVE_0, BELOW_1, Parameter, reads
from jaxcmr.typing import Features, MemorySearchFactory, Parameters, RecallDataset

__all__ = [
    "OutListContext",
    "PositionalCMR",
    "PositionalCMRFactory",
    "make_factory",
    "make_out_list_factory",
]

OUT_LIST_RATE = Parameter(
    "out_list_rate",
    ABOVE_0,
    BELOW_1,
    "r",
    "Share of out-of-list context in what a repetition puts into context.",
    limits=(0.0, 1.0),
)


class PositionalCMR(eqx.Module):
    """The state of the model within one trial. Every method returns a new model.

    Choices are item numbers. Item w, studied at the events P(w), is recalled with the summed
    probability of P(w), and brings back the mean of their contexts, weighted by it; none of P(w)
    can be recalled again.
    """

    events: cmr.CMR  # over study events
    item_at: Int[Array, "n_items ..."]  # the item of each study event; 0 where none has been yet

    def experience(self, choice: Int[Array, "..."]) -> PositionalCMR:
        """Return the model after studying item `choice` (0 is padding, no change)."""
        event = jnp.where(choice > 0, self.events.study_event + 1, 0)
        events = self.events
        if isinstance(events.context, OutListContext):
            is_repeat = is_any(self._events_of(choice))
            events = replace(events, context=events.context.meet(event, is_repeat))
        is_now = is_unit(event, len(self.item_at), self.item_at.ndim - 1)
        item = with_item_axis(choice).astype(self.item_at.dtype)
        return PositionalCMR(events.experience(event), jnp.where(is_now, item, self.item_at))

    def start_retrieving(self) -> PositionalCMR:
        """Return the model ready for its first recall."""
        return replace(self, events=self.events.start_retrieving())

    def retrieve(self, choice: Int[Array, "..."]) -> PositionalCMR:
        """Return the model after recalling item `choice`, or after stopping (0)."""
        its_events = self._events_of(choice)
        shares = jnp.where(its_events, self.events.stop_and_items()[1], 0.0)
        largest = with_item_axis(jax.lax.stop_gradient(highest(shares)))
        # a recall that the model rules out has no shares: its study events weigh the same
        alike = its_events.astype(shares.dtype)
        weights = jnp.where(largest > 0, shares / jnp.where(largest > 0, largest, 1.0), alike)
        pattern = weights / with_item_axis(jnp.maximum(total(weights), 1.0))
        events = self.events.reinstate(pattern, its_events, is_any(its_events))
        return replace(self, events=events)

    def activations(self) -> Float[Array, "n_items ..."]:
        """Return the support for each item: the sum of that for its study events."""
        return self._by_item(self.events.activations())

    def outcome_probabilities(self) -> Float[Array, "outcomes ..."]:
        """Return the probabilities of all outcomes, stopping first; they sum to one."""
        stop, of_events = self.events.stop_and_items()
        items = self._by_item(of_events)
        return jnp.concatenate([jnp.broadcast_to(stop, items.shape[1:])[None], items])

    def outcome_probability(self, choice: Int[Array, "..."]) -> Float[Array, "..."]:
        """Return the probability that the next event is recall of `choice`, or stopping (0)."""
        stop, of_events = self.events.stop_and_items()
        recalled = total(jnp.where(self._events_of(choice), of_events, 0.0))
        return jnp.where(choice > 0, recalled, stop)

    def _events_of(self, choice: Int[Array, "..."]) -> Bool[Array, "n_items ..."]:
        """Return whether each study event was one of item `choice`."""
        return (self.item_at == with_item_axis(choice)) & (with_item_axis(choice) > 0)

    def _by_item(self, values: Float[Array, "n_items ..."]) -> Float[Array, "n_items ..."]:
        """Return sums of `values` of study events, by item number."""
        items = append_axes(jnp.arange(1, len(values) + 1), self.item_at.ndim - 1)
        is_item = self.item_at[:, None] == items[None]
        return combine_rows(values, is_item.astype(values.dtype))


class OutListContext(eqx.Module):
    """Temporal context with a unit outside of the list for each study event, after the others.

    Where an event repeats an item, its input becomes ``(1 - r) u + r o``: u is what the item alone
    would put in, at unit length, o the event's fresh unit, r `out_list_rate`.
    """

    temporal: TemporalContext  # over 1 + 2 n_items units
    to_mix: Float[Array, "units ..."]  # what goes into the next input; all 0 for nothing
    out_list_rate: Float[Array, "..."]

    @classmethod
    @reads(OUT_LIST_RATE, vectorized=True)
    def create(cls, n_items: int, parameters: Parameters) -> OutListContext:
        """Return context at the start of a list of `n_items` study events."""
        temporal = TemporalContext.create(2 * n_items, parameters)
        return cls(temporal, jnp.zeros_like(temporal.state), parameters["out_list_rate"])

    @property
    def state(self) -> Float[Array, "units ..."]:
        """Return the present context."""
        return self.temporal.state

    def meet(self, event: Int[Array, "..."], is_repeat: Bool[Array, "..."]) -> OutListContext:
        """Return context before the input of study event `event` (1-based)."""
        n_units, rank = len(self.to_mix), self.to_mix.ndim - 1
        fresh = (
            n_units // 2 + event + 1
        )  # the number from 1 of the event's unit outside of the list
        is_fresh = is_unit(fresh, n_units, rank) & with_item_axis(is_repeat)
        return replace(self, to_mix=jnp.where(is_fresh, with_item_axis(self.out_list_rate), 0.0))

    def integrate(
        self, context_input: Float[Array, "units ..."], rate: Float[Array, "..."]
    ) -> OutListContext:
        """Return context drifted toward `context_input` at `rate` (in [0, 1])."""
        of_item = with_item_axis(1.0 - total(self.to_mix)) * unit_length(context_input)
        return replace(
            self,
            temporal=self.temporal.integrate(of_item + self.to_mix, rate),
            to_mix=jnp.zeros_like(self.to_mix),
        )

    def return_to_start(self, rate: Float[Array, "..."]) -> OutListContext:
        """Return context drifted toward the start of the list at `rate` (in [0, 1])."""
        return replace(self, temporal=self.temporal.return_to_start(rate))


@reads(LEARNING_RATE, vectorized=True)
def item_to_out_list_context(n_items: int, parameters: Parameters) -> LinearMemory:
    """Return `item_to_context` with out-of-list units, to which no item points before study."""
    within = item_to_context(n_items, parameters).state
    outside = jnp.zeros((n_items, n_items, *within.shape[2:]))
    return LinearMemory(jnp.concatenate([within, outside], axis=1))


@reads(SHARED_SUPPORT, ITEM_SUPPORT, vectorized=True)
def out_list_context_to_item(n_items: int, parameters: Parameters) -> LinearMemory:
    """Return `context_to_item` with out-of-list units, which support nothing before study."""
    within = context_to_item(n_items, parameters).state
    outside = jnp.zeros((n_items, n_items, *within.shape[2:]))
    return LinearMemory(jnp.concatenate([within, outside], axis=0))


class PositionalCMRFactory(eqx.Module, MemorySearchFactory):
    """Builds the model for the trials of a data set."""

    events: cmr.CMRFactory

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Return the parameters of CMR over study events."""
        return self.events.parameters

    @property
    def vectorized(self) -> bool:
        """Return whether CMR over study events works for many candidates at once."""
        return self.events.vectorized

    @property
    def allows_repeats(self) -> bool:
        """Return whether what was recalled may be recalled again."""
        return self.events.allows_repeats

    def study_lists(self, dataset: RecallDataset) -> np.ndarray:
        """Return the study-list id of each trial, equal where the study lists are."""
        return self.events.study_lists(dataset)

    def move_to_trial(self, model: PositionalCMR, trial_index: Int[Array, "..."]) -> PositionalCMR:
        """Return the model that has studied a trial, with the cues of another."""
        return replace(model, events=self.events.move_to_trial(model.events, trial_index))

    def create_trial_model(
        self, trial_index: Int[Array, "..."], parameters: Parameters
    ) -> PositionalCMR:
        """Return the model before its first study event."""
        events = self.events.create_trial_model(trial_index, parameters)
        return PositionalCMR(events, jnp.zeros(events.recallable.shape, int))

    def replay(self, dataset: RecallDataset) -> Replay | None:
        """Return the replay of CMR, equal where no trial repeats an item; else None."""
        return self.events.replay(dataset)


def make_factory(**parts: Any) -> PositionalCMRMaker:
    """Return the factory of positional CMR.

    Args:
        **parts: of the CMR over study events, as for `jaxcmr.models.cmr.make_factory`. Cues see
            study events as items.

    Returns:
        ``Factory(dataset, features=None) -> PositionalCMRFactory``. ``pres_itemnos`` may hold an
        item number more than once, none above the longest list's length (a ValueError).

    >>> len(make_factory().parameters)
    11
    """
    return make_maker(cmr.make_factory(**parts))


def make_out_list_factory(**parts: Any) -> PositionalCMRMaker:
    """Return the factory of positional CMR with out-of-list context (`OutListContext`).

    `mfc`, `mcf` and `context` are its own, other parts as for `make_factory`. Without repetitions,
    and at ``out_list_rate`` 0, it is the same model as that of `make_factory`.

    >>> make_out_list_factory().parameters[-1].name
    'out_list_rate'
    """
    return make_factory(
        mfc=item_to_out_list_context,
        mcf=out_list_context_to_item,
        context=OutListContext.create,
        **parts,
    )


@dataclass(frozen=True)
class PositionalCMRMaker:
    """What `make_factory` returns: a function of data that pickles, equal where its CMR is."""

    events: cmr.CMRMaker

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Return the parameters of the model, without those fixed."""
        return self.events.parameters

    def __call__(self, dataset: RecallDataset, features: Features = None) -> PositionalCMRFactory:
        """Return the factory of the models of the trials of `dataset`."""
        return PositionalCMRFactory(self.events(with_events_for_items(dataset), features))


make_maker = lru_cache(PositionalCMRMaker)
"""Returns the same maker for the same CMR."""


def with_events_for_items(dataset: RecallDataset) -> RecallDataset:
    """Return `dataset` with ``pres_itemnos`` that number the study events of each trial."""
    items = np.asarray(dataset["pres_itemnos"])
    n_items = int(np.max(dataset["listLength"]))
    if np.max(items, initial=0) > n_items or np.any(np.sum(items > 0, axis=1) > n_items):
        raise ValueError(
            f"The longest list has {n_items} items ('listLength'), but 'pres_itemnos' holds item "
            f"numbers up to {np.max(items)} and up to {np.max(np.sum(items > 0, axis=1))} items "
            "per trial. Number the items of each list from 1, repeated items by the same number."
        )
    return {**dataset, "pres_itemnos": np.where(items > 0, np.cumsum(items > 0, axis=1), 0)}
