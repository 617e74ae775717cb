"""Play a model forward: study a list, recall freely, simulate a whole data set."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from numbers import Integral
from typing import Any, ParamSpec, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxcmr._scan import scan_model
from jaxcmr._values import (
    check_sweep,
    grid_of,
    group_draws,
    values_by_trial,
    values_of_draws,
)
from jaxcmr.datasets import check_mask
from jaxcmr.math import total, with_item_axis
from jaxcmr.names import find_named
from jaxcmr.optimize import check_not_forked
from jaxcmr.parameters import check_given, check_limits
from jaxcmr.typing import (
    Draws,
    Features,
    MemorySearch,
    MemorySearchFactory,
    Model,
    Parameters,
    RecallDataset,
    Sweep,
    TrialMask,
)

__all__ = [
    "check_count",
    "check_seed",
    "compiled_once",
    "items_at",
    "make_model_factory",
    "positions_of",
    "recall_by_draws",
    "recall_freely",
    "simulate_dataset",
    "study",
]

P = ParamSpec("P")
T = TypeVar("T")

LARGEST_SEED = 2**32 - 1  # seeds of JAX have 32 bits
OF_THE_RECALLS = ("intrusions", "repeats")  # fields that count observed recalls
BATCH = 256  # trials simulated at once; more do not fit into the fast memory of a core


def compiled_once(function: Callable[P, T]) -> Callable[P, T]:
    """Return a function that compiles once for arguments of the same shapes.

    Arrays in the arguments are traced, all else is static. Inside another program that is being
    traced, such as a search, `function` is called directly and becomes part of that program.

    Examples:
        >>> double = compiled_once(lambda x: 2 * x)
        >>> float(double(jnp.array(3.0)))
        6.0
    """
    compiled = eqx.filter_jit(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        leaves = jax.tree.leaves((args, kwargs))
        if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            return function(*args, **kwargs)
        check_not_forked()
        return compiled(*args, **kwargs)

    return call


def check_seed(seed: Any) -> int:
    """Check a seed of random draws, and return it as an int.

    Raises:
        ValueError: it is not a whole number from 0 to 2**32 - 1, all that 32 bits tell apart.

    Examples:
        >>> check_seed(2**32)
        Traceback (most recent call last):
        ValueError: seed must be a whole number from 0 to 4294967295 (2**32 - 1); got 4294967296.
    """
    is_whole = isinstance(seed, Integral) and not isinstance(seed, bool)
    if not is_whole or not 0 <= int(seed) <= LARGEST_SEED:
        raise ValueError(
            f"seed must be a whole number from 0 to {LARGEST_SEED} (2**32 - 1); got {seed!r}."
        )
    return int(seed)


def check_count(name: str, value: Any) -> None:
    """Check that a number of things is a whole number, at least 1.

    Args:
        name: what is counted, for the message.
        value: the number.

    Raises:
        ValueError: it is not.

    Examples:
        >>> check_count("n_copies", 0)
        Traceback (most recent call last):
        ValueError: n_copies must be a whole number, at least 1; got 0.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < 1:
        raise ValueError(f"{name} must be a whole number, at least 1; got {value!r}.")


def make_model_factory(
    model: Model, dataset: RecallDataset, features: Features = None
) -> MemorySearchFactory:
    """Return the factory that builds a model for the trials of a data set.

    Args:
        model: name of a model, or ``(dataset, features) -> factory``.
        dataset: recall data.
        features: passed to `model`.

    Raises:
        ValueError: the name is unknown, or the factory is not a `MemorySearchFactory`.

    Examples:
        >>> data = {"listLength": np.array([[3]]), "pres_itemnos": np.array([[1, 2, 3]])}
        >>> make_model_factory("cmr", data).n_items
        3
    """
    factory = find_named("model", model)(dataset, features)
    if not isinstance(factory, MemorySearchFactory):
        raise ValueError(
            f"The model factory is of class {type(factory).__name__}, which is not a "
            "MemorySearchFactory: derive its class from jaxcmr.typing.MemorySearchFactory, which "
            "has every optional member with its default."
        )
    return factory


@compiled_once
def study(model: MemorySearch, items: Int[Array, "positions ..."]) -> MemorySearch:
    """Return the model after studying `items`, ready for its first recall.

    Args:
        model: before its first study event.
        items: 1-based item numbers in order of study; 0 is padding. With more axes, the items of
            each candidate.

    Examples:
        >>> from jaxcmr.models import usual_bounds
        >>> data = {"listLength": np.array([[3]]), "pres_itemnos": np.array([[1, 2, 3]])}
        >>> parameters = dict.fromkeys(usual_bounds("cmr"), 0.5)
        >>> model = make_model_factory("cmr", data).create_trial_model(jnp.array(0), parameters)
        >>> study(model, jnp.array([1, 2, 3])).recallable.tolist()
        [True, True, True]
    """
    studied, _ = scan_model(lambda m, item: (m.experience(item), None), model, items)
    return studied.start_retrieving()


@compiled_once
def recall_freely(model: MemorySearch, key: PRNGKeyArray, n_outputs: int) -> Int[Array, " outputs"]:
    """Return the choices of one simulated free recall, in order of recall.

    Args:
        model: has studied a list (`study`).
        key: of the random draws.
        n_outputs: number of choices at which recall is cut off.

    Returns:
        (n_outputs,) 1-based choices; 0 from where recall stopped.

    Examples:
        >>> from jaxcmr.models import usual_bounds
        >>> data = {"listLength": np.array([[3]]), "pres_itemnos": np.array([[1, 2, 3]])}
        >>> parameters = {**dict.fromkeys(usual_bounds("cmr"), 0.5), "stop_probability_scale": 0.0}
        >>> model = make_model_factory("cmr", data).create_trial_model(jnp.array(0), parameters)
        >>> choices = recall_freely(study(model, jnp.array([1, 2, 3])), jax.random.key(0), 3)
        >>> sorted(choices.tolist())
        [1, 2, 3]
    """

    outputs = jnp.arange(n_outputs)
    draws = jax.vmap(lambda output: jax.random.uniform(jax.random.fold_in(key, output)))(outputs)
    return recall_by_draws(model, draws)


def recall_by_draws(
    model: MemorySearch, draws: Float[Array, "outputs ..."]
) -> Int[Array, "outputs ..."]:
    """Return simulated choices, given a number from 0 to 1 for each output.

    A choice is the first whose cumulative probability exceeds that share of the sum.

    Args:
        model: has studied a list (`study`).
        draws: (outputs,) for a recall; with further axes, those of candidates, for a recall each.

    Returns:
        1-based choices in the shape of `draws`; 0 from where recall stopped.

    Examples:
        >>> from jaxcmr.models import usual_bounds
        >>> data = {"listLength": np.array([[3]]), "pres_itemnos": np.array([[1, 2, 3]])}
        >>> parameters = {**dict.fromkeys(usual_bounds("cmr"), 0.5), "stop_probability_scale": 0.0}
        >>> model = make_model_factory("cmr", data).create_trial_model(jnp.array(0), parameters)
        >>> studied = study(model, jnp.array([1, 2, 3]))
        >>> sorted(recall_by_draws(studied, jnp.array([0.2, 0.9, 0.5])).tolist())
        [1, 2, 3]
    """

    def recall(model: Any, draw: Float[Array, "..."]) -> tuple[Any, Int[Array, "..."]]:
        probabilities = model.outcome_probabilities()
        threshold = draw * total(probabilities)
        choice, cumulative = jnp.zeros(threshold.shape, int), 0.0
        for probability in probabilities:
            cumulative = cumulative + probability
            choice = choice + (cumulative <= threshold).astype(choice.dtype)
        choice = jnp.where(choice < len(probabilities), choice, 0)
        return model.retrieve(choice), choice

    return scan_model(recall, model, draws)[1]


def items_at(
    pres_itemnos: Int[Array, "trials positions"], recalls: Int[Array, "trials outputs"]
) -> Int[Array, "trials outputs"]:
    """Return the item numbers (choices) of recalls given as study positions; 0 stays 0.

    Examples:
        >>> items_at(jnp.array([[3, 1, 2]]), jnp.array([[3, 1, 0]])).tolist()
        [[2, 3, 0]]
    """
    return jnp.take_along_axis(jnp.pad(pres_itemnos, ((0, 0), (1, 0))), recalls, axis=1)


def positions_of(
    items: Int[Array, "positions ..."], choices: Int[Array, "outputs ..."]
) -> Int[Array, "outputs ..."]:
    """Return the study positions of choices in the list `items`; 0 if they are not in it.

    A repeated item has its first position. Further axes hold further recalls, of one list or of a
    list each.

    Examples:
        >>> positions_of(jnp.array([3, 1, 2, 1]), jnp.array([2, 1, 0])).tolist()
        [3, 2, 0]
    """
    positions = jnp.zeros_like(choices)
    for k in reversed(range(len(items))):
        positions = jnp.where(choices == with_item_axis(items[k]), k + 1, positions)
    return jnp.where(choices > 0, positions, 0)


def simulate_dataset(
    model_factory: Model,
    dataset: RecallDataset,
    parameters: Parameters,
    *,
    features: Features = None,
    trial_mask: TrialMask | None = None,
    n_copies: int = 1,
    seed: int = 0,
    draws: Draws | None = None,
    vary: Sweep | None = None,
    n_recalls: Int[np.ndarray, " all_trials"] | None = None,
) -> dict[str, np.ndarray]:
    """Return a data set with recalls that a model simulates.

    Args:
        model_factory: name of a model, or ``(dataset, features) -> factory``.
        dataset: recall data; its lists are studied again.
        parameters: values by name; or a fit result, or its ``fits``, whose lists give one value per
            subject of ``fits["subject"]``. Lists of one value hold for every trial if they are a
            pooled fit: without a subject, with subject -1, or of a result with ``pooled`` True.
        features: passed to `model_factory`.
        trial_mask: (trials,) booleans, which trials to simulate; all by default.
        n_copies: number of simulated recalls of each trial.
        seed: of the random draws, which are a function of (seed, copy, trial) alone; a whole number
            from 0 to 2**32 - 1.
        draws: values in place of `parameters`, such as draws from a posterior or fits to bootstrap
            samples: a table (or dict of columns) with a column per parameter and a row per draw.
            The column ``subject`` says whose a draw is; without it, or with subject -1, draws hold
            for every trial. Copy k is simulated with draw k of each subject. Parameters that are
            not drawn keep their value. Columns ``chain``, ``draw`` and ``loss`` are ignored.
        vary: values of one or more parameters in place of those in `parameters` and `draws`, as
            lists by name. All trials are simulated at each value, or at each point of the grid of
            several parameters, with the same random numbers.
        n_recalls: (trials,) at how many recalls each trial of `dataset` is cut off, for losses that
            take their number as given: ``generator.count_given_recalls(np.arange(n_trials))``. Of
            letters, all that are typed count. By default, recall goes on until the model stops.

    Returns:
        A data set with the selected trials, all of them once per copy. ``recalls`` and, if there
        are item ids, ``rec_itemids`` are simulated; a recall is cut off where the data's arrays
        end. Other fields of the observed recalls are left out: those that start with ``rec_``,
        ``intrusions`` and ``repeats``. The rest repeats the original. A field ``copy`` (trials, 1)
        numbers the copies from 1, and each varied parameter is a field (trials, 1). A model whose
        choices are item ids (letters of an alphabet) may recall an item that was not studied, which
        is then in ``rec_itemids`` only.

    Raises:
        ValueError: a parameter of the model is missing or outside its limits, a subject of the data
            has no fit or no draws, lists of parameters differ in length, or the mask, `n_copies`,
            the seed, `draws`, `vary` or `n_recalls` is invalid.

    Examples:
        >>> from jaxcmr.models import usual_bounds
        >>> data = {"subject": np.array([[1]]), "listLength": np.array([[3]]),
        ...         "pres_itemnos": np.array([[1, 2, 3]]), "recalls": np.array([[0, 0, 0]])}
        >>> parameters = dict.fromkeys(usual_bounds("cmr"), 0.5)
        >>> simulated = simulate_dataset("cmr", data, parameters, n_copies=2)
        >>> simulated["recalls"].shape, simulated["copy"].ravel().tolist()
        ((2, 3), [1, 2])

        At two values of a parameter; with the second, recall stops at once:

        >>> sweep = {"stop_probability_scale": [0.0, 1.0]}
        >>> swept = simulate_dataset("cmr", data, parameters, vary=sweep)
        >>> swept["stop_probability_scale"].ravel().tolist(), swept["recalls"][1].tolist()
        ([0.0, 1.0], [0, 0, 0])
    """
    check_not_forked()
    mask = np.ones(len(dataset["recalls"]), bool)
    if trial_mask is not None:
        mask = check_mask(trial_mask, len(mask))
    if not mask.any():
        raise ValueError("The trial mask selects no trials: there is nothing to simulate.")
    check_count("n_copies", n_copies)
    if n_recalls is not None and np.shape(n_recalls) != mask.shape:
        raise ValueError(
            f"n_recalls has shape {np.shape(n_recalls)}; expected a number for each of the "
            f"{len(mask)} trials of the data set."
        )
    factory = make_model_factory(model_factory, dataset, features)
    declared = factory.parameters or ()
    if draws is not None:
        if n_copies != 1:
            raise ValueError(f"draws make one copy each: leave out n_copies; got {n_copies}.")
        grouped, n_copies = group_draws(draws, parameters, declared)
    grid = {} if vary is None else grid_of(check_sweep(vary, dataset, declared))
    # the axes of all that is simulated: points of the sweep, copies, trials
    n_points = len(next(iter(grid.values()), [None]))
    shape = n_points, n_copies, int(mask.sum())
    point, copies, row = (axis.reshape(-1) for axis in np.indices(shape))
    trials = np.flatnonzero(mask)[row]
    subjects = np.asarray(dataset["subject"]).reshape(-1)[trials]
    fields = {name: values[point] for name, values in grid.items()}
    values = values_by_trial(parameters, subjects)
    if draws is not None:
        values |= values_of_draws(grouped, subjects, copies)
    values |= fields
    check_given(values, declared)
    check_limits(values, declared)
    studied = dataset["pres_itemids" if factory.choices_are_ids else "pres_itemnos"]
    observed = dataset.get("rec_itemids", dataset["recalls"])
    n_items = np.max(dataset["listLength"])
    if not factory.choices_are_ids and (np.min(studied) < 0 or np.max(studied) > n_items):
        raise ValueError(
            f"'pres_itemnos' holds {np.min(studied)} to {np.max(studied)}; expected item numbers "
            f"from 1 to {n_items}, the longest 'listLength', and 0 for padding. Number the items "
            "of each list from 1."
        )

    choices, positions = map(
        np.asarray,
        _simulate_trials(
            factory,
            jnp.asarray(studied),
            {name: jnp.asarray(value) for name, value in values.items()},
            jnp.asarray(trials),
            jnp.asarray(copies),
            jax.random.key(check_seed(seed)),
            (observed if factory.choices_are_ids else dataset["recalls"]).shape[1],
        ),
    )
    if n_recalls is not None:
        is_kept = np.arange(choices.shape[1]) < np.asarray(n_recalls)[trials, None]
        choices, positions = np.where(is_kept, choices, 0), np.where(is_kept, positions, 0)
    left_out = [n for n in dataset if n.startswith("rec_") or n in OF_THE_RECALLS]
    simulated = {name: v[trials] for name, v in dataset.items() if name not in left_out}
    simulated["recalls"] = move_zeros_last(np.asarray(positions, dataset["recalls"].dtype))
    if factory.choices_are_ids:
        simulated["rec_itemids"] = np.array(choices, dataset["pres_itemids"].dtype)
    elif "pres_itemids" in dataset:
        ids = np.pad(simulated["pres_itemids"], ((0, 0), (1, 0)))  # choice 0 has id 0
        simulated["rec_itemids"] = np.take_along_axis(ids, simulated["recalls"], axis=1)
    simulated["copy"] = copies[:, None] + 1
    return simulated | {name: column[:, None] for name, column in fields.items()}


def move_zeros_last(rows: Int[np.ndarray, "trials outputs"]) -> Int[np.ndarray, "trials outputs"]:
    """Return rows with their zeros moved to the end."""
    return np.take_along_axis(rows, np.argsort(rows == 0, axis=1, kind="stable"), axis=1)


@eqx.filter_jit
def _simulate_trials(
    factory: MemorySearchFactory,
    studied: Int[Array, "all_trials positions"],
    parameters: dict[str, Float[Array, " trials"]],
    trials: Int[Array, " trials"],
    copies: Int[Array, " trials"],
    key: PRNGKeyArray,
    n_outputs: int,
) -> tuple[Int[Array, "trials outputs"], Int[Array, "trials outputs"]]:
    """Return the choices of each trial, and their study positions."""

    def play(
        parameters: dict[str, Float[Array, "..."]],
        trial: Int[Array, "..."],
        items: Int[Array, "positions ..."],
        draws: Float[Array, "outputs ..."],
    ) -> Int[Array, "outputs ..."]:
        return recall_by_draws(study(factory.create_trial_model(trial, parameters), items), draws)

    def draw(copy: Int[Array, ""], trial: Int[Array, ""]) -> Float[Array, " outputs"]:
        trial_key = jax.random.fold_in(jax.random.fold_in(key, copy), trial)
        keys = jax.vmap(lambda output: jax.random.fold_in(trial_key, output))(outputs)
        return jax.vmap(jax.random.uniform)(keys)

    def of_batch(batch: tuple[Any, Any, Any]) -> tuple[Array, Array]:
        """Return choices and positions of simulations, which are on the last axis."""
        parameters, trials, copies = batch
        items, draws = studied[trials].T, jax.vmap(draw, out_axes=-1)(copies, trials)
        simulate = play
        if not factory.vectorized:
            simulate = jax.vmap(play, in_axes=(0, 0, -1, -1), out_axes=-1)
        choices = simulate(parameters, trials, items, draws)
        return choices.T, positions_of(items, choices).T

    outputs, n_cases = jnp.arange(n_outputs), len(trials)
    width = min(BATCH, n_cases)
    cases = (parameters, trials, copies)
    filled = jax.tree.map(lambda rows: jnp.pad(rows, (0, -n_cases % width), mode="edge"), cases)
    batches = jax.tree.map(lambda rows: rows.reshape(-1, width), filled)
    return jax.tree.map(
        lambda rows: rows.reshape(-1, n_outputs)[:n_cases], jax.lax.map(of_batch, batches)
    )
