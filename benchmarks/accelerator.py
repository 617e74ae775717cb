"""Fits of the PEERS data, 126 subjects, on an accelerator: models, and time against lanes.

To repeat, on a machine with a GPU and ``pip install "jax[cuda12]"``::

    python benchmarks/accelerator.py models                     # all subjects, 12 short runs each
    python benchmarks/accelerator.py lanes                      # of CMR: more and more subjects
    python benchmarks/accelerator.py models --models cmr,ecmr --data peers.h5

A fit is made twice in one process; the second finds everything compiled. Semantic models have
random features of 20 dimensions, emotional ones random valence. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import jax
import numpy as np

from jaxcmr.datasets import load_bundled, load_data
from jaxcmr.fitting import SEARCHES, JaxDE
from jaxcmr.loss import MemorySearchLikelihoodFnGenerator
from jaxcmr.models import MODELS, usual_bounds

MODELS_TIMED = (
    "cmr",
    "cmr_context_stop",
    "gunn_polyn_2025",
    "semantic_cmr",
    "ecmr",
    "instance_cmr",
)
SUBJECTS = (1, 4, 16, 64, 126)


def fit(model: str, data: dict[str, np.ndarray], n_subjects: int) -> tuple[float, float]:
    """Return the seconds of a fit of the first subjects, and the sum of their losses."""
    rng = np.random.default_rng(0)
    shape = data["pres_itemnos"].shape
    valence = rng.integers(-1 if model == "cmr3" else 0, 2, shape)
    features = rng.normal(size=(int(data["pres_itemids"].max()), 20))
    options: dict[str, Any] = {**SEARCHES["thorough"], "progress_bar": False}
    options["bounds"] = usual_bounds(model)
    began = time.perf_counter()
    fitter = JaxDE(
        {**data, "valence": valence},
        features if model.startswith("semantic") else None,
        {},
        MODELS[model],
        MemorySearchLikelihoodFnGenerator,
        options,
    )
    chosen = np.isin(data["subject"].ravel(), np.unique(data["subject"])[:n_subjects])
    result = fitter.fit_subjects(chosen)
    return time.perf_counter() - began, sum(result["fitness"])


def main() -> None:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("models", "lanes"))
    parser.add_argument("--models", default=",".join(MODELS_TIMED))
    parser.add_argument("--subjects", type=int, default=126)
    parser.add_argument("--data", help="file with the PEERS lists; by default psifr's")
    options = parser.parse_args()
    data = load_data(options.data) if options.data else load_bundled("peers_notask")
    print(f"jax {jax.__version__}, {jax.devices()[0].device_kind}\n")
    runs = SEARCHES["thorough"]["best_of"]
    print(
        "| model | subjects | lanes | first fit, s | again, s | sum of losses |\n"
        + "| --- " * 6
        + "|"
    )
    cases = [(model, options.subjects) for model in options.models.split(",")]
    if options.part == "lanes":
        cases = [("cmr", n) for n in SUBJECTS if n <= options.subjects]
    for model, n in cases:
        (first, _), (again, losses) = fit(model, data, n), fit(model, data, n)
        row = (model, n, n * runs, f"{first:.1f}", f"{again:.2f}", f"{losses:.3f}")
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()
