"""Stopping: what ends recall before the next item.

A stopping rule gives the probability of that from a `RecallState`. It says nothing of recall that
has already ended, nor of an empty list: a model adds those. `ContextCompetition` is no rule but a
rival: stopping competes with the items for what context supports.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxcmr.math import FLOOR, exponential_stop
from jaxcmr.typing import Parameters

__all__ = [
    "ContextCompetition",
    "NoTermination",
    "PositionalTermination",
    "RecallState",
    "SupportRatioTermination",
    "published_context_competition",
]


class RecallState(NamedTuple):
    """Where recall stands. Items are on the first axis; further axes hold further trials."""

    output_position: Int[Array, "..."]  # recalls made so far
    recallable: Bool[Array, "n_items ..."]
    recalled: Bool[Array, "n_items ..."] | None = None  # None where no rule asks for it
    support: Float[Array, "n_items ..."] | None = None  # of all items; None likewise


def highest(recallable: Bool[Array, "n_items ..."]) -> Float[Array, "..."]:
    """Highest stop probability: each recallable item keeps a chance of float32's epsilon."""
    return 1.0 - FLOOR * jnp.sum(recallable, axis=0)


class PositionalTermination(eqx.Module):
    """Stopping grows with output position j: ``min(scale exp(growth j), 1 - eps |r|)``.

    |r| is the number of recallable items and eps float32's epsilon, so that each recallable item
    keeps a chance (Kragel, Morton & Polyn, 2015).
    """

    scale: Float[Array, ""]
    growth: Float[Array, ""]

    @classmethod
    def create(cls, n_items: int, parameters: Parameters) -> PositionalTermination:
        """Reads ``stop_probability_scale`` (0 to 1) and ``stop_probability_growth`` (0 to 10)."""
        return cls(parameters["stop_probability_scale"], parameters["stop_probability_growth"])

    def __call__(self, state: RecallState) -> Float[Array, "..."]:
        """Stop probability."""
        curve = exponential_stop(state.output_position, self.scale, self.growth)
        return jnp.minimum(curve, highest(state.recallable))


class NoTermination(eqx.Module):
    """Recall goes on while anything is recallable, ``s = 0``: for losses that ignore stopping, as
    models of the order of recall do (Morton & Polyn, 2016)."""

    @classmethod
    def create(cls, n_items: int, parameters: Parameters) -> NoTermination:
        """Reads no parameter."""
        return cls()

    def __call__(self, state: RecallState) -> Float[Array, "..."]:
        """Stop probability: 0."""
        return jnp.zeros(state.recallable.shape[1:])


class SupportRatioTermination(eqx.Module):
    """Stopping grows as the items still to come lose support against those already recalled:
    ``min(scale + exp(-growth R), 1 - eps |r|)``.

    R is the summed support of the recallable items over that of the recalled ones; before the first
    recall it is infinite. Source: Kragel, Morton & Polyn (2015).
    """

    scale: Float[Array, ""]
    growth: Float[Array, ""]

    @classmethod
    def create(cls, n_items: int, parameters: Parameters) -> SupportRatioTermination:
        """Reads ``stop_probability_scale`` (0 to 1) and ``stop_probability_growth`` (0 to 10)."""
        return cls(parameters["stop_probability_scale"], parameters["stop_probability_growth"])

    def __call__(self, state: RecallState) -> Float[Array, "..."]:
        """Stop probability."""
        assert state.support is not None and state.recalled is not None
        to_come = jnp.sum(jnp.where(state.recallable, state.support, 0.0), axis=0)
        recalled = jnp.sum(jnp.where(state.recalled, state.support, 0.0), axis=0)
        ratio = to_come / jnp.where(recalled > 0, recalled, 1.0)
        fading = jnp.where(recalled > 0, jnp.exp(-self.growth * ratio), 0.0)
        return jnp.minimum(self.scale + fading, highest(state.recallable))


class ContextCompetition(eqx.Module):
    """Stopping as one more item, which context supports like the others and choice may take.

    It has no unit of context and no `item_support` of its own: every unit of the list supports it
    with `shared_support`, and the end of the list is associated with it as the last item was. The
    probability to stop is its share of the choice (Gunn & Polyn, 2025). In their program the share
    of an item is discounted by the probability to stop once more, so that probabilities do not sum
    to one: `published_context_competition` makes that.
    """

    trace: Float[Array, " units"]  # support for stopping from each unit of context
    discounts_twice: bool = eqx.field(static=True, default=False)

    @classmethod
    def create(cls, n_items: int, parameters: Parameters) -> ContextCompetition:
        """Reads ``shared_support`` (0 to 100)."""
        return cls(parameters["shared_support"] * jnp.ones(n_items + 1).at[0].set(0.0))

    def learn(
        self, context: Float[Array, " units"], attention: Float[Array, ""]
    ) -> ContextCompetition:
        """The rival once the list has ended in `context`."""
        return replace(self, trace=self.trace + attention * context)

    def support(self, context: Float[Array, " units"]) -> Float[Array, ""]:
        """Support of `context` for stopping."""
        return jnp.sum(context * self.trace)


def published_context_competition(n_items: int, parameters: Parameters) -> ContextCompetition:
    """`ContextCompetition` as published, discounting twice; reads ``shared_support``."""
    return replace(ContextCompetition.create(n_items, parameters), discounts_twice=True)
