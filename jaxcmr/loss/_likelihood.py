"""What likelihoods share: a sum over trials, and its terms one by one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxcmr.math import total
from jaxcmr.optimize import check_not_forked
from jaxcmr.parameters import Parameter, check_given, check_limits, to_double
from jaxcmr.simulation import compiled_once
from jaxcmr.trials import ModelData, SelectedTrials, as_rows, ordered_sum
from jaxcmr.typing import LossFn, LossFnGenerator, MemorySearch, Parameters

__all__ = ["EventLikelihood", "LikelihoodGenerator", "fill_vectors"]

PRECISIONS = ("float64", "float32")
VECTOR_BYTES = 64  # in the longest vectors of today's processors
SETS_AT_ONCE = 16  # parameter sets scored side by side; bounds memory


class EventLikelihood(eqx.Module):
    """Negative log-likelihood (nats) of a set of trials, played event by event: a `LossFn`."""

    trials: eqx.AbstractVar[SelectedTrials]

    @abstractmethod
    def nll_of_trial(
        self, model: MemorySearch, trial: Int[Array, ""]
    ) -> Float[Array, "events ..."]:
        """Return ``-log P`` of the events of a trial, 0 where there is no event.

        `model` has studied the list of the trial.
        """

    @compiled_once
    def __call__(self, x: Float[Array, "n_params ..."]) -> Float[Array, "..."]:
        """Return the loss of parameter vector(s) `x`, whose rows are the free parameters."""
        if jnp.ndim(x) == 2 and not self.trials.factory.vectorized:
            return jax.vmap(self, in_axes=1)(x)

        def loss_of_trial(model: MemorySearch, trial: Int[Array, ""]) -> Float[Array, "..."]:
            return jnp.broadcast_to(total(self.nll_of_trial(model, trial)), columns.shape[1:])

        columns = fill_vectors(x)
        by_trial = self.trials.visit(columns, loss_of_trial)
        losses = ordered_sum(by_trial.reshape(-1, *columns.shape[1:]))
        return losses if jnp.ndim(x) == 1 else losses[: x.shape[1]]


def fill_vectors(x: Float[Array, "n_params ..."]) -> Float[Array, "n_params ..."]:
    """Return candidates filled up to whole vectors of the processor, with copies of the last.

    What does not fill a vector is computed one number at a time.
    """
    if jnp.ndim(x) == 1 or x.shape[1] == 1:
        return x
    per_vector = VECTOR_BYTES // x.dtype.itemsize
    return jnp.pad(x, ((0, 0), (0, -x.shape[1] % per_vector)), mode="edge")


class LikelihoodGenerator(LossFnGenerator):
    """What generators of likelihoods share: the terms of the likelihood, and their number."""

    label = "NLL"
    agree_within = 0.05  # nats

    data: ModelData
    n_events: Int[np.ndarray, " all_trials"]  # scored in each trial of the data set
    n_given: Int[np.ndarray, " all_trials"] | None = None  # recalls, unless stops are scored

    @abstractmethod
    def by_event(
        self, trial_indices: np.ndarray, base_params: Parameters, free_param_names: Sequence[str]
    ) -> EventLikelihood:
        """Return the loss as `__call__` does, with the model played event by event."""

    def __call__(
        self, trial_indices: np.ndarray, base_params: Parameters, free_param_names: Sequence[str]
    ) -> LossFn:
        """Return the loss over `trial_indices` (0-based rows; -1 is "no trial", adds nothing)."""
        return self.by_event(trial_indices, base_params, free_param_names)

    @property
    def gradients(self) -> str:
        """Return "differences": played event by event, a model is sooner evaluated than derived."""
        return "differences"

    @property
    def parameters(self) -> Sequence[Parameter] | None:
        """Return the parameters that the model reads; None if it does not say."""
        return self.data.factory.parameters

    def count_events(self, trial_indices: np.ndarray) -> Int[np.ndarray, " trials"]:
        """Return the number of events that are scored in each trial; 0 for -1."""
        rows = as_rows(trial_indices, self.data.n_trials)
        return np.where(rows >= 0, self.n_events[rows], 0)

    def count_given_recalls(self, trial_indices: np.ndarray) -> Int[np.ndarray, " trials"] | None:
        """Return the number of recalls of each trial (0 for -1); None if stops are scored."""
        if self.n_given is None:
            return None
        rows = as_rows(trial_indices, self.data.n_trials)
        return np.where(rows >= 0, self.n_given[rows], 0)

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
            precision: of the computation and the result, "float64" or "float32".

        Returns:
            A NumPy array (trials, events), or (n_sets, trials, events) if a parameter has a value
            per set. Rows are in the order of `trial_indices`; 0 where no event is scored, and in
            the rows of -1.

        Raises:
            ValueError: `precision` is unknown; or a parameter is missing, outside the limits of the
                model, or has another number of values than the others.
        """
        if precision not in PRECISIONS:
            raise ValueError(f"precision is one of {', '.join(PRECISIONS)}; got {precision!r}.")
        check_not_forked()
        values = dict(sorted(to_double(parameters).items()))
        n_sets = count_sets(values)
        check_given(values, self.parameters or ())
        check_limits(values, self.parameters or ())
        with jax.enable_x64(precision == "float64"):
            likelihood = self.by_event(trial_indices, {}, tuple(values))
            places = jnp.asarray(likelihood.trials.places_of(np.asarray(trial_indices)))
            likelihood = to_precision(likelihood, precision)
            if n_sets is None:
                x = jnp.asarray(list(values.values()), precision)
                return 0.0 - np.asarray(_nll_of_events(likelihood, x, places))  # zeros are not -0
            sets = np.stack([np.broadcast_to(value, n_sets) for value in values.values()])
            width = min(SETS_AT_ONCE, n_sets)
            nll = []
            for start in range(0, n_sets, width):  # the last set fills up: one compiled program
                columns = np.minimum(np.arange(start, start + width), n_sets - 1)
                x = jnp.asarray(sets[:, columns], precision)
                nll.append(np.asarray(_nll_of_events(likelihood, x, places))[: n_sets - start])
            return 0.0 - np.concatenate(nll)


def count_sets(values: Mapping[str, np.ndarray]) -> int | None:
    """Return the number of parameter sets: of values per parameter, or None if each has one number.

    Raises:
        ValueError: parameters have unequal numbers of values.

    Examples:
        >>> count_sets({"learning_rate": np.array([0.2, 0.3]), "item_support": np.array(1.0)})
        2
    """
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


def to_precision(likelihood: EventLikelihood, precision: str) -> EventLikelihood:
    """Return the likelihood with its real arrays in `precision`.

    Integers are as wide as JAX has them at this precision.
    """

    def convert(leaf: Any) -> Any:
        if not eqx.is_array(leaf) or not jnp.issubdtype(leaf.dtype, jnp.number):
            return leaf
        is_real = jnp.issubdtype(leaf.dtype, jnp.floating)
        return jnp.asarray(np.asarray(leaf, precision if is_real else None))

    return jax.tree.map(convert, likelihood)


@eqx.filter_jit
def _nll_of_events(
    likelihood: EventLikelihood, x: Float[Array, "n_params ..."], places: Int[Array, " trials"]
) -> Float[Array, "... trials events"]:
    """Return ``-log P`` of every event under one parameter vector or many, trials at `places`."""

    def under(x: Float[Array, "n_params ..."]) -> Float[Array, "trials events ..."]:
        by_block = likelihood.trials.visit(x, likelihood.nll_of_trial)
        return by_block.reshape(-1, *by_block.shape[2:])[places]

    if x.ndim == 1:
        return under(x)
    if not likelihood.trials.factory.vectorized:
        return jax.vmap(under, in_axes=1)(x)
    found = under(x)
    return jnp.moveaxis(jnp.broadcast_to(found, (*found.shape[:2], x.shape[1])), -1, 0)
