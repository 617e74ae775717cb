"""check_data accepts data that models can run on, and names the entry that is wrong."""

import numpy as np
import pandas as pd
import pytest

from jaxcmr.datasets import (
    as_fields,
    check_data,
    fingerprint,
    first_recalls,
    generate_trial_mask,
    save_data,
    select_trials,
)


def assert_same(left, right):
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], strict=True)


def test_sound_data_pass_unchanged(data):
    """Repeated recalls, a repeated item, an empty row of recalls, and NaN in a field of the user's
    own are all sound. Catches a check that is stricter than the convention."""
    assert_same(check_data(data), data)


def test_the_real_data_pass_unchanged(real):
    """The file everyone has must load; its rec_itemids is wider than its recalls."""
    assert real["rec_itemids"].shape == (14112, 56)
    assert_same(check_data(real), real)


def test_vectors_become_columns_and_whole_floats_integers(data):
    """Lists and pandas columns arrive as vectors and floats; models index with integer columns."""
    loose = data | {
        "subject": [1, 1, 2],
        "recalls": data["recalls"].astype(float),
        "session": np.array([1, 2, 1], dtype=object),
    }
    assert_same(check_data(loose), data)
    assert loose["subject"] == [1, 1, 2], "the input itself must not change"


def test_narrow_integers_stay_narrow(data):
    """A cast here would make save and load lose dtypes."""
    narrow = data | {"recalls": data["recalls"].astype(np.uint8)}
    assert check_data(narrow)["recalls"].dtype == np.uint8


def test_intrusions_may_be_minus_one_in_rec_itemids_only(data):
    ids = np.array([[7, -1], [8, 0], [0, 0]])
    check_data(data | {"rec_itemids": ids})
    with pytest.raises(ValueError, match="'pres_itemids' holds -1 in trial 0, column 1"):
        check_data(data | {"pres_itemids": ids})
    with pytest.raises(ValueError, match="'rec_itemids' holds -2 in trial 0, column 1"):
        check_data(data | {"rec_itemids": ids * [[1, 2]]})


# A field, its wrong values, and the message: field, trial, value, rule.
WRONG = {
    "negative recall": ("recalls", [[4, 3], [-1, 0], [0, 0]], "'recalls' holds -1 in trial 1"),
    "beyond its own list": ("recalls", [[4, 3], [1, 0], [4, 0]], "holds 4 in trial 2.*most 3"),
    "recall after a 0": ("recalls", [[4, 3], [0, 1], [0, 0]], "holds 0 in trial 1, column 0"),
    "recall nan": ("recalls", [[4, np.nan], [1, 0], [0, 0]], "holds nan in trial 0, column 1"),
    "recall inf": ("recalls", [[4, np.inf], [1, 0], [0, 0]], "holds inf in trial 0, column 1"),
    "half a recall": ("recalls", [[4, 3], [1.5, 0], [0, 0]], "holds 1.5 in trial 1, column 0"),
    "recall flags": ("recalls", np.ones((3, 4), bool), "'recalls' holds booleans"),
    "ragged recalls": ("recalls", [[4, 3], [1], [0, 0]], "trial 0 has 2 entries, trial 1 has 1"),
    "ragged cells": (
        "recalls",
        np.array([[4, 3], [1], [2]], dtype=object),
        "'recalls' is ragged",
    ),
    "rows missing": ("recalls", [[4, 3], [1, 0]], "'recalls' has 2 rows but 'subject' has 3"),
    "transposed": ("recalls", np.ones((4, 3), int), r"\(4, 3\) looks transposed"),
    "no columns": ("recalls", np.ones((3, 0), int), r"shape \(3, 0\)"),
    "three axes": ("recalls", np.ones((3, 2, 2), int), r"shape \(3, 2, 2\)"),
    "padding inside": (
        "pres_itemnos",
        [[1, 2, 3, 4], [1, 0, 1, 4], [1, 2, 3, 0]],
        "'pres_itemnos' holds 0 in trial 1, column 1",
    ),
    "item from 0": (
        "pres_itemnos",
        [[1, 2, 3, 4], [0, 1, 2, 3], [1, 2, 3, 0]],
        "'pres_itemnos' holds 0 in trial 1, column 0",
    ),
    "item beyond list": (
        "pres_itemnos",
        [[1, 2, 3, 5], [1, 2, 1, 4], [1, 2, 3, 0]],
        "'pres_itemnos' holds 5 in trial 0, column 3.*at most 4",
    ),
    "too long": ("listLength", [4, 4, 4], "'listLength' holds 4 in trial 2.*expected 3"),
    "too short": ("listLength", [4, 3, 3], "'listLength' holds 3 in trial 1.*expected 4"),
    "nothing studied": ("listLength", [4, 0, 3], "'listLength' holds 0 in trial 1.*1 or more"),
    "wide subject": ("subject", [[1, 1, 2]], r"'subject' has shape \(1, 3\)"),
    "nameless subject": ("subject", ["a", "", "c"], "'subject' holds \"\" in trial 1.*a name"),
    "text and numbers": ("group", ["a", 1, "c"], "'group' has dtype object.*not both"),
    "text for numbers": ("recalls", [["4"], ["1"], ["0"]], "'recalls' holds text"),
    "numbers for words": ("pres_items", np.ones((3, 4)), "'pres_items' holds float64"),
    "too few words": ("pres_items", ["a", "b", "c"], r"'pres_items' has shape \(3, 1\).*\(3, 4\)"),
    "a word as padding": ("pres_items", np.full((3, 4), "a"), "holds a in trial 2, column 3"),
    "text elsewhere": ("group", np.array(["x", None, "y"], object), "'group' has dtype"),
    "dates": ("day", np.array(["2020-01-01"] * 3, "M8[D]"), "'day' has dtype datetime"),
    "one number": ("session", 3, "'session' is the single value 3"),
    "no trials": ("subject", np.zeros((0, 1)), "rows"),
}


@pytest.mark.parametrize("name, values, message", WRONG.values(), ids=WRONG)
def test_a_wrong_entry_is_named(data, name, values, message):
    """The message must lead to the entry: otherwise the slip appears in a fit, as NaN."""
    with pytest.raises(ValueError, match=message):
        check_data(data | {name: values})


@pytest.mark.parametrize("name", ["subject", "listLength", "pres_itemnos", "recalls"])
def test_a_missing_field_is_named_with_its_near_miss(data, name):
    """listlength for listLength is a usual slip."""
    renamed = {key.lower() if key == name else key: array for key, array in data.items()}
    del renamed[name.lower()]
    renamed[name.upper()] = data[name]
    with pytest.raises(ValueError, match=f"lacks '{name}'.*Did you mean '{name.upper()}'"):
        check_data(renamed)


def test_data_without_trials_or_fields_and_other_types_are_errors():
    empty = {name: np.zeros((0, 1), int) for name in ("subject", "listLength")}
    empty |= {name: np.zeros((0, 4), int) for name in ("pres_itemnos", "recalls")}
    with pytest.raises(ValueError, match="no trials"):
        check_data(empty)
    with pytest.raises(ValueError, match="lacks 'subject'"):
        check_data({})
    with pytest.raises(ValueError, match=r"mapping.*got list"):
        check_data([1, 2])


def test_a_message_counts_the_other_entries_like_it(data):
    """The count tells a typing error from a wrong convention."""
    with pytest.raises(ValueError, match=r"holds 5 in trial 0, column 0.*\(2 more"):
        check_data(data | {"recalls": [[5, 0], [6, 0], [7, 0]]})


def test_numbers_get_the_byte_order_and_width_that_jax_reads(data):
    """Old .mat, FITS and HDF5 files are big-endian; JAX takes neither them nor 128-bit floats."""
    foreign = {name: array.astype(array.dtype.newbyteorder(">")) for name, array in data.items()}
    assert not foreign["recalls"].dtype.isnative
    assert_same(check_data(foreign), data)
    wide = data | {"age": data["age"].astype(np.longdouble)}
    assert_same(check_data(wide), data)


def test_clean_arrays_are_not_copied(data):
    """The fitters check every data set, which must cost nothing for sound data."""
    assert all(as_fields(data)[name] is data[name] for name in data)
    checked = check_data(data)
    assert all(checked[name] is data[name] for name in data)


MASK = [[False, True], [False, False], [False, False]]
MASKED = {
    "matrix": ("recalls", np.ma.masked_array([[4, 3], [1, 0], [0, 0]], mask=MASK)),
    "column": ("session", np.ma.masked_array([1, 2, 1], mask=[False, True, False])),
    "list of rows": ("recalls", [np.ma.masked_array([4, 3], mask=[0, 1]), [1, 0], [0, 0]]),
    "masked constant": ("session", [1, np.ma.masked, 1]),
    "all masked": ("session", np.ma.masked_all((3, 1), int)),
}


@pytest.mark.parametrize("name, values", MASKED.values(), ids=MASKED)
def test_masked_entries_are_an_error(data, name, values):
    """NumPy drops the mask, so the values under it would count."""
    for function in (check_data, as_fields, fingerprint, first_recalls, generate_trial_mask):
        with pytest.raises(ValueError, match=rf"'{name}' has masked entries.*np\.ma\.filled\(x, 0"):
            function(data | {name: values})


def test_a_masked_array_without_masked_entries_is_sound(data):
    loose = data | {"recalls": np.ma.masked_array(data["recalls"], mask=False)}
    assert_same(check_data(loose), data)
    filled = np.ma.masked_array(data["recalls"], mask=data["recalls"] > 3).filled(0)
    assert type(check_data(data | {"pres_itemids": filled})["pres_itemids"]) is np.ndarray


def test_a_table_leads_to_from_psifr(tmp_path):
    """Every function that takes arrays must tell a psifr user what to do with a table."""
    table = pd.DataFrame({"subject": [1], "list": [1], "item": ["oak"]})
    functions = {
        "check_data": check_data,
        "as_fields": as_fields,
        "fingerprint": fingerprint,
        "first_recalls": first_recalls,
        "generate_trial_mask": generate_trial_mask,
        "select_trials": lambda table: select_trials(table, [True]),
        "save_data": lambda table: save_data(table, tmp_path / "data.h5"),
    }
    for function in functions.values():
        with pytest.raises(ValueError, match=r"got DataFrame. .*jaxcmr\.datasets\.from_psifr\(tab"):
            function(table)
