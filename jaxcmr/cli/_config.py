"""The configuration of a fit: a TOML file with the arguments of `jaxcmr.fit`.

Paths in it are relative to the folder of the file, so that a folder of results can be moved, and
its fit repeated from anywhere.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxcmr.cli._settings import TABLES
from jaxcmr.files import read_text
from jaxcmr.fitting._hyperparameters import CHANGEABLE
from jaxcmr.names import did_you_mean

__all__ = ["find_differences", "format_config", "read_config"]

KINDS: Mapping[str, tuple[type, ...]] = {
    "data": (str,),
    "model": (str,),
    "loss": (str,),
    "where": (str,),
    "subjects": (str, int, list),
    "pooled": (bool,),
    "features": (str,),
    "similarities": (str,),
    "distances": (str,),
    "fitter": (str,),
    "precision": (str,),
    "seed": (int,),
    "start_from": (str, list),
    "progress": (bool,),
    "data_fingerprint": (str,),
    "search": (str, dict),
    **{name: (dict,) for name in TABLES},
}
"""Types that each setting may have."""

NAMES_OF_KINDS = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}

EARLIER_NAMES = {"query": "where", "hyperparameters": "search"}
"""Today's names of settings by the names that they had in earlier versions."""

MAY_DIFFER = ("data_fingerprint", "progress", "subjects", *CHANGEABLE)
"""Settings that may change from call to call of one fit, those of the search included."""

PATHS = ("data", "features", "similarities", "distances", "start_from")
"""Settings that are paths, or names of bundled data."""


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings in a TOML file, with paths relative to the current folder.

    Raises:
        ValueError: the file is missing or not TOML, or a setting is unknown or of the wrong type.
    """
    config: dict[str, Any] = {}
    for given, value in read_toml(path).items():
        name = EARLIER_NAMES.get(given, given)
        if name not in KINDS:
            raise ValueError(f"{path}: unknown setting '{given}'. {did_you_mean(given, KINDS)}")
        if not any(is_of_type(value, kind) for kind in KINDS[name]):
            kinds = " or ".join(NAMES_OF_KINDS[kind] for kind in KINDS[name])
            raise ValueError(f"{path}: '{given}' must be {kinds}; got {value!r}.")
        config[name] = value
    search = config.get("search")
    if isinstance(search, dict):  # earlier versions kept these among the hyperparameters
        for inside, own in (("seed", "seed"), ("progress_bar", "progress")):
            if inside in search:
                config.setdefault(own, search.pop(inside))
    config = {name: value for name, value in config.items() if value != ""}  # earlier: not given
    return with_paths_from(path.parent, config)


def is_of_type(value: Any, kind: type) -> bool:
    """Return whether a value has a type; True and False are not whole numbers."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises:
        ValueError: the file is missing or not TOML.
    """
    try:
        return tomllib.loads(read_text(path))
    except FileNotFoundError:
        raise ValueError(f"There is no configuration file {path}.") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not a TOML file: {error}.") from None
    except RecursionError:
        raise ValueError(f"{path} is not a TOML file of settings: nested too deeply.") from None


def with_paths_from(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration whose paths are relative to the current folder, not to `folder`."""

    def from_here(text: Any) -> Any:
        if not isinstance(text, str) or not text:
            return text
        is_path = (folder / text).is_file() or Path(text).suffix or Path(text).parent != Path(".")
        return os.path.normpath(folder / text) if is_path else text

    return map_paths(config, from_here)


def format_config(config: Mapping[str, Any], folder: Path) -> str:
    """Return a configuration as TOML, with paths relative to the folder of its file."""
    import tomli_w

    def from_there(text: Any) -> Any:
        if not isinstance(text, str) or not Path(text).is_file():
            return text  # the name of a bundled data set
        try:
            return Path(os.path.relpath(text, folder)).as_posix()
        except ValueError:  # on another drive
            return os.path.abspath(text)

    written = {name: value for name, value in config.items() if value is not None}
    return tomli_w.dumps(map_paths(written, from_there))


def find_differences(path: Path, config: Mapping[str, Any]) -> str:
    """Return in words why the configuration in a file is of another fit than `config`; "" if not.

    Subjects and the number of runs may differ, and either the path of the data or their content,
    whose trials are compared one by one. A file that cannot be read, or that another version wrote
    with settings unknown to this one, is of another fit.
    """

    def comparable(settings: Mapping[str, Any]) -> dict[str, Any]:
        search = settings.get("search")
        inside = search if isinstance(search, Mapping) else {}
        flat = {**settings, **{f"search.{name}": value for name, value in inside.items()}}
        given = {
            name: value
            for name, value in flat.items()
            if value not in (None, {}, []) and name.removeprefix("search.") not in MAY_DIFFER
        }
        if search is inside:
            given.pop("search", None)  # its entries are there one by one
        return map_paths(given, os.path.abspath)

    try:
        there, here = read_config(path), config
    except ValueError as error:
        return str(error)
    prints = [settings.get("data_fingerprint") for settings in (there, here)]
    if prints[0] is not None and prints[0] == prints[1]:  # the same data, under another name
        there, here = {**there, "data": None}, {**here, "data": None}
    old, new = comparable(there), comparable(here)
    return ", ".join(
        f"{name} is {old.get(name)!r} there, {new.get(name)!r} here"
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    )


def map_paths(config: Mapping[str, Any], function: Callable[[str], str]) -> dict[str, Any]:
    """Return a configuration with `function` applied to each of its paths."""

    def mapped(value: Any) -> Any:
        return [function(each) for each in value] if isinstance(value, list) else function(value)

    return {**config, **{name: mapped(config[name]) for name in PATHS if name in config}}
