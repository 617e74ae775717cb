"""Context Retrieval and Updating (CRU), CMR, and all between: mechanisms that are on or off.

CRU (Logan, 2021) is CMR without associations from items to the contexts they met, without
associations that were there before study, without primacy, and with a context that returns to the
start of the list before recall. Gunn & Polyn (2025) turned these on one by one; a mechanism is
turned off by the values of its parameters, not by another model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from jaxcmr.models import cmr

__all__ = ["OMNIBUS_BOUNDS", "TOGGLES", "USUAL_BOUNDS", "bounds_without", "make_factory", "off"]

TOGGLES: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "feature_to_context": {"learning_rate": 0.0},
        "pre_experimental": {"shared_support": 0.0, "item_support": 0.0},
        "primacy": {"primacy_scale": 0.0, "primacy_decay": 0.0},
        "start_drift": {"start_drift_rate": 1.0},
        "drift_decrease": {"encoding_drift_decrease": 1.0},
    }
)
"""Parameter values that turn a mechanism off, by mechanism: learning from items to contexts;
associations older than the list; stronger learning of early items; a return to the start of the
list that is less than complete; encoding drift that slows down."""

OMNIBUS_BOUNDS: Mapping[str, tuple[float, float]] = {
    **cmr.USUAL_BOUNDS,
    "encoding_drift_decrease": cmr.USUAL_BOUNDS["encoding_drift_rate"],
}
"""Usual bounds with every mechanism on."""


def refuse_unknown(mechanisms: Sequence[str]) -> None:
    """Raises a ValueError for a name that is not in `TOGGLES`."""
    for name in mechanisms:
        if name not in TOGGLES:
            raise ValueError(f"There is no mechanism {name!r}. There are: {', '.join(TOGGLES)}.")


def off(*mechanisms: str) -> dict[str, float]:
    """Values that turn `mechanisms` (of `TOGGLES`) off: for `fixed`, or a fitter's base
    parameters. A ValueError if there is no such mechanism."""
    refuse_unknown(mechanisms)
    return {name: value for one in mechanisms for name, value in TOGGLES[one].items()}


def bounds_without(
    *mechanisms: str, bounds: Mapping[str, tuple[float, float]] = OMNIBUS_BOUNDS
) -> dict[str, tuple[float, float]]:
    """`bounds` of what is free when `mechanisms` are off."""
    held = off(*mechanisms)
    return {name: pair for name, pair in bounds.items() if name not in held}


USUAL_BOUNDS: Mapping[str, tuple[float, float]] = bounds_without(*TOGGLES)
"""Usual bounds of CRU: all mechanisms off."""


def make_factory(*on: str, **parts: Any) -> cmr.CMRMaker:
    """The factory of a CRU in which the mechanisms `on` are turned on; of CRU itself, without.

    Args:
        on: of `TOGGLES`.
        parts: other parts than the usual ones, as for `jaxcmr.models.cmr.make_factory`.

    Raises:
        ValueError: there is no such mechanism, or the parts do not go together.
    """
    refuse_unknown(on)
    slows = "drift_decrease" in on  # where it is off the parameter is not read
    held = off(*(name for name in TOGGLES if name not in (*on, "drift_decrease")))
    return cmr.make_factory(encoding_drift_decreases=slows, fixed=held, **parts)
