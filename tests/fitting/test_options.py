"""Everything that can be wrong in a call of a fitter is said before anything is compiled."""

import numpy as np
import pytest

from jaxcmr.fitting import DEFAULTS, JaxDE, ScipyDE, make_subject_trial_masks
from jaxcmr.fitting._trials import stack_trials
from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.models import MODELS, usual_bounds

BOUNDS = {"encoding_drift_rate": [0.0, 1.0]}


@pytest.fixture(params=[JaxDE, ScipyDE])
def build(request, small_data, parameters):
    """Builds a fitter, with something in its arguments replaced."""

    def make(hyperparams=None, base_params=None, data=None):
        return request.param(
            small_data if data is None else data,
            None,
            parameters if base_params is None else base_params,
            MODELS["cmr"],
            MemorySearchLikelihoodFnGenerator,
            {"bounds": BOUNDS, "progress_bar": False, **(hyperparams or {})},
        )

    return make


@pytest.mark.parametrize(
    ("hyperparams", "message"),
    [
        ({"pop_sise": 10}, "Unknown hyperparameter 'pop_sise'. Did you mean 'pop_size'?"),
        ({"bounds": {}}, "'bounds' must be a dict"),
        ({"bounds": {"encoding_drift_rate": [1.0, 0.0]}}, r"low < high; got \[1.0, 0.0\]"),
        ({"bounds": {"encoding_drift_rate": [0.5, 0.5]}}, "low < high.*base_params instead"),
        ({"bounds": {"encoding_drift_rate": [0.0, np.inf]}}, "must be finite"),
        ({"bounds": {"encoding_drift_rate": [0.0]}}, r"must be \[low, high\]; got \[0.0\]"),
        (
            {"bounds": {"encoding_drift_rte": [0.0, 1.0]}},
            "no parameter 'encoding_drift_rte'.* Did you mean 'encoding_drift_rate'?",
        ),
        ({"num_steps": 1.5}, "'num_steps' must be a whole number >= 1; got 1.5"),
        ({"best_of": 0}, "'best_of' must be a whole number >= 1; got 0"),
        ({"pop_size": True}, "'pop_size' must be a whole number"),
        ({"seed": "one"}, "'seed' must be a whole number from 0 to 4294967295; got 'one'"),
        ({"seed": 2**32}, "from 0 to 4294967295; got 4294967296"),
        ({"seed": 2**64}, "from 0 to 4294967295; got 18446744073709551616"),
        ({"polish": 1}, "'polish' must be True or False; got 1"),
        ({"strategy": "best1bim"}, "Unrecognized strategy 'best1bim'. Did you mean 'best1bin'?"),
        ({"strategy": ["best1bin"]}, r"'strategy' must be a name; got \['best1bin'\]"),
        ({"strategy": len}, "'strategy' must be a name"),
        ({"init": "sobl"}, "Unrecognized init 'sobl'"),
        ({"cross_over_rate": 1.5}, "'cross_over_rate' must be a number from 0 to 1; got 1.5"),
        ({"relative_tolerance": -1.0}, "'relative_tolerance' must be a number >= 0"),
        ({"fatol": "0.1"}, "'fatol' must be a number >= 0; got '0.1'"),
    ],
)
def test_wrong_hyperparameters(build, hyperparams, message):
    with pytest.raises(ValueError, match=message):
        build(hyperparams)


def test_bounds_are_required(small_data, parameters):
    with pytest.raises(ValueError, match="needs 'bounds'"):
        JaxDE(small_data, None, parameters, MODELS["cmr"], MemorySearchLikelihoodFnGenerator, {})


def test_a_parameter_needs_a_value_or_bounds(build, parameters):
    del parameters["choice_sensitivity"]
    with pytest.raises(ValueError, match="needs parameter 'choice_sensitivity'"):
        build(base_params=parameters)


def test_a_fixed_parameter_that_the_model_does_not_read_is_mentioned(build, parameters):
    """Not refused, since base parameters are shared between models; but not passed over either."""
    with pytest.warns(UserWarning, match="does not read.*'lerning_rate'.*mean 'learning_rate'"):
        build(base_params={**parameters, "lerning_rate": 0.5})


@pytest.mark.parametrize("value", [np.nan, np.inf, [1.0, 2.0], "much"])
def test_fixed_values_are_finite_numbers(build, parameters, value):
    with pytest.raises(ValueError, match=r"base_params\['item_support'\] must be a finite number"):
        build(base_params={**parameters, "item_support": value})


def test_data_need_subjects(build, small_data):
    data = {name: values for name, values in small_data.items() if name != "subject"}
    with pytest.raises(ValueError, match="needs a field 'subject'"):
        build(data=data)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros(20, bool), "selects no trials"),
        (np.ones(19, bool), r"bool of shape \(19,\); expected one boolean for each of the 20"),
        (np.ones((20, 6), bool), r"shape \(20, 6\)"),
        (np.ones(20, int), "int64"),
        (np.arange(20), "int64"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "fit_subjects"])
def test_wrong_masks(build, mask, message, method):
    with pytest.raises(ValueError, match=message):
        getattr(build(), method)(mask)


def test_a_subject_without_trials_is_named(build):
    with pytest.raises(ValueError, match="no trials for subject 7"):
        build().fit(np.zeros(20, bool), 7)


def test_a_column_mask_is_fine(build):
    """``data['subject'] == 7`` is (trials, 1); that is how users write it."""
    fitter = build({"num_steps": 1, "pop_size": 5, "polish": False})
    result = fitter.fit(np.arange(20)[:, None] < 4)
    assert result["fits"]["subject"] == [-1]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_nowhere_finite_is_reported(small_data, value):
    """By subject, at the first generation."""

    def generator(model_factory, dataset, features):
        return lambda trials, base, names: lambda x: 0 * x[0] + value

    for fitter in (JaxDE, ScipyDE):
        with pytest.raises(ValueError, match=r"subject \d+ is NaN or infinite at every starting"):
            fitter(
                small_data, None, {}, None, generator, {"bounds": BOUNDS, "progress_bar": False}
            ).fit_subjects(np.ones(20, bool))


def test_a_parameter_that_only_the_loss_misses_is_named(small_data):
    """A user's own generator may not say which parameters it reads; its KeyError is explained."""

    def generator(model_factory, dataset, features):
        return lambda trials, base, names: lambda x: x[0] * {**base}["temperature"]

    with pytest.raises(ValueError, match="asked for parameter 'temperature'"):
        JaxDE(small_data, None, {}, None, generator, {"bounds": BOUNDS}).fit(np.ones(20, bool))


def test_a_loss_of_the_wrong_shape_is_refused(small_data):
    """Before the engine compares numbers that are not one a candidate."""

    def generator(model_factory, dataset, features):
        return lambda trials, base, names: lambda x: (x**2).sum()

    with pytest.raises(ValueError, match=r"one number per candidate.*gave shape \(\)"):
        JaxDE(small_data, None, {}, None, generator, {"bounds": BOUNDS}).fit(np.ones(20, bool))


def test_defaults_are_the_documented_ones():
    """Users' notebooks depend on them."""
    assert DEFAULTS == {
        "num_steps": 1000,
        "pop_size": 15,
        "best_of": 1,
        "relative_tolerance": 0.001,
        "absolute_tolerance": 0.0,
        "fatol": 0.0,
        "cross_over_rate": 0.9,
        "diff_w": 0.85,
        "strategy": "best1bin",
        "init": "latinhypercube",
        "scale": "auto",
        "polish": True,
        "max_memory": 0,
        "seed": 0,
        "progress_bar": True,
        "display_iterations": False,
    }


def test_subject_masks():
    """One a subject in ascending order, within the mask; empty where it selects nothing."""
    mask = np.array([True, True, False, True, False])
    masks, subjects = make_subject_trial_masks(mask, np.array([[5], [2], [2], [5], [9]]))
    assert subjects.tolist() == [2, 5, 9]
    assert [np.flatnonzero(m).tolist() for m in masks] == [[1], [0, 3], []]


@pytest.mark.parametrize("n", range(1, 200))
def test_stacked_trials_waste_little(n):
    """Padded with -1 to at most an eighth more, on at most eight lengths an octave."""
    [row] = stack_trials([np.ones(n, bool)])
    assert row[:n].tolist() == list(range(n)) and set(row[n:]) <= {-1}
    assert len(row) <= n * 1.125
    octave = range(2 ** (n.bit_length() - 1), 2 ** n.bit_length())
    assert len({stack_trials([np.ones(m, bool)]).shape for m in octave}) <= 9


def test_usual_bounds_are_accepted(build, parameters):
    assert build({"bounds": usual_bounds("cmr")}, base_params={}).problem.fixed == {}
