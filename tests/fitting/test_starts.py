"""Fits that start from other fits, e.g. of models that are special cases."""

import json

import numpy as np
import pytest

from jaxcmr.fitting import JaxDE, ScipyDE

SMALL = {"encoding_drift_rate": [0.1, 0.9]}
LARGE = {
    **SMALL,
    "choice_sensitivity": [0.0, 20.0],
    "learning_rate": [0.0, 1.0],
    "stop_probability_growth": [0.0, 10.0],
}
SHORT = {"bounds": LARGE, "num_steps": 1}


@pytest.fixture
def good(make, everyone):
    """What a long search finds for the large model, as it comes from a file."""
    return json.loads(json.dumps(make(bounds=LARGE, num_steps=60).fit_subjects(everyone)))


def test_a_fit_is_not_worse_than_those_it_starts_from(make, fitter_class, everyone, good):
    """A single generation of few members, which ends far from there by itself; each subject starts
    from its own estimate, whatever the order of the fits."""
    fitter = make(fitter_class, **SHORT)
    alone = fitter.fit_subjects(everyone)
    reversed_fits = {name: values[::-1] for name, values in good["fits"].items()}
    started = fitter.fit_subjects(everyone, start_from=[{**good, "fits": reversed_fits}])
    assert np.all(np.array(alone["fitness"]) > np.array(good["fitness"]) + 0.1)
    assert np.all(np.array(started["fitness"]) <= np.array(good["fitness"]) + 1e-3)


def test_a_special_case_starts_the_larger_model(make, everyone, small_data):
    """At the values that its fit holds, fixed ones included; two fits are two more runs."""
    nested = make(ScipyDE, bounds=SMALL, num_steps=20).fit_subjects(everyone)
    assert nested["fits"]["learning_rate"] == [0.4] * 4
    nested["fits"] |= {"choice_sensitivity": [0.5] * 4, "stop_probability_growth": [0.4] * 4}
    fitter = make(**SHORT)
    plain, one, two = (
        fitter.fit_subjects(everyone, start_from=starts)
        for starts in ([], nested, [nested, nested])
    )
    for row, subject in enumerate(nested["fits"]["subject"]):
        at = {name: nested["fits"][name][row] for name in LARGE}
        start = fitter.problem.evaluate(at, small_data["subject"][:, 0] == subject)
        assert one["runs"][row][1]["origin"] == "start_from[0]"
        assert one["runs"][row][1]["loss"] <= start * (1 + 1e-6) < plain["fitness"][row]
    per_run = plain["nfev"][0]
    assert one["nfev"] == [2 * per_run] * 4 and two["nfev"] == [3 * per_run] * 4


def test_random_runs_stay_what_they_are(make, everyone):
    """Beside a run from an earlier fit they are the same, bit for bit. Catches a start that takes a
    run's place, or its random numbers."""
    worst = {name: [bounds[1]] * 4 for name, bounds in LARGE.items()}
    poor = {"fits": {**worst, "subject": [3, 7, 8, 20]}}
    fitter = make(bounds=LARGE, best_of=3)
    plain = fitter.fit_subjects(everyone)
    started = fitter.fit_subjects(everyone, start_from=poor)
    for before, after in zip(plain["runs"], started["runs"], strict=True):
        assert len(after) == 4
        for run, same in zip(before, after, strict=False):
            assert {**run, "seconds": 0} == {**same, "seconds": 0}


def test_a_subject_alone_is_its_row(make, everyone, good):
    """With a start, too, bit for bit."""
    fitter = make(**SHORT)
    together = fitter.fit_subjects(everyone, start_from=good)
    alone = fitter.fit(np.arange(20) < 9, 3, start_from=good)
    assert alone["fitness"][0] == together["fitness"][0]
    assert [v[0] for v in alone["fits"].values()] == [v[0] for v in together["fits"].values()]


def test_a_pooled_fit_is_a_start_for_everyone(make, everyone, good):
    """The fit of one subject, as if it were pooled, starts that subject's own again. Values out of
    the bounds are moved to them."""
    pooled = {name: values[:1] for name, values in good["fits"].items()} | {"subject": [-1]}
    result = make(**SHORT).fit_subjects(everyone, start_from={"fits": pooled})
    assert result["fitness"][0] <= good["fitness"][0] + 1e-3
    narrow = {**SHORT, "bounds": {**LARGE, "encoding_drift_rate": [0.1, 0.2]}}
    result = make(**narrow).fit_subjects(everyone, start_from={"fits": pooled})
    assert np.all(np.array(result["fits"]["encoding_drift_rate"]) <= np.float32(0.2))


def everywhere(value, **subject):
    """Return fits in which every parameter has a value."""
    return {"fits": {**dict.fromkeys(LARGE, value), **subject}}


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ({"fits": {"subject": [3, 7, 8, 20], "encoding_drift_rate": [0.5] * 4}}, "'choice_sens"),
        (everywhere([0.5], subject=[3]), r"subject\(s\) \[7, 8, 20\]"),
        (everywhere([0.5] * 2, subject=[-1, -1]), "more than one row"),
        (everywhere([np.nan], subject=[-1]), "1 finite value.*'enco"),
        (everywhere(0.5, subject=[3, 7]), "needs 2 finite value"),
        (everywhere([None], subject=[-1]), "1 finite value"),
        ("result.json", "got str"),
        ([{"fitness": [1.0]}], "have 'fits'"),
    ],
)
def test_starts_are_checked(make, everyone, start, message):
    """By name: a free parameter or a subject that an earlier fit does not have."""
    with pytest.raises(ValueError, match=message):
        make(JaxDE, **SHORT).fit_subjects(everyone, start_from=start)
