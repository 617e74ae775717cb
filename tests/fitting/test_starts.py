"""Fits that start from other fits, e.g. of models that are special cases."""

import json

import numpy as np
import pytest

from jaxcmr.fitting import JaxDE, ScipyDE
from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.models import MODELS

SMALL = {"encoding_drift_rate": [0.1, 0.9]}
LARGE = {
    **SMALL,
    "choice_sensitivity": [0.5, 20.0],
    "learning_rate": [0.0, 1.0],
    "stop_probability_growth": [0.0, 10.0],
}
EVERYONE = np.ones(20, bool)


@pytest.fixture(params=[JaxDE, ScipyDE])
def fitter_class(request):
    return request.param


@pytest.fixture
def make(small_data, parameters):
    def make(fitter_class, bounds=LARGE, **options):
        options = {"bounds": bounds, "num_steps": 1, "pop_size": 2, "polish": False, **options}
        return fitter_class(
            small_data,
            None,
            parameters,
            MODELS["cmr"],
            MemorySearchLikelihoodFnGenerator,
            {"progress_bar": False, **options},
        )

    return make


@pytest.fixture(scope="module")
def good(small_data):
    """What a long search finds for the large model, as it comes from a file."""
    from conftest import PARAMETERS

    options = {"bounds": LARGE, "num_steps": 60, "progress_bar": False}
    fitter = JaxDE(
        small_data, None, PARAMETERS, MODELS["cmr"], MemorySearchLikelihoodFnGenerator, options
    )
    return json.loads(json.dumps(fitter.fit_subjects(EVERYONE)))


def test_a_fit_is_not_worse_than_those_it_starts_from(make, fitter_class, good):
    """A single generation of few members, which ends far from there by itself; each subject starts
    from its own estimate, whatever the order of the fits."""
    fitter = make(fitter_class)
    alone = fitter.fit_subjects(EVERYONE)
    reversed_fits = {name: values[::-1] for name, values in good["fits"].items()}
    started = fitter.fit_subjects(EVERYONE, start_from=[{**good, "fits": reversed_fits}])
    assert np.all(np.array(alone["fitness"]) > np.array(good["fitness"]) + 0.1)
    assert np.all(np.array(started["fitness"]) <= np.array(good["fitness"]) + 1e-3)


def test_a_special_case_may_leave_parameters_at_its_values(make, parameters):
    """The fit of the small model holds its fixed parameters, too, and is a start for the large
    one; two of them are two more runs."""
    nested = make(JaxDE, SMALL, num_steps=20, polish=True).fit_subjects(EVERYONE)
    plain, one, two = (
        make(JaxDE).fit_subjects(EVERYONE, start_from=starts)
        for starts in ([], nested, [nested, nested])
    )
    assert nested["fits"]["choice_sensitivity"] == [parameters["choice_sensitivity"]] * 4
    assert np.all(np.array(one["fitness"]) <= np.array(nested["fitness"]) + 1e-3)
    per_run = plain["nfev"][0]
    assert one["nfev"] == [2 * per_run] * 4 and two["nfev"] == [3 * per_run] * 4


def test_runs_from_nowhere_stay_what_they_are(make, good):
    """Where the start cannot win, here for want of generations, the estimates are those without it,
    bit for bit. Catches a start that takes a run's place, or its random numbers."""
    worst = {name: [bounds[0]] * 4 for name, bounds in LARGE.items()}
    poor = {"fits": {**worst, "choice_sensitivity": [0.5] * 4, "subject": [3, 7, 8, 20]}}
    fitter = make(JaxDE, num_steps=30, best_of=3)
    plain = fitter.fit_subjects(EVERYONE)
    started = fitter.fit_subjects(EVERYONE, start_from=poor)
    same = np.array(started["fitness"]) == np.array(plain["fitness"])
    assert same.sum() >= 2
    for name, values in plain["fits"].items():
        np.testing.assert_array_equal(np.array(values)[same], np.array(started["fits"][name])[same])


def test_a_subject_alone_is_its_row(make, good):
    """With a start, too, bit for bit."""
    fitter = make(JaxDE)
    everyone = fitter.fit_subjects(EVERYONE, start_from=good)
    alone = fitter.fit(np.arange(20) < 9, 3, start_from=good)
    assert alone["fitness"][0] == everyone["fitness"][0]
    assert [v[0] for v in alone["fits"].values()] == [v[0] for v in everyone["fits"].values()]


def test_a_pooled_fit_is_a_start_for_everyone(make, good):
    """Those of one person, passed off as everybody's, are that person's start again. Values out of
    the bounds are moved to them."""
    pooled = {name: values[:1] for name, values in good["fits"].items()} | {"subject": [-1]}
    result = make(JaxDE).fit_subjects(EVERYONE, start_from={"fits": pooled})
    assert result["fitness"][0] <= good["fitness"][0] + 1e-3
    narrow = {**LARGE, "encoding_drift_rate": [0.1, 0.2]}
    result = make(JaxDE, narrow).fit_subjects(EVERYONE, start_from={"fits": pooled})
    assert np.all(np.array(result["fits"]["encoding_drift_rate"]) <= np.float32(0.2))


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ({"fits": {"subject": [3, 7, 8, 20], "encoding_drift_rate": [0.5] * 4}}, "'choice_sens"),
        (
            {"fits": {name: [0.5] for name in LARGE} | {"subject": [3]}},
            r"subject\(s\) \[7, 8, 20\]",
        ),
        (
            {"fits": {name: [0.5] * 2 for name in LARGE} | {"subject": [-1, -1]}},
            "more than one row",
        ),
        ({"fits": {name: [np.nan] for name in LARGE} | {"subject": [-1]}}, "1 finite value.*'enco"),
        ({"fits": {name: 0.5 for name in LARGE} | {"subject": [3, 7]}}, "needs 2 finite value"),
        ({"fits": {name: [None] for name in LARGE} | {"subject": [-1]}}, "1 finite value"),
        ("result.json", "got str"),
        ([{"fitness": [1.0]}], "have 'fits'"),
    ],
)
def test_what_cannot_be_started_from_is_refused(make, start, message):
    """By name: a free parameter or a subject that an earlier fit does not have."""
    with pytest.raises(ValueError, match=message):
        make(JaxDE).fit_subjects(EVERYONE, start_from=start)
