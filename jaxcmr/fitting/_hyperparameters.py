"""The options of a fit: defaults filled in, everything checked before anything is compiled."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxcmr.names import did_you_mean

__all__ = ["DEFAULTS", "check_hyperparameters", "check_parameters", "defaults_for"]

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

_WHOLE_NUMBERS = {"num_steps": 1, "pop_size": 1, "best_of": 1, "max_memory": 0, "seed": 0}
_SWITCHES = ("polish", "progress_bar", "display_iterations")


def check_hyperparameters(hyperparams: Mapping[str, Any]) -> dict[str, Any]:
    """`hyperparams` with defaults filled in, as plain numbers, strings and lists.

    Raises:
        ValueError: `bounds` missing or not finite low < high pairs, an unknown name (the closest
            known one is given), or a value of the wrong kind.
    """
    known = ["bounds", *DEFAULTS]
    for name in hyperparams:
        if name not in known:
            raise ValueError(f"Unknown hyperparameter {name!r}. {did_you_mean(name, known)}")
    if "bounds" not in hyperparams:
        raise ValueError("hyperparams needs 'bounds': {parameter: [low, high]} of what is fitted.")
    checked: dict[str, Any] = {"bounds": _check_bounds(hyperparams["bounds"])}
    for name, default in defaults_for(hyperparams).items():
        value = hyperparams.get(name, default)
        if name in _WHOLE_NUMBERS:
            value = _whole_number(name, value, _WHOLE_NUMBERS[name])
        elif name in _SWITCHES and not isinstance(value, bool | np.bool_):
            raise ValueError(f"Hyperparameter {name!r} must be True or False; got {value!r}.")
        elif name == "init" and not isinstance(value, str):
            raise ValueError(f"Hyperparameter 'init' must be a name; got {type(value).__name__}.")
        checked[name] = _plain(value)
    return checked


def defaults_for(hyperparams: Mapping[str, Any]) -> dict[str, Any]:
    """`DEFAULTS`; but a `fatol` leaves no `relative_tolerance`, which would stop a run before."""
    return {**DEFAULTS, "relative_tolerance": 0.0} if hyperparams.get("fatol") else {**DEFAULTS}


def _check_bounds(bounds: Mapping[str, Any]) -> dict[str, list[float]]:
    if not isinstance(bounds, Mapping) or not bounds:
        raise ValueError(f"'bounds' must be a dict {{parameter: [low, high]}}; got {bounds!r}.")
    checked = {}
    for name, pair in bounds.items():
        try:
            low, high = (float(value) for value in pair)
        except (TypeError, ValueError):
            raise ValueError(f"Bounds of {name!r} must be [low, high]; got {pair!r}.") from None
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise ValueError(
                f"Bounds of {name!r} must be finite with low < high; got [{low}, {high}]. "
                "To hold a parameter at a value, give it in base_params instead."
            )
        checked[name] = [low, high]
    return checked


def _whole_number(name: str, value: Any, least: int) -> int:
    if not is_finite(value) or isinstance(value, bool) or value != int(value) or value < least:
        raise ValueError(
            f"Hyperparameter {name!r} must be a whole number >= {least}; got {value!r}."
        )
    return int(value)


def is_finite(value: Any) -> bool:
    """Whether `value` is one finite number."""
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "biuf" and np.isfinite(value)


def _plain(value: Any) -> Any:
    """NumPy scalars and tuples as what JSON would give back."""
    if isinstance(value, np.generic):
        return value.item()
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def check_parameters(
    base_params: Mapping[str, Any],
    free_names: list[str],
    model_names: tuple[str, ...] | None,
) -> dict[str, float]:
    """The fixed parameters: those of `base_params` that are not free.

    Args:
        base_params: values by name.
        free_names: parameters that have bounds.
        model_names: parameters that the model reads, or None if it does not say.

    Raises:
        ValueError: a value that is not a finite number; a parameter of the model without value and
            bounds; a free parameter that the model does not read. A fixed parameter that it does
            not read only warns: base parameters are often shared between models.
    """
    fixed = {}
    for name, value in base_params.items():
        if not is_finite(value):
            raise ValueError(f"base_params[{name!r}] must be a finite number; got {value!r}.")
        if name not in free_names:
            fixed[name] = float(value)
    if model_names is None:
        return fixed
    given = [*fixed, *free_names]
    for name in fixed:
        if name not in model_names:
            hint = did_you_mean(name, model_names)
            warnings.warn(f"The model does not read base_params[{name!r}]. {hint}", stacklevel=4)
    for name in free_names:
        if name not in model_names:
            raise ValueError(
                f"The model has no parameter {name!r}, for which bounds are given. "
                f"{did_you_mean(name, model_names)}"
            )
    for name in model_names:
        if name not in given:
            raise ValueError(
                f"The model needs parameter {name!r}: give it a value in base_params or bounds. "
                f"{did_you_mean(name, given)}"
            )
    return fixed
