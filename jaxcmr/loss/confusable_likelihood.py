"""Negative log-likelihood of typed sequences, letter by letter.

The likelihood is that of `sequence_likelihood`, over item ids and not study positions: intrusions
and repeats are events like others (Logan, 2021). For models whose choices are the letters of an
alphabet, such as `jaxcmr.models.confusable_cru`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from jaxcmr.loss._likelihood import LikelihoodGenerator
from jaxcmr.loss.sequence_likelihood import (
    SequenceLikelihood,
    name_events,
    recalls_given,
    score_events,
)
from jaxcmr.trials import ModelData, check_after_stop
from jaxcmr.typing import Features, Model, Parameters, RecallDataset

__all__ = ["ConfusableLikelihoodFnGenerator"]


class ConfusableLikelihoodFnGenerator(LikelihoodGenerator):
    """Makes likelihoods of the letters typed in sets of trials of one data set.

    Args:
        model_factory: name of a model whose choices are letters, or ``(dataset, features) ->
            factory``.
        dataset: recall data; its ``pres_itemids`` (trials, positions) are studied, its
            ``rec_itemids`` (trials, outputs) scored. Both hold letters from 1 on, 0 for none.
        features: passed to `model_factory`, e.g. the distances between letters.
        events: which events are scored, as for the sequence likelihood. A stop is scored if fewer
            letters were typed than studied, right or wrong: typing ends by itself at the length of
            the list.

    Raises:
        ValueError: a field is missing, a letter follows a 0, or the model's choices are not item
            ids (its factory has `choices_are_ids` False).

    Examples:
        >>> data = {"subject": np.array([[1], [1]]), "listLength": np.array([[3], [3]]),
        ...         "pres_itemnos": np.array([[1, 2, 3]] * 2),
        ...         "recalls": np.array([[1, 2, 3], [1, 0, 0]]),
        ...         "pres_itemids": np.array([[2, 1, 4], [4, 2, 2]]),
        ...         "rec_itemids": np.array([[2, 4, 4], [4, 3, 0]])}
        >>> distances = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
        >>> generator = ConfusableLikelihoodFnGenerator("confusable_cru", data, distances)
        >>> generator.count_events(np.array([0, 1]))  # three letters; two letters and a stop
        array([3, 3])
    """

    def __init__(
        self,
        model_factory: Model,
        dataset: RecallDataset,
        features: Features = None,
        *,
        events: str = "all",
    ) -> None:
        studied, typed = (letters_of(dataset, name) for name in ("pres_itemids", "rec_itemids"))
        check_after_stop(typed, "rec_itemids")
        over_letters = {**dataset, "pres_itemnos": studied}
        self.data = ModelData(model_factory, over_letters, features, choices=typed)
        if not self.data.factory.choices_are_ids:
            raise ValueError(
                "The confusable likelihood is for models that choose among all item ids, such as "
                "'confusable_cru', but this one chooses among the items of a list. Take the "
                "sequence likelihood, or give your model factory choices_are_ids = True."
            )
        self.n_events, self.is_scored = score_events(self.data, events, "list length")
        self.n_given = recalls_given(self.data, events)
        self.counted = name_events(self.n_given)

    def by_event(
        self, trial_indices: np.ndarray, base_params: Parameters, free_param_names: Sequence[str]
    ) -> SequenceLikelihood:
        """Return the loss as `__call__` does, with the model played event by event."""
        trials = self.data.select(trial_indices, base_params, free_param_names)
        return SequenceLikelihood(trials, self.is_scored)


def letters_of(dataset: RecallDataset, name: str) -> Int[np.ndarray, "trials letters"]:
    """Return field `name` of a data set as integers.

    Raises:
        ValueError: there is no such field.
    """
    if name not in dataset:
        raise ValueError(
            f"The data set has no field '{name}', which holds letters from 1 on, one row per "
            f"trial; it has {sorted(dataset)}."
        )
    return np.asarray(dataset[name]).astype(int)
