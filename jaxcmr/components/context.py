"""Temporal context: a unit-length vector that drifts towards each input.

Source: Howard & Kahana (2002); the start-of-list unit follows Morton & Polyn (2016). The drift of
Gunn & Polyn (2025), as their program has it, reckons unit by unit what is kept; it is another
model, with other optima.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxcmr.math import nearly_unit_length, safe_sqrt, unit_length
from jaxcmr.typing import Parameters

__all__ = ["TemporalContext", "drift", "drift_by_unit", "per_unit_context", "retained"]


def retained(overlap: Float[Array, "..."], rate: Float[Array, "..."]) -> Float[Array, "..."]:
    """What context keeps of itself when it drifts: ``rho = sqrt(1 + b^2 (d^2 - 1)) - b d``.

    b is the drift rate and d the overlap ``c . u`` of context with the input, both of unit length;
    so is then ``rho c + b u`` (Howard & Kahana, 2002).
    """
    return safe_sqrt(1.0 + rate**2 * (overlap**2 - 1.0)) - rate * overlap


def drift(
    context: Float[Array, " units"], context_input: Float[Array, " units"], rate: Float[Array, ""]
) -> Float[Array, " units"]:
    """Context after integrating an input at drift rate b: ``c' = rho c + b u``.

    u is the input at unit length, rho what is `retained`. A zero input leaves context alone.
    """
    u = unit_length(context_input)
    rho = retained(jnp.sum(context * u), rate)
    return jnp.where(jnp.any(context_input != 0), rho * context + rate * u, context)


def drift_by_unit(
    context: Float[Array, " units"], context_input: Float[Array, " units"], rate: Float[Array, ""]
) -> Float[Array, " units"]:
    """Context after integrating an input at drift rate b, as Gunn & Polyn (2025) published it:
    ``c'_k = rho_k c_k + b u_k``, scaled to unit length again.

    rho_k is what is `retained` given ``c_k u_k``, the overlap in unit k alone.
    """
    u = nearly_unit_length(context_input)
    moved = retained(context * u, rate) * context + rate * u
    return jnp.where(jnp.any(context_input != 0), nearly_unit_length(moved), context)


Drift = Callable[[Array, Array, Array], Array]


class TemporalContext(eqx.Module):
    """Context over ``n_items + 1`` units: unit 0 is start-of-list, unit i + 1 is item i's own."""

    state: Float[Array, " units"]
    start: Float[Array, " units"]
    drift: Drift = eqx.field(static=True, default=drift)

    @classmethod
    def create(cls, n_items: int, parameters: Parameters) -> TemporalContext:
        """Context at the start of a list of `n_items` items; reads no parameter."""
        start = jnp.zeros(n_items + 1).at[0].set(1.0)
        return cls(state=start, start=start)

    def integrate(
        self, context_input: Float[Array, " units"], rate: Float[Array, ""]
    ) -> TemporalContext:
        """Context drifted towards `context_input` at `rate` (in [0, 1])."""
        return replace(self, state=self.drift(self.state, context_input, rate))

    def return_to_start(self, rate: Float[Array, ""]) -> TemporalContext:
        """Context drifted towards the start of the list at `rate` (in [0, 1])."""
        return self.integrate(self.start, rate)


def per_unit_context(n_items: int, parameters: Parameters) -> TemporalContext:
    """Context with the drift of Gunn & Polyn (2025), unit by unit; reads no parameter."""
    return replace(TemporalContext.create(n_items, parameters), drift=drift_by_unit)
