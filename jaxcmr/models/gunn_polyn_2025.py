"""The 36 variants of Gunn & Polyn (2025), as published: one model, with mechanisms on or off.

Their program differs from the textbook in the drift of context (unit by unit), in the choice
(support is scaled by the largest of all items, recalled ones too) and, where stopping competes with
the items, in discounting for it twice. `MODELS["gunn_polyn_2025"]` and
`MODELS["gunn_polyn_2025_context_stop"]` are that model with its two ways to stop; a variant is one
of them with some parameters fixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxcmr.components import (
    PositionalTermination,
    per_unit_context,
    power_choice_scaled_by_all,
    published_context_competition,
)
from jaxcmr.models import cmr
from jaxcmr.models.cru import OMNIBUS_BOUNDS, TOGGLES, bounds_without, off

__all__ = ["CONTEXT_STOP_BOUNDS", "VARIANTS", "Variant", "make_factory"]


def make_factory(context_stop: bool = False) -> Any:
    """The factory of the published model, with positional stopping or context competition."""
    return cmr.make_factory(
        context=per_unit_context,
        choice=power_choice_scaled_by_all,
        termination=published_context_competition if context_stop else PositionalTermination.create,
        encoding_drift_decreases=True,
    )


CONTEXT_STOP_BOUNDS: Mapping[str, tuple[float, float]] = {
    name: pair for name, pair in OMNIBUS_BOUNDS.items() if not name.startswith("stop_probability")
}
"""Usual bounds of the model in which stopping competes with the items."""


class Variant(NamedTuple):
    """A published variant: which model, what is fitted within which bounds, what is held."""

    model: str
    free: dict[str, tuple[float, float]]
    fixed: dict[str, float]


LEARNS, KNOWS, PRIMACY, START, SLOWS = TOGGLES

PUBLISHED: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("BaseCRU", "BaseCRU_with_ContextTerm", ()),
    (
        "CRU_with_Feature-to-Context_Learning",
        "CRU_with_Feature-to-Context_Learning,_and_ContextTerm",
        (LEARNS,),
    ),
    (
        "CRU_with_MCF_Pre-Experimental_Support",
        "CRU_with_MCF_Pre-Experimental_Support,_and_ContextTerm",
        (KNOWS,),
    ),
    (
        "CRU_with_Learning_Rate_Primacy",
        "CRU_with_Learning_Rate_Primacy,_and_ContextTerm",
        (PRIMACY,),
    ),
    (
        "CRU_with_Free_Start_Drift_Rate",
        "CRU_with_Free_Start_Drift_Rate,_and_ContextTerm",
        (START,),
    ),
    (
        "CRU_with_Feature-to-Context_and_Pre-Expt",
        "CRU_with_Feature-to-Context_and_Pre-Expt,_and_ContextTerm",
        (LEARNS, KNOWS),
    ),
    (
        "CRU_with_Feature-to-Context_and_Primacy",
        "CRU_with_Feature-to-Context_and_Primacy,_and_ContextTerm",
        (LEARNS, PRIMACY),
    ),
    (
        "CRU_with_Feature-to-Context_and_StartDrift",
        "CRU_with_Feature-to-Context_and_StartDrift,_and_ContextTerm",
        (LEARNS, START),
    ),
    (
        "CRU_with_Pre-Expt_and_Primacy",
        "CRU_with_Pre-Expt_and_Primacy,_and_ContextTerm",
        (KNOWS, PRIMACY),
    ),
    (
        "CRU_with_Pre-Expt_and_StartDrift",
        "CRU_with_Pre-Expt_and_StartDrift,_and_ContextTerm",
        (KNOWS, START),
    ),
    (
        "CRU_with_Primacy_and_StartDrift",
        "CRU_with_Primacy_and_StartDrift,_and_ContextTerm",
        (PRIMACY, START),
    ),
    (
        "CRU_with_Feature-to-Context,_Pre-Expt,_and_Primacy",
        "CRU_with_Feature-to-Context,_Pre-Expt_Primacy,_and_ContextTerm",
        (LEARNS, KNOWS, PRIMACY),
    ),
    (
        "CRU_with_Feature-to-Context,_Pre-Expt,_and_StartDrift",
        "CRU_with_Feature-to-Context,_Pre-Expt_StartDrift,_and_ContextTerm",
        (LEARNS, KNOWS, START),
    ),
    (
        "CRU_with_Feature-to-Context,_Primacy,_and_StartDrift",
        "CRU_with_Feature-to-Context,_Primacy_StartDrift,_and_ContextTerm",
        (LEARNS, PRIMACY, START),
    ),
    (
        "CRU_with_Pre-Expt,_Primacy,_and_StartDrift",
        "CRU_with_Pre-Expt,_Primacy_StartDrift,_and_ContextTerm",
        (KNOWS, PRIMACY, START),
    ),
    ("BaseCMR", "BaseCMR_with_ContextTerm", (LEARNS, KNOWS, PRIMACY, START)),
    (
        "CRU_with_Feature-to-Context,_Pre-Expt,_Primacy,_and_StartDrift",
        "CRU_with_Feature-to-Context,_Pre-Expt,_Primacy_StartDrift,_and_ContextTerm",
        (LEARNS, KNOWS, PRIMACY, START, SLOWS),
    ),
    ("Omnibus", "Omnibus,_and_ContextTerm", (LEARNS, KNOWS, PRIMACY, START, SLOWS)),
)
"""Published names with positional stopping and with context competition, and what is on. The last
two rows are fits of one model."""


def both_ways_to_stop() -> dict[str, Variant]:
    """The variants of `PUBLISHED`, by name."""
    variants = {}
    for positional, competing, on in PUBLISHED:
        without = [name for name in TOGGLES if name not in on]
        fixed = off(*without)
        variants[positional] = Variant("gunn_polyn_2025", bounds_without(*without), fixed)
        free = bounds_without(*without, bounds=CONTEXT_STOP_BOUNDS)
        variants[competing] = Variant("gunn_polyn_2025_context_stop", free, fixed)
    return variants


VARIANTS: Mapping[str, Variant] = both_ways_to_stop()
"""The 36 variants by their published names."""
