"""Mean squared error between observed and simulated serial position curves, one curve a category.

Items of a list that differ in kind (emotional or neutral, repeated or not) are recalled differently
at the same position; the curve of a category is over the lists that have an item of it there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from jaxcmr.loss._curves import CurveMse, Curves, studied_positions
from jaxcmr.loss._simulated import SimulatedGenerator, Simulator
from jaxcmr.typing import MemorySearchFactory, Parameters, RecallDataset

__all__ = ["MemorySearchCategorySpcMseFnGenerator"]


class MemorySearchCategorySpcMseFnGenerator(SimulatedGenerator):
    """Makes losses by the serial position curves of categories (a `LossFnGenerator`).

    The loss is the mean over all points of all curves; a position at which no list has an item of
    the category is no point of its curve. ``categories`` holds the categories in the order of the
    curves.

    Args:
        model_factory: name of a model, or ``(dataset, features) -> factory``.
        dataset: recall data.
        features: passed to `model_factory`.
        category_field: names the field of `dataset` with the category of each studied item:
            integers (trials, positions). Every number there is a category, 0 included; entries
            beyond a list's length are not read. To hand the loss to a fitter, fix this name with
            ``functools.partial(MemorySearchCategorySpcMseFnGenerator, category_field=...)``.
        n_simulations: simulated recalls of each trial, each cut off at the number of recalls
            observed there.
        seed: of the simulations' random draws.

    Raises:
        ValueError: `category_field` is not given, not in `dataset`, or not of integers (trials,
            positions); or `n_simulations` is less than 1.
    """

    def __init__(
        self,
        model_factory: str | Callable[..., MemorySearchFactory],
        dataset: RecallDataset,
        features: Any = None,
        *,
        category_field: str = "",
        n_simulations: int = 20,
        seed: int = 0,
    ) -> None:
        studied = studied_positions(dataset["listLength"])
        of_items = categories_of_items(dataset, category_field)[:, : studied.shape[1]]
        self.categories = np.unique(of_items[studied])
        self.simulate = Simulator(model_factory, dataset, features, n_simulations, seed)
        is_of_category = of_items[:, None, :] == self.categories[:, None]
        self.curves = Curves(self.simulate, is_of_category & studied[:, None, :])

    def __call__(
        self,
        trial_indices: np.ndarray,
        base_params: Parameters,
        free_param_names: Sequence[str],
    ) -> CurveMse:
        """The loss over `trial_indices` (0-based rows; -1 is "no trial" and adds nothing)."""
        return self.curves(trial_indices, base_params, free_param_names)


def categories_of_items(dataset: RecallDataset, field: str) -> Int[np.ndarray, "trials positions"]:
    """The category of each studied item.

    Raises:
        ValueError: the data set has no such field, or it does not fit.
    """
    shape = np.shape(dataset["pres_itemnos"])
    if field not in dataset:
        alike = sorted(name for name in dataset if np.shape(dataset[name]) == shape)
        raise ValueError(
            f"category_field={field!r} names no field of the data set: give the one with the "
            f"category of each studied item. Fields of its shape {shape} are: {', '.join(alike)}; "
            f"all fields: {', '.join(sorted(dataset))}."
        )
    values = np.asarray(dataset[field])
    if values.shape != shape or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"Field {field!r} must hold one integer for each studied item, {shape}; it holds "
            f"{values.dtype} {values.shape}."
        )
    return values
