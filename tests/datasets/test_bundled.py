"""The bundled data sets load by name."""

import sys

import pytest

from jaxcmr.datasets import BUNDLED, check_data, load_bundled

SHAPES = {"peers_notask": (126 * 28, 16), "Morton2013": (40 * 48, 24)}


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_name_loads(name):
    """Otherwise a name that psifr does not ship would fail only in a user's hands."""
    pytest.importorskip("psifr")
    data = load_bundled(name)
    assert data["recalls"].shape == SHAPES[name]
    assert check_data(data).keys() == data.keys()


def test_an_unknown_name_gives_the_closest():
    with pytest.raises(ValueError, match=r"Unknown data set 'morton2012'\. .*'Morton2013'"):
        load_bundled("morton2012")
    with pytest.raises(ValueError, match="There are: Morton2013, peers_notask"):
        load_bundled("xyz")


def test_without_psifr_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psifr", None)
    with pytest.raises(ImportError, match=r'In your copy of jaxcmr: pip install "\.\[demo\]"'):
        load_bundled("peers_notask")
