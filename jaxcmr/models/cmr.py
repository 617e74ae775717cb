"""Context Maintenance and Retrieval (CMR), put together from named parts.

Source: Polyn, Norman & Kahana (2009); as a likelihood model Kragel, Morton & Polyn (2015) and
Morton & Polyn (2016). `make_factory()` without arguments is the textbook model.
"""

from __future__ import annotations

import warnings
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxcmr.components import (
    ContextCompetition,
    ExponentialChoice,
    NoTermination,
    PositionalTermination,
    PowerChoice,
    RecallState,
    SourceCueMaker,
    TemporalContext,
    context_to_item,
    item_to_context,
)
from jaxcmr.math import primacy_gradient
from jaxcmr.models._combinations import refuse_what_is_no_part, refuse_what_makes_no_sense
from jaxcmr.models._replay import Replay, as_trials
from jaxcmr.parameters import (
    Limits,
    check_limits,
    doubles,
    names_read,
    refuse_unread,
    scalar_arrays,
)
from jaxcmr.typing import Parameters, RecallDataset

__all__ = ["CMR", "LIMITS", "USUAL_BOUNDS", "CMRFactory", "make_factory"]

PartCreator = Callable[[int, Parameters], Any]
"""Creates a part of a model for a list: ``(n_items, parameters) -> part``."""

CueMaker = Callable[[RecallDataset, Any], Callable[[Any, Parameters], Any]]
"""Finds in ``(dataset, features)`` what a cue needs, and gives its creator, a pytree:
``(trial_index, parameters) -> cue``. A cue is an `equinox.Module` that goes through a trial with
the model: ``experience(item, attention)``, ``start_retrieving()`` and ``retrieve(pattern)`` give
the cue after that event, ``cue(support, context)`` what it makes of the support, and
``log_weights()`` the logarithms of what it multiplies the strength of items in the choice by, or
None."""

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
    "choice_temperature": "log",
    "stop_probability_scale": "log",
    "stop_probability_growth": "log",
    "semantic_scale": "log",
    "emotion_scale": "log",
}
"""Parameters of CMR and of its parts better searched on a logarithmic scale: strengths, of which
ratios matter, and the first stop probability, which is often below a thousandth."""

LIMITS: Limits = {
    "encoding_drift_rate": (0.0, 1.0),
    "start_drift_rate": (0.0, 1.0),
    "recall_drift_rate": (0.0, 1.0),
    "encoding_drift_decrease": (0.0, 1.0),
    "learning_rate": (0.0, 1.0),
    "shared_support": (0.0, np.inf),
    "item_support": (0.0, np.inf),
    "primacy_scale": (0.0, np.inf),
    "choice_sensitivity": (0.0, np.inf),
    "choice_temperature": (0.0, np.inf),
    "stop_probability_scale": (0.0, 1.0),
    "mfc_trace_sensitivity": (0.0, np.inf),
    "mcf_trace_sensitivity": (0.0, np.inf),
    "semantic_scale": (0.0, np.inf),
    "source_drift_rate": (0.0, 1.0),
    "emotion_scale": (0.0, np.inf),
}
"""Where CMR and its parts are defined, by parameter name. A drift rate above 1 gives
``rho = sqrt(1 + b^2 (d^2 - 1)) - b d`` the root of a negative number. Supports, scales and learning
below 0 give items negative strengths, to which choice by power has no answer. Exponents below 0
favor the weakest item, without limit where its support is 0. Primacy may decay at any rate, and
stopping may grow or fall with output position."""


class CMR(eqx.Module):
    """The state of CMR within one trial. Every method returns a new model."""

    context: TemporalContext
    mfc: Any  # memories, see `jaxcmr.components`
    mcf: Any
    choice_rule: Any
    termination: Any
    cues: tuple[Any, ...]  # what else supports items, in this order
    parameters: dict[str, Float[Array, ""]]  # values of `own_parameters`
    recallable: Bool[Array, " n_items"]
    recalled: Bool[Array, " n_items"]
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
        item = self._item_pattern(choice)
        drifted = self.context.integrate(self.mfc.probe(item), self._encoding_drift_rate())
        learned = (drifted if self.learn_after_context_update else self.context).state
        attention = self._attention(self.study_event)
        return replace(
            self,
            context=drifted,
            mfc=self.mfc.associate(item, learned, self.parameters["learning_rate"]),
            mcf=self.mcf.associate(learned, item, attention),
            cues=tuple(cue.experience(item, attention) for cue in self.cues),
            recallable=self.recallable | (item > 0),
            study_event=self.study_event + (choice > 0),
        )

    def start_retrieving(self) -> CMR:
        """The model ready for its first recall: context drifts back to the start of the list."""
        termination = self.termination
        if isinstance(termination, ContextCompetition):
            last = self._attention(jnp.maximum(self.study_event - 1, 0))
            termination = termination.learn(self.context.state, last)
        return replace(
            self,
            context=self.context.return_to_start(self.parameters["start_drift_rate"]),
            termination=termination,
            cues=tuple(cue.start_retrieving() for cue in self.cues),
        )

    def retrieve(self, choice: Int[Array, ""]) -> CMR:
        """The model after recalling item `choice` (1-based), or after stopping (0)."""
        item = self._item_pattern(choice)
        return self.reinstate(item, item > 0)

    def reinstate(
        self, pattern: Float[Array, " n_items"], recalled: Bool[Array, " n_items"]
    ) -> CMR:
        """The model after a recall of the items `recalled` that brings back the contexts of all of
        `pattern`, by its weights. If nothing is recalled, recall has stopped."""
        goes_on = jnp.any(recalled)
        leaving = jnp.zeros_like(recalled) if self.allow_repeated_recalls else recalled
        rate = self.parameters["recall_drift_rate"]
        return replace(
            self,
            context=self.context.integrate(self.mfc.probe(pattern), rate),
            cues=tuple(cue.retrieve(pattern) for cue in self.cues),
            recallable=self.recallable & ~leaving,
            recalled=self.recalled | recalled,
            is_active=self.is_active & goes_on,
            output_position=self.output_position + goes_on,
        )

    def activations(self) -> Float[Array, " n_items"]:
        """Support for each item, recalled ones included: ``c M_CF``, and what cues make of it."""
        support = self.mcf.probe(self.context.state)
        for cue in self.cues:
            support = cue(support, self.context.state)
        return support

    def stop_probability(self) -> Float[Array, ""]:
        """Probability that recall stops now; 1 if it has stopped or nothing is recallable."""
        return self.outcome_probabilities()[0]

    def outcome_probabilities(self) -> Float[Array, " n_items+1"]:
        """Probabilities of all outcomes, stopping first; they sum to one."""
        support = jnp.where(self.recallable | self.recalled, self.activations(), 0.0)
        if isinstance(self.termination, ContextCompetition):
            stop, items = self._among_rivals(support)
        else:
            where = RecallState(self.output_position, self.recallable, self.recalled, support)
            stop = self.termination(where)
            items = (1.0 - stop) * self._shares(support, self.recallable)
        can_go_on = self.is_active & jnp.any(self.recallable)
        outcomes = jnp.concatenate([stop[None], items])
        return jnp.where(can_go_on, outcomes, jnp.zeros_like(outcomes).at[0].set(1.0))

    def outcome_probability(self, choice: Int[Array, ""]) -> Float[Array, ""]:
        """Probability that the next event is recall of item `choice` (1-based), or stopping (0)."""
        return self.outcome_probabilities()[choice]

    def _among_rivals(
        self, support: Float[Array, " n_items"]
    ) -> tuple[Float[Array, ""], Float[Array, " n_items"]]:
        """Probabilities to stop and of each item, where stopping is a rival of the items."""
        rival = self.termination.support(self.context.state)
        shares = self._shares(jnp.append(support, rival), jnp.append(self.recallable, True))
        stop, items = shares[-1], shares[:-1]
        return stop, items * (1.0 - stop) if self.termination.discounts_twice else items

    def _shares(
        self, support: Float[Array, " rivals"], recallable: Bool[Array, " rivals"]
    ) -> Float[Array, " rivals"]:
        """Shares of the choice, with the weights of cues; a rival that is no item has weight 1."""
        weights = [weight for cue in self.cues if (weight := cue.log_weights()) is not None]
        if not weights:
            return self.choice_rule(support, recallable)
        of_items = jnp.sum(jnp.stack(weights), axis=0)
        n_others = len(support) - len(of_items)
        return self.choice_rule(support, recallable, jnp.pad(of_items, (0, n_others)))

    def _encoding_drift_rate(self) -> Float[Array, ""]:
        """That of this study event: it may decrease from one to the next."""
        rate = self.parameters["encoding_drift_rate"]
        if "encoding_drift_decrease" not in self.parameters:
            return rate
        return rate * self.parameters["encoding_drift_decrease"] ** self.study_event

    def _attention(self, study_event: Int[Array, ""]) -> Float[Array, ""]:
        """How strongly context learns to support an item, the higher the earlier it comes."""
        return primacy_gradient(
            study_event, self.parameters["primacy_scale"], self.parameters["primacy_decay"]
        )

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
    encoding_drift_decreases: bool
    fixed: tuple[tuple[str, float], ...]

    def have_closed_form(self) -> bool:
        """Whether `Replay` holds: memories that treat all items alike, the textbook drift."""
        return (
            (self.mfc, self.mcf) == (item_to_context, context_to_item)
            and self.context == TemporalContext.create
            and self.termination in (PositionalTermination.create, NoTermination.create)
            and self.choice in (PowerChoice.create, ExponentialChoice.create)
            and not self.allow_repeated_recalls
            and not self.encoding_drift_decreases
        )

    def bind(self, parameters: Parameters) -> Parameters:
        """`parameters` as scalar arrays, those fixed in place of any given."""
        fixed: Any = scalar_arrays(dict(self.fixed))
        given: Any = scalar_arrays(parameters)
        return ChainMap(fixed, given)

    def assemble(self, n_items: int, parameters: Parameters, cues: tuple[Any, ...] = ()) -> CMR:
        """CMR for lists of at most `n_items` different items, before the first study event."""
        parameters = self.bind(parameters)
        decrease = ("encoding_drift_decrease",) if self.encoding_drift_decreases else ()
        return CMR(
            context=self.context(n_items, parameters),
            mfc=self.mfc(n_items, parameters),
            mcf=self.mcf(n_items, parameters),
            choice_rule=self.choice(n_items, parameters),
            termination=self.termination(n_items, parameters),
            cues=cues,
            parameters={name: parameters[name] for name in CMR.own_parameters + decrease},
            recallable=jnp.zeros(n_items, bool),
            recalled=jnp.zeros(n_items, bool),
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
    cues: tuple[Callable[..., Any], ...] = ()

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the parameters that the parts read, but for those fixed."""
        read = names_read(lambda parameters: self.create_trial_model(jnp.array(0), parameters))
        return tuple(name for name in read if name not in dict(self.parts.fixed))

    @property
    def parameter_scales(self) -> Mapping[str, str]:
        """Parameters better searched on a logarithmic scale."""
        return SCALES

    @property
    def parameter_limits(self) -> Limits:
        """Lowest and highest value of parameters for which the model is defined."""
        return LIMITS

    @property
    def allows_repeats(self) -> bool:
        """Whether what was recalled may be recalled again."""
        return self.parts.allow_repeated_recalls

    def study_lists(self, dataset: RecallDataset) -> np.ndarray:
        """An integer a trial, equal where `pres_itemnos` is: all that CMR takes from a list. With
        cues every list is one of its own."""
        if self.cues:
            return np.arange(len(dataset["pres_itemnos"]))
        return np.unique(dataset["pres_itemnos"], axis=0, return_inverse=True)[1].reshape(-1)

    def create_trial_model(self, trial_index: Int[Array, ""], parameters: Parameters) -> CMR:
        """CMR before its first study event; but for its cues, no trial starts unlike another."""
        bound = self.parts.bind(parameters)
        cues = tuple(create(trial_index, bound) for create in self.cues)
        return self.parts.assemble(self.n_items, parameters, cues)

    def replay(self, dataset: RecallDataset) -> Replay | None:
        """Scores whole trials at once; None where parts or data have no closed form."""
        if self.cues or not self.parts.have_closed_form():
            return None
        trials = as_trials(dataset, self.n_items)
        if trials is None:
            return None
        return Replay(
            trials,
            jnp.asarray(np.unique(trials.list_length)),
            doubles(dict(self.parts.fixed)),
            self.parts.choice,
            self.parts.termination,
            lead=int(self.parts.learn_after_context_update),
        )


def make_factory(
    mfc: PartCreator = item_to_context,
    mcf: PartCreator = context_to_item,
    context: PartCreator = TemporalContext.create,
    termination: PartCreator = PositionalTermination.create,
    choice: PartCreator = PowerChoice.create,
    learn_after_context_update: bool = True,
    allow_repeated_recalls: bool = False,
    encoding_drift_decreases: bool = False,
    cues: Sequence[CueMaker] = (),
    fixed: Mapping[str, float] | None = None,
) -> CMRMaker:
    """The factory of a CMR made of the given parts; without arguments, of the textbook model.

    Every part is created by a function ``(n_items, parameters) -> part`` and is an
    `equinox.Module`, as those in `jaxcmr.components` are. The same arguments give the same factory,
    so that compiled programs are shared.

    Args:
        mfc: creates the item-to-context memory.
        mcf: creates the context-to-item memory.
        context: creates the context.
        termination: creates the stopping rule, or the rival of the items that stopping is.
        choice: creates the choice rule.
        learn_after_context_update: associate an item with the context that it has already updated
            (False: with the context it met, as in serial CRU; Logan, 2021).
        allow_repeated_recalls: leave a recalled item recallable.
        encoding_drift_decreases: multiply the encoding drift rate by
            ``encoding_drift_decrease ** k`` at study event k (from 0; Gunn & Polyn, 2025).
        cues: what else changes the support of items: semantic similarity, a source context.
        fixed: values of parameters that are then no longer the user's to give, by name.

    Returns:
        ``Factory(dataset, features=None) -> CMRFactory``.

    Raises:
        ValueError: the parts do not go together, or one is none; the message says why. The factory
            raises it for a name in `fixed` that no part reads, and a value outside the limits of
            the model.
    """
    parts = Parts(
        mfc,
        mcf,
        context,
        termination,
        choice,
        learn_after_context_update,
        allow_repeated_recalls,
        encoding_drift_decreases,
        tuple(sorted((name, float(value)) for name, value in (fixed or {}).items())),
    )
    refuse_what_is_no_part(parts, cues)
    refuse_what_makes_no_sense(parts, cues)
    return maker_of(parts, tuple(cues))


@dataclass(frozen=True)
class CMRMaker:
    """What `make_factory` returns: a function of data that pickles, equal where its parts are."""

    parts: Parts
    cues: tuple[CueMaker, ...] = ()

    def __call__(self, dataset: RecallDataset, features: Any = None) -> CMRFactory:
        """The factory of the models of the trials of `dataset`. Features that no cue reads are a
        warning."""
        if features is not None and all(isinstance(cue, SourceCueMaker) for cue in self.cues):
            warnings.warn(
                "This model does not read features: those given change nothing. Semantic models do "
                "(see MODELS), or a cue of your own.",
                stacklevel=2,
            )
        n_items = int(np.max(dataset["listLength"]))
        made = CMRFactory(self.parts, n_items, tuple(cue(dataset, features) for cue in self.cues))
        if self.parts.fixed:
            unfixed = CMRFactory(self.parts._replace(fixed=()), n_items, made.cues)
            refuse_unread(dict(self.parts.fixed), unfixed.parameter_names)
            check_limits(dict(self.parts.fixed), made.parameter_limits)
        return made


maker_of = lru_cache(CMRMaker)
"""The same maker for the same parts."""
