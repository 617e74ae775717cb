"""The sentences of a methods section on how the search was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxcmr._result_words import count_of
from jaxcmr.reporting._repeat import settings_of
from jaxcmr.reporting._works import cite
from jaxcmr.results import FitResult

__all__ = ["describe_search"]

STRATEGIES = {"shade": ["tanabe-fukunaga-2014"], "lshade": ["tanabe-fukunaga-2014"]}
"""Works on strategies of differential evolution that are younger than the algorithm."""

SCALES: Mapping[str, str] = {
    "auto": "Each parameter was searched on the scale that the model declares for it, linear or "
    "logarithmic.",
    "linear": "Parameters were searched on a linear scale.",
    "log": "Parameters that cannot be negative were searched on a logarithmic scale, which covers "
    "the four decades below the upper bound.",
    "half-log": "Parameters that cannot be negative were searched on a logarithmic scale, which "
    "covers the two decades below the upper bound.",
    "alternate": "Parameters that cannot be negative were searched on logarithmic scales, which "
    "covered the four decades below the upper bound in the first run, the two decades below it in "
    "the second, and so on in turn.",
}
"""The hyperparameter `scale` as a sentence."""


def describe_search(result: FitResult) -> str:
    """Return how the search was made, from the hyperparameters and runs of a result."""
    given = result.get("hyperparameters") or {}
    if not given.get("strategy"):
        return ""
    settings = [
        f"The strategy was {given['strategy']}",
        f"with {given['pop_size']} population members per free parameter",
        f"at most {given['num_steps']} generations",
    ]
    if given["strategy"] not in STRATEGIES:
        settings += [f"F = {given['diff_w']}", f"CR = {given['cross_over_rate']}"]
    sentences = [
        describe_runs(result, given),
        f"{', '.join(settings[:-1])} and {settings[-1]}.",
        describe_scale(given.get("scale")),
        describe_polish(result),
        f"The seed was {given['seed']}." if "seed" in given else "",
    ]
    return " ".join(each for each in sentences if each)


def describe_runs(result: FitResult, given: Mapping[str, Any]) -> str:
    """Return how many runs each fit is the best of, and how many of them had a start."""
    works = ["storn-price-1997", *STRATEGIES.get(given["strategy"], [])]
    algorithm = f"differential evolution{cite(works)}"
    runs = result.get("runs") or []
    n_started = [sum(has_start(run) for run in of_fit) for of_fit in runs]
    n_random = [len(of_fit) - n for of_fit, n in zip(runs, n_started, strict=True)]
    random = from_to(n_random or [given.get("best_of", 1)])
    started = from_to(n_started or [0])
    many = {"0": "", "1": "one run"}.get(random, f"{random} independent runs")
    if started == "0":
        best = "a single run" if random == "1" else f"the best of {many}"
        return f"Each fit was {best} of {algorithm}."
    one = {"1": "one"}.get(started, started)
    whence = f"started from the estimates of {name_earlier(result, max(n_started))}"
    if not many:
        best = "a single run" if started == "1" else f"the best of {one} runs"
        return f"Each fit was {best} of {algorithm}, which {whence}."
    return f"Each fit was the best of {many} of {algorithm} and of {one} more that {whence}."


def has_start(run: Mapping[str, Any]) -> bool:
    """Return whether a run started from the estimates of an earlier fit."""
    return str(run.get("origin", "random")).startswith("start_from")


def from_to(counts: Iterable[int]) -> str:
    """Return counts in words, "12" or "2 to 12"."""
    low, high = min(counts := list(counts)), max(counts)
    return f"{low}" if low == high else f"{low} to {high}"


def name_earlier(result: FitResult, n: int) -> str:
    """Return the earlier fits that runs started from, with names where paths are recorded."""
    paths = [Path(each) for each in settings_of(result).get("start_from") or []]
    names = [path.parent.name if path.name == "result.json" else path.stem for path in paths]
    named = f" ({', '.join(names)})" if names else ""
    return f"an earlier fit{named}" if n == 1 else f"{count_of(n, 'earlier fit')}{named}"


def describe_scale(scale: str | Mapping[str, str] | None) -> str:
    """Return on which scales parameters were searched."""
    if isinstance(scale, Mapping):
        each = ", ".join(f"{name} ({kind})" for name, kind in scale.items())
        return f"The scales of the search were set by parameter: {each}."
    return "" if scale is None else SCALES.get(scale, f"The scale of the search was {scale}.")


def describe_polish(result: FitResult) -> str:
    """Return how runs ended that were polished along the gradient."""
    polishes = Counter(run["polish"] for of_fit in result.get("runs") or [] for run in of_fit)
    if not polishes["gradient"]:
        return ""
    is_own = settings_of(result).get("fitter") != "scipy"
    source = cite(["bertsekas-1982"]) if is_own else " (L-BFGS-B of SciPy)"
    return (
        "Runs ended with a quasi-Newton search that followed the gradient inside the bounds"
        f"{source}."
    )
