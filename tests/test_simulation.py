"""Simulated data sets; that recalls are as frequent as likely is in tests/models."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from jaxcmr.datasets import check_data
from jaxcmr.models import MODELS
from jaxcmr.simulation import check_seed, simulate_dataset


def test_simulated_data_have_the_form_of_the_data(peers, parameters):
    """They pass the same checks, keep the trials' own fields, and give recalls their item ids."""
    mask = np.isin(np.arange(len(peers["recalls"])), [3, 100, 2000])
    data = {**peers, "rec_times": np.ones((3528, 16))}  # of the observed recalls
    simulated = check_data(
        simulate_dataset(MODELS["cmr"], data, parameters, trial_mask=mask, n_copies=4)
    )
    of_recalls = {"intrusions", "repeats", "rec_items"}
    assert set(simulated) == set(peers) - of_recalls | {"copy"}
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
    """Lists of one with subject -1, without a subject, or of a result that says so; the result
    may come whole."""
    lists = {name: [value] for name, value in parameters.items()}
    plain = simulate_dataset(MODELS["cmr"], small_data, parameters)
    for fits in (
        lists,
        lists | {"subject": [-1]},
        {"fits": lists | {"subject": [-1]}, "fitness": [7.0]},
        {"fits": lists | {"subject": [3]}, "pooled": True},
    ):
        pooled = simulate_dataset(MODELS["cmr"], small_data, fits)
        np.testing.assert_array_equal(pooled["recalls"], plain["recalls"])


def test_the_fit_of_one_subject_is_for_that_subject(small_data, parameters):
    """Its own trials are simulated; another subject has no parameters."""
    fits = {name: [value] for name, value in parameters.items()} | {"subject": [7]}
    is_seven = small_data["subject"][:, 0] == 7
    own = simulate_dataset(MODELS["cmr"], small_data, {"fits": fits}, trial_mask=is_seven)
    assert set(own["subject"].ravel()) == {7}
    for result in (fits, {"fits": fits, "pooled": False}):
        with pytest.raises(ValueError, match=r"No parameters for subject\(s\) \[3, 8, 20\]"):
            simulate_dataset(MODELS["cmr"], small_data, result)


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": [0.5] * 5},
        {"learning_rate": [0.5]},
        {"subject": [3, 7, 8]},
        {"learning_rate": [[0.5] * 4]},
    ],
)
def test_lists_of_unequal_length_are_an_error(small_data, parameters, change):
    fits = {name: [value] * 4 for name, value in parameters.items()} | {"subject": [3, 7, 8, 20]}
    with pytest.raises(ValueError, match="lengths differ"):
        simulate_dataset(MODELS["cmr"], small_data, fits | change)


def test_several_values_need_subjects(small_data, parameters):
    fits = {name: [value] * 4 for name, value in parameters.items()}
    with pytest.raises(ValueError, match="need 'subject'"):
        simulate_dataset(MODELS["cmr"], small_data, fits)


@pytest.mark.parametrize("mask", [[0, 1], np.ones(3, bool), np.ones(20, int), np.zeros(20, bool)])
def test_a_mask_is_a_boolean_for_each_trial(small_data, parameters, mask):
    """Row numbers would be taken for another set of trials."""
    with pytest.raises(ValueError, match="mask"):
        simulate_dataset(MODELS["cmr"], small_data, parameters, trial_mask=np.asarray(mask))


@pytest.mark.parametrize("seed", [-1, 2**32, 2**63, 0.5, True, "0", None])
def test_seeds_are_whole_numbers_of_32_bits(seed):
    with pytest.raises(ValueError, match="4294967295"):
        check_seed(seed)


def test_seeds_that_differ_draw_other_numbers(small_data, parameters):
    """2**32 would draw what 0 draws and is an error; 2**32 - 1 is a seed of its own."""
    with pytest.raises(ValueError, match="4294967295"):
        simulate_dataset(MODELS["cmr"], small_data, parameters, seed=2**32)
    last, first = (
        simulate_dataset(MODELS["cmr"], small_data, parameters, seed=s)["recalls"]
        for s in (2**32 - 1, 0)
    )
    assert np.any(last != first)


def test_fields_of_the_observed_recalls_are_left_out(small_data, parameters):
    """In any shape: the model did not make them."""
    of_recalls = {"intrusions": np.ones((20, 6)), "repeats": np.ones((20, 1)), "rec_times": [1]}
    simulated = simulate_dataset(MODELS["cmr"], {**small_data, **of_recalls}, parameters)
    assert not set(of_recalls) & set(simulated)


def test_copies_are_numbered(small_data, parameters):
    """From 1, in blocks, also a single copy; copies that the data number are not kept."""
    copies = simulate_dataset(MODELS["cmr"], small_data, parameters, n_copies=3)
    np.testing.assert_array_equal(copies["copy"], np.repeat([1, 2, 3], 20)[:, None])
    again = simulate_dataset(MODELS["cmr"], copies, parameters)
    assert again["copy"].shape == (60, 1) and set(again["copy"].ravel()) == {1}
    for n in (0, 1.5):
        with pytest.raises(ValueError, match="n_copies must be a whole number"):
            simulate_dataset(MODELS["cmr"], small_data, parameters, n_copies=n)


def test_recall_is_cut_off_at_a_given_number(small_data, parameters):
    """What is left are the first recalls of the same simulation, in every copy; of letters, as many
    as were typed, studied or not."""
    never_stop = {**parameters, "stop_probability_scale": 0.0}
    n_recalls, chosen = np.arange(20) % 5, np.arange(20) > 3
    options = {"trial_mask": chosen, "n_copies": 2}
    cut = simulate_dataset("cmr", small_data, never_stop, n_recalls=n_recalls, **options)
    whole = simulate_dataset("cmr", small_data, never_stop, **options)
    n_left = np.tile(n_recalls[chosen], 2)
    is_left = np.arange(whole["recalls"].shape[1]) < n_left[:, None]
    np.testing.assert_array_equal(cut["recalls"], np.where(is_left, whole["recalls"], 0))
    assert (np.sum(whole["recalls"] > 0, axis=1) > n_left).any()
    with pytest.raises(ValueError, match=r"n_recalls has shape \(16,\); expected .* 20 trials"):
        simulate_dataset("cmr", small_data, never_stop, n_recalls=n_recalls[chosen], **options)


def test_a_sweep_is_the_simulations_one_by_one(small_data, parameters):
    """Of two parameters at each combination, the last fastest. All have the random numbers of a
    simulation by itself, so that they differ by the parameters alone."""
    vary = {"learning_rate": [0.1, 0.9], "choice_sensitivity": [1.0, 2.0, 8.0]}
    swept = simulate_dataset(MODELS["cmr"], small_data, parameters, n_copies=2, seed=4, vary=vary)
    points = [(a, b) for a in vary["learning_rate"] for b in vary["choice_sensitivity"]]
    recalls = swept["recalls"].reshape(6, 40, 6)
    for (rate, sensitivity), at_point in zip(points, recalls, strict=True):
        values = parameters | {"learning_rate": rate, "choice_sensitivity": sensitivity}
        alone = simulate_dataset(MODELS["cmr"], small_data, values, n_copies=2, seed=4)
        np.testing.assert_array_equal(at_point, alone["recalls"])
    for column, name in enumerate(vary):
        expected = np.repeat([point[column] for point in points], 40)[:, None]
        np.testing.assert_array_equal(swept[name], expected)
    np.testing.assert_array_equal(swept["copy"][:, 0], np.tile(np.repeat([1, 2], 20), 6))
    check_data(swept)


def test_each_copy_has_a_draw_of_its_subject(small_data, parameters):
    """Subject 7 stops at once in the second draw, and 3 in the first: rows count by subject."""
    draws = pd.DataFrame(
        {
            "subject": [3, 7, 8, 20, 20, 8, 7, 3],
            "stop_probability_scale": [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            "draw": [0, 0, 0, 0, 1, 1, 1, 1],
        }
    )
    parameters |= {"stop_probability_growth": 0.0}
    for form in (draws, draws.to_dict("list")):
        simulated = simulate_dataset(MODELS["cmr"], small_data, parameters, draws=form)
        n_recalled = (simulated["recalls"] > 0).sum(1).reshape(2, 20)
        subjects, copies = simulated["subject"].reshape(2, 20), simulated["copy"].reshape(2, 20)
        stops = ((subjects == 3) & (copies == 1)) | ((subjects == 7) & (copies == 2))
        np.testing.assert_array_equal(n_recalled, np.where(stops, 0, 6))


def test_subjects_and_fields_may_be_text(small_data, parameters):
    """Draws and fits are found by the names of subjects; words of the recalls are left out."""
    names = np.char.add("LTP", small_data["subject"].astype(str))
    words = np.char.add("word", small_data["pres_itemnos"].astype(str))
    data = {**small_data, "subject": names, "pres_items": words, "rec_items": words}
    draws = {"subject": np.unique(names), "learning_rate": [0.1, 0.3, 0.5, 0.7]}
    simulated = simulate_dataset(MODELS["cmr"], data, parameters, draws=draws)
    assert "rec_items" not in simulated
    assert np.array_equal(simulated["pres_items"], words)
    is_three = names[:, 0] == "LTP3"
    values = parameters | {"learning_rate": 0.3}  # LTP20 comes first in the alphabet
    alone = simulate_dataset(MODELS["cmr"], data, values, trial_mask=is_three)
    np.testing.assert_array_equal(simulated["recalls"][is_three], alone["recalls"])


def test_draws_of_a_pooled_fit_hold_for_every_trial(small_data, parameters):
    """The k-th copy is the simulation with the k-th draw; a sweep crosses the draws."""
    rates = [0.2, 0.8]
    alone = [
        simulate_dataset(
            MODELS["cmr"], small_data, parameters | {"learning_rate": rate}, n_copies=2
        )
        for rate in rates
    ]
    draws = {"learning_rate": rates}
    expected = np.concatenate([alone[0]["recalls"][:20], alone[1]["recalls"][20:]])
    for subject in ({}, {"subject": [-1, -1]}):
        drawn = simulate_dataset(MODELS["cmr"], small_data, parameters, draws=draws | subject)
        np.testing.assert_array_equal(drawn["recalls"], expected)
    vary = {"item_support": [parameters["item_support"], 0.0]}
    crossed = simulate_dataset(MODELS["cmr"], small_data, parameters, draws=draws, vary=vary)
    assert crossed["recalls"].shape == (80, 6)
    np.testing.assert_array_equal(crossed["recalls"][:40], expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vary": {"learning_rat": [0.1]}}, "Did you mean 'learning_rate'"),
        ({"vary": {"learning_rate": [0.1, 0.1]}}, "different numbers"),
        ({"vary": {"learning_rate": []}}, "different numbers"),
        ({"vary": {"learning_rate": [0.1, np.nan]}}, r"holds nan; expected finite"),
        ({"vary": {"learning_rate": ["fast"]}}, r"holds fast; expected finite"),
        ({"vary": ["learning_rate"]}, "vary is a dict"),
        ({"vary": {"encoding_drift_rate": [0.5, 1.2]}}, r"'encoding_drift_rate' is 1\.2"),
        ({"draws": {"rate": [0.1]}}, "no parameter 'rate'"),
        ({"draws": {"subject": [3]}}, "a column of equally many values"),
        ({"draws": {"learning_rate": [0.1, 0.2], "subject": [3]}}, "equally many values"),
        ({"draws": {"learning_rate": [0.1] * 3, "subject": [3, 3, 7]}}, "equally many draws"),
        ({"draws": {"learning_rate": [0.1, 0.2], "subject": [3, 7]}}, r"subject\(s\) \[8, 20\]"),
        ({"draws": {"learning_rate": [0.1, np.inf]}}, "holds inf"),
        ({"draws": {"learning_rate": [0.1]}, "n_copies": 2}, "leave out n_copies"),
    ],
)
def test_invalid_sweeps_and_draws_are_errors(small_data, parameters, options, message):
    with pytest.raises(ValueError, match=message):
        simulate_dataset(MODELS["cmr"], small_data, parameters, **options)


def test_draws_of_several_fits_need_subjects(small_data, parameters):
    """Rows in the order of subjects would be taken for draws of everyone."""
    fits = {name: [value] * 4 for name, value in parameters.items()} | {"subject": [3, 7, 8, 20]}
    with pytest.raises(ValueError, match="draws need the column 'subject'"):
        simulate_dataset(MODELS["cmr"], small_data, fits, draws={"learning_rate": [0.1] * 4})


def test_a_sweep_replaces_no_field_of_the_data(small_data, parameters):
    data = {**small_data, "learning_rate": np.ones((20, 1))}
    with pytest.raises(ValueError, match="have a field 'learning_rate' already"):
        simulate_dataset(MODELS["cmr"], data, parameters, vary={"learning_rate": [0.5]})


def test_no_simulation_outside_the_limits_of_the_model(small_data, parameters):
    parameters["encoding_drift_rate"] = 1.2
    with pytest.raises(ValueError, match=r"'encoding_drift_rate' is 1\.2"):
        simulate_dataset(MODELS["cmr"], small_data, parameters)


def test_item_numbers_that_would_wrap_are_an_error(small_data, parameters):
    """2**32 + 1 is item 1 in 32 bits."""
    data = {**small_data, "pres_itemnos": small_data["pres_itemnos"] + 2**32}
    with pytest.raises(ValueError, match="'pres_itemnos' holds 4294967297"):
        simulate_dataset(MODELS["cmr"], data, parameters)


def test_recalls_are_study_positions(parameters):
    """For any numbering of the items of a list: of a model that recalls everything, each position
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
    simulated = simulate_dataset(MODELS["cmr"], small_data, parameters, n_copies=3)
    check_data(simulated)
    for recalls in simulated["recalls"]:
        recalled = recalls[recalls > 0]
        assert len(set(recalled.tolist())) == len(recalled)
    assert jnp.all(jnp.asarray(simulated["recalls"]) <= 6)
