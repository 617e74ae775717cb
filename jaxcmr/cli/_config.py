"""The configuration of a run: what the methods section of a paper would say of it.

A configuration is a TOML file of the arguments of `jaxcmr.fit`. Paths in it hold from the folder
that the file lies in, so that a folder of results can be moved or repeated from anywhere.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxcmr.cli import TABLES
from jaxcmr.files import read_text, write_text
from jaxcmr.names import did_you_mean

__all__ = ["read_config", "same_run", "write_config"]

KINDS: Mapping[str, tuple[type, ...]] = {
    "data": (str,),
    "model": (str,),
    "loss": (str,),
    "where": (str,),
    "subjects": (str, int, list),
    "pooled": (bool,),
    "features": (str,),
    "fitter": (str,),
    "precision": (str,),
    "seed": (int,),
    "start_from": (str, list),
    "progress": (bool,),
    "data_fingerprint": (str,),
    "search": (str, dict),
    **{name: (dict,) for name in TABLES},
}
"""Settings that a configuration may hold, with what each may be."""

NAMES_OF_KINDS = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}

EARLIER_NAMES = {"query": "where", "hyperparameters": "search"}
"""Names that settings had in earlier versions."""

PATHS = ("data", "features", "start_from")


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings in a TOML file, its paths as they hold from here.

    Raises:
        ValueError: the file is missing, not TOML, or holds an unknown setting or one of the wrong
            kind.
    """
    config: dict[str, Any] = {}
    for given, value in read_toml(path).items():
        name = EARLIER_NAMES.get(given, given)
        if name not in KINDS:
            raise ValueError(f"{path}: unknown setting '{given}'. {did_you_mean(given, KINDS)}")
        if not any(is_a(kind, value) for kind in KINDS[name]):
            kinds = " or ".join(NAMES_OF_KINDS[kind] for kind in KINDS[name])
            raise ValueError(f"{path}: '{given}' must be {kinds}; got {value!r}.")
        config[name] = value
    search = config.get("search")
    if isinstance(search, dict):  # earlier versions kept these among the hyperparameters
        for inside, own in (("seed", "seed"), ("progress_bar", "progress")):
            if inside in search:
                config.setdefault(own, search.pop(inside))
    config = {name: value for name, value in config.items() if value != ""}  # "" was "none"
    return with_paths(config, path.parent)


def is_a(kind: type, value: Any) -> bool:
    """Return whether a value is of a kind; True and False are not whole numbers."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def read_toml(path: Path) -> dict[str, Any]:
    """Return what is in a TOML file; a ValueError that names it if it cannot be read."""
    try:
        return tomllib.loads(read_text(path))
    except FileNotFoundError:
        raise ValueError(f"There is no configuration file {path}.") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not a TOML file: {error}.") from None


def with_paths(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return a configuration with its paths as they hold from the current folder."""

    def from_here(text: Any) -> Any:
        if not isinstance(text, str) or not text:
            return text
        is_path = (folder / text).is_file() or Path(text).suffix or Path(text).parent != Path(".")
        return os.path.normpath(folder / text) if is_path else text

    return {**config, **{name: mapped(config[name], from_here) for name in PATHS if name in config}}


def write_config(path: Path, config: Mapping[str, Any]) -> None:
    """Write a configuration, its paths as they hold from the folder of the file."""
    import tomli_w

    def from_there(text: Any) -> Any:
        if not isinstance(text, str) or not Path(text).is_file():
            return text  # the name of a bundled data set
        try:
            return Path(os.path.relpath(text, path.parent)).as_posix()
        except ValueError:  # on another drive
            return os.path.abspath(text)

    written = {name: value for name, value in config.items() if value is not None}
    paths = {name: mapped(written[name], from_there) for name in PATHS if name in written}
    write_text(path, tomli_w.dumps({**written, **paths}))


def same_run(path: Path, config: Mapping[str, Any]) -> bool:
    """Return whether the configuration in a file makes the same run as `config`.

    A file that cannot be read, or was written by another version, is of another run.
    """

    def comparable(settings: Mapping[str, Any]) -> dict[str, Any]:
        paths = {
            name: mapped(settings[name], lambda text: os.path.abspath(text))
            for name in PATHS
            if settings.get(name)
        }
        others = {name: value for name, value in settings.items() if value not in (None, {}, [])}
        return {**others, **paths, "progress": None}

    try:
        return comparable(read_config(path)) == comparable(config)
    except ValueError:
        return False


def mapped(value: Any, function: Any) -> Any:
    """Return ``function(value)``, or of a list that of its entries."""
    return [function(each) for each in value] if isinstance(value, list) else function(value)
