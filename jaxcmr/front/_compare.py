"""`compare` at the front door, and the comparison in a report of several results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from jaxcmr.front._sources import Reported
from jaxcmr.results import FitResult

if TYPE_CHECKING:
    from jaxcmr.comparison import Comparison
    from jaxcmr.reporting import Compared

__all__ = ["compare", "compare_for_report"]

GUIDES: Mapping[str, tuple[str, str, str, str]] = {
    "comparison": (
        "For each model, by how much its criterion is above that of {reference}: mean per "
        "subject (dot) and 95 % bootstrap interval over subjects (line). At the right, the number "
        "of subjects for whom it is best, and the numbers of dot and line.",
        "Intervals away from 0: the model is worse than {reference} for the average subject, or "
        "better if its interval is below 0.",
        "An interval that includes 0: these subjects do not decide between the two models.",
        "Report the interval and the number of subjects, not the sum alone. Intervals hold for a "
        "reference that was named before the fits were seen, comparison=jc.compare(results, "
        "reference=...); from the best model of the same data, they are descriptions.",
    ),
    "weights": (
        "The weights of the models for each subject, stacked to 1; subjects are in order of their "
        "best model.",
        "Most columns have one color: most subjects are decided.",
        "Several blocks of colors: subjects may differ in their model. Mixed columns: their data "
        "do not decide.",
        "If there are several blocks, ask how frequent each model is (jaxcmr compare --bms).",
    ),
}
"""How to read the figures of a comparison: what is shown, looks good, looks bad, what to do."""


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


def check_compares(found: Comparison, results: Mapping[str, FitResult]) -> None:
    """Check that a comparison is of the fits of results, by their names.

    Raises:
        ValueError: it is not a comparison, or models, subjects or losses differ.
    """
    from jaxcmr.comparison import Comparison

    if not isinstance(found, Comparison):
        raise ValueError(f"comparison takes what jc.compare returns; got {type(found).__name__}.")
    fitted = {
        (name, subject): loss
        for name, result in results.items()
        for subject, loss in zip(result["fits"]["subject"], result["fitness"], strict=True)
    }
    compared = found.by_subject.set_index(["model", "subject"])["loss"].to_dict()
    if set(compared) != set(fitted) or any(
        abs(compared[key] - loss) > 1e-9 * abs(loss) for key, loss in fitted.items()
    ):
        raise ValueError(
            "The comparison is of other fits than the results of the report: compare the same "
            "results by the same names, comparison=jc.compare(results, ...)."
        )


def compare_for_report(
    results: Mapping[str, FitResult], found: Comparison | None = None
) -> Compared | None:
    """Return the comparison of several results for a report; None if they cannot be compared.

    The page says itself which differences there are in data, trials, losses and subjects.

    Args:
        results: by name.
        found: their comparison, if it has been made; by default by AICc, from the best model.

    Raises:
        ValueError: `found` is of other fits.
    """
    from jaxcmr import comparison, plots
    from jaxcmr.comparison._criteria import CRITERIA
    from jaxcmr.reporting import Compared, Figure, Guide, drawing_style, to_svg

    if found is None:
        try:
            found = comparison.compare(results)
        except ValueError:
            return None
    check_compares(found, results)
    label, reference = CRITERIA[found.criterion], found.reference
    drawn = (
        ("comparison", f"{label} above {reference}", (7.2, 1.0 + 0.4 * len(results))),
        ("weights", "Weights of the models by subject", (7.2, 3.0)),
    )
    figures = []
    with drawing_style():
        from matplotlib.figure import Figure as Drawing

        for name, title, size in drawn:
            drawing = Drawing(figsize=size, layout="constrained")
            ax = drawing.subplots()
            if name == "comparison":
                plots.plot_comparison(found, ax=ax)
                table = plots.comparison_table(found)
            else:
                plots.plot_weights(found, ax=ax)
                table = plots.weights_table(found)
            svg = to_svg(drawing, f"compared-{name}", title)
            guide = Guide(*(text.replace("{reference}", reference) for text in GUIDES[name]))
            figures.append(Figure(title, svg, guide, table))
    return Compared(
        found.verdict(), found.table, found.header(), label, reference, found.warnings, figures
    )
