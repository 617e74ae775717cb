"""Recall of fitted models, cut off where the loss took the number of recalls as given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from jaxtyping import Int
from numpy.typing import ArrayLike

from jaxcmr.fitting import FitProblem
from jaxcmr.fitting._problem import loss_of_result
from jaxcmr.names import find_named
from jaxcmr.results import FitResult
from jaxcmr.simulation import simulate_dataset
from jaxcmr.typing import Draws, Features, Loss, Model, RecallDataset, Sweep, TrialMask

__all__ = ["CUT_OFF", "check_n_recalls", "count_given_by_result", "simulate_problem"]

CUT_OFF = "The loss takes the number of recalls from the data: the model's lists are cut off there."
"""What figures and files say of such recall."""


def simulate_problem(
    problem: FitProblem,
    result: FitResult,
    trial_mask: TrialMask,
    *,
    n_copies: int = 1,
    seed: int = 0,
    draws: Draws | None = None,
    vary: Sweep | None = None,
    n_recalls: Literal["model"] | ArrayLike | None = None,
) -> dict[str, np.ndarray]:
    """Return recalls that the model of a problem makes, to be compared with its data.

    If the loss takes the number of recalls as given, each list is cut off after as many recalls as
    the subject made in it. Stopping was not fitted then: often it is fixed so that a model recalls
    every item.

    Args:
        problem: data, model and loss.
        result: the estimates.
        trial_mask: (trials,) boolean; trials to simulate.
        n_copies: as for `jaxcmr.simulation.simulate_dataset`; so are `seed`, `draws` and `vary`.
        n_recalls: "model" lets the model decide when to stop, by any loss. Or (trials,) numbers,
            one for each trial of the data: at how many recalls each list is cut off.

    Raises:
        ValueError: `n_recalls` is neither "model" nor whole numbers from 0.
    """
    numbers = problem.count_given_recalls() if n_recalls is None else check_n_recalls(n_recalls)
    return simulate_dataset(
        problem.model,
        problem.dataset,
        result,
        features=problem.features,
        trial_mask=trial_mask,
        n_copies=n_copies,
        seed=seed,
        draws=draws,
        vary=vary,
        n_recalls=numbers,
    )


def check_n_recalls(n_recalls: Literal["model"] | ArrayLike) -> Int[np.ndarray, "..."] | None:
    """Return numbers of recalls at which lists are cut off; None if the model decides.

    Raises:
        ValueError: they are neither "model" nor whole numbers from 0.
    """
    if isinstance(n_recalls, str) and n_recalls == "model":
        return None
    numbers = np.asarray(n_recalls)
    if numbers.dtype.kind not in "iu" or np.any(numbers < 0):
        raise ValueError(
            f'n_recalls is "model", or whole numbers from 0, one per trial; got {n_recalls!r:.80}.'
        )
    return numbers


def count_given_by_result(
    result: Mapping[str, Any],
    dataset: RecallDataset,
    features: Features,
    model: Model,
    loss: Loss | None = None,
) -> Int[np.ndarray, " trials"] | None:
    """Return how many recalls each trial of a data set has, if a result's loss takes it as given.

    None if the loss scores where recall stops, and for a result made by hand that has no loss.

    Args:
        result: of a fit to these data or to others.
        dataset: whose recalls are counted, as the loss counts them.
        features: of the data set, for models that need them.
        model: that of the result.
        loss: the loss with its options, where the result could not name it.

    Raises:
        ValueError: the loss takes the number as given, and has no name or has a function among its
            options.
    """
    if result.get("stops_scored") is True or (loss is None and "loss" not in result):
        return None
    try:
        make, options = loss_of_result(result, loss)
    except ValueError as error:
        raise ValueError(
            f"{error} It says how many recalls of each list are given. Or give the numbers, "
            'n_recalls=..., or let the model decide, n_recalls="model".'
        ) from None
    generator = find_named("loss", make)(find_named("model", model), dataset, features, **options)
    return generator.count_given_recalls(np.arange(len(dataset["recalls"])))
