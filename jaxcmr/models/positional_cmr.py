"""Positional CMR: for lists that repeat items, CMR whose unit is the study event, not the item.

Each study event has a unit of context and associations of its own, which a repetition leaves as
they are; recall of a repeated item brings back all of its contexts. Without repetitions it is CMR.
In the variant with out-of-list context, a repetition also brings to mind something new to the list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxcmr.components import LinearMemory, TemporalContext, context_to_item, item_to_context
from jaxcmr.math import unit_length
from jaxcmr.models import cmr
from jaxcmr.models._replay import Replay
from jaxcmr.parameters import Limits
from jaxcmr.typing import Parameters, RecallDataset

__all__ = [
    "OUT_LIST_BOUNDS",
    "USUAL_BOUNDS",
    "OutListContext",
    "PositionalCMR",
    "PositionalCMRFactory",
    "make_factory",
    "make_out_list_factory",
]

USUAL_BOUNDS: Mapping[str, tuple[float, float]] = cmr.USUAL_BOUNDS
"""Bounds for fits, by parameter name."""

OUT_LIST_BOUNDS: Mapping[str, tuple[float, float]] = {
    **USUAL_BOUNDS,
    "out_list_rate": cmr.USUAL_BOUNDS["encoding_drift_rate"],
}
"""The same with out-of-list context."""

LIMITS: Limits = {"out_list_rate": (0.0, 1.0)}
"""Where the share of out-of-list context is a share."""


class PositionalCMR(eqx.Module):
    """The state of the model within one trial. Every method returns a new model.

    Choices are item numbers. Item w, studied at the events P(w), is recalled with the summed
    probability of P(w), and brings back the mean of their contexts, weighted by it; none of P(w)
    can be recalled again.
    """

    events: cmr.CMR  # over study events
    item_at: Int[Array, " n_items"]  # the item of each study event; 0 where none has been yet

    def experience(self, choice: Int[Array, ""]) -> PositionalCMR:
        """The model after studying item `choice` (0 is padding and changes nothing)."""
        event = jnp.where(choice > 0, self.events.study_event + 1, 0)
        events = self.events
        if isinstance(events.context, OutListContext):
            is_repeat = jnp.any(self._events_of(choice))
            events = replace(events, context=events.context.meet(event, is_repeat))
        is_now = jnp.arange(1, len(self.item_at) + 1) == event
        return PositionalCMR(
            events.experience(event),
            jnp.where(is_now, choice, self.item_at).astype(self.item_at.dtype),
        )

    def start_retrieving(self) -> PositionalCMR:
        """The model ready for its first recall."""
        return replace(self, events=self.events.start_retrieving())

    def retrieve(self, choice: Int[Array, ""]) -> PositionalCMR:
        """The model after recalling item `choice`, or after stopping (0)."""
        its_events = self._events_of(choice)
        shares = jnp.where(its_events, self.events.outcome_probabilities()[1:], 0.0)
        largest = jax.lax.stop_gradient(jnp.max(shares))
        # an event that the model rules out has no shares: its study events then weigh alike
        weights = jnp.where(largest > 0, shares / jnp.where(largest > 0, largest, 1.0), its_events)
        pattern = weights / jnp.maximum(jnp.sum(weights), 1.0)
        return replace(self, events=self.events.reinstate(pattern, its_events))

    def activations(self) -> Float[Array, " n_items"]:
        """Support for each item: the sum of that for its study events."""
        return self._by_item(self.events.activations())

    def outcome_probabilities(self) -> Float[Array, " n_items+1"]:
        """Probabilities of all outcomes, stopping first; they sum to one."""
        outcomes = self.events.outcome_probabilities()
        return jnp.concatenate([outcomes[:1], self._by_item(outcomes[1:])])

    def outcome_probability(self, choice: Int[Array, ""]) -> Float[Array, ""]:
        """Probability that the next event is recall of item `choice`, or stopping (0)."""
        return self.outcome_probabilities()[choice]

    def _events_of(self, choice: Int[Array, ""]) -> Bool[Array, " n_items"]:
        """Whether each study event was one of item `choice`."""
        return (self.item_at == choice) & (choice > 0)

    def _by_item(self, values: Float[Array, " n_items"]) -> Float[Array, " n_items"]:
        """Sums of `values` of study events, by item number."""
        items = jnp.arange(1, len(values) + 1)
        return jnp.sum(
            jnp.where(self.item_at[None, :] == items[:, None], values[None, :], 0.0), axis=1
        )


class OutListContext(eqx.Module):
    """Temporal context with a unit outside of the list for each study event, after the others.

    Where an event repeats an item, its input becomes ``(1 - r) u + r o``: u is what the item alone
    would put in, at unit length, o the event's fresh unit, r `out_list_rate`.
    """

    temporal: TemporalContext  # over 1 + 2 n_items units
    to_mix: Float[Array, " units"]  # what goes into the next input; all 0 for nothing
    out_list_rate: Float[Array, ""]

    @classmethod
    def create(cls, n_items: int, parameters: Parameters) -> OutListContext:
        """Reads ``out_list_rate`` (0 to 1)."""
        temporal = TemporalContext.create(2 * n_items, parameters)
        return cls(temporal, jnp.zeros_like(temporal.state), parameters["out_list_rate"])

    @property
    def state(self) -> Float[Array, " units"]:
        """Context now."""
        return self.temporal.state

    def meet(self, event: Int[Array, ""], is_repeat: Bool[Array, ""]) -> OutListContext:
        """Context about to take the input of study event `event` (1-based)."""
        units = jnp.arange(len(self.to_mix))
        is_fresh = is_repeat & (units == len(units) // 2 + event)
        return replace(self, to_mix=jnp.where(is_fresh, self.out_list_rate, 0.0))

    def integrate(
        self, context_input: Float[Array, " units"], rate: Float[Array, ""]
    ) -> OutListContext:
        """Context drifted towards `context_input` at `rate` (in [0, 1])."""
        mixed = (1.0 - jnp.sum(self.to_mix)) * unit_length(context_input) + self.to_mix
        return replace(
            self,
            temporal=self.temporal.integrate(mixed, rate),
            to_mix=jnp.zeros_like(self.to_mix),
        )

    def return_to_start(self, rate: Float[Array, ""]) -> OutListContext:
        """Context drifted towards the start of the list at `rate` (in [0, 1])."""
        return replace(self, temporal=self.temporal.return_to_start(rate))


def item_to_out_list_context(n_items: int, parameters: Parameters) -> LinearMemory:
    """`item_to_context`, where no item points out of the list before study."""
    within = item_to_context(n_items, parameters).state
    return LinearMemory(jnp.pad(within, ((0, 0), (0, n_items))))


def out_list_context_to_item(n_items: int, parameters: Parameters) -> LinearMemory:
    """`context_to_item`, where nothing out of the list supports an item before study."""
    within = context_to_item(n_items, parameters).state
    return LinearMemory(jnp.pad(within, ((0, n_items), (0, 0))))


class PositionalCMRFactory(eqx.Module):
    """Builds the model for the trials of a data set (a `jaxcmr.typing.MemorySearchFactory`)."""

    events: cmr.CMRFactory

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the parameters that the model reads, but for those fixed."""
        return self.events.parameter_names

    @property
    def parameter_scales(self) -> Mapping[str, str]:
        """Parameters better searched on a logarithmic scale."""
        return self.events.parameter_scales

    @property
    def parameter_limits(self) -> Limits:
        """Lowest and highest value of parameters for which the model is defined."""
        return {**self.events.parameter_limits, **LIMITS}

    @property
    def allows_repeats(self) -> bool:
        """Whether what was recalled may be recalled again."""
        return self.events.allows_repeats

    def study_lists(self, dataset: RecallDataset) -> np.ndarray:
        """An integer a trial, equal where the study list is."""
        return self.events.study_lists(dataset)

    def create_trial_model(
        self, trial_index: Int[Array, ""], parameters: Parameters
    ) -> PositionalCMR:
        """The model before its first study event."""
        events = self.events.create_trial_model(trial_index, parameters)
        return PositionalCMR(events, jnp.zeros(self.events.n_items, int))

    def replay(self, dataset: RecallDataset) -> Replay | None:
        """That of CMR, which the model is where no trial repeats an item; else None."""
        return self.events.replay(dataset)


def make_factory(**parts: Any) -> PositionalCMRMaker:
    """The factory of positional CMR; the same arguments give the same factory.

    Args:
        **parts: of the CMR over study events, as for `jaxcmr.models.cmr.make_factory`. Cues see
            study events as items.

    Returns:
        ``Factory(dataset, features=None) -> PositionalCMRFactory``. ``pres_itemnos`` may hold an
        item number more than once, none above the longest list's length (a ValueError).
    """
    return maker_of(cmr.make_factory(**parts))


def make_out_list_factory(**parts: Any) -> PositionalCMRMaker:
    """The factory of positional CMR with out-of-list context (`OutListContext`), as `make_factory`
    makes that without; `mfc`, `mcf` and `context` are its own. Without repetitions, and at
    ``out_list_rate`` 0, the two are the same."""
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

    def __call__(self, dataset: RecallDataset, features: Any = None) -> PositionalCMRFactory:
        """The factory of the models of the trials of `dataset`."""
        return PositionalCMRFactory(self.events(with_events_for_items(dataset), features))


maker_of = lru_cache(PositionalCMRMaker)
"""The same maker for the same CMR."""


def with_events_for_items(dataset: RecallDataset) -> RecallDataset:
    """`dataset` with ``pres_itemnos`` that number the study events of each trial."""
    items = np.asarray(dataset["pres_itemnos"])
    n_items = int(np.max(dataset["listLength"]))
    if np.max(items, initial=0) > n_items or np.any(np.sum(items > 0, axis=1) > n_items):
        raise ValueError(
            f"The longest list has {n_items} items ('listLength'), but 'pres_itemnos' holds item "
            f"numbers up to {np.max(items)} and up to {np.max(np.sum(items > 0, axis=1))} items a "
            "trial. Number the items of each list from 1, repeated ones alike."
        )
    return {**dataset, "pres_itemnos": np.where(items > 0, np.cumsum(items > 0, axis=1), 0)}
