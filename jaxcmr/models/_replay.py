"""CMR's likelihood of whole trials, without a context vector: exact, and an order faster.

Recall needs two numbers per item of a context c: the support ``(c M_CF)_i``, and the overlap
``c . u_i`` with the item's input u_i, which is row i of M_FC at unit length. In linear memories
both are sums over what was studied, so they follow from the overlaps of c with the units e_i of the
items and with the contexts of study c_k (c_0 is the start of the list, c_k follows the k-th item).

Both are linear in c. So the drift ``c' = rho c + b u_i`` acts on them as on c: recalling item i
adds b times row i of a table, which holds the support and overlaps of u_i; there is no matrix
product. The contexts of study have a closed form. The unit of each item is new to context when the
item is studied, so its overlap with the input is 0, and ``rho = r = sqrt(1 - b^2)``, where b is the
encoding drift rate. Hence ``c_k . c_m = r^|k - m|``.

Items stand in the order of their recall, items that are never recalled last. The next recall is
then always the first item, and after it the others move up by one place. Candidates (parameter
sets) are on the last axis, along which the arithmetic is vectorized.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxcmr.components.context import retained
from jaxcmr.components.termination import RecallState
from jaxcmr.math import primacy_gradient, safe_log, safe_sqrt
from jaxcmr.typing import Parameters, RecallDataset

__all__ = ["Replay", "Trials", "as_trials"]

STRIDE = 4  # outputs between two cuts of the arrays to the items that are left
FEW = 32  # up to so many candidates the arrays are not cut: compiling more loops would cost more


class Trials(eqx.Module):
    """The recalls to score, one row per trial. An item is its place in the list, from 0."""

    order: Int[Array, "trials items"]  # recalled items in order of recall, then all others
    list_length: Int[Array, " trials"]
    n_recalled: Int[Array, " trials"]
    stops: Int[Array, " trials"]  # output position at which recall ends early; -1 if it does not


def as_trials(dataset: RecallDataset, n_items: int) -> Trials | None:
    """Return the trials of a data set; None where the closed form does not hold.

    It holds if every trial studies different items and recalls none of them twice.
    """
    studied, recalls = np.asarray(dataset["pres_itemnos"]), np.asarray(dataset["recalls"])
    place = np.cumsum(studied > 0, axis=1) - 1  # of each study position, padding not counted
    n_recalled = np.sum(recalls > 0, axis=1)
    order = np.empty((len(recalls), n_items), np.int32)
    for row, count in enumerate(n_recalled):
        at = recalls[row, :count] - 1
        items, recalled = studied[row], place[row, at]
        others = np.setdiff1d(np.arange(n_items), recalled)
        in_a_row = np.all(recalls[row, :count] > 0) and np.all(items[at] > 0)
        all_differ = len(np.unique(items[items > 0])) == np.sum(items > 0)
        if not (in_a_row and all_differ and len(others) == n_items - count):
            return None
        order[row] = np.concatenate([recalled, others])
    list_length = np.sum(studied > 0, axis=1)
    return Trials(
        jnp.asarray(order),
        jnp.asarray(list_length),
        jnp.asarray(n_recalled),
        jnp.asarray(np.where(n_recalled < list_length, n_recalled, -1)),
    )


class Study(NamedTuple):
    """The contexts of study, by their overlaps, (items, candidates).

    c_k is the context after k items. Item i, from 0, is associated with ``c_(i + lead)``.
    """

    drift_rate: Float[Array, " candidates"]  # b
    powers: Float[Array, "items+1 candidates"]  # r^0, r^1, ...
    lead: int  # 1: associated with the context that the item has updated; 0: with the one before

    @classmethod
    def of(cls, n_items: int, parameters: Parameters, lead: int) -> Study:
        """Return the contexts of lists of up to `n_items` items."""
        # At learning rate 1 items point to nothing before study: their input is 0, and b = 0 here.
        rate = jnp.where(parameters["learning_rate"] < 1, parameters["encoding_drift_rate"], 0.0)
        r = safe_sqrt(1.0 - rate**2)
        powers = jnp.cumprod(jnp.stack([jnp.ones_like(r)] + [r] * n_items), axis=0)
        return cls(rate, powers, lead)

    def units_in_context(self, k: Int[Array, "..."]) -> Float[Array, "items candidates"]:
        """Return ``c_k . e_i = b r^(k - 1 - i)``: what is left of item i's unit in context k."""
        return self._remains(k - 1 - self._items())

    def contexts_in_context(self, k: Int[Array, ""] | int) -> Float[Array, "items candidates"]:
        """Return ``c_k . c_(i + lead) = r^|k - i - lead|``, for the context learned with item i."""
        return self.powers[jnp.abs(k - self._items() - self.lead)]

    def contexts_in_unit(self, i: Int[Array, ""]) -> Float[Array, "items candidates"]:
        """Return ``e_i . c_(j + lead)``: item i's unit in the context learned with each item j."""
        return self._remains(self._items() + self.lead - 1 - i)

    def _remains(self, lag: Int[Array, " items"]) -> Float[Array, "items candidates"]:
        """Return ``b r^lag``, what is left of a unit `lag` items later; 0 before, for lag < 0."""
        is_there = (lag >= 0)[:, None]
        powers = self.powers[jnp.abs(lag)]
        return jnp.where(is_there, self.drift_rate[None] * powers, 0.0)

    def _items(self) -> Int[Array, " items"]:
        """Return the items, 0 to n - 1."""
        return jnp.arange(len(self.powers) - 1)


class Cue(NamedTuple):
    """The support and overlaps of a vector x, such as context or an input. Both are linear in x."""

    support: Float[Array, "items ..."]  # (x M_CF)_i
    overlap: Float[Array, "items ..."]  # x . u_i


class Memories(NamedTuple):
    """M_FC and M_CF after study, as functions of the overlaps of a vector x."""

    parameters: Parameters
    study: Study

    def cue(
        self, units: Float[Array, "items candidates"], contexts: Float[Array, "items candidates"]
    ) -> Cue:
        """Return the cue of x, given ``units = x . e_i`` and ``contexts = x . c_(i + lead)``.

        With alpha the shared support, delta the item support and phi_i the attention to item i,
        ``(x M_CF)_i = alpha sum_j x . e_j + (delta - alpha) x . e_i + phi_i x . c_(i + lead)``.
        """
        p = self.parameters
        others, own = p["shared_support"], p["item_support"] - p["shared_support"]
        attention = primacy_gradient(
            jnp.arange(len(units))[:, None], p["primacy_scale"][None], p["primacy_decay"][None]
        )
        from_others, from_own = others * jnp.sum(units, axis=0), own[None] * units
        return Cue(
            support=from_others[None] + from_own + attention * contexts,
            overlap=self.input(units, contexts),
        )

    def input(self, units: Any, contexts: Any) -> Any:
        """Return ``x . u_i``, where u_i is ``(1 - g) e_i + g c_(i + lead)`` at unit length.

        g is the learning rate. The squared length is
        ``(1 - g)^2 + g^2 + 2 g (1 - g) e_i . c_(i + lead)``, whose last factor is b at lead 1 (the
        item has just moved its context) and 0 at lead 0 (it has not yet).
        """
        g, met = self.parameters["learning_rate"], self.study.drift_rate * self.study.lead
        length = jnp.sqrt((1.0 - g) ** 2 + g**2 + 2.0 * g * (1.0 - g) * met)
        return ((1.0 - g)[None] * units + g[None] * contexts) / length[None]

    def of_item(self, i: Int[Array, ""]) -> Cue:
        """Return the cue of the input u_i: the row of item i in the table that recall adds.

        ``units = u_i . e_j`` and ``contexts = u_i . c_(j + lead)`` are those of its two terms,
        e_i and c_(i + lead), mixed as in `input`.
        """
        own = (jnp.arange(len(self.study.powers) - 1) == i)[:, None]
        own = own.astype(self.study.powers.dtype)
        return self.cue(
            units=self.input(own, self.study.units_in_context(i + self.study.lead)),
            contexts=self.input(
                self.study.contexts_in_unit(i), self.study.contexts_in_context(i + self.study.lead)
            ),
        )

    def of_start(self, list_length: Int[Array, ""]) -> Cue:
        """Return the cue of the context in which recall starts.

        It is ``rho c_n + b c_0``, the end of the list drifted to the start: n is the list length,
        b the start drift rate, and ``c_n . c_0 = r^n`` gives rho. No item's unit is in c_0.
        """
        rate = self.parameters["start_drift_rate"]
        keep = retained(self.study.powers[list_length], rate)
        end, start = self.study.contexts_in_context(list_length), self.study.contexts_in_context(0)
        units = self.study.units_in_context(list_length)
        return self.cue(keep[None] * units, keep[None] * end + rate[None] * start)


class Replay(eqx.Module):
    """The likelihood of whole trials under many parameter sets: a `jaxcmr.typing.Replay`."""

    trials: Trials
    list_lengths: Int[Array, " lengths"]  # that occur, in ascending order
    fixed: dict[str, np.ndarray]  # parameters with a fixed value
    choice: Callable[..., Any] = eqx.field(static=True)
    termination: Callable[..., Any] = eqx.field(static=True)
    lead: int = eqx.field(static=True)  # of `Study`

    def nll(
        self, parameters: Mapping[str, Float[Array, " candidates"]], rows: Int[Array, " trials"]
    ) -> Float[Array, "trials candidates"]:
        """Return ``-log P`` (nats) of the trials `rows` under each parameter set."""
        like = next(iter(parameters.values()))
        fixed = {name: jnp.full_like(like, value) for name, value in self.fixed.items()}
        parameters = {**parameters, **fixed}
        n_items = self.trials.order.shape[1]
        memories = Memories(parameters, Study.of(n_items, parameters, self.lead))
        # Tables: by_item.support[i, j] is (u_i M_CF)_j, by_item.overlap[i, j] is u_i . u_j.
        by_item = jax.lax.map(memories.of_item, jnp.arange(n_items))
        by_length = jax.lax.map(memories.of_start, self.list_lengths)
        choose = self.choice(n_items, parameters)
        stop = self.termination(n_items, parameters)
        rate = parameters["recall_drift_rate"]
        stride = n_items if len(rate) <= FEW else STRIDE

        def of_trial(trial: Trials) -> Float[Array, " candidates"]:
            """Return the nats of one trial."""
            start = jnp.searchsorted(self.list_lengths, trial.list_length)
            cue = jax.tree.map(lambda table: table[start][trial.order], by_length)
            nats = jnp.zeros_like(rate)
            order = jnp.pad(trial.order, (0, n_items))  # so that slices past the end stay in range

            def event(state: tuple[Cue, Array], j: Int[Array, ""]) -> tuple[Any, None]:
                """Score the event at output position j, then advance the cue by the recall."""
                cue, nats = state
                n_left = len(cue.support)
                # j items are gone. The rest of the list stands first, items not in the list last.
                recallable = (jnp.arange(n_left) < trial.list_length - j)[:, None]
                share = choose(cue.support, recallable)[0]
                # Nothing is recallable once the list is exhausted: stopping is then certain.
                stopping = jnp.where(recallable[0], stop(RecallState(j, recallable)), 1.0)
                # Events are the recalls and the stop that ends them; later positions score 0 nats.
                recalls, stops = j < trial.n_recalled, j == trial.stops
                probability = jnp.where(recalls, (1.0 - stopping) * share, stopping)
                nats -= safe_log(probability, recalls | stops)

                # c' = rho c + b u_i for recalled item i = order[j], on support and overlap alike.
                others = jax.lax.dynamic_slice_in_dim(order, j + 1, n_left)
                keep = retained(cue.overlap[0], rate)

                def advance(now: Array, table: Array) -> Array:
                    """Return support or overlaps of the items that are left, moved up by one."""
                    moved = jnp.pad(now[1:], ((0, 1), (0, 0)))
                    kept = keep[None] * moved
                    rows = table.at[order[j], others].get(mode="promise_in_bounds")
                    return kept + rate[None] * rows

                cue = jax.tree.map(advance, cue, by_item)
                return (cue, nats), None

            # Every `stride` outputs so many items are gone: the places at the end are cut off.
            for first in range(0, n_items, stride):
                outputs = jnp.arange(first, min(first + stride, n_items))
                (cue, nats), _ = jax.lax.scan(event, (cue, nats), outputs)
                cue = jax.tree.map(lambda now: now[: len(now) - stride], cue)
            return nats

        return jax.vmap(of_trial)(jax.tree.map(lambda field: field[rows], self.trials))
