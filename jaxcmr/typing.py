"""The vocabulary of the package: data, and the interfaces a model meets.

Conventions used everywhere:

- A *trial* is one studied list with the recalls that followed it; arrays hold one row a trial.
- A *choice* is a 1-based item number. At study 0 is padding; at recall 0 means "stop".
- A *parameter vector* ``x`` has shape ``(n_params,)``; a batch of candidates has shape
  ``(n_params, n_candidates)``, as SciPy's ``vectorized=True`` has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array, Float, Int

__all__ = [
    "Bounds",
    "LossFn",
    "LossFnGenerator",
    "MemorySearch",
    "MemorySearchFactory",
    "Parameters",
    "RecallDataset",
    "Replay",
    "TrialMask",
]

RecallDataset = Mapping[str, np.ndarray]
"""Recall data: a mapping of integer or float arrays with one row a trial.

Required: ``subject`` (trials, 1), ``listLength`` (trials, 1), ``pres_itemnos`` (trials, positions),
``recalls`` (trials, outputs: 1-based study positions, 0 = none). Usual: ``pres_itemids``,
``rec_itemids``, and any other field with one row a trial.
"""

TrialMask = np.ndarray
"""A boolean vector with one entry a trial of the data set."""

Parameters = Mapping[str, Any]
"""Parameter values by name: Python floats or scalar arrays."""

Bounds = Mapping[str, Sequence[float]]
"""Lower and upper bound of each free parameter by name: ``{"learning_rate": [0.0, 1.0]}``."""

LossFn = Callable[[Any], Any]
"""``(n_params,) -> ()`` and ``(n_params, n_candidates) -> (n_candidates,)``; lower is better."""


@runtime_checkable
class MemorySearch(Protocol):
    """A model of memory search, one trial long. Every method returns; none changes `self`.

    To work compiled and batched a model is a pytree (an `equinox.Module`) whose array shapes and
    dtypes do not change from call to call.
    """

    def experience(self, choice: Int[Array, ""]) -> MemorySearch:
        """The model after studying item `choice` (1-based; 0 is padding and changes nothing)."""
        ...

    def start_retrieving(self) -> MemorySearch:
        """The model ready for its first recall."""
        ...

    def retrieve(self, choice: Int[Array, ""]) -> MemorySearch:
        """The model after recalling item `choice` (1-based), or after stopping (0)."""
        ...

    def activations(self) -> Float[Array, " n_items"]:
        """Support for each item, before the choice rule; the scale is the model's own."""
        ...

    def outcome_probability(self, choice: Int[Array, ""]) -> Float[Array, ""]:
        """Probability that the next event is recall of item `choice`, or stopping (0)."""
        ...

    def outcome_probabilities(self) -> Float[Array, " n_items+1"]:
        """Probabilities of all outcomes, stopping first; they sum to one."""
        ...


class MemorySearchFactory(Protocol):
    """Builds the model of one trial: ``Factory(dataset, features)`` then `create_trial_model`.

    An instance is handed into compiled code, so make it an `equinox.Module` holding the arrays it
    needs. Seven members are optional:

    - ``parameter_names``: the names its models read; lets a fitter catch misspelt ones.
    - ``parameter_scales``: {name: "log"} of parameters that are better searched on a logarithmic
      scale, because their effect goes with their ratio.
    - ``parameter_limits``: {name: (low, high)}, the values for which the model is defined, both
      ends included; an end may be infinite. Fits and simulations refuse others.
    - ``study_lists(dataset)``: an integer a trial; trials with the same number have the same study
      phase, which is then played once. Without it every trial is studied by itself.
    - ``allows_repeats``: True if its models may recall again what was recalled.
    - ``choices_are_ids``: True if its models study ``pres_itemids`` and choose among all item ids,
      so that what they recall is ``rec_itemids``.
    - ``replay(dataset)``: a `Replay` of the trials, or None where there is none. Losses of recall
      sequences then use it instead of playing the model event by event.
    """

    def create_trial_model(self, trial_index: Int[Array, ""], parameters: Parameters) -> Any:
        """The `MemorySearch` of trial `trial_index` (0-based row) before its first study event."""
        ...


class Replay(Protocol):
    """A model's likelihood of whole trials, by mathematics that a model played forward cannot use.

    It must equal the model played event by event to rounding error.
    """

    def nll(
        self, parameters: Mapping[str, Float[Array, " candidates"]], rows: Int[Array, " trials"]
    ) -> Float[Array, "trials candidates"]:
        """``-log P`` (nats) of the recalls of the data set's trials `rows`, for each candidate."""
        ...


class LossFnGenerator(Protocol):
    """Makes the loss of a set of trials; made by ``(model_factory, dataset, features)``.

    What else a generator may have:

    - ``parameter_names``, ``parameter_scales``, ``parameter_limits``: those of the model's factory.
    - ``label``: what the loss is, e.g. "NLL" or "MSE"; "loss" without it.
    - ``agree_within``: losses that differ by less count as the same; 0.05 without it.
    - ``has_slope``: False if the slope is zero everywhere, so that fits do not polish; True without
      it. The losses have it as well.
    - ``count_events(trial_indices)``: (trials,) number of observations that the loss scores in each
      trial, 0 for -1.
    """

    def __call__(
        self,
        trial_indices: np.ndarray,
        base_params: Parameters,
        free_param_names: Sequence[str],
    ) -> LossFn:
        """The loss over `trial_indices` (0-based rows; -1 is "no trial" and adds nothing).

        The loss takes the free parameters in the order of `free_param_names`.
        """
        ...
