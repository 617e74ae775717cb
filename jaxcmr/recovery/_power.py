"""`power_curve`: recovery of parameters by the number of lists per subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jaxcmr.fitting import FitProblem
from jaxcmr.recovery._parameters import Recovery, recover_parameters
from jaxcmr.recovery._simulated import choose_lists
from jaxcmr.recovery._words import describe_curve
from jaxcmr.results import FitResult

__all__ = ["PowerCurve", "power_curve"]


@dataclass(frozen=True)
class PowerCurve:
    """Recoveries by the number of lists per simulated subject.

    - ``n_fitted``: lists per subject that were fitted, the median; None if not known.
    """

    recoveries: Mapping[int, Recovery]
    n_fitted: int | None = None

    @property
    def table(self) -> pd.DataFrame:
        """`Recovery.summary` for each number of lists, in column ``n_lists``."""
        return pd.concat(
            [each.summary().assign(n_lists=n) for n, each in self.recoveries.items()],
            ignore_index=True,
        )

    def verdict(self) -> str:
        """Return in words how well parameters are recovered with your lists, or with others."""
        first = next(iter(self.recoveries.values()))
        return describe_curve(self.table, self.n_fitted, first.parameters)

    def __repr__(self) -> str:
        return (
            f"{self.verdict()}\n\n{self.table.to_string(index=False, float_format='{:.3f}'.format)}"
        )

    def _repr_html_(self) -> str:
        wide = self.table.pivot(index="parameter", columns="n_lists", values="r")
        order = list(self.table["parameter"].unique())
        return f"<p>{self.verdict()}</p>{wide.loc[order].to_html(float_format='{:.2f}'.format)}"


def power_curve(
    problem: FitProblem,
    result: FitResult,
    n_lists: Sequence[int] = (7, 14, 28),
    **options: Any,
) -> PowerCurve:
    """Return the recovery of parameters with several numbers of lists.

    Args:
        problem: what was fitted.
        result: its fits.
        n_lists: lists per simulated subject: the first so many that were fitted, again from the
            first where there are fewer.
        options: further arguments of `recover_parameters`; one checkpoint holds the runs of all.

    >>> import jaxcmr as jc  # doctest: +SKIP
    >>> data = jc.load("peers_notask")  # doctest: +SKIP
    >>> result = jc.fit(data)  # doctest: +SKIP
    >>> problem = FitProblem.from_result(result, data)  # doctest: +SKIP
    >>> power_curve(problem, result, (7, 14, 28)).verdict()  # doctest: +SKIP
    """
    numbers = sorted(set(n_lists))
    if not numbers:
        raise ValueError("n_lists is empty: give numbers of lists, such as (7, 14, 28).")
    fitted = [len(rows) for _, rows in choose_lists(problem, result, None)]
    return PowerCurve(
        {n: recover_parameters(problem, result, n_lists=n, **options) for n in numbers},
        int(np.median(fitted)),
    )
