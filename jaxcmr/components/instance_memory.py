"""Instance memory: every association is kept as a trace, and a probe sums the traces it resembles.

Source: the multitrace memory of MINERVA 2 (Hintzman, 1984, 1986), as an associative memory with
the patterns of CMR. With trace sensitivity 1 it is exactly the linear memory.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxcmr.components.linear_memory import (
    ITEM_SUPPORT,
    LEARNING_RATE,
    SHARED_SUPPORT,
    as_weights,
    context_to_item,
    item_to_context,
    probe_rows,
)
from jaxcmr.math import append_axes, combine_rows, is_any, with_item_axis
from jaxcmr.parameters import ABOVE_0, Parameter, reads
from jaxcmr.typing import Parameters, Pattern

__all__ = ["InstanceMemory", "instance_context_to_item", "instance_item_to_context"]

MFC_TRACE_SENSITIVITY = Parameter(
    "mfc_trace_sensitivity",
    ABOVE_0,
    10.0,
    "ν_FC",
    "Exponent of the similarity of a probe to item-to-context traces; 1 is a linear memory.",
    limits=(0.0, np.inf),
)
MCF_TRACE_SENSITIVITY = Parameter(
    "mcf_trace_sensitivity",
    ABOVE_0,
    10.0,
    "ν_CF",
    "Exponent of the similarity of a probe to context-to-item traces; 1 is a linear memory.",
    limits=(0.0, np.inf),
)


def signed_power(x: Float[Array, "n ..."], exponent: Float[Array, "..."]) -> Float[Array, "n ..."]:
    """Return ``sign(x) |x| ** exponent``; 0 stays 0 at every exponent, with a gradient of 0.

    Entries within 1e8 of the smallest float count as zero, so that gradients stay finite below
    exponent 1, where the derivative grows without limit near 0.
    """
    size = jnp.abs(x)
    positive = size > jnp.finfo(x.dtype).tiny * 1e8
    log_size = jnp.log(jnp.where(positive, size, 1.0))
    return jnp.where(positive, jnp.sign(x) * jnp.exp(with_item_axis(exponent) * log_size), 0.0)


class InstanceMemory(eqx.Module):
    """Traces of associations from one kind of pattern (in) to another (out).

    Interchangeable with `LinearMemory`. There is room for a fixed number of traces, so that shapes
    stay the same while it learns; rows from `count` on are zero.
    """

    in_traces: Float[Array, "room n_in ..."]
    out_traces: Float[Array, "room n_out ..."]
    count: Int[Array, "..."]  # traces in use
    sensitivity: Float[Array, "..."]

    @classmethod
    def from_rows(
        cls, rows: Float[Array, "n_in n_out ..."], room: int, sensitivity: Float[Array, "..."]
    ) -> InstanceMemory:
        """Return a memory in which in-unit i points to ``rows[i]``, one trace per unit.

        Args:
            rows: what each in-unit points to, as in `LinearMemory.state`.
            room: how many more traces it can take.
            sensitivity: exponent of a trace's similarity to the probe; 1 is a linear memory, more
                leaves dissimilar traces silent.
        """
        n_in, rank = len(rows), rows.ndim - 2
        in_traces = append_axes(jnp.eye(n_in, dtype=rows.dtype), rank)
        as_room = ((0, room), *[(0, 0)] * (rank + 1))
        return cls(
            in_traces=jnp.pad(in_traces, as_room),
            out_traces=jnp.pad(rows, as_room),
            count=jnp.full((1,) * rank, n_in, int),
            sensitivity=sensitivity,
        )

    def associate(
        self, in_pattern: Pattern, out_pattern: Pattern, rate: Float[Array, "..."]
    ) -> InstanceMemory:
        """Return the memory with a further trace, ``(in_pattern, rate * out_pattern)``.

        If either pattern is all zero (padding) nothing changes and no room is taken. When the room
        is used up, a further trace makes the memory NaN: dropping it would be another model.
        """
        room, n_in, *candidates = self.in_traces.shape
        rank = len(candidates)
        in_weights = as_weights(in_pattern, n_in, rank)
        out_weights = as_weights(out_pattern, self.out_traces.shape[1], rank)
        is_trace = is_any(in_weights != 0) & is_any(out_weights != 0)
        rows = append_axes(jnp.arange(room), rank)
        is_row = (with_item_axis(is_trace) & (rows == with_item_axis(self.count)))[:, None]
        is_full = with_item_axis(with_item_axis(is_trace & (self.count >= room)))
        out_row = (with_item_axis(rate) * out_weights)[None]
        out_traces = jnp.where(is_row, out_row, self.out_traces)
        return InstanceMemory(
            in_traces=jnp.where(is_row, in_weights[None], self.in_traces),
            out_traces=jnp.where(is_full, jnp.nan, out_traces),
            count=self.count + is_trace.astype(self.count.dtype),
            sensitivity=self.sensitivity,
        )

    def probe(self, in_pattern: Pattern) -> Float[Array, "n_out ..."]:
        """Return what `in_pattern` retrieves: ``sum_t (in_t . in_pattern)^v out_t``.

        v is the trace sensitivity; a negative similarity keeps its sign, as in MINERVA 2.
        """
        similarity = probe_rows(jnp.swapaxes(self.in_traces, 0, 1), in_pattern)
        return combine_rows(signed_power(similarity, self.sensitivity), self.out_traces)


@reads(LEARNING_RATE, MFC_TRACE_SENSITIVITY, vectorized=True)
def instance_item_to_context(n_items: int, parameters: Parameters) -> InstanceMemory:
    """Return M_FC of traces, before study as in `item_to_context`, with room for `n_items` events.

    As long as an item is a single unit, its traces match a probe fully or not at all, and the
    sensitivity makes no difference.

    >>> memory = instance_item_to_context(2, {"learning_rate": 0.25, "mfc_trace_sensitivity": 1.0})
    >>> memory.probe(jnp.array([1.0, 0.0])).tolist()
    [0.0, 0.75, 0.0]
    """
    before_study = item_to_context(n_items, parameters).state
    return InstanceMemory.from_rows(before_study, n_items, parameters["mfc_trace_sensitivity"])


@reads(SHARED_SUPPORT, ITEM_SUPPORT, MCF_TRACE_SENSITIVITY, vectorized=True)
def instance_context_to_item(n_items: int, parameters: Parameters) -> InstanceMemory:
    """Return M_CF of traces, before study as in `context_to_item`, with room for `n_items` events.

    >>> values = {"item_support": 3.0, "shared_support": 1.0, "mcf_trace_sensitivity": 2.0}
    >>> instance_context_to_item(2, values).probe(jnp.array([0.0, 0.5, 0.0])).tolist()
    [0.75, 0.25]
    """
    before_study = context_to_item(n_items, parameters).state
    return InstanceMemory.from_rows(before_study, n_items, parameters["mcf_trace_sensitivity"])
