"""Negative log-likelihood of the set of items recalled, in any order.

The probability of a set of k items is the sum, over its k! orders, of the probability that they
are recalled in that order and recall then stops. It is the mean over orders times their number, so
that a sample of orders estimates it without bias.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxcmr.loss._likelihood import EventLikelihood, LikelihoodGenerator
from jaxcmr.loss.sequence_likelihood import event_nll
from jaxcmr.math import append_axes, total
from jaxcmr.simulation import check_count, check_seed
from jaxcmr.trials import ModelData, SelectedTrials, map_rows
from jaxcmr.typing import Features, MemorySearch, Model, Parameters, RecallDataset

__all__ = ["MemorySearchSetLikelihoodFnGenerator", "SetLikelihood"]


class Orders(eqx.Module):
    """Orders in which the items of each trial could have been recalled, one row per trial."""

    choices: Int[Array, "all_trials orders outputs"]  # item numbers, then zeros
    is_used: Bool[Array, "all_trials orders"]
    log_weight: Float[np.ndarray, " all_trials"]  # log (number of orders / number used), in double
    is_scored: Bool[Array, "all_trials outputs"]  # recalls, and the stop


class SetLikelihood(EventLikelihood):
    """Negative log-likelihood (nats) of the sets recalled in some trials: a `LossFn`."""

    trials: SelectedTrials
    orders: Orders

    def nll_of_trial(self, model: MemorySearch, trial: Int[Array, ""]) -> Float[Array, "1 ..."]:
        """Return ``-log P`` of the set recalled in a trial, which is one event.

        ``log P = log (orders / used) + log sum over used orders of P(order)``.
        """
        choices, is_used = self.orders.choices[trial], self.orders.is_used[trial]
        is_scored = self.orders.is_scored[trial]

        def log_probability(choices: Int[Array, " outputs"]) -> Float[Array, "..."]:
            return -total(event_nll(model, choices, is_scored))

        by_order = map_rows(log_probability, choices, is_used, len(choices))
        used = append_axes(is_used, by_order.ndim - 1)
        of_all = jax.nn.logsumexp(by_order, axis=0, where=used)
        return -(of_all + jnp.asarray(self.orders.log_weight)[trial])[None]


class MemorySearchSetLikelihoodFnGenerator(LikelihoodGenerator):
    """Makes set likelihoods of sets of trials of one data set.

    A set is the different items among a trial's recalls; repeated recalls are left out. Recall must
    then have stopped, unless all items were recalled.

    Args:
        model_factory: name of a model, or ``(dataset, features) -> factory``.
        dataset: recall data; its ``pres_itemnos`` are studied.
        features: passed to `model_factory`.
        n_orders: number of orders of a trial's items to average over. A trial whose items have no
            more orders than this is scored exactly: 24 is enough for four items, 120 for five. For
            longer recalls the probability is estimated without bias. Its logarithm is then too low
            on average, by less the more orders. A fit takes about `n_orders` times longer than one
            by sequence likelihood.
        seed: of the orders, which are a function of (seed, trial): the loss is a smooth function
            of the parameters.
        events: "all", or "recalls" to leave stops out, for recalls cut off at a fixed number. The
            probability is then that of recalling this set first, before anything else.

    Raises:
        ValueError: `n_orders` is less than 1, `events` is unknown, or the model may recall items
            again; or as for `jaxcmr.trials.ModelData`.

    Examples:
        >>> from jaxcmr.models import usual_bounds
        >>> data = {"subject": np.array([[1], [1]]), "listLength": np.array([[3], [3]]),
        ...         "pres_itemnos": np.array([[1, 2, 3]] * 2),
        ...         "recalls": np.array([[3, 1, 0], [1, 3, 0]])}
        >>> generator = MemorySearchSetLikelihoodFnGenerator("cmr", data)
        >>> parameters = dict.fromkeys(usual_bounds("cmr"), 0.5)
        >>> first, second = generator.pointwise_log_likelihood(np.array([0, 1]), parameters)
        >>> bool(first == second)  # the same set, recalled in another order
        True
    """

    counted = "recalled sets, one per list"

    def __init__(
        self,
        model_factory: Model,
        dataset: RecallDataset,
        features: Features = None,
        *,
        n_orders: int = 24,
        seed: int = 0,
        events: str = "all",
    ) -> None:
        if events not in ("all", "recalls"):
            raise ValueError(f"events is one of all, recalls; got {events!r}.")
        check_count("n_orders", n_orders)
        self.data = ModelData(model_factory, dataset, features)
        if self.data.factory.allows_repeats:
            raise ValueError(
                "This model may recall an item again, so that a set of items has recalls without "
                "end, which the set likelihood does not count. Take the sequence likelihood."
            )
        is_event = self.data.score_stops()
        choices = np.asarray(self.data.choices)
        stops = np.any(is_event & (choices == 0), axis=1) & (events == "all")
        self.n_events = np.ones(self.data.n_trials, int)
        self.orders = draw_orders(choices, stops, n_orders, check_seed(seed))
        if events == "recalls":
            self.n_given = np.asarray(self.orders.is_scored).sum(axis=1)  # repeats left out

    def by_event(
        self, trial_indices: np.ndarray, base_params: Parameters, free_param_names: Sequence[str]
    ) -> SetLikelihood:
        """Return the loss over `trial_indices` (0-based rows; -1 is "no trial", adds nothing)."""
        trials = self.data.select(trial_indices, base_params, free_param_names)
        return SetLikelihood(trials, self.orders)


def draw_orders(
    choices: Int[np.ndarray, "trials outputs"],
    stops: Bool[np.ndarray, " trials"],
    n_orders: int,
    seed: int,
) -> Orders:
    """Return orders of each trial's items, followed by a stop if `stops`.

    They are all orders if there are at most `n_orders`, else `n_orders` random ones, drawn with
    replacement from all.
    """
    n_trials, n_outputs = choices.shape
    drawn = np.zeros((n_trials, n_orders, n_outputs), np.int32)
    n_used, n_items = np.zeros(n_trials, int), np.zeros(n_trials, int)
    for trial, row in enumerate(choices):
        items = np.unique(row[row > 0])
        n_items[trial] = len(items)
        if math.factorial(len(items)) <= n_orders:
            orders = np.array(list(permutations(items)), np.int32)
        else:
            random = np.random.default_rng([seed, trial])
            orders = random.permuted(np.tile(items, (n_orders, 1)), axis=1)
        n_used[trial] = len(orders)
        drawn[trial, : len(orders), : len(items)] = orders
        drawn[trial, len(orders) :] = drawn[trial, 0]  # not used, but must be finite
    log_n_orders = np.array([math.lgamma(k + 1) for k in n_items])
    return Orders(
        jnp.asarray(drawn),
        jnp.asarray(np.arange(n_orders) < n_used[:, None]),
        log_n_orders - np.log(n_used),
        jnp.asarray(np.arange(n_outputs) < (n_items + stops)[:, None]),
    )
