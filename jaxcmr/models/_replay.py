"""CMR's likelihood of whole trials, without a context vector: exact, and an order faster.

All that recall asks of a context c is a number or two per item: its support ``(c M_CF)_i`` and its
overlap ``c . u_i`` with the item's input u_i, which is the row of M_FC at unit length. In linear
memories both are sums over what was studied, so that they follow from the overlaps of c with the
units and with the contexts of study. Drift ``c' = rho c + b u_i`` acts on them as on c: recalling i
takes a table's row for i, no matrix product. And as each item's unit is new to context, the
contexts of study have a closed form: with ``r = sqrt(1 - b^2)``, ``c_k . c_m = r^|k - m|``.

Items come in the order of their recall, those never recalled last: the next recall is always the
first, and after it the others move up. Candidates are on the last axis, along which the arithmetic
of many parameter sets runs.
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

STRIDE = 4  # outputs after which the arrays are cut down to the items that are left
FEW = 32  # candidates that are too few to make up for the longer program


class Trials(eqx.Module):
    """What recall scores, one row a trial. An item is its place in the list (0-based)."""

    order: Int[Array, "trials items"]  # recalled items in order of recall, then all others
    list_length: Int[Array, " trials"]
    n_recalled: Int[Array, " trials"]
    stops: Int[Array, " trials"]  # output position at which recall ends early; -1 if it does not


def as_trials(dataset: RecallDataset, n_items: int) -> Trials | None:
    """The trials of a data set; None unless all study different items and recall them once each."""
    studied, recalls = np.asarray(dataset["pres_itemnos"]), np.asarray(dataset["recalls"])
    place = np.cumsum(studied > 0, axis=1) - 1
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
    """The contexts of study, by their overlaps: c_k is the context after k items, c_0 that of the
    start; item i was associated with c_(i + lead). Overlaps are (items, candidates)."""

    drift_rate: Float[Array, " candidates"]
    powers: Float[Array, "items+1 candidates"]  # of r
    lead: int  # 1: with the context that the item has updated; 0: with the one it met

    @classmethod
    def of(cls, n_items: int, parameters: Parameters, lead: int) -> Study:
        """Lists of up to `n_items` items; an item that points to nothing moves no context."""
        rate = jnp.where(parameters["learning_rate"] < 1, parameters["encoding_drift_rate"], 0.0)
        r = safe_sqrt(1.0 - rate**2)
        powers = jnp.cumprod(jnp.stack([jnp.ones_like(r)] + [r] * n_items), axis=0)
        return cls(rate, powers, lead)

    def units_in_context(self, k: Int[Array, "..."]) -> Float[Array, "items candidates"]:
        """``c_k . e_i``: what is left in context k of item i's own unit."""
        return self._remains(k - 1 - self._items())

    def contexts_in_context(self, k: Int[Array, ""] | int) -> Float[Array, "items candidates"]:
        """``c_k . c_(i + lead)``, with the context that item i is associated with."""
        return self.powers[jnp.abs(k - self._items() - self.lead)]

    def contexts_in_unit(self, i: Int[Array, ""]) -> Float[Array, "items candidates"]:
        """``e_i . c_(j + lead)``: item i's own unit in the context of item j."""
        return self._remains(self._items() + self.lead - 1 - i)

    def _remains(self, lag: Int[Array, " items"]) -> Float[Array, "items candidates"]:
        is_there = (lag >= 0)[:, None]
        powers = self.powers[jnp.abs(lag)]
        return jnp.where(is_there, self.drift_rate[None] * powers, 0.0)

    def _items(self) -> Int[Array, " items"]:
        return jnp.arange(len(self.powers) - 1)


class Cue(NamedTuple):
    """What a context, or part of one, does in recall: all that happens to c happens to these."""

    support: Float[Array, "items ..."]  # c M_CF
    overlap: Float[Array, "items ..."]  # c . u_i


class Memories(NamedTuple):
    """M_FC and M_CF after study, as functions of the overlaps of a vector x."""

    parameters: Parameters
    study: Study

    def cue(
        self, units: Float[Array, "items candidates"], contexts: Float[Array, "items candidates"]
    ) -> Cue:
        """What x gives, from ``units = x . e_i`` and ``contexts = x . c_(i + lead)``."""
        p = self.parameters
        others, own = p["shared_support"], p["item_support"] - p["shared_support"]
        attention = primacy_gradient(
            jnp.arange(len(units))[:, None], p["primacy_scale"], p["primacy_decay"]
        )
        from_others, from_own = others * jnp.sum(units, axis=0), own[None] * units
        return Cue(
            support=from_others[None] + from_own + attention * contexts,
            overlap=self.input(units, contexts),
        )

    def input(self, units: Any, contexts: Any) -> Any:
        """``x . u_i``, u_i being ``(1 - g) e_i + g c_(i + lead)`` at unit length."""
        g, met = self.parameters["learning_rate"], self.study.drift_rate * self.study.lead
        length = jnp.sqrt((1.0 - g) ** 2 + g**2 + 2.0 * g * (1.0 - g) * met)
        return ((1.0 - g)[None] * units + g[None] * contexts) / length[None]

    def of_item(self, i: Int[Array, ""]) -> Cue:
        """x = u_i."""
        own = (jnp.arange(len(self.study.powers) - 1) == i)[:, None]
        return self.cue(
            units=self.input(own, self.study.units_in_context(i + self.study.lead)),
            contexts=self.input(
                self.study.contexts_in_unit(i), self.study.contexts_in_context(i + self.study.lead)
            ),
        )

    def of_start(self, list_length: Int[Array, ""]) -> Cue:
        """x = the context in which recall starts: that of the end of the list, drifted to c_0."""
        rate = self.parameters["start_drift_rate"]
        keep = retained(self.study.powers[list_length], rate)
        end, start = self.study.contexts_in_context(list_length), self.study.contexts_in_context(0)
        units = self.study.units_in_context(list_length)
        return self.cue(keep[None] * units, keep[None] * end + rate[None] * start)


class Replay(eqx.Module):
    """Scores whole trials under many parameter sets at once (a `jaxcmr.typing.Replay`)."""

    trials: Trials
    list_lengths: Int[Array, " lengths"]  # those that occur, in ascending order
    fixed: dict[str, np.ndarray]  # parameters of the model that have a value of their own
    choice: Callable[..., Any] = eqx.field(static=True)
    termination: Callable[..., Any] = eqx.field(static=True)
    lead: int = eqx.field(static=True)  # of `Study`

    def nll(
        self, parameters: Mapping[str, Float[Array, " candidates"]], rows: Int[Array, " trials"]
    ) -> Float[Array, "trials candidates"]:
        """Nats of the trials `rows` under each parameter set."""
        like = next(iter(parameters.values()))
        fixed = {name: jnp.full_like(like, value) for name, value in self.fixed.items()}
        parameters = {**parameters, **fixed}
        n_items = self.trials.order.shape[1]
        memories = Memories(parameters, Study.of(n_items, parameters, self.lead))
        by_item = jax.lax.map(memories.of_item, jnp.arange(n_items))
        by_length = jax.lax.map(memories.of_start, self.list_lengths)
        choose = self.choice(n_items, parameters)
        stop = self.termination(n_items, parameters)
        rate = parameters["recall_drift_rate"]
        stride = n_items if len(rate) <= FEW else STRIDE

        def of_trial(trial: Trials) -> Float[Array, " candidates"]:
            start = jnp.searchsorted(self.list_lengths, trial.list_length)
            cue = jax.tree.map(lambda table: table[start][trial.order], by_length)
            nats = jnp.zeros_like(rate)
            order = jnp.pad(trial.order, (0, n_items))

            def event(state: tuple[Cue, Array], j: Int[Array, ""]) -> tuple[Any, None]:
                cue, nats = state
                n_left = len(cue.support)
                recallable = (jnp.arange(n_left) < trial.list_length - j)[:, None]
                share = choose(cue.support, recallable)[0]
                stopping = jnp.where(recallable[0], stop(RecallState(j, recallable)), 1.0)
                recalls, stops = j < trial.n_recalled, j == trial.stops
                probability = jnp.where(recalls, (1.0 - stopping) * share, stopping)
                nats -= safe_log(probability, recalls | stops)

                others = jax.lax.dynamic_slice_in_dim(order, j + 1, n_left)
                keep = retained(cue.overlap[0], rate)

                def advance(now: Array, table: Array) -> Array:
                    moved = jnp.pad(now[1:], ((0, 1), (0, 0)))
                    kept = keep[None] * moved
                    rows = table.at[order[j], others].get(mode="promise_in_bounds")
                    return kept + rate[None] * rows

                cue = jax.tree.map(advance, cue, by_item)
                return (cue, nats), None

            for first in range(0, n_items, stride):
                outputs = jnp.arange(first, min(first + stride, n_items))
                (cue, nats), _ = jax.lax.scan(event, (cue, nats), outputs)
                cue = jax.tree.map(lambda now: now[: len(now) - stride], cue)
            return nats

        return jax.vmap(of_trial)(jax.tree.map(lambda field: field[rows], self.trials))
