"""``jaxcmr simulate``: recall that fitted models make of the lists, and its numbers as JSON."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jaxcmr._result_words import count_of
from jaxcmr.cli._data import check_output, write_data
from jaxcmr.cli._json import numbers_beside, to_json, to_rows
from jaxcmr.cli._problem import beside, file_of, find_problem
from jaxcmr.datasets import generate_trial_mask, select_trials
from jaxcmr.files import write_text
from jaxcmr.fitting import FitProblem
from jaxcmr.front import CUT_OFF, simulate_problem, trials_to_simulate
from jaxcmr.results import FitResult
from jaxcmr.typing import RecallDataset, TrialMask

__all__ = ["as_sweep", "choose_trials", "simulate_results"]


def simulate_results(options: argparse.Namespace) -> int:
    """Simulate recall by each result, write it beside the result, and return the exit status.

    Raises:
        ValueError: a path is not a result, the data are missing or not those that were fitted, or
            an option does not fit the model.
    """
    if options.out is not None:
        if len(options.results) > 1:
            raise ValueError("--out names the file of one result: leave it out for several.")
        for each in (options.out, numbers_beside(options.out)):
            if each.exists() and not options.force:
                raise ValueError(f"{each} exists. Give another name, or --force to replace it.")
        check_output(options.out, may_replace=True)
    records = []
    for path in options.results:
        file = file_of(path)
        out = options.out or beside(file, "simulated.h5")
        record = simulate_to_file(file, out, options)
        write_text(numbers_beside(out), to_json(record) + "\n")
        records.append(record)
        if not options.quiet and not options.json:
            print(describe(record))
    if options.json:
        print(to_json(records if len(records) > 1 else records[0]))
    return 0


def simulate_to_file(file: Path, out: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Write the simulated data set of a result, and return its numbers and settings."""
    result = FitResult.load(file)
    problem = find_problem(file, result, options)
    mask = choose_trials(result, problem, options.where)
    draws = None if options.draws is None else read_draws(options.draws, result)
    if draws is not None and options.copies is not None:
        raise ValueError("--draws give one copy each: leave out --copies.")
    vary = as_sweep(options.vary)
    simulated = simulate_problem(
        problem,
        result,
        mask,
        n_copies=options.copies if options.copies is not None else 1,
        seed=options.seed,
        draws=draws,
        vary=vary or None,
        n_recalls="model" if options.model_stops else None,
    )
    write_data(simulated, out)
    counts = count_recalls(select_trials(problem.dataset, mask), simulated, list(vary))
    return {
        "result": str(file),
        "simulated": str(out),
        "settings": {
            "model": result["model"],
            "data_fingerprint": problem.data_fingerprint,
            "where": options.where,
            "seed": options.seed,
            "vary": vary,
            "draws": None if options.draws is None else str(options.draws),
            "cut_off": not options.model_stops and problem.count_given_recalls() is not None,
        },
        **counts,
    }


def choose_trials(result: FitResult, problem: FitProblem, where: str | None) -> TrialMask:
    """Return the mask of the fitted trials, or of all trials of fitted subjects that meet `where`.

    Raises:
        ValueError: no trial meets the condition.
    """
    data = problem.dataset
    if where is None:
        return trials_to_simulate(result, data, data, None)
    mask = generate_trial_mask(data, where)
    if not result.get("pooled", result["fits"]["subject"] == [-1]):
        mask = mask & np.isin(problem.subjects.astype(object), result["fits"]["subject"])
    if not mask.any():
        raise ValueError(f"No trial of the fitted subjects meets --where {where!r}.")
    return mask


def as_sweep(vary: Sequence[tuple[str, list[float]]]) -> dict[str, list[float]]:
    """Return the values of a sweep by parameter.

    Raises:
        ValueError: a parameter is named twice.

    >>> as_sweep([("learning_rate", [0.1, 0.5])])
    {'learning_rate': [0.1, 0.5]}
    """
    names = [name for name, _ in vary]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"--vary names {name!r} twice: give all its values at once.")
    return dict(vary)


def read_draws(path: Path, result: FitResult) -> pd.DataFrame:
    """Return a table of draws, whose subjects are text if those of the result are.

    Raises:
        ValueError: the file is not a table.
    """
    subjects = result["fits"]["subject"]
    kind = {"subject": str} if any(isinstance(each, str) for each in subjects) else None
    try:
        return pd.read_csv(path, dtype=kind, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a .csv table of draws ({error}).") from error


def count_recalls(
    data: RecallDataset, simulated: RecallDataset, varied: list[str]
) -> dict[str, Any]:
    """Return numbers of lists and mean recalls per list, of the data and as simulated.

    Args:
        data: the trials that were simulated.
        simulated: the simulated data set.
        varied: parameters of a sweep; there is one mean for each combination of their values.
    """
    recalls = pd.Series(per_list(simulated), name="recalls_per_list")
    sweep = []
    if varied:
        values = [pd.Series(simulated[name].reshape(-1), name=name) for name in varied]
        sweep = to_rows(recalls.groupby(values).mean().reset_index())
    return {
        "subjects": len(np.unique(simulated["subject"])),
        "lists": len(data["recalls"]),
        "copies": len(np.unique(simulated["copy"])),
        "simulated_lists": len(simulated["recalls"]),
        "recalls_per_list": {"data": float(per_list(data).mean()), "model": float(recalls.mean())},
        "sweep": sweep,
    }


def per_list(data: RecallDataset) -> np.ndarray:
    """Return the number of items recalled of each list."""
    return np.sum(np.asarray(data["recalls"]) > 0, axis=1)


def describe(record: dict[str, Any]) -> str:
    """Return what was simulated, and where it is, as text."""
    means = record["recalls_per_list"]
    lines = [
        f"{record['simulated']}: {count_of(record['lists'], 'list')} of "
        f"{count_of(record['subjects'], 'subject')}, {record['simulated_lists']} simulated lists; "
        f"{means['model']:.2f} items per list (data: {means['data']:.2f})"
    ]
    if record["settings"]["cut_off"]:
        lines.append(f"  {CUT_OFF} (--model-stops: let the model decide.)")
    for point in record["sweep"]:
        values = ", ".join(f"{k} {v:g}" for k, v in point.items() if k != "recalls_per_list")
        lines.append(f"  {values}: {point['recalls_per_list']:.2f} items per list")
    return "\n".join(lines)
