"""One run: settings in, a folder with the result out."""

from __future__ import annotations

import platform
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxcmr._cache import COMPILED
from jaxcmr.cli._config import write_config
from jaxcmr.cli._figure import save_spc_figure
from jaxcmr.cli._folder import claim_folder
from jaxcmr.front import Plan, make_plan
from jaxcmr.results import FitInterrupted, FitResult

__all__ = ["COMPILED", "run"]

PACKAGES = ("jaxcmr", "jax", "jaxlib", "equinox", "numpy", "scipy", "pandas")


def run(settings: Mapping[str, Any], wanted: Path | None) -> int:
    """Fit, print the table and a verdict, and write ``config.toml``, ``result.json``, ``spc.png``.

    Args:
        settings: arguments of `jaxcmr.fit`, and perhaps the fingerprint of the data.
        wanted: the folder to write into; by default one named after the run.

    Returns:
        The exit status: 130 if the run was interrupted, else 0.

    Raises:
        ValueError: the settings do not fit the data or the model, or the folder is taken.
    """
    plan = plan_run(settings)
    config = {**plan.settings, "data_fingerprint": plan.problem.data_fingerprint}
    with claim_folder(config, wanted) as out:
        write_config(out / "config.toml", config)
        print(
            f"Fitting {config['model']} by {config['loss']} to {plan.n_subjects} subjects, "
            f"{plan.trial_mask.sum()} trials of {config['data']}."
        )
        try:
            result = plan.run()
        except FitInterrupted as interruption:
            result = interruption.result
        record = FitResult({**result, "run": describe_run(config)})
        with no_interruption():
            path = save(record, out)
        return report(plan, result, path)


def plan_run(settings: Mapping[str, Any]) -> Plan:
    """Return the plan of a run; a ValueError if data are missing or not those of the settings."""
    arguments = {k: v for k, v in settings.items() if k != "data_fingerprint"}
    if arguments.get("data") is None:
        raise ValueError(
            "Name the data: an .h5 or .csv file, or a bundled data set (jaxcmr fit DATA)."
        )
    if arguments.get("loss") == "summary_mse":
        raise ValueError("summary_mse takes a function of yours; use it from Python.")
    plan = make_plan(**arguments)
    expected = settings.get("data_fingerprint")
    if expected is not None and expected != plan.problem.data_fingerprint:
        raise ValueError(
            f"{arguments['data']} has changed since the configuration was written: its fingerprint "
            f"is {plan.problem.data_fingerprint}, in place of {expected}. Remove data_fingerprint "
            "from the configuration to fit the data as they are now."
        )
    return plan


def save(record: FitResult, out: Path) -> Path:
    """Write a result into a folder, and return where.

    An interrupted run that would replace more subjects than it has goes into a file beside.
    """
    path = out / "result.json"
    try:
        record.save(path, overwrite=not record["interrupted"])
    except ValueError:
        path = out / "result.interrupted.json"
        record.save(path, overwrite=True)
    return path


def report(plan: Plan, result: FitResult, path: Path) -> int:
    """Print the table and the verdict, draw the figure, and return the exit status."""
    try:
        if result["fitness"]:
            print(f"\n{result.to_text()}\n\n{result.verdict()}")
            draw(plan, result, path.parent / "spc.png")
    except KeyboardInterrupt:
        print(
            f"jaxcmr: interrupted while the figure was drawn: only the figure is missing; the fits "
            f"are in {path}",
            file=sys.stderr,
        )
        return 130
    if result["interrupted"]:
        n_done, n_fits = len(result["fitness"]), 1 if plan.pooled else plan.n_subjects
        print(f"Interrupted with {n_done} of {n_fits} subjects done; their fits are in {path}.")
        return 130
    print(f"Fitted in {result['fit_time']:.1f} s. Result and configuration are in {path.parent}/")
    return 0


def draw(plan: Plan, result: FitResult, path: Path) -> None:
    """Draw the figure, or say what it takes to."""
    mask = plan.trial_mask
    if not plan.pooled:
        mask = mask & np.isin(plan.problem.subjects, result["fits"]["subject"])
    try:
        save_spc_figure(plan.problem, mask, result, path)
    except ImportError:
        print('No figure: it needs matplotlib (pip install "jaxcmr[demo]").', file=sys.stderr)


def describe_run(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what it takes to repeat a run, as JSON; earlier results by fingerprint."""
    return {
        "config": {name: value for name, value in config.items() if value is not None},
        "start_from": [
            f"sha256:{sha256(Path(path).read_bytes()).hexdigest()}" for path in config["start_from"]
        ],
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "platform": {"system": platform.platform(), "device": jax.devices()[0].device_kind},
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@contextmanager
def no_interruption() -> Iterator[None]:
    """Let Ctrl-C wait until the block has ended: a file that is being written would be lost."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[Any] = []
    before = signal.signal(signal.SIGINT, lambda *event: waiting.append(event))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if waiting:
        raise KeyboardInterrupt
