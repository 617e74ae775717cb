"""Initial populations on the unit cube, by SciPy's names; each ``(key, members, n_params)``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

__all__ = ["POPULATIONS"]


def latin_hypercube(
    key: PRNGKeyArray, members: int, n_params: int
) -> Float[Array, "members n_params"]:
    """One member in each of `members` equal slices of every coordinate."""
    place, shuffle = jax.random.split(key)
    within_slice = jax.random.uniform(place, (members, n_params))
    slices = jax.random.permutation(
        shuffle,
        jnp.broadcast_to(jnp.arange(members)[:, None], (members, n_params)),
        axis=0,
        independent=True,
    )
    return (slices + within_slice) / members


def uniform(key: PRNGKeyArray, members: int, n_params: int) -> Float[Array, "members n_params"]:
    """Independent uniform coordinates."""
    return jax.random.uniform(key, (members, n_params))


POPULATIONS: Mapping[str, Callable[..., Float[Array, "members n_params"]]] = {
    "latinhypercube": latin_hypercube,
    "random": uniform,
}
"""Every kind of initial population by name."""
