"""What the analyses of this room check and prepare: losses, estimates and scales of fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxcmr._differences import evaluate
from jaxcmr.fitting import FitProblem
from jaxcmr.fitting._problem import check_problem
from jaxcmr.fitting._search_space import choose_scales
from jaxcmr.fitting._trials import to_rows
from jaxcmr.fitting._watchers import make_bar
from jaxcmr.names import describe_unknown
from jaxcmr.optimize import check_not_forked, in_double, works_in_double
from jaxcmr.optimize._lanes import count_cores
from jaxcmr.parameters import ParameterSpace
from jaxcmr.results import FitResult
from jaxcmr.typing import LossFn, Subject

__all__ = [
    "Fits",
    "Hold",
    "choose_fits",
    "choose_parameters",
    "in_threads",
    "prepare",
    "stack_rows",
]

T = TypeVar("T")


class Fits(NamedTuple):
    """Fits to be worked on: losses of equal shapes, and estimates on the scales of the search."""

    names: tuple[str, ...]
    scales: tuple[str, ...]
    space: ParameterSpace  # in double precision
    subjects: list[Subject]
    rows: list[np.ndarray]  # of each fit's trials
    losses: list[LossFn]
    estimates: Float[np.ndarray, "fits n"]  # in the user's units
    places: Float[np.ndarray, "fits n"]  # in the unit cube
    at_estimates: Float[np.ndarray, " fits"]  # losses, in double precision

    def to_user(self, places: Float[np.ndarray, "points n"]) -> Float[np.ndarray, "points n"]:
        """Return the parameters at places of the unit cube."""
        with jax.enable_x64(True):
            return np.array(from_unit(self.space, places.T)).T


def prepare(
    problem: FitProblem,
    result: FitResult,
    subjects: Subject | Iterable[Subject] | None = None,
    *,
    check: bool = True,
) -> Fits:
    """Return the fits of some subjects (all by default), ready to be worked on.

    Args:
        problem: what was fitted.
        result: fits of `problem`.
        subjects: whose fits.
        check: compare losses at the estimates with those of the result.

    Raises:
        ValueError: the loss is not a log-likelihood, has no gradient or cannot be computed in
            double precision; the result does not say which trials were fitted, or is of other
            parameters; its losses are not those of the problem; or it has no fit of a subject.
    """
    check_not_forked()
    check_likelihood(check_problem(problem))
    result = choose_fits(result, subjects)
    if result.get("trials") is None:
        raise ValueError("The result does not say which trials of the data were fitted.")
    for name in problem.free_names:
        if name not in result["fits"]:
            raise ValueError(describe_unknown("parameter", name, result["fits"]))
    if not result["trials"]:
        raise ValueError("The result has no fits.")
    rows = [to_rows(ranges) for ranges in result["trials"]]
    losses = [problem.loss_of(of_fit) for of_fit in stack_rows(rows)]
    if not works_in_double(losses[0], len(problem.free_names)):
        raise ValueError("The loss cannot be computed in double precision.")
    scales = choose_scales("auto", problem.bounds, problem.scales)
    with jax.enable_x64(True):
        space = ParameterSpace.make(problem.bounds, scales)
        estimates = np.array([result["fits"][name] for name in scales], float).T
        places = np.array([space.to_unit(x.tolist()) for x in estimates])
        doubles = in_double(losses)
        found = [
            evaluate(loss, space, place[None], x, n_columns=1)[0]
            for loss, place, x in zip(doubles, places, estimates, strict=True)
        ]
    if check:
        check_estimates(result, problem, estimates, np.array(found))
    return Fits(
        tuple(scales),
        tuple(scales.values()),
        space,
        np.asarray(result["fits"]["subject"], object).tolist(),
        rows,
        losses,
        estimates,
        places,
        np.array(found),
    )


def choose_fits(result: FitResult, subjects: Subject | Iterable[Subject] | None) -> FitResult:
    """Return the fits of some subjects; all by default.

    Raises:
        ValueError: `result` is not that of a fit, or it has no fit of a subject.
    """
    if not isinstance(result, Mapping) or not {"fits", "fitness"} <= result.keys():
        raise ValueError(
            "result must be that of a fit, such as jaxcmr.fit returns and FitResult.load reads; "
            f"got {type(result).__name__}."
        )
    return FitResult(result) if subjects is None else FitResult(result).select(subjects)


def check_likelihood(problem: FitProblem) -> None:
    """Check that a loss is a negative log-likelihood with a gradient.

    Raises:
        ValueError: it is not.
    """
    label = problem.generator.label
    if label != "NLL":
        raise ValueError(
            f"Uncertainty takes a negative log-likelihood in nats; this loss is {label!r}. Fit "
            'with loss="sequence_likelihood", or set `label = "NLL"` in a likelihood of your own.'
        )
    if not problem.differentiable:
        raise ValueError("The loss has no gradient, hence no curvature: it simulates recall.")


def check_estimates(
    result: FitResult,
    problem: FitProblem,
    estimates: Float[np.ndarray, "fits n"],
    losses: Float[np.ndarray, " fits"],
) -> None:
    """Check that estimates are in the bounds, and their losses those that the result has.

    Raises:
        ValueError: they are not: the result is of another problem.
    """
    bounds = np.array(list(problem.bounds.values()), float)
    slack = 1e-6 * (bounds[:, 1] - bounds[:, 0])
    is_outside = (estimates < bounds[:, 0] - slack) | (estimates > bounds[:, 1] + slack)
    recorded = np.asarray(result["fitness"], float)
    allowed = problem.generator.agree_within + 1e-5 * np.abs(recorded)  # of single precision
    is_other = ~(np.abs(losses - recorded) <= allowed)
    for row, subject in enumerate(result["fits"]["subject"]):
        if is_outside[row].any():
            name = list(problem.bounds)[int(np.argmax(is_outside[row]))]
            raise ValueError(
                f"The estimate of {name!r} for subject {subject} is outside the bounds of this "
                f"problem, {problem.bounds[name]}: the result is of another problem."
            )
        if is_other[row]:
            raise ValueError(
                f"The loss at the estimates of subject {subject} is {losses[row]:.4f} here, but "
                f"{recorded[row]:.4f} in the result: it is of other data, another model or other "
                "options. Make the problem with FitProblem.from_result(result, data)."
            )


def choose_parameters(parameters: str | Iterable[str] | None, names: Sequence[str]) -> list[str]:
    """Return the parameters that were asked for; all by default.

    Raises:
        ValueError: a name is not that of a free parameter, or no name is given.
    """
    if parameters is None:
        return list(names)
    if not isinstance(parameters, Iterable) or not parameters:
        raise ValueError(f"parameters must be names of parameters; got {parameters!r}.")
    wanted = [parameters] if isinstance(parameters, str) else list(parameters)
    for name in wanted:
        if name not in names:
            raise ValueError(describe_unknown("parameter", name, names))
    return wanted


@eqx.filter_jit
def from_unit(space: ParameterSpace, z: np.ndarray) -> Array:
    """Return the parameters at `z`, in one program in place of one per operation."""
    return space.from_unit(jnp.asarray(z))


def stack_rows(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Return rows of several fits, (fits, most rows), padded with -1. Rows may occur twice."""
    most = max(len(of_fit) for of_fit in rows)
    return np.array([np.pad(each, (0, most - len(each)), constant_values=-1) for each in rows])


class Hold(eqx.Module):
    """The way from the unit cube to parameters, with one of them held at a place."""

    space: ParameterSpace
    index: np.ndarray  # of the parameter; -1: none is held
    value: np.ndarray

    def __call__(self, z: Float[Array, "n points"]) -> Float[Array, "n points"]:
        """Return the parameters at places `z`, in which that of the held one does not count."""
        is_held = (jnp.arange(len(z)) == self.index)[:, None]
        return self.space.from_unit(jnp.where(is_held, jnp.asarray(self.value, z.dtype), z))


def in_threads(
    work: Callable[[int], T], count: int, what: str = "", progress: bool = False
) -> list[T]:
    """Return ``work(0), work(1), ...``, from as many threads as there are cores.

    Args:
        work: for each subject.
        count: of subjects.
        what: words for the progress bar.
        progress: show one.
    """
    found = []
    with (
        ThreadPoolExecutor(min(count, count_cores())) as pool,
        make_bar(count, what, "subject", progress) as bar,
    ):
        for each in pool.map(work, range(count)):
            found.append(each)
            bar.update()
    return found
