"""Compiled programs are found again by later processes; a damaged entry does not stay."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from jaxcmr import _cache

PROGRAM = """
import jax, sys
from jaxcmr import _cache
_cache.keep_compiled()
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
hits = []
jax.monitoring.register_event_listener(lambda name, **_: hits.append(name))
print(float(jax.jit(lambda x: (x @ x).sum())(jax.numpy.ones((3, 3)))))
print(sum("cache_hits" in name for name in hits), jax.config.jax_compilation_cache_dir)
"""


def run(**environment):
    """What a process that compiles prints: a number, hits, and the folder of its cache."""
    inherited = {k: v for k, v in os.environ.items() if "CACHE" not in k}
    environment = {**inherited, "JAX_PLATFORMS": "cpu", **environment}
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return out.stdout.split()


def test_a_half_written_entry_is_replaced(tmp_path):
    """Empty or cut off, as by a kill: the next process compiles it without a warning, and nothing
    else; the one after finds all of it. Without the check JAX warns, compiles, and leaves the entry
    as it is forever."""
    folder = tmp_path / "programs"
    value, *_ = run(JAXCMR_COMPILE_CACHE=str(folder))
    entries = list(folder.glob("*-cache"))
    assert value == "27.0" and len(entries) > 1
    for share, torn in ((0.0, entries), (0.5, entries[:1])):
        for entry in torn:
            whole = entry.read_bytes()
            entry.write_bytes(whole[: int(share * len(whole))])
        value, hits, _ = run(JAXCMR_COMPILE_CACHE=str(folder))
        assert value == "27.0" and int(hits) == len(entries) - len(torn)
    value, hits, found = run(JAXCMR_COMPILE_CACHE=str(folder))
    assert value == "27.0" and int(hits) == len(entries) and found == str(folder)


@pytest.fixture
def config(monkeypatch):
    """JAX's settings in a process of its own, with no folder."""

    class Config(SimpleNamespace):
        def update(self, name, value):
            setattr(self, name, value)

    fresh = Config(jax_compilation_cache_dir=None)
    monkeypatch.setattr(_cache, "jax", SimpleNamespace(config=fresh))
    return fresh


def test_it_can_be_turned_off(config, monkeypatch):
    monkeypatch.setenv("JAXCMR_COMPILE_CACHE", "off")
    _cache.keep_compiled()
    assert config.jax_compilation_cache_dir is None


def test_the_setting_of_jax_wins(config, monkeypatch, tmp_path):
    monkeypatch.setenv("JAXCMR_COMPILE_CACHE", str(tmp_path / "ours"))
    config.jax_compilation_cache_dir = "theirs"
    _cache.keep_compiled()
    assert config.jax_compilation_cache_dir == "theirs"


@pytest.mark.parametrize(("wanted", "folder"), [("~/x", "x"), ("1", ".cache/jaxcmr")])
def test_the_folder_may_be_named_as_in_a_shell(config, monkeypatch, tmp_path, wanted, folder):
    """Not a folder called "~" in the current one, nor one called "1"."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(_cache, "COMPILED", tmp_path / ".cache" / "jaxcmr")
    monkeypatch.setenv("JAXCMR_COMPILE_CACHE", wanted)
    _cache.keep_compiled()
    assert config.jax_compilation_cache_dir == str(tmp_path / folder)


@pytest.mark.parametrize("base", ["", "here", "."])
def test_a_cache_folder_that_is_not_absolute_counts_as_not_set(monkeypatch, base, tmp_path):
    """As the XDG specification says; a relative one would put the cache into the current folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", base)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _cache.default_folder() == tmp_path / ".cache" / "jaxcmr"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "absolute"))
    assert _cache.default_folder() == tmp_path / "absolute" / "jaxcmr"


def test_without_a_home_there_is_no_cache(monkeypatch):
    """As in a container that runs as a user without a name."""

    def nobody(self):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(_cache.Path, "expanduser", nobody)
    assert _cache.default_folder() is None
