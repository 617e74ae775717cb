"""Simulated data sets; that recalls are as frequent as likely is in tests/models."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcmr.datasets import check_data
from jaxcmr.models import MODELS
from jaxcmr.simulation import simulate_dataset


def test_simulated_data_have_the_form_of_the_data(peers, parameters):
    """They pass the same checks, keep the trials' own fields, and give recalls their item ids."""
    mask = np.isin(np.arange(len(peers["recalls"])), [3, 100, 2000])
    data = {**peers, "rec_times": np.ones((3528, 16))}  # of recalls that are no more
    simulated = check_data(
        simulate_dataset(MODELS["cmr"], data, parameters, trial_mask=mask, n_copies=4)
    )
    assert set(simulated) == set(peers)
    assert simulated["recalls"].shape == (12, 16)
    for field in ("subject", "pres_itemids", "session"):
        np.testing.assert_array_equal(simulated[field], np.tile(peers[field][mask], (4, 1)))
    for ids, positions, recalled in zip(
        simulated["pres_itemids"], simulated["recalls"], simulated["rec_itemids"], strict=True
    ):
        n = (positions > 0).sum()
        np.testing.assert_array_equal(recalled[:n], ids[positions[:n] - 1])
        assert not np.any(recalled[n:])


def test_a_trial_does_not_depend_on_the_others(small_data, parameters):
    """Its draws are a function of seed, copy and trial: simulated alone or with all, one copy or
    two, it is the same. Copies and seeds differ."""
    everything = simulate_dataset(MODELS["cmr"], small_data, parameters, n_copies=2, seed=5)
    alone = simulate_dataset(
        MODELS["cmr"], small_data, parameters, trial_mask=np.arange(20) == 13, seed=5
    )
    other = simulate_dataset(MODELS["cmr"], small_data, parameters, n_copies=2, seed=6)
    np.testing.assert_array_equal(alone["recalls"][0], everything["recalls"][13])
    assert np.any(everything["recalls"][:20] != everything["recalls"][20:])
    assert np.any(everything["recalls"] != other["recalls"])


def test_each_subject_is_simulated_with_its_own_fit(small_data, parameters):
    """`fits` of a fit result: subject 7 stops at once, the others never do."""
    fits = {name: [value] * 4 for name, value in parameters.items()}
    fits |= {"subject": [20, 7, 3, 8], "stop_probability_growth": [0.0] * 4}
    fits["stop_probability_scale"] = [0.0, 1.0, 0.0, 0.0]
    simulated = simulate_dataset(MODELS["cmr"], small_data, fits)
    n_recalled = (simulated["recalls"] > 0).sum(1)
    is_seven = small_data["subject"][:, 0] == 7
    assert np.all(n_recalled[is_seven] == 0) and np.all(n_recalled[~is_seven] == 6)


def test_a_pooled_fit_holds_for_every_trial(small_data, parameters):
    """Lists of one, whatever the subject id."""
    fits = {name: [value] for name, value in parameters.items()} | {"subject": [-1]}
    pooled = simulate_dataset(MODELS["cmr"], small_data, fits)
    plain = simulate_dataset(MODELS["cmr"], small_data, parameters)
    np.testing.assert_array_equal(pooled["recalls"], plain["recalls"])


def test_recalls_are_study_positions(parameters):
    """However the items of a list are numbered: of a model that recalls everything, each position
    once, and the ids of the words there. A repeated item is recalled at its first position."""
    parameters |= {"stop_probability_scale": 0.0}
    data = {
        "subject": np.zeros((3, 1), int),
        "listLength": np.array([[3], [3], [4]]),
        "pres_itemnos": np.array([[1, 2, 3, 0], [3, 1, 2, 0], [1, 2, 1, 3]]),
        "pres_itemids": np.array([[10, 20, 30, 0], [10, 20, 30, 0], [10, 20, 10, 30]]),
        "recalls": np.zeros((3, 4), int),
    }
    simulated = simulate_dataset(MODELS["cmr"], data, parameters)
    recalled = [sorted(set(row) - {0}) for row in simulated["recalls"].tolist()]
    assert recalled == [[1, 2, 3], [1, 2, 3], [1, 2, 4]]
    assert [sorted(set(row) - {0}) for row in simulated["rec_itemids"].tolist()] == [
        [10, 20, 30]
    ] * 3


def test_missing_parameters_and_subjects_are_named(small_data, parameters):
    del parameters["learning_rate"]
    with pytest.raises(ValueError, match="learning_rate"):
        simulate_dataset(MODELS["cmr"], small_data, parameters)
    fits = {name: [value] * 2 for name, value in parameters.items()}
    fits |= {"learning_rate": [0.5, 0.5], "subject": [3, 7]}
    with pytest.raises(ValueError, match=r"subject\(s\) \[8, 20\]"):
        simulate_dataset(MODELS["cmr"], small_data, fits)


def test_draws_are_finite_at_the_edges(small_data, parameters):
    """A sensitivity of 100 and supports of 0 still draw recallable items."""
    parameters |= {"choice_sensitivity": 100.0, "item_support": 0.0, "shared_support": 0.0}
    simulated = simulate_dataset(MODELS["cmr"], small_data, parameters, n_copies=50)
    check_data(simulated)
    for recalls in simulated["recalls"]:
        recalled = recalls[recalls > 0]
        assert len(set(recalled.tolist())) == len(recalled)
    assert jnp.all(jnp.asarray(simulated["recalls"]) <= 6)
