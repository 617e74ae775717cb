"""Figures, one per file, each with the table behind it. They need matplotlib.

A figure draws into the axes it is given (``ax=``) or into a new figure, and returns the axes. It
neither shows nor saves, and changes no style of yours.
"""

from jaxcmr.plots.parameters import parameters_table, plot_parameters
from jaxcmr.plots.restarts import plot_restart_estimates, plot_restarts, restarts_table

__all__ = [
    "parameters_table",
    "plot_parameters",
    "plot_restart_estimates",
    "plot_restarts",
    "restarts_table",
]
