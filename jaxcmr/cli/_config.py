"""The configuration of a run: what the methods section of a paper would say of it.

Layers, later ones winning: the defaults here, a TOML file, the command line.
"""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxcmr.fitting import JaxDE, ScipyDE, defaults_for
from jaxcmr.loss import LOSSES
from jaxcmr.models import MODELS, usual_bounds
from jaxcmr.names import did_you_mean

__all__ = ["FITTERS", "SETTINGS", "complete", "read_config"]

FITTERS: Mapping[str, Any] = {"jax": JaxDE, "scipy": ScipyDE}

CHOICES: Mapping[str, Mapping[str, Any]] = {
    "model": MODELS,
    "loss": LOSSES,
    "fitter": FITTERS,
    "precision": {"float32": None, "float64": None},
}
SETTINGS: Mapping[str, Any] = {
    "data": None,
    "model": "cmr",
    "loss": "sequence_likelihood",
    "fitter": "jax",
    "precision": "float32",
    "subjects": "all",
    "query": "",
    "features": "",
    "start_from": [],
}
TABLES = ("fixed", "bounds", "hyperparameters", "loss_options")
SHORT = {"num_steps": 50, "pop_size": 8, "scale": "alternate", "best_of": 12}
LONG = {"best_of": 3}
"""How a run from the shell searches: where a polish follows the slope of the loss, in many short
runs, which find the right basin more often than few long ones; see docs/explain/search.md."""


def read_config(path: Path) -> dict[str, Any]:
    """The settings in a TOML file.

    Raises:
        ValueError: the file is missing, not TOML, or holds an unknown setting.
    """
    try:
        config = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"There is no configuration file {path}.") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not a TOML file: {error}.") from None
    known = [*SETTINGS, *TABLES]
    for name, value in config.items():
        if name not in known:
            raise ValueError(f"{path}: unknown setting '{name}'. {did_you_mean(name, known)}")
        if (name in TABLES) != isinstance(value, dict):
            kind = "a table" if name in TABLES else "a value"
            raise ValueError(f"{path}: '{name}' must be {kind}; got {value!r}.")
    return config


def complete(config: Mapping[str, Any]) -> dict[str, Any]:
    """`config` with everything left out filled in.

    Without bounds, the usual bounds of the model's parameters hold; a parameter in ``fixed`` is
    not fitted.

    Raises:
        ValueError: no data named; an unknown model, loss, fitter or precision; a fixed parameter
            that the model does not have; an option that the loss does not have; a path that is
            none.
    """
    full = {**SETTINGS, **config}
    if full["data"] is None:
        raise ValueError("Name the data: an HDF5 file, or a bundled data set (jaxcmr fit DATA).")
    for name, known in CHOICES.items():
        if full[name] not in known:
            raise ValueError(f"Unknown {name} '{full[name]}'. {did_you_mean(full[name], known)}")
    fixed, usual = dict(config.get("fixed", {})), usual_bounds(full["model"])
    for name in fixed:
        if name not in usual:
            hint = did_you_mean(name, usual)
            raise ValueError(f"[fixed]: {full['model']} has no parameter '{name}'. {hint}")
    bounds = config.get("bounds", usual)
    full["start_from"] = as_paths(full["start_from"])
    if not isinstance(full["features"], str):
        raise ValueError(f"features is the path of a file; got {full['features']!r}.")
    full["loss_options"] = check_loss_options(full["loss"], config.get("loss_options", {}))
    full["fixed"] = fixed
    full["bounds"] = {name: pair for name, pair in bounds.items() if name not in fixed}
    hyperparameters = dict(config.get("hyperparameters", {}))
    if "bounds" in hyperparameters:
        raise ValueError("Give bounds in the table [bounds], not among the hyperparameters.")
    polishes = hyperparameters.get("polish", True) and getattr(
        LOSSES[full["loss"]], "has_slope", True
    )
    search = SHORT if full["fitter"] == "jax" and polishes else LONG
    full["hyperparameters"] = {**defaults_for(hyperparameters), **search, **hyperparameters}
    return full


def as_paths(start_from: Any) -> list[str]:
    """The paths of earlier results; one alone will do."""
    paths = [start_from] if isinstance(start_from, str) else start_from
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise ValueError(f"start_from is a list of paths of results; got {start_from!r}.")
    return paths


def check_loss_options(loss: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """`options` of `loss`, all of them known.

    Raises:
        ValueError: the loss does not have one of them, or takes a function.
    """
    takes = inspect.signature(LOSSES[loss]).parameters.values()
    known = [parameter.name for parameter in takes if parameter.kind is parameter.KEYWORD_ONLY]
    if "summary" in known:
        raise ValueError(f"{loss} takes a function of yours; use it from Python, with JaxDE.")
    for name in options:
        if name not in known:
            hint = did_you_mean(name, known) if known else "It has no options."
            raise ValueError(f"[loss_options]: {loss} has no option '{name}'. {hint}")
    return dict(options)
