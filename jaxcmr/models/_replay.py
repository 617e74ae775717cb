"""CMR's likelihood of whole trials without a context vector, in linear memories: exact, and faster.

Recall needs two numbers per item of a context c: its support ``(c M_CF)_i``, and the overlap
``c . u_i`` with the item's input u_i, which is row i of M_FC at unit length. Both are linear in c.
So the drift ``c' = rho c + b u_i`` acts on them as on c: recalling item i adds b times row i of a
table, which holds the support and overlaps of u_i. The tables are made once per list, from the
model that has studied it; recall then takes no matrix product, and no step over units.

Items stand in the order of their recall, items that are never recalled last. The next recall is
then always the first item, and after it the others move up by one place. Candidates (parameter
sets) are on the last axis, along which the arithmetic is vectorized.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxcmr.components import (
    ExponentialChoice,
    LinearMemory,
    NoTermination,
    PositionalTermination,
    PowerChoice,
    RecallState,
    TemporalContext,
)
from jaxcmr.components.context import has_length, retained
from jaxcmr.math import combine_rows, safe_log, unit_length
from jaxcmr.simulation import study
from jaxcmr.typing import MemorySearchFactory, RecallDataset

if TYPE_CHECKING:
    from jaxcmr.models.cmr import CMR

__all__ = ["Replay", "Trials", "recalls_linearly"]

STRIDE = 4  # outputs between two cuts of the arrays to the items that are left
FEW = 8  # up to so many candidates the arrays are not cut: compiling more loops would cost more


def recalls_linearly(model: CMR) -> bool:
    """Return whether a model can be replayed: whether all of its parts are of known classes.

    Its memories and the drift of its context must be linear, and neither choice nor stopping may
    look at items that were recalled. What creates the parts does not matter.
    """
    return (
        type(model.mfc) is type(model.mcf) is LinearMemory
        and type(model.context) is TemporalContext
        and not model.context.by_unit
        and (type(model.choice_rule) is ExponentialChoice or is_plain_power(model.choice_rule))
        and type(model.termination) in (PositionalTermination, NoTermination)
        and not model.cues
        and not model.allow_repeated_recalls
    )


def is_plain_power(choice_rule: Any) -> bool:
    """Return whether a rule is `PowerChoice` scaled by the items that are left."""
    return type(choice_rule) is PowerChoice and not choice_rule.scaled_by_all


class Trials(eqx.Module):
    """The recalls to score, one row per trial. An item is its place in the list, from 0."""

    order: Int[Array, "trials items"]  # recalled items in order of recall, then all others
    list_length: Int[Array, " trials"]
    n_recalled: Int[Array, " trials"]
    stops: Int[Array, " trials"]  # output position at which recall ends early; -1 if it does not

    @classmethod
    def of(cls, dataset: RecallDataset, n_items: int) -> Trials | None:
        """Return the trials of a data set; None where they cannot be replayed.

        They can if every trial studies different items and recalls none of them twice.
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
        return cls(
            jnp.asarray(order),
            jnp.asarray(list_length),
            jnp.asarray(n_recalled),
            jnp.asarray(np.where(n_recalled < list_length, n_recalled, -1)),
        )


class Effects(NamedTuple):
    """What recall needs to know of a vector x, such as context or an input; linear in x."""

    support: Float[Array, "items ..."]  # (x M_CF)_i
    overlap: Float[Array, "items ..."]  # x . u_i


class Replay(eqx.Module):
    """The likelihood of whole trials under many parameter sets: a `jaxcmr.typing.Replay`.

    Trials stand between items and candidates: arrays are (items, trials, candidates).
    """

    factory: MemorySearchFactory
    trials: Trials

    @property
    def study_lists(self) -> np.ndarray:
        """Return the study-list id of each trial: as items are their places, the list length."""
        return np.asarray(self.trials.list_length)

    def nll(
        self, parameters: Mapping[str, Float[Array, " candidates"]], rows: Int[Array, " trials"]
    ) -> Float[Array, "trials candidates"]:
        """Return ``-log P`` (nats) of the trials `rows`, of one list, under each parameter set."""
        places = jnp.arange(1, self.trials.order.shape[1] + 1)
        list_length = self.trials.list_length[rows[0]]
        items = jnp.where(places <= list_length, places, 0)
        of_all_trials = {name: value[None] for name, value in parameters.items()}
        model = study(self.factory.create_trial_model(rows[0], of_all_trials), items)
        # Tables have one candidate where only recall differs: all parameters count.
        n_candidates = max(len(value) for value in parameters.values())
        trials = jax.tree.map(lambda field: field[rows], self.trials)
        return nll_of_trials(model, trials, n_candidates)


def nll_of_trials(
    model: Any, trials: Trials, n_candidates: int
) -> Float[Array, "trials candidates"]:
    """Return ``-log P`` (nats) of the recalls of trials after the list that `model` has studied."""
    now, by_item, rates = tabulate(model)
    n_trials, n_items = trials.order.shape
    stride = n_items if n_candidates <= FEW else STRIDE
    order = jnp.pad(trials.order.T, ((0, n_items), (0, 0)))  # slices past the end stay in range
    shape = (n_items, n_trials, n_candidates)
    now = jax.tree.map(lambda of_item: jnp.broadcast_to(of_item[:, 0][trials.order.T], shape), now)
    nats = jnp.zeros(shape[1:], now.support.dtype)

    def event(state: tuple[Effects, Array], j: Int[Array, ""]) -> tuple[Any, None]:
        """Score the events at output position j, then advance by the recalls."""
        now, nats = state
        n_left = len(now.support)
        # j items are gone. The rest of the list stands first, items not in the list last.
        recallable = (jnp.arange(n_left) < trials.list_length[0] - j)[:, None, None]
        share = model.choice_rule(now.support, recallable)[0]
        # Nothing is recallable once the list is exhausted: stopping is then certain.
        stopping = jnp.where(recallable[0], model.termination(RecallState(j, recallable)), 1.0)
        # Events are the recalls and the stop that ends them; later positions score 0 nats.
        recalls, stops = (j < trials.n_recalled)[:, None], (j == trials.stops)[:, None]
        probability = jnp.where(recalls, (1.0 - stopping) * share, stopping)
        nats -= safe_log(probability, recalls | stops)

        # c' = rho c + b u_i for recalled item i = order[j], on support and overlap alike.
        others = jax.lax.dynamic_slice_in_dim(order, j + 1, n_left)
        b = rates[:, 0][order[j]]
        rho = retained(now.overlap[0], b)

        def advance(now: Array, table: Array) -> Array:
            """Return support or overlaps of the items that are left, moved up by one."""
            moved = jnp.pad(now[1:], ((0, 1), (0, 0), (0, 0)))
            row = table[:, :, 0].at[order[j][None], others].get(mode="promise_in_bounds")
            return rho[None] * moved + b[None] * row

        return (jax.tree.map(advance, now, by_item), nats), None

    # Every `stride` outputs so many items are gone: the places at the end are cut off.
    for first in range(0, n_items, stride):
        outputs = jnp.arange(first, min(first + stride, n_items))
        (now, nats), _ = jax.lax.scan(event, (now, nats), outputs)
        now = jax.tree.map(lambda left: left[: len(left) - stride], now)
    return nats


def tabulate(model: CMR) -> tuple[Effects, Effects, Float[Array, "items ..."]]:
    """Return the effects of context and of each item's input, and the drift rate of each input.

    ``by_item.support[i, j]`` is ``(u_i M_CF)_j``, ``by_item.overlap[i, j]`` is ``u_i . u_j``. An
    item that reinstates nothing has an input of 0, and a rate of 0.
    """
    inputs = model.mfc.state
    u = jax.vmap(unit_length)(inputs)

    def effects(x: Float[Array, "units ..."]) -> Effects:
        return Effects(model.mcf.probe(x), combine_rows(x, jnp.swapaxes(u, 0, 1)))

    rate = model.parameters["recall_drift_rate"]
    rates = jnp.where(jax.vmap(has_length)(inputs), rate[None], 0.0)
    return effects(model.context.state), jax.lax.map(effects, u), rates
