"""Context Maintenance and Retrieval (CMR), put together from named parts.

Source: Polyn, Norman & Kahana (2009); as a likelihood model Kragel, Morton & Polyn (2015) and
Morton & Polyn (2016). `make_factory()` without arguments is the textbook model.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, reduce
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxcmr.components import (
    ContextCompetition,
    PositionalTermination,
    PowerChoice,
    RecallState,
    SourceCueMaker,
    TemporalContext,
    context_to_item,
    item_to_context,
)
from jaxcmr.math import (
    append_axes,
    is_any,
    is_unit,
    one_hot,
    primacy_gradient,
    total,
    with_item_axis,
)
from jaxcmr.models._parts import ENCODING_DRIFT_DECREASE, OWN_PARAMETERS, Parts
from jaxcmr.models._replay import Replay, Trials, recalls_linearly
from jaxcmr.parameters import Parameter, check_limits, check_names, count_axes
from jaxcmr.typing import (
    Cue,
    CueCreator,
    CueMaker,
    Features,
    MemorySearchFactory,
    Parameters,
    PartCreator,
    Pattern,
    RecallDataset,
)

__all__ = ["CMR", "CMRFactory", "make_factory"]


class CMR(eqx.Module):
    """The state of CMR within one trial. Every method returns a new model."""

    context: TemporalContext
    mfc: Any  # M_FC, from items to context; memories are those of `jaxcmr.components`
    mcf: Any  # M_CF, from context to items
    choice_rule: Any
    termination: Any
    cues: tuple[Cue, ...]  # what else supports items, in this order
    parameters: dict[str, Float[Array, "..."]]  # values of `OWN_PARAMETERS`
    in_list: Bool[Array, "n_items ..."]  # studied so far
    recallable: Bool[Array, "n_items ..."]
    is_active: Bool[Array, "..."]  # False once recall has stopped
    study_event: Int[Array, "..."]
    output_position: Int[Array, "..."]
    learn_after_context_update: bool = eqx.field(static=True)
    allow_repeated_recalls: bool = eqx.field(static=True)

    def experience(self, choice: Int[Array, "..."]) -> CMR:
        """Return the model after studying item `choice` (1-based; 0 is padding, no change)."""
        drifted = self.context.integrate(self.mfc.probe(choice), self._encoding_drift_rate())
        context_learned = (drifted if self.learn_after_context_update else self.context).state
        attention = self._attention(self.study_event)
        return replace(
            self,
            context=drifted,
            mfc=self.mfc.associate(choice, context_learned, self.parameters["learning_rate"]),
            mcf=self.mcf.associate(context_learned, choice, attention),
            cues=tuple(cue.experience(choice, attention) for cue in self.cues),
            in_list=self.in_list | self._is_item(choice),
            recallable=self.recallable | self._is_item(choice),
            study_event=self.study_event + (choice > 0).astype(self.study_event.dtype),
        )

    def start_retrieving(self) -> CMR:
        """Return the model ready for recall: context drifts back to the start of the list."""
        termination = self.termination
        if isinstance(termination, ContextCompetition):
            # the end of the list is associated with stopping as strongly as with the last item
            attention = self._attention(jnp.maximum(self.study_event - 1, 0))
            termination = termination.learn(self.context.state, attention)
        return replace(
            self,
            context=self.context.return_to_start(self.parameters["start_drift_rate"]),
            termination=termination,
            cues=tuple(cue.start_retrieving() for cue in self.cues),
        )

    def retrieve(self, choice: Int[Array, "..."]) -> CMR:
        """Return the model after recalling item `choice` (1-based), or after stopping (0)."""
        return self.reinstate(choice, self._is_item(choice), choice > 0)

    def reinstate(
        self, pattern: Pattern, recalled: Bool[Array, "n_items ..."], goes_on: Bool[Array, "..."]
    ) -> CMR:
        """Return the model after recall of `recalled`, which reinstates the contexts of `pattern`.

        `pattern` is an item, or weights of the items whose contexts return. Recall stops unless it
        `goes_on`, that is, unless something is recalled.
        """
        used_up = jnp.zeros_like(recalled) if self.allow_repeated_recalls else recalled
        rate = self.parameters["recall_drift_rate"]
        return replace(
            self,
            context=self.context.integrate(self.mfc.probe(pattern), rate),
            cues=tuple(cue.retrieve(pattern) for cue in self.cues),
            recallable=self.recallable & ~used_up,
            is_active=self.is_active & goes_on,
            output_position=self.output_position + goes_on.astype(self.output_position.dtype),
        )

    def activations(self) -> Float[Array, "n_items ..."]:
        """Return the support for each item, recalled ones included: ``c M_CF``, then cues."""
        support = self.mcf.probe(self.context.state)
        for cue in self.cues:
            support = cue(support, self.context.state)
        return support

    def outcome_probabilities(self) -> Float[Array, "outcomes ..."]:
        """Return the probabilities of all outcomes, stopping first; they sum to one."""
        stop, items = self.stop_and_items()
        return jnp.concatenate([jnp.broadcast_to(stop, items.shape[1:])[None], items])

    def outcome_probability(self, choice: Int[Array, "..."]) -> Float[Array, "..."]:
        """Return the probability that the next event is recall of `choice`, or stopping (0)."""
        stop, items = self.stop_and_items()
        return jnp.where(choice > 0, probability_of(choice, items), stop)

    def stop_and_items(self) -> tuple[Float[Array, "..."], Float[Array, "n_items ..."]]:
        """Return the probabilities of stopping, and of the recall of each item.

        Stopping is certain if recall has stopped or nothing is recallable.
        """
        support = jnp.where(self.in_list, self.activations(), 0.0)
        if isinstance(self.termination, ContextCompetition):
            stop, items = self._stop_as_alternative(support)
        else:
            recalled = self.in_list & ~self.recallable
            where = RecallState(self.output_position, self.recallable, recalled, support)
            stop = self.termination(where)
            items = with_item_axis(1.0 - stop) * self._shares(support, self.recallable)
        can_go_on = self.is_active & is_any(self.recallable)
        stop = jnp.where(can_go_on, stop, 1.0)
        return stop, jnp.where(with_item_axis(can_go_on), items, 0.0)

    def _stop_as_alternative(
        self, support: Float[Array, "n_items ..."]
    ) -> tuple[Float[Array, "..."], Float[Array, "n_items ..."]]:
        """Return stop and item probabilities where stopping is an extra choice alternative."""
        rival = self.termination.support(self.context.state)
        # parameters of the one may differ between candidates where those of the other do not
        candidates = jnp.broadcast_shapes(support.shape[1:], rival.shape)
        support = jnp.broadcast_to(support, (len(support), *candidates))
        rival = jnp.broadcast_to(rival, candidates)
        can_stop = jnp.ones_like(self.recallable[:1])
        shares = self._shares(
            jnp.concatenate([support, rival[None]]), jnp.concatenate([self.recallable, can_stop])
        )
        stop, items = shares[-1], shares[:-1]
        if self.termination.discounts_twice:
            items = items * with_item_axis(1.0 - stop)
        return stop, items

    def _shares(
        self, support: Float[Array, "rivals ..."], recallable: Bool[Array, "rivals ..."]
    ) -> Float[Array, "rivals ..."]:
        """Return the shares of the choice, weighted by cues; stopping has weight 1."""
        weights = [weight for cue in self.cues if (weight := cue.log_weights()) is not None]
        if not weights:
            return self.choice_rule(support, recallable)
        of_items = reduce(jnp.add, weights)
        of_others = jnp.zeros_like(of_items[: len(support) - len(of_items)])
        return self.choice_rule(support, recallable, jnp.concatenate([of_items, of_others]))

    def _encoding_drift_rate(self) -> Float[Array, "..."]:
        """Return the drift rate of this study event, which may decrease from one to the next."""
        rate = self.parameters["encoding_drift_rate"]
        if "encoding_drift_decrease" not in self.parameters:
            return rate
        # The exponent stays an integer: the gradient at 0^0 is then 0, not NaN.
        return rate * self.parameters["encoding_drift_decrease"] ** self.study_event

    def _attention(self, study_event: Int[Array, "..."]) -> Float[Array, "..."]:
        """Return how strongly context learns to support the item of a study event (primacy)."""
        return primacy_gradient(
            study_event, self.parameters["primacy_scale"], self.parameters["primacy_decay"]
        )

    def _is_item(self, choice: Int[Array, "..."]) -> Bool[Array, "n_items ..."]:
        """Return whether each item is `choice`; False for all if that is 0."""
        return is_unit(choice, len(self.recallable), self.recallable.ndim - 1)


def probability_of(
    choice: Int[Array, "..."], of_items: Float[Array, "n_items ..."]
) -> Float[Array, "..."]:
    """Return the probability of item `choice`, one for all candidates or one for each."""
    if jnp.ndim(choice) == 0:
        return of_items[choice - 1]
    return total(one_hot(choice, len(of_items), of_items.ndim - 1) * of_items)


class CMRFactory(eqx.Module, MemorySearchFactory):
    """Builds CMR for the trials of a data set."""

    parts: Parts = eqx.field(static=True)
    n_items: int = eqx.field(static=True)
    cues: tuple[CueCreator, ...] = ()
    declared: tuple[Parameter, ...] = eqx.field(static=True, default=())
    is_vectorized: bool = eqx.field(static=True, default=False)

    @property
    def vectorized(self) -> bool:
        """Return whether parameters may be (n_candidates,) each: whether all parts allow it."""
        return self.is_vectorized

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Return the parameters of CMR and its parts, without those fixed."""
        return self.declared

    @property
    def allows_repeats(self) -> bool:
        """Return whether what was recalled may be recalled again."""
        return self.parts.allow_repeated_recalls

    def study_lists(self, dataset: RecallDataset) -> np.ndarray:
        """Return the study-list id of each trial.

        Trials share an id, and are studied once, if their `pres_itemnos` are equal and no cue
        differs between them after study.
        """
        items = np.asarray(dataset["pres_itemnos"])
        same = [items]
        for cue in self.cues:
            ids = cue.study_lists()
            if ids is None:
                return np.arange(len(items))
            same.append(ids)
        return np.unique(np.column_stack(same), axis=0, return_inverse=True)[1].reshape(-1)

    def move_to_trial(self, model: CMR, trial_index: Int[Array, "..."]) -> CMR:
        """Return the model that has studied a trial, with the cues of another."""
        cues = zip(self.cues, model.cues, strict=True)
        return replace(
            model, cues=tuple(creator.move_to_trial(cue, trial_index) for creator, cue in cues)
        )

    def create_trial_model(self, trial_index: Int[Array, "..."], parameters: Parameters) -> CMR:
        """Return CMR before the first study event; trials differ in their cues only."""
        parts, values = self.parts, self.parts.bind(parameters)
        own = [parameter.name for parameter in OWN_PARAMETERS]
        if parts.encoding_drift_decreases:
            own.append(ENCODING_DRIFT_DECREASE.name)
        nothing = append_axes(jnp.zeros(self.n_items, bool), count_axes(values))
        return CMR(
            context=parts.context(self.n_items, values),
            mfc=parts.mfc(self.n_items, values),
            mcf=parts.mcf(self.n_items, values),
            choice_rule=parts.choice(self.n_items, values),
            termination=parts.termination(self.n_items, values),
            cues=tuple(create(trial_index, values) for create in self.cues),
            parameters={name: values[name] for name in own},
            in_list=nothing,
            recallable=nothing,
            is_active=jnp.array(True),
            study_event=jnp.zeros((), int),
            output_position=jnp.zeros((), int),
            learn_after_context_update=parts.learn_after_context_update,
            allow_repeated_recalls=parts.allow_repeated_recalls,
        )

    def replay(self, dataset: RecallDataset) -> Replay | None:
        """Return the likelihood of whole trials; None where parts or data do not allow it."""
        values = {parameter.name: 0.5 for parameter in self.declared}
        model = jax.eval_shape(self.create_trial_model, 0, values)
        if not (self.vectorized and recalls_linearly(model)):
            return None
        trials = Trials.of(dataset, self.n_items)
        return None if trials is None else Replay(self, trials)


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
    """Return the factory of a CMR made of the given parts; by default of the textbook model.

    Every part is created by a function ``(n_items, parameters) -> part`` that declares what it
    reads (`jaxcmr.parameters.reads`) and is an `equinox.Module`, as those in `jaxcmr.components`
    are. The same arguments give the same factory, so that compiled programs are shared.

    Args:
        mfc: creates the item-to-context memory.
        mcf: creates the context-to-item memory.
        context: creates the context.
        termination: creates the stopping rule, or stopping as a choice alternative.
        choice: creates the choice rule.
        learn_after_context_update: associate an item with the context that it has already updated
            (False: with the context before, as in serial CRU; Logan, 2021).
        allow_repeated_recalls: leave a recalled item recallable.
        encoding_drift_decreases: multiply the encoding drift rate by
            ``encoding_drift_decrease ** k`` at study event k (from 0; Gunn & Polyn, 2025).
        cues: what else changes the support of items: semantic similarity, a source context.
        fixed: values of parameters that are then no longer free, by name.

    Returns:
        ``Factory(dataset, features=None) -> CMRFactory``.

    Raises:
        ValueError: a part is not a declared creator, or two parts do not go together; no part
            reads a name in `fixed`, or its value is outside the limits. The message says why.

    >>> from jaxcmr.components import NoTermination
    >>> factory = make_factory(termination=NoTermination.create, fixed={"learning_rate": 0.0})
    >>> [parameter.symbol for parameter in factory.parameters]
    ['β_enc', 'β_start', 'β_rec', 'α', 'δ', 'φ_s', 'φ_d', 'τ']
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
    parts.check_types(cues)
    parts.check_compatibility(cues)
    return make_maker(parts, tuple(cues))


@dataclass(frozen=True)
class CMRMaker:
    """What `make_factory` returns: a function of data that pickles, equal where its parts are."""

    parts: Parts
    cues: tuple[CueMaker, ...] = ()

    def __post_init__(self) -> None:
        declared, fixed = self.parts.parameters(self.cues), dict(self.parts.fixed)
        check_names(fixed, declared)
        check_limits(fixed, declared)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Return the parameters of the model, without those fixed."""
        fixed = dict(self.parts.fixed)
        return tuple(p for p in self.parts.parameters(self.cues) if p.name not in fixed)

    def __call__(self, dataset: RecallDataset, features: Features = None) -> CMRFactory:
        """Return the factory of the models of the trials of `dataset`.

        Features that no cue reads are a warning.
        """
        if features is not None and all(isinstance(cue, SourceCueMaker) for cue in self.cues):
            warnings.warn(
                "This model does not read features: those given change nothing. Semantic models do "
                "(see MODELS), or a cue of your own.",
                stacklevel=2,
            )
        n_items = int(np.max(dataset["listLength"]))
        cues = tuple(cue(dataset, features) for cue in self.cues)
        is_vectorized = self.parts.are_vectorized(self.cues)
        return CMRFactory(self.parts, n_items, cues, self.parameters, is_vectorized)


make_maker = lru_cache(CMRMaker)
"""Returns the same maker for the same parts."""
