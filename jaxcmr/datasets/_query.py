"""Conditions on trials, read from a string with a small grammar.

Python's own parser takes the string apart; the table `READERS` gives the function that reads each
kind of node, and a kind that is not in it is an error. So a query computes with fields and numbers
and can do nothing else.

Every value is a number or an array with one row per trial. One column of a field stays a column
(trials, 1), so that whatever is compared lines up by trial.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import Any, NoReturn

import numpy as np

from jaxcmr.datasets._query_numbers import compute, is_in
from jaxcmr.datasets._query_words import ALLOWED, ARITHMETIC, COMPARISONS, FUNCTIONS, LOGIC
from jaxcmr.names import did_you_mean

LONGEST = 10_000  # characters; bounds what a hostile query can cost


def evaluate_query(text: str, fields: Mapping[str, np.ndarray]) -> Any:
    """Evaluate the condition `text` on `fields`: an array with one row per trial, or a number.

    Args:
        text: The condition; `generate_trial_mask` documents the grammar.
        fields: Numeric arrays of at least two dimensions, all with one row per trial.

    Raises:
        ValueError: `text` leaves the grammar or does not fit the fields.
    """
    if len(text) > LONGEST:
        raise ValueError(f"the query has {len(text)} characters; at most {LONGEST} are read")
    text = text.strip()
    try:
        with np.errstate(all="ignore"):  # NaN and inf compare as they do in Python
            return _read(_parse(text), _Query(text, fields))
    except (RecursionError, MemoryError):
        raise ValueError(f"the query {text[:40]!r}... is nested too deeply") from None


@dataclass(frozen=True)
class _Query:
    """A condition while it is read: its text, for messages, and the fields it is about."""

    text: str
    fields: Mapping[str, np.ndarray]

    def fail(self, node: ast.AST, why: str) -> NoReturn:
        part = ast.get_source_segment(self.text, node) or ast.unparse(node)
        raise ValueError(f"in the query {self.text!r}: {part!r} {why} {ALLOWED}")

    def field(self, node: ast.AST, name: str) -> np.ndarray:
        if name not in self.fields:
            self.fail(node, f"names no field. {did_you_mean(name, self.fields)}")
        if self.fields[name].ndim != 2:  # would not line up by trial with the others
            self.fail(node, f"has shape {self.fields[name].shape}, not (trials, columns).")
        return self.fields[name]

    def apply(self, node: ast.AST, function: Callable[..., Any], *operands: Any) -> Any:
        try:
            return function(*operands)
        except (ArithmeticError, IndexError, TypeError, ValueError) as error:
            self.fail(node, f"does not work out: {error}.")


def _parse(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError) as error:  # ValueError: null characters
        raise ValueError(f"cannot read the query {text!r}: {error}. {ALLOWED}") from None


def _read(node: ast.AST, query: _Query) -> Any:
    if type(node) not in READERS:
        query.fail(node, "is not allowed.")
    return READERS[type(node)](node, query)


def _read_number(node: ast.Constant, query: _Query) -> bool | int | float:
    if isinstance(node.value, bool | int | float):
        return node.value
    query.fail(node, "is not a number.")


def _read_name(node: ast.Name, query: _Query) -> np.ndarray:
    return query.field(node, node.id)


def _read_subscript(node: ast.Subscript, query: _Query) -> Any:
    match node:
        case ast.Subscript(value=ast.Name(id="data"), slice=ast.Constant(value=str(name))):
            return query.field(node, name)
        case ast.Subscript(
            value=ast.Name() | ast.Subscript() as field,
            slice=ast.Tuple(elts=[ast.Slice(lower=None, upper=None, step=None), column]),
        ):
            where = (slice(None), _read_columns(column, query))
            return query.apply(node, operator.getitem, _read(field, query), where)
    query.fail(node, "is neither a field nor a column of one.")


def _read_columns(node: ast.expr, query: _Query) -> slice | list[int]:
    if isinstance(node, ast.Slice):
        parts = (node.lower, node.upper, node.step)
        return slice(*(None if part is None else _read_index(part, query) for part in parts))
    return [_read_index(node, query)]  # a list keeps the column a column


def _read_index(node: ast.expr, query: _Query) -> int:
    index = _read_literal(node, query)
    if type(index) is not int:
        query.fail(node, "is not an integer.")
    return index


def _read_literal(node: ast.expr, query: _Query) -> Any:
    """A number that stands in the query itself, perhaps with a sign."""
    match node:
        case ast.Constant():
            return _read_number(node, query)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant()):
            return _read_operator(node, query)
    query.fail(node, "is not a number.")


def _read_operator(node: ast.UnaryOp | ast.BinOp | ast.BoolOp, query: _Query) -> Any:
    match node:
        case ast.UnaryOp():
            operands = [node.operand]
        case ast.BinOp():
            operands = [node.left, node.right]
        case ast.BoolOp():
            operands = node.values
    return _operate(node, type(node.op), [_read(operand, query) for operand in operands], query)


def _operate(node: ast.expr, symbol: type, operands: list[Any], query: _Query) -> Any:
    """Apply an operator: logic to conditions only, arithmetic to numbers and conditions (0, 1).

    NumPy takes more, which hides the usual slip: ``a == 1 & b == 2`` means ``a == (1 & b) == 2``.
    """
    if symbol in ARITHMETIC:
        return query.apply(node, compute, ARITHMETIC[symbol], *operands)
    if symbol not in LOGIC:
        query.fail(node, "uses an operator that is not allowed.")
    if not all(np.asarray(operand).dtype == bool for operand in operands):
        query.fail(node, "joins what is not a condition; put ( ) around each comparison.")
    if len(operands) == 1:
        return query.apply(node, LOGIC[symbol], *operands)
    return query.apply(node, reduce, LOGIC[symbol], operands)


def _read_comparison(node: ast.Compare, query: _Query) -> Any:
    match node:
        case ast.Compare(ops=[ast.In()], comparators=[choices]):
            return _is_in(node, node.left, choices, query)
        case ast.Compare(ops=[ast.NotIn()], comparators=[choices]):
            return np.logical_not(_is_in(node, node.left, choices, query))
    if not all(type(symbol) in COMPARISONS for symbol in node.ops):
        query.fail(node, "compares in a way that is not allowed.")
    # Each operand is read once: reading the middle ones twice would double at every nesting.
    values = [_read(operand, query) for operand in (node.left, *node.comparators)]
    links = [
        query.apply(node, COMPARISONS[type(symbol)], left, right)
        for symbol, (left, right) in zip(node.ops, pairwise(values), strict=True)
    ]
    return query.apply(node, reduce, np.logical_and, links)


def _read_call(node: ast.Call, query: _Query) -> Any:
    match node.func:
        case ast.Attribute(value=ast.Name(id="np"), attr=name) if not node.keywords:
            if name == "isin" and len(node.args) == 2:
                return _is_in(node, node.args[0], node.args[1], query)
            if (name, len(node.args)) in FUNCTIONS:
                operands = [_read(argument, query) for argument in node.args]
                return _operate(node, FUNCTIONS[name, len(node.args)], operands, query)
    query.fail(node, "is not an allowed call.")


def _is_in(node: ast.expr, values: ast.expr, choices: ast.expr, query: _Query) -> Any:
    if not isinstance(choices, ast.List | ast.Tuple):
        query.fail(choices, "is not a list of numbers such as [1, 2].")
    numbers = [_read_literal(choice, query) for choice in choices.elts]
    return query.apply(node, is_in, _read(values, query), numbers)


READERS: dict[type, Callable[[Any, _Query], Any]] = {
    ast.Constant: _read_number,
    ast.Name: _read_name,
    ast.Subscript: _read_subscript,
    ast.UnaryOp: _read_operator,
    ast.BinOp: _read_operator,
    ast.BoolOp: _read_operator,
    ast.Compare: _read_comparison,
    ast.Call: _read_call,
}
"""The function that reads each kind of node; other kinds are errors."""
