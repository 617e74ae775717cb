"""Arithmetic in a query gives the results of Python numbers, for fields of every type."""

import itertools

import numpy as np
import pytest

from jaxcmr.datasets import generate_trial_mask

INTEGERS = [np.dtype(f"{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)]


def column(dtype):
    """The limits of a type and small numbers, as (trials, 1)."""
    limits = np.iinfo(dtype)
    return np.array([limits.max, limits.min, 1, 2, 7, 100], dtype)[:, None]


def in_python(query, a, b):
    """Evaluate the query in Python for each pair of numbers."""
    pairs = zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)
    return [eval(query, {"a": x, "b": y}) for x, y in pairs]


SAFE = [
    "a % 3 == 1",
    "a // 2 == b // 3",
    "-a < 0",
    "0 <= a < b",
    "a < b <= 100 != a",
    "a == b",
    "a / 4 == 25",
    "(a % 7) * 100 + b % 11 > 203",
    "a in [1, 255, -128, 18446744073709551615]",
]


@pytest.mark.parametrize("query", SAFE)
def test_all_integer_types_give_the_results_of_python(query):
    """Unsigned below 0, 8 bits above 255, int64 against uint64, which NumPy computes as floats."""
    for left, right in itertools.product(INTEGERS, INTEGERS):
        a, b = column(left), column(right)[::-1]
        found = generate_trial_mask({"a": a, "b": b}, query)
        assert found.tolist() == in_python(query, a, b), (left, right)


@pytest.mark.parametrize("query", ["a + b > 0", "a - b < 0", "a * b > 5", "a - 1 < a"])
def test_beyond_64_bits_a_number_is_exact_or_an_error(query):
    for left, right in itertools.product(INTEGERS, INTEGERS):
        a, b = column(left), column(right)
        try:
            found = generate_trial_mask({"a": a, "b": b}, query)
        except ValueError as error:
            assert "needs more than 64 bits" in str(error)
            assert 8 in (left.itemsize, right.itemsize)
        else:
            assert found.tolist() == in_python(query, a, b), (left, right)


def test_a_published_data_set_in_8_bits():
    """`scipy.io.loadmat` gives uint8: session * 100 would wrap to 44, and 0 - 1 to 255."""
    data = {"subject": np.array([201, 202, 3], np.uint8), "session": np.array([1, 3, 0], np.uint8)}
    assert generate_trial_mask(data, "session * 100 + subject == 502").tolist() == [0, 1, 0]
    assert generate_trial_mask(data, "session - 1 < 0").tolist() == [0, 0, 1]
    assert generate_trial_mask(data, "-session == -3").tolist() == [0, 1, 0]


def test_division_of_whole_numbers_by_zero_is_an_error():
    """In NumPy 5 // 0 and 5 % 0 are 0. True division gives inf or NaN, which data may hold."""
    data = {"a": np.array([5, 6]), "b": np.array([0, 4])}
    for query in ("a // b == 0", "a % b == 0"):
        with pytest.raises(ValueError, match=r"cannot be computed: .*zero"):
            generate_trial_mask(data, query)
    assert generate_trial_mask(data, "a / b > 1").tolist() == [True, True]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_arithmetic_of_narrow_floats_is_done_in_double(dtype):
    """In single precision 1/3 * 1/3 differs from Python, in half precision 1000 * 1000 is inf."""
    a = np.array([0.1, 1 / 3, 1000.0], dtype)[:, None]
    for query in ("a * 1000 + 0.1 == a * 1000 + 0.1001", "a * a == a * (a / 1)", "a * a < 1000001"):
        found = generate_trial_mask({"a": a}, query)
        assert found.tolist() == in_python(query, a, a)


def test_a_narrow_float_is_compared_as_it_is_written():
    """0.1 selects the single-precision 0.1 with ==, in, not in and np.isin."""
    data = {"x": np.array([0.1, 0.2, 0.3], np.float32)}
    assert generate_trial_mask(data, "x == 0.1").tolist() == [True, False, False]
    assert generate_trial_mask(data, "x in [0.1, 0.3]").tolist() == [True, False, True]
    assert generate_trial_mask(data, "x not in [0.1, 0.3]").tolist() == [False, True, False]
    assert generate_trial_mask(data, "np.isin(x, [0.1])").tolist() == [True, False, False]


@pytest.mark.parametrize("dtype", [*INTEGERS, np.dtype("f2"), np.dtype("f4"), np.dtype("f8")])
def test_membership_is_equality_with_any(dtype):
    data = {"x": np.array([0, 1, 2, 100], dtype)}
    for number in (0, 1.0, 0.1, -1, 300, 2**63, True):
        equal = generate_trial_mask(data, f"x == {number}").tolist()
        assert generate_trial_mask(data, f"x in [{number}, 77]").tolist() == equal
