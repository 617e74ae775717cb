"""Draws from a posterior in the form that ArviZ reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from jaxcmr._version import __version__
from jaxcmr.bayes._log_density import check_likelihood
from jaxcmr.fitting import FitProblem, make_subject_trial_masks
from jaxcmr.fitting._trials import stack_trials
from jaxcmr.names import describe_missing, describe_unknown
from jaxcmr.typing import TrialMask

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["to_datatree"]

Draws = Float[np.ndarray, "chains draws ..."]

OF_GROUP: Mapping[str, tuple[str, ...]] = {
    "group_mean": ("parameter",),
    "group_sd": ("parameter",),
    "offset": ("subject", "parameter"),
    "z": ("subject", "parameter"),
}
"""Axes of the variables of `numpyro_model` after chain and draw; of others they are numbered."""


def to_datatree(
    problem: FitProblem,
    samples: Mapping[str, np.ndarray],
    trial_mask: TrialMask | None = None,
    *,
    sample_stats: Mapping[str, np.ndarray] | None = None,
    thin: int = 1,
    seed: int | None = None,
) -> xr.DataTree:
    """Return draws as an `xarray.DataTree`, which ArviZ 0.23 and 1.x read.

    Groups: ``posterior``; ``log_likelihood``, by list, for `arviz.loo`; ``observed_data`` (recalls)
    and ``constant_data`` (the lists); and ``sample_stats`` if given. A list is a row of the data,
    never padding; its coordinates say of which subject it is. The extra "bayes" holds xarray.

    Args:
        problem: what was sampled.
        samples: by name. Parameters of the problem are (chains, draws, subjects), or (chains,
            draws) for a single subject, in ascending order of subject id, as
            ``mcmc.get_samples(group_by_chain=True)`` has those of `numpyro_model`.
        trial_mask: the trials that were sampled from; all by default.
        sample_stats: (chains, draws) each, such as ``mcmc.get_extra_fields(group_by_chain=True)``.
        thin: keep every so many draws: the log likelihood of each takes time.
        seed: of the sampler, for the record.

    Raises:
        ValueError: a parameter is missing or of another shape.
        ImportError: xarray is not installed.

    >>> data = {"subject": [1, 1], "listLength": [3, 3], "pres_itemnos": [[1, 2, 3]] * 2,
    ...         "recalls": [[3, 1, 0], [2, 0, 0]]}
    >>> problem = FitProblem(data, "cmr", "sequence_likelihood")
    >>> draws = {name: np.full((1, 2), 0.5) for name in problem.free_names}
    >>> tree = to_datatree(problem, draws)
    >>> dict(tree["log_likelihood"].sizes)
    {'chain': 1, 'draw': 2, 'list': 2}
    """
    try:
        import xarray as xr
    except ImportError as error:
        raise ImportError(describe_missing("Draws for ArviZ", "xarray", "bayes")) from error
    check_likelihood(problem)
    mask = np.ones(len(problem.subjects), bool) if trial_mask is None else trial_mask
    masks, subjects = make_subject_trial_masks(mask, problem.subjects)
    kept = [
        (subject, own) for subject, own in zip(subjects.tolist(), masks, strict=True) if own.any()
    ]
    ids = [subject for subject, _ in kept]
    thinned = {name: np.asarray(values)[:, ::thin] for name, values in samples.items()}
    draws = {**thinned, **draws_of(thinned, problem.free_names, len(ids))}
    rows = stack_trials([own for _, own in kept])
    by_list = log_likelihood_by_list(problem, draws, rows)
    lists = rows[rows >= 0]
    owners = np.repeat(ids, np.sum(rows >= 0, axis=1))
    of_list = {"list": lists, "subject_of_list": ("list", owners)}
    coords = {"subject": ids, "parameter": problem.free_names}
    posterior = {
        name: (("chain", "draw", *axes_of(name, values, problem.free_names)), values)
        for name, values in draws.items()
    }
    used = {axis for axes, _ in posterior.values() for axis in axes}
    own = {axis: values for axis, values in coords.items() if axis in used}
    numbered = {
        axis: np.arange(n) for axis, n in zip(("chain", "draw"), by_list.shape, strict=False)
    }
    groups = {
        "posterior": xr.Dataset(posterior, {**own, **numbered}),
        "log_likelihood": xr.Dataset(
            {"recalls": (("chain", "draw", "list"), by_list)}, {**of_list, **numbered}
        ),
        "observed_data": dataset_of(problem, ("recalls",), lists, of_list),
        "constant_data": dataset_of(problem, ("pres_itemnos", "listLength"), lists, of_list),
    }
    if sample_stats:
        stats = {
            name: (("chain", "draw"), np.asarray(values)[:, ::thin])
            for name, values in sample_stats.items()
            if np.ndim(values) == 2
        }
        groups["sample_stats"] = xr.Dataset(stats, numbered)
    about = {
        "creation_library": "jaxcmr",
        "creation_library_version": __version__,
        "data_fingerprint": problem.data_fingerprint,
        "problem_fingerprint": problem.fingerprint,
    }
    tree = xr.DataTree.from_dict(groups)
    tree.attrs.update(about if seed is None else {**about, "seed": seed})
    return tree


def draws_of(
    samples: Mapping[str, np.ndarray], names: list[str], n_subjects: int
) -> dict[str, np.ndarray]:
    """Return the draws of each free parameter, (chains, draws, subjects).

    Raises:
        ValueError: one is missing, or of another shape.
    """
    found = {}
    for name in names:
        if name not in samples:
            raise ValueError(
                f"The samples lack a parameter. {describe_unknown('parameter', name, samples)}"
            )
        values = samples[name]
        if values.ndim == 2 and n_subjects == 1:
            values = values[:, :, None]
        if values.ndim != 3 or values.shape[2] != n_subjects:
            raise ValueError(
                f"Draws of {name!r} have shape {values.shape}: give (chains, draws, subjects), "
                f"with {n_subjects} subject(s). (NumPyro: mcmc.get_samples(group_by_chain=True).)"
            )
        found[name] = values
    return found


def axes_of(name: str, values: np.ndarray, parameters: list[str]) -> tuple[str, ...]:
    """Return the names of the axes of a variable after chain and draw."""
    axes = ("subject",) if name in parameters else OF_GROUP.get(name, ())
    if len(axes) == values.ndim - 2:
        return axes
    return tuple(f"{name}_dim_{axis}" for axis in range(values.ndim - 2))


def log_likelihood_by_list(
    problem: FitProblem, draws: Mapping[str, np.ndarray], rows: np.ndarray
) -> Float[np.ndarray, "chains draws lists"]:
    """Return ``log P`` (nats) of the recalls of each list under each draw.

    `rows` are those of each subject, (subjects, most lists), padded with -1.
    """
    n_chains, n_draws, _ = draws[problem.free_names[0]].shape
    columns = []
    for place, own in enumerate(rows):  # rows of equal length: one compiled program
        values = {name: draws[name][:, :, place].reshape(-1) for name in problem.free_names}
        by_event = problem.generator.pointwise_log_likelihood(own, {**problem.fixed, **values})
        columns.append(by_event.sum(axis=-1)[:, own >= 0])
    return np.concatenate(columns, axis=1).reshape(n_chains, n_draws, -1)


def dataset_of(
    problem: FitProblem, fields: tuple[str, ...], lists: np.ndarray, of_list: Mapping[str, object]
) -> xr.Dataset:
    """Return fields of the data as a dataset with one row per list."""
    import xarray as xr

    variables = {}
    for field in fields:
        if field in problem.dataset:
            values = np.asarray(problem.dataset[field])[lists]
            is_one = values.ndim == 2 and values.shape[1] == 1
            axes = ("list",) if is_one else ("list", f"{field}_position")
            variables[field] = (axes, values[:, 0] if is_one else values)
    return xr.Dataset(variables, dict(of_list))
