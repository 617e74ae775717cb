"""The scales on which a search moves, and a loss as a function of places in the unit cube."""

from __future__ import annotations

from collections.abc import Mapping

import equinox as eqx
from jaxtyping import Array, Float

from jaxcmr.names import did_you_mean
from jaxcmr.parameters import DECADES, ParameterSpace
from jaxcmr.typing import Bounds, LossFn

__all__ = ["ALTERNATE", "UnitCubeLoss", "choose_scales"]

ALTERNATE = ("log", "half-log")
"""The scales of runs 0, 1, 2, ..., in turn."""


def choose_scales(
    scale: str | Mapping[str, str], bounds: Bounds, of_model: Mapping[str, str], run: int = 0
) -> dict[str, str]:
    """Return the scale of each parameter in run number `run`.

    Args:
        scale: "linear"; "log" or "half-log", except that parameters that may be negative are
            linear; "auto", the scale that the model declares, or "linear"; "alternate", those of
            `ALTERNATE` in turn; or a dict of these by parameter, "auto" for those left out.
        bounds: [low, high] by parameter.
        of_model: scales that the model declares, by parameter.

    Raises:
        ValueError: an unknown scale or parameter.
    """
    by_name = dict(scale) if isinstance(scale, Mapping) else dict.fromkeys(bounds, scale)
    for name in by_name:
        if name not in bounds:
            raise ValueError(f"'scale' names {name!r}. {did_you_mean(name, list(bounds))}")
    chosen = {}
    for name, (low, _) in bounds.items():
        word = by_name.get(name, "auto")
        meant = {"auto": of_model.get(name, "linear"), "alternate": ALTERNATE[run % len(ALTERNATE)]}
        word = meant.get(word, word)
        if word not in DECADES:
            known = ", ".join([*DECADES, *meant])
            raise ValueError(f"The scale of {name!r} must be one of {known}; got {word!r}.")
        chosen[name] = word if low >= 0 else "linear"
    return chosen


class UnitCubeLoss(eqx.Module):
    """A loss as a function of places in the unit cube of a parameter space."""

    loss: LossFn
    space: ParameterSpace

    def __call__(self, z: Float[Array, "n_params ..."]) -> Float[Array, "..."]:
        """Return the loss at `z`."""
        return self.loss(self.space.from_unit(z))
