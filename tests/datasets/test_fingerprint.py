"""Equal data have equal fingerprints, different data different ones."""

import numpy as np

from jaxcmr.datasets import fingerprint


def test_the_fingerprint_never_changes():
    """Checkpoints on disk hold fingerprints, which must be the same in every process, on every
    machine and in every later version. This one was computed with hashlib from the stream

        ["recalls", "<i8", [1, 2]] 1 2 ["subject", "<i8", [1, 1]] 3  (numbers in 8 bytes each)
    """
    data = {"subject": np.array([[3]]), "recalls": np.array([[1, 2]])}
    assert fingerprint(data) == (
        "sha256:7145da2f833bb81696d56c92639c75a468a2de973faae3474a40e42a65757e02"
    )


def test_order_width_and_layout_do_not_count(data):
    """Loading from disk, slicing or rebuilding a dict changes these, but not the data."""
    expected = fingerprint(data)
    assert fingerprint(dict(reversed(data.items()))) == expected
    assert fingerprint(data | {"recalls": data["recalls"].astype(np.int8)}) == expected
    assert fingerprint(data | {"recalls": data["recalls"].astype(">u4")}) == expected
    assert fingerprint(data | {"recalls": np.asfortranarray(data["recalls"])}) == expected
    assert fingerprint(data | {"subject": [1, 1, 2]}) == expected
    zeros = data | {"age": np.zeros((3, 1))}
    assert fingerprint(zeros) == fingerprint(data | {"age": -np.zeros((3, 1))})


def test_any_change_of_the_data_changes_the_fingerprint(data):
    """One entry, a name, a shape with the same bytes, a field more or less: a checkpoint must not
    be resumed with other data."""
    cell = data["recalls"].copy()
    cell[2, 0] = 1
    others = [
        data,
        data | {"recalls": cell},
        data | {"recalls": data["recalls"].reshape(3, 2, 2)},
        data | {"age": np.nan_to_num(data["age"])},
        data | {"more": data["session"]},
        {name: array for name, array in data.items() if name != "session"},
        {name.replace("session", "Session"): array for name, array in data.items()},
        {name: array[:2] for name, array in data.items()},
        data | {"session": data["age"], "age": data["session"]},
    ]
    assert len({fingerprint(each) for each in others}) == len(others)


def test_text_counts(data):
    """Texts, and their places, make a difference; the width of the array does not."""
    group = np.array(["a", "b", "c"])
    same = {fingerprint(data | {"group": each}) for each in (group, group.astype("<U9"))}
    assert len(same) == 1
    others = [["a", "b", "d"], ["a", "c", "b"], ["ab", "", "c"], [1, 2, 3], ["1", "2", "3"]]
    assert len(same | {fingerprint(data | {"group": each}) for each in others}) == 1 + len(others)


def test_unsigned_numbers_beyond_int64_have_their_own(data):
    """As int64, 2**64 - 1 would be -1, so that two data sets would have one fingerprint."""
    unsigned = data | {"subject": np.array([1, 1, 2**64 - 1], np.uint64)}
    signed = data | {"subject": np.array([1, 1, -1])}
    assert fingerprint(unsigned) != fingerprint(signed)
    small = data | {"subject": np.array([1, 1, 2], np.uint64)}
    assert fingerprint(small) == fingerprint(data)
