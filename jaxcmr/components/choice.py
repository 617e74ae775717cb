"""Choice rules: from the support of the recallable items to their shares of the choice.

A rule is called with support and recallability, both ``(n_items,)``, and returns shares that sum
to one over the recallable items and are 0 elsewhere (all 0 if nothing is recallable). Further axes
hold further choices, each over the items of the first axis.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxcmr.math import FLOOR, scaled_power
from jaxcmr.typing import Parameters

__all__ = ["PowerChoice"]


def shares(strength: Float[Array, "n_items ..."]) -> Float[Array, "n_items ..."]:
    """`strength` divided by its sum over items; all zero where the sum is."""
    total = jnp.sum(strength, axis=0)
    return strength / jnp.where(total > 0, total, 1.0)


class PowerChoice(eqx.Module):
    """Luce choice on powered support: ``P(i) = a_i^t / sum_r a_r^t`` with sensitivity t.

    Supports are divided by the largest recallable one before the power, so that no sensitivity
    overflows, and get a floor of float32's epsilon after it, so that every recallable item has a
    chance (Kragel, Morton & Polyn, 2015, fit likelihoods this way).
    """

    sensitivity: Float[Array, ""]

    @classmethod
    def create(cls, n_items: int, parameters: Parameters) -> PowerChoice:
        """Reads ``choice_sensitivity`` (usually 0 to 100)."""
        return cls(parameters["choice_sensitivity"])

    def __call__(
        self, support: Float[Array, "n_items ..."], recallable: Bool[Array, "n_items ..."]
    ) -> Float[Array, "n_items ..."]:
        """Shares of the choice."""
        strength = scaled_power(jnp.where(recallable, support, 0.0), self.sensitivity)
        return shares(jnp.where(recallable, strength + FLOOR, 0.0))
