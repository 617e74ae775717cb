"""Serial position curve: how likely an item is to be recalled, by its position in the list."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

__all__ = ["recalled_positions", "serial_position_curve"]


@partial(jax.jit, static_argnames="n_positions")
def recalled_positions(recalls: ArrayLike, n_positions: int) -> Bool[Array, "... positions"]:
    """Return whether each study position was recalled at all.

    Args:
        recalls: (..., outputs) 1-based study positions in order of recall, 0 for none. A repeated
            recall counts once.
        n_positions: number of positions to report.

    >>> recalled_positions(np.array([[3, 1, 0]]), 3).tolist()
    [[True, False, True]]
    """
    recalls = jnp.asarray(recalls)[..., None, :]
    positions = jnp.arange(1, n_positions + 1).reshape((1,) * (recalls.ndim - 2) + (-1, 1))
    return jnp.any(recalls == positions, axis=-1)


def serial_position_curve(
    recalls: ArrayLike, list_lengths: ArrayLike
) -> Float[Array, " positions"]:
    """Return the recall probability of each serial position over a set of trials.

    A position counts in the trials whose list has it, as in `psifr.fr.spc`.

    Args:
        recalls: (trials, outputs) 1-based study positions in order of recall, 0 for none.
        list_lengths: (trials,) or (trials, 1) number of studied positions; or one number for all
            trials.

    Returns:
        (positions,) probabilities; positions = the longest list.

    Raises:
        ValueError: there are neither as many list lengths as trials nor one.

    >>> np.asarray(serial_position_curve(np.array([[1, 2], [3, 0], [1, 0]]), 3)).round(2)
    array([0.67, 0.33, 0.33], dtype=float32)
    """
    positions, lengths = jnp.asarray(recalls), np.asarray(list_lengths)
    n_trials = len(positions)
    if lengths.ndim == 0:
        lengths = np.broadcast_to(lengths, n_trials)
    if positions.ndim != 2 or lengths.size != n_trials:
        raise ValueError(
            "Expected recalls (trials, outputs) and a list length for each trial, or one for all; "
            f"got recalls of shape {positions.shape} and list lengths of shape {lengths.shape}."
        )
    lengths = lengths.reshape(-1, 1)
    return _curve(positions, jnp.asarray(lengths), int(lengths.max()))


@partial(jax.jit, static_argnames="n_positions")
def _curve(recalls: Array, lengths: Array, n_positions: int) -> Float[Array, " positions"]:
    studied = jnp.arange(n_positions)[None, :] < lengths
    return (recalled_positions(recalls, n_positions) & studied).sum(0) / studied.sum(0)
