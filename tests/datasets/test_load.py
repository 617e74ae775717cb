"""`load` reads a name, a file, a table or arrays."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

from jaxcmr.datasets import check_data, from_psifr, load, load_bundled, save_data

TABLE = pd.DataFrame(
    [
        (1, 1, "study", 1, "Bär"),
        (1, 1, "study", 2, "elm"),
        (1, 1, "recall", 1, "elm"),
        (2, 1, "study", 1, "oak"),
        (2, 1, "recall", 1, "Bär"),
    ],
    columns=["subject", "list", "trial_type", "position", "item"],
)


def assert_same(left, right):
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], strict=True)


def test_arrays_and_tables_are_converted(data):
    assert_same(load(data), check_data(data))
    assert_same(load(TABLE), from_psifr(TABLE))
    with pytest.raises(ValueError, match="lacks 'subject'"):
        load({})
    with pytest.raises(ValueError, match=r"name of a bundled data set, .*got int"):
        load(3)


@pytest.mark.parametrize(
    "name, separator", [("a.csv", ","), ("a.tsv", "\t"), ("a.txt", "\t"), ("A.CSV", ",")]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_table_comes_back_from_a_text_file(tmp_path, name, separator, encoding):
    """A byte-order mark, which Excel writes, would hide the first column."""
    TABLE.to_csv(tmp_path / name, sep=separator, index=False, encoding=encoding)
    assert_same(load(tmp_path / name), from_psifr(TABLE))
    assert_same(load(str(tmp_path / name)), from_psifr(TABLE))


@pytest.mark.parametrize("name", ["a.h5", "a.hdf5", "a.mat", "a"])
def test_an_hdf5_file_is_read(data, tmp_path, name):
    save_data(data, tmp_path / name)
    assert_same(load(tmp_path / name), check_data(data))


def test_a_bundled_name_is_read_unless_a_file_has_it(data, tmp_path, monkeypatch):
    """The file is the user's own choice. A folder of results is not data."""
    monkeypatch.chdir(tmp_path)
    Path("Morton2013").mkdir()
    pytest.importorskip("psifr")
    assert_same(load("Morton2013"), load_bundled("Morton2013"))
    save_data(data, "peers_notask")
    assert_same(load("peers_notask"), check_data(data))


def test_a_missing_source_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"Unknown data set 'morton2031'\. .*'Morton2013'"):
        load("morton2031")
    for name in ("study.csv", Path("study.h5"), "study.xyz"):
        with pytest.raises(FileNotFoundError, match=rf"{name} does not exist \(looked from"):
            load(name)


def test_a_broken_table_is_named_with_its_file(tmp_path):
    path = tmp_path / "study.csv"
    TABLE.rename(columns={"list": "List"}).to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"study\.csv: The table lacks .*'list'.*mean 'List'"):
        load(path)
    TABLE.to_csv(path, index=False, sep=";")
    with pytest.raises(ValueError, match=r"study\.csv: .*Only one column .* the separator ','"):
        load(path)
    path.write_text("")
    with pytest.raises(ValueError, match=r"study\.csv cannot be read.*it is empty"):
        load(path)
    TABLE.to_csv(path, index=False, encoding="latin-1")
    with pytest.raises(ValueError, match=r"study\.csv cannot be read as a table in UTF-8"):
        load(path)
    TABLE.to_csv(path, index=False, encoding="utf-16")
    with pytest.raises(ValueError, match=r"study\.csv cannot be read.*save it as UTF-8"):
        load(path)


OTHERS = {
    "text": (b"subject,list\n1,1\n", "text; a psifr table is named .csv"),
    "old MATLAB": (b"MATLAB 5.0 MAT-file" + bytes(200), r"scipy\.io\.loadmat"),
    "Excel": (b"PK\3\4" + bytes(200), "a zip archive, as .xlsx"),
    "gzip": (b"\x1f\x8b" + bytes(200), "compressed with gzip"),
    "NumPy": (b"\x93NUMPY" + bytes(200), "numpy.load"),
    "UTF-16": ("subject".encode("utf-16"), "save it as UTF-8"),
    "nothing": (b"", "it is empty"),
    "noise": (bytes(range(128, 256)), "damaged or has another format"),
}


@pytest.mark.parametrize("content, message", OTHERS.values(), ids=OTHERS)
def test_a_file_of_another_format_is_recognized(tmp_path, content, message):
    path = tmp_path / "study.h5"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"study\.h5 cannot be read as HDF5 \(.*{message}"):
        load(path)


def test_a_table_that_is_hdf5_is_recognized(tmp_path):
    with h5py.File(tmp_path / "study.csv", "w") as file:
        file["data/subject"] = [1]
    with pytest.raises(ValueError, match=r"study\.csv cannot be read as a table.*an HDF5 file"):
        load(tmp_path / "study.csv")


EVENTS = pd.DataFrame(
    [("s1", 1, "WORD", "oak"), ("s1", 1, "WORD", "elm"), ("s1", 1, "REC_WORD", "elm")],
    columns=["subject", "list", "trial_type", "item_name"],
).assign(session=0)


def test_formats_are_told_apart(tmp_path, data):
    """By suffix, columns and content: BIDS files and folders, JSON, and MATLAB of both kinds."""
    folder = tmp_path / "study" / "sub-s1" / "beh"
    folder.mkdir(parents=True)
    EVENTS.to_csv(folder / "sub-s1_task-free_beh.tsv", sep="\t", index=False)
    EVENTS.to_csv(tmp_path / "events.csv", index=False)
    events = EVENTS.rename(columns={"trial_type": "type"})
    events.to_json(tmp_path / "events.json", orient="records")
    savemat(tmp_path / "events.mat", {"events": events.to_dict("records")})
    trials = {"subject": [1, 2], "pres_itemnos": [[5, 9], [9, 5]], "recalls": [[2, 0], [1, 0]]}
    savemat(tmp_path / "trials.mat", {"data": trials})
    for source in ("study", "events.csv", "events.json", "events.mat"):
        assert load(tmp_path / source)["pres_items"].tolist() == [["oak", "elm"]]
    assert load(tmp_path / "trials.mat")["pres_itemids"].tolist() == [[5, 9], [9, 5]]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty has no files sub-"):
        load(tmp_path / "empty")


def test_a_merged_table_is_recognized():
    merged = TABLE.rename(columns={"position": "input"}).assign(output=1).drop(columns="trial_type")
    with pytest.raises(ValueError, match=r"merge_free_recall made"):
        load(merged)
