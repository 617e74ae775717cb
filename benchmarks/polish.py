"""Ways to polish the ends of searches, from equal starts.

Each subject's runs are searched as in `jaxcmr.fitting.SEARCHES` ("thorough") without a polish. Then
every way starts from where they ended, in double precision and one thread:

- ``exact, together``: projected BFGS, all runs of a subject at once, gradients from one pass;
- ``exact, alone``: the same, one run after another;
- ``differences, together``: with forward differences, those of several runs in one call;
- ``L-BFGS-B, exact``: SciPy's, one run after another, with gradients of JAX;
- ``L-BFGS-B, 2-point``: SciPy's, with differences of its own.

To repeat, from the root of the repository::

    python benchmarks/polish.py                          # two models, 12 subjects
    python benchmarks/polish.py cmr --subjects 4

Prints a Markdown table: gradients and evaluations per run (an exact gradient counts as one
evaluation, too), milliseconds of processor time per run after compiling, how many runs end within
1e-6 and 0.05 of the lowest end from the same start, and how many subjects have their lowest end of
all to 0.05.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
import scipy.optimize
from jaxtyping import Array, Float

import jaxcmr as jc
from jaxcmr.fitting import SEARCHES, JaxDE
from jaxcmr.fitting._search_space import UnitCubeLoss
from jaxcmr.models import usual_bounds
from jaxcmr.optimize import Box, _polish, in_double
from jaxcmr.optimize._jit import Compiled
from jaxcmr.optimize._polish import (
    DIFFERENCES,
    EXACT,
    MAX_GRADIENTS,
    Coordinates,
    points_per_call,
    polish,
)
from jaxcmr.optimize._program import GROUP_SIZE, stack_rows

REPEATS = 3  # of each way, after a first time; the shortest counts


class Ends(NamedTuple):
    """Where the runs of a subject ended, and what that took."""

    losses: np.ndarray
    gradients: float
    evaluations: float
    seconds: float = 0.0


class Starts(NamedTuple):
    """The runs of a subject: their losses on the unit cube, and where their searches ended."""

    losses: list[UnitCubeLoss]  # in double precision; `loss.loss` is the same for all
    units: Float[np.ndarray, "runs n_params"]


def search(model: str, n_subjects: int) -> list[Starts]:
    """Return where the searches of the first subjects end."""
    data = jc.load("peers_notask")
    settings = {**SEARCHES["thorough"], "bounds": usual_bounds(model), "progress_bar": False}
    fitter = JaxDE(data, None, {}, model, "sequence_likelihood", {**settings, "polish": False})
    subjects = data["subject"].reshape(-1)
    chosen = np.unique(subjects)[:n_subjects]
    result = fitter.fit_subjects(np.isin(subjects, chosen))
    starts = []
    for subject, runs in zip(chosen, result["runs"], strict=True):
        loss = in_double([fitter.problem.loss_of(np.flatnonzero(subjects == subject))])[0]
        spaces = [fitter._space(run["run"]) for run in runs]
        units = [
            space.to_unit(list(run["estimates"].values()))
            for space, run in zip(spaces, runs, strict=True)
        ]
        starts.append(Starts([UnitCubeLoss(loss, space) for space in spaces], np.stack(units)))
    return starts


def polish_block(
    loss: Callable[..., Array],
    transforms: object,
    units: Array,
    limits: Array,
    way: str,
    block: int,
) -> _polish.PolishResult:
    """Return the ends of the package's own polish."""
    box = Box.from_bounds([(0.0, 1.0)] * units.shape[1])
    return polish(loss, Coordinates(box, transforms), units, limits, way, block)


compiled_polish = Compiled(polish_block, wide_vectors=True)
value = Compiled(lambda loss, x: loss(x[:, None])[0], wide_vectors=True)
value_and_gradient = Compiled(
    lambda loss, x: jax.value_and_grad(lambda x: loss(x[:, None])[0])(x), wide_vectors=True
)


def own(way: str, starts: Starts, together: bool) -> Ends:
    """Return the ends of the package's own polish."""
    count, size = len(starts.units), GROUP_SIZE if together else 1
    results = []
    for first in range(0, count, size):
        places = np.minimum(first + np.arange(size), count - 1)
        limits = np.where(first + np.arange(size) < count, MAX_GRADIENTS, 0)
        transforms = stack_rows([starts.losses[place].space.from_unit for place in places])
        block = min(points_per_call(starts.units.shape[1], way), size)
        found = compiled_polish(
            starts.losses[0].loss, transforms, starts.units[places], limits, way, block
        )
        results.append(
            jax.tree.map(lambda leaf, limits=limits: np.asarray(leaf)[limits > 0], found)
        )
    losses, gradients, evaluations = (
        np.concatenate([getattr(result, name) for result in results])
        for name in ("loss", "njev", "nfev")
    )
    return Ends(losses, gradients.mean(), evaluations.mean())


def of_scipy(starts: Starts, has_gradient: bool) -> Ends:
    """Return the ends of SciPy's L-BFGS-B."""
    found = []
    for loss, unit in zip(starts.losses, starts.units, strict=True):
        call = partial(value_and_gradient if has_gradient else value, loss)
        found.append(
            scipy.optimize.minimize(
                (lambda x, call=call: jax.tree.map(np.asarray, call(x)))
                if has_gradient
                else (lambda x, call=call: float(call(x))),
                unit,
                jac=True if has_gradient else None,
                method="L-BFGS-B",
                bounds=[(0.0, 1.0)] * len(unit),
            )
        )
    njev, nfev = (np.mean([end[name] for end in found]) for name in ("njev", "nfev"))
    return Ends(np.array([end.fun for end in found]), njev, nfev)


WAYS: dict[str, Callable[[Starts], Ends]] = {
    "exact, together": lambda starts: own(EXACT, starts, together=True),
    "exact, alone": lambda starts: own(EXACT, starts, together=False),
    "differences, together": lambda starts: own(DIFFERENCES, starts, together=True),
    "L-BFGS-B, exact": lambda starts: of_scipy(starts, has_gradient=True),
    "L-BFGS-B, 2-point": lambda starts: of_scipy(starts, has_gradient=False),
}


def compare(model: str, n_subjects: int, ways: list[str]) -> None:
    """Print the table of a model."""
    all_starts = search(model, n_subjects)
    n_runs = sum(len(starts.units) for starts in all_starts)
    ends: dict[str, list[Ends]] = {way: [] for way in ways}
    with jax.enable_x64(True):
        for starts in all_starts:
            for way in ways:
                times, go = [], WAYS[way]
                for _ in range(1 + REPEATS):
                    began = time.process_time()
                    found = go(starts)
                    times.append(time.process_time() - began)
                ends[way].append(found._replace(seconds=min(times[1:])))
    lowest = [np.min([ends[way][i].losses for way in ways], axis=0) for i in range(len(all_starts))]
    print(f"\n{model}: {len(all_starts)} subjects, {n_runs} runs\n")
    print("| way | gradients | evaluations | ms per run | to 1e-6 | to 0.05 | subjects to 0.05 |")
    print("|---|---|---|---|---|---|---|")
    for way in ways:
        of_way = ends[way]
        gaps = np.concatenate([end.losses - low for end, low in zip(of_way, lowest, strict=True)])
        best = [end.losses.min() - low.min() for end, low in zip(of_way, lowest, strict=True)]
        print(
            f"| {way} | {np.mean([end.gradients for end in of_way]):.1f} "
            f"| {np.mean([end.evaluations for end in of_way]):.1f} "
            f"| {1000 * sum(end.seconds for end in of_way) / n_runs:.1f} "
            f"| {np.sum(gaps <= 1e-6)} | {np.sum(gaps <= 0.05)} "
            f"| {np.sum(np.array(best) <= 0.05)} |"
        )


def main() -> None:
    """Read the command line and print a table per model."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("models", nargs="*", default=["cmr", "cmr_context_stop"])
    parser.add_argument("--subjects", type=int, default=12)
    parser.add_argument("--ways", nargs="*", choices=list(WAYS), default=list(WAYS))
    options = parser.parse_args()
    for model in options.models:
        compare(model, options.subjects, options.ways)


if __name__ == "__main__":
    main()
