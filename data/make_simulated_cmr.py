"""Makes simulated_cmr.h5 and simulated_cmr_parameters.json: recalls of a known origin.

Run from the repository: ``python data/make_simulated_cmr.py``.
"""

import json
from pathlib import Path

import numpy as np

from jaxcmr.datasets import save_data
from jaxcmr.models import MODELS
from jaxcmr.simulation import simulate_dataset

HERE = Path(__file__).parent
N_SUBJECTS, N_LISTS, LIST_LENGTH = 12, 30, 12

# Uniform ranges from which each subject's parameters are drawn.
RANGES = {
    "encoding_drift_rate": (0.5, 0.95),
    "start_drift_rate": (0.02, 0.4),
    "recall_drift_rate": (0.7, 0.95),
    "learning_rate": (0.2, 0.7),
    "shared_support": (0.5, 5.0),
    "item_support": (1.0, 6.0),
    "primacy_scale": (0.5, 5.0),
    "primacy_decay": (0.5, 1.5),
    "choice_sensitivity": (2.0, 8.0),
    "stop_probability_scale": (0.005, 0.03),
    "stop_probability_growth": (0.2, 0.5),
}


def main() -> None:
    rng = np.random.default_rng(2025)
    fits = {name: rng.uniform(*ends, N_SUBJECTS).round(3).tolist() for name, ends in RANGES.items()}
    fits["subject"] = list(range(1, N_SUBJECTS + 1))
    n_trials = N_SUBJECTS * N_LISTS
    item_ids = np.stack([rng.permutation(500)[:LIST_LENGTH] + 1 for _ in range(n_trials)])
    lists = {
        "subject": np.repeat(fits["subject"], N_LISTS)[:, None],
        "list": np.tile(np.arange(1, N_LISTS + 1), N_SUBJECTS)[:, None],
        "listLength": np.full((n_trials, 1), LIST_LENGTH),
        "pres_itemnos": np.tile(np.arange(1, LIST_LENGTH + 1), (n_trials, 1)),
        "pres_itemids": item_ids,
        "recalls": np.zeros((n_trials, LIST_LENGTH), int),
    }
    simulated = simulate_dataset(MODELS["cmr"], lists, fits, seed=2025)
    del simulated["copy"]  # each list is recalled once
    save_data(simulated, HERE / "simulated_cmr.h5")
    text = json.dumps(fits, indent=1)
    (HERE / "simulated_cmr_parameters.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
