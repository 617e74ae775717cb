"""The options of a search: defaults, presets, and checks before anything is compiled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxcmr.fitting._inputs import check_bounds, is_finite
from jaxcmr.names import describe_unknown
from jaxcmr.optimize import POPULATIONS, STRATEGIES

__all__ = [
    "CHANGEABLE",
    "DEFAULTS",
    "SEARCHES",
    "check_hyperparameters",
    "defaults_for",
    "resolve_search",
]

DEFAULTS: Mapping[str, Any] = {
    "num_steps": 1000,
    "pop_size": 15,
    "best_of": 1,
    "relative_tolerance": 0.001,
    "absolute_tolerance": 0.0,
    "fatol": 0.0,
    "cross_over_rate": 0.9,
    "diff_w": 0.85,
    "strategy": "best1bin",
    "init": "latinhypercube",
    "scale": "auto",
    "polish": True,
    "max_memory": 0,
    "seed": 0,
    "progress_bar": True,
    "display_iterations": False,
}
"""Hyperparameters that may be left out, with the value they then have; `bounds` is required."""

CHANGEABLE = ("best_of", "max_memory", "progress_bar", "display_iterations")
"""Hyperparameters that a run does not depend on: they may change while a fit goes on."""

SEARCHES: Mapping[str, Mapping[str, Any]] = {
    "thorough": {"num_steps": 50, "pop_size": 8, "best_of": 12, "scale": "alternate"},
    "quick": {"num_steps": 50, "pop_size": 8, "best_of": 4, "scale": "alternate"},
    "classic": {},
}
"""Hyperparameters of a search by its name: what differs from `DEFAULTS`. "thorough" makes many
short polished runs on alternate scales, which find the lowest basin more often than few long ones;
"quick" makes fewer of them; "classic" is `DEFAULTS`."""

WITHOUT_POLISH: Mapping[str, Mapping[str, Any]] = {
    "thorough": {"best_of": 3},
    "quick": {"best_of": 1},
    "classic": {},
}
"""The same where no polish on the package's own engine ends a run, which a short one needs."""

LARGEST_SEED = 2**32 - 1

_WHOLE_NUMBERS = {
    "num_steps": (0, np.inf),
    "pop_size": (1, np.inf),
    "best_of": (0, np.inf),
    "max_memory": (0, np.inf),
    "seed": (0, LARGEST_SEED),
}
_SWITCHES = ("polish", "progress_bar", "display_iterations")
_NAMES: Mapping[str, Mapping[str, Any]] = {"strategy": STRATEGIES, "init": POPULATIONS}
_NUMBERS = {
    "relative_tolerance": (0.0, np.inf),
    "absolute_tolerance": (0.0, np.inf),
    "fatol": (0.0, np.inf),
    "cross_over_rate": (0.0, 1.0),
}


def check_hyperparameters(hyperparams: Mapping[str, Any]) -> dict[str, Any]:
    """Return `hyperparams` with defaults filled in, as plain numbers, strings and lists.

    Raises:
        ValueError: `bounds` missing or not finite low < high pairs, an unknown name (the closest
            known one is given), or a value of the wrong kind.
    """
    known = ["bounds", *DEFAULTS]
    for name in hyperparams:
        if name not in known:
            raise ValueError(describe_unknown("hyperparameter", name, known))
    if "bounds" not in hyperparams:
        raise ValueError("hyperparams needs 'bounds': {parameter: [low, high]} of what is fitted.")
    checked: dict[str, Any] = {"bounds": check_bounds(hyperparams["bounds"])}
    for name, default in defaults_for(hyperparams).items():
        value = hyperparams.get(name, default)
        if name in _WHOLE_NUMBERS:
            value = _whole_number(name, value, *_WHOLE_NUMBERS[name])
        elif name in _SWITCHES and not isinstance(value, bool | np.bool_):
            raise ValueError(f"Hyperparameter {name!r} must be True or False; got {value!r}.")
        elif name in _NAMES:
            _check_name(name, value, _NAMES[name])
        elif name in _NUMBERS:
            _check_number(name, value, *_NUMBERS[name])
        checked[name] = _plain(value)
    return checked


def defaults_for(hyperparams: Mapping[str, Any]) -> dict[str, Any]:
    """Return `DEFAULTS`; setting `fatol` turns `relative_tolerance` off by default.

    >>> defaults_for({"fatol": 0.01})["relative_tolerance"]
    0.0
    """
    return {**DEFAULTS, "relative_tolerance": 0.0} if hyperparams.get("fatol") else {**DEFAULTS}


def resolve_search(search: Any, polishes: bool) -> dict[str, Any]:
    """Return the hyperparameters of a search, those that differ from `DEFAULTS`.

    Args:
        search: a name in `SEARCHES`, or a dict of hyperparameters, which changes "thorough" or
            the search that its key ``"preset"`` names.
        polishes: whether a polish ends each run.

    Raises:
        ValueError: an unknown name, or neither a name nor a dict.

    >>> resolve_search({"preset": "quick", "best_of": 2}, polishes=True)["best_of"]
    2
    """
    if isinstance(search, str):
        search = {"preset": search}
    if not isinstance(search, Mapping):
        raise ValueError(
            f"search is a name ({', '.join(SEARCHES)}) or a dict of hyperparameters; got "
            f"{search!r}."
        )
    changes = dict(search)
    preset = changes.pop("preset", "thorough")
    if not isinstance(preset, str) or preset not in SEARCHES:
        raise ValueError(describe_unknown("search", preset, SEARCHES))
    polishes = polishes and bool(changes.get("polish", True))
    return {**(SEARCHES if polishes else WITHOUT_POLISH)[preset], **changes}


def _whole_number(name: str, value: Any, least: int, most: float) -> int:
    is_whole = np.ndim(value) == 0 and np.asarray(value).dtype.kind in "iuO"
    if is_finite(value) and not isinstance(value, bool):
        is_whole = value == int(value)
    in_range = is_whole and isinstance(value, int | float | np.number) and least <= value <= most
    if isinstance(value, bool) or not in_range:
        limits = f"from {least} to {most}" if most < np.inf else f">= {least}"
        raise ValueError(f"Hyperparameter {name!r} must be a whole number {limits}; got {value!r}.")
    return int(value)


def _check_name(name: str, value: Any, known: Mapping[str, Any]) -> None:
    if not isinstance(value, str):
        raise ValueError(f"Hyperparameter {name!r} must be a name; got {value!r}.")
    if value not in known:
        raise ValueError(describe_unknown(name, value, known))


def _check_number(name: str, value: Any, least: float, most: float) -> None:
    if not is_finite(value) or isinstance(value, bool) or not least <= value <= most:
        limits = f">= {least:g}" if most == np.inf else f"from {least:g} to {most:g}"
        raise ValueError(f"Hyperparameter {name!r} must be a number {limits}; got {value!r}.")


def _plain(value: Any) -> Any:
    """Return NumPy's numbers as Python's and tuples as lists, as JSON has them."""
    if isinstance(value, np.generic):
        return value.item()
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value
