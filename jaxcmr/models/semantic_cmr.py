"""Semantic CMR: CMR in which the meaning of items guides recall.

Source: Morton & Polyn (2016).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxcmr.components.semantic_cue import SemanticCueMaker
from jaxcmr.models import cmr

__all__ = ["USUAL_BOUNDS", "make_factory"]

USUAL_BOUNDS: Mapping[str, tuple[float, float]] = {
    **cmr.USUAL_BOUNDS,
    "semantic_scale": (0.0, 100.0),
}
"""Bounds for fits, by parameter name; at ``semantic_scale`` 0 it is plain CMR."""


def make_factory(
    rule: str = "additive",
    field: str = "pres_itemids",
    cues: Sequence[cmr.CueMaker] = (),
    **parts: Any,
) -> cmr.CMRMaker:
    """The factory of semantic CMR; the same arguments give the same factory.

    With C the cosine similarity of items within a list (negative ones and those to itself 0), s
    ``semantic_scale`` and t ``choice_sensitivity``, the strength of item i in a choice by power is

    - "additive": ``(a_i + s C[last, i])^t``, from the second recall on;
    - "multiplicative": ``a_i^t C[last, i]^s``, from the second recall on;
    - "associative": ``(a_i + s sum_j c_(j+1) C[j, i])^t``, which is s C in the pre-experimental
      context-to-item memory.

    Args:
        rule: one of these three.
        field: the field of the data set, (trials, positions), with the row of features of each
            presented item, counted from 1.
        cues: further cues, which come first.
        **parts: of CMR, as for `jaxcmr.models.cmr.make_factory`.

    Returns:
        ``Factory(dataset, features) -> CMRFactory``, where features is (vocabulary, dimensions).
        It raises a ValueError where `jaxcmr.components.semantic_cue.similarities` does.

    Raises:
        ValueError: there is no such rule, or it does not go with the memory.
    """
    return cmr.make_factory(cues=(*cues, SemanticCueMaker(rule, field)), **parts)
