"""Mean squared error between observed and simulated serial position curves of categories.

Items of a list that differ in kind (emotional or neutral, repeated or not) are recalled differently
at the same position; the curve of a category is over the lists that have an item of it there.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Shaped

from jaxcmr.loss.spc_mse import position_curves, studied_positions
from jaxcmr.loss.summary_mse import SimulatedMseGenerator
from jaxcmr.typing import Features, Model, RecallDataset

__all__ = ["MemorySearchCategorySpcMseFnGenerator"]


class MemorySearchCategorySpcMseFnGenerator(SimulatedMseGenerator):
    """Makes losses by the serial position curves of categories of items.

    The loss is the mean over all points of all curves. A position at which no list has an item of
    the category is not a point of its curve. ``categories`` holds the categories in the order of
    the curves.

    Args:
        model_factory: name of a model, or ``(dataset, features) -> factory``.
        dataset: recall data.
        features: passed to `model_factory`.
        category_field: name of the field of `dataset` with the category of each studied item:
            whole numbers or text (trials, positions). Every one there is a category, 0 included;
            entries beyond a list's length are not read. To hand the loss to a fitter, fix this name
            with ``functools.partial(MemorySearchCategorySpcMseFnGenerator, category_field=...)``.
        n_simulations: simulated recalls of each trial, each cut off at the number of recalls
            observed there.
        seed: of the simulations' random draws.

    Raises:
        ValueError: `category_field` is missing, not in `dataset`, or not whole numbers or text
            (trials, positions); or as for `jaxcmr.loss.summary_mse.SimulatedMseGenerator`.

    Examples:
        >>> data = {"subject": np.array([[1], [1]]), "listLength": np.array([[3], [3]]),
        ...         "pres_itemnos": np.array([[1, 2, 3]] * 2),
        ...         "recalls": np.array([[3, 1, 0], [3, 0, 0]]),
        ...         "valence": np.array([[0, 0, 1], [1, 0, 1]])}
        >>> generator = MemorySearchCategorySpcMseFnGenerator("cmr", data, category_field="valence")
        >>> generator(np.array([0, 1]), {}, []).observed.tolist()  # of neutral and emotional items
        [[1.0, 0.0, nan], [0.0, nan, 1.0]]
    """

    def __init__(
        self,
        model_factory: Model,
        dataset: RecallDataset,
        features: Features = None,
        *,
        category_field: str = "",
        n_simulations: int = 20,
        seed: int = 0,
    ) -> None:
        studied = studied_positions(dataset["listLength"])
        of_items = categories_of_items(dataset, category_field)[:, : studied.shape[1]]
        self.categories = np.unique(of_items[studied])
        is_of_category = of_items[:, None, :] == self.categories[:, None]
        super().__init__(
            model_factory,
            dataset,
            features,
            position_curves,
            {"in_curve": is_of_category & studied[:, None, :]},
            n_simulations,
            seed,
            pooled=True,
        )


def categories_of_items(
    dataset: RecallDataset, field: str
) -> Shaped[np.ndarray, "trials positions"]:
    """Return the category of each studied item: whole numbers or text.

    Raises:
        ValueError: the data set has no such field, or a studied item lacks a category in it.
    """
    shape = np.shape(dataset["pres_itemnos"])
    if field not in dataset:
        alike = sorted(name for name in dataset if np.shape(dataset[name]) == shape)
        raise ValueError(
            f"category_field={field!r} is not a field of the data set: give the one with the "
            f"category of each studied item. Fields of its shape {shape} are: {', '.join(alike)}; "
            f"all fields: {', '.join(sorted(dataset))}."
        )
    values = np.asarray(dataset[field])
    if values.shape == shape:
        studied = values[np.asarray(dataset["pres_itemnos"]) > 0]
        if values.dtype.kind in "iu" or (values.dtype.kind == "U" and np.all(studied != "")):
            return values
        if values.dtype.kind == "f" and np.all(studied == np.round(studied)):
            return np.where(np.isnan(values), 0, values).astype(np.int64)
    raise ValueError(
        f"Field {field!r} must hold one whole number or text per studied item, {shape}; it holds "
        f"{values.dtype} {values.shape}, or an item lacks it."
    )
