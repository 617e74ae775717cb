"""What a fit is handed, in the form in which a problem holds it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from jaxcmr.datasets import as_fields
from jaxcmr.datasets._check import count_trials, is_whole
from jaxcmr.names import did_you_mean
from jaxcmr.parameters import Parameter, check_limits, check_names, names_of
from jaxcmr.typing import Bounds, Features, Loss, Parameters, RecallDataset

__all__ = [
    "FUNCTION",
    "as_dataset",
    "as_features",
    "as_json",
    "check_bounds",
    "check_parameters",
    "is_finite",
    "is_numeric",
    "split_options",
]

FUNCTION = "function"  # key of an option that was a function, in JSON


def as_dataset(dataset: RecallDataset) -> dict[str, np.ndarray]:
    """Return the fields of a data set as arrays; subjects are whole numbers or names."""
    fields = as_fields(dataset)
    if "subject" not in fields:
        raise ValueError(f"The data set needs a field 'subject'; it has {sorted(fields)}.")
    count_trials(fields)
    subjects = fields["subject"]
    if subjects.dtype.kind == "f":
        if not np.all(is_whole(subjects)):
            odd = subjects[~is_whole(subjects)][0]
            raise ValueError(f"Subjects are whole numbers; got {odd}.")
        fields["subject"] = subjects.astype(np.int64)
    return fields


def as_features(features: Features) -> Features:
    """Return numeric features as an array of the machine's byte order, others as they are.

    Raises:
        ValueError: entries of a masked array are missing.
    """
    if isinstance(features, Mapping):
        return {name: as_features(values) for name, values in features.items()}
    if np.ma.is_masked(features):
        raise ValueError(
            f"features is a masked array with {np.ma.count_masked(features)} missing entries: fill "
            "them in, or leave out the trials of these items."
        )
    array = np.asarray(features)
    if array.dtype.kind not in "biuf" or array.ndim == 0:
        return features
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def is_numeric(features: Features) -> bool:
    """Return whether features are an array of numbers, or a dict of such arrays."""
    if isinstance(features, Mapping):
        return len(features) > 0 and all(map(is_numeric, features.values()))
    return isinstance(features, np.ndarray) and features.dtype.kind in "biuf"


def is_finite(value: Any) -> bool:
    """Return whether `value` is one finite number."""
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "biuf" and np.isfinite(value)


def split_options(loss: Any, options: Mapping[str, Any]) -> tuple[Loss, dict[str, Any]]:
    """Return a loss without the options that `functools.partial` fixed, and all options."""
    if isinstance(loss, partial) and not loss.args:
        loss, options = loss.func, {**loss.keywords, **options}
    return loss, {name: v.item() if isinstance(v, np.generic) else v for name, v in options.items()}


def as_json(value: Any) -> Any:
    """Return an option of a loss as JSON holds it; of a function, ``{"function": its name}``."""
    if isinstance(value, np.ndarray | set | frozenset):
        value = value.tolist() if isinstance(value, np.ndarray) else sorted(value)
    try:
        return json.loads(json.dumps(value))
    except TypeError:
        name = getattr(value, "__qualname__", repr(value))
        return {FUNCTION: f"{getattr(value, '__module__', '')}:{name}"}


def check_bounds(bounds: Bounds) -> dict[str, list[float]]:
    """Return bounds as lists of two floats by name.

    Raises:
        ValueError: they are not finite pairs, low < high.
    """
    if not isinstance(bounds, Mapping) or not bounds:
        raise ValueError(
            f"'bounds' must be a dict {{parameter: [low, high]}} of what is fitted; got {bounds!r}."
        )
    checked = {}
    for name, pair in bounds.items():
        try:
            low, high = (float(value) for value in pair)
        except (TypeError, ValueError):
            raise ValueError(f"Bounds of {name!r} must be [low, high]; got {pair!r}.") from None
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise ValueError(
                f"Bounds of {name!r} must be finite with low < high; got [{low}, {high}]. "
                "To hold a parameter at a value, give it in base_params instead (fixed= of "
                "jaxcmr.fit)."
            )
        checked[name] = [low, high]
    return checked


def check_parameters(
    base_params: Parameters, bounds: Bounds, declared: Sequence[Parameter] | None
) -> dict[str, float]:
    """Return the fixed parameters: those of `base_params` that are not free.

    Args:
        base_params: values by name.
        bounds: of the free parameters, by name.
        declared: parameters of the model, or None if it does not say.

    Raises:
        ValueError: a value that is not a finite number; a value or bounds outside of the limits of
            the model; a parameter of the model without value and bounds; a free parameter that the
            model does not read. A fixed parameter that it does not read only warns, because base
            parameters are often shared between models.
    """
    fixed = {}
    for name, value in base_params.items():
        if not is_finite(value):
            raise ValueError(f"base_params[{name!r}] must be a finite number; got {value!r}.")
        if name not in bounds:
            fixed[name] = float(value)
    if declared is None:
        return fixed
    check_limits({**bounds, **fixed}, declared)
    check_names(bounds, declared)
    known, given = names_of(declared), [*fixed, *bounds]
    for name in fixed:
        if name not in known:
            hint = did_you_mean(name, known)
            warnings.warn(f"The model does not read base_params[{name!r}]. {hint}", stacklevel=5)
    for name in known:
        if name not in given:
            raise ValueError(
                f"The model needs parameter {name!r}: give it a value in base_params or bounds. "
                f"{did_you_mean(name, given)}"
            )
    return fixed
