"""What every model of the catalogue promises. A new model is covered by its row there.

Each model is compiled once in either precision, for 32 sets of random parameters side by side, in
one of two trials, and most tests look at the probabilities that this gives. Models that only
combine parts of others are played in full only; their declarations are always checked.
"""

import pickle
import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit
from forward import as_floats, play, play_one, play_sets
from model_examples import (
    MAY_REPEAT,
    MODELS_IN_FULL,
    NOT_A_DISTRIBUTION,
    example_of,
    parameters_of,
    random_parameters,
)

from jaxcmr.models import CATALOGUE, MODELS, usual_bounds
from jaxcmr.parameters import check_limits, names_of
from jaxcmr.simulation import study
from jaxcmr.typing import MemorySearch, MemorySearchFactory

N_ITEMS, N_SETS = 4, 32
ITEMS = np.arange(1, N_ITEMS + 1)
TRIALS = np.arange(N_SETS) % 2


class Played(NamedTuple):
    """A model of the catalogue, played forward under random parameters in both precisions."""

    name: str
    factory: MemorySearchFactory
    parameters: dict[str, np.ndarray]  # (N_SETS,) each
    choices: np.ndarray  # (N_SETS, N_ITEMS + 1)
    rows: dict[bool, np.ndarray]  # probabilities before each choice, single and double precision
    values: np.ndarray  # log-likelihood of `choices` in single precision
    slopes: dict[str, np.ndarray]  # its gradient

    @property
    def first(self):
        """Parameters of the first set."""
        return {name: float(values[0]) for name, values in self.parameters.items()}


def random_choices(name):
    """Return recalls of all items in random order, half of them ended by a stop after two.

    "cmr_no_stop" never ends early: that is impossible in that model.
    """
    rng = np.random.default_rng(1)
    choices = np.array([[*rng.permutation(ITEMS), 0] for _ in range(N_SETS)])
    if name != "cmr_no_stop":
        choices[N_SETS // 2 :, 2:] = 0
    return choices


def play_one_by_one(factory, trial, items, choices, parameters):
    """Return what `play` does, asking the model for the probability of each outcome by itself."""

    def step(model, choice):
        one_by_one = jax.vmap(model.outcome_probability)(jnp.arange(N_ITEMS + 1))
        return model.retrieve(choice), one_by_one

    model = study(factory.create_trial_model(trial, parameters), items)
    return jax.lax.scan(step, model, choices)[1]


@quick_jit
def slopes_of_sets(factory, trials, items, choices, parameters):
    """Return the log-likelihood of each set, its gradient, and all outcome probabilities."""

    def log_likelihood(parameters, trial, choices):
        rows = play_one_by_one(factory, trial, items, choices, parameters)
        chosen = jnp.take_along_axis(rows, choices[:, None], axis=1)
        return jnp.sum(jnp.log(chosen)), rows

    value_and_slope = jax.vmap(jax.value_and_grad(log_likelihood, has_aux=True))
    (values, rows), slopes = value_and_slope(parameters, trials, choices)
    return values, slopes, rows


@pytest.fixture(scope="module", params=MODELS_IN_FULL)
def played(request):
    name = request.param
    data, features, _ = example_of(name, N_ITEMS, 2)
    factory = MODELS[name](data, features)
    parameters, choices = random_parameters(name, N_SETS, seed=1), random_choices(name)
    with jax.numpy_rank_promotion("raise"):
        integers = (jnp.asarray(each) for each in (TRIALS, ITEMS, choices))
        values, slopes, single = slopes_of_sets(factory, *integers, as_floats(parameters))
        with jax.enable_x64(True):
            double = play_sets(factory, TRIALS, ITEMS, choices, parameters)
    rows = {False: np.asarray(single), True: double}
    return Played(name, factory, parameters, choices, rows, np.asarray(values), slopes)


@pytest.mark.parametrize("x64", [False, True], ids=["float32", "float64"])
def test_outcome_probabilities_sum_to_one_at_every_step(played, x64):
    """Along whole recalls, edges of the bounds included. Recalled items do not come back, unless
    the model allows it; after a stop, and with nothing left, only stopping is possible."""
    rows = played.rows[x64]
    assert np.all(rows >= 0) and np.all(np.isfinite(rows))
    if played.name not in NOT_A_DISTRIBUTION:
        np.testing.assert_allclose(rows.sum(-1), 1, rtol=1e-6)
    for row, choices in zip(rows, played.choices, strict=True):
        n_recalled = np.sum(choices > 0)
        if played.name not in MAY_REPEAT:
            for step in range(1, len(choices)):
                assert np.all(row[step, choices[:step][choices[:step] > 0]] == 0)
            n_recalled -= n_recalled == N_ITEMS
        assert np.all(row[n_recalled + 1 :, 0] == 1)


def log_likelihood(rows, choices):
    """Return the log probability of each row of `choices`."""
    return np.log(np.take_along_axis(rows, choices[:, :, None], axis=2)).sum((1, 2))


def test_single_precision_is_close_to_double(played):
    """What a fit in single precision minimizes is the model; and `outcome_probability`, of which
    the single precision is, agrees with `outcome_probabilities`."""
    single, double = (log_likelihood(played.rows[x64], played.choices) for x64 in (False, True))
    np.testing.assert_allclose(single, double, atol=0.05, rtol=1e-3)


@pytest.mark.parametrize("each", [False, True], ids=["one recall", "a recall each"])
def test_many_candidates_at_once_equal_as_many_calls(played, each):
    """One text of a model serves a single parameter set and a whole population on the last axis;
    also where every candidate recalls other items, as in simulations."""
    trial, choices = TRIALS[0], played.choices if each else np.tile(played.choices[0], (N_SETS, 1))
    assert played.factory.vectorized
    with jax.enable_x64(True):
        expected = play_sets(played.factory, 0 * TRIALS, ITEMS, choices, played.parameters)
        together = choices.T if each else choices[0]
        with jax.numpy_rank_promotion("raise"):
            found = play_one(played.factory, trial, ITEMS, together, played.parameters)
    np.testing.assert_allclose(np.moveaxis(found, -1, 0), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.full
def test_compiling_changes_nothing(played):
    """A model played call by call, uncompiled, has the probabilities of the compiled batch."""
    model = played.factory.create_trial_model(jnp.array(TRIALS[0]), played.first)
    for item in ITEMS:
        model = model.experience(jnp.array(item))
    model = model.start_retrieving()
    expected, first = played.rows[False][0], played.choices[0, 0]
    np.testing.assert_allclose(model.outcome_probabilities(), expected[0], rtol=1e-3, atol=1e-6)
    after = model.retrieve(jnp.array(first)).outcome_probabilities()
    np.testing.assert_allclose(after, expected[1], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("x64", [False, True], ids=["float32", "float64"])
def test_a_step_keeps_shapes_and_dtypes(played, x64):
    """What a compiled loop needs: catches a weak type or an int that becomes a float."""

    def all_steps(choice):
        model = played.factory.create_trial_model(0, played.first)
        return (
            model,
            model.experience(choice),
            model.start_retrieving(),
            model.retrieve(choice),
        )

    with jax.enable_x64(x64):
        before, *after = jax.eval_shape(all_steps, jnp.array(1))
    form, *others = (
        jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), each)
        for each in (before, *after)
    )
    assert all(other == form for other in others)


def test_padding_is_inert(played):
    """A list has the likelihood that it has alone also beside a longer one, in seven columns for
    study and for recalls; sharply, as at sensitivity 100. (An alphabet is as long as it is, and has
    the columns only.)"""
    name = played.name
    alone, features, _ = example_of(name, N_ITEMS, 2)
    beside, vectors = dict(alone), features
    for field, values in alone.items():
        if values.shape[1] > 1:
            beside[field] = np.pad(values, ((0, 0), (0, 7 - N_ITEMS)))
    if name not in MAY_REPEAT:
        longer, _, _ = example_of(name, 7, 1)
        beside = {field: np.concatenate([beside[field], longer[field]]) for field in beside}
        if features is not None:
            vectors = np.pad(features, ((0, 3), (0, 3))) + np.diag([0, 0, 0, 0, 1, 1, 1])
            features = vectors[:N_ITEMS]
    values = parameters_of(name)
    if "choice_sensitivity" in values:
        sharp = {"choice_sensitivity": 100.0, "shared_support": 8.0, "item_support": 0.1}
        values |= {key: value for key, value in sharp.items() if key in values}
    choices = np.array([[2, 3, 0, 0, 0], [4, 1, 2, 3, 0]])
    with jax.enable_x64(True):
        sets = {key: np.full(N_SETS, value) for key, value in values.items()}
        expected = play_sets(MODELS[name](alone, features), TRIALS, ITEMS, choices[TRIALS], sets)[
            :2
        ]
        found = play_sets(
            MODELS[name](beside, vectors),
            np.arange(2),
            np.pad(ITEMS, (0, 7 - N_ITEMS)),
            np.pad(choices, ((0, 0), (0, 3))),
            {key: np.full(2, value) for key, value in values.items()},
        )
    np.testing.assert_allclose(found[:, :5, :5], expected, rtol=1e-9, atol=1e-12)
    assert np.all(found[:, :5, 5:] == 0)
    at = (found[:, :5, :5] > 0.01) & (found[:, :5, :5] < 0.99)
    assert np.any(at)


def test_gradients_are_finite_and_reach_every_parameter(played):
    """Of the log-likelihood, edges of the bounds included, in single precision, the narrower one.
    A parameter whose gradient is 0 in every set is declared, but has no effect."""
    assert np.all(np.isfinite(played.values))
    for name, slope in played.slopes.items():
        assert np.all(np.isfinite(slope)), name
        if name != "out_list_rate":  # which acts on repeated items, and there are none here
            assert np.any(slope != 0), name


@pytest.mark.full
def test_gradients_equal_finite_differences(played):
    """Inside the bounds, in double precision: catches an operation that loses its gradient."""
    middle = parameters_of(played.name)
    names, step = list(middle), 1e-6
    sets = np.tile(list(middle.values()), (2 * len(names) + 1, 1))
    sets[1:] += step * np.concatenate([np.eye(len(names)), -np.eye(len(names))])
    choices = np.tile(played.choices[0], (len(sets), 1))
    with jax.enable_x64(True):
        integers = (jnp.asarray(each) for each in (np.zeros(len(sets), int), ITEMS, choices))
        values, slopes, _ = slopes_of_sets(
            played.factory, *integers, as_floats(dict(zip(names, sets.T, strict=True)))
        )
    above, below = np.asarray(values)[1:].reshape(2, -1)
    found = [slopes[name][0] for name in names]
    np.testing.assert_allclose(found, (above - below) / (2 * step), rtol=1e-5, atol=1e-6)


# -- contracts and declarations, of every model --


def make_example(name):
    """Return the factory of a model for lists of four items, and parameter values."""
    data, features, values = example_of(name, N_ITEMS, 2)
    return MODELS[name](data, features), values


@pytest.mark.parametrize("name", CATALOGUE)
def test_models_follow_the_protocol(name):
    factory, values = make_example(name)
    assert isinstance(factory, MemorySearchFactory)
    model = jax.eval_shape(factory.create_trial_model, 0, values)
    assert isinstance(model, MemorySearch)
    assert jax.eval_shape(lambda model: model.activations(), model).shape == (N_ITEMS,)


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_declared_parameters_are_those_read(name):
    """Models can be made from them alone, and from no fewer; declared before and after data."""
    factory, values = make_example(name)
    declared = names_of(MODELS[name].parameters)
    assert declared == names_of(factory.parameters) == tuple(values)
    shape = jax.eval_shape(play, factory, 0, ITEMS, np.array([2, 1, 3, 0]), values).shape
    assert shape == (N_ITEMS, N_ITEMS + 1)
    for missing in declared:
        rest = {name: value for name, value in values.items() if name != missing}
        with pytest.raises(KeyError, match=missing):
            jax.eval_shape(factory.create_trial_model, 0, rest)


@pytest.mark.parametrize("name", CATALOGUE)
def test_declarations_say_what_a_parameter_does(name):
    """In a sentence that fits in a line, with a symbol of its own, and bounds inside the limits."""
    declared = CATALOGUE[name].parameters
    for parameter in declared:
        assert re.fullmatch(r"[A-Z].{1,98}\.", parameter.meaning), parameter
        assert parameter.symbol and parameter.low < parameter.high
        check_limits({parameter.name: parameter.bounds}, [parameter])
        if parameter.name.endswith("drift_rate"):
            assert parameter.limits == (0.0, 1.0)
        if parameter.high == 100:  # most values of a strength are small: ratios matter
            assert parameter.scale == "log"
    assert len({parameter.symbol for parameter in declared}) == len(declared)
    assert len(set(names_of(declared))) == len(declared)
    assert usual_bounds(name) == {parameter.name: parameter.bounds for parameter in declared}


def test_models_that_share_a_name_mean_the_same():
    """Except for the stop parameters of a rule in which they do something else."""
    other_rule = {"stop_probability_scale", "stop_probability_growth"}
    declared = {}
    for name, model in CATALOGUE.items():
        for parameter in model.parameters:
            if name == "cmr_support_ratio" and parameter.name in other_rule:
                assert parameter != declared[parameter.name]
                continue
            assert parameter == declared.setdefault(parameter.name, parameter), name


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_factory_survives_pickling(name):
    """Equal to itself, with an equal hash, so that workers share compiled programs; and so does
    the factory that it returns for data."""
    maker, (factory, _) = MODELS[name], make_example(name)
    again = pickle.loads(pickle.dumps(maker))
    assert again == maker and hash(again) == hash(maker)
    assert sum(each == maker for each in MODELS.values()) == 1
    copy = pickle.loads(pickle.dumps(factory))
    assert jax.tree.structure(copy) == jax.tree.structure(factory)
