"""Every mistake in a call of a fitter is reported before anything is compiled."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcmr.fitting import DEFAULTS, FitProblem, JaxDE, make_subject_trial_masks
from jaxcmr.fitting._trials import stack_trials
from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.models import MODELS, usual_bounds
from jaxcmr.parameters import bind
from jaxcmr.typing import LossFnGenerator

BOUNDS = {"encoding_drift_rate": [0.0, 1.0]}


@pytest.fixture
def build(small_data, parameters):
    """Builds a fitter of CMR, with something in its arguments replaced."""

    def build(hyperparams=None, base_params=None, data=small_data):
        return JaxDE(
            data,
            None,
            parameters if base_params is None else base_params,
            MODELS["cmr"],
            MemorySearchLikelihoodFnGenerator,
            {"bounds": BOUNDS, "progress_bar": False, **(hyperparams or {})},
        )

    return build


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
        ({"num_steps": 1.5}, "'num_steps' must be a whole number >= 0; got 1.5"),
        ({"best_of": -1}, "'best_of' must be a whole number >= 0; got -1"),
        ({"pop_size": True}, "'pop_size' must be a whole number"),
        ({"seed": "one"}, "'seed' must be a whole number from 0 to 4294967295; got 'one'"),
        ({"seed": 2**32}, "from 0 to 4294967295; got 4294967296"),
        ({"seed": 2**64}, "from 0 to 4294967295; got 18446744073709551616"),
        ({"polish": 1}, "'polish' must be True or False; got 1"),
        ({"strategy": "best1bim"}, "Unknown strategy 'best1bim'. Did you mean 'best1bin'?"),
        ({"strategy": ["best1bin"]}, r"'strategy' must be a name; got \['best1bin'\]"),
        ({"strategy": len}, "'strategy' must be a name"),
        ({"init": "sobl"}, "Unknown init 'sobl'"),
        ({"cross_over_rate": 1.5}, "'cross_over_rate' must be a number from 0 to 1; got 1.5"),
        ({"relative_tolerance": -1.0}, "'relative_tolerance' must be a number >= 0"),
        ({"fatol": "0.1"}, "'fatol' must be a number >= 0; got '0.1'"),
    ],
)
def test_hyperparameters_are_checked(build, hyperparams, message):
    with pytest.raises(ValueError, match=message):
        build(hyperparams)


def test_a_fitter_needs_bounds(small_data, parameters):
    with pytest.raises(ValueError, match="needs 'bounds'"):
        JaxDE(small_data, None, parameters, "cmr", "sequence_likelihood", {})


def test_usual_bounds_are_accepted(build):
    assert build({"bounds": usual_bounds("cmr")}, base_params={}).problem.fixed == {}


def test_a_parameter_needs_a_value_or_bounds(build, parameters):
    del parameters["choice_sensitivity"]
    with pytest.raises(ValueError, match="needs parameter 'choice_sensitivity'"):
        build(base_params=parameters)


def test_a_fixed_parameter_that_the_model_does_not_read_is_a_warning(build, parameters):
    """Not an error, because base parameters are often shared between models."""
    with pytest.warns(UserWarning, match="does not read.*'lerning_rate'.*mean 'learning_rate'"):
        build(base_params={**parameters, "lerning_rate": 0.5})


@pytest.mark.parametrize("value", [np.nan, [1.0, 2.0], "much"])
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
    ],
)
@pytest.mark.parametrize("method", [JaxDE.fit, JaxDE.fit_subjects])
def test_masks_are_checked(build, mask, message, method):
    with pytest.raises(ValueError, match=message):
        method(build(), mask)


def test_a_subject_without_trials_is_named(build):
    with pytest.raises(ValueError, match="no trials for subject 7"):
        build().fit(np.zeros(20, bool), 7)


def test_a_column_mask_is_accepted(make, fitter_class):
    """``data['subject'] == 7`` is (trials, 1); that is how users write it."""
    result = make(fitter_class).fit(np.arange(20)[:, None] < 4)
    assert result["fits"]["subject"] == [-1] and result["n_trials"] == [4]


class OwnLoss(LossFnGenerator):
    """A loss of one's own, the same for all trials; it does not declare parameters."""

    loss = None

    def __init__(self, model_factory, dataset, features):
        pass

    def __call__(self, trial_indices, base_params, free_param_names):
        return self.loss


def make_own(function):
    """Return a generator of one's own, of the loss ``function(x)``."""
    return type("MyLoss", (OwnLoss,), {"loss": staticmethod(function)})


def test_a_generator_derives_from_the_base_class(make):
    """The message names the class to derive from."""

    class Stranger:
        def __init__(self, *arguments):
            pass

    for stranger in (Stranger, lambda *arguments: jnp.sum):
        with pytest.raises(ValueError, match=r"not a loss generator: derive its class from.*Loss"):
            make(loss=stranger)


def test_a_factory_derives_from_the_base_class(small_data):
    """The message names the class to derive from, whichever loss is computed."""

    class Stranger:
        def __init__(self, dataset, features):
            pass

        def create_trial_model(self, trial_index, parameters):
            return None

    for loss in ("sequence_likelihood", "spc_mse"):
        with pytest.raises(ValueError, match=r"derive its class from jaxcmr.typing.MemorySearch"):
            FitProblem(small_data, Stranger, loss, BOUNDS)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_nowhere_finite_is_reported(make, fitter_class, everyone, value):
    """By subject, at the first generation."""
    loss = make_own(lambda x: 0 * x[0] + value)
    with pytest.raises(ValueError, match=r"subject \d+ is NaN or infinite at every starting"):
        make(fitter_class, loss=loss, num_steps=1).fit_subjects(everyone)


def test_a_parameter_that_only_the_loss_misses_is_named(make, everyone):
    """A loss of one's own may not declare what it reads; its KeyError is explained."""

    class Tempered(OwnLoss):
        def __call__(self, trial_indices, base_params, free_param_names):
            return lambda x: x[0] * bind(base_params, free_param_names, x)["temperature"]

    with pytest.raises(ValueError, match="asked for parameter 'temperature'"):
        make(loss=Tempered).fit(everyone)


def test_a_loss_gives_one_number_per_candidate(make, everyone):
    """A sum over candidates is an error before the search compares it."""
    with pytest.raises(ValueError, match=r"one number per candidate.*gave shape \(\)"):
        make(loss=make_own(lambda x: (x**2).sum())).fit(everyone)


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
    """One mask per subject in ascending order, within the mask; empty where it selects nothing."""
    mask = np.array([True, True, False, True, False])
    masks, subjects = make_subject_trial_masks(mask, np.array([[5], [2], [2], [5], [9]]))
    assert subjects.tolist() == [2, 5, 9]
    assert [np.flatnonzero(m).tolist() for m in masks] == [[1], [0, 3], []]


def test_stacked_trials_waste_little():
    """Padded with -1 to at most an eighth more, at most eight lengths per octave."""
    lengths = {}
    for n in range(1, 200):
        [row] = stack_trials([np.ones(n, bool)])
        assert row[:n].tolist() == list(range(n)) and set(row[n:]) <= {-1}
        assert len(row) <= n * 1.125
        lengths.setdefault(n.bit_length(), set()).add(len(row))
    assert all(len(of_octave) <= 9 for of_octave in lengths.values())
