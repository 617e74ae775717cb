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
from jaxcmr.parameters import bind
from jaxcmr.simulation import study
from jaxcmr.trials import TrialArranger, TrialBlocks, ordered_sum
from jaxcmr.typing import MemorySearch, MemorySearchFactory, Parameters, RecallDataset

__all__ = ["MemorySearchLikelihoodFnGenerator", "SequenceLikelihood", "event_nll"]


def event_nll(model: MemorySearch, recalls: Int[Array, " events"]) -> Float[Array, " events"]:
    """``-log P`` of each recall event, given a model that has studied the list.

    Args:
        model: ready for its first recall.
        recalls: choices in order; the first 0 is the stop and is scored, later zeros are not.

    Returns:
        Nats per event, 0 where there is no event; infinite where the model rules the event out.
    """

    def score(model: MemorySearch, choice: Int[Array, ""]) -> tuple[Any, Float[Array, ""]]:
        return model.retrieve(choice), model.outcome_probability(choice)

    _, probabilities = jax.lax.scan(score, model, recalls)
    happened = jnp.concatenate([jnp.array([True]), recalls[:-1] > 0])
    return -safe_log(probabilities, happened)


class SequenceLikelihood(eqx.Module):
    """Negative log-likelihood (nats) of the recalls of a set of trials, as a `LossFn`."""

    factory: MemorySearchFactory
    pres_itemnos: Int[Array, "trials positions"]
    recalls: Int[Array, "trials events"]
    blocks: TrialBlocks
    base_params: dict[str, Float[Array, ""]]
    free_param_names: tuple[str, ...] = eqx.field(static=True)

    def __call__(self, x: Float[Array, "n_params ..."]) -> Float[Array, "..."]:
        """The loss of parameter vector(s) `x`, whose rows follow `free_param_names`."""
        return self._nll(x) if jnp.ndim(x) == 1 else jax.vmap(self._nll, in_axes=1)(x)

    def _nll(self, x: Float[Array, " n_params"]) -> Float[Array, ""]:
        parameters = bind(self.base_params, self.free_param_names, x)
        per_trial = self.blocks.visit(
            lambda trial: study(
                self.factory.create_trial_model(trial, parameters), self.pres_itemnos[trial]
            ),
            lambda studied, trial: jnp.sum(event_nll(studied, self.recalls[trial])),
        )
        return ordered_sum(per_trial.reshape(-1))


class MemorySearchLikelihoodFnGenerator:
    """Makes sequence likelihoods of sets of trials of one data set (a `LossFnGenerator`).

    Losses of equally many trials have the same structure and share their data, so that one
    compiled program serves them all.

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
        self.factory = model_factory(dataset, features)
        self.parameter_names: tuple[str, ...] | None = getattr(
            self.factory, "parameter_names", None
        )
        self.pres_itemnos = jnp.asarray(dataset["pres_itemnos"])
        self.recalls = jnp.asarray(dataset["recalls"])
        self.arrange = TrialArranger(self.factory, dataset)

    def __call__(
        self,
        trial_indices: np.ndarray,
        base_params: Parameters,
        free_param_names: Sequence[str],
    ) -> SequenceLikelihood:
        """The loss over `trial_indices` (0-based rows; -1 is "no trial" and adds nothing)."""
        dtype = jnp.result_type(float)
        return SequenceLikelihood(
            self.factory,
            self.pres_itemnos,
            self.recalls,
            self.arrange(trial_indices),
            {name: jnp.asarray(value, dtype) for name, value in base_params.items()},
            tuple(free_param_names),
        )

    def nll_per_event(
        self, trial_indices: np.ndarray, parameters: Parameters
    ) -> Float[Array, "trials events"]:
        """Nats of every recall event, in the order of `trial_indices`; 0 where no event."""
        loss = self(trial_indices, parameters, ())
        return _nll_per_event(loss, jnp.asarray(trial_indices))


@eqx.filter_jit
def _nll_per_event(
    loss: SequenceLikelihood, trials: Int[Array, " trials"]
) -> Float[Array, "trials events"]:
    def one(trial: Int[Array, ""]) -> Float[Array, " events"]:
        model = loss.factory.create_trial_model(trial, loss.base_params)
        nll = event_nll(study(model, loss.pres_itemnos[trial]), loss.recalls[trial])
        return jnp.where(trial >= 0, nll, 0.0)

    return jax.lax.map(one, trials, batch_size=1024)
