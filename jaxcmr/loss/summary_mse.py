"""Mean squared error between observed and simulated data in any summary of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxcmr.loss._order import places_in
from jaxcmr.loss._simulated import SimulatedGenerator, SimulatedRecalls, Simulator
from jaxcmr.optimize import program_fingerprint
from jaxcmr.simulation import compiled_once
from jaxcmr.trials import as_rows
from jaxcmr.typing import MemorySearchFactory, Parameters, RecallDataset

__all__ = ["MemorySearchSummaryMseFnGenerator", "Summary", "SummaryMse"]

Fields = Mapping[str, Array]
Summary = Callable[[Int[Array, "trials outputs"], Fields, Bool[Array, " trials"]], Array]
"""``summary(recalls, fields, is_trial) -> array`` of any shape that does not depend on `trials`;
see `MemorySearchSummaryMseFnGenerator`."""


class SummaryMse(eqx.Module):
    """Mean squared difference of a summary of recalls over a set of trials, as a `LossFn`.

    The simulated summary is the mean over simulations of the whole set, finite values only: what
    the model expects of an experiment of this size. Entries that are not finite in the data do not
    count; one that is finite there and in no simulation is 0 in the simulated summary, so that a
    model gains nothing by never doing what is measured.
    """

    simulated: SimulatedRecalls
    places: Int[Array, " trials"]
    is_trial: Bool[Array, " trials"]
    fields: dict[str, Array]
    observed: Float[Array, "..."]
    summary: Summary = eqx.field(static=True)
    version: Hashable = eqx.field(static=True)  # what the summary computes: see `version_of`
    is_wide: bool = eqx.field(static=True)  # the summary is computed with numbers of 64 bits

    has_slope: ClassVar[bool] = False

    @compiled_once
    def __call__(self, x: Float[Array, "n_params ..."]) -> Float[Array, "..."]:
        """The loss of parameter vector(s) `x`, whose rows are the free parameters."""
        return self._mse(x) if jnp.ndim(x) == 1 else jax.vmap(self._mse, in_axes=1)(x)

    def _mse(self, x: Float[Array, " n_params"]) -> Float[Array, ""]:
        counted = jnp.isfinite(self.observed)
        difference = jnp.where(counted, self.simulated_summary(x) - self.observed, 0.0)
        return jnp.sum(difference**2) / jnp.maximum(jnp.sum(counted), 1)

    def simulated_summary(self, x: Float[Array, " n_params"]) -> Float[Array, "..."]:
        """Mean of the finite values over simulations; 0 where there is none."""
        by_block = self.simulated.visit(x, lambda recalls, trial: recalls)
        recalls = by_block.reshape(-1, *by_block.shape[2:])[self.places].astype(int)
        values = jax.vmap(lambda each: self._summarise(each), in_axes=1)(recalls)
        finite = jnp.isfinite(values)
        return jnp.where(finite, values, 0.0).sum(0) / jnp.maximum(finite.sum(0), 1)

    def _summarise(self, recalls: Int[Array, "trials outputs"]) -> Float[Array, "..."]:
        dtype = jnp.result_type(float)
        with in_64_bits(self.is_wide):
            summary = self.summary(recalls, self.fields, self.is_trial)
            return jnp.asarray(summary).astype(dtype)


class MemorySearchSummaryMseFnGenerator(SimulatedGenerator):
    """Makes losses by a summary of one's own of one data set (a `LossFnGenerator`).

    Args:
        model_factory: name of a model, or ``(dataset, features) -> factory``.
        dataset: recall data.
        features: passed to `model_factory`.
        summary: ``summary(recalls, fields, is_trial)``, a function written with `jax.numpy` that
            returns an array of any one shape, the same for any number of trials. It is given

            - ``recalls`` (trials, outputs): study positions from 1 in order of recall, 0 for none;
            - ``fields``: the same trials' rows of the other numeric fields of `dataset`, such as
              ``fields["listLength"]`` (trials, 1), but those of recalls (``rec_...``). If one holds
              whole numbers that 32 bits cannot hold, such as time stamps, the summary is computed
              with 64 bits;
            - ``is_trial`` (trials,): False in rows that only fill up the array, in which recalls
              and fields are all 0. Sets of trials of one size share a compiled program this way.
              Such rows must not change the summary: divide by ``is_trial.sum()``, not by the number
              of rows.

            It is called with the observed recalls of a set of trials, and with simulated ones. NaN
            marks what cannot be computed. To hand the loss to a fitter, fix the function with
            ``functools.partial(MemorySearchSummaryMseFnGenerator, summary=...)``.
        n_simulations: simulated recalls of each trial, each cut off at the number of recalls
            observed there.
        seed: of the simulations' random draws.

    Raises:
        ValueError: `summary` is not given, or rows that only fill up change its value or its
            shape; or `n_simulations` is less than 1.
    """

    def __init__(
        self,
        model_factory: str | Callable[..., MemorySearchFactory],
        dataset: RecallDataset,
        features: Any = None,
        *,
        summary: Summary | None = None,
        n_simulations: int = 20,
        seed: int = 0,
    ) -> None:
        if summary is None:
            raise ValueError(
                "Give the summary to compare: summary=function(recalls, fields, is_trial), fixed "
                "with functools.partial where a fitter makes the generator."
            )
        self.summary = summary
        self.simulate = Simulator(model_factory, dataset, features, n_simulations, seed)
        self.recalls = self.simulate.observed
        self.fields = {
            name: np.asarray(values)
            for name, values in dataset.items()
            if name != "recalls" and not name.startswith("rec_") and _is_numeric(values)
        }
        self.is_wide = any(needs_64_bits(values) for values in self.fields.values())
        self._check_summary()

    def __call__(
        self,
        trial_indices: np.ndarray,
        base_params: Parameters,
        free_param_names: Sequence[str],
    ) -> SummaryMse:
        """The loss over `trial_indices` (0-based rows; -1 is "no trial" and adds nothing)."""
        indices = as_rows(trial_indices, len(self.recalls))
        simulated = self.simulate(indices, base_params, free_param_names)
        recalls, fields, is_trial = self._rows(indices)
        version = version_of(self.summary, recalls, fields, is_trial, self.is_wide)
        return SummaryMse(
            simulated,
            jnp.asarray(places_in(simulated.trials.blocks, indices)),
            is_trial,
            fields,
            summarise(self.summary, recalls, fields, is_trial, self.is_wide),
            self.summary,
            version,
            self.is_wide,
        )

    def _rows(self, indices: np.ndarray) -> tuple[Array, dict[str, Array], Array]:
        """Recalls, fields and `is_trial` of these trials; all 0 where there is none."""
        is_trial = indices >= 0

        def rows(values: np.ndarray) -> Array:
            chosen = values[indices]
            chosen[~is_trial] = 0
            return jnp.asarray(chosen)

        with in_64_bits(self.is_wide):
            fields = {name: rows(values) for name, values in self.fields.items()}
        return rows(self.recalls), fields, jnp.asarray(is_trial)

    def _check_summary(self) -> None:
        """Raises a ValueError unless the summary is blind to rows that only fill up."""
        first = np.arange(min(8, len(self.recalls)))
        plain, filled = (
            np.asarray(summarise(self.summary, *self._rows(indices), self.is_wide))
            for indices in (first, np.append(first, [-1, -1, -1]))
        )
        if plain.shape != filled.shape:
            raise ValueError(
                f"The summary of {len(first)} trials has shape {plain.shape}, with three rows more "
                f"{filled.shape}: its shape must not depend on the number of rows."
            )
        if not np.allclose(plain, filled, rtol=1e-4, atol=1e-6, equal_nan=True):
            raise ValueError(
                "The summary changes with rows that only fill up the array: leave out those where "
                "is_trial is False (e.g. divide by is_trial.sum(), not by len(recalls))."
            )


def summarise(
    summary: Summary, recalls: Array, fields: Fields, is_trial: Array, is_wide: bool
) -> Array:
    """The summary as real numbers of the working precision, computed in double if `is_wide`."""
    dtype = jnp.result_type(float)
    version = version_of(summary, recalls, fields, is_trial, is_wide)
    with in_64_bits(is_wide):
        return jnp.asarray(_compiled(summary, version, recalls, fields, is_trial)).astype(dtype)


def version_of(
    summary: Summary, recalls: Array, fields: Fields, is_trial: Array, is_wide: bool
) -> Hashable:
    """Return what tells two versions of a summary apart: it may read variables that have changed
    since it was compiled."""
    with in_64_bits(is_wide):
        return program_fingerprint(summary, recalls, fields, is_trial)


@eqx.filter_jit
def _compiled(
    summary: Summary, version: Hashable, recalls: Array, fields: Fields, is_trial: Array
) -> Array:
    return summary(recalls, fields, is_trial)


def in_64_bits(is_wide: bool) -> AbstractContextManager[None]:
    """A context in which JAX computes with 64 bits if `is_wide`, else as it does outside."""
    return jax.enable_x64(True) if is_wide else nullcontext()


def _is_numeric(values: np.ndarray) -> bool:
    return np.asarray(values).dtype.kind in "biuf"


def needs_64_bits(values: np.ndarray) -> bool:
    """Whether 32 bits would make other whole numbers of some in `values`: time stamps, long ids.

    >>> needs_64_bits(np.array([1_600_000_000_000])), needs_64_bits(np.array([1.5, 3.0]))
    (True, False)
    """
    narrow = {"i": np.int32, "u": np.uint32, "f": np.float32}.get(values.dtype.kind)
    if narrow is None or values.dtype.itemsize < 8:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        is_whole = np.isfinite(values) & (values == np.round(values))
        return bool(np.any(is_whole & (values.astype(narrow) != values)))
