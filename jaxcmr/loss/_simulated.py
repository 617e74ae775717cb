"""Simulated recalls of a set of trials, as losses that compare simulated with observed data use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxcmr.parameters import Parameter
from jaxcmr.simulation import check_count, check_seed, positions_of, recall_freely
from jaxcmr.trials import TrialSet, TrialSets, as_rows
from jaxcmr.typing import (
    LossFnGenerator,
    MemorySearch,
    MemorySearchFactory,
    Parameters,
    RecallDataset,
)

__all__ = ["SimulatedGenerator", "SimulatedRecalls", "Simulator"]


class SimulatedRecalls(eqx.Module):
    """Recalls of a set of trials, each cut off at the number of recalls observed in its trial.

    The random draws are a function of (seed, trial, simulation), so the same parameters give the
    same recalls.
    """

    trials: TrialSet
    key: PRNGKeyArray
    n_simulations: int = eqx.field(static=True)

    def visit(
        self,
        x: Float[Array, " n_params"],
        per_trial: Callable[[Int[Array, "simulations outputs"], Int[Array, ""]], Array],
    ) -> Float[Array, "blocks width ..."]:
        """``per_trial(recalls, trial)`` of every trial, 0 where there is none.

        Recalls are study positions from 1, with 0 for none; `trial` is the row in the data set.
        """

        def of_trial(model: MemorySearch, trial: Int[Array, ""]) -> Array:
            return per_trial(self._recalls(model, trial), trial)

        return self.trials.visit(x, of_trial)

    def _recalls(
        self, model: MemorySearch, trial: Int[Array, ""]
    ) -> Int[Array, "simulations outputs"]:
        n_outputs = self.trials.choices.shape[1]
        observed_recalls = jnp.sum(self.trials.choices[trial] > 0)
        is_kept = jnp.arange(n_outputs) < observed_recalls

        def simulate(simulation: Int[Array, ""]) -> Int[Array, " outputs"]:
            key = jax.random.fold_in(jax.random.fold_in(self.key, trial), simulation)
            choices = recall_freely(model, key, n_outputs)
            return jnp.where(is_kept, positions_of(self.trials.pres_itemnos[trial], choices), 0)

        return jax.vmap(simulate)(jnp.arange(self.n_simulations))


class SimulatedGenerator(LossFnGenerator):
    """What generators of losses by simulation share: what they declare of themselves and of the
    model."""

    label: ClassVar[str] = "MSE"
    agree_within: ClassVar[float] = 1e-4  # mean squared error
    differentiable: ClassVar[bool] = False

    simulate: Simulator

    @property
    def parameters(self) -> Sequence[Parameter] | None:
        """Return the parameters that the model reads; None if it does not say."""
        return self.simulate.trial_sets.parameters

    def count_events(self, trial_indices: np.ndarray) -> Int[np.ndarray, " trials"]:
        """Number of recalls that the loss compares in each trial; 0 for -1."""
        rows = as_rows(trial_indices, len(self.simulate.observed))
        n_recalls = np.sum(np.asarray(self.simulate.trial_sets.choices) > 0, axis=1)
        return np.where(rows >= 0, n_recalls[rows], 0)


class Simulator:
    """Makes simulated recalls of sets of trials of one data set."""

    def __init__(
        self,
        model_factory: str | Callable[..., MemorySearchFactory],
        dataset: RecallDataset,
        features: Any,
        n_simulations: int,
        seed: int,
    ) -> None:
        check_count("n_simulations", n_simulations)
        self.trial_sets = TrialSets(model_factory, dataset, features)
        sets = self.trial_sets
        self.observed = np.asarray(jax.vmap(positions_of)(sets.pres_itemnos, sets.choices))
        """(trials, outputs) observed recalls, told as simulated ones: by the first position of an
        item that was studied more than once."""
        self.n_simulations = n_simulations
        self.seed = check_seed(seed)

    def __call__(
        self, trial_indices: np.ndarray, base_params: Parameters, free_param_names: Sequence[str]
    ) -> SimulatedRecalls:
        """The recalls of `trial_indices` (0-based rows; -1 is "no trial")."""
        trials = self.trial_sets(trial_indices, base_params, free_param_names)
        return SimulatedRecalls(trials, jax.random.key(self.seed), self.n_simulations)
