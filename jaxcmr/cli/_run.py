"""One run: settings in, a folder with the result out."""

from __future__ import annotations

import itertools
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
from typing import Any, cast

import jax
import numpy as np

from jaxcmr._cache import COMPILED
from jaxcmr._result_words import count_of
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
    path = None
    with claim_folder(config, wanted) as out, ended_by_terminate():
        try:
            write_config(out / "config.toml", config)
            print(
                f"Fitting {config['model']} by {config['loss']} to "
                f"{count_of(plan.n_subjects, 'subject')}, {plan.trial_mask.sum()} trials of "
                f"{config['data']}."
            )
            result, error = search(plan)
            if error is None or result["fitness"]:
                with no_interruption():
                    path = save(FitResult({**result, "run": describe_run(config)}), out)
            if error is not None:
                if path is not None:
                    print(f"The subjects that were done before an error are in {path}.")
                raise error
            return report(plan, result, path or out)
        except KeyboardInterrupt:
            if path is None:
                raise
            print(
                f"jaxcmr: interrupted after the fits were written to {path}: only the figure is "
                "missing",
                file=sys.stderr,
            )
            return 130


def search(plan: Plan) -> tuple[FitResult, Exception | None]:
    """Return what a run finds, and the error that ended it before its end, if any.

    Errors and interruptions carry the fits of the subjects that were done.
    """
    try:
        return plan.run(), None
    except FitInterrupted as interruption:
        return interruption.result, None
    except Exception as error:
        nothing = FitResult(fitness=[], fits={})
        return cast(FitResult, getattr(error, "result", nothing)), error


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

    A result that lacks subjects that an earlier one of the same run holds goes into a file beside.
    """
    others = (f"result.interrupted{'' if i == 1 else f'-{i}'}.json" for i in itertools.count(1))
    for name in itertools.chain(["result.json"], others):
        try:
            record.save(out / name, overwrite=not record["interrupted"])
            return out / name
        except ValueError:
            continue
    raise AssertionError("there is always another name")


def report(plan: Plan, result: FitResult, path: Path) -> int:
    """Print the table and the verdict, draw the figure, and return the exit status."""
    if result["fitness"]:
        print(f"\n{result.to_text()}\n\n{result.verdict()}")
        draw(plan, result, path.parent / "spc.png")
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
def ended_by_terminate() -> Iterator[None]:
    """Let a request to terminate, as a scheduler sends it, end the block as Ctrl-C would."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def no_interruption() -> Iterator[None]:
    """Let Ctrl-C wait until the block has ended: a file that is being written would be lost."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[Any] = []
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(each, lambda *event: waiting.append(event)) for each in signals]
    try:
        yield
    finally:
        for each, handler in zip(signals, before, strict=True):
            signal.signal(each, handler)
    if waiting:
        raise KeyboardInterrupt
