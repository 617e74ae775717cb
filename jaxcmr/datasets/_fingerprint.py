"""A short string that differs between any two data sets."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

from jaxcmr.datasets._fields import as_fields

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset


def fingerprint(data: RecallDataset) -> str:
    """Return the SHA-256 of the names, shapes and values of a data set.

    Equal data have equal fingerprints in every process and on every machine: the order of the
    fields, the width and byte order of numbers, the memory layout and the sign of zero do not
    count. Integers and booleans are hashed as int64 (as uint64 where a field needs it), floats as
    float64, so 1 and 1.0 differ.

    Args:
        data: Numeric array-likes by field name; any such mapping, also one that `check_data`
            would refuse.

    Returns:
        ``"sha256:"`` and 64 hexadecimal digits.

    Raises:
        ValueError: A field is not a numeric array.

    Examples:
        >>> fingerprint({"subject": [1, 2]}) == fingerprint({"subject": [[1], [2]]})
        True
        >>> fingerprint({"subject": [1, 2]}) == fingerprint({"subject": [1, 3]})
        False
    """
    digest = hashlib.sha256()
    for name, array in sorted(as_fields(data).items()):
        dtype = "<f8" if array.dtype.kind == "f" else "<i8"
        if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
            dtype = "<u8"
        # Adding 0 turns -0.0 into 0.0, which equals it but has other bytes.
        values = np.ascontiguousarray(array, dtype=dtype) + 0
        # The shape fixes how many bytes follow, so no two data sets spell the same stream.
        digest.update(json.dumps([name, dtype, values.shape]).encode())
        digest.update(values.tobytes())
    return f"sha256:{digest.hexdigest()}"
