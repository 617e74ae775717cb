"""What a measure is: counts per trial, added up over trials, as one ratio per bin."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, Protocol, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Shaped
from numpy.typing import ArrayLike

from jaxcmr.analyses._sequences import check_is_data, field_of, integers_of, recall_positions
from jaxcmr.datasets import check_mask

if TYPE_CHECKING:
    from jaxcmr.typing import RecallDataset

P = ParamSpec("P")

Fields = Mapping[str, Shaped[Array, "trials ..."]]
Options = Mapping[str, Any]
Counts = Callable[..., tuple[Shaped[Array, "trials ..."], Shaped[Array, "trials ..."]]]
"""``counts(positions, fields, **options) -> (made, possible)``, both (trials, *bins)."""
Prepare = Callable[..., tuple[Mapping[str, np.ndarray], Options]]
"""``prepare(data, **options) -> (fields, options)``: what `counts` is given beside positions."""

BLOCK = 512  # trials counted at once; the program is the same for data sets of any size


class Measure(Protocol[P]):
    """A behavioral measure: ``measure(data, mask=None, **options) -> array``.

    A measure is the ratio of two counts, one of what was done (made) and one of what could have
    been done (possible), each the sum over trials. It is a function with four attributes, which
    `make_measure` gives to it:

    - ``counts(positions, fields, **options) -> (made, possible)``: both counts of each trial,
      (trials, \\*bins). It is written with `jax.numpy`, has no side effects, and counts nothing in
      a trial whose ``fields["listLength"]`` is 0, which is padding. ``positions`` is explained at
      `recall_positions`; ``fields`` holds at least ``listLength`` (trials, 1) and ``pres_itemnos``
      (trials, positions), whose width is the number of study positions.
    - ``bins(n_positions, **options) -> {column: values}``: one axis of the counts after another.
    - ``prepare(data, **options) -> (fields, options)``: the further fields that `counts` reads, and
      its options, from those that the caller gives. Runs in NumPy.
    - ``value``: the column of the ratio in a table. The name of an option in braces stands for
      the option.
    """

    __name__: str
    counts: Counts
    bins: Callable[..., Mapping[str, Sequence[Any]]]
    prepare: Prepare
    value: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...


def make_measure(
    counts: Counts,
    bins: Callable[..., Mapping[str, Sequence[Any]]] = lambda n_positions, **options: {},
    *,
    prepare: Prepare = lambda data, **options: ({}, options),
    value: str = "prob",
) -> Callable[[Callable[P, Any]], Measure[P]]:
    """Return a decorator that makes a measure of a function ``(data, mask=None, **options)``.

    Args:
        counts: see `Measure`, as the others.
        bins: none by default: the measure is one number.
        prepare: passes the options on by default, and adds no fields.
        value: the column of the ratio.

    Examples:
        >>> def count_lists(positions, fields):
        ...     is_list = fields["listLength"][:, 0] > 0
        ...     return (positions[:, 0] == 1) & is_list, is_list
        >>> @make_measure(count_lists)
        ... def first_word_first(data, mask=None):
        ...     return to_ratio(first_word_first, data, mask)
        >>> data = {"listLength": [[2], [2]], "pres_itemnos": [[1, 2]] * 2,
        ...         "recalls": [[1, 2], [2, 0]]}
        >>> float(first_word_first(data))
        0.5
    """

    def mark(function: Callable[P, Any]) -> Measure[P]:
        measure = cast(Measure[P], function)
        measure.counts, measure.bins = counts, bins
        measure.prepare, measure.value = prepare, value
        return measure

    return mark


def to_ratio(
    measure: Measure[...], data: RecallDataset, mask: ArrayLike | None, **options: Any
) -> Any:
    """Return the ratio of the counts of a data set's trials, one number for each bin.

    Args:
        measure: made by `make_measure`.
        data: recall data.
        mask: (trials,) booleans, which trials to count; all by default.
        **options: of the measure.

    Returns:
        (\\*bins) numbers in double precision; NaN where nothing was possible.

    Examples:
        >>> from jaxcmr.analyses import first_recall
        >>> data = {"listLength": [[2], [2]], "pres_itemnos": [[1, 2]] * 2,
        ...         "recalls": [[1, 2], [2, 0]]}
        >>> to_ratio(first_recall, data, None)
        array([0.5, 0.5])
    """
    check_is_data(data)
    n_trials = len(field_of(data, "listLength"))
    chosen = np.ones(n_trials, bool) if mask is None else check_mask(mask, n_trials)
    sums = add_up(measure, data, np.where(chosen, 0, -1), 1, options)
    return sums.ratio[0]


class Sums(NamedTuple):
    """Counts of groups of trials, (groups, \\*bins); whole numbers where those of trials are."""

    made: Shaped[np.ndarray, "groups ..."]
    possible: Shaped[np.ndarray, "groups ..."]

    @property
    def ratio(self) -> Shaped[np.ndarray, "groups ..."]:
        """Return (made / possible), NaN where nothing was possible."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.possible > 0, self.made / self.possible, np.nan)


def add_up(
    measure: Measure[...],
    data: RecallDataset,
    groups: Int[np.ndarray, " trials"],
    n_groups: int,
    options: Options,
) -> Sums:
    """Return the sums of a measure's counts over the trials of each group.

    Trials are counted in blocks of one size, by a program that is compiled once, and added up in
    64 bits: whole numbers exactly, ranks in double precision.

    Args:
        measure: made by `make_measure`.
        data: recall data.
        groups: the group of each trial from 0; -1 for trials that are not counted.
        n_groups: the number of groups.
        options: of the measure; those left out have their defaults.
    """
    extra, prepared = prepare_options(measure, data, options)
    fields = {**fields_of(data), **{name: np.asarray(rows) for name, rows in extra.items()}}
    positions = recall_positions(data).astype(np.int32)
    trials = np.flatnonzero(groups >= 0)
    trials = trials[np.argsort(groups[trials], kind="stable")]
    totals: list[np.ndarray] = []
    with jax.enable_x64(True):
        traced = jax.tree.map(as_traced, dict(prepared))
        for start in range(0, max(len(trials), 1), BLOCK):  # a block of padding without trials
            block = trials[start : start + BLOCK]
            rows = {name: take_block(values, block) for name, values in fields.items()}
            counted = _count(measure.counts, take_block(positions, block), rows, traced)
            counts = [np.asarray(each)[: len(block)] for each in counted]
            totals = totals or [make_total(each, n_groups) for each in counts]
            for total, each in zip(totals, counts, strict=True):
                add_to(total, each, groups[block])
    return Sums(*totals)


@eqx.filter_jit
def _count(
    counts: Counts, positions: np.ndarray, fields: Mapping[str, np.ndarray], options: Options
) -> tuple[Shaped[Array, "trials ..."], Shaped[Array, "trials ..."]]:
    return counts(positions, fields, **options)


def take_block(
    values: Shaped[np.ndarray, "all_trials ..."], block: Int[np.ndarray, " block"]
) -> Shaped[np.ndarray, "rows ..."]:
    """Return the rows of a block of trials, followed by 0 up to the size of a block."""
    rows = np.zeros((BLOCK, *values.shape[1:]), values.dtype)
    rows[: len(block)] = values[block]
    return rows


def make_total(counts: Shaped[np.ndarray, "trials ..."], n_groups: int) -> np.ndarray:
    """Return zeros of 64 bits for the sums of groups."""
    dtype = np.float64 if counts.dtype.kind == "f" else np.int64
    return np.zeros((n_groups, *counts.shape[1:]), dtype)


def add_to(
    total: Shaped[np.ndarray, "groups ..."],
    counts: Shaped[np.ndarray, "trials ..."],
    group: Int[np.ndarray, " trials"],
) -> None:
    """Add the counts of trials, which are in the order of their groups, to the groups' sums."""
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    if len(starts):
        total[group[starts]] += np.add.reduceat(counts, starts, axis=0, dtype=total.dtype)


def as_traced(option: Any) -> Any:
    """Return an option as a JAX array if it is an array; else unchanged."""
    return jnp.asarray(option) if isinstance(option, np.ndarray) else option


def prepare_options(
    measure: Measure[...], data: RecallDataset, options: Options
) -> tuple[Mapping[str, np.ndarray], Options]:
    """Return the further fields and the options of `measure.counts`, with defaults filled in."""
    return measure.prepare(data, **with_defaults(measure, options))


def with_defaults(measure: Measure[...], options: Options) -> dict[str, Any]:
    """Return all options of a measure, those left out with their defaults.

    Raises:
        TypeError: an option is unknown, or one without a default is missing.
    """
    signature = inspect.signature(measure)
    names = list(signature.parameters)[2:]  # after data and mask
    bound = signature.bind(None, None, **options)
    bound.apply_defaults()
    return {name: bound.arguments[name] for name in names}


def fields_of(data: RecallDataset) -> dict[str, np.ndarray]:
    """Return the fields that every measure may read, cut to the longest list."""
    lengths = integers_of(data, "listLength")
    items = integers_of(data, "pres_itemnos")[:, : n_positions_of(data)]
    return {"listLength": lengths.astype(np.int32), "pres_itemnos": items.astype(np.int32)}


def n_positions_of(data: RecallDataset) -> int:
    """Return the length of the longest list of a data set."""
    return int(integers_of(data, "listLength").max())
