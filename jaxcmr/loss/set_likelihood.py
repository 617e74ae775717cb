"""Negative log-likelihood of the set of items recalled, in whatever order.

The probability of a set of k items is the sum, over its k! orders, of the probability that they
are recalled in that order and recall then stops. It is the mean over orders times their number, so
that a sample of orders estimates it without bias.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxcmr.loss._likelihood import LikelihoodGenerator, TrialLikelihood
from jaxcmr.loss.sequence_likelihood import event_nll
from jaxcmr.simulation import check_count, check_seed
from jaxcmr.trials import TrialSet, TrialSets
from jaxcmr.typing import MemorySearch, MemorySearchFactory, Parameters, RecallDataset

__all__ = ["MemorySearchSetLikelihoodFnGenerator", "SetLikelihood"]


class Orders(eqx.Module):
    """Orders in which the items of each trial could have been recalled, one row a trial."""

    choices: Int[Array, "all_trials orders outputs"]  # item numbers, then zeros
    is_used: Bool[Array, "all_trials orders"]
    log_weight: Float[np.ndarray, " all_trials"]  # log (number of orders / number used), in double
    counts: Bool[Array, "all_trials outputs"]  # recalls, and the stop


class SetLikelihood(TrialLikelihood):
    """Negative log-likelihood (nats) of the sets recalled in some trials, as a `LossFn`."""

    trials: TrialSet
    orders: Orders

    def nll_of_trial(self, model: MemorySearch, trial: Int[Array, ""]) -> Float[Array, " 1"]:
        """``-log P`` of the set recalled in a trial: all of it is one event."""
        counts = self.orders.counts[trial]

        def log_probability(choices: Int[Array, " outputs"]) -> Float[Array, ""]:
            return -jnp.sum(event_nll(model, choices, counts))

        by_order = jax.vmap(log_probability)(self.orders.choices[trial])
        total = jax.nn.logsumexp(by_order, where=self.orders.is_used[trial])
        return -(total + jnp.asarray(self.orders.log_weight)[trial])[None]


class MemorySearchSetLikelihoodFnGenerator(LikelihoodGenerator):
    """Makes set likelihoods of sets of trials of one data set (a `LossFnGenerator`).

    What counts as recalled is the different items among a trial's recalls; a repeated recall is
    left out. Recall must then have stopped, unless all items were recalled.

    Args:
        model_factory: name of a model, or ``(dataset, features) -> factory``.
        dataset: recall data; its ``pres_itemnos`` are studied.
        features: passed to `model_factory`.
        n_orders: orders of a trial's items to average over. A trial whose items have no more orders
            than this is scored exactly: 24 is enough for four items, 120 for five. For longer
            recalls the probability is estimated without bias but its logarithm too low on average,
            by less the more orders. A generation of a fit takes about as many times longer than one
            by sequence likelihood.
        seed: of the orders, which are a function of (seed, trial): the loss is a smooth function
            of the parameters.
        events: "all", or "recalls" to leave stops out: the probability is then that of recalling
            this set first, whatever would have followed. For recalls cut off at a fixed number.

    Raises:
        ValueError: `n_orders` is less than 1, `events` is another word, or the model may recall
            items again.
    """

    def __init__(
        self,
        model_factory: str | Callable[..., MemorySearchFactory],
        dataset: RecallDataset,
        features: Any = None,
        *,
        n_orders: int = 24,
        seed: int = 0,
        events: str = "all",
    ) -> None:
        if events not in ("all", "recalls"):
            raise ValueError(f"events is one of all, recalls; got {events!r}.")
        check_count("n_orders", n_orders)
        self.trial_sets = TrialSets(model_factory, dataset, features)
        if getattr(self.trial_sets.factory, "allows_repeats", False):
            raise ValueError(
                "This model may recall an item again, so that a set of items has endlessly many "
                "recalls that the set likelihood does not count. Take the sequence likelihood."
            )
        n_trials = len(self.trial_sets.choices)
        is_event = self.trial_sets.score_stops()
        choices = np.asarray(self.trial_sets.choices)
        stops = np.any(is_event & (choices == 0), axis=1) & (events == "all")
        self.n_events = np.ones(n_trials, int)
        self.orders = draw_orders(choices, stops, n_orders, check_seed(seed))

    def __call__(
        self,
        trial_indices: np.ndarray,
        base_params: Parameters,
        free_param_names: Sequence[str],
    ) -> SetLikelihood:
        """The loss over `trial_indices` (0-based rows; -1 is "no trial" and adds nothing)."""
        trials = self.trial_sets(trial_indices, base_params, free_param_names)
        return SetLikelihood(trials, self.orders)

    def _by_event(
        self, trial_indices: np.ndarray, base_params: Parameters, free_param_names: Sequence[str]
    ) -> SetLikelihood:
        return self(trial_indices, base_params, free_param_names)


def draw_orders(
    choices: Int[np.ndarray, "trials outputs"],
    stops: Bool[np.ndarray, " trials"],
    n_orders: int,
    seed: int,
) -> Orders:
    """All orders of each trial's items where there are at most `n_orders`, else so many at random,
    each drawn from all orders alike; and a stop after them, where `stops`."""
    n_trials, n_outputs = choices.shape
    drawn = np.zeros((n_trials, n_orders, n_outputs), np.int32)
    n_used, n_items = np.zeros(n_trials, int), np.zeros(n_trials, int)
    for trial, row in enumerate(choices):
        items = np.unique(row[: _n_before_stop(row)])
        n_items[trial] = len(items)
        orders = _orders_of(items, n_orders, np.random.default_rng([seed, trial]))
        n_used[trial] = len(orders)
        drawn[trial, : len(orders), : len(items)] = orders
        drawn[trial, len(orders) :] = drawn[trial, 0]  # not used, yet to be finite
    log_n_orders = np.array([math.lgamma(k + 1) for k in n_items])
    return Orders(
        jnp.asarray(drawn),
        jnp.asarray(np.arange(n_orders) < n_used[:, None]),
        log_n_orders - np.log(n_used),
        jnp.asarray(np.arange(n_outputs) < (n_items + stops)[:, None]),
    )


def _n_before_stop(choices: Int[np.ndarray, " outputs"]) -> int:
    return int(np.argmin(choices > 0)) if np.any(choices == 0) else len(choices)


def _orders_of(
    items: Int[np.ndarray, " items"], most: int, rng: np.random.Generator
) -> Int[np.ndarray, "orders items"]:
    if math.factorial(len(items)) <= most:
        return np.array(list(permutations(items)), np.int32)
    return rng.permuted(np.tile(items, (most, 1)), axis=1)
