"""A data set comes back from its psifr table, and psifr scores that table as it should."""

import numpy as np
import pandas as pd
import pytest

from jaxcmr.datasets import first_recalls, from_psifr, load_bundled, to_psifr


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert (found[name].dtype.kind == "U") == (array.dtype.kind == "U"), name
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def random_table(seed):
    """Ragged lists with repeated study and recall, intrusions of three kinds, and gaps."""
    rng = np.random.default_rng(seed)
    pool = np.array(["ash", "Bär", "elm", "fir", "oak", "yew", "日本", "x y"])
    is_named, is_word = rng.integers(0, 2, 2)
    rows = []
    for subject in rng.choice(99, 3, replace=False):
        name = f"s{subject}" if is_named else int(subject)
        for number in rng.choice(20, rng.integers(1, 4), replace=False):
            kind = rng.choice(["mixed", "pure", ""])
            n_study, n_recall = rng.integers(1, 5), rng.integers(0, 6)
            for trial_type, n in (("study", n_study), ("recall", n_recall)):
                for position, item in enumerate(rng.integers(0, 8, n), 1):
                    label = pool[item] if is_word else int(item) + 1
                    value = (rng.choice([0.5, np.nan]), rng.choice(["u", "v", ""]))
                    rows.append((name, int(number), trial_type, position, label, kind, *value))
    names = ["subject", "list", "trial_type", "position", "item", "kind", "time", "category"]
    return pd.DataFrame(rows, columns=names)


@pytest.mark.parametrize("seed", range(40))
def test_a_data_set_comes_back(seed):
    data = from_psifr(random_table(seed))
    table = to_psifr(data)
    assert_equal(from_psifr(table), data)
    assert_equal(from_psifr(table.sample(frac=1, random_state=seed)), data)


@pytest.mark.parametrize("name", ["peers_notask", "Morton2013"])
def test_the_bundled_data_come_back(name):
    """The table that psifr ships, too, but for the order of its rows and columns."""
    fr = pytest.importorskip("psifr.fr")
    data, raw = load_bundled(name), fr.sample_data(name)
    table = to_psifr(data)
    assert_equal(from_psifr(table), data)
    keys = ["subject", "list", "trial_type", "position"]
    left, right = (each.sort_values(keys, ignore_index=True) for each in (table, raw))
    for column in raw.columns:
        # Numbers that are missing, or text, come back as such; their types may differ.
        filled = [
            each[column].astype(object).where(each[column].notna(), "") for each in (left, right)
        ]
        assert filled[0].tolist() == filled[1].tolist(), column


def test_copies_are_lists_of_their_own(data):
    """psifr would merge two recalls of one list: here copy 1 recalls all, copy 2 nothing, so that
    its curve is 0.5 and not 1. The oracle is psifr."""
    fr = pytest.importorskip("psifr.fr")
    study = np.array([[1, 2, 3]] * 4)
    copies = {
        "subject": [5, 5, 5, 5],
        "list": [8, 9, 8, 9],
        "copy": [1, 1, 2, 2],
        "listLength": [3] * 4,
        "pres_itemnos": study,
        "pres_itemids": study,
        "recalls": [[1, 2, 3], [3, 2, 1], [0, 0, 0], [0, 0, 0]],
        "pres_items": [["a", "b", "c"]] * 4,
    }
    table = to_psifr(copies)
    assert fr.spc(fr.merge_free_recall(table))["recall"].tolist() == [0.5, 0.5, 0.5]
    lists = table.drop_duplicates(["subject", "list"])
    assert lists[["list", "studied_list", "copy"]].values.tolist() == [
        [1, 8, 1],
        [2, 9, 1],
        [3, 8, 2],
        [4, 9, 2],
    ]


def test_recalls_without_ids_are_written_by_position(data):
    """An item studied twice has one name; lists do not share items that have no ids."""
    table = to_psifr(first_recalls(data))
    found = from_psifr(table)
    assert found["recalls"].tolist() == [[4, 3, 0, 0], [1, 2, 0, 0], [0, 0, 0, 0]]
    assert found["pres_itemnos"].tolist() == data["pres_itemnos"].tolist()
    assert found["age"].tolist()[:2] == [[20.5], [20.5]] and found["intrusions"].sum() == 0
    assert table.groupby("item")["list"].nunique().max() == 1


def test_ids_that_contradict_recalls_are_an_error(data):
    """Written as they are, they would change what was recalled."""
    ids = data["pres_itemnos"] + 10 * (data["pres_itemnos"] > 0)
    wrong = {"pres_itemids": ids, "rec_itemids": np.array([[14, 12], [11, 12], [0, 0]])}
    with pytest.raises(ValueError, match=r"contradict each other in trial 0.*\[4, 2\].*\[4, 3\]"):
        to_psifr(data | wrong)
    right = wrong | {"rec_itemids": np.array([[14, 13, -1], [11, 12, 11], [0, 0, 0]])}
    assert (to_psifr(data | right)["item"] == -1).sum() == 1


def test_fields_that_fit_nowhere_are_named(data):
    with pytest.warns(UserWarning, match="lacks extra, which"):
        to_psifr(data | {"extra": np.zeros((3, 2, 2))})
    with pytest.raises(ValueError, match="'item' has the name of a column"):
        to_psifr(data | {"item": [1, 2, 3]})
    with pytest.raises(ValueError, match="'session' and 'rec_session' claim"):
        to_psifr(data | {"rec_session": np.zeros((3, 4))})
