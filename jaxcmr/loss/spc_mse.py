"""Mean squared error between observed and simulated serial position curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxcmr.loss._curves import CurveMse, Curves, studied_positions
from jaxcmr.loss._simulated import SimulatedGenerator, Simulator
from jaxcmr.typing import MemorySearchFactory, Parameters, RecallDataset

__all__ = ["MemorySearchSpcMseFnGenerator"]


class MemorySearchSpcMseFnGenerator(SimulatedGenerator):
    """Makes serial-position-curve losses of sets of trials of one data set (a `LossFnGenerator`).

    Args:
        model_factory: name of a model, or ``(dataset, features) -> factory``.
        dataset: recall data.
        features: passed to `model_factory`.
        n_simulations: simulated recalls of each trial, each cut off at the number of recalls
            observed there. A generation of a fit takes about as many times longer than one by
            sequence likelihood.
        seed: of the simulations' random draws.

    Raises:
        ValueError: `n_simulations` is less than 1.
    """

    def __init__(
        self,
        model_factory: str | Callable[..., MemorySearchFactory],
        dataset: RecallDataset,
        features: Any = None,
        *,
        n_simulations: int = 20,
        seed: int = 0,
    ) -> None:
        self.simulate = Simulator(model_factory, dataset, features, n_simulations, seed)
        self.curves = Curves(self.simulate, studied_positions(dataset["listLength"]))

    def __call__(
        self,
        trial_indices: np.ndarray,
        base_params: Parameters,
        free_param_names: Sequence[str],
    ) -> CurveMse:
        """The loss over `trial_indices` (0-based rows; -1 is "no trial" and adds nothing)."""
        return self.curves(trial_indices, base_params, free_param_names)
