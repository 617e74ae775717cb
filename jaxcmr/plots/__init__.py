"""Figures, one per file, each with the table behind it. They need matplotlib.

A figure draws into the axes it is given (``ax=``) or into a new figure, and returns the axes. It
neither shows nor saves, and changes no style of yours.
"""

from jaxcmr.plots.comparison import comparison_table, plot_comparison
from jaxcmr.plots.confusion import confusion_table, plot_confusion
from jaxcmr.plots.differences import (
    differences_table,
    paired_differences_table,
    plot_differences,
    plot_paired_differences,
)
from jaxcmr.plots.fit import fit_table, plot_fit
from jaxcmr.plots.fit_by_subject import plot_fit_by_subject
from jaxcmr.plots.intervals import intervals_table, plot_intervals
from jaxcmr.plots.measure import mean_over_subjects, plot_measure
from jaxcmr.plots.model_frequencies import frequencies_table, plot_model_frequencies
from jaxcmr.plots.optimism import optimism_table, plot_optimism
from jaxcmr.plots.parameters import parameters_table, plot_parameters
from jaxcmr.plots.power import plot_power, power_table
from jaxcmr.plots.profiles import plot_profiles, profiles_table
from jaxcmr.plots.recalls_per_list import plot_recalls_per_list
from jaxcmr.plots.recovery import plot_recovery, recovery_table
from jaxcmr.plots.recovery_correlations import (
    plot_recovery_correlations,
    recovery_correlations_table,
)
from jaxcmr.plots.restarts import plot_restart_estimates, plot_restarts, restarts_table
from jaxcmr.plots.shrinkage import plot_shrinkage, shrinkage_table
from jaxcmr.plots.spectrum import plot_spectrum, spectrum_table
from jaxcmr.plots.sweep import plot_sweep, sweep_table
from jaxcmr.plots.weights import plot_weights, weights_table

__all__ = [
    "comparison_table",
    "confusion_table",
    "differences_table",
    "fit_table",
    "frequencies_table",
    "intervals_table",
    "mean_over_subjects",
    "optimism_table",
    "paired_differences_table",
    "parameters_table",
    "plot_comparison",
    "plot_confusion",
    "plot_differences",
    "plot_fit",
    "plot_fit_by_subject",
    "plot_intervals",
    "plot_measure",
    "plot_model_frequencies",
    "plot_optimism",
    "plot_paired_differences",
    "plot_parameters",
    "plot_power",
    "plot_profiles",
    "plot_recalls_per_list",
    "plot_recovery",
    "plot_recovery_correlations",
    "plot_restart_estimates",
    "plot_restarts",
    "plot_shrinkage",
    "plot_spectrum",
    "plot_sweep",
    "plot_weights",
    "power_table",
    "profiles_table",
    "recovery_correlations_table",
    "recovery_table",
    "restarts_table",
    "shrinkage_table",
    "spectrum_table",
    "sweep_table",
    "weights_table",
]
