"""Check the elements of a MATLAB file of version 5, before SciPy reads it.

SciPy looks up the type of numbers and the number of parts as the file tells them. Of a damaged file
it reads beyond its tables, which can end the process. So the elements are walked through first.

An element is a tag (type and number of bytes) and its content, filled up to 8 bytes. A matrix is
an element whose content is elements: flags with its class, dimensions, name, and then its parts.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

HEADER = 128  # bytes before the first element
MATRIX, COMPRESSED = 14, 15
NUMBERS = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13}
"""Types of elements that hold numbers: of 8, 16, 32 and 64 bits, single and double."""
LETTERS = {1, 2, 3, 4, 16, 17, 18}
"""Types of elements that hold text: codes of 8 or 16 bits, UTF-8, UTF-16 and UTF-32."""

CELL, STRUCTURE, OBJECT, CHAR, SPARSE, FIRST_NUMERIC, LAST_NUMERIC = 1, 2, 3, 4, 5, 6, 15
COMPLEX = 0x800

Element = tuple[int, memoryview]


def check_elements(path: Path) -> None:
    """Check that the elements of a MATLAB file of version 5 are as their tags say.

    Files of version 4, which begin otherwise, are not looked at.

    Raises:
        ValueError: An element goes beyond the end of what holds it, has an unknown type, or a
            matrix has not as many parts as its dimensions say.
    """
    content = memoryview(path.read_bytes())
    if 0 in bytes(content[:4]):  # by which SciPy tells version 4
        return
    order = "<" if bytes(content[126:HEADER]) == b"IM" else ">"
    for kind, inside in _split(content[HEADER:], order, fill=False):
        if kind == COMPRESSED:
            inner = memoryview(zlib.decompress(inside))
            (kind, inside), *_ = [*_split(inner, order, fill=False)] or [(0, inner)]
        if kind != MATRIX:
            raise ValueError(f"a variable has the type {kind}, not that of a matrix")
        _check_matrix(inside, order)


def _split(content: memoryview, order: str, fill: bool = True) -> Iterator[Element]:
    """Yield the elements in a content; `fill`: each is filled up to 8 bytes."""
    at = 0
    while at < len(content):
        if len(content) - at < 8:
            raise ValueError(f"{len(content) - at} bytes are left over behind the last element")
        kind, size = struct.unpack_from(order + "II", content, at)
        start = at + 8
        if kind >> 16:  # a small element: type and size share the first word
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
            if size > 4:
                raise ValueError(f"a small element claims {size} bytes; it has room for 4")
        if size > len(content) - start:
            raise ValueError(f"an element claims {size} bytes; {len(content) - start} follow")
        yield kind, content[start : start + size]
        is_small = start == at + 4
        end = start + (4 if is_small else size)
        at = end + (-end % 8 if fill and kind != MATRIX else 0)


def _check_matrix(content: memoryview, order: str) -> None:
    """Check a matrix and the matrices in it."""
    if not content:  # as an empty cell or field is stored
        return
    (type_of_flags, flags), *parts = _split(content, order)
    if type_of_flags not in NUMBERS or len(flags) != 8:
        raise ValueError(f"the flags of a matrix have {len(flags)} bytes; expected 8")
    word = struct.unpack_from(order + "I", flags)[0]
    kind, n_complex = word & 0xFF, int(bool(word & COMPLEX))
    if kind > LAST_NUMERIC:  # a function or an object of a class of its own
        _check_parts(parts, order)
        return
    if len(parts) < 2:
        raise ValueError("a matrix has neither dimensions nor a name")
    size = math.prod(_to_integers(parts[0], order))
    parts = parts[2:]
    if kind in (STRUCTURE, OBJECT):
        parts = parts[kind == OBJECT :]  # an object has the name of its class first
        if len(parts) < 2:
            raise ValueError("a structure lacks the names of its fields")
        (width, *_), names = _to_integers(parts[0], order) or [0], parts[1][1]
        if width < 1 or len(names) % width:
            raise ValueError(f"a structure has names of fields of {width} bytes each")
        size, parts = size * (len(names) // width), parts[2:]
    elif kind >= SPARSE:
        size = (3 if kind == SPARSE else 1) + n_complex
        _check_types(parts, NUMBERS, "numbers")
    elif kind == CHAR:
        size = 1
        _check_types(parts, LETTERS, "letters")
    if len(parts) != size:
        raise ValueError(f"a matrix has {len(parts)} parts; its class and dimensions say {size}")
    if kind in (CELL, STRUCTURE, OBJECT):
        if any(each != MATRIX for each, _ in parts):
            raise ValueError("an entry of a cell or a structure is not a matrix")
        _check_parts(parts, order)


def _check_types(parts: list[Element], known: set[int], what: str) -> None:
    for kind, _ in parts:
        if kind not in known:
            raise ValueError(f"{what} have the unknown type {kind}")


def _check_parts(parts: list[Element], order: str) -> None:
    """Check the matrices among the parts of a matrix."""
    for kind, inside in parts:
        if kind == MATRIX:
            _check_matrix(inside, order)


def _to_integers(element: Element, order: str) -> list[int]:
    """Return the integers of 32 bits in an element."""
    content = element[1]
    count = len(content) // 4
    return list(struct.unpack_from(f"{order}{count}i", content))
