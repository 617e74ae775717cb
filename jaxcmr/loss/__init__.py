"""Losses, one a file; `LOSSES` maps their names to their generators."""

from collections.abc import Callable, Mapping
from typing import Any

from jaxcmr.loss.sequence_likelihood import MemorySearchLikelihoodFnGenerator
from jaxcmr.loss.spc_mse import MemorySearchSpcMseFnGenerator

__all__ = ["LOSSES", "MemorySearchLikelihoodFnGenerator", "MemorySearchSpcMseFnGenerator"]

LOSSES: Mapping[str, Callable[..., Any]] = {
    "sequence_likelihood": MemorySearchLikelihoodFnGenerator,
    "spc_mse": MemorySearchSpcMseFnGenerator,
}
"""Generators ``(model_factory, dataset, features) -> generator`` by loss name."""
