"""Choose trials: a mask from a condition, a smaller data set from a mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcmr.datasets._fields import as_fields, check_unmasked, count_trials
from jaxcmr.datasets._query import evaluate_query

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset, TrialMask

Query = str | Callable[[Any], Any] | None


def generate_trial_mask(data: RecallDataset, query: Query = None) -> TrialMask:
    """Return the trials that meet a condition, as booleans with one entry per trial.

    A condition in a string is read with a small grammar of its own and never handed to Python, so
    it may come from a file or a command line:

    - fields: ``data['listtype']``, or just ``listtype``; one column of a field, which stays a
      column: ``data['recalls'][:, 0]``
    - comparisons, also chained: ``data['listtype'] == -1``, ``1 <= session < 3``
    - membership: ``subject in [1, 2]``, ``subject not in [1, 2]``, ``np.isin(subject, [1, 2])``
    - conditions joined trial by trial: ``and or not``, ``& | ^ ~``, ``np.logical_and`` (``_or``,
      ``_xor``, ``_not``). As in Python, ``&`` and its kin join before ``==`` does, so put ``( )``
      around each comparison; forgetting them is an error, not another condition
    - numbers, ``True``, ``False``, and ``+ - * / // %`` of numbers and fields

    Arithmetic gives what plain Python numbers give: whole numbers of any width are exact (an error
    beyond 64 bits), floats are computed in double precision, and True counts as 1. A field in
    single precision is compared with a number in single precision, so ``x == 0.1`` selects 0.1.

    Args:
        data: The data set; every field a numeric array with one row per trial.
        query: The condition: a string; a function of `data` that returns the mask; or None for
            all trials.

    Returns:
        Booleans (trials,).

    Raises:
        ValueError: The string holds anything else (the message shows which part) or names no
            field (it names the closest), or the result is not one boolean per trial.

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
        return _as_mask(evaluate_query(query, fields), trials, f"the query {query!r} gives")
    if callable(query):
        return _as_mask(query(data), trials, "the query function returns")
    raise ValueError(f"a query is a string, a function or None, got {type(query).__name__}")


def select_trials(data: RecallDataset, mask: TrialMask) -> dict[str, np.ndarray]:
    """Return the data set of the trials where `mask` is True, in their order.

    Args:
        data: The data set; every field a numeric array with one row per trial.
        mask: Booleans (trials,), e.g. from `generate_trial_mask`. Without a True in it the result
            has no trials, which `check_data` would refuse.

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


def check_mask(mask: Any, n_trials: int) -> TrialMask:
    """Return `mask` as booleans (trials,).

    Args:
        mask: Booleans (trials,) or (trials, 1).
        n_trials: How many trials there are.

    Raises:
        ValueError: `mask` is not one boolean per trial, or has masked entries.

    Examples:
        >>> check_mask([[True], [False]], 2)
        array([ True, False])
    """
    return _as_mask(mask, n_trials, "the mask has")


def _as_mask(mask: Any, trials: int, giver: str) -> TrialMask:
    """Return `mask` as booleans (trials,); accepts a column (trials, 1)."""
    check_unmasked("the mask", mask)
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape not in ((trials,), (trials, 1)):
        raise ValueError(
            f"{giver} {mask.dtype} of shape {mask.shape}; expected one boolean for each of the "
            f"{trials} trials, shape ({trials},). Compare one column: data['recalls'][:, 0] > 0"
        )
    return mask.reshape(trials)
