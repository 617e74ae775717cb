"""The examples in the docstrings of `jaxcmr.datasets` and `jaxcmr.files` are true."""

import doctest
import importlib

import pytest

import jaxcmr.datasets

MODULES = {
    getattr(jaxcmr.datasets, name).__module__
    for name in jaxcmr.datasets.__all__
    if name != "BUNDLED"
}


@pytest.mark.parametrize("name", sorted({*MODULES, "jaxcmr.files"}))
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    found = doctest.testmod(importlib.import_module(name), optionflags=options)
    assert found.attempted and not found.failed
