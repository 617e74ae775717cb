"""Tables of analyses in rounded numbers, as text and HTML."""

from __future__ import annotations

import math

import pandas as pd

__all__ = ["format_number", "to_html", "to_text"]


def format_number(value: float) -> str:
    """Return a number with four digits, of which two to six are decimals.

    Estimates of 0.001 and losses of thousands of nats stand in the same tables. What is rounding is
    0, such as an estimate of 2e-16 on a bound of 0; a p-value may be smaller than six decimals.

    >>> [format_number(each) for each in (0.0028273, 0.38227, 12066.934, 2.2e-16, 3.1e-8)]
    ['0.002827', '0.3823', '12066.93', '0', '3.1e-08']
    """
    if not math.isfinite(value):
        return str(value)
    if abs(value) < 1e-14:
        return "0"
    if abs(value) < 1e-5:
        return f"{value:.2g}"
    return f"{value:.{min(max(3 - math.floor(math.log10(abs(value))), 2), 6)}f}"


def to_text(table: pd.DataFrame) -> str:
    """Return a table as text.

    >>> print(to_text(pd.DataFrame({"subject": [3, 8], "estimate": [0.382273, 2.2e-16]})))
     subject estimate
           3   0.3823
           8        0
    """
    return str(table.to_string(index=False, float_format=format_number))


def to_html(table: pd.DataFrame) -> str:
    """Return a table as HTML.

    >>> "<td>0.3823</td>" in to_html(pd.DataFrame({"estimate": [0.382273]}))
    True
    """
    return str(table.to_html(index=False, float_format=format_number, border=0))
