"""Fields of text are kept: checked, selected, asked for, saved and loaded."""

import h5py
import numpy as np
import pandas as pd
import pytest

from jaxcmr.datasets import check_data, generate_trial_mask, load_data, save_data, select_trials


@pytest.fixture
def named(data):
    """The shared data set with names for its subjects, lists and words."""
    words = [["oak", "elm", "ash", "Bär"], ["oak", "elm", "oak", "fir"], ["ash", "日本", "yew", ""]]
    return data | {
        "subject": np.array([["s2"], ["s2"], ["s10"]]),
        "list_type": np.array([["mixed"], ["pure"], [""]]),
        "pres_items": np.array(words),
    }


def test_text_of_every_kind_is_an_array_of_text(data):
    """A vector becomes a column. pandas gives objects, NumPy has a second type of strings."""
    values = ["b", "a", ""]
    kinds = [values, np.array(values), np.array(values, object), pd.Series(values)]
    kinds += [np.array(values, np.dtypes.StringDType()), pd.Series(values, dtype=object)]
    for kind in kinds:
        field = check_data(data | {"group": kind})["group"]
        assert field.dtype.kind == "U" and field.tolist() == [["b"], ["a"], [""]]


def test_numbers_among_text_are_an_error(data):
    """NumPy makes text of them: subject 1 would be another one than subject "1"."""
    for values in (["a", 1, "b"], [1.5, "a", "b"], np.array(["a", 2, None], object)):
        with pytest.raises(ValueError, match=r"'subject' has dtype object; .* not both"):
            check_data(data | {"subject": values})


def test_text_is_selected_and_asked_for(named):
    masks = {
        "list_type == 'mixed'": [True, False, False],
        "list_type != 'mixed' and session == 1": [False, False, True],
        "subject in ['s10', 's3']": [False, False, True],
        "subject not in ['s10']": [True, True, False],
        "np.isin(subject, ['s2'])": [True, True, False],
        "data['pres_items'][:, 0] == 'oak'": [True, True, False],
        "'s10' <= subject < 's2'": [False, False, True],
        "subject in []": [False, False, False],
    }
    for query, expected in masks.items():
        assert generate_trial_mask(named, query).tolist() == expected
    chosen = select_trials(named, [False, True, True])
    assert chosen["list_type"].tolist() == [["pure"], [""]]
    assert chosen["pres_items"][1].tolist() == ["ash", "日本", "yew", ""]


@pytest.mark.parametrize(
    "query, message",
    [
        ("list_type == 1", "compares text with numbers"),
        ("session == 'mixed'", "compares text with numbers"),
        ("subject in ['s2', 3]", "compares text with numbers"),
        ("subject in [3]", "compares text with numbers"),
        ("subject + 'x' == 's2x'", "operation on text"),
        ("list_type and session == 1", "operation on text"),
        ("not list_type", "operation on text"),
        ("subject == s2", "Unknown field 's2'.*text in quotes"),
        ("'mixed'", "is text, not a condition"),
    ],
)
def test_text_is_only_compared_with_text(named, query, message):
    """In NumPy "1" == 1 is False, so that a condition would select nothing without a word."""
    with pytest.raises(ValueError, match=message):
        generate_trial_mask(named, query)


def test_text_comes_back_from_a_file(named, tmp_path):
    """Letters beyond ASCII, empty text and text of three axes included."""
    named["deep"] = np.array(["", "ü", "abc"] * 4).reshape(3, 2, 2)
    named["blank"] = np.full((3, 1), "")
    named["none"] = np.zeros((3, 0), "<U1")
    save_data(named, tmp_path / "data.h5")
    loaded = load_data(tmp_path / "data.h5")
    assert loaded.keys() == named.keys()
    for name in named:
        assert loaded[name].dtype.kind == named[name].dtype.kind
        np.testing.assert_array_equal(loaded[name], named[name])


def test_text_of_other_programs_is_read(data, tmp_path):
    """h5py stores lists of strings with variable length."""
    with h5py.File(tmp_path / "data.h5", "w") as file:
        for name, array in data.items():
            file[f"data/{name}"] = array.T
        file["data/group"] = ["ä", "", "longer"]
    assert load_data(tmp_path / "data.h5")["group"].tolist() == [["ä"], [""], ["longer"]]


def test_text_that_cannot_be_stored_is_named(data, tmp_path):
    with pytest.raises(ValueError, match="'group' holds text that UTF-8 cannot store"):
        save_data(data | {"group": ["a", "b", "\ud800"]}, tmp_path / "data.h5")
