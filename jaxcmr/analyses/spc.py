"""Serial position curve: how likely an item is to be recalled, by its position in the list."""

from __future__ import annotations

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

__all__ = ["recalled_positions", "serial_position_curve"]


def recalled_positions(recalls: ArrayLike, n_positions: int) -> Bool[Array, "... positions"]:
    """Whether each study position was recalled at all.

    Args:
        recalls: (..., outputs) 1-based study positions in order of recall, 0 for none. A repeated
            recall counts once.
        n_positions: number of positions to report.
    """
    positions = jnp.arange(1, n_positions + 1)
    return jnp.any(jnp.asarray(recalls)[..., None, :] == positions[:, None], axis=-1)


def serial_position_curve(
    recalls: ArrayLike, list_lengths: ArrayLike
) -> Float[Array, " positions"]:
    """Recall probability of each serial position over a set of trials.

    A position counts in the trials whose list has it, as in `psifr.fr.spc`.

    Args:
        recalls: (trials, outputs) 1-based study positions in order of recall, 0 for none.
        list_lengths: (trials,) or (trials, 1) number of studied positions.

    Returns:
        (positions,) probabilities; positions = the longest list.
    """
    lengths = jnp.asarray(list_lengths).reshape(-1, 1)
    n_positions = int(jnp.max(lengths))
    studied = jnp.arange(n_positions) < lengths
    return (recalled_positions(recalls, n_positions) & studied).sum(0) / studied.sum(0)
