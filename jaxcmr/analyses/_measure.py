"""What a measure is: counts per trial, added up over trials, as one ratio per bin."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, Protocol, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Shaped
from numpy.typing import ArrayLike

from jaxcmr.analyses._sequences import check_is_data, field_of, recall_positions
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
    prepared = prepare_options(measure, data, options)
    fields = fields_of(data) | {name: np.asarray(rows) for name, rows in prepared[0].items()}
    trials = np.flatnonzero(groups >= 0)
    trials = trials[np.argsort(groups[trials], kind="stable")]
    positions = recall_positions(data).astype(np.int32)
    sums: Sums | None = None
    with jax.enable_x64(True):
        jax_options = jax.tree.map(as_traced, dict(prepared[1]))
        for block, is_trial in blocks_of(trials):
            rows = {
                name: take_rows(values, block, is_trial)
                for name, values in {**fields, "": positions}.items()
            }
            counted = _count(measure.counts, rows.pop(""), rows, jax_options)
            made, possible = (widen(each)[is_trial] for each in counted)
            if sums is None:
                sums = Sums(*(empty_sums(each, n_groups) for each in (made, possible)))
            group = groups[block[is_trial]]
            starts = np.flatnonzero(np.diff(group, prepend=-1))
            if len(starts):
                sums.made[group[starts]] += np.add.reduceat(made, starts, axis=0)
                sums.possible[group[starts]] += np.add.reduceat(possible, starts, axis=0)
    assert sums is not None  # there is at least one block
    return sums


@eqx.filter_jit
def _count(
    counts: Counts, positions: Int[Array, "trials outputs"], fields: Fields, options: Options
) -> tuple[Shaped[Array, "trials ..."], Shaped[Array, "trials ..."]]:
    return counts(positions, fields, **options)


def blocks_of(
    trials: Int[np.ndarray, " chosen"],
) -> Iterator[tuple[Int[np.ndarray, " block"], Bool[np.ndarray, " block"]]]:
    """Yield trials in blocks of one size with True for each; padding has False.

    There is one block of padding if there are no trials.
    """
    for start in range(0, max(len(trials), 1), BLOCK):
        part = trials[start : start + BLOCK]
        block = np.zeros(BLOCK, int)
        block[: len(part)] = part
        yield block, np.arange(BLOCK) < len(part)


def take_rows(
    values: Shaped[np.ndarray, "all_trials ..."],
    block: Int[np.ndarray, " block"],
    is_trial: Bool[np.ndarray, " block"],
) -> Shaped[Array, "block ..."]:
    """Return the rows of a block, 0 in padding."""
    rows = values[block]
    rows[~is_trial] = 0
    return jnp.asarray(rows)


def widen(counts: Shaped[Array, "..."]) -> Shaped[np.ndarray, "..."]:
    """Return counts of trials in 64 bits."""
    array = np.asarray(counts)
    return array.astype(np.float64 if array.dtype.kind == "f" else np.int64)


def empty_sums(counts: Shaped[np.ndarray, "trials ..."], n_groups: int) -> np.ndarray:
    return np.zeros((n_groups, *counts.shape[1:]), counts.dtype)


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
    lengths = field_of(data, "listLength").reshape(-1, 1)
    items = field_of(data, "pres_itemnos")[:, : n_positions_of(data)]
    return {"listLength": lengths.astype(np.int32), "pres_itemnos": items.astype(np.int32)}


def n_positions_of(data: RecallDataset) -> int:
    """Return the length of the longest list of a data set."""
    return int(field_of(data, "listLength").max())
