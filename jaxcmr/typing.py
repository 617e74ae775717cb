"""The vocabulary of the package: data, and the contracts of models, losses and their makers.

Conventions used everywhere:

- A *trial* is one studied list with the recalls that followed it; arrays have one row per trial.
- A *choice* is a 1-based item number. At study 0 is padding; at recall 0 means "stop".
- A *parameter vector* ``x`` has shape ``(n_params,)``; a batch of candidates has shape
  ``(n_params, n_candidates)``, as SciPy's ``vectorized=True`` has it.

From data to a model there are two steps: a *model factory* ``Factory(dataset, features)`` makes a
`MemorySearchFactory`, which makes the `MemorySearch` of any trial. Parts of a model are made by
creators, ``create(n_items, parameters)``; cues, which need the data, in two steps as models are.

A contract with optional members is a base class that holds them with their defaults: a model
factory derives from `MemorySearchFactory`, a loss generator from `LossFnGenerator`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, Union, runtime_checkable

import numpy as np
from jaxtyping import Array, Float, Int

if TYPE_CHECKING:
    import pandas as pd

    from jaxcmr.parameters import Parameter

__all__ = [
    "Bounds",
    "Cue",
    "CueCreator",
    "CueMaker",
    "Declared",
    "DeclaredModel",
    "Draws",
    "Features",
    "Loss",
    "LossFn",
    "LossFnGenerator",
    "MemorySearch",
    "MemorySearchFactory",
    "Model",
    "Parameters",
    "PartCreator",
    "Pattern",
    "RecallDataset",
    "Replay",
    "Subject",
    "Sweep",
    "TrialMask",
    "Vectorized",
]

RecallDataset = Mapping[str, np.ndarray]
"""Recall data: a mapping of arrays of numbers or text with one row per trial.

Required: ``subject`` (trials, 1), ``listLength`` (trials, 1), ``pres_itemnos`` (trials, positions),
``recalls`` (trials, outputs: 1-based study positions, 0 = none). Usual: ``pres_itemids``,
``rec_itemids``, and any other field with one row per trial. Models and losses read fields of
numbers, unless they say otherwise.
"""

Subject: TypeAlias = int | str
"""A subject id: a whole number or a name."""

TrialMask = np.ndarray
"""A boolean vector with one entry per trial of the data set."""

Features: TypeAlias = Any
"""What a model needs to know of the items beside the data: word vectors, distances, or None."""

Parameters = Mapping[str, Any]
"""Parameter values by name: Python floats or scalar arrays."""

Bounds = Mapping[str, Sequence[float]]
"""Lower and upper bound of each free parameter by name: ``{"learning_rate": [0.0, 1.0]}``."""

Draws: TypeAlias = Union[Mapping[str, Sequence[float] | np.ndarray], "pd.DataFrame"]
"""Columns of parameter values by name, a row per draw, and ``subject``: whose the draws are."""

Sweep: TypeAlias = Mapping[str, Sequence[float] | np.ndarray]
"""Values of each varied parameter by name: ``{"learning_rate": [0.1, 0.5, 0.9]}``."""

LossFn = Callable[[Any], Any]
"""``(n_params,) -> ()`` and ``(n_params, n_candidates) -> (n_candidates,)``; lower is better."""


@runtime_checkable
class MemorySearch(Protocol):
    """The state of a model of memory search within one trial. No method changes `self`.

    To work compiled and batched a model is a pytree (an `equinox.Module`) whose array shapes and
    dtypes do not change from call to call.
    """

    def experience(self, choice: Int[Array, ""]) -> MemorySearch:
        """Return the model after studying item `choice` (1-based; 0 is padding, no change)."""
        ...

    def start_retrieving(self) -> MemorySearch:
        """Return the model ready for its first recall."""
        ...

    def retrieve(self, choice: Int[Array, ""]) -> MemorySearch:
        """Return the model after recalling item `choice` (1-based), or after stopping (0)."""
        ...

    def activations(self) -> Float[Array, " n_items"]:
        """Return the support for each item, before the choice rule, on the model's own scale."""
        ...

    def outcome_probability(self, choice: Int[Array, ""]) -> Float[Array, ""]:
        """Return the probability that the next event is recall of `choice`, or stopping (0)."""
        ...

    def outcome_probabilities(self) -> Float[Array, " outcomes"]:
        """Return the probabilities of all outcomes, stopping first; they sum to one."""
        ...


class Replay(Protocol):
    """A model's likelihood of whole trials, instead of event by event.

    It must equal the model played event by event to rounding error.
    """

    @property
    def study_lists(self) -> np.ndarray:
        """Return an id per trial; trials with the same id are scored together."""
        ...

    def nll(
        self, parameters: Mapping[str, Float[Array, " candidates"]], rows: Int[Array, " trials"]
    ) -> Float[Array, "trials candidates"]:
        """Return ``-log P`` (nats) of the recalls of trials `rows`, for each candidate.

        The trials have the same list id. Parameters that all candidates share are (1,).
        """
        ...


PartCreator: TypeAlias = Callable[[int, Parameters], Any]
"""Creates a part of a model for a list: ``(n_items, parameters) -> part``, a pytree.

It is `Declared`: `jaxcmr.parameters.reads` says which parameters it reads, and whether they may be
those of many candidates.
"""


@runtime_checkable
class Vectorized(Protocol):
    """Something that says whether it works for many candidates at once."""

    @property
    def vectorized(self) -> bool:
        """Return whether parameters may be (n_candidates,) each."""
        ...


@runtime_checkable
class Declared(Protocol):
    """Something that says which parameters it reads."""

    @property
    def parameters(self) -> Sequence[Parameter]:
        """Return the parameters that it reads."""
        ...


Pattern: TypeAlias = Float[Array, "_ ..."] | Int[Array, "..."]
"""Which units are active: their weights, or the number of a single one from 1, with 0 for none."""


class Cue(Protocol):
    """What supports items beside temporal context; it goes through a trial with the model."""

    def experience(self, item: Pattern, attention: Float[Array, "..."]) -> Cue:
        """Return the cue after study of `item` (0 is padding, no change)."""
        ...

    def start_retrieving(self) -> Cue:
        """Return the cue ready for the first recall."""
        ...

    def retrieve(self, pattern: Pattern) -> Cue:
        """Return the cue after recall of an item, or of items by their weights."""
        ...

    def __call__(
        self, support: Float[Array, "n_items ..."], context: Float[Array, "units ..."]
    ) -> Float[Array, "n_items ..."]:
        """Return the support of items, given that of the parts before."""
        ...

    def log_weights(self) -> Float[Array, "n_items ..."] | None:
        """Return log weights that multiply the items' choice strength, or None."""
        ...


@runtime_checkable
class CueMaker(Protocol):
    """Finds what a cue needs in ``(dataset, features)``."""

    @property
    def parameters(self) -> Sequence[Parameter]:
        """Return the parameters that the cue reads."""
        ...

    def __call__(self, dataset: RecallDataset, features: Features) -> CueCreator:
        """Return the creator of the cues of all trials."""
        ...


class CueCreator(ABC):
    """Base class of what creates the cue of each trial. Derive from `equinox.Module` as well."""

    @abstractmethod
    def __call__(self, trial_index: Int[Array, "..."], parameters: Parameters) -> Any:
        """Return the `Cue` of trial `trial_index` (0-based row), before its first study event."""

    def study_lists(self) -> np.ndarray | None:
        """Return an id per trial, equal where the cue is the same after study of equal lists.

        None, the default: every trial is studied by itself.
        """
        return None

    def move_to_trial(self, cue: Any, trial_index: Int[Array, "..."]) -> Any:
        """Return the cue of a studied trial as that of another with the same id."""
        return cue


class MemorySearchFactory(ABC):
    """Base class of model factories: ``Factory(dataset, features)`` builds the model of any trial.

    Compiled code takes an instance as an argument, so derive from `equinox.Module` as well and hold
    the arrays that are needed as fields. Only `create_trial_model` is required.
    """

    @abstractmethod
    def create_trial_model(
        self, trial_index: Int[Array, ""], parameters: Parameters
    ) -> MemorySearch:
        """Return the model of trial `trial_index` (0-based row) before its first study event."""

    @property
    def parameters(self) -> Sequence[Parameter] | None:
        """Return the parameters that its models read; None if it does not say.

        Fits then know names, usual bounds, scales and limits. Without them names are not checked.
        """
        return None

    @property
    def vectorized(self) -> bool:
        """Return whether its models can be made with the parameters of many candidates at once.

        Parameters may then be (n_candidates,) each, and the last axis of all that a model holds and
        returns is that of candidates, after items: `outcome_probabilities` is (outcomes,
        n_candidates), `outcome_probability` (n_candidates,). A choice is one for all candidates, or
        one for each. Axes of candidates may have length 1 where all have the same.

        False, the default: models are made with scalars, and mapped over candidates, which is slow.
        """
        return False

    @property
    def allows_repeats(self) -> bool:
        """Return whether its models may recall again what was recalled."""
        return False

    @property
    def choices_are_ids(self) -> bool:
        """Return whether its models study ``pres_itemids`` and choose among all item ids.

        What they recall is then ``rec_itemids``.
        """
        return False

    def study_lists(self, dataset: RecallDataset) -> np.ndarray:
        """Return the study-list id of each trial, (trials,) integers.

        Trials with equal ids have the same study phase, which is then played once. By default every
        trial is studied by itself.
        """
        return np.arange(len(dataset["pres_itemnos"]))

    def move_to_trial(self, model: Any, trial_index: Int[Array, "..."]) -> Any:
        """Return the model that has studied a trial as that of another with the same list id.

        By default it is the same.
        """
        return model

    def replay(self, dataset: RecallDataset) -> Replay | None:
        """Return a `Replay` of the trials; None (the default) if the model is played by events."""
        return None


class LossFnGenerator(ABC):
    """Base class of loss generators: ``Generator(model_factory, dataset, features)``.

    An instance makes the loss of any set of trials. Only `__call__` is required.
    """

    label: ClassVar[str] = "loss"
    """What the loss is, for tables and figures: "NLL", "MSE"."""

    agree_within: ClassVar[float] = 0.05
    """Losses that differ by less count as the same, in the units of the loss."""

    counted: str = "scored events"
    """What `count_events` counts, in words: "scored recalls and stops"."""

    differentiable: ClassVar[bool] = True
    """Whether the loss has a gradient; False if it is piecewise constant. Fits polish only then."""

    @property
    def gradients(self) -> str:
        """Return how a polish takes gradients: "exact" (the default), or "differences".

        Forward differences take n_params + 1 evaluations in double precision, all in one call. They
        suit losses whose exact gradient takes more than that.
        """
        return "exact"

    @abstractmethod
    def __call__(
        self,
        trial_indices: np.ndarray,
        base_params: Parameters,
        free_param_names: Sequence[str],
    ) -> LossFn:
        """Return the loss over `trial_indices` (0-based rows; -1 is "no trial", adds nothing).

        The loss takes the free parameters in the order of `free_param_names`.
        """

    @property
    def parameters(self) -> Sequence[Parameter] | None:
        """Return the parameters that the model reads; None if it does not say."""
        return None

    def count_events(self, trial_indices: np.ndarray) -> np.ndarray | None:
        """Return the number of observations scored in each trial (0 for -1); None: not counted."""
        return None

    def count_given_recalls(self, trial_indices: np.ndarray) -> np.ndarray | None:
        """Return the number of recalls of each trial, if the loss takes it as given (0 for -1).

        None (the default): the loss scores where recall stops. A number that is given is not
        explained by the model: recall that is simulated in place of the data is cut off there.
        """
        return None

    def pointwise_log_likelihood(
        self, trial_indices: np.ndarray, parameters: Parameters, precision: str = "float64"
    ) -> np.ndarray:
        """Return ``log P`` (nats) of every event.

        Raises:
            ValueError: the loss is not a likelihood.
        """
        raise ValueError(f"{self.label} is not a likelihood: it has no probability of each event.")


@runtime_checkable
class DeclaredModel(Protocol):
    """A model factory that declares its parameters before it sees any data."""

    @property
    def parameters(self) -> Sequence[Parameter]:
        """Return the parameters of the model, in the order of a parameter vector."""
        ...

    def __call__(self, dataset: RecallDataset, features: Features = None) -> MemorySearchFactory:
        """Return the factory of the models of the trials of `dataset`."""
        ...


Model: TypeAlias = str | Callable[[RecallDataset, Features], MemorySearchFactory]
"""A model by name, or its factory ``(dataset, features) -> MemorySearchFactory``."""

Loss: TypeAlias = str | Callable[..., LossFnGenerator]
"""A loss by name, or its generator ``(model_factory, dataset, features) -> LossFnGenerator``."""
