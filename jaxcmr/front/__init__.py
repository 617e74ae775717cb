"""The front door: `fit`, `simulate`, `diagnose`, `compare` and others, from names to objects.

`fit` is what ``jaxcmr fit`` runs as well: a `Plan` is a fit with everything looked up and checked,
before anything is searched. The modules: `_fit`; `_variants` (many fits); `_after`, `_compare` and
`_recover` (what follows a fit); `_simulate` (recall of fitted models, cut off where it must be);
`_sources` (data, features and results by name, path or object);
and `_trust` and `_report`, which hand measures and figures to diagnostics and reports.
"""

from jaxcmr.front._after import (
    diagnose,
    problem_of,
    report,
    simulate,
    trials_to_simulate,
    write_report,
)
from jaxcmr.front._compare import compare
from jaxcmr.front._fit import FITTERS, Plan, fit, make_plan
from jaxcmr.front._recover import recover, recover_problem
from jaxcmr.front._simulate import CUT_OFF, simulate_problem
from jaxcmr.front._variants import fit_variants, variant_grid

__all__ = [
    "CUT_OFF",
    "FITTERS",
    "Plan",
    "compare",
    "diagnose",
    "fit",
    "fit_variants",
    "make_plan",
    "problem_of",
    "recover",
    "recover_problem",
    "report",
    "simulate",
    "simulate_problem",
    "trials_to_simulate",
    "variant_grid",
    "write_report",
]
