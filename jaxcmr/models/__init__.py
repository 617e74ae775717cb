"""Models of memory search, one a file; `MODELS` maps their names to their factories."""

from collections.abc import Callable, Mapping
from typing import Any

from jaxcmr.models import cmr

__all__ = ["MODELS", "usual_bounds"]

MODELS: Mapping[str, Callable[..., Any]] = {
    "cmr": cmr.make_factory(),
}
"""Factories ``(dataset, features) -> factory`` by model name."""

_USUAL_BOUNDS = {"cmr": cmr.USUAL_BOUNDS}


def usual_bounds(name: str) -> dict[str, list[float]]:
    """Bounds of the free parameters that published fits of model `name` use."""
    return {parameter: list(bounds) for parameter, bounds in _USUAL_BOUNDS[name].items()}
