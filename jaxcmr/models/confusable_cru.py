"""Confusable CRU: serial recall of letters, any of which may slip into a similar one when typed.

Source: the context retrieval and updating model (CRU; Logan, 2021): the memory is `cru`, over
letters, which learns before context is updated and may recall a letter again. Slips are added to
its choice, by an exponential of the distance between letters (Shepard, 1987).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxcmr.components.linear_memory import probe_rows
from jaxcmr.math import append_axes, combine_rows, is_unit, total, with_item_axis
from jaxcmr.models import cmr, cru
from jaxcmr.parameters import ABOVE_0, Parameter, as_candidates, count_axes
from jaxcmr.typing import Features, MemorySearchFactory, Parameters, RecallDataset

__all__ = ["ConfusableCRU", "ConfusableCRUFactory", "make_factory"]

ITEM_SENSITIVITY_MAX = Parameter(
    "item_sensitivity_max",
    ABOVE_0,
    100.0,
    "η",
    "How well the first letter of a list is told from similar ones; suits distances of about 1.",
    scale="log",
    limits=(0.0, np.inf),
)
ITEM_SENSITIVITY_DECREASE = Parameter(
    "item_sensitivity_decrease",
    ABOVE_0,
    1.0,
    "κ",
    "Factor by which that sensitivity decreases from one letter to the next.",
    limits=(0.0, np.inf),
)


class ConfusableCRU(eqx.Module):
    """The state of the model within one trial. Every method returns a new model.

    Choices are letters, 1 to n_letters. When letter i is studied at event k (from 0), its row of
    the slip matrix Z becomes the softmax over j of
    ``-item_sensitivity_max * item_sensitivity_decrease^k * distance_ij``; a letter not studied has
    that of the identity. Letter j is typed with probability ``(1 - s) sum_i P(i) Z_ij``, where s
    and P are the memory's. Context then advances by the letter that most probably was meant,
    ``argmax_i P(i) Z_ij``.
    """

    memory: cmr.CMR
    slips: Float[Array, "letters letters ..."]  # Z: row i sums to one
    distances: Float[Array, "letters letters ..."]
    sensitivity_max: Float[Array, "..."]
    sensitivity_decrease: Float[Array, "..."]

    def experience(self, choice: Int[Array, "..."]) -> ConfusableCRU:
        """Return the model after studying letter `choice` (0 is padding, no change)."""
        # The exponent stays an integer: the gradient at 0^0 is then 0, not NaN.
        decrease = self.sensitivity_decrease**self.memory.study_event
        sensitivity = with_item_axis(self.sensitivity_max * decrease)
        alike = jnp.exp(-sensitivity * probe_rows(self.distances, choice))  # 1 for the letter
        confused = alike / with_item_axis(total(alike))
        is_row = is_unit(choice, len(self.slips), self.slips.ndim - 2)[:, None]
        return replace(
            self,
            memory=self.memory.experience(choice),
            slips=jnp.where(is_row, confused[None], self.slips),
        )

    def start_retrieving(self) -> ConfusableCRU:
        """Return the model ready for its first recall."""
        return replace(self, memory=self.memory.start_retrieving())

    def retrieve(self, choice: Int[Array, "..."]) -> ConfusableCRU:
        """Return the model after typing letter `choice`, or after stopping (0)."""
        meant = jnp.where(choice > 0, self.most_probably_meant(choice), 0)
        return replace(self, memory=self.memory.retrieve(meant))

    def most_probably_meant(self, choice: Int[Array, "..."]) -> Int[Array, "..."]:
        """Return the letter that most probably was meant, given that `choice` is typed."""
        meant = self.memory.stop_and_items()[1]
        return jnp.argmax(meant * self._slips_into(choice), axis=0) + 1

    def activations(self) -> Float[Array, "letters ..."]:
        """Return the support of context for each letter, before any slip."""
        return self.memory.activations()

    def outcome_probabilities(self) -> Float[Array, "outcomes ..."]:
        """Return the probabilities of all outcomes, stopping first; they sum to one."""
        stop, meant = self.memory.stop_and_items()
        typed = combine_rows(meant, self.slips)
        return jnp.concatenate([jnp.broadcast_to(stop, typed.shape[1:])[None], typed])

    def outcome_probability(self, choice: Int[Array, "..."]) -> Float[Array, "..."]:
        """Return the probability that the next event is typing `choice`, or stopping (0)."""
        stop, meant = self.memory.stop_and_items()
        return jnp.where(choice > 0, total(meant * self._slips_into(choice)), stop)

    def _slips_into(self, choice: Int[Array, "..."]) -> Float[Array, "letters ..."]:
        """Return the probability that each letter slips into letter `choice`."""
        return probe_rows(jnp.swapaxes(self.slips, 0, 1), choice)


class ConfusableCRUFactory(eqx.Module, MemorySearchFactory):
    """Builds the model for the trials of a data set."""

    memory: cmr.CMRFactory  # over letters
    distances: np.ndarray  # (n_letters, n_letters), in double precision

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Return the parameters of the memory and of the slips."""
        return (*self.memory.parameters, ITEM_SENSITIVITY_MAX, ITEM_SENSITIVITY_DECREASE)

    @property
    def vectorized(self) -> bool:
        """Return whether the memory works for many candidates at once."""
        return self.memory.vectorized

    @property
    def choices_are_ids(self) -> bool:
        """Return True: choices are letters."""
        return True

    @property
    def allows_repeats(self) -> bool:
        """Return True: a letter may be typed again."""
        return True

    def study_lists(self, dataset: RecallDataset) -> np.ndarray:
        """Return the study-list id of each trial, equal where the letters are.

        Raises:
            ValueError: the items to be studied are positions, not letters.
        """
        if not np.array_equal(dataset["pres_itemnos"], dataset["pres_itemids"]):
            raise ValueError(
                "This model studies letters, but the data set's 'pres_itemnos' are not its letters "
                "'pres_itemids'. Score it with jaxcmr.loss.confusable_likelihood, or pass a data "
                "set whose 'pres_itemnos' are its 'pres_itemids'."
            )
        return self.memory.study_lists(dataset)

    def create_trial_model(
        self, trial_index: Int[Array, "..."], parameters: Parameters
    ) -> ConfusableCRU:
        """Return the model before its first study event, able to type every letter."""
        parameters = as_candidates(parameters)
        rank = count_axes(parameters)
        memory = self.memory.create_trial_model(trial_index, parameters)
        every_letter = jnp.ones_like(memory.recallable)
        return ConfusableCRU(
            memory=replace(memory, in_list=every_letter, recallable=every_letter),
            slips=append_axes(jnp.eye(len(self.distances)), rank),
            distances=append_axes(jnp.asarray(self.distances, float), rank),
            sensitivity_max=parameters["item_sensitivity_max"],
            sensitivity_decrease=parameters["item_sensitivity_decrease"],
        )


def make_factory(*on: str, **parts: Any) -> ConfusableCRUMaker:
    """Return the factory of confusable CRU.

    A letter has one unit of context, however often it is studied.

    Args:
        on: mechanisms of `cru.TOGGLES` that are turned on in the memory.
        **parts: other parts of the memory than the usual ones: ``mfc``, ``mcf``, ``context``,
            ``termination`` and ``choice`` of `jaxcmr.models.cmr.make_factory`.

    Returns:
        ``Factory(dataset, features) -> ConfusableCRUFactory``. The features are the distances
        between letters, (n_letters, n_letters) in any unit: finite, not negative, 0 on the
        diagonal, not necessarily symmetric. ``pres_itemids`` (trials, positions) and
        ``rec_itemids`` (trials, outputs) hold letters 1 to n_letters, 0 for none. It raises a
        ValueError for other features or letters.

    >>> [parameter.symbol for parameter in make_factory().parameters[-2:]]
    ['η', 'κ']
    """
    return make_maker(
        cru.make_factory(
            *on, learn_after_context_update=False, allow_repeated_recalls=True, **parts
        )
    )


@dataclass(frozen=True)
class ConfusableCRUMaker:
    """What `make_factory` returns: a function of data that pickles, equal where its memory is."""

    memory: cmr.CMRMaker

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Return the parameters of the model, without those fixed."""
        return (*self.memory.parameters, ITEM_SENSITIVITY_MAX, ITEM_SENSITIVITY_DECREASE)

    def __call__(self, dataset: RecallDataset, features: Features = None) -> ConfusableCRUFactory:
        """Return the factory of the models of the trials of `dataset`."""
        distances = as_distances(features)
        for name in ("pres_itemids", "rec_itemids"):
            check_letters(dataset, name, len(distances))
        over_letters = replace(self.memory(dataset), n_items=len(distances))
        return ConfusableCRUFactory(over_letters, distances)


make_maker = lru_cache(ConfusableCRUMaker)
"""Returns the same maker for the same memory."""


def as_distances(features: Features) -> np.ndarray:
    """Return `features` as a matrix of distances; raise a ValueError if they are not one."""
    wanted = "features is the matrix of distances between letters, (n_letters, n_letters)"
    if isinstance(features, Mapping) and set(features) == {"distances"}:
        features = features["distances"]
    try:
        distances = np.asarray(features, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{wanted}; got {type(features).__name__}.") from None
    if features is None:
        raise ValueError(f"{wanted}; got None.")
    if distances.ndim != 2 or distances.shape[0] != distances.shape[1] or not len(distances):
        raise ValueError(f"{wanted}; got shape {distances.shape}.")
    if not np.all(np.isfinite(distances)):
        where = np.argwhere(~np.isfinite(distances))[0]
        raise ValueError(f"{wanted}, all finite; entry {tuple(where.tolist())} is not.")
    if np.any(distances < 0):
        where = np.argwhere(distances < 0)[0]
        raise ValueError(f"{wanted}, not negative; entry {tuple(where.tolist())} is. Similarities?")
    if np.any(np.diagonal(distances)):
        raise ValueError(f"{wanted}, 0 from a letter to itself; got {np.diagonal(distances)[:5]}.")
    return distances


def check_letters(dataset: RecallDataset, name: str, n_letters: int) -> None:
    """Check that a field holds letters 1 to `n_letters`, or 0; else raise a ValueError."""
    if name not in dataset and name == "pres_itemids":
        raise ValueError(f"The data set has no field '{name}', which holds the letters studied.")
    letters = np.asarray(dataset.get(name, 0))
    odd = letters[~np.isin(letters, np.arange(n_letters + 1))]
    if odd.size:
        raise ValueError(
            f"'{name}' holds {odd[0]}, but the distances are between {n_letters} letters: number "
            f"the letters 1 to {n_letters}, with 0 for none."
        )
