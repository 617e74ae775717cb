"""Behavioral measures, one per file.

A measure is called with a data set, ``lag_crp(data, mask, **options)``, and returns an array. Every
measure is the ratio of two counts; `by_subject` makes a table of them with one row per subject and
bin, `as_summary` makes the measure the target of a loss. `MEASURES` holds them by name.
"""

from collections.abc import Mapping

from jaxcmr.analyses._by_subject import as_summary, by_subject
from jaxcmr.analyses._category_clustering import category_clustering
from jaxcmr.analyses._category_crp import category_crp
from jaxcmr.analyses._distance_crp import distance_crp
from jaxcmr.analyses._distance_rank import distance_rank
from jaxcmr.analyses._errors import intrusions, repeats
from jaxcmr.analyses._first_recall import first_recall
from jaxcmr.analyses._lag_crp import lag_crp
from jaxcmr.analyses._lag_crp_compound import lag_crp_compound
from jaxcmr.analyses._lag_rank import lag_rank
from jaxcmr.analyses._measure import Measure, make_measure, to_ratio
from jaxcmr.analyses._nth_recall import nth_recall
from jaxcmr.analyses._recalls_per_list import recalls_per_list
from jaxcmr.analyses._sequences import recall_positions
from jaxcmr.analyses._stop_probability import stop_probability
from jaxcmr.analyses.spc import recalled_positions, serial_position_curve

__all__ = [
    "MEASURES",
    "Measure",
    "as_summary",
    "by_subject",
    "category_clustering",
    "category_crp",
    "distance_crp",
    "distance_rank",
    "first_recall",
    "intrusions",
    "lag_crp",
    "lag_crp_compound",
    "lag_rank",
    "make_measure",
    "nth_recall",
    "recall_positions",
    "recalled_positions",
    "recalls_per_list",
    "repeats",
    "serial_position_curve",
    "stop_probability",
    "to_ratio",
]

MEASURES: Mapping[str, Measure[...]] = {
    "serial_position_curve": serial_position_curve,
    "first_recall": first_recall,
    "nth_recall": nth_recall,
    "lag_crp": lag_crp,
    "lag_crp_compound": lag_crp_compound,
    "lag_rank": lag_rank,
    "category_crp": category_crp,
    "category_clustering": category_clustering,
    "distance_crp": distance_crp,
    "distance_rank": distance_rank,
    "recalls_per_list": recalls_per_list,
    "stop_probability": stop_probability,
    "intrusions": intrusions,
    "repeats": repeats,
}
"""Measures by name: ``measure(data, mask=None, **options) -> array``."""
