"""Choose trials: a mask from a condition, a smaller data set from a mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from jaxcmr.datasets._check import as_fields, check_unmasked, count_trials
from jaxcmr.datasets._query import evaluate_query

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset, TrialMask


def generate_trial_mask(
    data: RecallDataset, query: str | Callable[[RecallDataset], ArrayLike] | None = None
) -> TrialMask:
    """Return the trials that meet a condition, as booleans with one entry per trial.

    A condition in a string is read with a small grammar of its own. Python never runs it, so it may
    come from a file or a command line. The grammar has

    - fields: ``data['listtype']``, or just ``listtype``; one column of a field, which stays a
      column: ``data['recalls'][:, 0]``
    - comparisons, also chained: ``data['listtype'] == -1``, ``1 <= session < 3``
    - membership: ``subject in [1, 2]``, ``subject not in [1, 2]``, ``np.isin(subject, [1, 2])``
    - conditions joined trial by trial: ``and or not``, ``& | ^ ~``, ``np.logical_and`` (``_or``,
      ``_xor``, ``_not``). As in Python, ``& | ^ ~`` bind more tightly than ``==``, so put ``( )``
      around each comparison; without them the query is an error
    - text in quotes, compared with a field of text: ``list_type == 'mixed'``,
      ``subject in ['s1', 's2']``
    - numbers, ``True``, ``False``, and ``+ - * / // %`` of numbers and fields

    Arithmetic gives the results of plain Python numbers. Whole numbers of any width are exact (an
    error beyond 64 bits), floats are computed in double precision, and True counts as 1. A field in
    single precision is compared with a number in single precision, so ``x == 0.1`` selects 0.1.

    Args:
        data: The data set; every field an array with one row per trial.
        query: The condition: a string; a function of `data` that returns the mask; or None for
            all trials.

    Returns:
        Booleans (trials,).

    Raises:
        ValueError: The string is not in the grammar (the message shows the part) or has an unknown
            field (the message gives the closest), or the result is not one boolean per trial.

    Examples:
        >>> data = {"subject": [1, 1, 2], "session": [1, 2, 1]}
        >>> generate_trial_mask(data, "subject == 1 and session > 1")
        array([False,  True, False])
    """
    fields = as_fields(data)
    trials = count_trials(fields)
    if query is None:
        return np.ones(trials, dtype=bool)
    if isinstance(query, str):
        return _to_mask(evaluate_query(query, fields), trials, f"The query {query!r} gives")
    if callable(query):
        return _to_mask(query(data), trials, "The query function returns")
    raise ValueError(f"A query is a string, a function or None; got {type(query).__name__}.")


def select_trials(data: RecallDataset, mask: ArrayLike) -> dict[str, np.ndarray]:
    """Return the data set of the trials where `mask` is True, in their order.

    Args:
        data: The data set; every field an array with one row per trial.
        mask: Booleans (trials,), e.g. from `generate_trial_mask`. If all are False, the result has
            no trials and fails `check_data`.

    Returns:
        A new data set with all fields, copied.

    Raises:
        ValueError: `mask` is not one boolean per trial.

    Examples:
        >>> select_trials({"subject": [1, 1, 2]}, [False, True, True])["subject"].ravel()
        array([1, 2])
    """
    fields = as_fields(data)
    mask = check_mask(mask, count_trials(fields))
    return {name: array[mask] for name, array in fields.items()}


def check_mask(mask: ArrayLike, n_trials: int) -> TrialMask:
    """Check a mask and return it as booleans (trials,).

    Args:
        mask: Booleans (trials,) or (trials, 1).
        n_trials: The number of trials.

    Raises:
        ValueError: `mask` is not one boolean per trial, or has masked entries.

    Examples:
        >>> check_mask([[True], [False]], 2)
        array([ True, False])
    """
    return _to_mask(mask, n_trials, "The mask has")


def _to_mask(mask: ArrayLike, trials: int, origin: str) -> TrialMask:
    """Return `mask` as booleans (trials,); `origin` begins the error message."""
    check_unmasked("The mask", mask)
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape not in ((trials,), (trials, 1)):
        raise ValueError(
            f"{origin} {mask.dtype} of shape {mask.shape}; expected one boolean for each of the "
            f"{trials} trials, shape ({trials},). Compare one column: data['recalls'][:, 0] > 0."
        )
    return mask.reshape(trials)
