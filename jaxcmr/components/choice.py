"""Choice rules: from the support of the recallable items to their shares of the choice.

A rule is called with support and recallability, both ``(n_items,)``, and returns shares that sum
to one over the recallable items and are 0 elsewhere (all 0 if nothing is recallable). Further axes
hold further choices, each over the items of the first axis. Cues may weight the strength of items
in the choice; a rule is then also given the log weights, -inf for a weight of 0.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxcmr.math import (
    FLOOR,
    LEAST,
    highest,
    log_relative_strength,
    scaled_power,
    total,
    with_item_axis,
)
from jaxcmr.parameters import ABOVE_0, Parameter, reads
from jaxcmr.typing import Parameters

__all__ = ["ExponentialChoice", "PowerChoice", "power_choice_scaled_by_all"]


CHOICE_SENSITIVITY = Parameter(
    "choice_sensitivity",
    ABOVE_0,
    100.0,
    "τ",
    "Exponent of support in the choice: the higher, the more often the best supported item wins.",
    scale="log",
    limits=(0.0, np.inf),
)
CHOICE_TEMPERATURE = Parameter(
    "choice_temperature",
    ABOVE_0,
    100.0,
    "T",
    "Divisor of support in an exponential choice: the higher, the more random the choice.",
    scale="log",
    limits=(0.0, np.inf),
)

FARTHEST = -61.0  # log of the least strength in an exponential choice, against the strongest


def shares(strength: Float[Array, "n_items ..."]) -> Float[Array, "n_items ..."]:
    """Return `strength` divided by its sum over items; all zero where the sum is zero."""
    of_all = total(strength)
    return strength / with_item_axis(jnp.where(of_all > 0, of_all, 1.0))


class PowerChoice(eqx.Module):
    """Luce choice on powered support: ``P(i) = a_i^t / sum_r a_r^t`` with sensitivity t.

    Supports are divided by the largest recallable one before the power, so that nothing
    overflows, and get a floor of float32's epsilon after it, so that every recallable item has a
    chance (Kragel, Morton & Polyn, 2015, fit likelihoods this way). With `scaled_by_all` they are
    divided by the largest of all, recalled items included, so that the floor weighs more once
    strong items are gone (Gunn & Polyn, 2025).

    >>> choose = PowerChoice.create(3, {"choice_sensitivity": 2.0})
    >>> support, recallable = jnp.array([1.0, 2.0, 3.0]), jnp.array([True, True, False])
    >>> choose(support, recallable).round(2).tolist()
    [0.2, 0.8, 0.0]
    """

    sensitivity: Float[Array, "..."]
    scaled_by_all: bool = eqx.field(static=True, default=False)

    @classmethod
    @reads(CHOICE_SENSITIVITY, vectorized=True)
    def create(cls, n_items: int, parameters: Parameters) -> PowerChoice:
        """Return the rule with the sensitivity of `parameters`."""
        return cls(parameters["choice_sensitivity"])

    def __call__(
        self,
        support: Float[Array, "n_items ..."],
        recallable: Bool[Array, "n_items ..."],
        log_weights: Float[Array, "n_items ..."] | None = None,
    ) -> Float[Array, "n_items ..."]:
        """Return the shares of the choice."""
        rivals = support if self.scaled_by_all else jnp.where(recallable, support, 0.0)
        strength = scaled_power(rivals, self.sensitivity, log_weights)
        return shares(jnp.where(recallable, strength + FLOOR, 0.0))


@reads(CHOICE_SENSITIVITY, vectorized=True)
def power_choice_scaled_by_all(n_items: int, parameters: Parameters) -> PowerChoice:
    """Return `PowerChoice` as in Gunn & Polyn (2025): divided by the largest support of all.

    >>> choose = power_choice_scaled_by_all(3, {"choice_sensitivity": 2.0})
    >>> support, recallable = jnp.array([1.0, 2.0, 3.0]), jnp.array([True, True, False])
    >>> choose(support, recallable).round(2).tolist()
    [0.2, 0.8, 0.0]
    """
    return PowerChoice(parameters["choice_sensitivity"], scaled_by_all=True)


class ExponentialChoice(eqx.Module):
    """Softmax: ``P(i) = exp(2 a_i / T) / sum_r exp(2 a_r / T)`` with temperature T.

    The choice rule of CMR fitted by likelihood in the Polyn and Kahana laboratories (Kragel,
    Morton & Polyn, 2015); the factor 2 is their convention. No strength is less than ``exp(-61)``
    of the strongest, which leaves every recallable item a chance in single precision.

    >>> choose = ExponentialChoice.create(2, {"choice_temperature": 2.0})
    >>> choose(jnp.array([1.0, 2.0]), jnp.array([True, True])).round(2).tolist()
    [0.27, 0.73]
    """

    temperature: Float[Array, "..."]

    @classmethod
    @reads(CHOICE_TEMPERATURE, vectorized=True)
    def create(cls, n_items: int, parameters: Parameters) -> ExponentialChoice:
        """Return the rule with the temperature of `parameters`."""
        return cls(parameters["choice_temperature"])

    def __call__(
        self,
        support: Float[Array, "n_items ..."],
        recallable: Bool[Array, "n_items ..."],
        log_weights: Float[Array, "n_items ..."] | None = None,
    ) -> Float[Array, "n_items ..."]:
        """Return the shares of the choice."""
        rivals = jnp.where(recallable, support, -jnp.inf)
        difference = jnp.where(recallable, support - with_item_axis(highest(rivals)), 0.0)
        exponent = 2.0 * difference / with_item_axis(jnp.maximum(self.temperature, LEAST))
        if log_weights is not None:
            exponent, is_zero = log_relative_strength(exponent, log_weights, ~recallable)
            exponent = jnp.where(is_zero, FARTHEST, exponent)
        return shares(jnp.where(recallable, jnp.exp(jnp.maximum(exponent, FARTHEST)), 0.0))
