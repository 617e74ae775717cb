"""Negative log-likelihood of recall sequences, event by event.

Source: Kragel, Morton & Polyn (2015): a trial's probability is the product, over its recalls and
the stop that ends them, of the probability that the model gives each event after the ones before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxcmr.math import safe_log
from jaxcmr.parameters import bind, doubles
from jaxcmr.trials import TrialSet, TrialSets, ordered_sum
from jaxcmr.typing import MemorySearch, MemorySearchFactory, Parameters, RecallDataset, Replay

__all__ = [
    "MemorySearchLikelihoodFnGenerator",
    "ReplayedLikelihood",
    "SequenceLikelihood",
    "event_nll",
]

MOST_AT_ONCE = 32  # trials replayed side by side; more keep no core busier and take more memory


def event_nll(model: MemorySearch, choices: Int[Array, " events"]) -> Float[Array, " events"]:
    """``-log P`` of each recall event, given a model that has studied the list.

    Args:
        model: ready for its first recall.
        choices: item numbers in order of recall; the first 0 is the stop and is scored, later
            zeros are not.

    Returns:
        Nats per event, 0 where there is no event; infinite where the model rules the event out.
    """

    def score(model: MemorySearch, choice: Int[Array, ""]) -> tuple[Any, Float[Array, ""]]:
        return model.retrieve(choice), model.outcome_probability(choice)

    _, probabilities = jax.lax.scan(score, model, choices)
    happened = jnp.concatenate([jnp.array([True]), choices[:-1] > 0])
    return -safe_log(probabilities, happened)


class SequenceLikelihood(eqx.Module):
    """Negative log-likelihood (nats) of the recalls of a set of trials, as a `LossFn`."""

    trials: TrialSet

    def __call__(self, x: Float[Array, "n_params ..."]) -> Float[Array, "..."]:
        """The loss of parameter vector(s) `x`, whose rows are the free parameters."""
        return self._nll(x) if jnp.ndim(x) == 1 else jax.vmap(self._nll, in_axes=1)(x)

    def _nll(self, x: Float[Array, " n_params"]) -> Float[Array, ""]:
        per_trial = self.trials.visit(
            x, lambda model, trial: jnp.sum(event_nll(model, self.trials.choices[trial]))
        )
        return ordered_sum(per_trial.reshape(-1))


class ReplayedLikelihood(eqx.Module):
    """The same loss, of a model that scores whole trials at once: trials in blocks, -1 for none."""

    replay: Replay
    trials: Int[Array, "blocks width"]
    base_params: dict[str, np.ndarray]
    free_param_names: tuple[str, ...] = eqx.field(static=True)

    def __call__(self, x: Float[Array, "n_params ..."]) -> Float[Array, "..."]:
        """The loss of parameter vector(s) `x`, whose rows are the free parameters."""
        if jnp.ndim(x) == 1:
            return self(x[:, None])[0]
        parameters = {
            name: jnp.broadcast_to(jnp.asarray(value, jnp.result_type(float)), x.shape[1:])
            for name, value in bind(self.base_params, self.free_param_names, x).items()
        }

        def of_block(trials: Int[Array, " width"]) -> Float[Array, "width candidates"]:
            nll = self.replay.nll(parameters, jnp.maximum(trials, 0))
            return jnp.where(trials[:, None] >= 0, nll, 0.0)

        per_trial = jnp.concatenate(jax.lax.map(of_block, self.trials))
        return ordered_sum(per_trial)


class MemorySearchLikelihoodFnGenerator:
    """Makes sequence likelihoods of sets of trials of one data set (a `LossFnGenerator`).

    Args:
        model_factory: ``(dataset, features) -> factory``.
        dataset: recall data; its ``pres_itemnos`` are studied, its ``recalls`` scored.
        features: passed to `model_factory`.
    """

    def __init__(
        self,
        model_factory: Callable[..., MemorySearchFactory],
        dataset: RecallDataset,
        features: Any = None,
    ) -> None:
        self.trial_sets = TrialSets(model_factory, dataset, features)
        self.parameter_names = self.trial_sets.parameter_names
        self.parameter_scales = self.trial_sets.parameter_scales
        make_replay = getattr(self.trial_sets.factory, "replay", None)
        self.replay: Replay | None = None if make_replay is None else make_replay(dataset)

    def __call__(
        self,
        trial_indices: np.ndarray,
        base_params: Parameters,
        free_param_names: Sequence[str],
    ) -> SequenceLikelihood | ReplayedLikelihood:
        """The loss over `trial_indices` (0-based rows; -1 is "no trial" and adds nothing)."""
        if self.replay is None:
            return SequenceLikelihood(self.trial_sets(trial_indices, base_params, free_param_names))
        return ReplayedLikelihood(
            self.replay,
            jnp.asarray(in_blocks(np.asarray(trial_indices), MOST_AT_ONCE)),
            doubles(base_params),
            tuple(free_param_names),
        )

    def nll_per_event(
        self, trial_indices: np.ndarray, parameters: Parameters
    ) -> Float[Array, "trials events"]:
        """Nats of every recall event, in the order of `trial_indices`; 0 where no event."""
        trials = self.trial_sets(trial_indices, parameters, ())
        return _nll_per_event(trials, jnp.asarray(trial_indices))


def in_blocks(trials: np.ndarray, most: int) -> np.ndarray:
    """Trial numbers in equal rows of at most `most`, filled up with -1."""
    n_blocks = max(1, -(-len(trials) // most))
    width = -(-len(trials) // n_blocks)
    return np.pad(trials, (0, n_blocks * width - len(trials)), constant_values=-1).reshape(
        n_blocks, width
    )


@eqx.filter_jit
def _nll_per_event(
    trials: TrialSet, indices: Int[Array, " trials"]
) -> Float[Array, "trials events"]:
    per_trial = trials.visit(
        jnp.zeros(0), lambda model, trial: event_nll(model, trials.choices[trial])
    )
    n_events = trials.choices.shape[1]
    by_row = jnp.zeros((len(trials.choices), n_events)).at[trials.blocks.trials].set(per_trial)
    return jnp.where(indices[:, None] >= 0, by_row[indices], 0.0)
