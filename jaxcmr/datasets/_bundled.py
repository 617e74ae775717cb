"""Data sets that anyone can get by name, from packages on the index."""

from __future__ import annotations

import numpy as np

from jaxcmr.datasets._psifr import from_psifr
from jaxcmr.names import did_you_mean

BUNDLED: dict[str, str] = {
    "peers_notask": (
        "126 subjects, 28 lists of 16 words each, studied without an encoding task and recalled "
        "at once, in any order: the PEERS lists of Healey and Kahana (2014)"
    ),
    "Morton2013": (
        "40 subjects, 48 lists of 24 names of people, places and objects, some lists of one "
        "category and some mixed, recalled in any order: Morton et al. (2013)"
    ),
}
"""The names `load_bundled` knows, each with a description; the tables come with psifr."""


def load_bundled(name: str) -> dict[str, np.ndarray]:
    """Return a data set by name.

    The tables come with the package psifr, which is imported here and nowhere else; `from_psifr`
    says how they are counted.

    Args:
        name: A key of `BUNDLED`.

    Returns:
        The checked data set (see `check_data`).

    Raises:
        ValueError: No data set has this name; names the closest.
        ImportError: psifr is not installed.

    Examples:
        >>> load_bundled("peers_notask")["recalls"].shape
        (3528, 16)
    """
    if name not in BUNDLED:
        raise ValueError(f"no bundled data set '{name}'. {did_you_mean(name, BUNDLED)}")
    try:
        from psifr import fr
    except ImportError as error:
        raise ImportError(
            f"'{name}' comes with psifr, which is not installed: pip install \"jaxcmr[demo]\""
        ) from error
    return from_psifr(fr.sample_data(name))
