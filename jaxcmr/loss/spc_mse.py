"""Mean squared error between observed and simulated serial position curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxcmr.analyses import recalled_positions
from jaxcmr.simulation import positions_of, recall_freely
from jaxcmr.trials import TrialSet, TrialSets
from jaxcmr.typing import MemorySearch, MemorySearchFactory, Parameters, RecallDataset

__all__ = ["MemorySearchSpcMseFnGenerator", "SpcMse"]


class SpcMse(eqx.Module):
    """Mean squared difference of two serial position curves over a set of trials, as a `LossFn`.

    The simulated curve comes from `n_simulations` recalls of every trial, each cut off at the
    number of recalls observed there. The model's own stopping acts as well; to leave stopping out
    of the fit, hold ``stop_probability_scale`` at 0. The random draws are fixed, so the loss is a
    function: the same parameters give the same value. It is piecewise constant, so a fit does not
    polish it.
    """

    trials: TrialSet
    observed: Float[Array, " positions"]
    n_lists: Int[Array, " positions"]
    key: PRNGKeyArray
    n_simulations: int = eqx.field(static=True)

    has_slope: ClassVar[bool] = False

    def __call__(self, x: Float[Array, "n_params ..."]) -> Float[Array, "..."]:
        """The loss of parameter vector(s) `x`, whose rows are the free parameters."""
        return self._mse(x) if jnp.ndim(x) == 1 else jax.vmap(self._mse, in_axes=1)(x)

    def _mse(self, x: Float[Array, " n_params"]) -> Float[Array, ""]:
        counted = self.n_lists > 0
        difference = jnp.where(counted, self.simulated_curve(x) - self.observed, 0.0)
        return jnp.sum(difference**2) / jnp.sum(counted)

    def simulated_curve(self, x: Float[Array, " n_params"]) -> Float[Array, " positions"]:
        """Simulated recall probability by position; 0 where no list has the position."""
        counts = self.trials.visit(x, self._simulated_counts)
        return counts.sum((0, 1)) / jnp.maximum(self.n_lists * self.n_simulations, 1)

    def _simulated_counts(
        self, model: MemorySearch, trial: Int[Array, ""]
    ) -> Float[Array, " positions"]:
        """In how many simulations of `trial` each position was recalled."""
        n_outputs = self.trials.choices.shape[1]
        observed_recalls = jnp.sum(self.trials.choices[trial] > 0)
        is_kept = jnp.arange(n_outputs) < observed_recalls

        def simulate(simulation: Int[Array, ""]) -> Array:
            key = jax.random.fold_in(jax.random.fold_in(self.key, trial), simulation)
            choices = recall_freely(model, key, n_outputs)
            recalls = positions_of(self.trials.pres_itemnos[trial], choices)
            return recalled_positions(jnp.where(is_kept, recalls, 0), self.observed.shape[0])

        recalled = jax.vmap(simulate)(jnp.arange(self.n_simulations))
        return jnp.sum(recalled, axis=0).astype(self.observed.dtype)


class MemorySearchSpcMseFnGenerator:
    """Makes serial-position-curve losses of sets of trials of one data set (a `LossFnGenerator`).

    Args:
        model_factory: ``(dataset, features) -> factory``.
        dataset: recall data.
        features: passed to `model_factory`.
        n_simulations: simulated recalls of each trial. A generation of a fit takes about as many
            times longer than one by sequence likelihood.
        seed: of the simulations' random draws.
    """

    has_slope: ClassVar[bool] = SpcMse.has_slope

    def __init__(
        self,
        model_factory: Callable[..., MemorySearchFactory],
        dataset: RecallDataset,
        features: Any = None,
        *,
        n_simulations: int = 20,
        seed: int = 0,
    ) -> None:
        self.trial_sets = TrialSets(model_factory, dataset, features)
        self.parameter_names = self.trial_sets.parameter_names
        self.parameter_scales = self.trial_sets.parameter_scales
        self.n_simulations = n_simulations
        self.key = jax.random.key(seed)

        lengths = np.asarray(dataset["listLength"]).reshape(-1, 1)
        n_positions = int(lengths.max())
        self._has_position = np.arange(n_positions) < lengths
        self._is_recalled = np.asarray(recalled_positions(dataset["recalls"], n_positions))

    def __call__(
        self,
        trial_indices: np.ndarray,
        base_params: Parameters,
        free_param_names: Sequence[str],
    ) -> SpcMse:
        """The loss over `trial_indices` (0-based rows; -1 is "no trial" and adds nothing)."""
        trials = np.asarray(trial_indices)
        trials = trials[trials >= 0]
        n_lists = self._has_position[trials].sum(0)
        n_recalled = (self._is_recalled & self._has_position)[trials].sum(0)
        return SpcMse(
            self.trial_sets(trial_indices, base_params, free_param_names),
            observed=jnp.asarray(n_recalled / np.maximum(n_lists, 1), jnp.result_type(float)),
            n_lists=jnp.asarray(n_lists),
            key=self.key,
            n_simulations=self.n_simulations,
        )
