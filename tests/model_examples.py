"""Data that every model of MODELS can be tried on."""

from typing import Any

import numpy as np

from jaxcmr.models import usual_bounds

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


NOT_A_DISTRIBUTION = ("gunn_polyn_2025_context_stop",)
"""Published with probabilities that do not sum to one."""

MAY_REPEAT = ("confusable_cru",)
"""Models in which what was recalled may be recalled again."""

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
"""Parameters in the middle that textbook CMR does not have."""


def parameters_of(name: str) -> dict[str, float]:
    """Parameters in the middle of what fits find."""
    known = {**PARAMETERS, **OTHERS}
    return {
        parameter: known.get(parameter, (low + high) / 2)
        for parameter, (low, high) in usual_bounds(name).items()
    }


def example_of(
    name: str, n_items: int, n_trials: int
) -> tuple[dict[str, np.ndarray], Any, dict[str, float]]:
    """Lists of `n_items` different items without recalls, features, and parameters."""
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
