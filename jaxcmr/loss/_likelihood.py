"""What likelihoods share: a sum over trials as a `LossFn`, and its terms one by one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxcmr.loss._order import places_in
from jaxcmr.trials import TrialSet, ordered_sum
from jaxcmr.typing import MemorySearch, Parameters

__all__ = ["TrialLikelihood", "log_likelihood_of_events", "nll_of_events"]

PRECISIONS = ("float64", "float32")


class TrialLikelihood(eqx.Module):
    """Negative log-likelihood (nats) of a set of trials, as a `LossFn`: the sum of its events'."""

    trials: eqx.AbstractVar[TrialSet]

    @abstractmethod
    def nll_of_trial(self, model: MemorySearch, trial: Int[Array, ""]) -> Float[Array, " events"]:
        """``-log P`` of the events of a trial, 0 where no event; `model` has studied its list."""

    def __call__(self, x: Float[Array, "n_params ..."]) -> Float[Array, "..."]:
        """The loss of parameter vector(s) `x`, whose rows are the free parameters."""
        return self._nll(x) if jnp.ndim(x) == 1 else jax.vmap(self._nll, in_axes=1)(x)

    def _nll(self, x: Float[Array, " n_params"]) -> Float[Array, ""]:
        per_trial = self.trials.visit(
            x, lambda model, trial: jnp.sum(self.nll_of_trial(model, trial))
        )
        return ordered_sum(per_trial.reshape(-1))


LikelihoodMaker = Callable[[np.ndarray, Parameters, tuple[str, ...]], TrialLikelihood]
"""``(trial_indices, base_params, free_param_names) -> TrialLikelihood``"""


def nll_of_events(
    make: LikelihoodMaker, trial_indices: np.ndarray, parameters: Parameters
) -> Float[Array, "trials events"]:
    """Nats of every event in the order of `trial_indices`; 0 where no event, or no trial (-1)."""
    indices = np.asarray(trial_indices)
    likelihood = make(indices, parameters, ())
    places = places_in(likelihood.trials.blocks, indices)
    return _nll_at(likelihood, jnp.asarray(places))


def log_likelihood_of_events(
    make: LikelihoodMaker, trial_indices: np.ndarray, parameters: Parameters, precision: str
) -> Float[np.ndarray, "trials events"]:
    """``log P`` of every event, computed in `precision` whatever that of the run.

    Raises:
        ValueError: `precision` is neither "float64" nor "float32".
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is one of {', '.join(PRECISIONS)}; got {precision!r}.")
    with jax.enable_x64(precision == "float64"):
        nll = nll_of_events(
            lambda *of_set: _in_precision(make(*of_set), precision), trial_indices, parameters
        )
        return 0.0 - np.asarray(nll)  # not `-nll`, which has zeros of negative sign


def _in_precision(likelihood: TrialLikelihood, precision: str) -> TrialLikelihood:
    """The likelihood with its real arrays in `precision`, its integers as wide as that allows."""

    def convert(leaf: Any) -> Any:
        if not eqx.is_array(leaf) or not jnp.issubdtype(leaf.dtype, jnp.number):
            return leaf
        is_real = jnp.issubdtype(leaf.dtype, jnp.floating)
        return jnp.asarray(np.asarray(leaf, precision if is_real else None))

    return jax.tree.map(convert, likelihood)


@eqx.filter_jit
def _nll_at(
    likelihood: TrialLikelihood, places: Int[Array, " trials"]
) -> Float[Array, "trials events"]:
    by_block = likelihood.trials.visit(jnp.zeros(0), likelihood.nll_of_trial)
    return by_block.reshape(-1, by_block.shape[-1])[places]
