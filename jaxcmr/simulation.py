"""Play a model forward: through the study of a list, one free recall, a whole data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxcmr.parameters import require
from jaxcmr.typing import MemorySearch, MemorySearchFactory, RecallDataset, TrialMask

__all__ = ["items_at", "positions_of", "recall_freely", "simulate_dataset", "study"]


def study(model: MemorySearch, items: Int[Array, " positions"]) -> MemorySearch:
    """`model` after studying `items` (1-based, 0 = padding), ready for its first recall."""
    studied, _ = jax.lax.scan(lambda m, item: (m.experience(item), None), model, items)
    return studied.start_retrieving()


def recall_freely(model: MemorySearch, key: PRNGKeyArray, n_outputs: int) -> Int[Array, " outputs"]:
    """Choices of one free recall in order, 0 from where it stopped, cut off at `n_outputs`."""

    def recall(model: MemorySearch, output: Int[Array, ""]) -> tuple[Any, Int[Array, ""]]:
        probabilities = model.outcome_probabilities()
        cumulative = jnp.cumsum(probabilities)
        threshold = jax.random.uniform(jax.random.fold_in(key, output)) * cumulative[-1]
        choice = jnp.argmax(cumulative > threshold)
        return model.retrieve(choice), choice

    return jax.lax.scan(recall, model, jnp.arange(n_outputs))[1]


def items_at(
    pres_itemnos: Int[Array, "trials positions"], recalls: Int[Array, "trials outputs"]
) -> Int[Array, "trials outputs"]:
    """Item numbers (a model's choices) of recalls given as study positions; 0 stays 0."""
    return jnp.take_along_axis(jnp.pad(pres_itemnos, ((0, 0), (1, 0))), recalls, axis=1)


def positions_of(
    items: Int[Array, " positions"], choices: Int[Array, " outputs"]
) -> Int[Array, " outputs"]:
    """Study positions of a model's choices in the list `items`; of a repeated item, the first."""
    is_there = (items == choices[:, None]) & (choices[:, None] > 0)
    return jnp.where(is_there.any(1), jnp.argmax(is_there, axis=1) + 1, 0)


def simulate_dataset(
    model_factory: Callable[..., MemorySearchFactory],
    dataset: RecallDataset,
    parameters: Mapping[str, Any],
    *,
    features: Any = None,
    trial_mask: TrialMask | None = None,
    n_copies: int = 1,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Recalls that a model makes of the study lists of a data set.

    Args:
        model_factory: ``(dataset, features) -> factory``, e.g. `jaxcmr.models.cmr.make_factory()`.
        dataset: recall data; its study lists are studied again.
        parameters: values by name, or the ``fits`` of a fit result, whose lists give one value for
            each entry of ``fits["subject"]``. Lists of one (a pooled fit) hold for every trial.
        features: passed to `model_factory`.
        trial_mask: (trials,) which trials to simulate; all by default.
        n_copies: simulated recalls of each trial.
        seed: of the random draws, which are a function of (seed, copy, trial) alone.

    Returns:
        A data set with the selected trials, all of them once per copy. ``recalls`` and, where there
        are item ids, ``rec_itemids`` are simulated; other fields that start with ``rec_`` are
        dropped, the rest repeats the original. A model whose choices are item ids (letters of an
        alphabet) may recall what was not studied: that is in ``rec_itemids`` only.

    Raises:
        ValueError: a parameter that the model reads is missing, or a subject of the data is.
    """
    n_trials = len(dataset["recalls"])
    mask = np.ones(n_trials, bool) if trial_mask is None else np.asarray(trial_mask)
    trials = np.tile(np.flatnonzero(mask), n_copies)
    copies = np.repeat(np.arange(n_copies), mask.sum())
    factory = model_factory(dataset, features)
    require(parameters, getattr(factory, "parameter_names", ()))
    choices_are_ids = getattr(factory, "choices_are_ids", False)
    observed = dataset.get("rec_itemids", dataset["recalls"])

    choices = _simulate_trials(
        factory,
        jnp.asarray(dataset["pres_itemids" if choices_are_ids else "pres_itemnos"]),
        _values_by_trial(parameters, np.asarray(dataset["subject"]).reshape(-1)[trials]),
        jnp.asarray(trials),
        jnp.asarray(copies),
        jax.random.key(seed),
        (observed if choices_are_ids else dataset["recalls"]).shape[1],
    )
    simulated = {name: v[trials] for name, v in dataset.items() if not name.startswith("rec_")}
    studied = simulated["pres_itemids" if choices_are_ids else "pres_itemnos"]
    positions = jax.vmap(positions_of)(jnp.asarray(studied), choices)
    simulated["recalls"] = without_gaps(np.asarray(positions, dataset["recalls"].dtype))
    if choices_are_ids:
        simulated["rec_itemids"] = np.array(choices, dataset["pres_itemids"].dtype)
    elif "pres_itemids" in dataset:
        ids = np.pad(simulated["pres_itemids"], ((0, 0), (1, 0)))  # choice 0 has id 0
        simulated["rec_itemids"] = np.take_along_axis(ids, simulated["recalls"], axis=1)
    return simulated


def without_gaps(rows: Int[np.ndarray, "trials outputs"]) -> Int[np.ndarray, "trials outputs"]:
    """`rows` with what is not 0 moved up."""
    return np.take_along_axis(rows, np.argsort(rows == 0, axis=1, kind="stable"), axis=1)


def _values_by_trial(
    parameters: Mapping[str, Any], subjects: np.ndarray
) -> dict[str, Float[Array, " trials"]]:
    """Each parameter's value in every trial, given the trials' subjects."""
    values = {name: np.atleast_1d(v) for name, v in parameters.items() if name != "subject"}
    if all(len(v) == 1 for v in values.values()):
        rows = np.zeros(len(subjects), int)
    else:
        fitted = {subject: row for row, subject in enumerate(parameters["subject"])}
        missing = sorted(set(subjects.tolist()) - set(fitted))
        if missing:
            raise ValueError(
                f"No parameters for subject(s) {missing[:5]}: the fits have {sorted(fitted)[:5]}, "
                "... Select the fitted subjects with trial_mask."
            )
        rows = np.array([fitted[subject] for subject in subjects.tolist()])
    return {name: jnp.asarray(np.broadcast_to(v, len(v))[rows]) for name, v in values.items()}


_BATCH = 1024  # trials simulated at once; bounds memory


@eqx.filter_jit
def _simulate_trials(
    factory: MemorySearchFactory,
    studied: Int[Array, "all_trials positions"],
    parameters: dict[str, Float[Array, " trials"]],
    trials: Int[Array, " trials"],
    copies: Int[Array, " trials"],
    key: PRNGKeyArray,
    n_outputs: int,
) -> Int[Array, "trials outputs"]:
    def one(case: tuple[Any, Any, Any]) -> Int[Array, " outputs"]:
        parameters, trial, copy = case
        model = study(factory.create_trial_model(trial, parameters), studied[trial])
        trial_key = jax.random.fold_in(jax.random.fold_in(key, copy), trial)
        return recall_freely(model, trial_key, n_outputs)

    return jax.lax.map(one, (parameters, trials, copies), batch_size=_BATCH)
