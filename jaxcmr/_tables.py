"""Tables of analyses in rounded numbers, as text and HTML."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["format_number", "to_html", "to_text"]

ABOVE_0 = 2.0**-52
"""The number next to 0 on which estimates stop, as in `jaxcmr.parameters`."""


def format_number(value: float) -> str:
    """Return a number of four digits or fewer as it is, and others rounded to four digits.

    Of rounded numbers, two to six digits are decimals: estimates of 0.001 and losses of thousands
    of nats stand in the same tables. So 0.25 is a quarter, and 0.2500 was rounded. The numbers next
    to 0 and 1, on which estimates stop, are 0 and 1. A p-value may be smaller than six decimals.

    >>> [format_number(each) for each in (0.0028273, 0.38227, 12066.934, 2.0**-52, 3.1e-8)]
    ['0.002827', '0.3823', '12066.93', '0', '3.1e-08']
    >>> [format_number(each) for each in (0.05, 0.0500002, 1 - 2e-16, 100.0)]
    ['0.05', '0.05000', '1', '100']
    """
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1e15:
        return f"{value:.4g}"
    nearest = round(value)
    is_at_0 = value == 0 or math.isclose(abs(value), ABOVE_0, rel_tol=1e-6)
    if abs(value - nearest) < 1e-14 and (nearest or is_at_0):
        return str(nearest)
    if abs(value) < 1e-5:
        return f"{value:.2g}"
    if float(f"{value:.4g}") == value:
        return np.format_float_positional(value, trim="-")
    exponent = int(f"{value:.3e}".split("e")[1])  # of the rounded number: 0 for 0.99999
    return f"{value:.{min(max(3 - exponent, 2), 6)}f}"


def to_text(table: pd.DataFrame) -> str:
    """Return a table as text.

    >>> import pandas as pd
    >>> print(to_text(pd.DataFrame({"subject": [3, 8], "estimate": [0.382273, 2.0**-52]})))
     subject estimate
           3   0.3823
           8        0
    """
    return str(table.to_string(index=False, float_format=format_number))


def to_html(table: pd.DataFrame) -> str:
    """Return a table as HTML.

    >>> import pandas as pd
    >>> "<td>0.3823</td>" in to_html(pd.DataFrame({"estimate": [0.382273]}))
    True
    """
    return str(table.to_html(index=False, float_format=format_number, border=0))
