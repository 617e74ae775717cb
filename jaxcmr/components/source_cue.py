"""A source context: a second context, over kinds of items, that supports them beside the first.

Source: the source context of Polyn, Norman & Kahana (2009), for emotion as in eCMR (Talmi, Lohnas
& Daw, 2019) and CMR3 (Cohen & Kahana, 2022).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxcmr.components._item_values import entries_of_trial, item_values
from jaxcmr.components.context import START_DRIFT_RATE, TemporalContext
from jaxcmr.components.linear_memory import LinearMemory, probe_rows
from jaxcmr.math import append_axes, with_item_axis
from jaxcmr.parameters import ABOVE_0, BELOW_1, Parameter, count_axes
from jaxcmr.typing import CueCreator, Features, Parameters, Pattern, RecallDataset

__all__ = ["SourceCue", "SourceCueMaker"]

SOURCE_DRIFT_RATE = Parameter(
    "source_drift_rate",
    ABOVE_0,
    BELOW_1,
    "β_source",
    "How far source context moves toward the source of each studied or recalled item.",
    limits=(0.0, 1.0),
)
EMOTION_SCALE = Parameter(
    "emotion_scale",
    0.0,
    100.0,
    "φ_emot",
    "How much better source context learns emotional than neutral items; 1 is equally well.",
    scale="log",
    limits=(0.0, np.inf),
)


class SourceCue(eqx.Module):
    """A context over sources, q, that adds to the support of items: ``a_i + (q M_QF)_i``.

    It learns ``M_QF[:, i] += phi_k eta_i q`` at study event k, after its update; phi_k is the
    attention and eta_i the `emphasis`. Before study it supports nothing.

    It starts at a unit of its own (0) and drifts toward the source of each item that is studied or
    recalled, at one rate (as in Polyn et al., 2009). Before recall it returns to its start as
    temporal context does, at the rate of temporal context. An item without a source does not
    change it.
    """

    context: TemporalContext  # over 1 + n_sources units
    memory: LinearMemory  # from sources to items
    inputs: Float[Array, "n_items units ..."]  # the source of each item; all 0 for none
    emphasis: Float[Array, "n_items ..."]  # of learning
    drift_rate: Float[Array, "..."]
    start_drift_rate: Float[Array, "..."]

    def experience(self, item: Pattern, attention: Float[Array, "..."]) -> SourceCue:
        """Return the cue after study of `item`."""
        drifted = self.retrieve(item)
        emphasis = probe_rows(self.emphasis[:, None], item)[0]
        memory = self.memory.associate(drifted.context.state, item, attention * emphasis)
        return replace(drifted, memory=memory)

    def start_retrieving(self) -> SourceCue:
        """Return the cue ready for the first recall."""
        return replace(self, context=self.context.return_to_start(self.start_drift_rate))

    def retrieve(self, pattern: Pattern) -> SourceCue:
        """Return the cue after its context has drifted toward the sources of `pattern`."""
        sources = probe_rows(self.inputs, pattern)
        return replace(self, context=self.context.integrate(sources, self.drift_rate))

    def __call__(
        self, support: Float[Array, "n_items ..."], context: Float[Array, "units ..."]
    ) -> Float[Array, "n_items ..."]:
        """Return `support` plus that of source context."""
        return support + self.memory.probe(self.context.state)

    def log_weights(self) -> None:
        """Return None: it does not weight the choice."""


class SourceCueCreator(eqx.Module, CueCreator):
    """Creates the source cue of each trial."""

    is_source: Bool[np.ndarray, "trials n_items units"]
    is_emotional: Bool[np.ndarray, "trials n_items"]

    def __call__(self, trial_index: Int[Array, "..."], parameters: Parameters) -> SourceCue:
        """Return the cue of trial `trial_index` (0-based row), before its first study event."""
        rank = count_axes(parameters)
        _, n_items, n_units = self.is_source.shape
        is_source, is_emotional = (
            entries_of_trial(jnp.asarray(table), trial_index, rank)
            for table in (self.is_source, self.is_emotional)
        )
        return SourceCue(
            context=TemporalContext.create(n_units - 1, parameters),
            memory=LinearMemory(append_axes(jnp.zeros((n_units, n_items)), rank)),
            inputs=is_source.astype(float),
            emphasis=jnp.where(is_emotional, with_item_axis(parameters["emotion_scale"]), 1.0),
            drift_rate=parameters["source_drift_rate"],
            start_drift_rate=parameters["start_drift_rate"],
        )

    def study_lists(self) -> np.ndarray:
        """Return ids that are equal where the sources and emotions of all items are."""
        both = np.concatenate([self.is_source, self.is_emotional[..., None]], axis=2)
        return np.unique(both.reshape(len(both), -1), axis=0, return_inverse=True)[1].reshape(-1)


@dataclass(frozen=True)
class SourceCueMaker:
    """Finds sources in ``(dataset, features)``: a cue for `jaxcmr.models.cmr.make_factory`.

    Args:
        field: the field of the data set, (trials, positions), with the code of each presented item:
            a number or a text.
        sources: codes that have a unit of source context each.
        sourceless: codes of items that give source context no input.
        emotional: codes of items whose learning is scaled by ``emotion_scale``.

    >>> data = {"pres_itemnos": np.array([[1, 2]]), "valence": np.array([[0, 1]]),
    ...         "listLength": np.array([[2]])}
    >>> create = SourceCueMaker("valence", sources=(1, 0), emotional=(1,))(data, None)
    >>> create.is_emotional.tolist()
    [[False, True]]
    """

    field: str
    sources: tuple[float | str, ...]
    sourceless: tuple[float | str, ...] = ()
    emotional: tuple[float | str, ...] = ()

    parameters: ClassVar[tuple[Parameter, ...]] = (
        SOURCE_DRIFT_RATE,
        START_DRIFT_RATE,
        EMOTION_SCALE,
    )
    vectorized: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if len(set(self.codes)) < len(self.codes):
            raise ValueError(f"Each kind of item needs a code of its own; got {list(self.codes)}.")

    @property
    def codes(self) -> tuple[float | str, ...]:
        """Return all codes that may occur."""
        return (*self.sources, *self.sourceless)

    def __call__(self, dataset: RecallDataset, features: Features) -> SourceCueCreator:
        """Return the creator of the cues of all trials; no features are needed.

        Raises:
            ValueError: `field` is not in the data, or holds a code that is not known.
        """
        values, is_studied = item_values(dataset, self.field)
        unknown = np.unique(values[is_studied & ~np.isin(values, self.codes)])
        if unknown.size:
            raise ValueError(
                f"{self.field!r} holds {unknown[:5].tolist()}, but the codes are "
                f"{list(self.codes)}. Name the codes of your data."
            )
        is_source = (values[..., None] == np.array(self.sources)) & is_studied[..., None]
        return SourceCueCreator(
            np.pad(is_source, ((0, 0), (0, 0), (1, 0))),  # unit 0 is the start of the list
            is_studied & np.isin(values, self.emotional),
        )
