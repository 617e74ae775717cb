"""Tables of a measure by subject, and measures as targets of a loss."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zlib import crc32

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike

from jaxcmr.analyses._measure import (
    Fields,
    Measure,
    add_up,
    n_positions_of,
    prepare_options,
    with_defaults,
)
from jaxcmr.analyses._sequences import check_is_data, field_of
from jaxcmr.datasets import check_mask, generate_trial_mask

if TYPE_CHECKING:
    import pandas as pd

    from jaxcmr.typing import RecallDataset


def by_subject(
    data: RecallDataset,
    measure: Measure[...],
    where: str | Callable[[RecallDataset], ArrayLike] | ArrayLike | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Return a table of a measure with one row per subject and bin.

    Copies of a subject's trials, as in simulated data, count as further trials of that subject.

    Args:
        data: recall data.
        measure: such as `lag_crp`.
        where: which trials to count: a condition as for `jaxcmr.generate_trial_mask`, or booleans
            (trials,); all by default. Bins are those of the whole data set.
        **options: of the measure.

    Returns:
        One row per subject with trials, in order, and bin. Columns, named as by psifr: ``subject``;
        the bins (``input``, ``output``, ``lag``, ...), if the measure has any; the measure
        (``recall``, ``prob``, ``rank``, ...), NaN where nothing was possible; ``actual`` and
        ``possible``, the sums over trials of which it is the ratio.

    Raises:
        ValueError: the data lack a field, or `where` is invalid.
        TypeError: an option is unknown.

    Examples:
        >>> from jaxcmr.analyses import first_recall
        >>> data = {"subject": [[1], [2]], "listLength": [[2], [2]],
        ...         "pres_itemnos": [[1, 2]] * 2, "recalls": [[2, 1], [1, 0]]}
        >>> by_subject(data, first_recall)
           subject  input  prob  actual  possible
        0        1      1   0.0       0         1
        1        1      2   1.0       1         1
        2        2      1   1.0       1         1
        3        2      2   0.0       0         1
    """
    import pandas as pd

    check_is_data(data)
    subject = field_of(data, "subject")[:, 0]
    if where is None or isinstance(where, str) or callable(where):
        chosen = np.ones(len(subject), bool)
        if where is not None:
            chosen = generate_trial_mask(data, where)
    else:
        chosen = check_mask(where, len(subject))
    subjects, ranks = np.unique(subject[chosen], return_inverse=True)
    groups = np.full(len(subject), -1)
    groups[chosen] = ranks
    sums = add_up(measure, data, groups, len(subjects), options)
    filled = with_defaults(measure, options)
    bins = measure.bins(n_positions_of(data), **filled)
    rows = pd.MultiIndex.from_product([subjects, *bins.values()], names=["subject", *bins])
    return rows.to_frame(index=False).assign(
        **{
            measure.value.format(**filled): sums.ratio.ravel(),
            "actual": sums.made.ravel(),
            "possible": sums.possible.ravel(),
        }
    )


@dataclass(frozen=True, eq=False)
class MeasureSummary:
    """A measure as a function of recalls and fields; see `as_summary`.

    Two are equal if they are of the same measure with the same options.
    """

    measure: Measure[...]
    options: Mapping[str, Any]

    @cached_property
    def key(self) -> tuple[Hashable, ...]:
        """Return what tells it from others, arrays by their bytes."""
        values = ((name, np.asarray(value)) for name, value in sorted(self.options.items()))
        return self.measure, *((name, v.dtype.str, v.shape, v.tobytes()) for name, v in values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MeasureSummary) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        """Return the measure and its options, arrays by their shape and a checksum."""
        shown = [
            f"{name}={value!r}"
            if not isinstance(value, np.ndarray)
            else f"{name}=<{value.dtype} {value.shape} {crc32(value.tobytes()):08x}>"
            for name, value in sorted(self.options.items())
        ]
        return f"{self.measure.__name__}({', '.join(shown)})"

    def __call__(
        self,
        recalls: Int[Array, "trials outputs"],
        fields: Fields,
        is_trial: Bool[Array, " trials"],
    ) -> Float[Array, "..."]:
        """Return the measure; trials that are padding have a list length of 0."""
        made, possible = self.measure.counts(recalls, fields, **self.options)
        total = jnp.sum(possible, axis=0)
        return jnp.where(total > 0, jnp.sum(made, axis=0) / jnp.maximum(total, 1), jnp.nan)


def as_summary(data: RecallDataset, measure: Measure[...], **options: Any) -> MeasureSummary:
    """Return a measure as a summary for the loss ``summary_mse``.

    The loss compares recalls without intrusions and repeats, which models do not make, so those of
    the data do not interrupt transitions there. It reads numeric fields only: categories that are
    words must be numbered first.

    Args:
        data: the recall data that the loss is for.
        measure: such as `lag_crp`.
        **options: of the measure.

    Returns:
        ``summary(recalls, fields, is_trial) -> array``; see
        `jaxcmr.loss.MemorySearchSummaryMseFnGenerator`.

    Raises:
        ValueError: a field that an option names is not in the data, or not numeric.
        TypeError: an option is unknown.

    Examples:
        >>> from jaxcmr.analyses import first_recall
        >>> from jaxcmr.loss import MemorySearchSummaryMseFnGenerator
        >>> data = {"subject": np.ones((2, 1)), "listLength": np.array([[3], [3]]),
        ...         "pres_itemnos": np.array([[1, 2, 3]] * 2),
        ...         "recalls": np.array([[3, 1, 0], [2, 0, 0]])}
        >>> summary = as_summary(data, first_recall)
        >>> generator = MemorySearchSummaryMseFnGenerator("cmr", data, summary=summary)
        >>> generator(np.array([0, 1]), {}, []).observed.tolist()
        [0.0, 0.5, 0.5]
    """
    check_is_data(data)
    fields, prepared = prepare_options(measure, data, options)
    for name in fields:
        if name in data and np.asarray(data[name]).dtype.kind not in "biuf":
            raise ValueError(
                f"Field {name!r} is not numeric, and losses read numbers only. Number its values: "
                f"data[{name!r}] = np.unique(data[{name!r}], return_inverse=True)[1]"
                f".reshape(data[{name!r}].shape)."
            )
    return MeasureSummary(measure, prepared)
