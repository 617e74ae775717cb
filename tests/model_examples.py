"""Data and parameter values that every model of `MODELS` can be tried on."""

from typing import Any

import numpy as np
import pytest

from jaxcmr.models import MODELS, usual_bounds
from jaxcmr.parameters import ParameterSpace

PARAMETERS = {
    "encoding_drift_rate": 0.8,
    "start_drift_rate": 0.1,
    "recall_drift_rate": 0.85,
    "learning_rate": 0.4,
    "shared_support": 2.0,
    "item_support": 3.0,
    "primacy_scale": 3.0,
    "primacy_decay": 0.8,
    "choice_sensitivity": 5.0,
    "stop_probability_scale": 0.02,
    "stop_probability_growth": 0.4,
}
"""Parameters of textbook CMR in the middle of what fits find."""

OTHERS = {
    "encoding_drift_decrease": 0.9,
    "choice_temperature": 2.0,
    "mcf_trace_sensitivity": 1.5,
    "semantic_scale": 0.5,
    "source_drift_rate": 0.6,
    "emotion_scale": 2.0,
    "out_list_rate": 0.4,
    "item_sensitivity_max": 2.0,
    "item_sensitivity_decrease": 0.8,
}
"""The same of parameters that textbook CMR does not have."""

NOT_A_DISTRIBUTION = ("gunn_polyn_2025_context_stop",)
"""Models published with probabilities that do not sum to one."""

MAY_REPEAT = ("confusable_cru",)
"""Models that may recall an item again."""

COMBINATIONS = (
    "cmr_no_stop",
    "cru",
    "cru_cmr_context_stop",
    "gunn_polyn_2025",
    "cmr3",
    "positional_cmr",
)
"""Models whose parts are all in others of the catalogue: costly tests try them in full only."""

MODELS_IN_FULL = [
    pytest.param(name, marks=pytest.mark.full) if name in COMBINATIONS else name for name in MODELS
]
"""Every model, for `pytest.mark.parametrize`; combinations of parts with the mark "full"."""


def parameters_of(name: str) -> dict[str, float]:
    """Return parameters in the middle of what fits find."""
    known = {**PARAMETERS, **OTHERS}
    return {
        parameter: known.get(parameter, (low + high) / 2)
        for parameter, (low, high) in usual_bounds(name).items()
    }


def random_parameters(name: str, n_sets: int, seed: int) -> dict[str, np.ndarray]:
    """Return `n_sets` values of each parameter, uniform inside the usual bounds.

    Three in ten are on a bound, as far as single precision can hold it: 1 - 2e-16 would be 1.
    """
    bounds = usual_bounds(name)
    space = ParameterSpace.make(bounds, dict.fromkeys(bounds, "linear"))
    rng = np.random.default_rng(seed)
    share, edge = rng.random((2, n_sets, len(bounds)))
    share = np.where(edge < 0.15, 0.0, np.where(edge > 0.85, 1.0, share))
    values = np.float32(space.low + share * (space.high - space.low)).astype(float)
    return dict(zip(bounds, values.T, strict=True))


def example_of(
    name: str, n_items: int, n_trials: int
) -> tuple[dict[str, np.ndarray], Any, dict[str, float]]:
    """Return lists of `n_items` different items without recalls, features, and parameters."""
    items = np.tile(np.arange(1, n_items + 1), (n_trials, 1))
    data = {
        "subject": np.ones((n_trials, 1), int),
        "listLength": np.full((n_trials, 1), n_items),
        "pres_itemnos": items,
        "pres_itemids": items,
        "recalls": np.zeros((n_trials, n_items), int),
        "valence": items % 2,
    }
    features = np.random.default_rng(0).random((n_items, n_items))
    if name == "confusable_cru":
        np.fill_diagonal(features, 0.0)
    reads_features = name == "confusable_cru" or name.startswith("semantic")
    return data, features if reads_features else None, parameters_of(name)
