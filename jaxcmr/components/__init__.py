"""The parts a model of memory search is made of.

Every part is an `equinox.Module`, created by a function ``(n_items, parameters) -> part`` that
reads the parameters it needs by name; `jaxcmr.models.cmr.make_factory` takes such functions.
"""

from jaxcmr.components.choice import PowerChoice
from jaxcmr.components.context import TemporalContext
from jaxcmr.components.linear_memory import LinearMemory, context_to_item, item_to_context
from jaxcmr.components.termination import PositionalTermination

__all__ = [
    "LinearMemory",
    "PositionalTermination",
    "PowerChoice",
    "TemporalContext",
    "context_to_item",
    "item_to_context",
]
