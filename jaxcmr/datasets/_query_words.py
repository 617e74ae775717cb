"""The operators and functions a query may use: add one by adding a line.

Each table leads from what Python's parser calls an operator to the function of arrays it stands
for here.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

ARITHMETIC: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
"""Operators of numbers. No power and no shift: a few characters of those can fill the memory."""

LOGIC: dict[type, Callable[..., Any]] = {
    ast.And: np.logical_and,
    ast.BitAnd: np.logical_and,
    ast.Or: np.logical_or,
    ast.BitOr: np.logical_or,
    ast.BitXor: np.logical_xor,
    ast.Not: np.logical_not,
    ast.Invert: np.logical_not,
}
"""Operators of conditions, trial by trial."""

COMPARISONS: dict[type, Callable[..., Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
"""Comparisons of two numbers, which may be chained."""

FUNCTIONS: dict[tuple[str, int], type] = {
    ("logical_and", 2): ast.BitAnd,
    ("logical_or", 2): ast.BitOr,
    ("logical_xor", 2): ast.BitXor,
    ("logical_not", 1): ast.Invert,
}
"""Functions of NumPy, with their number of arguments, and the operator each equals."""

ALLOWED = (
    "Allowed are fields (data['name'] or name), one column (data['name'][:, 0]), numbers, True, "
    "False, == != < <= > >= in, not in, and or not & | ^ ~, + - * / // %, np.isin, np.logical_*"
)
"""The grammar in a sentence, for messages."""
