"""Serial position curve: recall probability by position in the list."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Num

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


def serial_position_curve(
    recalls: ArrayLike, list_lengths: ArrayLike
) -> Float[Array, " positions"]:
    """Return the recall probability of each serial position over a set of trials.

    The curve is (trials in which a position was recalled) / (trials whose list has that position).
    A repeated recall counts once. These are the conventions of `psifr.fr.spc`.

    Args:
        recalls: (trials, outputs) 1-based study positions in order of recall; 0 is padding.
        list_lengths: The number of studied positions of each trial, (trials,) or (trials, 1); or
            one number for all trials.

    Returns:
        (positions,) probabilities. There are as many positions as the longest list has.

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
    """
    positions, lengths = jnp.asarray(recalls), np.asarray(list_lengths)
    n_trials = len(positions)
    if lengths.ndim == 0:
        lengths = np.broadcast_to(lengths, n_trials)
    if positions.ndim != 2 or lengths.size != n_trials:
        raise ValueError(
            "Expected recalls (trials, outputs) and one list length per trial, or one for all; got "
            f"recalls of shape {positions.shape} and list lengths of shape {lengths.shape}."
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
