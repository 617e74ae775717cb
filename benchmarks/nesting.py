"""Whether a bigger model is ever fitted worse than one nested in it: 18 variants of CRU and CMR.

The variants of Gunn & Polyn (2025) with positional stopping, fitted to the first people of the
PEERS lists, from the smallest to the largest, twice: each by itself, and each started from the fits
of the variants that have one mechanism less. A pair of variants of which one is nested in the other
is broken if the bigger one's negative log-likelihood is more than 0.05 nats above the smaller one's
for any person. To repeat (half an hour on two cores)::

    python benchmarks/nesting.py
    python benchmarks/nesting.py --subjects 3 --best-of 4     # a quick look

Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from itertools import permutations

import numpy as np

from jaxcmr.datasets import load_bundled
from jaxcmr.fitting import JaxDE
from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.models import MODELS
from jaxcmr.models.gunn_polyn_2025 import PUBLISHED, VARIANTS
from jaxcmr.results import FitResult

SHORT = {"num_steps": 50, "pop_size": 8, "scale": "alternate"}
BROKEN = 0.05  # nats
ON = {name: set(on) for name, _, on in sorted(PUBLISHED, key=lambda row: len(row[2]))}
"""Mechanisms that are on, by variant, the smallest first."""


def fit_variants(subjects: int, best_of: int, nested: bool) -> dict[str, FitResult]:
    """Fits of all variants; `nested`: each starts from those with one mechanism less."""
    data = load_bundled("peers_notask")
    people = np.asarray(data["subject"]).reshape(-1)
    mask = np.isin(people, np.unique(people)[:subjects])
    fits: dict[str, FitResult] = {}
    for name, on in ON.items():
        variant = VARIANTS[name]
        smaller = [less for less in fits if ON[less] < on and len(ON[less]) == len(on) - 1]
        fitter = JaxDE(
            data,
            None,
            variant.fixed,
            MODELS[variant.model],
            MemorySearchLikelihoodFnGenerator,
            {**SHORT, "bounds": variant.free, "best_of": best_of, "progress_bar": False},
        )
        starts = [fits[less] for less in smaller] if nested else []
        fits[name] = fitter.fit_subjects(mask, start_from=starts)
        print(f"{name}: {np.round(fits[name]['fitness'], 2)}", flush=True)
    return fits


def excesses(fits: Mapping[str, FitResult]) -> np.ndarray:
    """Nats by which the bigger variant is above the smaller one, (pairs, people)."""
    pairs = [(big, small) for big, small in permutations(ON, 2) if ON[small] < ON[big]]
    fitness = {name: np.asarray(fit["fitness"]) for name, fit in fits.items()}
    return np.array([fitness[big] - fitness[small] for big, small in pairs])


def main(arguments: Sequence[str] | None = None) -> None:
    """Fits and prints."""
    parser = argparse.ArgumentParser(description="Nested variants of CRU and CMR.")
    parser.add_argument("--subjects", type=int, default=10)
    parser.add_argument("--best-of", type=int, default=12)
    options = parser.parse_args(arguments)
    rows = [
        "|  | pairs | broken | worst, nats | sum of all fits, nats | s |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for label, nested in (("each by itself", False), ("started from the nested fits", True)):
        began = time.perf_counter()
        fits = fit_variants(options.subjects, options.best_of, nested)
        seconds = time.perf_counter() - began
        above = excesses(fits).max(axis=1)
        total = sum(sum(fit["fitness"]) for fit in fits.values())
        rows.append(
            f"| {label} | {len(above)} | {np.sum(above > BROKEN)} | {above.max():.2g} "
            f"| {total:.1f} | {seconds:.0f} |"
        )
    print("\n".join(rows))


if __name__ == "__main__":
    main()
