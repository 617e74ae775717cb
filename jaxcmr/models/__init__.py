"""Models of memory search, one a file; `MODELS` maps their names to their factories."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxcmr.components import (
    ContextCompetition,
    ExponentialChoice,
    NoTermination,
    SupportRatioTermination,
    instance_context_to_item,
    instance_item_to_context,
)
from jaxcmr.models import (
    cmr,
    confusable_cru,
    cru,
    ecmr,
    gunn_polyn_2025,
    positional_cmr,
    semantic_cmr,
)

__all__ = ["CATALOGUE", "MODELS", "NamedModel", "usual_bounds"]

Bounds = Mapping[str, tuple[float, float]]


class NamedModel(NamedTuple):
    """A model that has a name."""

    factory: Callable[..., Any]
    bounds: Bounds
    """Usual bounds of all its parameters."""
    about: str
    """What it is, in a line."""


def without_stopping(bounds: Bounds) -> Bounds:
    """`bounds` of a model without parameters for when to stop."""
    return {name: pair for name, pair in bounds.items() if not name.startswith("stop_probability")}


def with_temperature(bounds: Bounds) -> Bounds:
    """`bounds` of a model whose choice has a temperature in place of a sensitivity."""
    others = {name: pair for name, pair in bounds.items() if name != "choice_sensitivity"}
    return {**others, "choice_temperature": bounds["choice_sensitivity"]}


TRACE_SENSITIVITY = (2.220446049250313e-16, 10.0)

CATALOGUE: Mapping[str, NamedModel] = {
    "cmr": NamedModel(cmr.make_factory(), cmr.USUAL_BOUNDS, "CMR, the textbook model"),
    "cmr_no_stop": NamedModel(
        cmr.make_factory(termination=NoTermination.create),
        without_stopping(cmr.USUAL_BOUNDS),
        "CMR that recalls on while it can",
    ),
    "cmr_support_ratio": NamedModel(
        cmr.make_factory(termination=SupportRatioTermination.create),
        cmr.USUAL_BOUNDS,
        "CMR that stops when little support is left",
    ),
    "cmr_context_stop": NamedModel(
        cmr.make_factory(termination=ContextCompetition.create),
        without_stopping(cmr.USUAL_BOUNDS),
        "CMR in which stopping competes with the items",
    ),
    "cmr_exponential": NamedModel(
        cmr.make_factory(choice=ExponentialChoice.create),
        with_temperature(cmr.USUAL_BOUNDS),
        "CMR with exponential choice",
    ),
    "cru": NamedModel(
        cru.make_factory(), cru.USUAL_BOUNDS, "CRU: CMR without its associations, free recall"
    ),
    "cru_cmr": NamedModel(
        cru.make_factory(*cru.TOGGLES),
        cru.OMNIBUS_BOUNDS,
        "CRU and CMR in one, with five mechanisms to turn on or off",
    ),
    "cru_cmr_context_stop": NamedModel(
        cru.make_factory(*cru.TOGGLES, termination=ContextCompetition.create),
        without_stopping(cru.OMNIBUS_BOUNDS),
        "the same, in which stopping competes with the items",
    ),
    "gunn_polyn_2025": NamedModel(
        gunn_polyn_2025.make_factory(),
        cru.OMNIBUS_BOUNDS,
        "the same with positional stopping, as Gunn & Polyn (2025) published it",
    ),
    "gunn_polyn_2025_context_stop": NamedModel(
        gunn_polyn_2025.make_factory(context_stop=True),
        gunn_polyn_2025.CONTEXT_STOP_BOUNDS,
        "the same with context competition as published; sums to less than one",
    ),
    "instance_cmr": NamedModel(
        cmr.make_factory(
            mfc=instance_item_to_context,
            mcf=instance_context_to_item,
            fixed={"mfc_trace_sensitivity": 1.0},  # of no effect while an item is a single unit
        ),
        {**cmr.USUAL_BOUNDS, "mcf_trace_sensitivity": TRACE_SENSITIVITY},
        "CMR whose memories are collections of traces",
    ),
    "semantic_cmr": NamedModel(
        semantic_cmr.make_factory(),
        semantic_cmr.USUAL_BOUNDS,
        "CMR and the meaning of the last recall, added; needs features",
    ),
    "semantic_cmr_multiplicative": NamedModel(
        semantic_cmr.make_factory("multiplicative"),
        semantic_cmr.USUAL_BOUNDS,
        "the same, multiplied",
    ),
    "semantic_cmr_associative": NamedModel(
        semantic_cmr.make_factory("associative"),
        semantic_cmr.USUAL_BOUNDS,
        "CMR with meaning in its context-to-item memory; needs features",
    ),
    "ecmr": NamedModel(
        ecmr.make_factory(), ecmr.USUAL_BOUNDS, "emotional CMR; needs a field 'valence' of 0 and 1"
    ),
    "cmr3": NamedModel(
        ecmr.make_cmr3_factory(),
        ecmr.USUAL_BOUNDS,
        "emotional CMR with two feelings; needs a field 'valence' of -1, 0 and 1",
    ),
    "positional_cmr": NamedModel(
        positional_cmr.make_factory(),
        positional_cmr.USUAL_BOUNDS,
        "CMR for lists that repeat items, a unit for each study event",
    ),
    "out_list_cmr": NamedModel(
        positional_cmr.make_out_list_factory(),
        positional_cmr.OUT_LIST_BOUNDS,
        "the same, in which a repetition brings to mind something out of the list",
    ),
    "confusable_cru": NamedModel(
        confusable_cru.make_factory(),
        confusable_cru.USUAL_BOUNDS,
        "CRU for serial recall of letters; needs distances between them",
    ),
}
"""All models that have names."""

MODELS: Mapping[str, Callable[..., Any]] = {name: one.factory for name, one in CATALOGUE.items()}
"""Factories ``(dataset, features) -> factory`` by model name."""


def usual_bounds(name: str) -> dict[str, list[float]]:
    """Bounds ``[low, high]`` of the parameters of model `name`, as published fits use them.

    Raises:
        ValueError: there is no such model.
    """
    if name not in CATALOGUE:
        raise ValueError(f"There is no model {name!r}. There are: {', '.join(CATALOGUE)}.")
    return {parameter: list(pair) for parameter, pair in CATALOGUE[name].bounds.items()}
