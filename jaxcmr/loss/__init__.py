"""Losses, one per file; `LOSSES` maps their names to their generators."""

from collections.abc import Callable, Mapping

from jaxcmr.loss.category_spc_mse import MemorySearchCategorySpcMseFnGenerator
from jaxcmr.loss.confusable_likelihood import ConfusableLikelihoodFnGenerator
from jaxcmr.loss.sequence_likelihood import MemorySearchLikelihoodFnGenerator
from jaxcmr.loss.set_likelihood import MemorySearchSetLikelihoodFnGenerator
from jaxcmr.loss.spc_mse import MemorySearchSpcMseFnGenerator
from jaxcmr.loss.summary_mse import MemorySearchSummaryMseFnGenerator
from jaxcmr.typing import LossFnGenerator

__all__ = [
    "LOSSES",
    "ConfusableLikelihoodFnGenerator",
    "MemorySearchCategorySpcMseFnGenerator",
    "MemorySearchLikelihoodFnGenerator",
    "MemorySearchSetLikelihoodFnGenerator",
    "MemorySearchSpcMseFnGenerator",
    "MemorySearchSummaryMseFnGenerator",
]

LOSSES: Mapping[str, Callable[..., LossFnGenerator]] = {
    "sequence_likelihood": MemorySearchLikelihoodFnGenerator,
    "set_likelihood": MemorySearchSetLikelihoodFnGenerator,
    "confusable_likelihood": ConfusableLikelihoodFnGenerator,
    "spc_mse": MemorySearchSpcMseFnGenerator,
    "category_spc_mse": MemorySearchCategorySpcMseFnGenerator,
    "summary_mse": MemorySearchSummaryMseFnGenerator,
}
"""Generators ``(model_factory, dataset, features, *, options) -> LossFnGenerator`` by loss name.

Options have defaults, except those that only the user knows: ``category_field`` of category_spc_mse
and ``summary`` of summary_mse.
"""
