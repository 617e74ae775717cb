"""Intrusions and repeats are left out of recalls, and counted."""

import h5py
import numpy as np
import pandas as pd
import pytest

from jaxcmr.datasets import first_recalls, from_psifr, load_data

DATA = {
    "subject": [1, 1, 2],
    "listLength": [4, 3, 4],
    "pres_itemnos": [[1, 2, 3, 4], [1, 2, 3, 0], [1, 2, 1, 4]],
    "recalls": [[2, -1, 2, 4, 0, 0], [-1, -5, 0, 0, 0, 0], [4, 1, 3, -2, 2, 4]],
}


def test_intrusions_and_repeats_are_left_out():
    """By hand. Trial 0 has an intrusion and a repeat, trial 1 only intrusions, and in trial 2
    positions 1 and 3 are one word: catches repeats of positions in place of items."""
    found = first_recalls(DATA)
    expected = [[2, 4, 0, 0, 0, 0], [0] * 6, [4, 1, 2, 0, 0, 0]]
    assert found["recalls"].tolist() == expected
    assert found["intrusions"].tolist() == [[1], [2], [1]]
    assert found["repeats"].tolist() == [[1], [0], [2]]


def test_a_second_time_changes_nothing():
    """The counts of recalls left out before are kept, not set to 0."""
    once = first_recalls(DATA)
    twice = first_recalls(once)
    assert all(np.array_equal(once[name], twice[name]) for name in once)


def test_it_counts_as_from_psifr_does():
    """The same trials as a table of events, where -1 is a word that was never studied."""
    rows = []
    for trial, (subject, length) in enumerate(
        zip(DATA["subject"], DATA["listLength"], strict=True)
    ):
        words = [f"{trial}-{number}" for number in DATA["pres_itemnos"][trial]]
        rows += [(subject, trial, "study", i + 1, words[i]) for i in range(length)]
        recalls = [recall for recall in DATA["recalls"][trial] if recall]
        rows += [
            (subject, trial, "recall", i + 1, words[recall - 1] if recall > 0 else "odd")
            for i, recall in enumerate(recalls)
        ]
    table = pd.DataFrame(rows, columns=["subject", "list", "trial_type", "position", "item"])
    by_event, by_array = from_psifr(table), first_recalls(DATA)
    for name in ("intrusions", "repeats"):
        np.testing.assert_array_equal(by_array[name], by_event[name])
    np.testing.assert_array_equal(by_array["recalls"][:, :4], by_event["recalls"])


def test_load_data_applies_it_before_the_check(tmp_path):
    """Without it, a file with intrusions is an error that says what to do."""
    path = tmp_path / "raw.h5"
    with h5py.File(path, "w") as file:
        for name, values in DATA.items():
            file.create_dataset(f"data/{name}", data=np.atleast_2d(np.asarray(values).T))
    with pytest.raises(ValueError, match=r"holds -1 in trial 0, column 1.*first_recalls"):
        load_data(path)
    assert load_data(path, prepare=first_recalls)["intrusions"].tolist() == [[1], [2], [1]]


@pytest.mark.parametrize(
    "recalls",
    [[[1, 0, 2]], [[5, -1, 0]], [[1.5, 0, 0]], [[1, -1.5, 0]], [[-np.inf, 1, 0]], [[True, True]]],
)
def test_other_recalls_are_errors(recalls):
    """A gap, a position beyond the list or half a recall is not silently dropped."""
    odd = {"subject": [1], "listLength": [4], "pres_itemnos": [[1, 2, 3, 4]], "recalls": recalls}
    with pytest.raises(ValueError, match="recalls"):
        first_recalls(odd)


MARKS = {
    "intrusions": [[0, -1, 0, 0, 0, 0], [2, -1, 0, 0, 0, 0], [0, 0, 0, -1, 0, 0]],
    "repeats": [[0, 0, 1, 0, 0, 0], [0] * 6, [0, 0, 1, 0, 0, 1]],
}


@pytest.mark.parametrize("name", MARKS)
@pytest.mark.parametrize("dtype", [int, float, bool, np.int8])
def test_marks_of_each_output_become_counts(name, dtype):
    """The layout of the Kahana lab's toolboxes: -1 for an extra-list intrusion, n for a word from n
    lists back. Marks must not be added to the counts."""
    marked = first_recalls(DATA | {name: np.array(MARKS[name], dtype)})
    plain = first_recalls(DATA)
    assert all(np.array_equal(marked[field], plain[field]) for field in plain)
    assert marked[name].shape == (3, 1)


@pytest.mark.parametrize("name", MARKS)
def test_marks_that_contradict_the_recalls_are_an_error(name):
    """Trial 2 has one intrusion and two repeats; here it has one mark more."""
    marks = np.array(MARKS[name])
    marks[2, 0] = 1
    right = {"intrusions": "marks 2 outputs in trial 2.*1 intrusions", "repeats": "3 .* 2 repeats"}
    with pytest.raises(ValueError, match=rf"'{name}' .*{right[name]}.*leave '{name}' out"):
        first_recalls(DATA | {name: marks})


def test_one_output_is_marked_or_counted():
    """With one column of recalls the shapes agree: marks where they name the intrusions exactly."""
    cued = {"subject": [1, 2], "listLength": [2, 2], "pres_itemnos": [[1, 2]] * 2}
    cued |= {"recalls": [[-1], [2]]}
    assert first_recalls(cued | {"intrusions": [-1, 0]})["intrusions"].tolist() == [[1], [0]]
    assert first_recalls(cued | {"intrusions": [3, 1]})["intrusions"].tolist() == [[4], [1]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint64, np.float32])
def test_counts_from_before_are_added_exactly(dtype):
    """uint64 and int64 add to floats, 255 and 1 in 8 bits to 0."""
    counts = first_recalls(DATA | {"intrusions": np.array([255, 0, 1], dtype)})["intrusions"]
    assert counts.dtype == np.int64
    assert counts.tolist() == [[256], [2], [2]]


@pytest.mark.parametrize("counts", [[-1, 0, 0], [0.5, 0, 0], [np.nan, 0, 0], np.zeros((3, 1, 1))])
def test_invalid_counts_are_errors(counts):
    with pytest.raises(ValueError, match="'intrusions' h"):
        first_recalls(DATA | {"intrusions": counts})
