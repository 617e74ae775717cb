"""Saved data load unchanged, and a failed save leaves the older file."""

import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from jaxcmr.datasets import check_data, first_recalls, load_data, save_data


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


def test_files_have_the_shared_layout(data, tmp_path):
    """Other programs must read them: group `data`, trials along the last axis."""
    save_data(data, tmp_path / "data.h5")
    with h5py.File(tmp_path / "data.h5") as file:
        assert list(file) == ["data"]
        assert file["data/recalls"].shape == (4, 3)
        assert file["data/subject"].shape == (1, 3)
        assert file["data/recalls"][:, 1].tolist() == [1, 2, 1, 0]


def test_a_file_from_matlab_loads(data, tmp_path):
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
    """If writing is killed or the disk is full, the old data must still be there."""
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


def test_data_that_would_not_load_are_not_saved(data, tmp_path):
    with pytest.raises(ValueError, match="'recalls' holds 9"):
        save_data(data | {"recalls": np.full((3, 1), 9)}, tmp_path / "data.h5")
    with pytest.raises(ValueError, match="field named 'a/b'"):
        save_data(data | {"a/b": data["subject"]}, tmp_path / "data.h5")
    with pytest.raises(FileNotFoundError, match="create it first"):
        save_data(data, tmp_path / "nowhere" / "data.h5")
    assert list(tmp_path.iterdir()) == []


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


def write_latin_text(path):
    with h5py.File(path, "w") as file:
        file["data/subject"] = np.array(["B\xe4r".encode("latin-1")])


UNREADABLE = [
    (write_text, "cannot be read as HDF5"),
    (write_truncated, "cannot be read as HDF5"),
    (write_other_group, "Expected a group 'data'; the file holds trials"),
    (write_array_for_group, "Expected a group 'data'"),
    (write_group_for_array, "'data/subject' is a group"),
    (write_latin_text, "'subject' holds text that is not UTF-8"),
]


@pytest.mark.parametrize(
    "write, message", UNREADABLE, ids=lambda case: getattr(case, "__name__", "")
)
def test_an_unreadable_file_is_named_with_the_reason(tmp_path, write, message):
    """The messages of h5py alone speak of B-trees and superblocks."""
    path = tmp_path / "data.h5"
    write(path)
    with pytest.raises(ValueError, match=rf"data\.h5.*{message}"):
        load_data(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.h5"):
        load_data(tmp_path / "nothing.h5")
    with pytest.raises(FileNotFoundError):
        load_data(tmp_path)


def test_numbers_are_saved_in_native_byte_order(data, tmp_path):
    foreign = {name: array.astype(array.dtype.newbyteorder(">")) for name, array in data.items()}
    save_data(foreign, tmp_path / "data.h5")
    for name, array in load_data(tmp_path / "data.h5").items():
        np.testing.assert_array_equal(array, data[name], strict=True)


def test_any_damaged_byte_is_an_error_or_harmless(data, tmp_path):
    """Without a checksum one damaged byte may make every subject 0. h5py raises nearly any
    exception for a damaged file, `load_data` only ValueError."""
    path = tmp_path / "data.h5"
    save_data(data, path)
    raw, right, found = path.read_bytes(), check_data(data), {"harmless": 0, "damaged": 0}
    for place in range(0, len(raw), 61):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 0xFF]) + raw[place + 1 :])
        try:
            fields = load_data(path)
        except ValueError as error:
            assert "data.h5" in str(error)
            found["damaged"] += 1
        else:
            assert fields.keys() == right.keys()
            for name in right:
                np.testing.assert_array_equal(fields[name], right[name], strict=True)
            found["harmless"] += 1
    assert min(found.values()) > 15


def test_a_field_changed_by_another_program_is_an_error(data, tmp_path):
    """The message says how to read a file that was changed on purpose."""
    path = tmp_path / "data.h5"
    save_data(data, path)
    with h5py.File(path, "a") as file:
        file["data/recalls"][0, 0] = 2
    with pytest.raises(ValueError, match=r"data\.h5: The fields differ.*attribute 'fingerprint'"):
        load_data(path)
    with pytest.raises(ValueError, match="The fields differ"):
        load_data(path, prepare=first_recalls)
    with h5py.File(path, "a") as file:
        del file["data"].attrs["fingerprint"]
    assert load_data(path)["recalls"][0, 0] == 2


def test_prepared_fields_are_not_compared_with_the_fingerprint(data, tmp_path):
    """The fingerprint is of the fields in the file, before `prepare`."""
    save_data(data, tmp_path / "data.h5")
    assert load_data(tmp_path / "data.h5", prepare=first_recalls)["repeats"].sum() == 1


@pytest.mark.parametrize("error", [RuntimeError, KeyError, TypeError, OSError, OverflowError])
def test_every_error_of_h5py_names_the_file(data, tmp_path, monkeypatch, error):
    save_data(data, tmp_path / "data.h5")

    def fail(group, name):
        raise error("bad symbol table node signature")

    monkeypatch.setattr(h5py.Dataset, "__getitem__", fail)
    with pytest.raises(ValueError, match=r"data\.h5 cannot be read as HDF5 .*bad symbol table"):
        load_data(tmp_path / "data.h5")


@pytest.mark.parametrize("error", [FileNotFoundError, PermissionError])
def test_errors_of_the_file_system_keep_their_type(data, tmp_path, monkeypatch, error):
    save_data(data, tmp_path / "data.h5")

    def fail(*args, **kwargs):
        raise error("cannot open")

    monkeypatch.setattr(h5py, "File", fail)
    with pytest.raises(error, match="cannot open"):
        load_data(tmp_path / "data.h5")


def test_a_file_that_is_being_written_is_not_called_damaged(data, tmp_path, monkeypatch):
    save_data(data, tmp_path / "data.h5")

    def fail(*args, **kwargs):
        raise BlockingIOError("unable to lock file")

    monkeypatch.setattr(h5py, "File", fail)
    with pytest.raises(ValueError, match=r"data\.h5 is being written by another program"):
        load_data(tmp_path / "data.h5")


def test_names_that_are_not_ascii_work_in_any_locale(tmp_path):
    """Under LANG=C Python reads the name of the file with surrogates."""
    code = (
        "import sys; from jaxcmr.datasets import load, save_data; path = sys.argv[1]\n"
        "data = dict(subject=[1], listLength=[2], pres_itemnos=[[1, 2]], recalls=[[2]])\n"
        "save_data(data, path); assert load(path)['recalls'].item() == 2\n"
        "try: load(path + 'x.h5')\n"
        "except FileNotFoundError: pass\n"
    )
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", code, str(tmp_path / "étude.h5")]
    subprocess.run(command, check=True, env=os.environ | locale)
    assert (tmp_path / "étude.h5").is_file()
