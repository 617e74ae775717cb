"""Temporal context: a unit-length vector that drifts toward each input.

Source: Howard & Kahana (2002); the start-of-list unit follows Morton & Polyn (2016). The program of
Gunn & Polyn (2025) computes rho for each unit by itself, which is another model with other optima.
"""

from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxcmr.math import (
    append_axes,
    nearly_unit_length,
    safe_sqrt,
    total,
    with_item_axis,
)
from jaxcmr.parameters import ABOVE_0, BELOW_1, Parameter, count_axes, reads
from jaxcmr.typing import Parameters

__all__ = ["TemporalContext", "drift", "drift_by_unit", "per_unit_context", "retained"]

ENCODING_DRIFT_RATE = Parameter(
    "encoding_drift_rate",
    ABOVE_0,
    BELOW_1,
    "β_enc",
    "How far context moves toward each studied item.",
    limits=(0.0, 1.0),
)
START_DRIFT_RATE = Parameter(
    "start_drift_rate",
    ABOVE_0,
    BELOW_1,
    "β_start",
    "How far context moves back to the start of the list before recall.",
    limits=(0.0, 1.0),
)
RECALL_DRIFT_RATE = Parameter(
    "recall_drift_rate",
    ABOVE_0,
    BELOW_1,
    "β_rec",
    "How far context moves toward what each recalled item reinstates.",
    limits=(0.0, 1.0),
)
# A rate above 1 would give `retained` the root of a negative number.


def retained(overlap: Float[Array, "..."], rate: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the share of context that drift retains, ``rho = sqrt(1 + b^2 (d^2 - 1)) - b d``.

    b is the drift rate and d the overlap ``c . u`` of context with the input, both of unit length;
    so is then ``rho c + b u`` (Howard & Kahana, 2002).
    """
    return safe_sqrt(1.0 + rate**2 * (overlap**2 - 1.0)) - rate * overlap


def drift(
    context: Float[Array, "units ..."],
    context_input: Float[Array, "units ..."],
    rate: Float[Array, "..."],
) -> Float[Array, "units ..."]:
    """Return context after integrating an input at drift rate b: ``c' = rho c + b u``.

    u is the input at unit length, rho the share `retained`. A zero input changes nothing.
    """
    squared = total(context_input * context_input)
    is_there = squared > 0
    length = jnp.sqrt(jnp.where(is_there, squared, 1.0))
    overlap = total(context * context_input) / length
    u = context_input * with_item_axis(1.0 / length)
    drifted = with_item_axis(retained(overlap, rate)) * context + with_item_axis(rate) * u
    return jnp.where(with_item_axis(is_there), drifted, context)


def drift_by_unit(
    context: Float[Array, "units ..."],
    context_input: Float[Array, "units ..."],
    rate: Float[Array, "..."],
) -> Float[Array, "units ..."]:
    """Return context after the drift of Gunn & Polyn (2025): ``c'_k = rho_k c_k + b u_k``.

    rho_k is the share `retained` given ``c_k u_k``, the overlap in unit k alone; the result is
    scaled to unit length again.
    """
    u, b = nearly_unit_length(context_input), with_item_axis(rate)
    moved = retained(context * u, b) * context + b * u
    return jnp.where(with_item_axis(has_length(context_input)), nearly_unit_length(moved), context)


def has_length(vector: Float[Array, "units ..."]) -> Bool[Array, "..."]:
    """Return whether `vector` is not zero; shorter than float32 can square, it counts as zero."""
    return total(vector * vector) > 0


class TemporalContext(eqx.Module):
    """Context over ``n_items + 1`` units: unit 0 is start-of-list, unit i is that of item i.

    >>> context = TemporalContext.create(2, {})
    >>> context.integrate(jnp.array([0.0, 1.0, 0.0]), 0.6).state.round(2).tolist()
    [0.8, 0.6, 0.0]
    """

    state: Float[Array, "units ..."]
    start: Float[Array, "units ..."]
    by_unit: bool = eqx.field(static=True, default=False)  # drift as Gunn & Polyn (2025) have it

    @classmethod
    @reads(vectorized=True)
    def create(cls, n_items: int, parameters: Parameters) -> TemporalContext:
        """Return context at the start of a list of `n_items` items."""
        start = append_axes(jnp.zeros(n_items + 1).at[0].set(1.0), count_axes(parameters))
        return cls(state=start, start=start)

    def integrate(
        self, context_input: Float[Array, "units ..."], rate: Float[Array, "..."]
    ) -> TemporalContext:
        """Return context drifted toward `context_input` at `rate` (in [0, 1])."""
        drift_of_all = drift_by_unit if self.by_unit else drift
        return replace(self, state=drift_of_all(self.state, context_input, rate))

    def return_to_start(self, rate: Float[Array, "..."]) -> TemporalContext:
        """Return context drifted toward the start of the list at `rate` (in [0, 1])."""
        return self.integrate(self.start, rate)


@reads(vectorized=True)
def per_unit_context(n_items: int, parameters: Parameters) -> TemporalContext:
    """Return context with the drift of Gunn & Polyn (2025), unit by unit.

    >>> per_unit_context(2, {}).integrate(jnp.array([0.0, 1.0, 0.0]), 0.6).state.round(2).tolist()
    [0.8, 0.6, 0.0]
    """
    return replace(TemporalContext.create(n_items, parameters), by_unit=True)
