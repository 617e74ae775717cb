"""The 36 variants of Gunn & Polyn (2025), as published: one model, with mechanisms on or off.

Their program differs from the textbook in the drift of context (unit by unit), in the choice
(support is scaled by the largest of all items, recalled ones too) and, where stopping competes with
the items, in discounting the items twice. `MODELS["gunn_polyn_2025"]` and
`MODELS["gunn_polyn_2025_context_stop"]` are that model with its two ways to stop; a variant is one
of them with some parameters fixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from jaxcmr.components import (
    PositionalTermination,
    per_unit_context,
    power_choice_scaled_by_all,
    published_context_competition,
)
from jaxcmr.models import cmr
from jaxcmr.models.cru import TOGGLES, bounds_without, off

__all__ = ["VARIANTS", "Variant", "make_factory"]


def make_factory(context_stop: bool = False) -> cmr.CMRMaker:
    """Return the factory of the published model, with positional stopping or context competition.

    >>> make_factory().parameters[-1].name
    'encoding_drift_decrease'
    """
    return cmr.make_factory(
        context=per_unit_context,
        choice=power_choice_scaled_by_all,
        termination=published_context_competition if context_stop else PositionalTermination.create,
        encoding_drift_decreases=True,
    )


class Variant(NamedTuple):
    """A published variant: its model, the bounds of what is fitted, the values of what is not."""

    model: str
    free: dict[str, list[float]]
    fixed: dict[str, float]


LEARNS, KNOWS, PRIMACY, START, DECREASES = TOGGLES

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
        (LEARNS, KNOWS, PRIMACY, START, DECREASES),
    ),
    ("Omnibus", "Omnibus,_and_ContextTerm", (LEARNS, KNOWS, PRIMACY, START, DECREASES)),
)
"""Published names with positional stopping and with context competition, and what is on. The last
two rows are fits of one model."""


def make_variants() -> dict[str, Variant]:
    """Return the variants of `PUBLISHED` with both ways to stop, by name."""
    variants = {}
    competing_bounds = {
        each.name: each.bounds for each in make_factory(context_stop=True).parameters
    }
    for positional, competing, on in PUBLISHED:
        without = [name for name in TOGGLES if name not in on]
        fixed = off(*without)
        variants[positional] = Variant("gunn_polyn_2025", bounds_without(*without), fixed)
        free = bounds_without(*without, bounds=competing_bounds)
        variants[competing] = Variant("gunn_polyn_2025_context_stop", free, fixed)
    return variants


VARIANTS: Mapping[str, Variant] = make_variants()
"""The 36 variants by their published names."""
