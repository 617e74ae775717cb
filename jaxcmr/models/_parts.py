"""The parts of a CMR: which there are, what they read, and which go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from jaxcmr.components import (
    ContextCompetition,
    SemanticCueMaker,
    SourceCueMaker,
    SupportRatioTermination,
    context_to_item,
    instance_context_to_item,
    published_context_competition,
)
from jaxcmr.components.context import (
    ENCODING_DRIFT_RATE,
    RECALL_DRIFT_RATE,
    START_DRIFT_RATE,
)
from jaxcmr.components.linear_memory import LEARNING_RATE
from jaxcmr.parameters import ABOVE_0, Parameter, as_candidates, declared_by, function_of, merge
from jaxcmr.typing import CueMaker, Parameters, PartCreator, Vectorized

__all__ = ["ENCODING_DRIFT_DECREASE", "OWN_PARAMETERS", "Parts"]

PRIMACY_SCALE = Parameter(
    "primacy_scale",
    ABOVE_0,
    100.0,
    "φ_s",
    "How much more strongly context learns to support the first item than the last ones.",
    scale="log",
    limits=(0.0, np.inf),
)
PRIMACY_DECAY = Parameter(
    "primacy_decay",
    ABOVE_0,
    100.0,
    "φ_d",
    "How fast the advantage of early items decays from one study position to the next.",
    scale="log",
)
ENCODING_DRIFT_DECREASE = replace(
    ENCODING_DRIFT_RATE,
    name="encoding_drift_decrease",
    symbol="λ",
    meaning="Factor on the encoding drift rate at each further study event; 1 leaves it unchanged.",
)

OWN_PARAMETERS = (
    ENCODING_DRIFT_RATE,
    START_DRIFT_RATE,
    RECALL_DRIFT_RATE,
    LEARNING_RATE,
    PRIMACY_SCALE,
    PRIMACY_DECAY,
)
"""Parameters that CMR itself reads; its parts read others."""

TEXTBOOK_ORDER = (
    "encoding_drift_rate",
    "start_drift_rate",
    "recall_drift_rate",
    "learning_rate",
    "shared_support",
    "item_support",
    "primacy_scale",
    "primacy_decay",
    "choice_sensitivity",
    "stop_probability_scale",
    "stop_probability_growth",
)
"""Parameters come in this order, then those that the textbook model does not have."""


class Parts(NamedTuple):
    """What a CMR is put together from; see `jaxcmr.models.cmr.make_factory`."""

    mfc: PartCreator
    mcf: PartCreator
    context: PartCreator
    termination: PartCreator
    choice: PartCreator
    learn_after_context_update: bool
    allow_repeated_recalls: bool
    encoding_drift_decreases: bool
    fixed: tuple[tuple[str, float], ...]

    def parameters(self, cues: Sequence[CueMaker]) -> tuple[Parameter, ...]:
        """Return the parameters of a model of these parts and cues, the fixed ones included."""
        creators = (self.mfc, self.mcf, self.context, self.choice, self.termination)
        decrease = (ENCODING_DRIFT_DECREASE,) if self.encoding_drift_decreases else ()
        read = merge(
            OWN_PARAMETERS, *(declared_by(create) for create in (*creators, *cues)), decrease
        )
        textbook = [p for name in TEXTBOOK_ORDER for p in read if p.name == name]
        return (*textbook, *(p for p in read if p.name not in TEXTBOOK_ORDER))

    def bind(self, parameters: Parameters) -> dict[str, Float[Array, "..."]]:
        """Return `parameters` as arrays, fixed values in place of any given."""
        return as_candidates({**parameters, **dict(self.fixed)})

    def are_vectorized(self, cues: Sequence[CueMaker]) -> bool:
        """Return whether all parts and cues work for many candidates at once."""
        creators = (self.mfc, self.mcf, self.context, self.choice, self.termination, *cues)
        return all(
            isinstance(each, Vectorized) and each.vectorized for each in map(function_of, creators)
        )

    def check_types(self, cues: Sequence[CueMaker]) -> None:
        """Check that every part is a declared creator of a part, and `cues` a list of cues.

        Raises:
            ValueError: one is not; the message says what to give.
        """
        for name in ("mfc", "mcf", "context", "termination", "choice"):
            part = getattr(self, name)
            if isinstance(part, type | eqx.Module) or not callable(part):
                kind = part if isinstance(part, type) else type(part)
                hint = f" Take {kind.__name__}.create." if hasattr(kind, "create") else ""
                raise ValueError(
                    f"{name} takes a function (n_items, parameters) -> part, as those of "
                    f"jaxcmr.components; got {part!r}.{hint}"
                )
            declared_by(part)
        if not isinstance(cues, list | tuple):
            raise ValueError(f"cues takes a list of cues; got {cues!r}. Write cues=[...].")
        for cue in cues:
            declared_by(cue)

    def check_compatibility(self, cues: Sequence[CueMaker]) -> None:
        """Check that the parts go together.

        Raises:
            ValueError: two do not; the message says why.
        """
        competes = self.termination in (ContextCompetition.create, published_context_competition)
        if competes and self.mcf != context_to_item:
            raise ValueError(
                "Stopping by context competition is one more item of the linear context-to-item "
                f"memory, which {part_name(self.mcf)} is not. Take mcf=context_to_item or another "
                "termination."
            )
        if self.termination == SupportRatioTermination.create and self.allow_repeated_recalls:
            raise ValueError(
                "Support-ratio termination compares the items still to come with those recalled; "
                "where recalled items may come again, an item is both. Take another termination, "
                "or allow_repeated_recalls=False."
            )
        for cue in cues:
            if competes and isinstance(cue, SourceCueMaker):
                raise ValueError(
                    "Stopping by context competition is one more item, and no paper defines how a "
                    "source context supports it. Take another termination."
                )
            associates = isinstance(cue, SemanticCueMaker) and cue.rule == "associative"
            if associates and self.mcf == instance_context_to_item:
                raise ValueError(
                    "Associative semantics is a part of the linear context-to-item memory, not of "
                    "a memory of traces. Take mcf=context_to_item, or another rule."
                )


def part_name(creator: PartCreator) -> str:
    """Return what to call a part in a message."""
    return str(getattr(creator, "__qualname__", repr(creator)))
