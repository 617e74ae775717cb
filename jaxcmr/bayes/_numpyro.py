"""A hierarchical model as NumPyro has them, to sample and to change."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

from jaxcmr.bayes._log_density import LogDensity, log_density
from jaxcmr.fitting import FitProblem
from jaxcmr.typing import TrialMask

__all__ = ["NumpyroModel", "numpyro_model"]


class NumpyroModel(NamedTuple):
    """A NumPyro model of a group, and what it is of. Call it, or hand it to a sampler."""

    density: LogDensity
    scale: float

    def __call__(self) -> None:
        """Sample the group and the subjects, and score the recalls."""
        import numpyro
        from numpyro.distributions import HalfNormal, Normal

        n = len(self.density.names)
        with numpyro.plate("parameter", n, dim=-1):
            mean = numpyro.sample("group_mean", Normal(0.0, 1.0))
            sd = numpyro.sample("group_sd", HalfNormal(self.scale))
            with numpyro.plate("subject", len(self.density.subjects), dim=-2):
                offset = numpyro.sample("offset", Normal(0.0, 1.0))
        z = mean[None] + sd[None] * offset
        x = self.density.to_user(z)
        for column, name in enumerate(self.density.names):
            numpyro.deterministic(name, x[:, column])
        numpyro.factor("log_likelihood", jnp.sum(self.density.log_likelihood(z)))


def numpyro_model(
    problem: FitProblem, trial_mask: TrialMask | None = None, *, scale: float = 1.0
) -> NumpyroModel:
    """Return a NumPyro model of a group of subjects, ``model()``.

    On the probit scale the parameters of subject s are ``z_s = group_mean + group_sd * offset_s``,
    with ``group_mean ~ N(0, 1)``, ``group_sd ~ HalfNormal(scale)`` and ``offset ~ N(0, 1)``: the
    non-centered form, in which a sampler moves freely where subjects differ little. Each parameter
    is a deterministic site under its own name, (subjects,). The recalls enter by `numpyro.factor`;
    `to_datatree` adds their log likelihood by list. The extra "bayes" holds NumPyro.

    Args:
        problem: data, model and a loss that is a negative log-likelihood.
        trial_mask: (trials,) boolean; all trials by default.
        scale: of the half-normal prior of the group's standard deviations.

    Raises:
        ValueError: the loss is not a likelihood, or `scale` is not positive.

    >>> import numpyro
    >>> data = {"subject": [1, 1], "listLength": [3, 3], "pres_itemnos": [[1, 2, 3]] * 2,
    ...         "recalls": [[3, 1, 0], [2, 0, 0]]}
    >>> model = numpyro_model(FitProblem(data, "cmr", "sequence_likelihood"))
    >>> sites = numpyro.handlers.trace(numpyro.handlers.seed(model, 0)).get_trace()
    >>> sites["offset"]["value"].shape, sites["learning_rate"]["value"].shape
    ((1, 11), (1,))
    """
    if not scale > 0:
        raise ValueError(f"scale must be positive; got {scale!r}.")
    return NumpyroModel(log_density(problem, trial_mask=trial_mask), scale)
