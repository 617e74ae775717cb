"""Success history: F and CR learnt from the challengers that won, as in SHADE and L-SHADE.

Each member draws its F and CR around an entry of a short memory, moves towards one of the best
members instead of the best, and takes its last partner from the population or an archive of
members that were beaten. After a generation the oldest entry becomes the mean of the F and CR that
won, weighted by what they gained. L-SHADE also lets the population shrink, in a straight line over
the evaluations allowed, to `SMALLEST` members.

Source: Tanabe & Fukunaga (2014), Improving the search performance of SHADE using linear population
size reduction, IEEE CEC, 1658-1665. ``shade`` is their SHADE 1.1, ``lshade`` their L-SHADE, both
with the constants of their Table I. A full archive overwrites members from a random place on.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, Float, Int

__all__ = ["Contest", "History", "Memory"]

SMALLEST = 4  # members of the last generation of a population that shrinks
SPREAD = 0.1  # scale of the draws of F (Cauchy) and CR (normal) around the memory
NEVER = -1.0  # entry of the memory of CR that stands for CR = 0 from now on


class Memory(eqx.Module):
    """What has been learnt so far."""

    scale: Float[Array, " entries"]
    rate: Float[Array, " entries"]
    oldest: Int[Array, ""]
    archive: Float[Array, "capacity n_params"]
    archived: Int[Array, ""]


class Contest(NamedTuple):
    """A generation's parents with their energies, and those of their challengers."""

    parents: Float[Array, "members n_params"]
    before: Float[Array, " members"]
    after: Float[Array, " members"]


class History(NamedTuple):
    """The rules of an adaptive strategy."""

    shrinks: bool
    entries: int = 6
    start: float = 0.5
    share_of_best: float = 0.11
    archive_ratio: float = 2.6

    def init(self, population: Float[Array, "members n_params"]) -> Memory:
        """Nothing learnt yet."""
        members, n_params = population.shape
        start = jnp.full(self.entries, self.start, population.dtype)
        archive = jnp.zeros((round(self.archive_ratio * members), n_params), population.dtype)
        return Memory(start, start, jnp.array(0), archive, jnp.array(0))

    def sample_rates(
        self, memory: Memory, uniforms: Float[Array, "3 members"]
    ) -> tuple[Float[Array, " members"], Float[Array, " members"]]:
        """F and CR of each member.

        F is drawn anew while it is not positive and cut at 1: here by inverting the distribution
        function above 0. CR is cut to [0, 1].
        """
        entry = jnp.floor(uniforms[0] * self.entries).astype(int)
        middle, level = memory.scale[entry], memory.rate[entry]
        at_zero = 0.5 - jnp.arctan(middle / SPREAD) / jnp.pi
        quantile = at_zero + uniforms[1] * (1.0 - at_zero)
        scale = middle + SPREAD * jnp.tan(jnp.pi * (quantile - 0.5))
        rate = level + SPREAD * ndtri(jnp.maximum(uniforms[2], jnp.finfo(level.dtype).tiny))
        tiny = jnp.finfo(scale.dtype).eps
        return jnp.clip(scale, tiny, 1.0), jnp.where(level < 0, 0.0, jnp.clip(rate, 0.0, 1.0))

    def sample_guides(
        self, size: Int[Array, ""], uniforms: Float[Array, " members"]
    ) -> Int[Array, " members"]:
        """For each member one of the best of a population in ascending order of energy."""
        n_best = jnp.maximum(2, jnp.round(self.share_of_best * size))
        return jnp.floor(uniforms * n_best).astype(int)

    def learn(
        self,
        memory: Memory,
        contest: Contest,
        scale: Float[Array, " members"],
        rate: Float[Array, " members"],
        size: Int[Array, ""],
        uniform: Float[Array, ""],
    ) -> Memory:
        """The memory after a generation of `size` members with this F and CR.

        `uniform` is where a full archive begins to be overwritten.
        """
        gain = contest.before - contest.after
        won = gain > 0
        largest = jnp.max(jnp.where(jnp.isfinite(gain), gain, 0.0))
        gain = jnp.where(jnp.isfinite(gain), gain, jnp.where(largest > 0, largest, 1.0))
        weights = jnp.where(won, gain, 0.0)

        old_rate = memory.rate[memory.oldest]
        never = (old_rate == NEVER) | (jnp.max(jnp.where(won, rate, 0.0)) == 0)
        new_scale = lehmer_mean(scale, weights)
        new_rate = jnp.where(never, NEVER, lehmer_mean(rate, weights))
        anything = jnp.any(won)
        at = memory.oldest
        return Memory(
            scale=memory.scale.at[at].set(jnp.where(anything, new_scale, memory.scale[at])),
            rate=memory.rate.at[at].set(jnp.where(anything, new_rate, old_rate)),
            oldest=jnp.where(anything, (at + 1) % self.entries, at),
            **self._archive(memory, contest.parents, won, size, uniform),
        )

    def _archive(
        self, memory: Memory, parents: Array, won: Array, size: Array, uniform: Array
    ) -> dict[str, Array]:
        """The archive with the beaten parents; at most `archive_ratio` times the population."""
        capacity = jnp.round(self.archive_ratio * size).astype(int)
        kept = jnp.minimum(memory.archived, capacity)
        place = kept + jnp.cumsum(won) - 1
        begin = jnp.floor(uniform * capacity).astype(int)
        place = jnp.where(place < capacity, place, (begin + place) % capacity)
        place = jnp.where(won, place, len(memory.archive))  # nowhere
        archive = memory.archive.at[place].set(parents, mode="drop")
        return {"archive": archive, "archived": jnp.minimum(kept + jnp.sum(won), capacity)}

    def next_size(
        self, members: int, size: Int[Array, ""], spent: Float[Array, ""]
    ) -> Int[Array, ""]:
        """Members of the next generation when the share `spent` of all evaluations is."""
        if not self.shrinks:
            return size
        wanted = jnp.round(members + spent * (SMALLEST - members)).astype(size.dtype)
        return jnp.clip(wanted, SMALLEST, size)


def lehmer_mean(values: Array, weights: Array) -> Float[Array, ""]:
    """``sum(w v^2) / sum(w v)``, 0 if that is 0 / 0."""
    total = jnp.sum(weights * values)
    return jnp.sum(weights * values**2) / jnp.where(total > 0, total, 1.0)
