"""One run: a complete configuration in, a folder with the result out."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
import tomli_w

from jaxcmr.cli._config import FITTERS
from jaxcmr.cli._report import format_table, save_spc_figure
from jaxcmr.datasets import (
    BUNDLED,
    fingerprint,
    generate_trial_mask,
    load_bundled,
    load_data,
    select_trials,
)
from jaxcmr.fitting import FitInterrupted
from jaxcmr.loss import LOSSES
from jaxcmr.models import MODELS
from jaxcmr.names import did_you_mean
from jaxcmr.typing import FitResult, RecallDataset, TrialMask

__all__ = ["run"]

COMPILED = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "jaxcmr").expanduser()
"""Where compiled programs are kept from run to run, unless JAX_COMPILATION_CACHE_DIR says so."""
WORTH_KEEPING = 0.2  # seconds of compiling
PACKAGES = ("jaxcmr", "jax", "jaxlib", "equinox", "numpy", "scipy")


def run(config: Mapping[str, Any], out: Path) -> int:
    """Fits each subject, prints the table, and writes ``config.toml``, ``result.json`` and
    ``spc.png`` into `out`. Returns the exit status: 130 if the fit was interrupted, else 0.

    Raises:
        ValueError: the configuration does not fit the data or the model.
    """
    jax.config.update("jax_enable_x64", config["precision"] == "float64")
    keep_compiled()
    data = load(config["data"])
    features = load_features(config["features"])
    starts = [load_result(path) for path in config["start_from"]]
    mask = choose_trials(data, config)
    fitter = FITTERS[config["fitter"]](
        data,
        features,
        config["fixed"],
        MODELS[config["model"]],
        partial(LOSSES[config["loss"]], **config["loss_options"]),
        {**config["hyperparameters"], "bounds": config["bounds"]},
    )
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.toml").write_text(tomli_w.dumps(dict(config)), encoding="utf-8")
    n_subjects = len(np.unique(data["subject"][mask]))
    print(
        f"Fitting {config['model']} by {config['loss']} to {n_subjects} subjects, "
        f"{mask.sum()} trials of {config['data']}."
    )
    status = 0
    try:
        result = fitter.fit_subjects(mask, start_from=starts)
    except FitInterrupted as interruption:
        print(f"\nInterrupted: {interruption}".replace("this exception's `result`", str(out)))
        result, status = interruption.result, 130
    record = {**result, "run": describe_run(config, select_trials(data, mask), features)}
    path = out / "result.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if result["fitness"]:
        print(format_table(result, config["loss"]))
        report_figure(data, features, mask, config["model"], result, out / "spc.png")
    print(f"Fitted in {result['fit_time']:.1f} s. Result and configuration are in {out}/")
    return status


def keep_compiled() -> None:
    """Lets later runs of the command line find what this one compiles."""
    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", str(COMPILED))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", WORTH_KEEPING)


def load(name: str) -> RecallDataset:
    """The data set `name`: an HDF5 file, or a bundled one."""
    if name in BUNDLED and not Path(name).exists():
        return load_bundled(name)
    if not Path(name).exists() and not Path(name).suffix:
        raise ValueError(
            f"'{name}' is no file and no bundled data set. {did_you_mean(name, BUNDLED)}"
        )
    return load_data(name)


def load_features(path: str) -> np.ndarray | None:
    """The features in an .npy file, or in a table of numbers with commas; None for no path."""
    if not path:
        return None
    try:
        return np.load(path) if path.endswith(".npy") else np.loadtxt(path, delimiter=",", ndmin=2)
    except ValueError as error:
        raise ValueError(
            f"{path} holds no features: an array of numbers in .npy, or rows of numbers with "
            f"commas and no header in .csv ({error})."
        ) from error


def load_result(path: str) -> FitResult:
    """The result of an earlier run."""
    try:
        result: Any = json.loads(Path(path).read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no result of a run: not JSON ({error}).") from error
    if not isinstance(result, dict) or "fits" not in result:
        raise ValueError(f"{path} is no result of a run: it has no 'fits'.")
    return cast(FitResult, result)


def choose_trials(data: RecallDataset, config: Mapping[str, Any]) -> TrialMask:
    """The trials of the chosen subjects that meet the query."""
    mask = generate_trial_mask(data, config["query"] or None)
    subjects = np.asarray(data["subject"]).reshape(-1)
    present = np.unique(subjects[mask])
    chosen = config["subjects"]
    if chosen == "all":
        return mask
    if isinstance(chosen, int) and chosen > 0:
        return mask & np.isin(subjects, present[:chosen])
    if isinstance(chosen, list) and chosen:
        for subject in chosen:
            if subject not in present:
                raise ValueError(f"Subject {subject} has no trials; there are {present.tolist()}.")
        return mask & np.isin(subjects, chosen)
    raise ValueError(f"subjects must be 'all', how many, or a list of ids; got {chosen!r}.")


def describe_run(
    config: Mapping[str, Any], used: RecallDataset, features: np.ndarray | None
) -> dict[str, Any]:
    """What it takes to repeat a run, as JSON; files by fingerprint."""
    return {
        "config": dict(config),
        "data": {"trials": len(used["recalls"]), "fingerprint": fingerprint(used)},
        "features": None if features is None else fingerprint({"features": features}),
        "start_from": [
            f"sha256:{sha256(Path(path).read_bytes()).hexdigest()}" for path in config["start_from"]
        ],
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "platform": {"system": platform.platform(), "device": jax.devices()[0].device_kind},
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def report_figure(
    data: RecallDataset,
    features: np.ndarray | None,
    mask: TrialMask,
    model: str,
    result: FitResult,
    path: Path,
) -> None:
    """Draws the figure, or says what it takes to."""
    fitted = np.isin(np.asarray(data["subject"]).reshape(-1), result["fits"]["subject"])
    try:
        save_spc_figure(MODELS[model], data, features, mask & fitted, result["fits"], path)
    except ImportError:
        print('No figure: it needs matplotlib (pip install "jaxcmr[demo]").', file=sys.stderr)
