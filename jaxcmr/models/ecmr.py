"""Emotional CMR: CMR with a source context for the emotion of items.

Source: eCMR (Talmi, Lohnas & Daw, 2019), and CMR3 (Cohen & Kahana, 2022), which tells negative
from positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxcmr.components.source_cue import SourceCueMaker
from jaxcmr.models import cmr
from jaxcmr.typing import CueMaker

__all__ = ["make_cmr3_factory", "make_factory"]


def make_factory(
    field: str = "valence",
    emotional: float = 1,
    neutral: float = 0,
    cues: Sequence[CueMaker] = (),
    **parts: Any,
) -> cmr.CMRMaker:
    """Return the factory of eCMR, whose sources are emotional and neutral.

    Support is ``c M_CF`` of temporal context plus that of source context, see
    `jaxcmr.components.source_cue.SourceCue`. Parameters beside those of CMR: ``source_drift_rate``,
    and ``emotion_scale``, by which source context learns emotional items better than neutral ones.
    At ``emotion_scale`` 0 source context supports no emotional item, but neutral ones at any scale:
    the model is then plain CMR only for lists without neutral items.

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

    >>> make_factory(field="is_emotional").parameters[-1].name
    'emotion_scale'
    """
    source_cue = SourceCueMaker(field, sources=(emotional, neutral), emotional=(emotional,))
    return cmr.make_factory(cues=(source_cue, *cues), **parts)


def make_cmr3_factory(
    field: str = "valence",
    negative: float = -1,
    neutral: float = 0,
    positive: float = 1,
    cues: Sequence[CueMaker] = (),
    **parts: Any,
) -> cmr.CMRMaker:
    """Return the factory of CMR3, whose sources are negative and positive.

    A neutral item has no source and leaves source context, the mood, unchanged. All else is as for
    `make_factory`.

    Args:
        field: the field of the data set, (trials, positions), with the code of each presented item.
        negative: code of negative items.
        neutral: code of neutral items.
        positive: code of positive items.
        cues: further cues, which come after.
        **parts: of CMR, as for `jaxcmr.models.cmr.make_factory`.

    >>> make_cmr3_factory(negative=1, neutral=2, positive=3).cues[0].sources
    (1, 3)
    """
    feelings = (negative, positive)
    source_cue = SourceCueMaker(field, sources=feelings, sourceless=(neutral,), emotional=feelings)
    return cmr.make_factory(cues=(source_cue, *cues), **parts)
