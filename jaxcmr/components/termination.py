"""Stopping rules: the probability that recall ends before the next item.

A rule is called with the output position (recalls made so far) and recallability ``(n_items,)``.
It says nothing of recall that has already ended, nor of an empty list: a model adds those. Further
axes of recallability hold further trials, each with its items on the first axis.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxcmr.math import FLOOR, exponential_stop
from jaxcmr.typing import Parameters

__all__ = ["PositionalTermination"]


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

    def __call__(
        self, output_position: Int[Array, ""], recallable: Bool[Array, "n_items ..."]
    ) -> Float[Array, "..."]:
        """Stop probability."""
        cap = 1.0 - FLOOR * jnp.sum(recallable, axis=0)
        return jnp.minimum(exponential_stop(output_position, self.scale, self.growth), cap)
