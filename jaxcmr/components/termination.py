"""Stopping rules: the probability that recall ends before the next item.

A rule computes it from a `RecallState`, for a recall that has not ended and items that are left; a
model handles the other cases. `ContextCompetition` is not a stopping rule but an extra choice
alternative, which context supports as it supports items.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxcmr.components.linear_memory import SHARED_SUPPORT
from jaxcmr.math import FLOOR, append_axes, exponential_stop, total, with_item_axis
from jaxcmr.parameters import ABOVE_0, BELOW_1, Parameter, count_axes, reads
from jaxcmr.typing import Parameters

__all__ = [
    "ContextCompetition",
    "NoTermination",
    "PositionalTermination",
    "RecallState",
    "SupportRatioTermination",
    "published_context_competition",
]

STOP_PROBABILITY_SCALE = Parameter(
    "stop_probability_scale",
    ABOVE_0,
    BELOW_1,
    "θ_s",
    "Probability that recall stops before the first item.",
    scale="log",
    limits=(0.0, 1.0),
)
STOP_PROBABILITY_GROWTH = Parameter(
    "stop_probability_growth",
    ABOVE_0,
    10.0,
    "θ_r",
    "Exponential growth of the stop probability from one output position to the next.",
    scale="log",
)
STOP_RATIO_SCALE = replace(
    STOP_PROBABILITY_SCALE, meaning="Lowest stop probability, and that before the first recall."
)
STOP_RATIO_GROWTH = replace(
    STOP_PROBABILITY_GROWTH,
    meaning="How fast the stop probability falls with the ratio of support left to support used.",
)


class RecallState(NamedTuple):
    """Where recall stands. Items are on the first axis; further axes hold further trials."""

    output_position: Int[Array, "..."]  # recalls made so far
    recallable: Bool[Array, "n_items ..."]
    recalled: Bool[Array, "n_items ..."] | None = None  # None where no rule needs it
    support: Float[Array, "n_items ..."] | None = None  # of all items; None where not needed


def cap(recallable: Bool[Array, "n_items ..."]) -> Float[Array, "..."]:
    """Return the highest stop probability: each recallable item keeps a chance of epsilon."""
    return 1.0 - FLOOR * total(recallable.astype(float))


class PositionalTermination(eqx.Module):
    """Stopping grows with output position j: ``min(scale exp(growth j), 1 - eps |r|)``.

    |r| is the number of recallable items and eps float32's epsilon, so that each recallable item
    keeps a chance (Kragel, Morton & Polyn, 2015).

    >>> values = {"stop_probability_scale": 0.1, "stop_probability_growth": 0.5}
    >>> stop = PositionalTermination.create(2, values)
    >>> float(stop(RecallState(jnp.array(2), jnp.array([True, False]))).round(3))
    0.272
    """

    scale: Float[Array, "..."]
    growth: Float[Array, "..."]

    @classmethod
    @reads(STOP_PROBABILITY_SCALE, STOP_PROBABILITY_GROWTH, vectorized=True)
    def create(cls, n_items: int, parameters: Parameters) -> PositionalTermination:
        """Return the rule with the scale and growth of `parameters`."""
        return cls(parameters["stop_probability_scale"], parameters["stop_probability_growth"])

    def __call__(self, state: RecallState) -> Float[Array, "..."]:
        """Return the stop probability."""
        curve = exponential_stop(state.output_position, self.scale, self.growth)
        return jnp.minimum(curve, cap(state.recallable))


class NoTermination(eqx.Module):
    """Recall goes on until no item is left: stop probability 0.

    For losses that ignore stopping, as models of recall order do (Morton & Polyn, 2016).

    >>> float(NoTermination.create(2, {})(RecallState(jnp.array(3), jnp.array([True, False]))))
    0.0
    """

    @classmethod
    @reads(vectorized=True)
    def create(cls, n_items: int, parameters: Parameters) -> NoTermination:
        """Return the rule."""
        return cls()

    def __call__(self, state: RecallState) -> Float[Array, "..."]:
        """Return the stop probability, 0."""
        return jnp.zeros(state.recallable.shape[1:])


class SupportRatioTermination(eqx.Module):
    """Stopping grows as the items still to come lose support against those already recalled:
    ``min(scale + exp(-growth R), 1 - eps |r|)``.

    R is the summed support of the recallable items over that of the recalled ones; before the first
    recall it is infinite. Source: Kragel, Morton & Polyn (2015).

    >>> values = {"stop_probability_scale": 0.1, "stop_probability_growth": 0.5}
    >>> left, used = jnp.array([True, False]), jnp.array([False, True])
    >>> state = RecallState(jnp.array(1), left, used, support=jnp.array([2.0, 1.0]))
    >>> float(SupportRatioTermination.create(2, values)(state).round(3))
    0.468
    """

    scale: Float[Array, "..."]
    growth: Float[Array, "..."]

    @classmethod
    @reads(STOP_RATIO_SCALE, STOP_RATIO_GROWTH, vectorized=True)
    def create(cls, n_items: int, parameters: Parameters) -> SupportRatioTermination:
        """Return the rule with the scale and growth of `parameters`."""
        return cls(parameters["stop_probability_scale"], parameters["stop_probability_growth"])

    def __call__(self, state: RecallState) -> Float[Array, "..."]:
        """Return the stop probability."""
        assert state.support is not None and state.recalled is not None
        to_come = total(jnp.where(state.recallable, state.support, 0.0))
        recalled = total(jnp.where(state.recalled, state.support, 0.0))
        ratio = to_come / jnp.where(recalled > 0, recalled, 1.0)
        fading = jnp.where(recalled > 0, jnp.exp(-self.growth * ratio), 0.0)
        return jnp.minimum(self.scale + fading, cap(state.recallable))


class ContextCompetition(eqx.Module):
    """Stopping as an extra choice alternative, which context supports as it supports items.

    It has neither a unit of context nor an ``item_support`` of its own: every unit of the list
    supports it with ``shared_support``, and the context at the end of the list is associated with
    it as strongly as with the last item. Its share of the choice is the stop probability (Gunn &
    Polyn, 2025). Their program multiplies the share of an item by one minus the stop probability
    once more, so that probabilities do not sum to one: `published_context_competition` does that.

    >>> stop = ContextCompetition.create(2, {"shared_support": 2.0})
    >>> float(stop.support(jnp.array([0.0, 0.5, 0.5])))
    2.0
    """

    trace: Float[Array, "units ..."]  # support for stopping from each unit of context
    discounts_twice: bool = eqx.field(static=True, default=False)

    @classmethod
    @reads(SHARED_SUPPORT, vectorized=True)
    def create(cls, n_items: int, parameters: Parameters) -> ContextCompetition:
        """Return the alternative before study, supported by the units of the list."""
        of_list = append_axes(jnp.ones(n_items + 1).at[0].set(0.0), count_axes(parameters))
        return cls(with_item_axis(parameters["shared_support"]) * of_list)

    def learn(
        self, context: Float[Array, "units ..."], attention: Float[Array, "..."]
    ) -> ContextCompetition:
        """Return the alternative once the list has ended in `context`."""
        return replace(self, trace=self.trace + with_item_axis(attention) * context)

    def support(self, context: Float[Array, "units ..."]) -> Float[Array, "..."]:
        """Return the support of `context` for stopping."""
        return total(context * self.trace)


@reads(SHARED_SUPPORT, vectorized=True)
def published_context_competition(n_items: int, parameters: Parameters) -> ContextCompetition:
    """Return `ContextCompetition` as published, which discounts items twice.

    >>> published_context_competition(2, {"shared_support": 2.0}).discounts_twice
    True
    """
    return replace(ContextCompetition.create(n_items, parameters), discounts_twice=True)
