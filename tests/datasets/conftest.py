"""Data that the tests of this room share: a small data set, and the published one if present."""

from pathlib import Path

import numpy as np
import pytest

from jaxcmr.datasets import load_data

REAL = Path(__file__).parents[3] / "shared" / "data" / "HealeyKahana2014.h5"


@pytest.fixture
def data() -> dict[str, np.ndarray]:
    """Three trials of two subjects; trial 1 studies its first item again, trial 2 is shorter."""
    return {
        "subject": np.array([[1], [1], [2]]),
        "listLength": np.array([[4], [4], [3]]),
        "pres_itemnos": np.array([[1, 2, 3, 4], [1, 2, 1, 4], [1, 2, 3, 0]]),
        "recalls": np.array([[4, 3, 0, 0], [1, 2, 1, 0], [0, 0, 0, 0]]),
        "session": np.array([[1], [2], [1]]),
        "age": np.array([[20.5], [20.5], [np.nan]]),
    }


@pytest.fixture(scope="session")
def real() -> dict[str, np.ndarray]:
    """The published data of Healey and Kahana (2014), which the repository does not hold."""
    if not REAL.is_file():
        pytest.skip(f"no {REAL}")
    return load_data(REAL)
