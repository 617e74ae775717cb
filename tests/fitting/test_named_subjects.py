"""Subjects with names are fitted, chosen and simulated as those with numbers are."""

import json

import numpy as np
import pytest

import jaxcmr as jc
from jaxcmr.fitting import JaxDE
from jaxcmr.fitting._fitter import words_of_id

NAMES = {3: "LTP003", 7: "LTP007", 8: "S8", 20: "Zoë"}
TINY = {"num_steps": 2, "pop_size": 2, "best_of": 1, "polish": False}


@pytest.fixture
def named(small_data):
    subjects = np.array([[NAMES[each]] for each in small_data["subject"][:, 0]])
    kind = np.where(np.arange(20)[:, None] % 2, "mixed", "pure")
    return small_data | {"subject": subjects, "list_type": kind}


def test_each_subject_has_its_own_trials_under_its_name(make, fitter_class, named, everyone):
    """Results, tables and selections hold the names, also after JSON; a fit alone equals the
    entry of a fit of all."""
    fitter = make(fitter_class, data=named)
    result = jc.FitResult(json.loads(json.dumps(fitter.fit_subjects(everyone))))
    assert result["fits"]["subject"] == list(NAMES.values()) == result.table()["subject"].tolist()
    assert result["n_trials"] == [9, 4, 1, 6]
    assert result.select("S8")["fits"]["subject"] == ["S8"]
    alone = fitter.fit(named["subject"][:, 0] == "Zoë", "Zoë")
    assert result.select(["Zoë"])["fitness"] == alone["fitness"]
    started = fitter.fit_subjects(everyone, start_from=[result])
    assert np.all(np.array(started["fitness"]) <= np.array(result["fitness"]) + 1e-3)


def test_random_numbers_of_subjects(make, small_data, named, everyone):
    """Those of a name are a function of the name alone, on every machine; those of numbers are
    what they were before there were names."""
    assert [words_of_id(each) for each in (3, -1, 2**40 + 5)] == [[3], [2**32 - 1], [5, 256]]
    assert words_of_id("abc") == [0xBA7816BF, 0x8F01CFEA, 0x414140DE]  # SHA-256 of FIPS 180
    assert words_of_id("3") != words_of_id("03") and len(words_of_id("3")) == 3
    some = np.isin(named["subject"][:, 0], ["S8", "Zoë"])
    whole = make(JaxDE, data=named).fit_subjects(everyone).select(["S8", "Zoë"])
    assert make(JaxDE, data=named).fit_subjects(some)["fitness"] == whole["fitness"]


def test_the_front_door_takes_names(named, tmp_path):
    """A fit, its choice of subjects by name, and simulation with each one's own parameters."""
    settings = {"search": TINY, "progress": False, "where": "list_type == 'mixed'"}
    result = jc.fit(named, subjects=["Zoë", "LTP007"], **settings)
    assert result["fits"]["subject"] == ["LTP007", "Zoë"]
    result.save(tmp_path / "result.json")
    simulated = jc.simulate(tmp_path / "result.json", named)
    assert sorted(set(simulated["subject"][:, 0])) == ["LTP007", "Zoë"]
    assert set(simulated["list_type"][:, 0]) == {"mixed"}
    with pytest.raises(ValueError, match="Subject LTP009 has no trials; there are"):
        jc.fit(named, subjects=["LTP009"], **settings)
    with pytest.raises(ValueError, match="list of ids; got 'LTP003'"):
        jc.fit(named, subjects="LTP003", **settings)


def test_names_may_look_like_numbers(named):
    """The shell reads --subjects 8, as a number; the data hold the text."""
    numbered = named | {"subject": np.array([["8", "20"][i % 2] for i in range(20)])[:, None]}
    result = jc.fit(numbered, subjects=[8], search=TINY, progress=False)
    assert result["fits"]["subject"] == ["8"] and result["n_trials"] == [10]
