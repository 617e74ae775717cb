"""Context Maintenance and Retrieval (CMR), put together from named parts.

Source: Polyn, Norman & Kahana (2009); as a likelihood model Kragel, Morton & Polyn (2015) and
Morton & Polyn (2016). `make_factory()` without arguments is the textbook model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxcmr.components import (
    LinearMemory,
    PositionalTermination,
    PowerChoice,
    TemporalContext,
    context_to_item,
    item_to_context,
)
from jaxcmr.math import primacy_gradient
from jaxcmr.models._replay import Replay, as_trials
from jaxcmr.parameters import names_read, scalar_arrays
from jaxcmr.typing import Parameters, RecallDataset

__all__ = ["CMR", "USUAL_BOUNDS", "CMRFactory", "make_factory"]

PartCreator = Callable[[int, Parameters], Any]
"""Creates a part of a model for a list: ``(n_items, parameters) -> part``."""

_LEAST, _MOST = 2.220446049250313e-16, 0.9999999999999998

USUAL_BOUNDS: Mapping[str, tuple[float, float]] = {
    "encoding_drift_rate": (_LEAST, _MOST),
    "start_drift_rate": (_LEAST, _MOST),
    "recall_drift_rate": (_LEAST, _MOST),
    "learning_rate": (_LEAST, _MOST),
    "shared_support": (_LEAST, 100.0),
    "item_support": (_LEAST, 100.0),
    "primacy_scale": (_LEAST, 100.0),
    "primacy_decay": (_LEAST, 100.0),
    "choice_sensitivity": (_LEAST, 100.0),
    "stop_probability_scale": (_LEAST, _MOST),
    "stop_probability_growth": (_LEAST, 10.0),
}
"""Bounds that published fits of CMR to free recall use, by parameter name."""


SCALES: Mapping[str, str] = {
    "shared_support": "log",
    "item_support": "log",
    "primacy_scale": "log",
    "primacy_decay": "log",
    "choice_sensitivity": "log",
    "stop_probability_scale": "log",
    "stop_probability_growth": "log",
}
"""Parameters better searched on a logarithmic scale: strengths, of which ratios matter, and the
first stop probability, which is often below a thousandth."""


class CMR(eqx.Module):
    """The state of CMR within one trial. Every method returns a new model."""

    context: TemporalContext
    mfc: LinearMemory
    mcf: LinearMemory
    choice_rule: PowerChoice
    termination: PositionalTermination
    parameters: dict[str, Float[Array, ""]]  # values of `own_parameters`
    recallable: Bool[Array, " n_items"]
    is_active: Bool[Array, ""]
    study_event: Int[Array, ""]
    output_position: Int[Array, ""]
    learn_after_context_update: bool = eqx.field(static=True)
    allow_repeated_recalls: bool = eqx.field(static=True)

    own_parameters: ClassVar[tuple[str, ...]] = (
        "encoding_drift_rate",
        "start_drift_rate",
        "recall_drift_rate",
        "learning_rate",
        "primacy_scale",
        "primacy_decay",
    )
    """Parameters that CMR itself reads; its parts read others."""

    def experience(self, choice: Int[Array, ""]) -> CMR:
        """The model after studying item `choice` (1-based; 0 is padding and changes nothing)."""
        p = self.parameters
        item = self._item_pattern(choice)
        context_input = self.mfc.probe(item)
        drifted = self.context.integrate(context_input, p["encoding_drift_rate"])
        learned = (drifted if self.learn_after_context_update else self.context).state
        studied = choice > 0
        attention = primacy_gradient(self.study_event, p["primacy_scale"], p["primacy_decay"])
        return replace(
            self,
            context=drifted,
            mfc=self.mfc.associate(item, learned, p["learning_rate"]),
            mcf=self.mcf.associate(learned, item, attention),
            recallable=self.recallable | (item > 0),
            study_event=self.study_event + studied,
        )

    def start_retrieving(self) -> CMR:
        """The model ready for its first recall: context drifts back to the start of the list."""
        return replace(
            self, context=self.context.return_to_start(self.parameters["start_drift_rate"])
        )

    def retrieve(self, choice: Int[Array, ""]) -> CMR:
        """The model after recalling item `choice` (1-based), or after stopping (0)."""
        item = self._item_pattern(choice)
        context_input = self.mfc.probe(item)
        recalled = choice > 0
        leaves = recalled & (not self.allow_repeated_recalls)
        return replace(
            self,
            context=self.context.integrate(context_input, self.parameters["recall_drift_rate"]),
            recallable=self.recallable & ~(leaves & (item > 0)),
            is_active=self.is_active & recalled,
            output_position=self.output_position + recalled,
        )

    def activations(self) -> Float[Array, " n_items"]:
        """Support of context for each item, recalled ones included: ``c M_CF``."""
        return self.mcf.probe(self.context.state)

    def stop_probability(self) -> Float[Array, ""]:
        """Probability that recall stops now; 1 if it has stopped or nothing is recallable."""
        can_go_on = self.is_active & jnp.any(self.recallable)
        return jnp.where(can_go_on, self.termination(self.output_position, self.recallable), 1.0)

    def outcome_probabilities(self) -> Float[Array, " n_items+1"]:
        """Probabilities of all outcomes, stopping first; they sum to one."""
        stop = self.stop_probability()
        items = (1.0 - stop) * self.choice_rule(self.activations(), self.recallable)
        return jnp.concatenate([stop[None], items])

    def outcome_probability(self, choice: Int[Array, ""]) -> Float[Array, ""]:
        """Probability that the next event is recall of item `choice` (1-based), or stopping (0)."""
        return self.outcome_probabilities()[choice]

    def _item_pattern(self, choice: Int[Array, ""]) -> Float[Array, " n_items"]:
        """1 for item `choice`, 0 for the others; all 0 for choice 0."""
        items = jnp.arange(1, self.recallable.shape[0] + 1)
        return (items == choice).astype(self.context.state.dtype)


class Parts(NamedTuple):
    """What a CMR is put together from; see `make_factory`."""

    mfc: PartCreator
    mcf: PartCreator
    context: PartCreator
    termination: PartCreator
    choice: PartCreator
    learn_after_context_update: bool
    allow_repeated_recalls: bool

    def have_closed_form(self) -> bool:
        """Whether `Replay` holds: memories that treat all items alike, the textbook drift."""
        return (
            (self.mfc, self.mcf) == (item_to_context, context_to_item)
            and self.context == TemporalContext.create
            and self.termination == PositionalTermination.create
            and self.choice == PowerChoice.create
            and not self.allow_repeated_recalls
        )

    def assemble(self, n_items: int, parameters: Parameters) -> CMR:
        """CMR for lists of at most `n_items` different items, before the first study event."""
        parameters = scalar_arrays(parameters)
        return CMR(
            context=self.context(n_items, parameters),
            mfc=self.mfc(n_items, parameters),
            mcf=self.mcf(n_items, parameters),
            choice_rule=self.choice(n_items, parameters),
            termination=self.termination(n_items, parameters),
            parameters={name: parameters[name] for name in CMR.own_parameters},
            recallable=jnp.zeros(n_items, bool),
            is_active=jnp.array(True),
            study_event=jnp.zeros((), int),
            output_position=jnp.zeros((), int),
            learn_after_context_update=self.learn_after_context_update,
            allow_repeated_recalls=self.allow_repeated_recalls,
        )


class CMRFactory(eqx.Module):
    """Builds CMR for the trials of a data set (a `jaxcmr.typing.MemorySearchFactory`)."""

    parts: Parts = eqx.field(static=True)
    n_items: int = eqx.field(static=True)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the parameters that the parts read."""
        return names_read(lambda parameters: self.parts.assemble(self.n_items, parameters))

    @property
    def parameter_scales(self) -> Mapping[str, str]:
        """Parameters better searched on a logarithmic scale."""
        return SCALES

    def study_lists(self, dataset: RecallDataset) -> np.ndarray:
        """An integer a trial, equal where `pres_itemnos` is: all that CMR takes from a list."""
        return np.unique(dataset["pres_itemnos"], axis=0, return_inverse=True)[1].reshape(-1)

    def create_trial_model(self, trial_index: Int[Array, ""], parameters: Parameters) -> CMR:
        """CMR before its first study event; in this model no trial starts unlike another."""
        return self.parts.assemble(self.n_items, parameters)

    def replay(self, dataset: RecallDataset) -> Replay | None:
        """Scores whole trials at once; None where parts or data have no closed form."""
        trials = as_trials(dataset, self.n_items) if self.parts.have_closed_form() else None
        if trials is None:
            return None
        return Replay(
            trials,
            jnp.unique(trials.list_length),
            self.parts.choice,
            self.parts.termination,
            lead=int(self.parts.learn_after_context_update),
        )


@lru_cache
def make_factory(
    mfc: PartCreator = item_to_context,
    mcf: PartCreator = context_to_item,
    context: PartCreator = TemporalContext.create,
    termination: PartCreator = PositionalTermination.create,
    choice: PartCreator = PowerChoice.create,
    learn_after_context_update: bool = True,
    allow_repeated_recalls: bool = False,
) -> Callable[..., CMRFactory]:
    """The factory of a CMR made of the given parts; without arguments, of the textbook model.

    Every part is created by a function ``(n_items, parameters) -> part`` and is an
    `equinox.Module`, as those in `jaxcmr.components` are. The same arguments give the same factory,
    so that compiled programs are shared.

    Args:
        mfc: creates the item-to-context memory.
        mcf: creates the context-to-item memory.
        context: creates the context.
        termination: creates the stopping rule.
        choice: creates the choice rule.
        learn_after_context_update: associate an item with the context that it has already updated
            (False: with the context it met, as in serial CRU; Logan, 2021).
        allow_repeated_recalls: leave a recalled item recallable.

    Returns:
        ``Factory(dataset, features=None) -> CMRFactory``.
    """
    parts = Parts(
        mfc, mcf, context, termination, choice, learn_after_context_update, allow_repeated_recalls
    )

    def factory(dataset: RecallDataset, features: Any = None) -> CMRFactory:
        return CMRFactory(parts, n_items=int(np.max(dataset["listLength"])))

    return factory
