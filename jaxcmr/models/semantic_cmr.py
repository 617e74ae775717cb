"""Semantic CMR: CMR in which the meaning of items guides recall.

Source: Morton & Polyn (2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxcmr.components.semantic_cue import SemanticCueMaker
from jaxcmr.models import cmr
from jaxcmr.typing import CueMaker

__all__ = ["make_factory"]


def make_factory(
    rule: str = "additive",
    field: str = "pres_itemids",
    cues: Sequence[CueMaker] = (),
    **parts: Any,
) -> cmr.CMRMaker:
    """Return the factory of semantic CMR.

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
        ValueError: the rule is unknown, or does not go with the memory.

    >>> make_factory("associative").parameters[-1].meaning
    'Weight of similarity in meaning; at 0 the model is plain CMR.'
    """
    return cmr.make_factory(cues=(*cues, SemanticCueMaker(rule, field)), **parts)
