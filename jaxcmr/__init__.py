"""jaxcmr: fit cognitive models of memory search to recall data.

>>> import jaxcmr as jc                                   # doctest: +SKIP
>>> data = jc.load("peers_notask")                        # doctest: +SKIP
>>> result = jc.fit(data, model="cmr", subjects=[63, 64])  # doctest: +SKIP
>>> simulated = jc.simulate(result, data)                 # doctest: +SKIP

Everything is imported when it is first used: ``import jaxcmr`` alone does not import JAX.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jaxcmr._version import __version__

if TYPE_CHECKING:
    from jaxcmr import (
        analyses,
        comparison,
        components,
        datasets,
        diagnostics,
        fitting,
        loss,
        models,
        optimize,
        plots,
        recovery,
        simulation,
        uncertainty,
    )
    from jaxcmr.analyses import serial_position_curve
    from jaxcmr.datasets import (
        check_data,
        first_recalls,
        from_psifr,
        generate_trial_mask,
        load,
        save_data,
        select_trials,
    )
    from jaxcmr.fitting import SEARCHES, FitProblem, JaxDE, ScipyDE, make_subject_trial_masks
    from jaxcmr.front import compare, diagnose, fit, fit_variants, recover, report, simulate
    from jaxcmr.loss import LOSSES
    from jaxcmr.models import MODELS, usual_bounds
    from jaxcmr.optimize import differential_evolution
    from jaxcmr.results import FitInterrupted, FitResult

__all__ = [
    "LOSSES",
    "MODELS",
    "SEARCHES",
    "FitInterrupted",
    "FitProblem",
    "FitResult",
    "JaxDE",
    "ScipyDE",
    "__version__",
    "analyses",
    "check_data",
    "compare",
    "comparison",
    "components",
    "datasets",
    "diagnose",
    "diagnostics",
    "differential_evolution",
    "first_recalls",
    "fit",
    "fit_variants",
    "fitting",
    "from_psifr",
    "generate_trial_mask",
    "load",
    "loss",
    "make_subject_trial_masks",
    "models",
    "optimize",
    "plots",
    "recover",
    "recovery",
    "report",
    "save_data",
    "select_trials",
    "serial_position_curve",
    "simulate",
    "simulation",
    "to_psifr",
    "uncertainty",
    "usual_bounds",
]

ROOMS = {
    "analyses": ["serial_position_curve"],
    "comparison": [],
    "components": [],
    "datasets": [
        "check_data",
        "first_recalls",
        "from_psifr",
        "generate_trial_mask",
        "load",
        "save_data",
        "select_trials",
        "to_psifr",
    ],
    "diagnostics": [],
    "fitting": ["SEARCHES", "FitProblem", "JaxDE", "ScipyDE", "make_subject_trial_masks"],
    "front": ["compare", "diagnose", "fit", "fit_variants", "recover", "report", "simulate"],
    "loss": ["LOSSES"],
    "models": ["MODELS", "usual_bounds"],
    "optimize": ["differential_evolution"],
    "plots": [],
    "recovery": [],
    "results": ["FitInterrupted", "FitResult"],
    "simulation": [],
    "uncertainty": [],
}
"""The rooms of the package, with the names that they lend to its front door."""

HOMES = {name: room for room, names in ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in HOMES:
        found = getattr(import_module(f"jaxcmr.{HOMES[name]}"), name)
    elif name in ROOMS:
        found = import_module(f"jaxcmr.{name}")
    else:
        raise AttributeError(f"module 'jaxcmr' has no attribute '{name}'")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
