"""Results with planted properties, and losses whose curvature is known."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from jaxcmr.fitting import FitProblem
from jaxcmr.parameters import Parameter
from jaxcmr.results import FitResult
from jaxcmr.typing import LossFnGenerator

BOUNDS = {"a": [0.0, 1.0], "b": [0.0, 1.0]}
LINEAR = {"a": "linear", "b": "linear"}


def run(loss, a=0.5, b=0.5, **changes):
    """Return the record of a run that rests at a place off the bounds."""
    record = {
        "loss": loss,
        "estimates": {"a": a, "b": b},
        "scale": LINEAR,
        "gradient": {"a": 1e-9, "b": -1e-8},
        "at_bound": {},
        "at_rest": True,
    }
    return {**record, **changes}


def result_of(*fits, **changes):
    """Return the result of fits, each given by its runs, for subjects 1, 2, ..."""
    best = [min(runs, key=lambda run: run["loss"]) for runs in fits]
    columns = {name: [run["estimates"][name] for run in best] for name in BOUNDS}
    result = {
        "fitness": [run["loss"] for run in best],
        "fits": {**columns, "subject": list(range(1, len(fits) + 1))},
        "free": BOUNDS,
        "fixed": {},
        "runs": [list(runs) for runs in fits],
        "converged": [True] * len(fits),
        "n_events": [100] * len(fits),
        "loss_label": "NLL",
        "agree_within": 0.05,
    }
    return FitResult({**result, **changes})


def rows_of(table, check):
    """Return the rows of a check, by subject."""
    return table[table["check"] == check].set_index("subject")


class Quadratic(eqx.Module):
    """``5 + (x - center)' H (x - center) / 2`` of x, or of their logarithms."""

    H: np.ndarray
    center: np.ndarray
    of_logs: bool = eqx.field(static=True, default=False)
    kink: float = eqx.field(static=True, default=0.0)

    def __call__(self, x):
        TRACES.append(x.shape)
        x = jnp.log(x) if self.of_logs else x
        center = jnp.asarray(self.center, x.dtype).reshape((-1,) + (1,) * (x.ndim - 1))
        d = x - center
        bend = jnp.einsum("i...,ij,j...->...", d, jnp.asarray(self.H, x.dtype), d) / 2
        return 5.0 + bend + self.kink * jnp.abs(d).sum(0)


TRACES = []
"""Shapes of the calls of quadratic losses, of which a compiled program makes one."""


def problem_with(H, center=(0.5, 0.5), *, scale="linear", bounds=BOUNDS, n_subjects=1, **options):
    """Return a problem whose loss is quadratic, and the result of fits that found its center.

    On a logarithmic scale the loss is quadratic in the logarithms, and the center one of these.
    """
    of_logs = scale != "linear"

    class Generator(LossFnGenerator):
        label = "NLL"

        def __init__(self, model_factory, dataset, features):
            pass

        @property
        def parameters(self):
            return [Parameter(name, *pair, name, name, scale) for name, pair in bounds.items()]

        def __call__(self, trial_indices, base_params, free_param_names):
            return Quadratic(np.asarray(H, float), np.asarray(center, float), of_logs, **options)

    subjects = np.arange(1, n_subjects + 1)
    problem = FitProblem({"subject": subjects[:, None]}, "cmr", Generator, bounds)
    at = np.exp(center) if of_logs else np.asarray(center, float)
    fits = {name: [float(x)] * n_subjects for name, x in zip(bounds, at, strict=True)}
    trials = [[[row, row + 1]] for row in range(n_subjects)]
    result = FitResult(
        fitness=[5.0] * n_subjects,
        fits={**fits, "subject": subjects.tolist()},
        free=dict(bounds),
        fixed={},
        trials=trials,
        agree_within=0.05,
    )
    return problem, result
