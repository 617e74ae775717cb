"""Checks the shapes and dtypes that annotations declare, at every call of the package.

Axis names hold within a call: two arguments annotated ``" n_items"`` have equal lengths. Arrays may
be NumPy's or JAX's; what is not an array (a Python number, None) is not looked at.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, get_args, get_type_hints

import jax
import jaxtyping
import numpy as np


def check_annotations() -> None:
    """Check calls of the package from here on; call this before the package is imported."""
    jaxtyping.Array = Any  # NumPy's arrays count as well
    jaxtyping.install_import_hook("jaxcmr", "strict.checker")


def checker(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` with a check of its array arguments and of the array it returns."""
    signature = inspect.signature(function)
    hints: dict[str, Any] = {}

    @wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if not hints:
            hints.update(array_hints(function))
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            check(f"argument {name!r} of {function.__qualname__}", value, hints.get(name))
        result = function(*args, **kwargs)
        check(f"result of {function.__qualname__}", result, hints.get("return"))
        return result

    return checked


def array_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of `function` that name an array, or an array or None."""
    try:
        hints = get_type_hints(function)
    except NameError:  # imported for the type checker only
        hints = {}
    return {"": None, **{name: list(arrays_in(hint)) for name, hint in hints.items()}}


def arrays_in(hint: Any) -> Iterator[type]:
    """Yield the array types of an annotation, or of the members of a union."""
    for each in get_args(hint) or [hint]:
        if isinstance(each, type) and issubclass(each, jaxtyping.AbstractArray):
            yield each


def check(what: str, value: Any, arrays: list[type] | None) -> None:
    """Raise a TypeError if an array is of none of its annotated types."""
    is_array = isinstance(value, np.ndarray | jax.Array)
    if arrays and is_array and not any(isinstance(value, each) for each in arrays):
        expected = " or ".join(each.__name__ for each in arrays)
        raise TypeError(f"{what} is {value.dtype} of shape {value.shape}; declared {expected}.")
