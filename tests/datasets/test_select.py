"""Conditions give masks, and masks select trials."""

import subprocess
import sys

import numpy as np
import pytest

from jaxcmr.datasets import check_mask, generate_trial_mask, select_trials


def test_none_selects_all_trials(data):
    assert generate_trial_mask(data).tolist() == [True, True, True]
    assert generate_trial_mask(data, None).dtype == bool


def test_a_function_gives_the_mask(data):
    """Comparing a field gives a column (trials, 1), which becomes a vector."""
    mask = generate_trial_mask(data, lambda data: data["subject"] == 1)
    assert mask.tolist() == [True, True, False]
    assert mask.shape == (3,)


@pytest.mark.parametrize(
    "query, came",
    [
        ("session", r"int64 of shape \(3, 1\)"),
        ("recalls == 1", r"bool of shape \(3, 4\)"),
        ("1 == 1", r"bool of shape \(\)"),
        (lambda data: data["session"][:, 0], r"int64 of shape \(3,\)"),
        (lambda data: [True, False], r"bool of shape \(2,\)"),
        (lambda data: None, r"object of shape \(\)"),
    ],
)
def test_a_query_must_give_one_boolean_per_trial(data, query, came):
    """Integers would silently select rows by number, a matrix entries."""
    with pytest.raises(ValueError, match=came + r".*\(3,\)"):
        generate_trial_mask(data, query)


def test_a_mask_is_not_a_query(data):
    with pytest.raises(ValueError, match="got ndarray"):
        generate_trial_mask(data, np.array([True, False, True]))


def test_the_real_lists_are_selected(real):
    """126 subjects studied 28 lists each without a task."""
    assert generate_trial_mask(real, "data['listtype'] == -1").sum() == 126 * 28


def test_select_keeps_the_rows_of_every_field(data):
    """A field with all rows, or in another order, would pair recalls with other lists."""
    chosen = select_trials(data, np.array([True, False, True]))
    assert chosen["recalls"].tolist() == [[4, 3, 0, 0], [0, 0, 0, 0]]
    assert chosen["subject"].tolist() == [[1], [2]]
    assert {len(array) for array in chosen.values()} == {2}
    assert chosen.keys() == data.keys()


def test_select_copies(data):
    """Changing the selection must not change the whole."""
    select_trials(data, np.ones(3, bool))["recalls"][:] = 0
    assert data["recalls"].any()


def test_an_empty_selection_has_no_trials(data):
    assert select_trials(data, np.zeros(3, bool))["recalls"].shape == (0, 4)


@pytest.mark.parametrize("mask", [[0, 2], [1, 0, 1], [True, False], [[True, False, True]], None])
def test_an_invalid_mask_is_an_error(data, mask):
    """Row numbers, 0/1 integers (row numbers to NumPy) and masks of other data."""
    with pytest.raises(ValueError, match="expected one boolean for each of the 3 trials"):
        select_trials(data, mask)


def test_the_room_needs_neither_jax_nor_pandas():
    """Loading data must neither take seconds of imports nor start a GPU."""
    code = (
        "import sys, jaxcmr; before = set(sys.modules); import jaxcmr.datasets;"
        "print({name.split('.')[0] for name in set(sys.modules) - before})"
    )
    new = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "numpy" in new.stdout or "h5py" in new.stdout
    for package in ("'jax'", "'pandas'", "'psifr'"):
        assert package not in new.stdout


def test_a_mask_with_masked_entries_is_an_error(data):
    """The value under a masked entry is arbitrary."""
    mask = np.ma.masked_array([True, False, True], mask=[True, False, False])
    with pytest.raises(ValueError, match="The mask has masked entries"):
        check_mask(mask, 3)
    with pytest.raises(ValueError, match="masked entries"):
        select_trials(data, mask)
    with pytest.raises(ValueError, match="masked entries"):
        generate_trial_mask(data, lambda data: mask)
    whole = np.ma.masked_array([True, False, True], mask=False)
    assert check_mask(whole, 3).tolist() == [True, False, True]
