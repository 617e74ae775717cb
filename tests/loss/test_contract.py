"""What every loss of the shelf promises. A new loss is covered by its line in LOSSES."""

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
