"""What every loss of the shelf promises. A new loss is covered by its line in LOSSES."""

import pickle
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import quick_jit
from model_examples import example_of, parameters_of

from jaxcmr.fitting import make_subject_trial_masks
from jaxcmr.loss import LOSSES
from jaxcmr.models import MODELS, usual_bounds
from jaxcmr.optimize import Box


def mean_position(recalls, fields, is_trial):
    """Mean study position of each output: NaN where there is none."""
    return recalls.sum(0) / (recalls > 0).sum(0)


OPTIONS = {
    "category_spc_mse": {"category_field": "category", "n_simulations": 3},
    "spc_mse": {"n_simulations": 3},
    "set_likelihood": {"n_orders": 6},
    "summary_mse": {"summary": mean_position, "n_simulations": 3},
}
"""What a loss needs from its user, and what makes it quick here."""
LIKELIHOODS = ("sequence_likelihood", "set_likelihood", "confusable_likelihood")
BY_EVENT = "sequence_likelihood, recalls only"  # as the default has a path of its own
MODEL_OF = {"confusable_likelihood": "confusable_cru"}
"""The model that a loss is tried with, if it is not CMR."""
VARIANTS = {name: partial(make, **OPTIONS.get(name, {})) for name, make in LOSSES.items()} | {
    BY_EVENT: partial(LOSSES["sequence_likelihood"], events="recalls")
}

evaluate = quick_jit(lambda loss, x: loss(x))
slope = quick_jit(lambda loss, x: jax.value_and_grad(lambda x: loss(x))(x))


@pytest.fixture(params=VARIANTS)
def name(request):
    return request.param


@pytest.fixture
def model(name):
    return MODEL_OF.get(name, "cmr")


@pytest.fixture
def names(model):
    return tuple(usual_bounds(model))


@pytest.fixture(scope="module")
def data(small_data):
    """With categories and letters, and without recalls in trial 13, the only one of its subject."""
    recalls = small_data["recalls"].copy()
    recalls[13] = 0
    category = np.tile([1, 2, 1, 2, 1, 2], (len(recalls), 1))
    letters = {"pres_itemids": small_data["pres_itemnos"], "rec_itemids": recalls}
    return {**small_data, **letters, "recalls": recalls, "category": category}


@pytest.fixture
def generator(name, model, data):
    return VARIANTS[name](MODELS[model], data, example_of(model, 6, 1)[1])


def candidates(model, n, edges=0.0):
    """Parameter vectors inside the usual bounds, (n_params, n); some coordinates on a bound."""
    rng = np.random.default_rng(3)
    bounds = np.array(list(usual_bounds(model).values()))
    unit = rng.random((len(bounds), n))
    unit = np.where(rng.random(unit.shape) < edges, np.round(unit), unit)
    return Box.from_bounds(bounds).to_user(jnp.asarray(unit).T).T


def test_no_trial_adds_nothing(generator, model, names):
    """-1 wherever it stands; a set of nothing else has a loss of 0. A trial without recalls and a
    subject with one trial have finite losses, the same alone as padded."""
    x = candidates(model, 4)
    for trials in ([*range(9)], [13], [2]):
        plain = evaluate(generator(np.asarray(trials), {}, names), x)
        assert np.all(np.isfinite(plain))
        padded = generator(np.array([-1, *trials, *[-1] * (11 - len(trials))]), {}, names)
        np.testing.assert_allclose(evaluate(padded, x), plain, rtol=1e-5, atol=1e-6)
    assert evaluate(generator(np.full(12, -1), {}, names), x).tolist() == [0] * 4


def test_one_vector_or_many_and_always_the_same(name, generator, model, names, data):
    """`(n_params,)` gives a scalar, `(n_params, n)` n of them, and a second generator the same
    bits: a loss is a function."""
    x = candidates(model, 4)
    loss = generator(np.arange(9), {}, names)
    many = evaluate(loss, x)
    again = VARIANTS[name](MODELS[model], data, example_of(model, 6, 1)[1])
    np.testing.assert_array_equal(evaluate(again(np.arange(9), {}, names), x), many)
    one = evaluate(loss, x[:, 1])
    assert one.shape == () and many.shape == (4,)
    np.testing.assert_allclose(one, many[1], rtol=1e-4)


def test_one_program_serves_all_subjects(generator, model, names, data):
    """Subjects with unequal trials, filled up to equally many. Catches a loss that closes over its
    trials, or has shapes of its own."""
    traces = []

    @quick_jit
    def counted(loss, x):
        traces.append(1)
        return loss(x)

    masks, subjects = make_subject_trial_masks(np.ones(20, bool), data["subject"])
    for mask in masks:
        trials = np.flatnonzero(mask)
        padded = np.append(trials, np.full(9 - len(trials), -1))
        counted(generator(padded, {}, names), candidates(model, 2))
    assert len(subjects) == 4 and len(traces) == 1


def test_slopes_are_finite_or_disowned(name, generator, model, names):
    """A loss without a slope says so, itself and its generator. The others have finite values and
    slopes all over the usual box, a third of the coordinates on a bound."""
    loss = generator(np.arange(9, 20), {}, names)
    has_slope = getattr(loss, "has_slope", True)
    assert has_slope == getattr(generator, "has_slope", True) == ("mse" not in name)
    if has_slope:
        for x in candidates(model, 40, edges=0.35).T:
            value, jac = slope(loss, x)
            assert np.isfinite(value) and np.all(np.isfinite(jac))


@pytest.mark.parametrize("name", [*LIKELIHOODS, BY_EVENT], indirect=True)
def test_terms_sum_to_the_loss(generator, model):
    """Rows in the order of the trials, 0 for -1; double or single precision as asked for."""
    trials, parameters = np.array([19, -1, 13, 4, 0]), parameters_of(model)
    double, single = (
        generator.pointwise_log_likelihood(trials, parameters, precision)
        for precision in ("float64", "float32")
    )
    assert (double.dtype, single.dtype) == (np.float64, np.float32)
    assert double.shape[0] == 5 and not double[1].any() and np.all(double <= 0)
    np.testing.assert_allclose(single, double, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(single, -generator.nll_per_event(trials, parameters))
    for row, trial in zip(double, trials, strict=True):
        loss = generator(np.array([trial]), parameters, ())
        np.testing.assert_allclose(row.sum(), -evaluate(loss, jnp.zeros(0)), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [*LIKELIHOODS, BY_EVENT], indirect=True)
def test_terms_of_many_parameter_sets_are_those_of_each(generator, model):
    """In double precision, of 35 sets, some parameters with one value for all."""
    trials, parameters = np.array([19, -1, 13]), parameters_of(model)
    rates = np.linspace(0.05, 0.95, 35)
    sets = {**parameters, "learning_rate": rates, "encoding_drift_rate": rates[::-1]}
    many = generator.pointwise_log_likelihood(trials, sets)
    assert many.shape[:2] == (35, 3) and not many[:, 1].any()
    for i in (0, 15, 16, 34):
        one = {**sets, "learning_rate": rates[i], "encoding_drift_rate": rates[34 - i]}
        alone = generator.pointwise_log_likelihood(trials, one)
        np.testing.assert_allclose(many[i], alone, rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match="as many as the others"):
        generator.pointwise_log_likelihood(trials, {**sets, "encoding_drift_rate": [0.1, 0.2]})


def test_what_a_generator_says_of_itself(name, generator, data):
    """Its label, how close losses agree, and how many events each trial has: none for -1."""
    is_likelihood = "likelihood" in name
    assert (generator.label, generator.agree_within) == (
        ("NLL", 0.05) if is_likelihood else ("MSE", 1e-4)
    )
    trials = np.array([4, -1, 13])
    n_recalls = (data["recalls"] > 0).sum(1)
    stops = n_recalls < 6
    expected = {
        "sequence_likelihood": n_recalls + stops,
        "confusable_likelihood": n_recalls + stops,
        "set_likelihood": np.ones(20, int),
    }.get(name, n_recalls)[trials]
    expected[1] = 0
    assert generator.count_events(trials).tolist() == expected.tolist()
    assert generator.parameter_limits["learning_rate"] == (0.0, 1.0)
    assert set(generator.parameter_scales) >= {"item_support"}


def test_a_generator_survives_pickling(generator, model, names):
    """With the same losses, bit for bit: for worker processes."""
    again = pickle.loads(pickle.dumps(generator))
    x = candidates(model, 3)
    losses = [each(np.arange(9), {}, names) for each in (generator, again)]
    np.testing.assert_array_equal(evaluate(losses[0], x), evaluate(losses[1], x))


@pytest.mark.parametrize("trials", [[True, False], [0.0, 1.0], [[0, 1]], 3, ["0"]])
def test_trials_are_row_numbers(generator, trials):
    """A mask or floats would select other trials in silence."""
    for take in (lambda t: generator(t, {}, ()), generator.count_events):
        with pytest.raises(ValueError, match="row numbers"):
            take(np.array(trials))


def test_no_term_outside_the_limits_of_the_model(generator, model):
    """The error names the parameter, its value and the limits."""
    if hasattr(generator, "nll_per_event"):
        parameters = {**parameters_of(model), "recall_drift_rate": 1.001}
        for terms in (generator.nll_per_event, generator.pointwise_log_likelihood):
            with pytest.raises(ValueError, match=r"'recall_drift_rate' is 1.001.*0.0 to 1.0"):
                terms(np.array([0]), parameters)


@pytest.mark.parametrize("seed", [-1, 2**32, 2**64, 0.5, True, "0"])
@pytest.mark.parametrize("name", ["set_likelihood", "spc_mse", "category_spc_mse", "summary_mse"])
def test_seeds_that_would_be_cut_are_refused(name, data, seed):
    with pytest.raises(ValueError, match="4294967295"):
        VARIANTS[name](MODELS["cmr"], data, seed=seed)


def test_zeros_behind_recalls_change_nothing(name, model, data, names):
    """Cut off after three outputs, and with up to four zeros behind: the same losses, slopes and
    numbers of events. Catches a stop that is scored only where a column is free."""
    x = candidates(model, 3)
    losses, counts = [], []
    for padding in (0, 1, 4):
        cut = {
            field: np.pad(data[field][:, :3], ((0, 0), (0, padding)))
            for field in ("recalls", "rec_itemids")
        }
        made = VARIANTS[name](MODELS[model], {**data, **cut}, example_of(model, 6, 1)[1])
        losses.append(evaluate(made(np.arange(20), {}, names), x))
        counts.append(made.count_events(np.arange(20)).tolist())
        assert np.any(cut["recalls"][:, 2] > 0)
    if name != "summary_mse":  # whose summary has a value for each output
        for padded, count in zip(losses[1:], counts[1:], strict=True):
            np.testing.assert_allclose(padded, losses[0], rtol=1e-5)
            assert count == counts[0]


@pytest.mark.parametrize("name", [*LIKELIHOODS, BY_EVENT], indirect=True)
def test_terms_of_all_subjects_share_a_program(name, model, data):
    """As many calls of the model's factory for three sets of trials as for one."""
    calls = []

    class Counting(eqx.Module):
        factory: eqx.Module

        @property
        def choices_are_ids(self):
            return getattr(self.factory, "choices_are_ids", False)

        def create_trial_model(self, trial_index, parameters):
            calls.append(1)
            return self.factory.create_trial_model(trial_index, parameters)

    def make(dataset, features):
        return Counting(MODELS[model](dataset, example_of(model, 6, 1)[1]))

    generator, parameters = VARIANTS[name](make, data), parameters_of(model)
    generator.pointwise_log_likelihood(np.array([0, 1, 2]), parameters)
    after_first = len(calls)
    for trials in ([13, -1, -1], [19, 18, -1]):
        generator.pointwise_log_likelihood(np.array(trials), parameters)
    assert len(calls) == after_first > 0
