"""Serial position curves, observed and simulated: one of all items, or one a kind of item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxcmr.analyses import recalled_positions
from jaxcmr.loss._simulated import SimulatedRecalls, Simulator
from jaxcmr.simulation import compiled_once
from jaxcmr.trials import as_rows
from jaxcmr.typing import Parameters

__all__ = ["CurveMse", "Curves", "studied_positions"]


class CurveMse(eqx.Module):
    """Mean squared difference of serial position curves over a set of trials, as a `LossFn`.

    The simulated curves come from `n_simulations` recalls of every trial, each cut off at the
    number of recalls observed there. The model's own stopping acts as well; to leave stopping out
    of the fit, hold ``stop_probability_scale`` at 0. The random draws are fixed, so the loss is a
    function: the same parameters give the same value. It is piecewise constant, so a fit does not
    polish it. Points of a curve that no list has do not count.
    """

    simulated: SimulatedRecalls
    belongs: Bool[Array, "all_trials *curves positions"]
    observed: Float[Array, "*curves positions"]
    n_lists: Int[Array, "*curves positions"]

    has_slope: ClassVar[bool] = False

    @compiled_once
    def __call__(self, x: Float[Array, "n_params ..."]) -> Float[Array, "..."]:
        """The loss of parameter vector(s) `x`, whose rows are the free parameters."""
        return self._mse(x) if jnp.ndim(x) == 1 else jax.vmap(self._mse, in_axes=1)(x)

    def _mse(self, x: Float[Array, " n_params"]) -> Float[Array, ""]:
        counted = self.n_lists > 0
        difference = jnp.where(counted, self.simulated_curve(x) - self.observed, 0.0)
        return jnp.sum(difference**2) / jnp.maximum(jnp.sum(counted), 1)

    def simulated_curve(self, x: Float[Array, " n_params"]) -> Float[Array, "*curves positions"]:
        """Simulated recall probability by position; 0 where no list has the position."""
        counts = self.simulated.visit(x, self._counts).sum((0, 1))
        return counts / jnp.maximum(self.n_lists * self.simulated.n_simulations, 1)

    def _counts(
        self, recalls: Int[Array, "simulations outputs"], trial: Int[Array, ""]
    ) -> Float[Array, "*curves positions"]:
        """In how many simulations of `trial` each position was recalled."""
        belongs = self.belongs[trial]
        recalled = jnp.sum(recalled_positions(recalls, belongs.shape[-1]), axis=0)
        return (jnp.broadcast_to(recalled, belongs.shape) * belongs).astype(self.observed.dtype)


class Curves:
    """Makes the curve losses of one data set.

    Args:
        simulate: makes the simulated recalls.
        belongs: (trials, *curves, positions) which positions of a trial's list are points of which
            curve.
    """

    def __init__(self, simulate: Simulator, belongs: np.ndarray) -> None:
        recalled = np.asarray(recalled_positions(simulate.observed, belongs.shape[-1]))
        between = (slice(None), *[None] * (belongs.ndim - 2), slice(None))
        self.simulate = simulate
        self._belongs, self._on_device = belongs, jnp.asarray(belongs)
        self._recalled = recalled[between] & belongs

    def __call__(
        self, trial_indices: np.ndarray, base_params: Parameters, free_param_names: Sequence[str]
    ) -> CurveMse:
        """The loss over `trial_indices` (0-based rows; -1 is "no trial" and adds nothing)."""
        indices = as_rows(trial_indices, len(self._recalled))
        present = indices[indices >= 0]
        n_lists = self._belongs[present].sum(0)
        curve = self._recalled[present].sum(0) / np.maximum(n_lists, 1)
        return CurveMse(
            self.simulate(indices, base_params, free_param_names),
            self._on_device,
            observed=jnp.asarray(curve, jnp.result_type(float)),
            n_lists=jnp.asarray(n_lists),
        )


def studied_positions(list_lengths: np.ndarray) -> Bool[np.ndarray, "trials positions"]:
    """Whether each trial's list has each position; positions = the longest list."""
    lengths = np.asarray(list_lengths).reshape(-1, 1)
    return np.arange(int(lengths.max())) < lengths
