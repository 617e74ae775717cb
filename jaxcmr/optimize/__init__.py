"""Minimise any function in a box by differential evolution, compiled with JAX.

Knows nothing of memory models. `differential_evolution` minimises one function;
`evolve_lanes` many at once, in chunks of generations between which Python code may look in.
"""

from jaxcmr.optimize._box import Box
from jaxcmr.optimize._fingerprint import fingerprint as program_fingerprint
from jaxcmr.optimize._fork import check_not_forked
from jaxcmr.optimize._lanes import LaneReport, evolve_lanes
from jaxcmr.optimize._minimize import differential_evolution
from jaxcmr.optimize._populations import POPULATIONS
from jaxcmr.optimize._precision import in_double, works_in_double
from jaxcmr.optimize._result import OptimizeResults
from jaxcmr.optimize._state import State
from jaxcmr.optimize._strategies import STRATEGIES

__all__ = [
    "POPULATIONS",
    "STRATEGIES",
    "Box",
    "LaneReport",
    "OptimizeResults",
    "State",
    "check_not_forked",
    "differential_evolution",
    "evolve_lanes",
    "in_double",
    "program_fingerprint",
    "works_in_double",
]
