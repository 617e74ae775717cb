"""Parameter values of simulated trials: from fits, from draws, and swept over a grid."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from itertools import product

import numpy as np
from jaxtyping import Float, Int, Shaped

from jaxcmr.parameters import Parameter, check_names
from jaxcmr.typing import Draws, Parameters, RecallDataset, Sweep

__all__ = ["check_sweep", "grid_of", "group_draws", "values_by_trial", "values_of_draws"]

BESIDE_DRAWS = ("subject", "chain", "draw", "loss")
"""Columns of a table of draws that are not parameters."""

Grouped = dict[Hashable, dict[str, np.ndarray]]


def values_by_trial(
    parameters: Parameters, subjects: Shaped[np.ndarray, " trials"]
) -> dict[str, Float[np.ndarray, " trials"]]:
    """Return the value of each parameter in every trial, given the trials' subjects."""
    is_pooled = parameters.get("pooled")
    fits = parameters.get("fits", parameters)
    values = {n: np.asarray(v) for n, v in fits.items() if n not in ("subject", "pooled")}
    fitted = np.asarray(fits.get("subject", [-1])).reshape(-1).tolist()
    sizes = {name: value.shape for name, value in values.items() if value.ndim}
    sizes |= {"subject": (len(fitted),)} if "subject" in fits else {}
    if len(set(sizes.values())) > 1 or any(len(shape) != 1 for shape in sizes.values()):
        raise ValueError(
            "Lists of parameters hold one value per subject, but their lengths differ: "
            + ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in sizes.items())
            + "."
        )
    n_fits = next(iter(sizes.values()), (1,))[0]
    if n_fits > 1 and "subject" not in fits:
        raise ValueError(
            f"Lists of {n_fits} values need 'subject': give the {n_fits} subjects that were fitted."
        )
    if n_fits == 1 and (fitted == [-1] if is_pooled is None else is_pooled):
        rows = np.zeros(len(subjects), int)
    else:
        row_of = {subject: row for row, subject in enumerate(fitted)}
        if len(row_of) < len(fitted):
            twice = sorted({each for each in fitted if fitted.count(each) > 1})
            raise ValueError(f"There is more than one fit of subject(s) {twice[:5]}: select one.")
        missing = sorted(set(subjects.tolist()) - set(row_of))
        if missing and any(value.ndim for value in values.values()):
            raise ValueError(
                f"No parameters for subject(s) {missing[:5]}: the fits are of subjects "
                f"{sorted(row_of)[:5]}. Select the fitted subjects with trial_mask."
            )
        rows = np.array([row_of.get(subject, 0) for subject in subjects.tolist()])
    return {
        name: value[rows] if value.ndim else np.full(len(rows), value)
        for name, value in values.items()
    }


def group_draws(
    draws: Draws, parameters: Parameters, declared: Iterable[Parameter]
) -> tuple[Grouped, int]:
    """Return the draws of each subject, and how many each has.

    A subject's draws are numbered in the order of their rows. Draws without subjects, or of subject
    -1 alone, are of a pooled fit: they are under the key None, and hold for every trial.

    Raises:
        ValueError: a column is not a parameter, columns differ in length, a value is not a finite
            number, subjects differ in their number of draws, or draws of several fits do not say
            whose they are.
    """
    columns = {str(name): np.asarray(column) for name, column in draws.items()}
    names = [name for name in columns if name not in BESIDE_DRAWS]
    if declared := tuple(declared):
        check_names(names, declared)
    lengths = {name: column.shape for name, column in columns.items()}
    if not names or len(set(lengths.values())) > 1 or len(lengths[names[0]]) != 1:
        raise ValueError(
            "draws hold a column of equally many values per parameter, and the column 'subject'; "
            f"got {lengths}."
        )
    for name in names:
        check_numbers(f"draws[{name!r}]", columns[name])
    fits = parameters.get("fits", parameters)
    n_fits = np.size(fits.get("subject", [-1]))
    subjects = columns.get("subject", np.full(lengths[names[0]], -1)).tolist()
    if "subject" not in columns and n_fits > 1:
        raise ValueError(
            f"The fits are of {n_fits} subjects: draws need the column 'subject', the subject of "
            "each row."
        )
    rows: dict[Hashable, list[int]] = {}
    for row, subject in enumerate(subjects):
        rows.setdefault(subject, []).append(row)
    counts = {subject: len(of_subject) for subject, of_subject in rows.items()}
    if len(set(counts.values())) != 1:
        raise ValueError(f"Subjects need equally many draws; got, by subject, {counts}.")
    if set(rows) == {-1}:
        rows = {None: rows[-1]}
    grouped: Grouped = {
        subject: {name: columns[name][of_subject] for name in names}
        for subject, of_subject in rows.items()
    }
    return grouped, next(iter(counts.values()))


def values_of_draws(
    grouped: Grouped, subjects: Shaped[np.ndarray, " trials"], numbers: Int[np.ndarray, " trials"]
) -> dict[str, Float[np.ndarray, " trials"]]:
    """Return the value of each drawn parameter in every trial, given its subject and draw.

    Raises:
        ValueError: a subject has no draws.
    """
    if None in grouped:
        return {name: column[numbers] for name, column in grouped[None].items()}
    missing = sorted(set(subjects.tolist()) - set(grouped))
    if missing:
        raise ValueError(
            f"No draws for subject(s) {missing[:5]}: there are draws for {list(grouped)[:5]}. "
            "Simulate the subjects that have draws, with where=... or trial_mask=..."
        )
    values = {name: np.empty(len(subjects)) for name in next(iter(grouped.values()))}
    for subject, columns in grouped.items():
        is_own = subjects == subject
        for name, column in columns.items():
            values[name][is_own] = column[numbers[is_own]]
    return values


def check_sweep(
    vary: Sweep, dataset: RecallDataset, declared: Iterable[Parameter]
) -> dict[str, Float[np.ndarray, " values"]]:
    """Check the values of a sweep, and return them as arrays by parameter.

    Raises:
        ValueError: a name is not a parameter or is already a field of the data, or values are not
            finite numbers, of which there is at least one and none twice.
    """
    if not isinstance(vary, Mapping) or not vary:
        raise ValueError(f"vary is a dict: values by parameter; got {vary!r}.")
    if declared := tuple(declared):
        check_names(vary, declared)
    swept = {name: np.atleast_1d(np.asarray(values)) for name, values in vary.items()}
    for name, values in swept.items():
        check_numbers(f"vary[{name!r}]", values)
        if values.ndim != 1 or not values.size or len(np.unique(values)) < values.size:
            raise ValueError(f"vary[{name!r}] is a list of different numbers; got {vary[name]!r}.")
        if name in dataset:
            raise ValueError(
                f"The data have a field {name!r} already, where the simulated data would hold the "
                "values of the sweep. Take it out of the data."
            )
    return {name: values.astype(float) for name, values in swept.items()}


def grid_of(
    swept: Mapping[str, Float[np.ndarray, " values"]],
) -> dict[str, Float[np.ndarray, " points"]]:
    """Return the points of the grid of all values, the last parameter changing fastest.

    >>> {name: column.tolist() for name, column in grid_of({"a": [1, 2], "b": [3, 4]}).items()}
    {'a': [1.0, 1.0, 2.0, 2.0], 'b': [3.0, 4.0, 3.0, 4.0]}
    """
    points = np.array(list(product(*swept.values())), float)
    return dict(zip(swept, points.T, strict=True))


def check_numbers(name: str, values: np.ndarray) -> None:
    """Raise a ValueError unless all values are finite numbers."""
    is_numeric = values.dtype.kind in "iuf"
    if not is_numeric or not np.all(np.isfinite(values)):
        wrong = values if not is_numeric else values[~np.isfinite(values)]
        raise ValueError(f"{name} holds {wrong.flat[0]!s}; expected finite numbers.")
