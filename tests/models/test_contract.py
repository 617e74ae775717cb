"""What every model of the shelf promises. A new model is covered by its line in MODELS."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit
from model_examples import MAY_REPEAT, NOT_A_DISTRIBUTION, example_of, parameters_of

from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.models import MODELS, usual_bounds
from jaxcmr.optimize import Box
from jaxcmr.parameters import check_limits
from jaxcmr.simulation import study
from jaxcmr.typing import MemorySearch

ITEMS = jnp.arange(1, 5)


def random_parameters(name, rng):
    """Uniform inside the usual bounds, with an edge now and then, as far as single precision can
    hold it: 1 - 2e-16 would be 1."""
    bounds = usual_bounds(name)
    with jax.enable_x64(False):
        box = Box.from_bounds(list(bounds.values()))
    values = {}
    for parameter, low, high in zip(bounds, box.lower, box.upper, strict=True):
        unit = rng.choice([0.0, 1.0, rng.random()], p=[0.15, 0.15, 0.7])
        values[parameter] = float(np.float32(low + unit * (high - low)))
    return values


@pytest.fixture(params=MODELS)
def name(request):
    return request.param


def factory_of(name):
    data, features, _ = example_of(name, 4, 2)
    return MODELS[name](data, features)


def studied(name, parameters):
    factory = factory_of(name)
    return study(factory.create_trial_model(jnp.array(0), parameters), ITEMS)


def test_models_follow_the_protocol(name):
    model = factory_of(name).create_trial_model(
        jnp.array(0), random_parameters(name, np.random.default_rng(0))
    )
    assert isinstance(model, MemorySearch)


def test_outcome_probabilities_sum_to_one_at_every_step(name, x64):
    """Along random recalls under random parameters, edges included; one by one they agree with
    `outcome_probability`; what was recalled does not come back."""

    @quick_jit
    def recalled(parameters, order):
        def step(model, choice):
            one_by_one = jax.lax.map(model.outcome_probability, jnp.arange(5))
            return model.retrieve(choice), (model.outcome_probabilities(), one_by_one)

        model, along = jax.lax.scan(step, studied(name, parameters), order)
        return *along, model.outcome_probability(jnp.array(0))

    rng = np.random.default_rng(1)
    for _ in range(20):
        order = rng.permutation(4) + 1
        steps, one_by_one, stops = recalled(random_parameters(name, rng), order)
        assert np.all(steps >= 0) and np.all(np.isfinite(steps))
        if name not in NOT_A_DISTRIBUTION:
            np.testing.assert_allclose(steps.sum(1), 1, rtol=1e-6)
        np.testing.assert_allclose(one_by_one, steps, rtol=1e-9 if x64 else 1e-5, atol=1e-30)
        if name not in MAY_REPEAT:
            assert all(np.all(steps[i + 1 :, item] == 0) for i, item in enumerate(order))
            assert stops == 1


def test_a_step_keeps_shapes_and_dtypes(name, x64):
    """What a compiled loop needs: catches a weak type or an int that becomes a float."""
    parameters = random_parameters(name, np.random.default_rng(2))

    def form_after(step):
        model = jax.eval_shape(lambda: step(studied(name, parameters)))
        return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), model)

    before = form_after(lambda model: model)
    assert form_after(lambda model: model.experience(ITEMS[0])) == before
    assert form_after(lambda model: model.start_retrieving()) == before
    assert form_after(lambda model: model.retrieve(ITEMS[0])) == before


def test_jit_and_vmap_change_nothing(name):
    """A batch of parameter sets gives each set's own probabilities. (Uncompiled, those one by one
    are the same bit for bit.)"""
    rng = np.random.default_rng(3)
    sets = [random_parameters(name, rng) for _ in range(4)]
    stacked = {key: jnp.asarray([values[key] for values in sets]) for key in sets[0]}
    batched = jax.jit(jax.vmap(lambda p: studied(name, p).outcome_probabilities()))(stacked)
    factory = factory_of(name)
    for row, values in zip(batched, sets, strict=True):
        model = factory.create_trial_model(jnp.array(0), values)
        for item in ITEMS:
            model = model.experience(item)
        model = model.start_retrieving()
        plain = model.outcome_probabilities()
        np.testing.assert_allclose(row, plain, rtol=1e-3, atol=1e-6)
        one_by_one = [model.outcome_probability(choice) for choice in jnp.arange(5)]
        np.testing.assert_array_equal(one_by_one, plain)


def test_strengths_are_searched_on_a_logarithmic_scale(name):
    """Parameters that may be as large as 100 and mostly are not: on a linear scale a search would
    hardly look below 1."""
    scales = factory_of(name).parameter_scales
    strengths = [parameter for parameter, (_, high) in usual_bounds(name).items() if high == 100]
    assert strengths and all(scales[parameter] == "log" for parameter in strengths)


def nll_of(name, data, features, parameters):
    generator = MemorySearchLikelihoodFnGenerator(MODELS[name], data, features)
    return np.asarray(generator.nll_per_event(np.arange(len(data["recalls"])), parameters))


def two_trials(name):
    """Four-item lists with two recalls, and with as many as there are items."""
    data, features, _ = example_of(name, 4, 2)
    data["recalls"][:] = [[2, 3, 0, 0], [4, 1, 2, 3]]
    return data, features


def test_padding_is_inert(name):
    """A list has the likelihood that it has alone also beside a longer one, in seven columns for
    study and for recalls; sharply, as at sensitivity 100. (An alphabet is as long as it is, and has
    the columns only.)"""
    alone, features = two_trials(name)
    beside = {
        field: np.pad(values, ((0, 0), (0, 7 - values.shape[1] if values.shape[1] > 1 else 0)))
        for field, values in alone.items()
    }
    vectors = features
    if name not in MAY_REPEAT:
        longer, _, _ = example_of(name, 7, 1)
        beside = {field: np.concatenate([beside[field], longer[field]]) for field in beside}
        if features is not None:
            vectors = np.pad(features, ((0, 3), (0, 3))) + np.diag([0, 0, 0, 0, 1, 1, 1])
            features = vectors[:4]
    parameters = parameters_of(name)
    if "choice_sensitivity" in parameters:
        parameters |= {"choice_sensitivity": 100.0, "shared_support": 8.0, "item_support": 0.1}
        parameters = {key: parameters[key] for key in usual_bounds(name)}
    with jax.enable_x64(True):
        expected = nll_of(name, alone, features, parameters)
        found = nll_of(name, beside, vectors, parameters)[:2]
    np.testing.assert_allclose(found[:, :4], expected, rtol=1e-9, atol=1e-12)
    assert np.all(found[:, 5:] == 0) and np.any(expected > 0.1)


def test_one_trace_serves_all_trials_and_parameters(name):
    """Which trial, and every value, is known only to the compiled program: catches a model that
    asks Python."""
    traces = []
    factory = factory_of(name)

    @quick_jit
    def first_outcomes(trial, parameters):
        traces.append(1)
        model = study(factory.create_trial_model(trial, parameters), ITEMS)
        return model.outcome_probabilities()

    rng = np.random.default_rng(5)
    for trial in (0, 1, 0):
        assert np.all(np.isfinite(first_outcomes(trial, random_parameters(name, rng))))
    assert len(traces) == 1


def test_single_precision_is_close_to_double(name):
    """The likelihood of two trials, at 30 random parameter sets and edges of the bounds: what a fit
    in single precision minimises is the model."""
    data, features = two_trials(name)
    if name == "cmr_no_stop":  # which finds stopping early impossible
        data["recalls"][0] = [2, 3, 1, 4]
    rng = np.random.default_rng(6)
    sets = [random_parameters(name, rng) for _ in range(30)]
    single = [nll_of(name, data, features, values).sum() for values in sets]
    with jax.enable_x64(True):
        double = [nll_of(name, data, features, values).sum() for values in sets]
    np.testing.assert_allclose(single, double, atol=0.05, rtol=1e-3)


def test_parameter_names_are_what_it_reads(name):
    """Each named parameter is needed, none is left out."""
    factory = factory_of(name)
    values = random_parameters(name, np.random.default_rng(4))
    factory.create_trial_model(jnp.array(0), {key: values[key] for key in factory.parameter_names})
    for missing in factory.parameter_names:
        rest = {key: values[key] for key in factory.parameter_names if key != missing}
        with pytest.raises(KeyError, match=missing):
            factory.create_trial_model(jnp.array(0), rest)


def test_usual_bounds_are_inside_the_limits(name):
    """Those of the drift rates are 0 and 1; every limit is of a parameter of some model."""
    limits = factory_of(name).parameter_limits
    check_limits(usual_bounds(name), limits)
    rates = [parameter for parameter in usual_bounds(name) if parameter.endswith("drift_rate")]
    assert rates and all(limits[parameter] == (0.0, 1.0) for parameter in rates)


def test_a_factory_survives_pickling(name):
    """Equal to itself, with an equal hash, so that workers share compiled programs; and so does
    what it makes of data."""
    again = pickle.loads(pickle.dumps(MODELS[name]))
    assert again == MODELS[name] and hash(again) == hash(MODELS[name])
    others = [each for each in MODELS.values() if each == MODELS[name]]
    assert len(others) == 1
    made = factory_of(name)
    copy = pickle.loads(pickle.dumps(made))
    assert jax.tree.structure(copy) == jax.tree.structure(made)


def test_shapes_are_written_out(name):
    """Nothing relies on NumPy's promotion of ranks, which JAX can be told to refuse."""
    data, features = two_trials(name)
    with jax.numpy_rank_promotion("raise"):
        generator = MemorySearchLikelihoodFnGenerator(MODELS[name], data, features)
        loss = generator(np.arange(2), {}, tuple(usual_bounds(name)))
        for n_candidates in (3, 48):
            x = jnp.ones((len(usual_bounds(name)), n_candidates))
            jax.eval_shape(jax.grad(lambda x: jnp.sum(loss(x))), x)
        generator.nll_per_event(np.arange(2), parameters_of(name))
