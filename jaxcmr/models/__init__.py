"""Models of memory search, one per file; `MODELS` maps their names to their factories."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

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
from jaxcmr.names import describe_unknown
from jaxcmr.parameters import Parameter
from jaxcmr.typing import DeclaredModel

__all__ = ["CATALOGUE", "MODELS", "NamedModel", "usual_bounds"]


class NamedModel(NamedTuple):
    """A model that has a name."""

    factory: DeclaredModel
    about: str
    """What it is, in one line."""
    works: tuple[str, ...] = ()
    """The works to cite for it, by their keys in the references, such as "polyn-2009"."""

    @property
    def parameters(self) -> Sequence[Parameter]:
        """Return its parameters, in the order of a parameter vector."""
        return self.factory.parameters


CMR = ("polyn-2009", "kragel-2015", "morton-polyn-2016")
CRU_CMR = ("logan-2021", "gunn-polyn-2025", "polyn-2009")

CATALOGUE: Mapping[str, NamedModel] = {
    "cmr": NamedModel(cmr.make_factory(), "CMR, the textbook model", CMR),
    "cmr_no_stop": NamedModel(
        cmr.make_factory(termination=NoTermination.create),
        "CMR without stopping: recalls until no item is left",
        CMR,
    ),
    "cmr_support_ratio": NamedModel(
        cmr.make_factory(termination=SupportRatioTermination.create),
        "CMR that stops when little support is left",
        CMR,
    ),
    "cmr_context_stop": NamedModel(
        cmr.make_factory(termination=ContextCompetition.create),
        "CMR in which stopping competes with the items",
        (*CMR, "gunn-polyn-2025"),
    ),
    "cmr_exponential": NamedModel(
        cmr.make_factory(choice=ExponentialChoice.create), "CMR with exponential choice", CMR
    ),
    "cru": NamedModel(
        cru.make_factory(),
        "CRU: CMR without its associations, free recall",
        ("logan-2021", "gunn-polyn-2025"),
    ),
    "cru_cmr": NamedModel(
        cru.make_factory(*cru.TOGGLES),
        "CRU and CMR in one, with five mechanisms to turn on or off",
        CRU_CMR,
    ),
    "cru_cmr_context_stop": NamedModel(
        cru.make_factory(*cru.TOGGLES, termination=ContextCompetition.create),
        "CRU and CMR in one; stopping competes with the items",
        CRU_CMR,
    ),
    "gunn_polyn_2025": NamedModel(
        gunn_polyn_2025.make_factory(),
        "CRU and CMR in one, as published by Gunn & Polyn (2025), positional stopping",
        CRU_CMR,
    ),
    "gunn_polyn_2025_context_stop": NamedModel(
        gunn_polyn_2025.make_factory(context_stop=True),
        "CRU and CMR in one, as published, competing stop; probabilities sum to less than one",
        CRU_CMR,
    ),
    "instance_cmr": NamedModel(
        cmr.make_factory(
            mfc=instance_item_to_context,
            mcf=instance_context_to_item,
            fixed={"mfc_trace_sensitivity": 1.0},  # of no effect while an item is a single unit
        ),
        "CMR whose memories are collections of traces",
        (*CMR, "hintzman-1984", "hintzman-1986"),
    ),
    "semantic_cmr": NamedModel(
        semantic_cmr.make_factory(),
        "CMR plus similarity in meaning to the last recall, added; needs features",
        ("morton-polyn-2016", "polyn-2009"),
    ),
    "semantic_cmr_multiplicative": NamedModel(
        semantic_cmr.make_factory("multiplicative"),
        "CMR times similarity in meaning to the last recall; needs features",
        ("morton-polyn-2016", "polyn-2009"),
    ),
    "semantic_cmr_associative": NamedModel(
        semantic_cmr.make_factory("associative"),
        "CMR with similarity in meaning in its context-to-item memory; needs features",
        ("morton-polyn-2016", "polyn-2009"),
    ),
    "ecmr": NamedModel(
        ecmr.make_factory(),
        "emotional CMR; needs a field 'valence' of 0 and 1",
        ("talmi-2019", "polyn-2009"),
    ),
    "cmr3": NamedModel(
        ecmr.make_cmr3_factory(),
        "CMR3: separate negative and positive source units; needs 'valence' of -1, 0 and 1",
        ("cohen-kahana-2022", "talmi-2019", "polyn-2009"),
    ),
    "positional_cmr": NamedModel(
        positional_cmr.make_factory(),
        "CMR for lists that repeat items, with a unit for each study event",
        CMR,
    ),
    "out_list_cmr": NamedModel(
        positional_cmr.make_out_list_factory(),
        "positional CMR in which a repetition reinstates out-of-list context",
        CMR,
    ),
    "confusable_cru": NamedModel(
        confusable_cru.make_factory(),
        "CRU for serial recall of letters; needs distances between them",
        ("logan-2021", "shepard-1987"),
    ),
}
"""Every named model."""

MODELS: Mapping[str, DeclaredModel] = {name: one.factory for name, one in CATALOGUE.items()}
"""Model factories ``(dataset, features) -> MemorySearchFactory`` by name."""


def usual_bounds(name: str) -> dict[str, list[float]]:
    """Return bounds ``[low, high]`` of the parameters of a model, as published fits use them.

    Raises:
        ValueError: the model is unknown.

    >>> usual_bounds("cmr")["item_support"]
    [2.220446049250313e-16, 100.0]
    """
    if name not in list(CATALOGUE):
        raise ValueError(describe_unknown("model", name, CATALOGUE))
    return {parameter.name: parameter.bounds for parameter in CATALOGUE[name].parameters}
