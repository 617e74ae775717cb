"""Arithmetic and membership in queries, with the results that plain Python numbers give.

NumPy computes in the type of a field: 200 + 100 is 44 in 8 bits, and 0 - 1 of unsigned integers is
their largest number.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

LARGEST = 2**64 - 1  # of a whole number; also bounds what a long product can cost
INT64 = np.iinfo(np.int64)


def compute(function: Callable[..., Any], *operands: Any) -> Any:
    """Apply an operator of one or two numbers to fields and numbers, trial by trial.

    Whole numbers and booleans (0 and 1) are computed as Python integers, exactly. If one operand is
    a float, and in true division, all are computed in double precision.

    Args:
        function: An operator of Python numbers, e.g. `operator.add`.
        operands: Arrays or Python numbers.

    Raises:
        OverflowError: A whole number needs more than 64 bits.
        ZeroDivisionError: ``//`` or ``%`` of whole numbers divides by 0.
    """
    if all(isinstance(operand, int | float) for operand in operands):
        return function(*operands)
    arrays = [np.asarray(operand) for operand in operands]
    if function is operator.truediv or any(array.dtype.kind == "f" for array in arrays):
        return function(*(array.astype(np.float64) for array in arrays))
    return _as_integers(np.asarray(function(*(array.astype(object) for array in arrays))))


def is_in(values: Any, numbers: Sequence[float]) -> np.ndarray:
    """Return True where `values` equal one of `numbers`, as ``==`` says of each."""
    found = np.zeros(np.shape(values), bool)
    for number in numbers:
        found |= values == number
    return found


def _as_integers(values: np.ndarray) -> np.ndarray:
    """Return Python integers as int64 where it holds all of them, else as they are."""
    if values.size == 0:
        return values.astype(np.int64)
    low, high = int(values.min()), int(values.max())
    if max(-low, high) > LARGEST:
        largest = low if -low > high else high
        raise OverflowError(f"it gives {largest}, which needs more than 64 bits")
    return values.astype(np.int64) if INT64.min <= low and high <= INT64.max else values
