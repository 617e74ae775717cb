"""Everything random in a generation, drawn at once."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxcmr.optimize._history import History, Memory

__all__ = ["Draws", "draw", "draw_partners"]


class Draws(eqx.Module):
    """The draws of all members, one a row; or without the first axis, of one member."""

    index: Int[Array, " members"]
    """The member that is challenged."""
    partners: Int[Array, "members k"]
    """Other members, all different; numbers past the last member are entries of the archive."""
    uniforms: Float[Array, "members n_params"]
    """What decides which coordinates cross over, with `first` and `rate`."""
    first: Int[Array, " members"]
    """A coordinate that crosses over in any case."""
    redrawn: Float[Array, "members n_params"]
    """Where coordinates go that leave the unit cube."""
    scale: Float[Array, " members"]
    """F."""
    rate: Float[Array, " members"]
    """CR."""
    guide: Int[Array, " members"]
    """The member that takes the part of the best."""
    place: Float[Array, " members"]
    """Where a full archive is overwritten; only the first counts."""
    keys: PRNGKeyArray
    """A key a member, for strategies of the user."""


def draw(
    key: PRNGKeyArray,
    population: Float[Array, "members n_params"],
    size: Int[Array, ""],
    n_partners: int,
    mutation: Float[Array, "2"],
    recombination: Float[Array, ""],
    history: History | None = None,
    memory: Memory | None = None,
) -> Draws:
    """The draws of a generation whose first `size` members take part.

    F is drawn once for the generation between the two values of `mutation`, unless there is a
    history: then each member has its own F, CR and guide.
    """
    members, n_params = population.shape
    rows = [n_partners, n_params, n_params, 1, 1, 1] + ([3, 1] if history else [])
    key_of_rows, key_of_members = jax.random.split(key)
    uniforms = jax.random.uniform(key_of_rows, (sum(rows), members), population.dtype)
    for_partners, uniform, redrawn, first, scale, place, *adaptive = jnp.split(
        uniforms, [sum(rows[: i + 1]) for i in range(len(rows) - 1)]
    )
    if history is None or memory is None:
        low, high = mutation
        scales = jnp.full(members, low + scale[0, 0] * (high - low))
        rates = jnp.full(members, recombination)
        guide, archived = jnp.zeros(members, int), jnp.array(0)
    else:
        scales, rates = history.sample_rates(memory, adaptive[0])
        guide, archived = history.sample_guides(size, adaptive[1][0]), memory.archived
    partners = draw_partners(for_partners, size, archived)
    return Draws(
        index=jnp.arange(members),
        partners=jnp.where(partners < size, partners, partners - size + members),
        uniforms=uniform.T,
        first=jnp.floor(first[0] * n_params).astype(int),
        redrawn=redrawn.T,
        scale=scales,
        rate=rates,
        guide=guide,
        place=place[0],
        keys=jax.random.split(key_of_members, members),
    )


def draw_partners(
    uniforms: Float[Array, "k members"], size: Int[Array, ""], extra: Int[Array, ""]
) -> Int[Array, "members k"]:
    """For each member k others below `size`, all different; the last may come from `extra` more.

    Each partner is drawn among the numbers not yet taken, then shifted past those taken, in
    ascending order: no permutation is sorted.
    """
    k, members = uniforms.shape
    taken = [jnp.arange(members)]  # ascending
    partners = []
    for j in range(k):
        choices = size - len(taken) + (extra if j == k - 1 else 0)
        partner = jnp.floor(uniforms[j] * choices).astype(taken[0].dtype)
        for other in taken:
            partner = partner + (partner >= other)
        partners.append(partner)
        taken = inserted(taken, partner)
    return jnp.stack(partners, axis=-1) if partners else jnp.zeros((members, 0), int)


def inserted(ascending: list[Array], new: Array) -> list[Array]:
    """The arrays with `new` among them, still ascending."""
    longer = []
    for other in ascending:
        longer.append(jnp.minimum(other, new))
        new = jnp.maximum(other, new)
    return [*longer, new]
