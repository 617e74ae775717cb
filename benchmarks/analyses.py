"""Time what follows a fit: comparison, cross-validation, uncertainty, recovery and a group model.

    python benchmarks/analyses.py                      # all of them, 126 subjects of PEERS
    python benchmarks/analyses.py hessians profiles    # some of them
    python benchmarks/analyses.py --data peers.h5 --subjects 16

Fits textbook CMR first. Prints wall and CPU seconds of each analysis, compiling included, as a
Markdown table. With ``--processor cpu`` a machine with a GPU does without it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

import jaxcmr as jc
from jaxcmr._cache import keep_compiled
from jaxcmr.bayes import hierarchical_map
from jaxcmr.comparison import bayesian_model_selection, cross_validate
from jaxcmr.fitting import FitProblem
from jaxcmr.uncertainty import bootstrap, covariance, profile_likelihood

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "no primacy": {"fixed": {"primacy_scale": 0.0, "primacy_decay": 1.0}},
    "no item support": {"fixed": {"item_support": 0.0}},
    "no start drift": {"fixed": {"start_drift_rate": 0.0}},
}
"""Special cases of textbook CMR, to be compared with it."""


def make_analyses(
    data: Any, problem: FitProblem, result: jc.FitResult
) -> dict[str, tuple[str, Callable[[], Any]]]:
    """Return what each analysis is in words, and how to make it."""
    subjects = list(result["fits"]["subject"])
    ten = subjects[:10]

    def fit_variants() -> None:
        quick = {"subjects": subjects, "search": "quick", "progress": False}
        for name, options in VARIANTS.items():
            fits[name] = jc.fit(data, **options, **quick)

    def compare() -> None:
        bayesian_model_selection(jc.compare(fits).log_evidence())

    fits = {"cmr": result}
    return {
        "variants": ("quick fits of three special cases", fit_variants),
        "compare": (
            "comparison of four fits, random-effects selection included",
            compare,
        ),
        "hessians": ("Hessians and standard errors", lambda: covariance(problem, result)),
        "sandwich": (
            "sandwich covariance, with the gradient of each list",
            lambda: covariance(problem, result, "sandwich"),
        ),
        "profiles": (
            "profiles of all parameters, both sides, ten subjects",
            lambda: profile_likelihood(problem, result, subjects=ten),
        ),
        "bootstrap": (
            "bootstrap over lists, 100 draws of ten subjects",
            lambda: bootstrap(problem, result, n=100, subjects=ten),
        ),
        "folds": (
            "cross-validation by session, from earlier fits",
            lambda: cross_validate(problem, folds="session", start_from=result),
        ),
        "recovery": (
            "recovery of all parameters, by the search of the fits",
            lambda: jc.recover(result, data, progress=False),
        ),
        "group": ("hierarchical MAP", lambda: hierarchical_map(problem, result)),
    }


def main() -> None:
    """Fit, time the analyses, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("analyses", nargs="*", help="names; all by default")
    parser.add_argument("--data", default="peers_notask")
    parser.add_argument("--subjects", type=int, default=126, help="the first so many")
    parser.add_argument("--processor", help='"cpu" to do without a GPU')
    options = parser.parse_args()
    if options.processor:
        jax.config.update("jax_platforms", options.processor)
    keep_compiled()
    data = jc.load(options.data)
    wall = time.perf_counter()
    result = jc.fit(data, subjects=options.subjects, progress=False)
    problem = FitProblem.from_result(result, data)
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}, {options.subjects} subjects")
    print(f"fit: {time.perf_counter() - wall:.1f} s, loss {np.sum(result['fitness']):.4f}\n")
    print("| analysis | seconds | CPU |\n|---|---|---|")
    for name, (words, make) in make_analyses(data, problem, result).items():
        if not options.analyses or name in options.analyses:
            wall, cpu = time.perf_counter(), time.process_time()
            make()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            print(f"| {words} | {wall:.1f} | {cpu:.1f} |", flush=True)


if __name__ == "__main__":
    main()
