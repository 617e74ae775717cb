"""Tables of analyses are printed in rounded numbers."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import jaxcmr
from jaxcmr._tables import format_number, to_html, to_text
from jaxcmr.uncertainty import Bootstrap


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-2.220446e-16, "0"),
        (3.14e-8, "3.1e-08"),
        (5.7e-19, "5.7e-19"),
        (1.1e-16, "1.1e-16"),
        (0.0000123, "0.0000123"),
        (0.00001234567, "0.000012"),
        (0.00282734, "0.002827"),
        (-0.38227, "-0.3823"),
        (0.05, "0.05"),
        (0.05 + 1e-9, "0.05000"),
        (-0.5, "-0.5"),
        (1.0, "1"),
        (1 - 2.220446e-16, "1"),
        (1 - 1e-9, "1.000"),
        (9.99996, "10.00"),
        (99.996, "100.00"),
        (12067.0, "12067"),
        (12066.9341, "12066.93"),
        (1e9, "1000000000"),
        (1e300, "1e+300"),
        (np.nan, "nan"),
        (np.inf, "inf"),
    ],
)
def test_numbers_have_four_digits_in_fixed_point(value, text):
    """Of rounded ones, two to six are decimals; a p-value may be smaller, and is not 0 then. What
    needs no rounding has no trailing zeros: bounds as they were set, counts beside a NaN."""
    assert format_number(value) == text


def test_whole_numbers_and_words_stay():
    table = pd.DataFrame({"subject": [3, 12], "x": [0.5, np.nan], "status": ["upper", "<i>"]})
    assert to_text(table).split("\n")[1].split() == ["3", "0.5", "upper"]
    assert to_text(table).split("\n")[2].split() == ["12", "NaN", "<i>"]
    assert "<td>0.5</td>" in to_html(table) and "&lt;i&gt;" in to_html(table)


def test_a_bootstrap_prints_no_exponent():
    """An estimate and draws on a bound of 0 are rounding errors away from it."""
    draws = pd.DataFrame({"subject": 3, "draw": [1, 2], "loss": 1.0, "a": [0.5, 2.220446e-16]})
    row = {"subject": 3, "parameter": "a", "estimate": 2.220446e-16, "acceleration": np.nan}
    found = Bootstrap("lists", draws, pd.DataFrame([row]))
    cells = repr(found).splitlines()[-1].split()
    assert cells[:4] == ["3", "a", "0", "0.2500"]
    assert "e-" not in "".join(cells[2:]) and "e-16" not in found._repr_html_()


@pytest.mark.parametrize("room", ["bayes", "comparison", "recovery", "uncertainty"])
def test_no_analysis_prints_a_table_that_is_not_rounded(room):
    for file in (Path(jaxcmr.__file__).parent / room).glob("*.py"):
        for call in re.findall(r"\.to_(?:string|html)\((.*)", file.read_text(encoding="utf-8")):
            assert "float_format" in call, f"{file.name} prints a table in full digits"
