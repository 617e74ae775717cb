"""Checks that a result answers by itself: from its runs, losses and numbers of events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf, nan
from typing import Any

import numpy as np

from jaxcmr.diagnostics._criteria import Check, format_value, judge, not_available
from jaxcmr.parameters import ParameterSpace
from jaxcmr.results import FitResult, format_bounds

__all__ = ["check_runs", "compare_with_group"]

NO_RUNS = "the result does not hold its runs"
SINGLE = "the fit is a single run"
STEEP = 1.0  # a partial derivative that is not 0: the loss has a kink there
FEWEST = 5  # subjects that make a group
TO_SD = 1.4826  # SD of a normal distribution, in median absolute deviations

Runs = Sequence[Mapping[str, Any]]


def check_runs(result: FitResult, row: int, thresholds: Mapping[str, float]) -> list[Check]:
    """Return the checks of the runs of the fit number `row` of a result."""
    subject = result["fits"]["subject"][row]
    runs = (result.get("runs") or [[]] * (row + 1))[row]
    checks: Mapping[str, Callable[[FitResult, Runs], tuple[float, str] | str]] = {
        "runs_agree": count_agreeing,
        "second_basin": find_second_basin,
        "on_bounds": count_on_bounds,
        "estimates_agree": find_widest_spread,
    }
    rows = []
    for name, check in checks.items():
        found = check(result, runs) if runs else NO_RUNS
        threshold = thresholds[name]
        rows.append(
            not_available(subject, name, threshold, found)
            if isinstance(found, str)
            else judge(subject, name, found[0], threshold, found[1])
        )
    rows.insert(1, check_at_rest(result, row, runs))
    return rows


def best_of(runs: Runs) -> Mapping[str, Any]:
    """Return the run with the lowest loss."""
    return min(runs, key=lambda run: run["loss"])


def agreeing(result: FitResult, runs: Runs) -> list[Mapping[str, Any]]:
    """Return the runs that ended as low as the best."""
    limit = best_of(runs)["loss"] + result.get("agree_within", 0.0)
    return [run for run in runs if run["loss"] <= limit]


def count_agreeing(result: FitResult, runs: Runs) -> tuple[float, str] | str:
    """Return how many runs ended as low as the best; a reason if there is one run only."""
    if len(runs) == 1:
        return f"{SINGLE}: whether another would end elsewhere is not known"
    within = f"within {result['agree_within']:g} of the best"
    n_agree = len(agreeing(result, runs))
    return n_agree, f"{n_agree} of {len(runs)} runs ended {within}"


def find_second_basin(result: FitResult, runs: Runs) -> tuple[float, str] | str:
    """Return how much higher the next basin is that a run rests in, and where it differs most."""
    if result.get("loss_label") != "NLL":
        return "the loss is not in nats"
    if len(runs) == 1:
        return SINGLE
    best = best_of(runs)
    others = [
        run
        for run in runs
        if run["at_rest"] and run["loss"] > best["loss"] + result.get("agree_within", 0.0)
    ]
    if not others:
        return (
            (inf, "no run rests in another basin")
            if best["at_rest"]
            else "the runs were not polished, so that they need not be in a basin's lowest place"
        )
    second = best_of(others)
    name = widest(result, best, [best, second])[0]
    return (
        second["loss"] - best["loss"],
        f"a basin {second['loss'] - best['loss']:.2f} nats above differs most in {name}: "
        f"{format_value(second['estimates'][name])} instead of "
        f"{format_value(best['estimates'][name])}",
    )


def count_on_bounds(result: FitResult, runs: Runs) -> tuple[float, str]:
    """Return how many estimates are on a bound of the search, and which."""
    bounds = best_of(runs)["at_bound"]
    return len(bounds), format_bounds(bounds) or "no estimate is on a bound"


def find_widest_spread(result: FitResult, runs: Runs) -> tuple[float, str] | str:
    """Return the widest spread of an estimate over agreeing runs, as a share of its range."""
    agree = agreeing(result, runs)
    if len(agree) == 1:
        return "no other run agrees with the best" if len(runs) > 1 else SINGLE
    name, share = widest(result, best_of(runs), agree)
    values = [run["estimates"][name] for run in agree]
    low, high = format_value(min(values)), format_value(max(values))
    return share, f"{name} from {low} to {high} over {len(agree)} runs"


def widest(result: FitResult, best: Mapping[str, Any], runs: Runs) -> tuple[str, float]:
    """Return the parameter that varies most over runs, and its spread as a share of its range.

    The range is that of the search, on the scale that the best run searched on.
    """
    space = ParameterSpace.make(result["free"], best["scale"])
    places = np.array(
        [space.to_unit([run["estimates"][n] for n in result["free"]]) for run in runs]
    )
    spread = np.ptp(places, axis=0)
    return list(result["free"])[int(np.argmax(spread))], float(spread.max())


def check_at_rest(result: FitResult, row: int, runs: Runs) -> Check:
    """Return whether the best run ended where the loss does not fall, by its polish or tolerance.

    A loss may have kinks, such as that of a stopping probability that reaches 1. There it rises to
    all sides though the gradient is not 0, and the polish rests.
    """
    subject = result["fits"]["subject"][row]
    if not runs:
        return not_available(subject, "at_rest", nan, NO_RUNS)
    best = best_of(runs)
    if best["gradient"] is None:
        ended = "met the tolerance" if result["converged"][row] else "had not met the tolerance"
        comment = f"not polished: the population {ended}"
        return Check(subject, "at_rest", nan, nan, bool(result["converged"][row]), comment)
    inside = {
        name: abs(nan if partial is None else partial)
        for name, partial in best["gradient"].items()
        if name not in best["at_bound"]
    }
    name, steepest = max(inside.items(), key=lambda item: item[1], default=("", 0.0))
    comment = "the polish ended at rest" if best["at_rest"] else "the polish ran out of steps"
    if steepest > STEEP:
        comment += f"; the loss is steep along {name}"
        comment += ", as at a kink" if best["at_rest"] else ""
    return Check(subject, "at_rest", steepest, nan, bool(best["at_rest"]), comment)


def compare_with_group(result: FitResult, threshold: float) -> list[Check]:
    """Return for each subject how its log-likelihood per event compares with the others'.

    The statistic is ``(value - median) / (1.4826 MAD)``, with the median absolute deviation MAD.
    """
    subjects, n_events = result["fits"]["subject"], result.get("n_events")
    reason = None
    if result.get("loss_label") != "NLL":
        reason = "the loss is not a log-likelihood"
    elif not n_events or any(not n for n in n_events):
        reason = "the result does not say how many events were scored"
    elif len(subjects) < FEWEST:
        reason = f"fewer than {FEWEST} subjects"
    if reason:
        return [not_available(each, "like_the_group", threshold, reason) for each in subjects]
    per_event = -np.array(result["fitness"]) / np.array(n_events)
    median = np.median(per_event)
    sd = TO_SD * np.median(np.abs(per_event - median))
    z = (per_event - median) / sd if sd > 0 else np.zeros(len(subjects))
    return [
        judge(each, "like_the_group", score, threshold, f"{value:.3f} nats per event; "
              f"median {median:.3f}")
        for each, score, value in zip(subjects, z, per_event, strict=True)
    ]  # fmt: skip
