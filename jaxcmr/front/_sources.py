"""What the front door is given: data, features and results, by name, path or object."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np
from numpy.typing import ArrayLike

from jaxcmr.datasets import align_features
from jaxcmr.results import FitResult
from jaxcmr.typing import Features, RecallDataset, Subject

if TYPE_CHECKING:
    import pandas as pd

PathLike: TypeAlias = str | os.PathLike[str]
Data: TypeAlias = Union[PathLike, RecallDataset, "pd.DataFrame"]
Pairs: TypeAlias = Union["pd.DataFrame", np.ndarray, PathLike, None]
Where: TypeAlias = str | Callable[[RecallDataset], ArrayLike] | None
Results: TypeAlias = FitResult | PathLike | Sequence[FitResult | PathLike] | None
Reported: TypeAlias = FitResult | PathLike | Sequence[FitResult | PathLike] | Mapping[str, Any]
Subjects: TypeAlias = str | int | Iterable[Subject]


def load_results(start_from: Results) -> tuple[list[FitResult], list[str]]:
    """Return the results in `start_from`, and the paths of those that came from files."""
    if start_from is None:
        return [], []
    if isinstance(start_from, str | os.PathLike | Mapping):
        start_from = [start_from]
    results, paths = [], []
    for each in start_from:
        if isinstance(each, str | os.PathLike):
            results.append(FitResult.load(each))
            paths.append(str(each))
        elif isinstance(each, Mapping):
            results.append(FitResult(each))
        elif each is not None:
            raise ValueError(f"start_from is a list of results or paths to them; got {each!r}.")
    return results, paths


def as_result(result: FitResult | PathLike) -> FitResult:
    """Return a result, read from a file if it is a path.

    Raises:
        ValueError: it is something else, such as the data.
    """
    if isinstance(result, str | os.PathLike):
        return FitResult.load(result)
    if not isinstance(result, Mapping) or "fits" not in result:
        raise ValueError(
            f"Expected the result of a fit, or a path to one; got a {type(result).__name__} "
            "without fits. Where a function takes result and data, the result comes first."
        )
    return FitResult(result)


def load_aligned(
    dataset: RecallDataset, features: Features, similarities: Pairs, distances: Pairs
) -> Features:
    """Return features in the order of item ids, read from files where they are paths."""
    return align_features(
        dataset,
        load_features(features),
        similarities=load_features(similarities),
        distances=load_features(distances),
    )


def load_features(features: Features | PathLike) -> Features:
    """Return features, read from a file if they are a path.

    A file is .npy, or a .csv of numbers; or a .csv with a header and the words in its first column.
    """
    if not isinstance(features, str | os.PathLike):
        return features
    path = Path(features)
    try:
        return read_array(path) if path.suffix == ".npy" else read_numbers(path)
    except (ValueError, EOFError, IsADirectoryError) as error:
        raise ValueError(
            f"{path} does not hold features: an array of numbers in .npy; or in .csv rows of "
            f"numbers with commas, or a header and words in the first column ({error})."
        ) from error


def read_array(path: Path) -> np.ndarray:
    """Return the array in a .npy file, which must be of numbers; pickles are not opened."""
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError):
        raise
    except Exception as error:  # NumPy raises nearly any exception for a damaged header
        raise ValueError(str(error)) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        held = array.dtype if isinstance(array, np.ndarray) else "a .npz archive"
        raise ValueError(f"it holds {held}, not one array of numbers")
    return array


def read_numbers(path: Path) -> np.ndarray | pd.DataFrame:
    """Return the numbers of a .csv file; as a table by word if its first row is not numbers."""
    import pandas as pd

    with open(path, encoding="utf-8-sig") as file:
        first = file.readline().strip().split(",")
    try:
        [float(cell) for cell in first]
    except ValueError:  # words such as "null" are words
        if len(first) < 2:
            raise
        table = pd.read_csv(path, index_col=0, keep_default_na=False, encoding="utf-8-sig")
        if table.empty:
            raise ValueError("there is not a number below its first row") from None
        return table.astype(float)
    return np.loadtxt(path, delimiter=",", ndmin=2, encoding="utf-8-sig")


def as_path(source: Data | Features | Pairs) -> str | None:
    """Return a name or path as text; None for objects."""
    return str(source) if isinstance(source, str | os.PathLike) else None


def check_mapping(name: str, given: Any) -> dict[str, Any]:
    """Return an argument that is a dict by name; raise a ValueError if it is not."""
    if given is not None and not isinstance(given, Mapping):
        raise ValueError(f"{name} is a dict by name; got {given!r}.")
    return dict(given or {})


def check_switch(name: str, value: Any) -> None:
    """Raise a ValueError unless a setting is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False; got {value!r}.")
