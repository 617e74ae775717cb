"""`compare` at the front door."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from jaxcmr.front._sources import Reported

if TYPE_CHECKING:
    from jaxcmr.comparison import Comparison

__all__ = ["compare"]


def compare(
    results: Reported,
    criterion: str = "aicc",
    reference: str | None = None,
    *,
    n: str | int | Sequence[int] = "events",
    nested: Iterable[tuple[str, str]] = (),
) -> Comparison:
    """Compare fits of several models to the same trials of the same subjects.

    Args:
        results: of fits by likelihoods, or paths to them, as a dict by name of the model; or a
            list of these, named by their folders or by model and loss.
        criterion: "aicc", "aic" or "bic", by which models are ranked.
        reference: model from which differences are taken; by default the best of these data.
            Intervals and p-values hold only for a reference that was named in advance.
        n: what AICc and BIC count: "events" (by most losses scored recalls and stops), "trials", or
            numbers.
        nested: pairs of names (smaller, bigger) of which the first is a special case of the
            second. Fits of the same model with fewer free parameters are seen to be nested.

    Returns:
        A `jaxcmr.comparison.Comparison`: tables, tests, warnings, and a verdict in words.

    Raises:
        ValueError: the results are of other subjects, trials, losses, events or precision, or not
            of likelihoods; criterion or reference are unknown.

    >>> cmr = dict(fitness=[100.0, 90.0], fits={"a": [0.5, 0.4], "subject": [1, 2]},
    ...            free={"a": [0, 1]}, n_events=[50, 40], loss_label="NLL")
    >>> found = compare({"CMR": cmr, "other": {**cmr, "fitness": [103.0, 94.0]}})
    >>> found.table[["model", "difference", "wins"]].values.tolist()
    [['CMR', 0.0, 2.0], ['other', 14.0, 0.0]]
    """
    from jaxcmr import comparison
    from jaxcmr.front._report import name_results

    return comparison.compare(name_results(results), criterion, reference, n=n, nested=nested)
