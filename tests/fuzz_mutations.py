"""Mutations of bytes, of text, of rows of cells, of nested values and of arrays.

Each takes a valid input and a `random.Random`, and returns a mutant: mostly one fault, so that
much is still read, and now and then many.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from random import Random
from typing import Any

import numpy as np

CODE = [
    "__import__('os').system('touch canary')",
    "().__class__.__base__.__subclasses__()",
    'exec(\'open("canary", "w")\')',
    "$(touch canary)",
    "`touch canary`",
    "=cmd|' /C touch canary'!A0",
    "@file:/etc/passwd",
    "!!python/object/apply:os.system ['touch canary']",
    "cos\nsystem\n(S'touch canary'\ntR.",
    "{0.__class__.__init__.__globals__}",
    "http://localhost:1/study.csv",
    "../../../../etc/passwd",
]
"""Text that some reader of something would run or open."""

TOKENS = [
    *("", " ", "0", "-0", "-1", "1", "2", "7", "2.5", "1e400", "-1e400", "1e-400", "NaN", "nan"),
    *("inf", "-inf", "Infinity", "null", "None", "NA", "n/a", "true", "True", "0x10", "1_000"),
    *("9" * 30, "9" * 5000, "-" + "9" * 20, str(2**31), str(2**53 + 1), str(2**63), str(2**64)),
    *("study", "recall", "WORD", "REC_WORD", "oak", "subject", "list", "item", "recalls"),
    *("é", "e\u0301", "\u202e", "\ufeff", "\U0001f4a5", "\0", "\x1b[31m", "\u2028", "\ud800"),
    *("\n", "\r", "\r\n", "\t", ",", ";", '"', "'", '""', '"""', "'''", "\\", "#", "=", "[", "{"),
    *("a" * 20_000, "(" * 300, "[" * 3000, '{"a":' * 1000, "]" * 5, "2020-01-01", "12:00:00"),
    *CODE,
]
"""Text to put into text."""

NUMBERS = [0, -1, 1, 2, 77, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64, 10**30, True]
FLOATS = [0.5, -0.0, 1e308, -1e308, 5e-324, math.inf, -math.inf, math.nan, 2.0**63, 1e19]

LENGTHS = [0, 1, 7, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1]
"""Lengths to put into binary files, as 32 bits."""


def mutate_bytes(content: bytes, rng: Random) -> bytes:
    """Return bytes with one to four faults: flips, cuts, splices, repeats, lengths, tokens."""
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        at, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
        end = min(end, at + rng.choice([1, 4, 16, 64, 10**6]))
        match rng.randrange(9):
            case 0:
                content = content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]
            case 1:
                if at < len(content):
                    flipped = content[at] ^ 1 << rng.randrange(8)
                    content = content[:at] + bytes([flipped]) + content[at + 1 :]
            case 2:
                content = content[:at]
            case 3:
                content = content[:at] + content[end:]
            case 4:
                content = content[:end] + content[at:end] * rng.choice([1, 3]) + content[end:]
            case 5:
                other = rng.randrange(len(content) + 1)
                content = content[:other] + content[at:end] + content[other + end - at :]
            case 6:
                length = struct.pack(rng.choice("<>") + "I", rng.choice(LENGTHS))
                at -= at % 4
                content = content[:at] + length + content[at + 4 :]
            case 7:
                number = rng.choice([*NUMBERS[:-5], *FLOATS])
                packed = struct.pack("<d" if isinstance(number, float) else "<q", number)
                content = content[:at] + packed + content[at + 8 :]
            case 8:
                token = rng.choice(TOKENS).encode("utf-8", "surrogatepass")
                content = content[:at] + token + content[at:]
    return content


def mutate_text(text: str, rng: Random, tokens: Sequence[str] = TOKENS) -> str:
    """Return text with one to four tokens put in, or parts cut, doubled or exchanged."""
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        at, end = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        end = min(end, at + rng.choice([1, 3, 10, 1000]))
        part = rng.choice(["", text[at:end] * 2, text[at:end][::-1], rng.choice(tokens)])
        text = text[:at] + part + text[rng.choice([at, end]) :]
    return text


def mutate_rows(
    rows: Sequence[Sequence[Any]], rng: Random, cells: Sequence[Any]
) -> list[list[Any]]:
    """Return rows, the first of which names the columns, with one to four faults."""
    table = [list(row) for row in rows]
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        row, other = rng.randrange(len(table)), rng.randrange(len(table))
        column, beside = rng.randrange(len(table[0])), rng.randrange(len(table[0]))
        match rng.randrange(8):
            case 0 | 1 | 2:
                table[row][column] = rng.choice(cells)
            case 3:
                table[row][column] = table[other][column]
            case 4:
                table.insert(other, list(table[row]))
            case 5:
                table = table[:row] + table[row + 1 :] if row else table
            case 6:
                for each in table:
                    each[column], each[beside] = each[beside], each[column]
            case 7:
                for each in table[1:]:
                    each[column] = rng.choice([table[row][column], rng.choice(cells)])
    return table


def make_value(rng: Random, depth: int = 0) -> Any:
    """Return a number, a text, None, or a list or dict of them, perhaps nested deeply."""
    match rng.randrange(9 if depth < 3 else 6):
        case 0 | 1:
            return rng.choice(NUMBERS)
        case 2:
            return rng.choice(FLOATS)
        case 3 | 4:
            return rng.choice(TOKENS)
        case 5:
            return rng.choice([None, False, [], {}])
        case 6:
            return [make_value(rng, depth + 1) for _ in range(rng.randrange(4))]
        case 7:
            return {rng.choice(TOKENS): make_value(rng, depth + 1) for _ in range(rng.randrange(3))}
    value: Any = 1
    for _ in range(rng.choice([5, 60, 150])):
        value = [value] if rng.randrange(2) else {"a": value}
    return value


def mutate_tree(tree: Any, rng: Random, new: Callable[[Random], Any] = make_value) -> Any:
    """Return nested lists and dicts with one to three faults."""
    tree = deepcopy(tree)
    for _ in range(rng.choice([1, 1, 2, 3])):
        places = list(find_places(tree))
        if not places:
            return new(rng)
        inside, key = rng.choice(places)
        match rng.randrange(6):
            case 0 | 1 | 2:
                inside[key] = new(rng)
            case 3:
                del inside[key]
            case 4:
                other, its_key = rng.choice(places)
                with_other = deepcopy(other[its_key]) if its_key in keys_of(other) else new(rng)
                inside[key] = with_other
            case 5:
                value = deepcopy(inside[key])
                if isinstance(inside, dict):
                    inside[mutate_text(str(key), rng)] = value
                else:
                    inside.append(value)
    return tree


def find_places(tree: Any, depth: int = 20) -> list[tuple[Any, Any]]:
    """Return every list or dict in a tree, down to a depth, with each of its keys."""
    here = [(tree, key) for key in keys_of(tree)]
    if depth == 0:
        return here
    return here + [place for _, key in here for place in find_places(tree[key], depth - 1)]


def keys_of(tree: Any) -> list[Any]:
    """Return the keys of a dict, the places of a list."""
    if isinstance(tree, dict):
        return list(tree)
    return list(range(len(tree))) if isinstance(tree, list) else []


TYPES = [
    *("b1", "i1", "u1", "i2", "i8", "u8", ">i4", "f2", "f4", "f8", ">f8", "g", "c16"),
    *("U3", "S3", "O", "M8[s]", "m8[D]", "V4"),
]
"""Types of arrays to make of an array."""


def mutate_arrays(fields: Mapping[str, Any], rng: Random) -> dict[str, Any]:
    """Return arrays by name with one to three faults in entries, types, shapes and names."""
    fields = {name: np.array(values) for name, values in fields.items()}
    for _ in range(rng.choice([1, 1, 2, 3])):
        name = rng.choice([*fields])
        array = np.array(fields[name])
        match rng.randrange(8):
            case 0 | 1 if array.size and array.ndim:
                number = rng.choice([*NUMBERS, *FLOATS])
                is_text = array.dtype.kind not in "biuf"
                array = array.astype("O" if is_text else rng.choice(["f8", "f8", "O"]))
                array[tuple(rng.randrange(n) for n in array.shape)] = number
            case 2:
                try:
                    array = array.astype(rng.choice(TYPES))
                except (ValueError, TypeError, OverflowError):
                    array = array.astype(object)
            case 3 if array.ndim:
                array = rng.choice([array[:1], array[:0], array[None], array.T, array[..., :1]])
            case 4 if array.ndim:
                array = np.concatenate([array, array[: rng.randrange(3)]])
            case 5:
                fields[rng.choice(TOKENS)] = array
            case 6 if len(fields) > 1:
                fields[name] = fields[rng.choice([*fields])]
                array = fields[name]
            case _:
                shape = rng.choice([(0,), (), (1,), (3, 0), (3, 100), (1, 1, 3), (2000, 3)])
                array = np.full(shape, rng.choice([0, 1, 2, -1]))
        fields[name] = array
        if rng.randrange(12) == 0 and len(fields) > 1:
            del fields[name]
    return fields
