"""Log densities of parameters given recall data, as pure JAX functions of unconstrained numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from jaxcmr.fitting import FitProblem, make_subject_trial_masks
from jaxcmr.fitting._problem import check_problem
from jaxcmr.fitting._search_space import choose_scales
from jaxcmr.fitting._trials import stack_trials
from jaxcmr.names import describe_unknown
from jaxcmr.optimize import check_not_forked, in_double
from jaxcmr.parameters import ParameterSpace
from jaxcmr.typing import LossFn, Subject, TrialMask

__all__ = ["LogDensity", "Prior", "density_of_rows", "log_density"]


@dataclass(frozen=True)
class Prior:
    """The prior of a parameter: a normal distribution on the probit scale of its search space.

    The default, a standard normal, is uniform between the bounds on the scale that the model
    declares: each share of the range is as likely as another, or each ratio on a logarithmic scale.

    Args:
        mean: 0 is the middle of the range.
        sd: above 1 puts more weight on the ends of the range, below 1 on values around the mean.

    Raises:
        ValueError: `mean` is not finite, or `sd` is not positive.

    >>> Prior(0.5, 0.4)
    Prior(mean=0.5, sd=0.4)
    """

    mean: float = 0.0
    sd: float = 1.0

    def __post_init__(self) -> None:
        if not np.isfinite(self.mean):
            raise ValueError(f"The mean of a prior must be a finite number; got {self.mean!r}.")
        if not (np.isfinite(self.sd) and self.sd > 0):
            raise ValueError(f"The sd of a prior must be positive and finite; got {self.sd!r}.")


class LogDensity(eqx.Module):
    """Log density of the parameters of subjects on the probit scale, given their recalls.

    ``f(z) = sum_s [log P(recalls of s | x(z_s)) + sum_p log N(z_sp; mean_p, sd_p)]``, where
    ``x(z) = from_unit(Phi(z))`` and z is any real (subjects, n_params). It is normalized: its
    integral is the probability of the recalls. It works under `jax.jit`, `jax.grad` and `jax.vmap`.

    It belongs to the precision it was made in: make and call it within ``jax.enable_x64(True)`` for
    double.
    """

    losses: Losses
    space: ParameterSpace
    mean: Float[np.ndarray, " n_params"]
    sd: Float[np.ndarray, " n_params"]
    names: tuple[str, ...] = eqx.field(static=True)
    subjects: tuple[Subject, ...] = eqx.field(static=True)

    @eqx.filter_jit
    def __call__(self, z: Float[Array, "subjects n_params"]) -> Float[Array, ""]:
        """Return the log density of all subjects together."""
        return jnp.sum(self.log_likelihood(z) + self.log_prior(z))

    @eqx.filter_jit
    def log_likelihood(self, z: Float[Array, "subjects n_params"]) -> Float[Array, " subjects"]:
        """Return ``log P`` (nats) of the recalls of each subject; 0 for one without trials."""
        return -self.losses(self.to_user(z))

    def log_prior(self, z: Float[Array, "subjects n_params"]) -> Float[Array, " subjects"]:
        """Return the log density of the prior for each subject."""
        mean, sd = (jnp.asarray(value, z.dtype)[None] for value in (self.mean, self.sd))
        return jnp.sum(jax.scipy.stats.norm.logpdf(z, mean, sd), axis=1)

    def to_user(self, z: Float[Array, "... n_params"]) -> Float[Array, "... n_params"]:
        """Return the parameters of numbers on the probit scale."""
        return jnp.moveaxis(self.space.from_probit(jnp.moveaxis(z, -1, 0)), 0, -1)

    def to_probit(self, x: Float[np.ndarray, "... n_params"]) -> Float[np.ndarray, "... n_params"]:
        """Return the numbers of parameters on the probit scale; infinite on a bound."""
        return np.apply_along_axis(lambda each: self.space.to_probit(each.tolist()), -1, x)

    def __hash__(self) -> int:  # `jax.jit` asks for it: by identity, for it holds arrays
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


class Losses(eqx.Module):
    """The losses of several subjects as one: what differs between them is stacked."""

    own: PyTree  # arrays with subjects on the first axis; None where they are shared
    shared: PyTree

    @classmethod
    def stack(cls, losses: Sequence[LossFn]) -> Losses:
        """Return losses of the same structure as one.

        Raises:
            ValueError: they are different programs.
        """
        leaves, structures = zip(*(jax.tree.flatten(loss) for loss in losses), strict=True)
        if len(set(structures)) > 1:
            raise ValueError(DIFFERENT)
        own, shared = [], []
        for same in zip(*leaves, strict=True):
            first = same[0]
            is_shared = all(leaf is first for leaf in same)
            if not is_shared and not all(
                eqx.is_array_like(leaf) and np.shape(leaf) == np.shape(first) for leaf in same
            ):
                raise ValueError(DIFFERENT)
            own.append(None if is_shared else np.stack([np.asarray(leaf) for leaf in same]))
            shared.append(first if is_shared else None)
        return cls(*(jax.tree.unflatten(structures[0], each) for each in (own, shared)))

    def __call__(self, x: Float[Array, "subjects n_params"]) -> Float[Array, " subjects"]:
        """Return the loss of each subject, in one row of `x` each."""
        return jax.lax.map(lambda row: self.of(row[0])(row[1]), (self.own, x))

    def of(self, own: PyTree) -> LossFn:
        """Return the loss of a subject."""
        loss: LossFn = eqx.combine(own, self.shared)
        return loss

    def take(self, places: np.ndarray) -> Losses:
        """Return the losses of some subjects, by their place."""
        return Losses(jax.tree.map(lambda leaf: leaf[places], self.own), self.shared)


DIFFERENT = (
    "The losses of two subjects are different programs. The loss that a generator returns must be "
    "an equinox.Module that holds its data as fields, with equal shapes for equally many trials."
)


def log_density(
    problem: FitProblem,
    prior: Mapping[str, Prior] | None = None,
    trial_mask: TrialMask | None = None,
) -> LogDensity:
    """Return the log density of the parameters of each subject, given the recalls.

    Every sampler that takes a JAX function takes it. Subjects are independent: see
    `numpyro_model` and `hierarchical_map` for those of a group.

    Args:
        problem: data, model and a loss that is a negative log-likelihood.
        prior: by parameter. By default, and for parameters left out, uniform between the bounds on
            the scale that the model declares.
        trial_mask: (trials,) boolean; all trials by default. Subjects without trials of the mask
            are left out.

    Raises:
        ValueError: the loss is not a likelihood, or `prior` names an unknown parameter.

    >>> import jax.numpy as jnp
    >>> data = {"subject": [1, 1], "listLength": [3, 3], "pres_itemnos": [[1, 2, 3]] * 2,
    ...         "recalls": [[3, 1, 0], [2, 0, 0]]}
    >>> density = log_density(FitProblem(data, "cmr", "sequence_likelihood"))
    >>> z = jnp.zeros((1, len(density.names)))  # each parameter in the middle of its scale
    >>> round(float(density(z)), 2), round(float(density.log_likelihood(z)[0]), 2)
    (-22.09, -11.98)
    """
    everything = np.ones(len(check_problem(problem).subjects), bool)
    mask = everything if trial_mask is None else trial_mask
    masks, subjects = make_subject_trial_masks(mask, problem.subjects)
    rows = {
        subject: np.flatnonzero(of_subject)
        for subject, of_subject in zip(subjects.tolist(), masks, strict=True)
        if of_subject.any()
    }
    return density_of_rows(problem, rows, prior)


def density_of_rows(
    problem: FitProblem,
    rows: Mapping[Subject, np.ndarray],
    prior: Mapping[str, Prior] | None = None,
) -> LogDensity:
    """Return the log density of subjects, given the rows of the data of each, in their order."""
    check_not_forked()
    check_likelihood(problem)
    if not rows:
        raise ValueError("No trial is selected: give a trial_mask with trials.")
    priors = dict(prior or {})
    for name in priors:
        if name not in problem.bounds:
            raise ValueError(describe_unknown("parameter", name, problem.bounds))
    own = [priors.get(name, Prior()) for name in problem.free_names]
    masks = [np.isin(np.arange(len(problem.subjects)), each) for each in rows.values()]
    losses = [problem.loss_of(each) for each in stack_trials(masks)]
    if jnp.result_type(float) == jnp.float64:
        losses = in_double(losses)
    return LogDensity(
        Losses.stack(losses),
        ParameterSpace.make(problem.bounds, choose_scales("auto", problem.bounds, problem.scales)),
        np.array([each.mean for each in own], float),
        np.array([each.sd for each in own], float),
        tuple(problem.free_names),
        tuple(rows),
    )


def check_likelihood(problem: FitProblem) -> None:
    """Raise a ValueError if the loss of a problem is not a negative log-likelihood."""
    if check_problem(problem).generator.label != "NLL":
        raise ValueError(
            f"The loss is '{problem.generator.label}', which is not a negative log-likelihood "
            "(label 'NLL'): it gives no posterior. Take a likelihood, such as "
            "'sequence_likelihood'."
        )
