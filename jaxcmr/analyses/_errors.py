"""Intrusions and repeats per list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike

from jaxcmr.analyses._measure import Fields, make_measure, to_ratio
from jaxcmr.analyses._sequences import field_of
from jaxcmr.analyses._transitions import was_recalled

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset

LEFT_OUT = "left_out"  # field with the number of those that the sequence does not hold


def count_intrusions(
    positions: Int[Array, "trials outputs"], fields: Fields
) -> tuple[Int[Array, " trials"], Bool[Array, " trials"]]:
    """Return the number of intrusions of each list, and whether it is a list."""
    return _with_left_out((positions < 0).sum(-1), fields), fields["listLength"][:, 0] > 0


def count_repeats(
    positions: Int[Array, "trials outputs"], fields: Fields
) -> tuple[Int[Array, " trials"], Bool[Array, " trials"]]:
    """Return the number of repeats of each list, and whether it is a list."""
    n_items = was_recalled(positions, fields["pres_itemnos"].shape[1]).sum(-1)
    n_repeats = (positions > 0).sum(-1) - n_items
    return _with_left_out(n_repeats, fields), fields["listLength"][:, 0] > 0


def _with_left_out(counts: Int[Array, " trials"], fields: Fields) -> Int[Array, " trials"]:
    return counts + fields[LEFT_OUT][:, 0] if LEFT_OUT in fields else jnp.asarray(counts)


def _prepare(name: str, data: RecallDataset) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the number of intrusions or repeats that are in no sequence, from field `name`."""
    if ("rec_itemids" in data and "pres_itemids" in data) or name not in data:
        return {}, {}
    counts = field_of(data, name)
    if counts.shape[1] != 1:
        raise ValueError(
            f"Field {name!r} has shape {counts.shape}; expected the number of {name} of each "
            "trial, (trials, 1). jaxcmr.first_recalls counts marks of outputs."
        )
    return {LEFT_OUT: counts}, {}


@make_measure(
    count_intrusions, prepare=lambda data: _prepare("intrusions", data), value="intrusions"
)
def intrusions(data: RecallDataset, mask: ArrayLike | None = None) -> Float[np.ndarray, ""]:
    """Return the mean number of intrusions per list.

    An intrusion is the recall of an item that the list does not hold. They are counted in the
    sequence of recalls (see `recall_positions`). If the data have no ``rec_itemids``, those that a
    field ``intrusions`` (trials, 1) says have been left out are added.

    Args:
        data: recall data.
        mask: (trials,) booleans, which trials to count; all by default.

    Returns:
        One number; NaN without trials.

    Examples:
        >>> data = {"listLength": [[3]] * 2, "pres_itemnos": [[1, 2, 3]] * 2,
        ...         "recalls": [[3, -1, 3], [2, 0, 0]]}
        >>> float(intrusions(data))
        0.5
    """
    return to_ratio(intrusions, data, mask)


@make_measure(count_repeats, prepare=lambda data: _prepare("repeats", data), value="repeats")
def repeats(data: RecallDataset, mask: ArrayLike | None = None) -> Float[np.ndarray, ""]:
    """Return the mean number of repeats per list.

    A repeat is the recall of an item of the list that was recalled before. They are counted in the
    sequence of recalls (see `recall_positions`). If the data have no ``rec_itemids``, those that a
    field ``repeats`` (trials, 1) says have been left out are added.

    Args:
        data: recall data.
        mask: (trials,) booleans, which trials to count; all by default.

    Returns:
        One number; NaN without trials.

    Examples:
        >>> data = {"listLength": [[3]] * 2, "pres_itemnos": [[1, 2, 3]] * 2,
        ...         "recalls": [[3, -1, 3], [2, 0, 0]]}
        >>> float(repeats(data))
        0.5
    """
    return to_ratio(repeats, data, mask)
