"""Recall sequences as study positions: intrusions, repeats, items studied twice, stale fields."""

import numpy as np
import pytest

from jaxcmr.analyses import MEASURES, lag_crp, recall_positions
from jaxcmr.datasets import first_recalls

STUDY = {
    "subject": np.array([[1]]),
    "listLength": np.array([[4]]),
    "pres_itemnos": np.array([[1, 2, 3, 4]]),
}


def test_items_are_looked_up_in_their_own_list():
    """8 was studied in the other list, -1 in none; 9 is recalled twice."""
    data = {
        "listLength": np.array([[2], [3]]),
        "pres_itemnos": np.array([[1, 2, 0], [1, 2, 3]]),
        "pres_itemids": np.array([[8, 7, 0], [5, 9, 7]]),
        "recalls": np.array([[2, 1, 0], [2, 3, 0]]),
        "rec_itemids": np.array([[7, 9, 8, 0, 0], [9, 8, 9, -1, 7]]),
    }
    assert recall_positions(data).tolist() == [[2, -1, 1, 0, 0], [2, -1, 2, -1, 3]]


def test_without_ids_recalls_are_the_sequence():
    data = {**STUDY, "recalls": np.array([[4, -1, 4, 2, 0]])}
    assert recall_positions(data).tolist() == [[4, -1, 4, 2, 0]]
    assert recall_positions({**data, "pres_itemids": data["pres_itemnos"]}).tolist() == [
        [4, -1, 4, 2, 0]
    ]


def test_an_item_studied_twice_is_recalled_once():
    """Words 1 and 4 are the same: the recall of either is that of position 1, another is a repeat,
    and no transition to position 4 is possible. From 2, then, 1 and 3 are left: lags -1 and 1."""
    data = {**STUDY, "pres_itemnos": np.array([[1, 2, 3, 1]]), "recalls": np.array([[2, 4, 1, 3]])}
    assert recall_positions(data).tolist() == [[2, 1, 1, 3]]
    np.testing.assert_array_equal(lag_crp(data), [np.nan, np.nan, 1, np.nan, 0, np.nan, np.nan])


def test_ids_and_recalls_must_agree():
    """Recalls that were changed while ids were not: the measures of one are not of the other."""
    data = {
        **STUDY,
        "pres_itemids": np.array([[5, 6, 7, 8]]),
        "recalls": np.array([[4, 2, 0, 0]]),
        "rec_itemids": np.array([[8, 5, 0, 0]]),
    }
    with pytest.raises(
        ValueError, match=r"differ in trial 0: .* \[4, 1\], and 'recalls' are \[4, 2\]"
    ):
        recall_positions(data)


def test_recalls_may_hold_repeats_as_ids_do():
    """Both with and without them are the same sequence of first recalls."""
    data = {
        **STUDY,
        "pres_itemids": np.array([[5, 6, 7, 8]]),
        "recalls": np.array([[4, 4, 1, 0]]),
        "rec_itemids": np.array([[8, 9, 5, 8]]),
    }
    assert recall_positions(data).tolist() == [[4, -1, 1, 4]]


def test_a_position_beyond_the_list_is_an_error():
    """Also where the array is wider than the list."""
    with pytest.raises(ValueError, match="position 5 in trial 0, whose list has 4"):
        recall_positions({**STUDY, "recalls": np.array([[5, 0]])})
    short = {**STUDY, "listLength": np.array([[3]]), "pres_itemnos": np.array([[1, 2, 3, 0]])}
    with pytest.raises(ValueError, match="position 4 in trial 0, whose list has 3"):
        recall_positions({**short, "recalls": np.array([[4, 0]])})


def test_recalls_are_whole_numbers():
    """As floats or as integers; 1.5 and NaN are neither positions nor padding."""
    for dtype in (float, np.uint8, np.int16):
        data = {**STUDY, "recalls": np.array([[4, 2, 0]], dtype)}
        assert recall_positions(data).tolist() == [[4, 2, 0]]
    for wrong in (1.5, np.nan):
        with pytest.raises(ValueError, match="'recalls' must hold whole numbers"):
            recall_positions({**STUDY, "recalls": np.array([[4.0, wrong]])})


def test_errors_that_were_left_out_are_counted():
    """One intrusion and two repeats, before and after they are left out of the recalls."""
    data = {**STUDY, "recalls": np.array([[3, -1, 3, 2, 3, 0]])}
    for each in (data, first_recalls(data)):
        assert MEASURES["intrusions"](each) == 1 and MEASURES["repeats"](each) == 2
