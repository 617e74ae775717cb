"""Which parts of a CMR go together; see `jaxcmr.models.cmr.make_factory`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import equinox as eqx

from jaxcmr.components import (
    ContextCompetition,
    SemanticCueMaker,
    SourceCueMaker,
    SupportRatioTermination,
    context_to_item,
    instance_context_to_item,
    published_context_competition,
)

if TYPE_CHECKING:
    from jaxcmr.models.cmr import Parts

__all__ = ["refuse_what_is_no_part", "refuse_what_makes_no_sense"]


def refuse_what_is_no_part(parts: Parts, cues: Sequence[Any]) -> None:
    """Raises a ValueError for anything but functions that create parts, and a list of cues."""
    for name in ("mfc", "mcf", "context", "termination", "choice"):
        part = getattr(parts, name)
        if isinstance(part, type | eqx.Module) or not callable(part):
            kind = part if isinstance(part, type) else type(part)
            hint = f" Take {kind.__name__}.create." if hasattr(kind, "create") else ""
            raise ValueError(
                f"{name} takes a function (n_items, parameters) -> part, as those of "
                f"jaxcmr.components; got {part!r}.{hint}"
            )
    if callable(cues) or isinstance(cues, str):
        raise ValueError(f"cues takes a list of cues; got {cues!r}. Write cues=[...].")


def refuse_what_makes_no_sense(parts: Parts, cues: Sequence[Any]) -> None:
    """Raises a ValueError for parts that do not go together."""
    competes = parts.termination in (ContextCompetition.create, published_context_competition)
    if competes and parts.mcf != context_to_item:
        raise ValueError(
            "Stopping by context competition is one more item of the linear context-to-item "
            f"memory; with {part_name(parts.mcf)} there is nothing for it to be an item of. Take "
            "mcf=context_to_item or another termination."
        )
    if parts.termination == SupportRatioTermination.create and parts.allow_repeated_recalls:
        raise ValueError(
            "Support-ratio termination weighs the items still to come against those recalled; "
            "where recalled items may come again, an item is both. Take another termination, or "
            "allow_repeated_recalls=False."
        )

    for cue in cues:
        if competes and isinstance(cue, SourceCueMaker):
            raise ValueError(
                "Stopping by context competition is one more item, and what source contexts have "
                "learned of it no paper says. Take another termination."
            )
        associates = isinstance(cue, SemanticCueMaker) and cue.rule == "associative"
        if associates and parts.mcf == instance_context_to_item:
            raise ValueError(
                "Associative semantics is a part of the linear context-to-item memory; a memory of "
                "traces would have to keep it as traces. Take mcf=context_to_item, or another rule."
            )


def part_name(creator: Any) -> str:
    """What to call a part in a message."""
    return getattr(creator, "__qualname__", repr(creator))
