"""Random-effects Bayesian model selection: how frequent each model is among subjects.

Subjects may differ in their model. The frequencies of the models in the population have a
Dirichlet distribution. Equations and names are those of Stephan et al. (2009) and, for the omnibus
risk, of Rigoux et al. (2014).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.special import digamma, expit, gammaln, logsumexp, softmax, xlogy

from jaxcmr._result_words import name_ids, name_subjects
from jaxcmr.comparison._dirichlet import exceedance, mixture_exceedance
from jaxcmr.comparison._exact import find_posterior
from jaxcmr.comparison._guards import check_model_columns
from jaxcmr.names import describe_unknown

__all__ = ["ModelSelection", "bayesian_model_selection"]

PRIORS = ("spm", "vba")
METHODS = ("variational", "exact")
MOST_ROUNDS = 100_000
CONVERGED = 1e-11
ROUNDING = 1e-9
"""Frequencies that differ by less differ by rounding."""

Families: TypeAlias = Mapping[str, Sequence[str | int]]
Prior: TypeAlias = str | float | Sequence[float] | np.ndarray


@dataclass(frozen=True)
class ModelSelection:
    """How frequent each model is among subjects, and how sure that is.

    Vectors are indexed by model, or by family where models were put into families.

    - ``alpha``: parameters of the Dirichlet posterior: prior counts plus expected numbers of
      subjects.
    - ``expected_frequency``, ``sd``: mean and standard deviation of the posterior frequencies.
    - ``exceedance``: probability that the model is the most frequent one.
    - ``bor``: Bayesian omnibus risk: probability that all models are equally frequent, and the
      differences are due to chance.
    - ``protected_exceedance``: exceedance, and with probability ``bor`` an equal share.
    - ``responsibilities``: probability of each model for each subject; of the models also where
      there are families. None where an exact computation would take too much memory.
    - ``fixed_effects``: probability of each model if all subjects had the same one.
    - ``prior``: its name, or "numbers"; ``prior_counts``: of each model. ``method``.
    - ``log_evidence``: by subject (rows) and model (columns), from which all this follows;
      ``families``: the models of each family, None without families.
    - ``log_evidence_unequal``, ``log_evidence_equal``: of the data with frequencies that may
      differ, and that are equal; ``bor`` follows from them. By "variational", the first is a lower
      bound, so that ``bor`` is never too small.
    """

    alpha: pd.Series
    expected_frequency: pd.Series
    sd: pd.Series
    exceedance: pd.Series
    protected_exceedance: pd.Series
    bor: float
    responsibilities: pd.DataFrame | None
    fixed_effects: pd.Series
    prior: str
    prior_counts: pd.Series
    method: str
    log_evidence: pd.DataFrame
    families: Mapping[str, Sequence[str]] | None
    log_evidence_unequal: float
    log_evidence_equal: float

    @property
    def n_subjects(self) -> int:
        """Return the number of subjects."""
        return len(self.log_evidence)

    def table(self) -> pd.DataFrame:
        """Return one row per model or family, the most frequent first."""
        names = ["alpha", "expected_frequency", "sd", "exceedance", "protected_exceedance"]
        table = pd.DataFrame({name: getattr(self, name) for name in names})
        table = table.sort_values("expected_frequency", ascending=False, kind="stable")
        return table.rename_axis("model").reset_index()

    def verdict(self) -> str:
        """Return in words which model is most frequent, and how sure that is."""
        frequency = self.expected_frequency
        level = [str(name) for name in frequency.index[frequency >= frequency.max() - ROUNDING]]
        best = level[0]
        most = f"{best} is the most frequent,"
        if len(level) > 1:
            most = f"{', '.join(level)} are equally frequent, each"
        how = f"prior {self.prior!r}, {self.method}" if self.prior in PRIORS else self.method
        words = (
            f"Random-effects selection ({how}; {self.n_subjects} subjects): {most} with an "
            f"expected frequency of {frequency[best]:.2f} (SD {self.sd[best]:.2f}), an exceedance "
            f"probability of {self.exceedance[best]:.3f} and a protected one of "
            f"{self.protected_exceedance[best]:.3f}. The omnibus risk is {self.bor:.2g}: "
        )
        what = "families" if self.families else "models"
        if self.bor > 0.25:
            return words + f"that the {what} are equally frequent cannot be ruled out."
        if self.protected_exceedance[best] >= 0.95:
            return words + f"the {what} differ in frequency, and {best} is ahead."
        if self.exceedance[best] >= 0.95:
            return words + (
                f"if the {what} differ in frequency, {best} is ahead; that they do is likely, but "
                "not certain."
            )
        return (
            words + f"the {what} probably differ in frequency, but which is ahead is not certain."
        )

    def __repr__(self) -> str:
        table = self.table().to_string(index=False, float_format="{:.3f}".format)
        return f"{self.verdict()}\n\n{table}"

    def _repr_html_(self) -> str:
        table = self.table().to_html(index=False, float_format="{:.3f}".format, border=0)
        return f"{table}<p>{escape(self.verdict())}</p>"


def bayesian_model_selection(
    log_evidence: pd.DataFrame | Float[np.ndarray, "subjects models"],
    prior: Prior = "spm",
    method: str = "variational",
    families: Families | None = None,
) -> ModelSelection:
    """Return how frequent each model is among subjects, by their log evidence.

    Args:
        log_evidence: one row per subject, one column per model; see `log_evidence`.
        prior: prior counts. "spm" has 1 per model, as SPM; "vba" has 1 in all, as the VBA toolbox.
            Of families, these are counts per family, in equal parts for its models. Or a number for
            every model, or one per model. Results differ: name the prior when you report them.
        method: "variational", as in SPM and VBA: a lower bound, whose ``bor`` is never too small.
            Or "exact", for up to five models.
        families: models by family, named by their columns, or 1, 2, ... of an array. Each model is
            in one family. Frequencies and exceedance are then those of families.

    Raises:
        ValueError: the table does not hold log evidence, or prior, method or families are invalid.

    >>> evidence = np.array([[0.0, -3.0], [0.0, -4.0], [-1.0, 0.0], [0.0, -5.0]])
    >>> found = bayesian_model_selection(evidence, method="exact")
    >>> found.expected_frequency.round(3).tolist(), round(found.bor, 3)
    ([0.759, 0.241], 0.419)
    """
    table = check_evidence(log_evidence)
    models = list(table.columns)
    members = check_families(families, models)
    counts, name = make_prior(prior, members)
    if method not in METHODS:
        raise ValueError(describe_unknown("method", method, METHODS))
    evidence = table.to_numpy(float)
    # equal frequencies: 1 / families for each family, in equal parts for its models
    part = (members / members.sum(1, keepdims=True)).sum(0) / len(members)
    equal = float(logsumexp(evidence + np.log(part), axis=1).sum())
    if method == "exact":
        posterior = find_posterior(evidence, counts)
        shares, unequal = posterior.responsibilities, posterior.log_evidence
        components = (posterior.counts + counts) @ members.T
        weights = posterior.weights
        if len(members) < len(models):
            components, weights = merge(components, weights)
        exceeds = mixture_exceedance(components, weights)
    else:
        shares, unequal = approximate(evidence, counts)
        components, weights = (counts + shares.sum(0))[None] @ members.T, np.ones(1)
        exceeds = exceedance(components[0])
    alpha = weights @ components
    total = float(counts.sum() + len(evidence))
    mean = alpha / total
    square = weights @ (components * (components + 1)) / (total * (total + 1))
    bor = float(expit(equal - unequal))
    labels = pd.Index([str(name) for name in families] if families else models)
    return ModelSelection(
        alpha=pd.Series(alpha, labels),
        expected_frequency=pd.Series(mean, labels),
        sd=pd.Series(np.sqrt(np.maximum(square - mean**2, 0.0)), labels),
        exceedance=pd.Series(exceeds, labels),
        protected_exceedance=pd.Series((1 - bor) * exceeds + bor / len(labels), labels),
        bor=bor,
        responsibilities=None if shares is None else pd.DataFrame(shares, table.index, models),
        fixed_effects=pd.Series(softmax(evidence.sum(0)), models),
        prior=name,
        prior_counts=pd.Series(counts, models),
        method=method,
        log_evidence=table,
        families={str(name): [str(each) for each in families[name]] for name in families}
        if families
        else None,
        log_evidence_unequal=unequal,
        log_evidence_equal=equal,
    )


def approximate(
    evidence: Float[np.ndarray, "subjects models"], prior: Float[np.ndarray, " models"]
) -> tuple[Float[np.ndarray, "subjects models"], float]:
    """Return responsibilities and the lower bound of the log evidence, by variational Bayes.

    Rounds of ``u_nk = L_nk + psi(alpha_k)``, ``g_n = softmax(u_n)`` and ``alpha = prior + sum_n
    g_n`` go on until alpha rests. The constant ``psi(sum alpha)`` cancels in the softmax.
    """
    alpha = prior
    for _ in range(MOST_ROUNDS):
        shares = softmax(evidence + digamma(alpha), axis=1)
        before, alpha = alpha, prior + shares.sum(0)
        if np.max(np.abs(alpha - before)) <= CONVERGED * alpha.sum():
            break
    else:
        warnings.warn("Variational model selection has not converged.", stacklevel=3)
    # E[ln p(y, m, r)] + entropies; those of Dirichlet and prior share their E[ln r] with alpha
    log_r = digamma(alpha) - digamma(alpha.sum())
    likelihood = np.where(shares > 0, shares * np.where(shares > 0, evidence, 0.0), 0.0).sum()
    bound = likelihood - xlogy(shares, shares).sum() + shares.sum(0) @ log_r
    bound += gammaln(prior.sum()) - gammaln(prior).sum() + (prior - alpha) @ log_r
    bound += gammaln(alpha).sum() - gammaln(alpha.sum())
    return shares, float(bound)


def merge(
    components: Float[np.ndarray, "terms families"], weights: Float[np.ndarray, " terms"]
) -> tuple[Float[np.ndarray, "merged families"], Float[np.ndarray, " merged"]]:
    """Return a mixture with equal components put together."""
    _, first, places = np.unique(
        components.round(9), axis=0, return_index=True, return_inverse=True
    )
    return components[first], np.bincount(places.reshape(-1), weights)


def check_evidence(log_evidence: pd.DataFrame | np.ndarray) -> pd.DataFrame:
    """Return log evidence as a table with models named by text.

    Raises:
        ValueError: it is not that of several models, a column is not a model, or two have the same
            name as text.
    """
    table = pd.DataFrame(log_evidence).copy()
    if table.shape[1] < 2 or not len(table):
        raise ValueError(
            "log_evidence has one row per subject and one column per model, of two models or "
            f"more; got the shape {table.shape}."
        )
    check_model_columns(table)
    is_named = isinstance(log_evidence, pd.DataFrame)
    names = table.columns if is_named else range(1, table.shape[1] + 1)
    table.columns = pd.Index([str(name) for name in names])
    values = table.to_numpy(float)
    if np.isnan(values).any():
        raise ValueError(describe_missing_evidence(table, is_named))
    if np.isposinf(values).any() or np.isneginf(values).all(1).any():
        raise ValueError(
            "log_evidence must be finite; -inf may stand for a model that a subject rules out, "
            "but not for all models."
        )
    if table.columns.duplicated().any():
        raise ValueError(f"Two models have the same name: {list(table.columns)}.")
    return table


def describe_missing_evidence(table: pd.DataFrame, is_named: bool) -> str:
    """Return for which subjects and models log evidence is NaN, and how to leave them out."""
    is_missing = np.isnan(table.to_numpy(float))
    rows = np.array(table.index)[is_missing.any(1)].tolist()
    whose = name_subjects(rows) if is_named else f"rows (from 0) {name_ids(rows)}"
    models = ", ".join(np.array(table.columns)[is_missing.any(0)])
    known = ".dropna()" if is_named else "[~np.isnan(log_evidence).any(axis=1)]"
    return (
        f"log_evidence is NaN for {whose}, of the models {models}: their evidence is not known. "
        f"Leave these subjects out: log_evidence{known}."
    )


def check_families(
    families: Families | None, models: Sequence[str]
) -> Float[np.ndarray, "families models"]:
    """Return which model is in which family, as 0 and 1; each is its own if `families` is None."""
    if families is None:
        return np.eye(len(models))
    listed = [str(model) for family in families.values() for model in family]
    if len(families) < 2 or sorted(listed) != sorted(models):
        raise ValueError(
            f"families must be two or more, with each of the models {list(models)} in one of them; "
            f"got {dict(families)}."
        )
    if any(isinstance(family, str) or not len(family) for family in families.values()):
        raise ValueError(f"A family is a list of one model or more; got {dict(families)}.")
    named = [{str(model) for model in family} for family in families.values()]
    return np.array([[float(model in family) for model in models] for family in named])


def make_prior(
    prior: Prior, members: Float[np.ndarray, "families models"]
) -> tuple[Float[np.ndarray, " models"], str]:
    """Return the prior counts of each model, and the name of the prior."""
    n_families, n_models = members.shape
    if isinstance(prior, str):
        if prior not in PRIORS:
            raise ValueError(describe_unknown("prior", prior, PRIORS))
        per_family = (members / members.sum(1, keepdims=True)).sum(0)
        return (per_family if prior == "spm" else per_family / n_families), prior
    counts = np.asarray(prior, float)
    if counts.ndim > 1 or (counts.ndim and len(counts) != n_models):
        raise ValueError(f"prior is a number or one per model ({n_models}); got {prior!r}.")
    counts = np.broadcast_to(counts, (n_models,)).copy()
    if not (np.isfinite(counts).all() and (counts > 0).all()):
        raise ValueError(f"prior counts must be positive; got {prior!r}.")
    return counts, "numbers"
