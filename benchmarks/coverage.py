"""Measure how often 95 % profile intervals of CMR cover the parameters that made the data.

Subjects are simulated with the estimates of real ones, on their own study lists, and fitted from
the truth (so a miss is a miss of the interval, not of the search). Run as

    python benchmarks/coverage.py RESULT [--subjects 100] [--data peers_notask] [--checkpoint DIR]

with a result of ``jaxcmr fit`` or `FitResult.save`. With a folder, the same command goes on where
it was interrupted.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd

import jaxcmr as jc
from jaxcmr.fitting import FitProblem
from jaxcmr.recovery._truths import find_places
from jaxcmr.simulation import simulate_dataset
from jaxcmr.uncertainty import Profiles, profile_likelihood
from jaxcmr.uncertainty._walk import ON_BOUND


def main() -> None:
    """Simulate, profile, and print the coverage of each parameter."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("result", help="fits whose estimates are the truth")
    parser.add_argument("--subjects", type=int, default=100)
    parser.add_argument("--data", default="peers_notask")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", help="a folder that keeps the profiles that are done")
    options = parser.parse_args()
    result = jc.FitResult.load(options.result)
    subjects = result["fits"]["subject"][: options.subjects]
    began = time.perf_counter()
    problem, truth = simulate(jc.load(options.data), result.select(subjects), options.seed)
    profiles = profile_likelihood(problem, truth, checkpoint=options.checkpoint, progress=True)
    print(f"{len(subjects)} subjects in {time.perf_counter() - began:.0f} s")
    print(coverage(problem, truth, profiles).to_string(index=False))


def simulate(data, result, seed):
    """Return the problem of simulated subjects, and a result with the true parameters."""
    subjects = data["subject"].reshape(-1)
    mask = np.isin(subjects, result["fits"]["subject"])
    simulated = simulate_dataset(result["model"], data, result, trial_mask=mask, seed=seed)
    problem = FitProblem(
        simulated, result["model"], result["loss"], result["free"], fixed=result["fixed"]
    )
    rows = [np.flatnonzero(problem.subjects == each) for each in result["fits"]["subject"]]
    truth = result.select(result["fits"]["subject"])
    truth["trials"] = [[[int(of[0]), int(of[-1]) + 1]] for of in rows]
    for i, of in enumerate(rows):
        mask = np.isin(np.arange(len(problem.subjects)), of)
        estimates = {name: truth["fits"][name][i] for name in problem.free_names}
        truth["fitness"][i] = problem.evaluate(estimates, mask)
    return problem, truth


def coverage(problem: FitProblem, truth: jc.FitResult, profiles: Profiles) -> pd.DataFrame:
    """Return one row per parameter: the share of subjects whose interval covers the truth.

    ``interior`` counts subjects whose truth is off the bounds by more than 0.1 % of the searched
    range; an open side covers all up to the bound. Intervals of profiles that met a better fit, or
    whose end was not found, are left out.
    """
    wide = profiles.intervals().set_index(["parameter", "subject"])
    rows = []
    values = np.array([truth["fits"][name] for name in problem.free_names], float).T
    places = pd.DataFrame(
        find_places(problem, values), truth["fits"]["subject"], problem.free_names
    )
    for name in problem.free_names:
        of = wide.loc[name]
        value = pd.Series(truth["fits"][name], truth["fits"]["subject"]).loc[of.index]
        place = places[name].loc[of.index]
        lost = of[["lower_status", "upper_status"]].isin(["better fit", "not found"]).any(axis=1)
        is_inside = (place > ON_BOUND) & (place < 1 - ON_BOUND)
        covers = ~(of["lower"] > value) & ~(of["upper"] < value)
        is_closed = of[["lower", "upper"]].notna().all(axis=1)
        inside, kept = covers[is_inside & ~lost], covers[~lost]
        rows.append(
            {
                "parameter": name,
                "all": len(kept),
                "covered": kept.mean(),
                "interior": len(inside),
                "covered_interior": inside.mean(),
                "closed_both_sides": is_closed[~lost].mean(),
                "left_out": int(lost.sum()),
            }
        )
    return pd.DataFrame(rows).round(3)


if __name__ == "__main__":
    main()
