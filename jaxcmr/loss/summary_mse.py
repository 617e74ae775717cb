"""Mean squared error between observed and simulated data in any summary of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, Shaped

from jaxcmr.math import append_axes
from jaxcmr.optimize import program_fingerprint
from jaxcmr.parameters import Parameter
from jaxcmr.simulation import check_count, check_seed, compiled_once, positions_of, recall_by_draws
from jaxcmr.trials import ModelData, SelectedTrials, as_rows
from jaxcmr.typing import (
    Features,
    LossFnGenerator,
    MemorySearch,
    Model,
    Parameters,
    RecallDataset,
)

__all__ = [
    "MemorySearchSummaryMseFnGenerator",
    "SimulatedMseGenerator",
    "Summary",
    "SummaryMse",
]

Fields = Mapping[str, Shaped[Array, "trials ..."]]
Summary = Callable[
    [Int[Array, "trials outputs"], Fields, Bool[Array, " trials"]], Shaped[Array, "..."]
]
"""``summary(recalls, fields, is_trial) -> array`` of any shape that does not depend on `trials`;
see `MemorySearchSummaryMseFnGenerator`."""


class SummaryMse(eqx.Module):
    """Mean squared difference between a summary of observed and of simulated recalls: a `LossFn`.

    Every trial is simulated `n_simulations` times. Each recall is cut off at the number of recalls
    observed in its trial. The model's own stopping acts as well; to leave it out of the fit, hold
    ``stop_probability_scale`` at 0. The random draws are a function of (seed, trial, simulation),
    so the same parameters give the same loss. It is piecewise constant: fits do not polish it.

    The simulated summary is the mean over experiments, of their finite values only. An experiment
    is one simulation of each trial: the mean is what the model expects of data of this size. Or,
    if `pooled`, all simulations are one large experiment. Entries that are not finite in the data
    do not count. One that is finite in the data and in no simulation is 0 in the simulated summary,
    so that a model gains nothing by never doing what is measured.
    """

    trials: SelectedTrials
    places: Int[Array, " trials"]  # of the trials, in the order asked for
    is_trial: Bool[Array, " trials"]
    fields: dict[str, Shaped[Array, "trials ..."]]
    observed: Float[Array, "..."]
    key: PRNGKeyArray
    n_simulations: int = eqx.field(static=True)
    pooled: bool = eqx.field(static=True)
    summary: Summary = eqx.field(static=True)
    version: Hashable = eqx.field(static=True)  # what the summary computes: see `version_of`
    is_wide: bool = eqx.field(static=True)  # the summary is computed with numbers of 64 bits

    @compiled_once
    def __call__(self, x: Float[Array, "n_params ..."]) -> Float[Array, "..."]:
        """Return the loss of parameter vector(s) `x`, whose rows are the free parameters."""
        if jnp.ndim(x) == 2 and not self.trials.factory.vectorized:
            return jax.vmap(self, in_axes=1)(x)
        recalls = self._recalls(x)
        if jnp.ndim(x) == 2:
            return jax.vmap(self._difference, in_axes=-1)(recalls)
        return self._difference(recalls[..., 0])

    def simulated_summary(self, x: Float[Array, " n_params"]) -> Float[Array, "..."]:
        """Return the mean over experiments of their finite values, or 0 without any."""
        return self._summarize(self._recalls(x)[..., 0])

    def _recalls(
        self, x: Float[Array, "n_params ..."]
    ) -> Int[Array, "trials outputs simulations candidates"]:
        """Return simulated recalls of all trials, in the order asked for."""
        columns = x[:, None] if jnp.ndim(x) == 1 else x
        if self.trials.factory.vectorized:  # candidates come after simulations
            by_block = self.trials.visit(columns[:, None], self._simulate)
        else:
            by_block = self.trials.visit(x, self._simulate)[..., None]
        recalls = by_block.reshape(-1, *by_block.shape[2:])[self.places]
        return jnp.broadcast_to(recalls, (*recalls.shape[:3], columns.shape[1]))

    def _difference(self, recalls: Int[Array, "trials outputs simulations"]) -> Float[Array, ""]:
        """Return the mean squared difference between the summaries of simulated and observed."""
        counted = jnp.isfinite(self.observed)
        difference = jnp.where(counted, self._summarize(recalls) - self.observed, 0.0)
        return jnp.sum(difference**2) / jnp.maximum(jnp.sum(counted), 1)

    def _summarize(self, recalls: Int[Array, "trials outputs simulations"]) -> Float[Array, "..."]:
        """Return the mean over experiments of their finite values, or 0 without any."""
        recalls = jnp.moveaxis(recalls, 2, 1).astype(int)
        experiments, fields, is_trial = jnp.moveaxis(recalls, 1, 0), self.fields, self.is_trial
        if self.pooled:
            experiments = recalls.reshape(1, -1, recalls.shape[-1])
            fields, is_trial = jax.tree.map(
                lambda rows: jnp.repeat(rows, self.n_simulations, axis=0), (fields, is_trial)
            )
        dtype = jnp.result_type(float)
        with in_64_bits(self.is_wide):
            values = jax.vmap(
                lambda each: jnp.asarray(self.summary(each, fields, is_trial)).astype(dtype)
            )(experiments)
        is_finite = jnp.isfinite(values)
        return jnp.where(is_finite, values, 0.0).sum(0) / jnp.maximum(
            is_finite.sum(0, dtype=dtype), 1
        )

    def _simulate(
        self, model: MemorySearch, trial: Int[Array, ""]
    ) -> Int[Array, "outputs simulations ..."]:
        """Return simulated recalls of a trial: study positions from 1, 0 for none."""
        n_outputs = self.trials.choices.shape[1]
        n_observed = jnp.sum(self.trials.choices[trial] > 0)

        def draw(simulation: Int[Array, ""], output: Int[Array, ""]) -> Float[Array, ""]:
            key = jax.random.fold_in(jax.random.fold_in(self.key, trial), simulation)
            return jax.random.uniform(jax.random.fold_in(key, output))

        simulations, outputs = jnp.arange(self.n_simulations), jnp.arange(n_outputs)
        draws = jax.vmap(jax.vmap(draw, in_axes=(0, None)), in_axes=(None, 0))(simulations, outputs)
        if self.trials.factory.vectorized:
            choices = recall_by_draws(model, draws[..., None])
        else:
            choices = jax.vmap(lambda draws: recall_by_draws(model, draws), 1, 1)(draws)
        recalls = positions_of(self.trials.pres_itemnos[trial], choices)
        is_kept = append_axes(outputs < n_observed, recalls.ndim - 1)
        return jnp.where(is_kept, recalls, 0).astype(jnp.int16)  # half the memory of all trials


class SimulatedMseGenerator(LossFnGenerator):
    """Makes losses by a summary of simulated recalls: what those on this shelf share.

    Args:
        model_factory: name of a model, or ``(dataset, features) -> factory``.
        dataset: recall data.
        features: passed to `model_factory`.
        summary: see `MemorySearchSummaryMseFnGenerator`.
        fields: arrays with one row per trial, passed to the summary.
        n_simulations: simulated recalls of each trial.
        seed: of the simulations' random draws.
        pooled: whether all simulations of the trials are one experiment: see `SummaryMse`.

    Raises:
        ValueError: `n_simulations` or `seed` is invalid; or as for `jaxcmr.trials.ModelData`.
    """

    label = "MSE"
    agree_within = 1e-4  # mean squared error
    differentiable = False

    def __init__(
        self,
        model_factory: Model,
        dataset: RecallDataset,
        features: Features,
        summary: Summary,
        fields: Mapping[str, Shaped[np.ndarray, "all_trials ..."]],
        n_simulations: int,
        seed: int,
        pooled: bool,
    ) -> None:
        check_count("n_simulations", n_simulations)
        self.seed, self.n_simulations, self.pooled = check_seed(seed), n_simulations, pooled
        self.data = ModelData(model_factory, dataset, features)
        self.recalls = np.asarray(jax.vmap(positions_of)(self.data.pres_itemnos, self.data.choices))
        """(trials, outputs) observed recalls, coded like the simulated ones: of an item that was
        studied more than once, the first position."""
        self.summary, self.fields = summary, fields
        self.is_wide = any(needs_64_bits(values) for values in fields.values())

    def __call__(
        self, trial_indices: np.ndarray, base_params: Parameters, free_param_names: Sequence[str]
    ) -> SummaryMse:
        """Return the loss over `trial_indices` (0-based rows; -1 is "no trial", adds nothing)."""
        indices = as_rows(trial_indices, self.data.n_trials)
        trials = self.data.select(indices, base_params, free_param_names)
        recalls, fields, is_trial = self._rows(indices)
        return SummaryMse(
            trials,
            jnp.asarray(trials.places_of(indices)),
            is_trial,
            fields,
            summarize(self.summary, recalls, fields, is_trial, self.is_wide),
            jax.random.key(self.seed),
            self.n_simulations,
            self.pooled,
            self.summary,
            version_of(self.summary, recalls, fields, is_trial, self.is_wide),
            self.is_wide,
        )

    @property
    def parameters(self) -> Sequence[Parameter] | None:
        """Return the parameters that the model reads; None if it does not say."""
        return self.data.factory.parameters

    def count_events(self, trial_indices: np.ndarray) -> Int[np.ndarray, " trials"]:
        """Return the number of recalls that are compared in each trial; 0 for -1."""
        rows = as_rows(trial_indices, self.data.n_trials)
        n_recalls = np.sum(np.asarray(self.data.choices) > 0, axis=1)
        return np.where(rows >= 0, n_recalls[rows], 0)

    def count_given_recalls(self, trial_indices: np.ndarray) -> Int[np.ndarray, " trials"]:
        """Return the number of recalls of each trial, where simulated ones are cut off."""
        return self.count_events(trial_indices)

    def _rows(
        self, indices: Int[np.ndarray, " trials"]
    ) -> tuple[Int[Array, "trials outputs"], dict[str, Array], Bool[Array, " trials"]]:
        """Return recalls, fields and `is_trial` of these trials; padding rows are 0."""
        is_trial = indices >= 0

        def rows(values: np.ndarray) -> Array:
            chosen = values[indices]
            chosen[~is_trial] = 0
            return jnp.asarray(chosen)

        with in_64_bits(self.is_wide):
            fields = {name: rows(values) for name, values in self.fields.items()}
        return rows(self.recalls), fields, jnp.asarray(is_trial)


class MemorySearchSummaryMseFnGenerator(SimulatedMseGenerator):
    """Makes losses by a summary of your own.

    Args:
        model_factory: name of a model, or ``(dataset, features) -> factory``.
        dataset: recall data.
        features: passed to `model_factory`.
        summary: ``summary(recalls, fields, is_trial)``, a function written with `jax.numpy` that
            returns an array of any shape, the same for any number of trials. It gets

            - ``recalls`` (trials, outputs): study positions from 1 in order of recall, 0 for none;
            - ``fields``: the same trials' rows of the other numeric fields of `dataset`, such as
              ``fields["listLength"]`` (trials, 1), without those of recalls (``rec_...``). If one
              holds whole numbers that need 64 bits, such as time stamps, the summary is computed
              with 64 bits;
            - ``is_trial`` (trials,): False in padding rows, in which recalls and fields are 0.
              Because of them sets of trials of one size share a compiled program. Padding rows must
              not change the summary: divide by ``is_trial.sum()``, not by the number of rows.

            It is called with the observed recalls of a set of trials, and with simulated ones. NaN
            marks values that cannot be computed. To hand the loss to a fitter, fix the function
            with ``functools.partial(MemorySearchSummaryMseFnGenerator, summary=...)``.
        n_simulations: simulated recalls of each trial, each cut off at the number of recalls
            observed there. A fit takes about as many times longer than one by sequence likelihood.
        seed: of the simulations' random draws.

    Raises:
        ValueError: `summary` is missing, or padding rows change its value or its shape; or as for
            `SimulatedMseGenerator`.

    Examples:
        >>> data = {"subject": np.array([[1], [1]]), "listLength": np.array([[3], [3]]),
        ...         "pres_itemnos": np.array([[1, 2, 3]] * 2),
        ...         "recalls": np.array([[3, 1, 0], [2, 0, 0]])}
        >>> def recalls_per_trial(recalls, fields, is_trial):
        ...     return (recalls > 0).sum() / is_trial.sum()
        >>> generator = MemorySearchSummaryMseFnGenerator("cmr", data, summary=recalls_per_trial)
        >>> float(generator(np.array([0, 1, -1]), {}, []).observed)
        1.5

        Any measure of `jaxcmr.analyses` is a summary; `as_summary` takes its options, too:

        >>> from jaxcmr.analyses import as_summary, lag_crp
        >>> summary = as_summary(data, lag_crp)
        >>> generator = MemorySearchSummaryMseFnGenerator("cmr", data, summary=summary)
        >>> generator(np.array([0, 1, -1]), {}, []).observed.tolist()  # lags -2, -1, 0, 1, 2
        [1.0, 0.0, nan, nan, nan]
    """

    def __init__(
        self,
        model_factory: Model,
        dataset: RecallDataset,
        features: Features = None,
        *,
        summary: Summary | None = None,
        n_simulations: int = 20,
        seed: int = 0,
    ) -> None:
        if summary is None:
            raise ValueError(
                "Give the summary to compare: summary=function(recalls, fields, is_trial), fixed "
                "with functools.partial if a fitter makes the generator."
            )
        fields = {
            name: np.asarray(values)
            for name, values in dataset.items()
            if name != "recalls"
            and not name.startswith("rec_")
            and np.asarray(values).dtype.kind in "biuf"
        }
        super().__init__(
            model_factory, dataset, features, summary, fields, n_simulations, seed, pooled=False
        )
        self._check_padding()

    def _check_padding(self) -> None:
        """Check that padding rows do not change the summary.

        Raises:
            ValueError: they change its value or its shape.
        """
        first = np.arange(min(8, self.data.n_trials))
        plain, padded = (
            np.asarray(summarize(self.summary, *self._rows(indices), self.is_wide))
            for indices in (first, np.append(first, [-1, -1, -1]))
        )
        if plain.shape != padded.shape:
            raise ValueError(
                f"The summary of {len(first)} trials has shape {plain.shape}, with three padding "
                f"rows {padded.shape}: its shape must not depend on the number of rows."
            )
        if not np.allclose(plain, padded, rtol=1e-4, atol=1e-6, equal_nan=True):
            raise ValueError(
                "The summary changes with padding rows: leave out rows where is_trial is False "
                "(e.g. divide by is_trial.sum(), not by len(recalls))."
            )


def summarize(
    summary: Summary,
    recalls: Int[Array, "trials outputs"],
    fields: Fields,
    is_trial: Bool[Array, " trials"],
    is_wide: bool,
) -> Float[Array, "..."]:
    """Return the summary as real numbers of the working precision.

    It is computed with 64 bits if `is_wide`.
    """
    dtype = jnp.result_type(float)
    version = version_of(summary, recalls, fields, is_trial, is_wide)
    with in_64_bits(is_wide):
        return jnp.asarray(_compiled(summary, version, recalls, fields, is_trial)).astype(dtype)


def version_of(
    summary: Summary,
    recalls: Int[Array, "trials outputs"],
    fields: Fields,
    is_trial: Bool[Array, " trials"],
    is_wide: bool,
) -> Hashable:
    """Return what tells apart two versions of a summary that reads variables which change."""
    with in_64_bits(is_wide):
        return program_fingerprint(summary, recalls, fields, is_trial)


@eqx.filter_jit
def _compiled(
    summary: Summary,
    version: Hashable,
    recalls: Int[Array, "trials outputs"],
    fields: Fields,
    is_trial: Bool[Array, " trials"],
) -> Shaped[Array, "..."]:
    return summary(recalls, fields, is_trial)


def in_64_bits(is_wide: bool) -> AbstractContextManager[None]:
    """Return a context in which JAX computes with 64 bits if `is_wide`, else as outside."""
    return jax.enable_x64(True) if is_wide else nullcontext()


def needs_64_bits(values: Shaped[np.ndarray, "..."]) -> bool:
    """Return whether 32 bits would change some of the whole numbers: time stamps, long ids.

    Examples:
        >>> needs_64_bits(np.array([1_600_000_000_000])), needs_64_bits(np.array([1.5, 3.0]))
        (True, False)
    """
    narrow = {"i": np.int32, "u": np.uint32, "f": np.float32}.get(values.dtype.kind)
    if narrow is None or values.dtype.itemsize < 8:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        is_whole = np.isfinite(values) & (values == np.round(values))
        return bool(np.any(is_whole & (values.astype(narrow) != values)))
