"""Data survive the disk, and a failed save costs nothing."""

import h5py
import numpy as np
import pytest

from jaxcmr.datasets import load_data, save_data


@pytest.mark.parametrize(
    "dtype", ["int64", "int8", "uint16", "uint64", "float64", "float16", "bool"]
)
@pytest.mark.parametrize("shape", [(3, 1), (3, 5), (3, 2, 4), (3, 0)])
def test_save_then_load_is_the_identity(data, tmp_path, dtype, shape):
    """Values, dtypes and shapes come back, three axes included: one transpose too few, or a cast,
    would show here."""
    data["extra"] = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    save_data(data, tmp_path / "data.h5")
    loaded = load_data(tmp_path / "data.h5")
    assert loaded.keys() == data.keys()
    for name in data:
        np.testing.assert_array_equal(loaded[name], data[name], strict=True)


def test_the_layout_is_the_one_the_field_shares(data, tmp_path):
    """Files must be readable by other programs: group `data`, trials along the last axis."""
    save_data(data, tmp_path / "data.h5")
    with h5py.File(tmp_path / "data.h5") as file:
        assert list(file) == ["data"]
        assert file["data/recalls"].shape == (4, 3)
        assert file["data/subject"].shape == (1, 3)
        assert file["data/recalls"][:, 1].tolist() == [1, 2, 1, 0]


def test_a_file_made_elsewhere_loads(data, tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        for name, array in data.items():
            file[f"data/{name}"] = array.T.astype(float)  # MATLAB writes doubles
    loaded = load_data(str(tmp_path / "data.h5"))
    assert loaded["recalls"].dtype == np.int64
    np.testing.assert_array_equal(loaded["recalls"], data["recalls"])


def test_the_real_file_survives_a_round_trip(real, tmp_path):
    save_data(real, tmp_path / "copy.h5")
    for name, array in load_data(tmp_path / "copy.h5").items():
        np.testing.assert_array_equal(array, real[name], strict=True)


def test_a_failed_save_leaves_the_older_file_and_no_litter(data, tmp_path, monkeypatch):
    """Killed or out of disk in the middle of writing: the old data must still be there."""
    path = tmp_path / "data.h5"
    save_data(data, path)
    before = path.read_bytes()

    def fail(group, name, **kwargs):
        if name == "recalls":
            raise OSError("no space left on device")
        return create(group, name, **kwargs)

    create = h5py.Group.create_dataset
    monkeypatch.setattr(h5py.Group, "create_dataset", fail)
    with pytest.raises(OSError, match="no space"):
        save_data(data | {"session": [7, 7, 7]}, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_save_replaces_the_file_in_one_step(data, tmp_path):
    """Who has the older file open must not see it change under them, half old and half new."""
    path = tmp_path / "data.h5"
    save_data(data, path)
    before = path.read_bytes()
    with open(path, "rb") as reader:
        save_data(data | {"session": [7, 7, 7]}, path)
        assert reader.read() == before
    assert load_data(path)["session"].tolist() == [[7], [7], [7]]


def test_save_refuses_what_load_would(data, tmp_path):
    with pytest.raises(ValueError, match="'recalls' holds 9"):
        save_data(data | {"recalls": np.full((3, 1), 9)}, tmp_path / "data.h5")
    with pytest.raises(ValueError, match="field named 'a/b'"):
        save_data(data | {"a/b": data["subject"]}, tmp_path / "data.h5")
    with pytest.raises(FileNotFoundError, match="create it first"):
        save_data(data, tmp_path / "nowhere" / "data.h5")
    assert list(tmp_path.iterdir()) == []


def test_saved_files_can_be_shared(data, tmp_path):
    """A draft made by `mkstemp` would leave a file that colleagues cannot read."""
    save_data(data, tmp_path / "data.h5")
    (tmp_path / "plain").touch()
    assert (tmp_path / "data.h5").stat().st_mode == (tmp_path / "plain").stat().st_mode


def write_text(path):
    path.write_text("subject,list\n1,1\n")


def write_truncated(path):
    with h5py.File(path, "w") as file:
        file["data/subject"] = np.arange(10_000)
    path.write_bytes(path.read_bytes()[:5_000])


def write_other_group(path):
    with h5py.File(path, "w") as file:
        file["trials/subject"] = [1]


def write_array_for_group(path):
    with h5py.File(path, "w") as file:
        file["data"] = [1]


def write_group_for_array(path):
    with h5py.File(path, "w") as file:
        file["data/subject/id"] = [1]


def write_text_field(path):
    with h5py.File(path, "w") as file:
        file["data/subject"] = ["LTP063"]


UNREADABLE = [
    (write_text, "cannot be read as HDF5"),
    (write_truncated, "cannot be read as HDF5"),
    (write_other_group, "no group 'data'; the file holds trials"),
    (write_array_for_group, "no group 'data'"),
    (write_group_for_array, "'data/subject' is a group"),
    (write_text_field, "'subject' has dtype.*numeric arrays only"),
]


@pytest.mark.parametrize(
    "write, message", UNREADABLE, ids=lambda case: getattr(case, "__name__", "")
)
def test_an_unreadable_file_is_named_with_the_reason(tmp_path, write, message):
    """h5py's own messages speak of B-trees and superblocks."""
    path = tmp_path / "data.h5"
    write(path)
    with pytest.raises(ValueError, match=rf"data\.h5.*{message}"):
        load_data(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.h5"):
        load_data(tmp_path / "nothing.h5")
    with pytest.raises(FileNotFoundError):
        load_data(tmp_path)
