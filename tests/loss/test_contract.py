"""What every loss of the shelf promises. A new loss is covered by its line in LOSSES."""

import pickle
from functools import partial

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
from jaxcmr.typing import LossFnGenerator


def mean_position(recalls, fields, is_trial):
    """Return the mean study position of each output: NaN without recalls."""
    return recalls.sum(0) / (recalls > 0).sum(0)


OPTIONS = {
    "category_spc_mse": {"category_field": "category", "n_simulations": 3},
    "spc_mse": {"n_simulations": 3},
    "set_likelihood": {"n_orders": 6},
    "summary_mse": {"summary": mean_position, "n_simulations": 3},
}
"""What a loss needs from its user, and what makes it quick here."""
MODEL_OF = {"confusable_likelihood": "confusable_cru"}
"""The model that a loss is tried with, if it is not CMR."""
BY_EVENT = "sequence_likelihood, recalls only"  # as the default has a path of its own
VARIANTS = {name: partial(make, **OPTIONS.get(name, {})) for name, make in LOSSES.items()} | {
    BY_EVENT: partial(LOSSES["sequence_likelihood"], events="recalls")
}
LIKELIHOODS = ("sequence_likelihood", "set_likelihood", "confusable_likelihood", BY_EVENT)
N = 12  # trials of a set: sets of equally many share a program


def mark_full(names, costly):
    """Return the names of losses as cases of a test, those in `costly` for the whole suite."""
    return [pytest.param(n, marks=[pytest.mark.full] if n in costly else []) for n in names]


evaluate = quick_jit(lambda loss, x: loss(x))
gradient = quick_jit(lambda loss, x: jax.value_and_grad(lambda x: loss(x))(x))


@pytest.fixture(scope="module")
def data(small_data):
    """With categories and letters, and without recalls in trial 13, the only one of its subject."""
    recalls = small_data["recalls"].copy()
    recalls[13] = 0
    category = np.tile([1, 2, 1, 2, 1, 2], (len(recalls), 1))
    letters = {"pres_itemids": small_data["pres_itemnos"], "rec_itemids": recalls}
    return {**small_data, **letters, "recalls": recalls, "category": category}


@pytest.fixture(params=VARIANTS, scope="module")
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model(name):
    return MODEL_OF.get(name, "cmr")


@pytest.fixture(scope="module")
def names(model):
    return tuple(usual_bounds(model))


@pytest.fixture(scope="module")
def generator(name, model, data):
    return make_generator(name, model, data)


def make_generator(name, model, data):
    return VARIANTS[name](MODELS[model], data, example_of(model, 6, 1)[1])


def padded(trials):
    return np.append(trials, np.full(N - len(trials), -1)).astype(int)


def candidates(model, n, edges=0.0):
    """Return parameter vectors inside the usual bounds, (n_params, n); some on a bound."""
    rng = np.random.default_rng(3)
    bounds = np.array(list(usual_bounds(model).values()))
    unit = rng.random((len(bounds), n))
    unit = np.where(rng.random(unit.shape) < edges, np.round(unit), unit)
    return Box.from_bounds(bounds).to_user(jnp.asarray(unit).T).T


def test_no_trial_adds_nothing(generator, model, names):
    """-1 in any place; a set of nothing else has a loss of 0. A trial without recalls and a
    subject with one trial have finite losses."""
    x = candidates(model, 4)
    plain = evaluate(generator(padded(np.arange(9)), {}, names), x)
    elsewhere = np.concatenate([[-1], np.arange(5), [-1], np.arange(5, 9), [-1]])
    np.testing.assert_array_equal(evaluate(generator(elsewhere, {}, names), x), plain)
    for trials in ([13], [2]):
        assert np.all(np.isfinite(evaluate(generator(padded(trials), {}, names), x)))
    assert evaluate(generator(np.full(N, -1), {}, names), x).tolist() == [0] * 4


@pytest.mark.full
def test_padding_changes_nothing(generator, model, names):
    """Nine trials have the loss that they have with three of padding."""
    x = candidates(model, 4)
    losses = [evaluate(generator(t, {}, names), x) for t in (np.arange(9), padded(np.arange(9)))]
    np.testing.assert_allclose(*losses, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "name", mark_full(VARIANTS, ("category_spc_mse", "summary_mse")), indirect=True
)
def test_one_vector_or_many(generator, model, names):
    """``(n_params,)`` gives a scalar, ``(n_params, n)`` n of them."""
    x = candidates(model, 4)
    loss = generator(padded(np.arange(9)), {}, names)
    many, one = evaluate(loss, x), evaluate(loss, x[:, 1])
    assert one.shape == () and many.shape == (4,)
    np.testing.assert_allclose(one, many[1], rtol=1e-4)


def test_a_loss_is_a_function(name, generator, model, names, data):
    """Another generator of the same data gives the same bits; so does one that was pickled, as for
    worker processes."""
    x, trials = candidates(model, 4), padded(np.arange(9))
    losses = [
        evaluate(made(trials, {}, names), x).tolist()
        for made in (
            generator,
            make_generator(name, model, data),
            pickle.loads(pickle.dumps(generator)),
        )
    ]
    assert losses[0] == losses[1] == losses[2]


def test_one_program_serves_all_subjects(generator, names, data):
    """Subjects with unequal trials, padded to equally many, have losses that differ in the values
    of their arrays only. Catches a loss that closes over its trials, or has shapes of its own."""
    masks, subjects = make_subject_trial_masks(np.ones(20, bool), data["subject"])
    losses = [generator(padded(np.flatnonzero(mask)), {}, names) for mask in masks]
    programs = [
        (jax.tree.structure(loss), [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(loss)])
        for loss in losses
    ]
    assert len(subjects) == 4 and all(program == programs[0] for program in programs)


@pytest.mark.parametrize(
    "name", mark_full(LIKELIHOODS, ("set_likelihood", BY_EVENT)), indirect=True
)
def test_gradients_are_finite(generator, model, names):
    """All over the usual bounds, a third of the coordinates on a bound."""
    loss = generator(np.arange(9, 20), {}, names)
    for x in candidates(model, 40, edges=0.35).T:
        value, jac = gradient(loss, x)
        assert np.isfinite(value) and np.all(np.isfinite(jac))


@pytest.mark.parametrize("name", mark_full(LIKELIHOODS, BY_EVENT), indirect=True)
def test_terms_sum_to_the_loss(generator, model, names):
    """Rows in the order of the trials, 0 for -1."""
    trials, parameters = np.array([19, -1, 13, 4, 0]), parameters_of(model)
    terms = generator.pointwise_log_likelihood(trials, parameters)
    assert terms.dtype == np.float64 and np.all(terms <= 0)
    assert len(terms) == 5 and not terms[1].any() and not np.signbit(terms[1]).any()
    x = jnp.tile(jnp.array([parameters[n] for n in names])[:, None], (1, 4))
    for row, trial in zip(terms, trials, strict=True):
        loss = evaluate(generator(padded([trial]), {}, names), x)[0]
        np.testing.assert_allclose(row.sum(), -loss, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", mark_full(LIKELIHOODS, LIKELIHOODS[:3]), indirect=True)
def test_terms_of_many_parameter_sets_are_those_of_each(generator, model):
    """In double precision, of 35 sets, some parameters with one value for all."""
    trials, parameters = np.array([19, -1, 13, 4, 0]), parameters_of(model)
    rates = np.linspace(0.05, 0.95, 35)
    sets = {**parameters, "learning_rate": rates, "encoding_drift_rate": rates[::-1]}
    many = generator.pointwise_log_likelihood(trials, sets)
    assert many.shape[:2] == (35, 5) and not many[:, 1].any()
    for i in (0, 15, 16, 34):
        one = {**sets, "learning_rate": rates[i], "encoding_drift_rate": rates[34 - i]}
        alone = generator.pointwise_log_likelihood(trials, one)
        np.testing.assert_allclose(many[i], alone, rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match="as many as the others"):
        generator.pointwise_log_likelihood(trials, {**sets, "encoding_drift_rate": [0.1, 0.2]})


def test_what_a_generator_declares(name, generator, data):
    """It is a `LossFnGenerator` with its label, how close losses agree, whether they have a
    gradient, the model's parameters, and how many events each trial has: none for -1."""
    assert isinstance(generator, LossFnGenerator)
    assert (generator.label, generator.agree_within, generator.differentiable) == (
        ("NLL", 0.05, True) if "likelihood" in name else ("MSE", 1e-4, False)
    )
    limits = {parameter.name: parameter.limits for parameter in generator.parameters}
    assert limits["recall_drift_rate"] == (0.0, 1.0)
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
    assert generator.counted == {
        "sequence_likelihood": "scored recalls and stops",
        "confusable_likelihood": "scored recalls and stops",
        "set_likelihood": "recalled sets, one per list",
        BY_EVENT: "scored recalls",
    }.get(name, "scored events")


def test_invalid_trials_and_parameters_are_an_error(name, generator, model):
    """A mask is not row numbers. Terms need all parameters, inside the limits of the model; a loss
    that is not a likelihood has none."""
    for take in (lambda trials: generator(trials, {}, ()), generator.count_events):
        with pytest.raises(ValueError, match="row numbers"):
            take(np.array([True, False]))
    outside = {**parameters_of(model), "recall_drift_rate": 1.001}
    message = r"'recall_drift_rate' is 1.001.*0.0 to 1.0"
    with pytest.raises(ValueError, match=message if name in LIKELIHOODS else "not a likelihood"):
        generator.pointwise_log_likelihood(np.array([0]), outside)


@pytest.mark.parametrize("name", ["set_likelihood", "spc_mse", "category_spc_mse", "summary_mse"])
def test_seeds_of_more_than_32_bits_are_an_error(name, data):
    with pytest.raises(ValueError, match="4294967295"):
        VARIANTS[name](MODELS["cmr"], data, seed=2**32)


@pytest.mark.parametrize(
    "name",
    mark_full(VARIANTS, ("category_spc_mse", "summary_mse", "confusable_likelihood", BY_EVENT)),
    indirect=True,
)
def test_zeros_behind_recalls_change_nothing(name, model, data, names):
    """Cut off after three outputs, and with two zeros behind: the same losses and numbers of
    events. Catches a stop that is scored only where a column is free."""
    x = candidates(model, 3)
    losses, counts = [], []
    for padding in (0, 2):
        cut = {
            field: np.pad(data[field][:, :3], ((0, 0), (0, padding)))
            for field in ("recalls", "rec_itemids")
        }
        made = make_generator(name, model, {**data, **cut})
        losses.append(evaluate(made(np.arange(20), {}, names), x))
        counts.append(made.count_events(np.arange(20)).tolist())
        assert np.any(cut["recalls"][:, 2] > 0)
    assert counts[0] == counts[1]
    if name != "summary_mse":  # whose summary has a value for each output
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
