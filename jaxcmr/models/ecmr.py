"""Emotional CMR: CMR with a source context for what items feel like.

Source: eCMR (Talmi, Lohnas & Daw, 2019), and CMR3 (Cohen & Kahana, 2022), which tells negative
from positive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxcmr.components.source_cue import SourceCueMaker
from jaxcmr.models import cmr

__all__ = ["USUAL_BOUNDS", "make_cmr3_factory", "make_factory"]

USUAL_BOUNDS: Mapping[str, tuple[float, float]] = {
    **cmr.USUAL_BOUNDS,
    "source_drift_rate": cmr.USUAL_BOUNDS["encoding_drift_rate"],
    "emotion_scale": (0.0, 100.0),
}
"""Bounds for fits of either model, by parameter name. At ``emotion_scale`` 0 the source context
supports no emotional item; neutral items it supports at any, so that only lists without them are
then plain CMR."""


def make_factory(
    field: str = "valence",
    emotional: float = 1,
    neutral: float = 0,
    cues: Sequence[cmr.CueMaker] = (),
    **parts: Any,
) -> cmr.CMRMaker:
    """The factory of eCMR: sources are emotional and neutral. The same arguments give the same
    factory.

    Support is ``c M_CF`` of temporal context and of source context together, see
    `jaxcmr.components.source_cue.SourceCue`. Parameters beside CMR's: ``source_drift_rate``, and
    ``emotion_scale``, by which source context learns emotional items better than neutral ones.

    Args:
        field: the field of the data set, (trials, positions), with the code of each presented item.
        emotional: code of emotional items.
        neutral: code of neutral items.
        cues: further cues, which come after.
        **parts: of CMR, as for `jaxcmr.models.cmr.make_factory`.

    Returns:
        ``Factory(dataset, features=None) -> CMRFactory``. It raises a ValueError for data without
        `field`, or where it holds another code.

    Raises:
        ValueError: two codes are the same.
    """
    source_cue = SourceCueMaker(field, sources=(emotional, neutral), emotional=(emotional,))
    return cmr.make_factory(cues=(source_cue, *cues), **parts)


def make_cmr3_factory(
    field: str = "valence",
    negative: float = -1,
    neutral: float = 0,
    positive: float = 1,
    cues: Sequence[cmr.CueMaker] = (),
    **parts: Any,
) -> cmr.CMRMaker:
    """The factory of CMR3: sources are negative and positive; a neutral item has none and leaves
    source context, the mood, as it is. All else is as for `make_factory`.

    Args:
        field: the field of the data set, (trials, positions), with the code of each presented item.
        negative: code of negative items.
        neutral: code of neutral items.
        positive: code of positive items.
        cues: further cues, which come after.
        **parts: of CMR, as for `jaxcmr.models.cmr.make_factory`.
    """
    feelings = (negative, positive)
    source_cue = SourceCueMaker(field, sources=feelings, sourceless=(neutral,), emotional=feelings)
    return cmr.make_factory(cues=(source_cue, *cues), **parts)
