"""The serial position curve, against psifr and by hand."""

import numpy as np
import psifr.fr as fr
import pytest

from jaxcmr.analyses import recalled_positions, serial_position_curve


def test_it_equals_psifr_on_real_data(peers):
    """Every subject and position of the PEERS lists, to rounding."""
    theirs = fr.spc(fr.merge_free_recall(fr.sample_data("peers_notask")))
    for subject, curve in theirs.groupby("subject"):
        mine = peers["subject"][:, 0] == subject
        ours = serial_position_curve(peers["recalls"][mine], peers["listLength"][mine])
        np.testing.assert_allclose(ours, curve["recall"], atol=1e-7)


def test_it_equals_psifr_on_lists_of_unequal_length():
    """A position counts in the lists that have it; a repeated recall counts once."""
    study = [["a", "b", "c"], ["d", "e"]]
    recall = [["c", "a", "c"], ["e"]]
    theirs = fr.spc(fr.merge_free_recall(fr.table_from_lists([1, 1], study, recall)))
    ours = serial_position_curve(np.array([[3, 1, 3], [2, 0, 0]]), np.array([3, 2]))
    np.testing.assert_allclose(ours, theirs["recall"])
    np.testing.assert_allclose(ours, [0.5, 0.5, 1.0])


def test_recalled_positions_by_hand():
    """Order and repeats do not count, and zeros are padding."""
    recalled = recalled_positions(np.array([[3, 1, 3, 0], [0, 0, 0, 0]]), 3)
    assert recalled.tolist() == [[True, False, True], [False, False, False]]


def test_one_length_for_all_lists():
    """By hand: position 1 was recalled in two of three lists, the others in one."""
    recalls = [[1, 2], [3, 0], [1, 0]]
    for lengths in (3, np.array(3), [3, 3, 3], [[3], [3], [3]]):
        np.testing.assert_allclose(serial_position_curve(recalls, lengths), [2 / 3, 1 / 3, 1 / 3])


@pytest.mark.parametrize("lengths", [[3], [3, 3], [3, 3, 3, 3]])
def test_a_wrong_number_of_lengths_is_an_error(lengths):
    """Expected is a list length for each trial, or one number."""
    with pytest.raises(ValueError, match=r"recalls of shape \(3, 2\)"):
        serial_position_curve([[1, 2], [3, 0], [1, 0]], lengths)
