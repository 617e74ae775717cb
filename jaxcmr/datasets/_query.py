"""Evaluate conditions on trials, written as strings.

Python's parser takes the string apart, and a visitor evaluates it. The visitor has a method for
each kind of node that is allowed; any other kind is an error. So a query can compute with fields
and numbers, compare fields with text, and nothing else.

A value is a number, a text or an array with one row per trial. One column of a field stays a column
(trials, 1), so that compared values line up by trial.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from itertools import pairwise
from typing import Any, NoReturn

import numpy as np

from jaxcmr.datasets._check import is_text
from jaxcmr.names import describe_unknown

Literal = bool | int | float | str
Value = np.ndarray | Literal

# Operators of numbers. Power and shifts are not allowed: a few characters can fill the memory.
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
# Operators of conditions.
LOGIC: dict[type, Callable[..., Any]] = {
    ast.And: np.logical_and,
    ast.BitAnd: np.logical_and,
    ast.Or: np.logical_or,
    ast.BitOr: np.logical_or,
    ast.BitXor: np.logical_xor,
    ast.Not: np.logical_not,
    ast.Invert: np.logical_not,
}
COMPARISONS: dict[type, Callable[..., Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
# Functions of NumPy by name and number of arguments, with the operator that each equals.
FUNCTIONS: dict[tuple[str, int], type] = {
    ("logical_and", 2): ast.BitAnd,
    ("logical_or", 2): ast.BitOr,
    ("logical_xor", 2): ast.BitXor,
    ("logical_not", 1): ast.Invert,
}
ALLOWED = (
    "Allowed are fields (data['name'] or name), one column (data['name'][:, 0]), numbers, text "
    "in quotes, True, False, == != < <= > >= in, not in, and or not & | ^ ~, + - * / // %, "
    "np.isin, np.logical_*."
)
LONGEST = 10_000  # characters; bounds the cost of a hostile query
LARGEST = 2**64 - 1  # whole number; bounds the cost of a long product
INT64 = np.iinfo(np.int64)


def evaluate_query(text: str, fields: Mapping[str, np.ndarray]) -> Value:
    """Evaluate the condition `text` on `fields`.

    Args:
        text: The condition; `generate_trial_mask` documents the grammar.
        fields: Arrays of at least two dimensions, all with one row per trial.

    Returns:
        An array with one row per trial; or a number, if no field is in `text`.

    Raises:
        ValueError: `text` is not a condition in the grammar, or does not fit the fields.
    """
    if len(text) > LONGEST:
        raise ValueError(f"The query has {len(text)} characters; at most {LONGEST} are allowed.")
    text = text.strip()
    try:
        with np.errstate(all="ignore"):  # NaN and inf compare as they do in Python
            return _Evaluator(text, fields).evaluate(_parse(text))
    except (RecursionError, MemoryError):
        raise ValueError(f"The query {text[:40]!r}... is nested too deeply.") from None


def _parse(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError) as error:  # ValueError: null characters
        raise ValueError(f"Cannot read the query {text!r}: {error}. {ALLOWED}") from None


class _Evaluator(ast.NodeVisitor):
    """Returns the value of each node that it visits."""

    def __init__(self, text: str, fields: Mapping[str, np.ndarray]) -> None:
        self.text = text  # for messages
        self.fields = fields

    def evaluate(self, node: ast.expr) -> Value:
        """Return the value of a whole query."""
        value = self.visit(node)
        if isinstance(value, str):
            self.fail(node, "is text, not a condition.")
        return value

    def generic_visit(self, node: ast.AST) -> NoReturn:
        """Raise a ValueError: this kind of node has no method, so it is not allowed."""
        self.fail(node, "is not allowed.")

    def fail(self, node: ast.AST, problem: str) -> NoReturn:
        """Raise a ValueError that shows the query and the part that `node` is."""
        part = ast.get_source_segment(self.text, node) or ast.unparse(node)
        raise ValueError(f"In the query {self.text!r}: {part!r} {problem} {ALLOWED}")

    def apply(self, node: ast.AST, function: Callable[..., Any], *operands: Any) -> Value:
        """Return the value of a function; its errors become messages about `node`."""
        try:
            return function(*operands)
        except (ArithmeticError, IndexError, TypeError, ValueError) as error:
            self.fail(node, f"cannot be computed: {str(error).strip(' .')}.")

    def visit_Constant(self, node: ast.Constant) -> Literal:
        if isinstance(node.value, bool | int | float | str):
            return node.value
        self.fail(node, "is neither a number nor text.")

    def visit_Name(self, node: ast.Name) -> np.ndarray:
        return self.field(node, node.id)

    def field(self, node: ast.AST, name: str) -> np.ndarray:
        """Return a field by name."""
        if name not in self.fields:
            unknown = describe_unknown("field", name, self.fields)
            raise ValueError(f"In the query {self.text!r}: {unknown} {ALLOWED}")
        if self.fields[name].ndim != 2:  # would not line up by trial with the others
            self.fail(node, f"has shape {self.fields[name].shape}, not (trials, columns).")
        return self.fields[name]

    def visit_Subscript(self, node: ast.Subscript) -> Value:
        match node:
            case ast.Subscript(value=ast.Name(id="data"), slice=ast.Constant(value=str(name))):
                return self.field(node, name)
            case ast.Subscript(
                value=ast.Name() | ast.Subscript() as field,
                slice=ast.Tuple(elts=[ast.Slice(lower=None, upper=None, step=None), column]),
            ):
                where = (slice(None), self.columns(column))
                return self.apply(node, operator.getitem, self.visit(field), where)
        self.fail(node, "is neither a field nor a column of one.")

    def columns(self, node: ast.expr) -> slice | list[int]:
        """Return the columns in ``field[:, columns]``: a slice or one number."""
        if isinstance(node, ast.Slice):
            parts = (node.lower, node.upper, node.step)
            return slice(*(None if part is None else self.index(part) for part in parts))
        return [self.index(node)]  # a list keeps the column a column

    def index(self, node: ast.expr) -> int:
        """Return an integer that stands in the query itself."""
        index = self.literal(node)
        if type(index) is not int:
            self.fail(node, "is not an integer.")
        return index

    def literal(self, node: ast.expr) -> Literal:
        """Return a number, perhaps with a sign, or text that stands in the query itself."""
        match node:
            case ast.Constant() | ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant()):
                return self.visit(node)
        self.fail(node, "is neither a number nor text.")

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Value:
        return self.operate(node, type(node.op), self.visit(node.operand))

    def visit_BinOp(self, node: ast.BinOp) -> Value:
        return self.operate(node, type(node.op), self.visit(node.left), self.visit(node.right))

    def visit_BoolOp(self, node: ast.BoolOp) -> Value:
        return self.operate(node, type(node.op), *map(self.visit, node.values))

    def operate(self, node: ast.expr, symbol: type, *operands: Value) -> Value:
        """Apply an operator.

        Logic joins conditions only; arithmetic takes numbers and conditions (0, 1). NumPy takes
        more, which hides the usual slip: ``a == 1 & b == 2`` means ``a == (1 & b) == 2``.
        """
        if any(map(is_of_text, operands)):
            self.fail(node, "is an operation on text, which can only be compared.")
        if symbol in ARITHMETIC:
            return self.apply(node, compute, ARITHMETIC[symbol], *operands)
        if symbol not in LOGIC:
            self.fail(node, "uses an operator that is not allowed.")
        if not all(np.asarray(operand).dtype == bool for operand in operands):
            self.fail(node, "joins values that are not conditions; put ( ) around each comparison.")
        if len(operands) == 1:
            return self.apply(node, LOGIC[symbol], *operands)
        return self.apply(node, reduce, LOGIC[symbol], operands)

    def visit_Compare(self, node: ast.Compare) -> Value:
        match node:
            case ast.Compare(ops=[ast.In()], comparators=[choices]):
                return self.is_in(node, node.left, choices)
            case ast.Compare(ops=[ast.NotIn()], comparators=[choices]):
                return np.logical_not(self.is_in(node, node.left, choices))
        if not all(type(symbol) in COMPARISONS for symbol in node.ops):
            self.fail(node, "compares in a way that is not allowed.")
        # Each operand is visited once: twice would double the work at every nesting.
        values = [self.visit(operand) for operand in (node.left, *node.comparators)]
        self.check_comparable(node, values)
        links = [
            self.apply(node, COMPARISONS[type(symbol)], left, right)
            for symbol, (left, right) in zip(node.ops, pairwise(values), strict=True)
        ]
        return self.apply(node, reduce, np.logical_and, links)

    def check_comparable(self, node: ast.expr, values: Sequence[Value]) -> None:
        """Raise a ValueError if text is compared with numbers, which are never equal."""
        if len(set(map(is_of_text, values))) > 1:
            self.fail(node, "compares text with numbers.")

    def visit_Call(self, node: ast.Call) -> Value:
        match node.func:
            case ast.Attribute(value=ast.Name(id="np"), attr=name) if not node.keywords:
                if name == "isin" and len(node.args) == 2:
                    return self.is_in(node, node.args[0], node.args[1])
                if (name, len(node.args)) in FUNCTIONS:
                    operands = map(self.visit, node.args)
                    return self.operate(node, FUNCTIONS[name, len(node.args)], *operands)
        self.fail(node, "is not an allowed call.")

    def is_in(self, node: ast.expr, values: ast.expr, choices: ast.expr) -> Value:
        """Return True where `values` are in the list of numbers or text that `choices` is."""
        if not isinstance(choices, ast.List | ast.Tuple):
            self.fail(choices, "is not a list such as [1, 2] or ['a', 'b'].")
        members = [self.literal(choice) for choice in choices.elts]
        value = self.visit(values)
        if members:
            self.check_comparable(node, [value, *members])
        return self.apply(node, is_any_of, value, members)


def compute(function: Callable[..., Any], *operands: Value) -> Value:
    """Apply an operator of one or two numbers to fields and numbers, trial by trial.

    The results are those of plain Python numbers. NumPy computes in the type of a field: 200 + 100
    is 44 in 8 bits, and 0 - 1 of unsigned integers is their largest number. Whole numbers and
    booleans (0 and 1) are computed as Python integers, exactly. If one operand is a float, and in
    true division, all are computed in double precision.

    Raises:
        OverflowError: A whole number needs more than 64 bits.
        ZeroDivisionError: ``//`` or ``%`` of whole numbers divides by 0.
    """
    if all(isinstance(operand, int | float) for operand in operands):
        return function(*operands)
    arrays = [np.asarray(operand) for operand in operands]
    if function is operator.truediv or any(array.dtype.kind == "f" for array in arrays):
        return function(*(array.astype(np.float64) for array in arrays))
    values = np.asarray(function(*(array.astype(object) for array in arrays)))
    if values.size == 0:
        return values.astype(np.int64)
    low, high = int(values.min()), int(values.max())
    if max(-low, high) > LARGEST:
        largest = low if -low > high else high
        raise OverflowError(f"the result {largest} needs more than 64 bits")
    # From 2**63 on, integers stay Python's own.
    return values.astype(np.int64) if INT64.min <= low and high <= INT64.max else values


def is_of_text(value: Value) -> bool:
    """Return True for a text or an array of text."""
    return isinstance(value, str) or (isinstance(value, np.ndarray) and is_text(value))


def is_any_of(values: Value, members: list[Literal]) -> np.ndarray:
    """Return True where `values` equal, as by ``==``, one of `members`."""
    found = np.zeros(np.shape(values), bool)
    for member in members:
        found |= values == member
    return found
