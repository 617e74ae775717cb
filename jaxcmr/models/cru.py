"""Context Retrieval and Updating (CRU), CMR, and models between: mechanisms on or off.

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
from jaxcmr.names import describe_unknown
from jaxcmr.typing import Bounds

__all__ = ["TOGGLES", "bounds_without", "make_factory", "off"]

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


def check_mechanisms(mechanisms: Sequence[str]) -> None:
    """Check that all names are in `TOGGLES`; else raise a ValueError."""
    for name in mechanisms:
        if name not in TOGGLES:
            raise ValueError(describe_unknown("mechanism", name, TOGGLES))


def off(*mechanisms: str) -> dict[str, float]:
    """Return values that turn `mechanisms` (of `TOGGLES`) off, e.g. for `fixed`.

    Raises:
        ValueError: a mechanism is unknown.

    >>> off("start_drift", "drift_decrease")
    {'start_drift_rate': 1.0, 'encoding_drift_decrease': 1.0}
    """
    check_mechanisms(mechanisms)
    return {name: value for one in mechanisms for name, value in TOGGLES[one].items()}


def bounds_without(*mechanisms: str, bounds: Bounds | None = None) -> dict[str, list[float]]:
    """Return `bounds` of what is free when `mechanisms` are off.

    Args:
        mechanisms: of `TOGGLES`.
        bounds: by parameter name; by default the usual bounds with every mechanism on.

    Raises:
        ValueError: a mechanism is unknown.

    >>> list(bounds_without(*TOGGLES))[:3]
    ['encoding_drift_rate', 'recall_drift_rate', 'choice_sensitivity']
    """
    held = off(*mechanisms)
    if bounds is None:
        bounds = {each.name: each.bounds for each in make_factory(*TOGGLES).parameters}
    return {name: list(pair) for name, pair in bounds.items() if name not in held}


def make_factory(*on: str, **parts: Any) -> cmr.CMRMaker:
    """Return the factory of a CRU in which the mechanisms `on` are turned on; by default none.

    Args:
        on: of `TOGGLES`.
        parts: other parts than the usual ones, as for `jaxcmr.models.cmr.make_factory`.

    Raises:
        ValueError: a mechanism is unknown, or the parts do not go together.

    >>> [parameter.symbol for parameter in make_factory("start_drift").parameters]
    ['β_enc', 'β_start', 'β_rec', 'τ', 'θ_s', 'θ_r']
    """
    check_mechanisms(on)
    decreases = "drift_decrease" in on  # where it is off the parameter is not read
    held = off(*(name for name in TOGGLES if name not in (*on, "drift_decrease")))
    fixed = {**held, **parts.pop("fixed", {})}
    return cmr.make_factory(encoding_drift_decreases=decreases, fixed=fixed, **parts)
