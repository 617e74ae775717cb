"""What likelihoods share: a sum over trials as a `LossFn`, and its terms one by one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxcmr.loss._order import places_in
from jaxcmr.optimize import check_not_forked
from jaxcmr.parameters import Parameter, check_given, check_limits, doubles
from jaxcmr.simulation import compiled_once
from jaxcmr.trials import TrialSet, TrialSets, as_rows, ordered_sum
from jaxcmr.typing import LossFnGenerator, MemorySearch, Parameters

__all__ = ["LikelihoodGenerator", "TrialLikelihood"]

PRECISIONS = ("float64", "float32")
SETS_AT_ONCE = 16  # parameter sets scored side by side; bounds memory


class TrialLikelihood(eqx.Module):
    """Negative log-likelihood (nats) of a set of trials, as a `LossFn`: the sum of its events'."""

    trials: eqx.AbstractVar[TrialSet]

    has_slope: ClassVar[bool] = True

    @abstractmethod
    def nll_of_trial(self, model: MemorySearch, trial: Int[Array, ""]) -> Float[Array, " events"]:
        """``-log P`` of the events of a trial, 0 where no event; `model` has studied its list."""

    @compiled_once
    def __call__(self, x: Float[Array, "n_params ..."]) -> Float[Array, "..."]:
        """The loss of parameter vector(s) `x`, whose rows are the free parameters."""
        return self._nll(x) if jnp.ndim(x) == 1 else jax.vmap(self._nll, in_axes=1)(x)

    def _nll(self, x: Float[Array, " n_params"]) -> Float[Array, ""]:
        per_trial = self.trials.visit(
            x, lambda model, trial: jnp.sum(self.nll_of_trial(model, trial))
        )
        return ordered_sum(per_trial.reshape(-1))


class LikelihoodGenerator(LossFnGenerator):
    """What generators of likelihoods share: terms of the likelihood, and what they declare."""

    label: ClassVar[str] = "NLL"
    agree_within: ClassVar[float] = 0.05  # nats

    trial_sets: TrialSets
    n_events: Int[np.ndarray, " all_trials"]  # scored in each trial of the data set

    @abstractmethod
    def _by_event(
        self, trial_indices: np.ndarray, base_params: Parameters, free_param_names: Sequence[str]
    ) -> TrialLikelihood:
        """The loss as a sum over events."""

    @property
    def parameters(self) -> Sequence[Parameter] | None:
        """Return the parameters that the model reads; None if it does not say."""
        return self.trial_sets.parameters

    def count_events(self, trial_indices: np.ndarray) -> Int[np.ndarray, " trials"]:
        """Number of events that the loss scores in each trial; 0 for -1."""
        rows = as_rows(trial_indices, len(self.n_events))
        return np.where(rows >= 0, self.n_events[rows], 0)

    def nll_per_event(
        self, trial_indices: np.ndarray, parameters: Parameters
    ) -> Float[Array, "trials events"]:
        """Nats of every event, in the order of `trial_indices`; 0 where no event, or no trial."""
        likelihood, places = self._ready(trial_indices, parameters)
        return _nll_at(likelihood, jnp.asarray(places))

    def pointwise_log_likelihood(
        self, trial_indices: np.ndarray, parameters: Parameters, precision: str = "float64"
    ) -> Float[np.ndarray, "*sets trials events"]:
        """Return ``log P`` (nats) of every event given those before it.

        Information criteria and cross-validation take these; for one set of parameters they sum to
        minus the loss.

        Args:
            trial_indices: (trials,) 0-based rows; -1 is "no trial".
            parameters: value of every parameter by name: a number, or (n_sets,) numbers for as many
                sets of parameters. A number holds for all sets.
            precision: of the computation and the result, "float64" or "float32", whatever that of
                the run.

        Returns:
            A NumPy array (trials, events), or (n_sets, trials, events) where a parameter has a
            value for each set. Rows are in the order of `trial_indices`; 0 where there is no event
            (or none that is scored), and in the rows of -1.

        Raises:
            ValueError: another `precision`; a parameter is missing, outside the limits of the
                model, or has another number of values than others.
        """
        if precision not in PRECISIONS:
            raise ValueError(f"precision is one of {', '.join(PRECISIONS)}; got {precision!r}.")
        values = doubles(parameters)
        n_sets = number_of_sets(values)
        with jax.enable_x64(precision == "float64"):
            likelihood, places = self._ready(trial_indices, values)
            likelihood = _in_precision(likelihood, precision)
            if n_sets is None:
                return 0.0 - np.asarray(_nll_at(likelihood, jnp.asarray(places)))  # no zeros of -0
            values = {name: np.broadcast_to(value, n_sets) for name, value in values.items()}
            nll = _nll_of_sets(likelihood, jnp.asarray(places), values, precision)
            return 0.0 - nll

    def _ready(
        self, trial_indices: np.ndarray, parameters: Parameters
    ) -> tuple[TrialLikelihood, Int[np.ndarray, " trials"]]:
        """The likelihood at `parameters`, and where each trial stands in it."""
        check_not_forked()
        check_given(parameters, self.parameters or ())
        check_limits(parameters, self.parameters or ())
        likelihood = self._by_event(trial_indices, parameters, ())
        return likelihood, places_in(likelihood.trials.blocks, np.asarray(trial_indices))


def number_of_sets(values: Mapping[str, np.ndarray]) -> int | None:
    """Number of parameter sets in `values`, each (n_sets,) or a scalar; None if all are scalars."""
    sizes = {name: value.shape for name, value in values.items() if value.ndim}
    if not sizes:
        return None
    first, shape = next(iter(sizes.items()))
    for name, other in sizes.items():
        if other != shape or len(other) != 1:
            raise ValueError(
                f"Parameter {name!r} has values of shape {other}, but {first!r} of shape {shape}: "
                "give every parameter one number, or (n_sets,) numbers, as many as the others."
            )
    return shape[0]


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


def _nll_of_sets(
    likelihood: TrialLikelihood,
    places: Int[Array, " trials"],
    values: Mapping[str, Float[np.ndarray, " sets"]],
    precision: str,
) -> Float[np.ndarray, "sets trials events"]:
    """Nats of every event under each set, some sets at a time: one program for any number."""
    n_sets = len(next(iter(values.values())))
    width = min(SETS_AT_ONCE, n_sets)
    likelihood = replace(likelihood, trials=replace(likelihood.trials, base_params={}))
    nll = []
    for start in range(0, n_sets, width):
        rows = np.minimum(np.arange(start, start + width), n_sets - 1)  # the last, to fill up
        some = {name: jnp.asarray(value[rows], precision) for name, value in values.items()}
        nll.append(np.asarray(_nll_of_some(likelihood, places, some))[: n_sets - start])
    return np.concatenate(nll)


@eqx.filter_jit
def _nll_of_some(
    likelihood: TrialLikelihood,
    places: Int[Array, " trials"],
    values: dict[str, Float[Array, " sets"]],
) -> Float[Array, "sets trials events"]:
    def of_set(parameters: dict[str, Float[Array, ""]]) -> Float[Array, "trials events"]:
        trials = replace(likelihood.trials, base_params=parameters)
        by_block = trials.visit(jnp.zeros(0), likelihood.nll_of_trial)
        return by_block.reshape(-1, by_block.shape[-1])[places]

    return jax.vmap(of_set)(values)
