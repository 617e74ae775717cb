"""F and CR learned from success, as in SHADE and L-SHADE.

Each member draws its F and CR around an entry of a short memory. It moves toward one of the p best
members ("p-best") instead of the best. Its last partner comes from the population or from an
archive of members that were replaced. After each generation, one entry of the memory is replaced:
by the mean of the F and CR of the trial vectors that won, weighted by how much they improved.
L-SHADE also shrinks the population.

Source: Tanabe & Fukunaga (2014), Improving the search performance of SHADE using linear population
size reduction, IEEE CEC, 1658-1665. ``shade`` is their SHADE 1.1, ``lshade`` their L-SHADE, both
with the constants of their Table I. One difference: a full archive is overwritten from a random
slot on, not at a random slot for each new entry.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, Bool, Float, Int

__all__ = ["Contest", "Memory", "SuccessHistory"]

SMALLEST = 4  # N_min: members of the last generation of a population that shrinks
SPREAD = 0.1  # scale of the Cauchy distribution of F and of the normal distribution of CR
TERMINAL = -1.0  # the terminal value of M_CR: CR is 0 from now on


class Memory(eqx.Module):
    """What has been learned so far: M_F, M_CR and the archive A."""

    F: Float[Array, " entries"]
    CR: Float[Array, " entries"]
    oldest: Int[Array, ""]
    """k, the entry that is replaced next."""
    archive: Float[Array, "capacity n_params"]
    archived: Int[Array, ""]
    """|A|, how many slots of the archive are in use."""


class Contest(NamedTuple):
    """The members of a generation with their losses, and the losses of their trial vectors."""

    members: Float[Array, "members n_params"]
    losses: Float[Array, " members"]
    trial_losses: Float[Array, " members"]


class SuccessHistory(NamedTuple):
    """The rules by which a strategy adapts."""

    shrinks: bool
    entries: int = 6  # H
    start: float = 0.5  # M_F and M_CR before the first generation
    p: float = 0.11  # share of the population that counts as p-best
    archive_ratio: float = 2.6  # r_arc: capacity of the archive, in populations

    def make_memory(self, population: Float[Array, "members n_params"]) -> Memory:
        """Return the memory before the first generation."""
        size, n_params = population.shape
        start = jnp.full(self.entries, self.start, population.dtype)
        archive = jnp.zeros((round(self.archive_ratio * size), n_params), population.dtype)
        return Memory(start, start, jnp.array(0), archive, jnp.array(0))

    def draw_F_and_CR(
        self, memory: Memory, uniforms: Float[Array, "3 members"]
    ) -> tuple[Float[Array, " members"], Float[Array, " members"]]:
        """Return F and CR of each member, around an entry of the memory chosen at random.

        ``F ~ Cauchy(M_F, 0.1)``, drawn again while F <= 0 and clipped to 1. Drawing again is
        inverting the distribution function above its value at 0.
        ``CR ~ Normal(M_CR, 0.1)``, clipped to [0, 1]; 0 if the entry is the terminal value.
        """
        entry = jnp.floor(uniforms[0] * self.entries).astype(int)
        M_F, M_CR = memory.F[entry], memory.CR[entry]
        P_0 = 0.5 - jnp.arctan(M_F / SPREAD) / jnp.pi  # P(F <= 0)
        quantile = P_0 + uniforms[1] * (1.0 - P_0)
        F = M_F + SPREAD * jnp.tan(jnp.pi * (quantile - 0.5))
        CR = M_CR + SPREAD * ndtri(jnp.maximum(uniforms[2], jnp.finfo(M_CR.dtype).tiny))
        smallest = jnp.finfo(F.dtype).eps  # F > 0 in spite of rounding
        return jnp.clip(F, smallest, 1.0), jnp.where(M_CR < 0, 0.0, jnp.clip(CR, 0.0, 1.0))

    def draw_pbest(
        self, size: Int[Array, ""], uniforms: Float[Array, " members"]
    ) -> Int[Array, " members"]:
        """Return for each member one of the ``max(2, p N)`` best.

        The population is in ascending order of loss.
        """
        n_best = jnp.maximum(2, jnp.round(self.p * size))
        return jnp.floor(uniforms * n_best).astype(int)

    def learn(
        self,
        memory: Memory,
        contest: Contest,
        F: Float[Array, " members"],
        CR: Float[Array, " members"],
        size: Int[Array, ""],
        uniform: Float[Array, ""],
    ) -> Memory:
        """Return the memory after a generation of `size` members with these F and CR.

        `uniform` chooses the slot from which a full archive is overwritten.
        """
        improvement = contest.losses - contest.trial_losses  # Delta f
        won = improvement > 0
        # From an infinite loss to a finite one, the improvement counts as the largest finite one.
        is_finite = jnp.isfinite(improvement)
        largest = jnp.max(jnp.where(is_finite, improvement, 0.0))
        improvement = jnp.where(is_finite, improvement, jnp.where(largest > 0, largest, 1.0))
        weights = jnp.where(won, improvement, 0.0)

        k = memory.oldest
        is_terminal = (memory.CR[k] == TERMINAL) | (jnp.max(jnp.where(won, CR, 0.0)) == 0)
        new_F = lehmer_mean(F, weights)
        new_CR = jnp.where(is_terminal, TERMINAL, lehmer_mean(CR, weights))
        any_won = jnp.any(won)
        archive, archived = self._archive(memory, contest.members, won, size, uniform)
        return Memory(
            F=memory.F.at[k].set(jnp.where(any_won, new_F, memory.F[k])),
            CR=memory.CR.at[k].set(jnp.where(any_won, new_CR, memory.CR[k])),
            oldest=jnp.where(any_won, (k + 1) % self.entries, k),
            archive=archive,
            archived=archived,
        )

    def _archive(
        self,
        memory: Memory,
        members: Float[Array, "members n_params"],
        lost: Bool[Array, " members"],
        size: Int[Array, ""],
        uniform: Float[Array, ""],
    ) -> tuple[Float[Array, "capacity n_params"], Int[Array, ""]]:
        """Return the archive with the members that `lost`, and how many slots are in use.

        ``|A| <= r_arc N``: the capacity shrinks with the population.
        """
        capacity = jnp.round(self.archive_ratio * size).astype(int)
        kept = jnp.minimum(memory.archived, capacity)
        slot = kept + jnp.cumsum(lost) - 1  # free slots first, in order
        first = jnp.floor(uniform * capacity).astype(int)
        slot = jnp.where(slot < capacity, slot, (first + slot) % capacity)  # then from a random one
        slot = jnp.where(lost, slot, len(memory.archive))  # members that stay: out of range
        archive = memory.archive.at[slot].set(members, mode="drop")
        return archive, jnp.minimum(kept + jnp.sum(lost), capacity)

    def next_size(
        self, start_size: int, size: Int[Array, ""], spent: Float[Array, ""]
    ) -> Int[Array, ""]:
        """Return the population size after a share `spent` of the evaluations.

        ``N = round(N_init + spent (N_min - N_init))``: a straight line, and never a rise.
        """
        if not self.shrinks:
            return size
        wanted = jnp.round(start_size + spent * (SMALLEST - start_size)).astype(size.dtype)
        return jnp.clip(wanted, SMALLEST, size)


def lehmer_mean(values: Array, weights: Array) -> Float[Array, ""]:
    """Return ``sum(w v^2) / sum(w v)``, or 0 if all terms are 0."""
    total = jnp.sum(weights * values)
    return jnp.sum(weights * values**2) / jnp.where(total > 0, total, 1.0)
