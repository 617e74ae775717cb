"""Which results can be compared, and what a reader of the comparison must know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool

from jaxcmr._result_words import name_subjects
from jaxcmr.results import FitResult

__all__ = ["check_comparable", "check_model_columns", "find_warnings"]

NOT_MODELS = ("subject", "fold", "trial", "n_lists", "n_trials", "n_events", "difference")
"""Columns that tables by subject have beside those of models."""

Results = Mapping[str, FitResult]


def check_comparable(results: Mapping[str, Mapping[str, Any]]) -> dict[str, FitResult]:
    """Return results by name, each with the subjects in the order of the first.

    Raises:
        ValueError: there are fewer than two, a subject is in one twice, or they are of other
            subjects, trials, losses, events or precision.
    """
    if not isinstance(results, Mapping) or "fits" in results or len(results) < 2:
        raise ValueError(
            "Two or more results are compared, as a dict by name: {'CMR': result, 'CRU': other}."
        )
    named = {str(name): FitResult(result) for name, result in results.items()}
    if len(named) < len(results):
        raise ValueError(f"Two results have the same name: {list(results)}.")
    for name, result in named.items():
        check_unique(name, result["fits"]["subject"])
    (name, first), *others = named.items()
    subjects = list(first["fits"]["subject"])
    if not subjects:
        raise ValueError(f"{name!r} holds no fits.")
    for other, result in others:
        theirs = list(result["fits"]["subject"])
        if set(theirs) != set(subjects) or len(theirs) != len(subjects):
            apart = sorted(set(theirs) ^ set(subjects), key=str)
            raise ValueError(
                f"{name!r} and {other!r} are of other subjects: {len(subjects)} and {len(theirs)} "
                f"fits; {name_subjects(apart)} are in one of them alone. Compare the fits of the "
                "same subjects: result.select(subjects)."
            )
        named[other] = result.select(subjects)
        check_alike(name, first, other, named[other])
    return named


def check_model_columns(table: pd.DataFrame) -> None:
    """Raise a ValueError if a column of a table by subject and model is not one of a model.

    >>> check_model_columns(pd.DataFrame({"subject": [1], "CMR": [-9.0], "CRU": [-8.0]}))
    Traceback (most recent call last):
    ValueError: The column 'subject' is not a model. ...table.set_index('subject')...
    """
    others = [name for name in table.columns if name in NOT_MODELS]
    if others:
        raise ValueError(
            f"The column {others[0]!r} is not a model. Expected one column per model and nothing "
            f"else; subjects are the index: table.set_index('subject')[[name of each model]]; got "
            f"the columns {list(table.columns)}."
        )


def check_unique(name: str, subjects: Sequence[int | str]) -> None:
    """Raise a ValueError if a subject has several fits in a result."""
    twice = [subject for subject, n_fits in Counter(subjects).items() if n_fits > 1]
    if twice:
        raise ValueError(
            f"{name!r} has several fits of {name_subjects(twice)}. Keep one fit per subject: "
            "result.select(subjects)."
        )


def check_alike(name: str, one: FitResult, other_name: str, other: FitResult) -> None:
    """Raise a ValueError if two results are of other trials, losses, events or precision."""
    of_one, of_other = of_all(one), of_all(other)
    for what, value in of_one.items():
        if value is not None and of_other[what] is not None and value != of_other[what]:
            raise ValueError(
                f"{name!r} and {other_name!r} are of different {what} ({shorten(value)} and "
                f"{shorten(of_other[what])}): their losses cannot be compared. Fit both alike."
            )
    for what in ("trials", "n_events"):
        pairs = zip(one.get(what) or [], other.get(what) or [], strict=False)
        differ = [
            subject
            for subject, (here, there) in zip(one["fits"]["subject"], pairs, strict=False)
            if here is not None and there is not None and here != there
        ]
        if differ:
            events = f"numbers of {one.get('counted', 'scored events')}"
            words = {"trials": "trials", "n_events": events}[what]
            raise ValueError(
                f"{name!r} and {other_name!r} are of different {words} for "
                f"{name_subjects(differ)}: their losses cannot be compared. Fit both to the same."
            )


def of_all(result: FitResult) -> dict[str, Any]:
    """Return what results must agree in, by words for it; None where it is not known."""
    data = result.get("data") or {}
    return {
        "data": data.get("fingerprint"),
        "losses": result.get("loss"),
        "options of the loss": result.get("loss_options"),
        "units of the loss": result.get("loss_label"),
        "precision": result.get("precision"),
    }


def shorten(value: object) -> str:
    """Return a value in at most 60 characters."""
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def find_warnings(results: Results, nested: Iterable[tuple[str, str]] = ()) -> list[str]:
    """Return what limits the comparison, one sentence each.

    Args:
        results: by name, with subjects in the same order.
        nested: pairs (smaller, bigger) beside those that are seen by names and bounds.

    Raises:
        ValueError: `nested` names an unknown result, or is not of pairs.
    """
    pairs = [tuple(pair) for pair in nested]
    for pair in pairs:
        if len(pair) != 2 or not set(pair) <= set(results):
            raise ValueError(
                f"nested holds pairs of names (smaller, bigger) of {list(results)}; got {pair!r}."
            )
    found = [*warn_of_unknown(results), *warn_of_polish(results), *warn_of_runs(results)]
    for small, big in permutations(results, 2):
        everywhere = (small, big) in pairs
        where = everywhere | where_nested(results[small], results[big])
        found += warn_of_inversion(small, results[small], big, results[big], where)
    for name, result in results.items():
        found += warn_of_distrust(name, result)
    return found


def warn_of_unknown(results: Results) -> Iterator[str]:
    """Yield sentences on what cannot be checked."""
    for key, words in (
        ("data", "which data were fitted"),
        ("trials", "which trials were fitted"),
        ("loss", "the name of the loss"),
        ("loss_options", "the options of the loss"),
        ("precision", "the precision"),
    ):
        silent = [name for name, result in results.items() if result.get(key) is None]
        if silent:
            yield (
                f"Not checked, as {join(silent)} do{'es' * (len(silent) == 1)} not say {words}: "
                "make sure yourself that it is the same for all."
            )


def warn_of_polish(results: Results) -> Iterator[str]:
    """Yield a sentence if some results were polished and others were not."""
    polished: dict[bool, list[str]] = {True: [], False: []}
    for name, result in results.items():
        polish = result.get("hyperparameters", {}).get("polish")
        if polish is not None:
            polished[bool(polish)].append(name)
    if all(polished.values()):
        yield (
            f"The runs of {join(polished[False])} were not polished, those of "
            f"{join(polished[True])} were: the losses of the former may be higher for that alone."
        )


def warn_of_runs(results: Results) -> Iterator[str]:
    """Yield a sentence if some subject had more random runs under one model than under another."""
    counted = {name: count_runs(result) for name, result in results.items()}
    counts = {name: numbers for name, numbers in counted.items() if numbers}
    if len({tuple(numbers) for numbers in counts.values()}) > 1:
        told = [f"{span(numbers)} for {name!r}" for name, numbers in counts.items()]
        by_subject = list(zip(*counts.values(), strict=True))
        n_unequal = sum(len(set(numbers)) > 1 for numbers in by_subject)
        yield (
            f"The number of random runs per fit is not the same for all: {', '.join(told)} (they "
            f"differ for {n_unequal} of {len(by_subject)} subjects). A "
            "model with fewer runs may have higher losses for that alone. Fit it again with as "
            "many: search={'best_of': ...}."
        )


def count_runs(result: FitResult) -> list[int]:
    """Return the number of random runs of each fit; an empty list if it is not known.

    Runs that start from an earlier fit do not count: a bigger model has one more for each of its
    special cases.
    """
    runs = result.get("runs")
    if runs:
        return [sum(run.get("origin", "random") == "random" for run in each) for each in runs]
    best_of = (result.get("hyperparameters") or {}).get("best_of")
    return [] if best_of is None else [int(best_of)] * len(result["fitness"])


def span(numbers: Sequence[int]) -> str:
    """Return the range of numbers in words: "12", or "4 to 12"."""
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} to {high}"


def where_nested(small: FitResult, big: FitResult) -> Bool[np.ndarray, " subjects"]:
    """Return for which subjects a model is a special case of another, by names and values.

    Both have the same model by name, and the smaller one has fewer free parameters, which are all
    free in the bigger one too. The subject's values lie within the bounds of the bigger one and
    are its fixed values.
    """
    nested = np.ones(len(small["fitness"]), bool)
    same = small.get("model") is not None and small.get("model") == big.get("model")
    if not same or small.get("features") != big.get("features"):
        return ~nested
    values = {name: np.asarray(each) for name, each in small["fits"].items() if name != "subject"}
    bounds = {**big["free"], **{name: (value, value) for name, value in big["fixed"].items()}}
    if not (set(free_in(small)) < set(free_in(big)) and set(bounds) <= set(values)):
        return ~nested
    for name, (low, high) in bounds.items():
        nested &= (low <= values[name]) & (values[name] <= high)
    return nested


def free_in(result: FitResult) -> list[str]:
    """Return the names of the parameters whose bounds differ."""
    return [name for name, (low, high) in result["free"].items() if low < high]


def warn_of_inversion(
    small: str,
    of_small: FitResult,
    big: str,
    of_big: FitResult,
    where: Bool[np.ndarray, " subjects"],
) -> Iterator[str]:
    """Yield a sentence if a nested model ended better than the bigger one."""
    gaps = np.asarray(of_big["fitness"]) - np.asarray(of_small["fitness"])
    within = max(of_big.get("agree_within") or 0.0, of_small.get("agree_within") or 0.0)
    is_worse = where & (gaps > within)
    if is_worse.any():
        worse = [of_small["fits"]["subject"][row] for row in np.flatnonzero(is_worse)]
        yield (
            f"{small!r} is a special case of {big!r}, but ended better for {name_subjects(worse)}, "
            f"by up to {gaps[is_worse].max():.3g}: the search of {big!r} missed its optimum there. "
            f"Fit it again with start_from the result of {small!r}."
        )


def warn_of_distrust(name: str, result: FitResult) -> Iterator[str]:
    """Yield sentences on fits whose search is not confirmed by the result itself."""
    subjects, counts = result["fits"]["subject"], result.agreement()
    if not counts:
        yield f"{name!r}: the runs of its fits were not kept, so that the search is not confirmed."
    elif max(n_runs for _, n_runs in counts) < 2:
        yield f"{name!r}: each fit is a single run, so that the search is not confirmed."
    else:
        alone = [s for s, (agree, _) in zip(subjects, counts, strict=True) if agree < 2]
        yield from tell(name, alone, "no other run ended as low as the best")
    ended = result.get("converged") or [True] * len(subjects)
    unconverged = [s for s, has in zip(subjects, ended, strict=True) if not has]
    yield from tell(name, unconverged, "the best run has not converged")
    best = [min(of_fit, key=lambda run: run["loss"]) for of_fit in result.get("runs") or []]
    is_moving = [run.get("gradient") is not None and not run.get("at_rest") for run in best]
    moving = [s for s, moves in zip(subjects, is_moving, strict=False) if moves]
    yield from tell(name, moving, "the polish of the best run ran out of steps")
    if result.get("interrupted"):
        yield f"{name!r}: the fit was interrupted, so that subjects may be missing."


def tell(name: str, subjects: Sequence[int | str], what: str) -> Iterator[str]:
    """Yield a sentence on some subjects, if there are any."""
    if subjects:
        yield f"{name!r}: for {name_subjects(subjects)}, {what}."


def join(names: Sequence[str]) -> str:
    """Return names in words: "'a', 'b' and 'c'"."""
    *most, last = [repr(name) for name in names]
    return f"{', '.join(most)} and {last}" if most else last
