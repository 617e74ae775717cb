"""Negative log-likelihood of typed sequences, by what was typed and not by where it was studied.

The likelihood is that of `sequence_likelihood`, over letters: intrusions and repeats are events
like others (Logan, 2021). For models whose choices are the letters of an alphabet, such as
`jaxcmr.models.confusable_cru`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxcmr.loss._likelihood import LikelihoodGenerator
from jaxcmr.loss.sequence_likelihood import SequenceLikelihood, events_that_count
from jaxcmr.trials import TrialSets
from jaxcmr.typing import MemorySearchFactory, Parameters, RecallDataset

__all__ = ["ConfusableLikelihoodFnGenerator"]


class ConfusableLikelihoodFnGenerator(LikelihoodGenerator):
    """Makes likelihoods of what was typed in sets of trials of one data set (a `LossFnGenerator`).

    Args:
        model_factory: ``(dataset, features) -> factory`` of a model whose choices are letters.
        dataset: recall data; its ``pres_itemids`` (trials, positions) are studied, its
            ``rec_itemids`` (trials, outputs) scored. Both hold letters from 1 on, 0 for none.
        features: passed to `model_factory`, e.g. the distances between letters.
        events: which events add to the loss, as for the sequence likelihood. A stop is one where
            fewer letters were typed than studied, right or wrong: typing ends by itself at the
            length of the list.

    Raises:
        ValueError: a field is missing, something was typed after a 0, where typing had ended, or
            the model's choices are not item ids (its factory has no true `choices_are_ids`).
    """

    def __init__(
        self,
        model_factory: str | Callable[..., MemorySearchFactory],
        dataset: RecallDataset,
        features: Any = None,
        *,
        events: str = "all",
    ) -> None:
        studied, typed = (letters_of(dataset, name) for name in ("pres_itemids", "rec_itemids"))
        resumed = np.any((typed[:, :-1] == 0) & (typed[:, 1:] > 0), axis=1)
        if resumed.any():
            raise ValueError(
                f"'rec_itemids' has a letter after a 0 in trial {np.argmax(resumed)}, but the "
                "first 0 is where typing ends. Give an omission that is followed by more a letter "
                "of its own, or leave it out."
            )
        over_letters = {**dataset, "pres_itemnos": studied}
        self.trial_sets = TrialSets(model_factory, over_letters, features, choices=typed)
        if not getattr(self.trial_sets.factory, "choices_are_ids", False):
            raise ValueError(
                "The confusable likelihood is for models that choose among all item ids, such as "
                "jaxcmr.models.confusable_cru; this one chooses among the items of a list. Take "
                "the sequence likelihood. (A factory of your own says choices_are_ids = True.)"
            )
        self.n_events, self.counts = events_that_count(self.trial_sets, events, "list length")

    def __call__(
        self,
        trial_indices: np.ndarray,
        base_params: Parameters,
        free_param_names: Sequence[str],
    ) -> SequenceLikelihood:
        """The loss over `trial_indices` (0-based rows; -1 is "no trial" and adds nothing)."""
        trials = self.trial_sets(trial_indices, base_params, free_param_names)
        return SequenceLikelihood(trials, self.counts)

    def _by_event(
        self, trial_indices: np.ndarray, base_params: Parameters, free_param_names: Sequence[str]
    ) -> SequenceLikelihood:
        return self(trial_indices, base_params, free_param_names)


def letters_of(dataset: RecallDataset, name: str) -> np.ndarray:
    """Field `name` of a data set as integers, (trials, letters)."""
    if name not in dataset:
        raise ValueError(
            f"The data set has no field '{name}', which holds letters from 1 on, one row a trial; "
            f"it has {sorted(dataset)}"
        )
    return np.asarray(dataset[name]).astype(int)
