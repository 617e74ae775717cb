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
    """Draw one member in each of `members` equal slices of every coordinate."""
    key_of_place, key_of_order = jax.random.split(key)
    place_in_slice = jax.random.uniform(key_of_place, (members, n_params))
    slices = jax.random.permutation(
        key_of_order,
        jnp.broadcast_to(jnp.arange(members)[:, None], (members, n_params)),
        axis=0,
        independent=True,
    )
    return (slices.astype(place_in_slice.dtype) + place_in_slice) / members


def uniform(key: PRNGKeyArray, members: int, n_params: int) -> Float[Array, "members n_params"]:
    """Draw independent uniform coordinates."""
    return jax.random.uniform(key, (members, n_params))


def sobol(key: PRNGKeyArray, members: int, n_params: int) -> Float[Array, "members n_params"]:
    """Draw Sobol's sequence with a random digital shift (`members` is best a power of two).

    The shift flips the same random binary digits of every point, so that each power of two of
    them stays a net (Owen, 2003, ACM TOMACS 13:363).
    """
    from scipy.stats import qmc  # slow to import, and seldom needed

    digits = 24  # of a float32
    log2 = (members - 1).bit_length()
    points = qmc.Sobol(n_params, scramble=False).random_base2(log2)[:members]
    shift = jax.random.bits(key, (n_params,), "uint32") >> (32 - digits)
    shifted = jnp.asarray((points * 2**digits).astype("uint32")) ^ shift[None]
    return shifted.astype(jnp.result_type(float)) / 2**digits


def halton(key: PRNGKeyArray, members: int, n_params: int) -> Float[Array, "members n_params"]:
    """Draw Halton's sequence, rotated by a random amount (Cranley & Patterson, 1976)."""
    from scipy.stats import qmc  # slow to import, and seldom needed

    points = jnp.asarray(qmc.Halton(n_params, scramble=False).random(members))
    return (points + jax.random.uniform(key, (n_params,))[None]) % 1.0


POPULATIONS: Mapping[str, Callable[[PRNGKeyArray, int, int], Float[Array, "members n_params"]]] = {
    "latinhypercube": latin_hypercube,
    "sobol": sobol,
    "halton": halton,
    "random": uniform,
}
"""Every kind of initial population by name."""
