"""Minimize any function in a box by differential evolution, compiled with JAX.

Knows nothing of memory models. `differential_evolution` minimizes one function; `evolve_lanes`
minimizes many at once, in chunks of generations with plain Python in between; a `Polisher` polishes
points that are given.

Files: `_space` (the box and the unit cube), `_de` (one generation), `_strategies` and `_adaptive`
(how trial vectors are made), `_populations` (initial populations), `_polish` (projected BFGS),
`_run` (a run from its parts), `_lanes` and `_program` (many runs), `_points` (polishes without a
search), `_jit` and `_fingerprint` (compiling), `_settings` and `_result`, and `_scipy` (everything
that only SciPy's users need).
"""

from jaxcmr.optimize._de import State
from jaxcmr.optimize._fingerprint import fingerprint as program_fingerprint
from jaxcmr.optimize._jit import check_not_forked, in_double, works_in_double
from jaxcmr.optimize._lanes import LaneReport, evolve_lanes
from jaxcmr.optimize._points import Polisher
from jaxcmr.optimize._polish import PolishResult
from jaxcmr.optimize._populations import POPULATIONS
from jaxcmr.optimize._result import OptimizeResults
from jaxcmr.optimize._scipy import differential_evolution
from jaxcmr.optimize._space import Box
from jaxcmr.optimize._strategies import STRATEGIES

__all__ = [
    "POPULATIONS",
    "STRATEGIES",
    "Box",
    "LaneReport",
    "OptimizeResults",
    "PolishResult",
    "Polisher",
    "State",
    "check_not_forked",
    "differential_evolution",
    "evolve_lanes",
    "in_double",
    "program_fingerprint",
    "works_in_double",
]
