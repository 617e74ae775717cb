"""Temporal context: a unit-length vector that drifts towards each input.

Source: Howard & Kahana (2002); the start-of-list unit follows Morton & Polyn (2016).
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxcmr.math import safe_sqrt, unit_length
from jaxcmr.typing import Parameters

__all__ = ["TemporalContext", "drift", "retained"]


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


class TemporalContext(eqx.Module):
    """Context over ``n_items + 1`` units: unit 0 is start-of-list, unit i + 1 is item i's own."""

    state: Float[Array, " units"]
    start: Float[Array, " units"]

    @classmethod
    def create(cls, n_items: int, parameters: Parameters) -> TemporalContext:
        """Context at the start of a list of `n_items` items; reads no parameter."""
        start = jnp.zeros(n_items + 1).at[0].set(1.0)
        return cls(state=start, start=start)

    def integrate(
        self, context_input: Float[Array, " units"], rate: Float[Array, ""]
    ) -> TemporalContext:
        """Context drifted towards `context_input` at `rate` (in [0, 1])."""
        return TemporalContext(drift(self.state, context_input, rate), self.start)

    def return_to_start(self, rate: Float[Array, ""]) -> TemporalContext:
        """Context drifted towards the start of the list at `rate` (in [0, 1])."""
        return self.integrate(self.start, rate)
