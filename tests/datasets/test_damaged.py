"""Files that would end the process, run forever or fill the memory are refused with a message."""

import io
import json
import pickle
import struct
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.io import loadmat, savemat
from scipy.sparse import csc_array

from jaxcmr.cli._config import read_config
from jaxcmr.datasets import from_mat, from_quail, load, load_data
from jaxcmr.datasets._hdf5 import check_heaps
from jaxcmr.datasets._mat_elements import check_elements
from jaxcmr.front._sources import load_features
from jaxcmr.results import FitResult

TRIALS = {
    "subject": [1.0, 2.0],
    "pres_itemnos": [[7.0, 9.0], [9.0, 4.0]],
    "recalls": [[1.0], [2.0]],
}


def write_mat(path, data=TRIALS, **options):
    savemat(path, {"data": data}, **options)
    return path


def test_the_unknown_type_of_numbers_in_a_mat_file(tmp_path):
    """SciPy takes the type as a place in a table of 20: type 0 there ends the process."""
    path = write_mat(tmp_path / "study.mat")
    tag = struct.pack("<II", 9, 16)  # doubles, 16 bytes: the two subjects
    content = path.read_bytes()
    assert tag in content
    for damaged in (struct.pack("<II", 0, 16), struct.pack("<II", 900, 16)):
        path.write_bytes(content.replace(tag, damaged))
        with pytest.raises(ValueError, match=r"study\.mat .*numbers have the unknown type"):
            load(path)


@pytest.mark.parametrize("times", [0, 3])
def test_the_dimensions_of_cells_are_their_number(tmp_path, times):
    """A cell of 2 x 1 with the dimensions of another would be read from what lies behind it."""
    path = tmp_path / "study.mat"
    savemat(path, {"data": {**TRIALS, "words": np.array([["oak"], ["elm"]], object)}})
    content = path.read_bytes()
    sound, damaged = struct.pack("<IIii", 5, 8, 2, 1), struct.pack("<IIii", 5, 8, times, 1)
    at = content.rindex(sound, 0, content.index(b"oak"))
    path.write_bytes(content[:at] + damaged + content[at + 16 :])
    with pytest.raises(ValueError, match=r"a matrix has .* parts; its class and dimensions say"):
        check_elements(path)


def test_sound_mat_files_pass(tmp_path):
    """Every class that SciPy writes, in both versions, compressed or not."""
    structures = np.array([(1, "oak"), (2, "")], [("n", object), ("word", object)])
    variables = {
        "sparse": csc_array([[1.0, 0.0], [0.0, 2.0]]),
        "complex": np.array([1 + 2j, 3.0]),
        "text": np.array(["oak", "é"]),
        "cells": np.array([["oak", np.zeros((0, 0))], [{"a": [1, 2]}, 3]], object),
        "structures": structures,
        "empty": np.zeros((0, 3)),
        "logical": np.array([True, False]),
        **{kind: np.ones((2, 3, 2), kind) for kind in ("i1", "u2", "i4", "u8", "f4", "f8")},
    }
    for compressed in (False, True):
        path = tmp_path / "sound.mat"
        savemat(path, variables, do_compression=compressed)
        check_elements(path)
        assert variables.keys() <= loadmat(path).keys()
    savemat(path, {"numbers": np.ones((2, 3))}, format="4")
    check_elements(path)


@pytest.mark.parametrize("name, value", [("recalls", 7.0), ("subject", np.zeros((0, 3)))])
def test_fields_without_a_row_per_trial(tmp_path, name, value):
    path = write_mat(tmp_path / "study.mat", {**TRIALS, name: value})
    with pytest.raises(ValueError, match=r"study\.mat: '(recalls|subject)' is not an array"):
        from_mat(path)


def test_recalls_as_text(tmp_path):
    recalls = np.array([["oak"], ["elm"]], object)
    path = write_mat(tmp_path / "study.mat", {**TRIALS, "recalls": recalls})
    with pytest.raises(ValueError, match=r"study\.mat: 'recalls' holds text"):
        from_mat(path)


def write_words(path, n=5):
    """Write an HDF5 file with strings of variable length."""
    with h5py.File(path, "w") as file:
        file["data/subject"] = np.array(["s" * (i % 40) for i in range(n)], h5py.string_dtype())
    return path


@pytest.mark.parametrize("n", [1, 5, 300, 5000])
def test_sound_heaps_pass(tmp_path, n):
    check_heaps(write_words(tmp_path / "words.h5", n))


def test_a_heap_in_which_hdf5_would_search_forever(tmp_path):
    path = write_words(tmp_path / "words.h5")
    content = path.read_bytes()
    at = content.index(b"GCOL") + 16 + 8  # the size of the first string
    for size in (2**20, 2**40, 2**63):
        path.write_bytes(content[:at] + struct.pack("<Q", size) + content[at + 8 :])
        with pytest.raises(ValueError, match=r"words\.h5: The heap of strings at byte"):
            load_data(path)


def test_an_array_that_claims_more_than_its_file_holds(tmp_path):
    """Four terabytes, of which not one is stored."""
    path = tmp_path / "study.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("data/recalls", (10**6, 10**6), "f4", chunks=(1000, 1000))
    with pytest.raises(ValueError, match=r"study\.h5: '/data/recalls' claims 4000000000000 bytes"):
        load_data(path)


def test_groups_that_hold_the_next_one_twice(tmp_path):
    """Sixty groups, through which there are 2**60 ways."""
    path = tmp_path / "study.mat"
    with h5py.File(path, "w") as file:
        group = file.create_group("data")
        for _ in range(60):
            inner = group.create_group("a")
            group["b"] = inner
            group = inner
    with pytest.raises(ValueError, match=r"study\.mat: The structure lacks 'subject'"):
        from_mat(path)


def test_groups_that_hold_themselves(tmp_path):
    path = tmp_path / "study.mat"
    with h5py.File(path, "w") as file:
        group = file.create_group("data")
        group["inside"] = group
    with pytest.raises(ValueError, match=r"study\.mat .*'/data/inside' holds itself"):
        from_mat(path)


def test_zeros_that_compress_well_are_read(tmp_path):
    path = tmp_path / "study.h5"
    zeros = np.zeros((4, 10**6), "i1")
    with h5py.File(path, "w") as file:
        for name, values in {"subject": [[1] * 4], "listLength": [[1] * 4]}.items():
            file[f"data/{name}"] = values
        file["data/pres_itemnos"] = [[1] * 4]
        file["data/recalls"] = [[1] * 4]
        file.create_dataset("data/rest", data=zeros.T, compression="gzip", compression_opts=9)
    assert path.stat().st_size < 4e6 / 100
    assert load_data(path)["rest"].shape == (4, 10**6)


class Attack:
    """A pickle of this makes a file when it is opened."""

    def __reduce__(self):
        return (open, ("canary", "w"))


def test_arrays_with_code(tmp_path, monkeypatch):
    """Neither a pickle, nor a .npy file of objects, nor an archive is opened."""
    monkeypatch.chdir(tmp_path)
    objects, archive = io.BytesIO(), io.BytesIO()
    np.save(objects, np.array([Attack()], object), allow_pickle=True)
    np.savez(archive, a=np.ones(3))
    contents = [pickle.dumps(Attack()), objects.getvalue(), archive.getvalue(), b"\x93NUMPY\x01\0"]
    for content in contents:
        (tmp_path / "vectors.npy").write_bytes(content)
        with pytest.raises(ValueError, match=r"vectors\.npy does not hold features"):
            load_features(tmp_path / "vectors.npy")
    assert not (tmp_path / "canary").exists()


def test_text_that_is_nested_too_deeply(tmp_path):
    """Python's readers of JSON and TOML end in a RecursionError."""
    (tmp_path / "result.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="nested too deeply"):
        FitResult.load(tmp_path / "result.json")
    (tmp_path / "config.toml").write_text("seed = " + "[" * 100_000)
    with pytest.raises(ValueError, match="nested too deeply"):
        read_config(tmp_path / "config.toml")


@pytest.mark.parametrize(
    "result, message",
    [
        ({"fits": 3}, "expected a list 'fitness'"),
        ({"fits": {"subject": [1]}, "fitness": [7.0, 9.0]}, "'subject' is .1.; expected a list"),
        ({"fits": {"subject": [1]}, "fitness": [7.0], "runs": [[], []]}, "'runs' is"),
        ({"fits": {"subject": [1]}, "fitness": [7.0], "free": ["a"]}, "'free' is"),
    ],
)
def test_results_whose_lists_do_not_agree(tmp_path, result, message):
    """They would end in a KeyError, or in the loss of another subject, when they are shown."""
    (tmp_path / "result.json").write_text(json.dumps(result))
    with pytest.raises(ValueError, match=rf"result\.json is not the result of a fit: {message}"):
        FitResult.load(tmp_path / "result.json")


def test_events_with_a_dict_for_a_word(tmp_path):
    event = {"subject": "R1", "session": 0, "list": 1, "type": "WORD", "item_name": {"a": 1}}
    (tmp_path / "events.json").write_text(json.dumps([event, event]))
    with pytest.raises(ValueError, match=r"events\.json: 'item' is {'a': 1} in row 0"):
        load(tmp_path / "events.json")


def test_missing_words_of_pandas_in_an_egg():
    """pandas.NA, which is neither true nor false, is missing as None is."""
    index = pd.MultiIndex.from_tuples([(0, 0)], names=["Subject", "List"])
    pres = pd.DataFrame([["oak", "elm", pd.NA]], index=index)
    rec = pd.DataFrame([["elm", pd.NA]], index=index)
    assert from_quail(SimpleNamespace(pres=pres, rec=rec))["recalls"].tolist() == [[2, 0]]
