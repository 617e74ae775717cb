"""Posteriors: log densities for samplers, shrunken estimates of a group, draws for ArviZ.

Files: `_log_density` (the function that samplers take), `_laplace` (modes, and the integrals around
them), `_posterior` (those of each subject), `_hierarchical` (a group by EM), `_numpyro` and
`_datatree` (the extra "bayes").
"""

from jaxcmr.bayes._datatree import to_datatree
from jaxcmr.bayes._hierarchical import HierarchicalMAP, hierarchical_map
from jaxcmr.bayes._laplace import Laplace, laplace
from jaxcmr.bayes._log_density import LogDensity, Prior, log_density
from jaxcmr.bayes._numpyro import NumpyroModel, numpyro_model

__all__ = [
    "HierarchicalMAP",
    "Laplace",
    "LogDensity",
    "NumpyroModel",
    "Prior",
    "hierarchical_map",
    "laplace",
    "log_density",
    "numpyro_model",
    "to_datatree",
]
