"""The parts a model of memory search is made of.

Every part is an `equinox.Module`, created by a function ``(n_items, parameters) -> part`` that
reads the parameters it needs by name; `jaxcmr.models.cmr.make_factory` takes such functions.
"""

from jaxcmr.components.choice import (
    ExponentialChoice,
    PowerChoice,
    power_choice_scaled_by_all,
)
from jaxcmr.components.context import TemporalContext, per_unit_context
from jaxcmr.components.instance_memory import (
    InstanceMemory,
    instance_context_to_item,
    instance_item_to_context,
)
from jaxcmr.components.linear_memory import LinearMemory, context_to_item, item_to_context
from jaxcmr.components.semantic_cue import SemanticCue, SemanticCueMaker
from jaxcmr.components.source_cue import SourceCue, SourceCueMaker
from jaxcmr.components.termination import (
    ContextCompetition,
    NoTermination,
    PositionalTermination,
    RecallState,
    SupportRatioTermination,
    published_context_competition,
)

__all__ = [
    "ContextCompetition",
    "ExponentialChoice",
    "InstanceMemory",
    "LinearMemory",
    "NoTermination",
    "PositionalTermination",
    "PowerChoice",
    "RecallState",
    "SemanticCue",
    "SemanticCueMaker",
    "SourceCue",
    "SourceCueMaker",
    "SupportRatioTermination",
    "TemporalContext",
    "context_to_item",
    "instance_context_to_item",
    "instance_item_to_context",
    "item_to_context",
    "per_unit_context",
    "power_choice_scaled_by_all",
    "published_context_competition",
]
