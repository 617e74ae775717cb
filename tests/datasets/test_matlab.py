"""HDF5 files from MATLAB are read as MATLAB means them."""

import h5py
import numpy as np
import pytest

from jaxcmr.datasets import load_data

FIELDS = {
    "subject": [[1, 2, 3]],
    "listLength": [[2, 2, 2]],
    "pres_itemnos": [[1, 1, 1], [2, 2, 2]],
    "recalls": [[1, 2, 0], [0, 1, 0]],
}


def write(path, name, values, **attributes):
    """A data set in MATLAB's layout; the field `name` has `values` and `attributes`."""
    with h5py.File(path, "w") as file:
        group = file.create_group("data")
        for field, numbers in (FIELDS | {name: values}).items():
            group[field] = np.asarray(numbers)
            group[field].attrs["MATLAB_class"] = np.bytes_("double")
        group[name].attrs.update(attributes)
    return path


CODES = np.array([[ord(letter) for letter in "112"]], np.uint16)
KINDS = {
    "text": (CODES, {"MATLAB_class": np.bytes_("char")}, "class char.*findgroups"),
    "text, as str": (CODES, {"MATLAB_class": "char"}, "class char.*findgroups"),
    "cells": (CODES, {"MATLAB_class": np.bytes_("cell")}, "class cell.*cell2mat"),
    "objects": (CODES, {"MATLAB_class": np.bytes_("string")}, "class string.*array of numbers"),
}


@pytest.mark.parametrize("values, attributes, message", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("name", ["subject", "condition"])
def test_text_cells_and_objects_are_errors(tmp_path, name, values, attributes, message):
    """MATLAB stores text as the codes of its letters: subject '1' would be 49."""
    path = write(tmp_path / "m.mat", name, values, **attributes)
    with pytest.raises(ValueError, match=rf"m\.mat: '{name}' has the MATLAB {message}"):
        load_data(path)


@pytest.mark.parametrize(
    "attributes, message",
    [
        ({"MATLAB_class": np.bytes_("double"), "MATLAB_sparse": 3}, "class sparse.*with full"),
        ({"MATLAB_class": np.bytes_("struct")}, "class struct"),
        ({}, "'data/condition' is a group"),
    ],
)
def test_groups_are_not_fields(tmp_path, attributes, message):
    """Sparse matrices and structures are groups of arrays."""
    path = write(tmp_path / "m.mat", "session", [[1, 1, 2]])
    with h5py.File(path, "a") as file:
        group = file.create_group("data/condition")
        group["ir"] = [0, 1, 2]
        group.attrs.update(attributes)
    with pytest.raises(ValueError, match=message):
        load_data(path)


@pytest.mark.parametrize("kind", ["double", "char", "cell"])
def test_empty_arrays_are_left_out(tmp_path, kind):
    """MATLAB stores [] as its dimensions, 0 and 0, which would be a field of two trials."""
    empty = {"MATLAB_class": np.bytes_(kind), "MATLAB_empty": np.uint8(1)}
    path = write(tmp_path / "m.mat", "condition", np.zeros(2, np.uint64), **empty)
    assert load_data(path).keys() == FIELDS.keys()
    path = write(tmp_path / "m.mat", "recalls", np.zeros(2, np.uint64), **empty)
    with pytest.raises(ValueError, match="lacks 'recalls'"):
        load_data(path)


@pytest.mark.parametrize("kind", ["double", "single", "int8", "uint8", "int64", "uint64"])
def test_numbers_are_read(tmp_path, kind):
    path = write(tmp_path / "m.mat", "condition", [[1, 0, 1]], MATLAB_class=np.bytes_(kind))
    assert load_data(path)["condition"].tolist() == [[1], [0], [1]]


def test_logical_arrays_are_booleans(tmp_path):
    """They are stored as 8-bit integers; as booleans they are conditions in a query."""
    values = np.array([[1, 0, 1]], np.uint8)
    path = write(tmp_path / "m.mat", "old", values, MATLAB_class=np.bytes_("logical"))
    np.testing.assert_array_equal(
        load_data(path)["old"], np.array([[True], [False], [True]]), strict=True
    )
