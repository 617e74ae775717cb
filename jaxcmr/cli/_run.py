"""One fit from the shell: settings in, a folder with the result out."""

from __future__ import annotations

import argparse
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
from typing import Any, Literal, TypeAlias

import jax
import numpy as np

from jaxcmr._result_words import count_of
from jaxcmr.cli._config import format_config
from jaxcmr.cli._figure import FigureWarmUp, save_fit_figure
from jaxcmr.cli._folder import open_folder
from jaxcmr.cli._json import to_json
from jaxcmr.cli._settings import gather_settings
from jaxcmr.diagnostics import diagnose, is_trustworthy, verdict
from jaxcmr.files import write_text
from jaxcmr.fitting._checkpoint import RUNS
from jaxcmr.fitting._journal import Journal
from jaxcmr.front import Plan, make_plan
from jaxcmr.names import describe_missing
from jaxcmr.results import FitInterrupted, FitResult

__all__ = ["fit_to_folder"]

PACKAGES = ("jaxcmr", "jax", "jaxlib", "equinox", "numpy", "scipy", "pandas")


Shown: TypeAlias = Literal["text", "json", "nothing"]
"""What is printed of a fit."""


def fit_to_folder(options: argparse.Namespace) -> int:
    """Fit as the options of ``jaxcmr fit`` say, and return the exit status.

    Raises:
        ValueError: as `run`, or parts would each take a fresh folder.
    """
    if options.fresh and options.part:
        raise ValueError(
            "--fresh does not go with --part: each part would take a folder of its own. Name a new "
            "folder with --out."
        )
    settings = gather_settings(options)
    if options.quiet and options.progress is None:
        settings["progress"] = False
    shown: Shown = "json" if options.json else "nothing" if options.quiet else "text"
    return run(settings, options.out, options.strict, shown, options.part, options.fresh)


def run(
    settings: Mapping[str, Any],
    wanted: Path | None,
    strict: bool = False,
    shown: Shown = "text",
    part: str | None = None,
    fresh: bool = False,
) -> int:
    """Fit, print the table and a verdict, and write ``config.toml``, ``result.json``, ``fit.png``.

    Finished runs are kept in the folder, so that the same command goes on from there.

    Args:
        settings: arguments of `jaxcmr.fit`, and perhaps the fingerprint of the data.
        wanted: the folder to write into; by default one named after data, model and loss.
        strict: whether fits that are not trustworthy count as a failure.
        shown: table and verdict as text, or estimates, losses and trust as JSON.
        part: share of the runs to make first, such as "3/20".
        fresh: take a new folder.

    Returns:
        The exit status: 130 if the fit was interrupted, 1 for such a failure, else 0.

    Raises:
        ValueError: the settings do not fit the data or the model, or the folder is of another fit.
    """
    plan = plan_run(settings)
    config = {**plan.settings, "data_fingerprint": plan.problem.data_fingerprint}
    out = open_folder(config, wanted, fresh)
    with interrupted_by_terminate():
        if shown != "nothing":
            print(
                f"Fitting {config['model']} by {config['loss']} to "
                f"{plan.describe_subjects()}, {plan.trial_mask.sum()} trials of "
                f"{config['data']}.{plan.hint('--subjects {},')}{on_disk(out)}",
                file=sys.stderr,
            )
        warm_up = FigureWarmUp(plan.problem, plan.trial_mask)
        path: Path | None = None
        try:
            result = plan.run(checkpoint=out, part=part, watchers=[warm_up])
            path = save(result, config, out)
            return report(plan, result, path, warm_up, strict, shown)
        except KeyboardInterrupt as interruption:
            done = how_far(interruption, path, out, fresh)
            print(f"jaxcmr: interrupted {done}", file=sys.stderr)
            return 130


def on_disk(out: Path) -> str:
    """Return in words how many runs a folder holds already."""
    n_done = sum(len(part.entries) for part in Journal(out / RUNS, {}).read())
    return f" {count_of(n_done, 'finished run')} in {out} will not be made again." if n_done else ""


def how_far(
    interruption: KeyboardInterrupt, path: Path | None, out: Path, fresh: bool = False
) -> str:
    """Return in words what was done before an interruption, and how to go on."""
    if path is not None:
        return f"after the fits were written to {path}: only the figure is missing"
    command = (
        f"the same command with --out {out}, without --fresh," if fresh else "the same command"
    )
    go_on = f"Finished runs are kept in {out}: {command} goes on from there."
    if isinstance(interruption, FitInterrupted):
        done = len(interruption.result["fitness"])
        return f"with {done} of {interruption.n_subjects} subjects done. {go_on}"
    return f"before the search began. {go_on}"


def plan_run(settings: Mapping[str, Any]) -> Plan:
    """Return the plan of a fit.

    Raises:
        ValueError: the data are not named, or have changed since the settings were written.
    """
    arguments = {k: v for k, v in settings.items() if k != "data_fingerprint"}
    if arguments.get("data") is None:
        raise ValueError(
            "Name the data: an .h5 or .csv file, or a bundled data set (jaxcmr fit DATA)."
        )
    if arguments.get("loss") == "summary_mse":
        raise ValueError("summary_mse takes a function of yours: use it from Python.")
    plan = make_plan(**arguments)
    expected = settings.get("data_fingerprint")
    if expected is not None and expected != plan.problem.data_fingerprint:
        raise ValueError(
            f"{arguments['data']} has changed since the configuration was written: its fingerprint "
            f"is {plan.problem.data_fingerprint}, in place of {expected}. Remove data_fingerprint "
            "from the configuration to fit the data as they are now."
        )
    return plan


def save(result: FitResult, config: Mapping[str, Any], out: Path) -> Path:
    """Write a result and the settings that repeat it into a folder, and return the file.

    Ctrl-C waits until the file is written.
    """
    record = FitResult({**result, "run": describe_run(config)})
    path = out / "result.json"
    try:
        with delayed_interrupts():
            record.save(path, overwrite=True)
            write_text(out / "config.toml", format_config(config, out))
    except OSError as error:
        error.add_note(
            f"{path} could not be written. All runs are kept in {out}: make room on the disk, and "
            "the same command writes it."
        )
        raise
    return path


def report(
    plan: Plan,
    result: FitResult,
    path: Path,
    warm_up: FigureWarmUp,
    strict: bool,
    shown: Shown = "text",
) -> int:
    """Print the numbers of a result as asked, draw the figure, and return the exit status."""
    if shown == "text":
        print(f"\n{result.to_text()}\n\n{result.verdict()}", flush=True)
    checks = diagnose(result)
    is_fine = is_trustworthy(checks)
    if shown == "json":
        record = {**to_record(result, path), "trust": verdict(checks), "trustworthy": is_fine}
        print(to_json(record), flush=True)
    warm_up.wait()
    draw(plan, result, path.parent / "fit.png")
    if shown == "text":
        seconds = f"{result['fit_time']:.1f} s"
        print(f"Fitted in {seconds}. Result and configuration are in {path.parent}/")
        print(verdict(checks))
    return int(strict and not is_fine)


def to_record(result: FitResult, path: Path) -> dict[str, Any]:
    """Return the numbers of a result as JSON: losses and estimates per fit, runs that agree."""
    copied = ("model", "loss", "fitness", "fits", "fit_time", "interrupted")
    return {
        "result": str(path),
        **{name: result[name] for name in copied},
        "agree": [list(pair) for pair in result.agreement()],
        "at_bound": result.at_bound(),
    }


def draw(plan: Plan, result: FitResult, path: Path) -> None:
    """Draw the figure, or print what to install for it."""
    mask = plan.trial_mask
    if not plan.pooled:
        mask = mask & np.isin(plan.problem.subjects, result["fits"]["subject"])
    try:
        save_fit_figure(plan.problem, mask, result, path)
    except ImportError:
        missing = describe_missing("Figures", "matplotlib", "plots")
        print(f"No figure. {missing}", file=sys.stderr)


def describe_run(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings, versions and machine of a fit, as JSON; earlier results by fingerprint."""
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
def interrupted_by_terminate() -> Iterator[None]:
    """Let SIGTERM, which a scheduler sends when time is up, end the block as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def delayed_interrupts() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait until the block has ended."""
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
