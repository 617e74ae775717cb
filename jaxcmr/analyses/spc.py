"""Serial position curve: recall probability by position in the list."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Num

from jaxcmr.analyses._measure import Fields, make_measure, to_ratio

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset

__all__ = ["recalled_positions", "serial_position_curve"]


@partial(jax.jit, static_argnames="n_positions")
def recalled_positions(recalls: ArrayLike, n_positions: int) -> Bool[Array, "... positions"]:
    """Return True for each study position that was recalled.

    Args:
        recalls: (..., outputs) 1-based study positions in order of recall; 0 is padding. A repeated
            recall counts once.
        n_positions: The number of positions to report.

    Examples:
        >>> recalled_positions(np.array([[3, 1, 0]]), 3).tolist()
        [[True, False, True]]
    """
    recalls = jnp.asarray(recalls)[..., None, :]  # (..., 1, outputs)
    positions = jnp.arange(1, n_positions + 1).reshape((1,) * (recalls.ndim - 2) + (-1, 1))
    return jnp.any(recalls == positions, axis=-1)


def count_recalled(
    positions: Int[Array, "trials outputs"], fields: Fields
) -> tuple[Bool[Array, "trials positions"], Bool[Array, "trials positions"]]:
    """Return the study positions that were recalled, and those that the list has."""
    n_positions = fields["pres_itemnos"].shape[1]
    is_studied = jnp.arange(n_positions)[None, :] < fields["listLength"]
    return recalled_positions(positions, n_positions) & is_studied, is_studied


@make_measure(
    count_recalled,
    lambda n_positions, **options: {"input": range(1, n_positions + 1)},
    prepare=lambda data, list_lengths: ({}, {}),
    value="recall",
)
def serial_position_curve(
    data: RecallDataset | ArrayLike,
    mask: ArrayLike | None = None,
    *,
    list_lengths: ArrayLike | None = None,
) -> Float[Array, " positions"]:
    """Return the recall probability of each serial position over a set of trials.

    The curve is (trials in which a position was recalled) / (trials whose list has that position).
    A repeated recall counts once. These are the conventions of `psifr.fr.spc`. The recall of an
    item that was studied twice counts at its first position.

    Args:
        data: recall data; or (trials, outputs) 1-based study positions in order of recall, where 0
            is padding.
        mask: (trials,) booleans, which trials of a data set to count; all by default. With
            positions, this is where `list_lengths` may stand.
        list_lengths: with positions only: the number of studied positions of each trial, (trials,)
            or (trials, 1); or one number for all trials.

    Returns:
        (positions,) probabilities. There are as many positions as the longest list has. Of a data
        set they are NumPy's, in double precision, and NaN if no trial of the mask has the position.

    Raises:
        ValueError: `list_lengths` is neither one number per trial nor one number.

    Examples:
        Of three lists of three words, the first word was recalled in two, the others in one:

        >>> recalls = np.array([[1, 2], [3, 0], [1, 0]])
        >>> np.asarray(serial_position_curve(recalls, 3)).round(2)
        array([0.67, 0.33, 0.33], dtype=float32)

        The second of these two lists has two words only:

        >>> serial_position_curve(np.array([[1, 3], [1, 0]]), [3, 2]).tolist()
        [1.0, 0.0, 1.0]

        Of a data set, the last two trials:

        >>> data = {"listLength": [[3]] * 3, "pres_itemnos": [[1, 2, 3]] * 3, "recalls": recalls}
        >>> serial_position_curve(data, [False, True, True])
        array([0.5, 0. , 0.5])
    """
    if isinstance(data, Mapping):
        if list_lengths is not None:
            raise ValueError("A data set has its list lengths; leave out list_lengths.")
        return to_ratio(serial_position_curve, data, mask)
    return _curve_of(data, mask if list_lengths is None else list_lengths)


def _curve_of(recalls: ArrayLike, list_lengths: Any) -> Float[Array, " positions"]:
    positions, lengths = jnp.asarray(recalls), np.asarray(list_lengths)
    n_trials = len(positions)
    if list_lengths is not None and lengths.ndim == 0:
        lengths = np.broadcast_to(lengths, n_trials)
    if positions.ndim != 2 or lengths.size != n_trials or lengths.dtype.kind not in "iuf":
        raise ValueError(
            "Expected recalls (trials, outputs) and one list length per trial, or one for all; got "
            f"recalls of shape {positions.shape} and list lengths of {lengths.dtype} and shape "
            f"{lengths.shape}."
        )
    lengths = lengths.reshape(-1, 1)
    return _curve(positions, jnp.asarray(lengths), int(lengths.max()))


@partial(jax.jit, static_argnames="n_positions")
def _curve(
    recalls: Num[Array, "trials outputs"], lengths: Num[Array, "trials 1"], n_positions: int
) -> Float[Array, " positions"]:
    is_studied = jnp.arange(n_positions)[None, :] < lengths  # (trials, positions)
    is_recalled = recalled_positions(recalls, n_positions) & is_studied
    return is_recalled.sum(0) / is_studied.sum(0)
