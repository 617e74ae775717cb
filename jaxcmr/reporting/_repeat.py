"""How to repeat a fit: Python that makes it, versions and fingerprints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxcmr._version import __version__
from jaxcmr.results import FitResult

__all__ = ["code", "settings_of", "version_of", "versions"]


FEATURES = ("features", "similarities", "distances")
"""Arguments of `jaxcmr.fit` that say what items are like."""

UNNAMED = {"features": "FEATURES"}


def code(result: FitResult) -> str:
    """Return Python that repeats the fit, from the names and settings that the result holds."""
    config = settings_of(result)
    given = dict(result.get("hyperparameters") or {})
    hidden = ("bounds", "seed", "progress_bar")
    search = {name: value for name, value in given.items() if name not in hidden}
    arguments: dict[str, Any] = {
        "model": result.get("model"),
        "loss": result.get("loss"),
        "pooled": bool(result.get("pooled")),
        "fixed": dict(result["fixed"]),
        "bounds": dict(result["free"]),
        "loss_options": dict(result.get("loss_options") or {}),
        "search": {"preset": "classic", **search},
        "fitter": config.get("fitter", "jax"),
        "precision": result.get("precision"),
        "seed": given.get("seed", 0),
    }
    if config.get("start_from"):
        arguments["start_from"] = config["start_from"]
    data = config.get("data")
    rows = fitted_rows(result)
    lines = [] if rows is None else ["import numpy as np", ""]
    lines += ["import jaxcmr as jc", ""]
    lines.append(f"data = jc.load({'DATA' if data is None else as_code(data)})")
    if rows is not None:
        lines += ['fitted = np.zeros(len(data["subject"]), bool)']
        lines += [f"for first, behind_last in {rows}:", "    fitted[first:behind_last] = True"]
    lines += ["result = jc.fit(", "    data,"]
    lines += [] if rows is None else ["    where=lambda data: fitted,"]
    if result.get("trials") is None:
        lines.append("    where=WHERE,  # the result does not say which trials were fitted")
    origins = {run.get("origin") for of_fit in result.get("runs") or [] for run in of_fit}
    if origins - {"random", None} and not config.get("start_from"):
        lines.append("    start_from=EARLIER,  # the earlier results that runs started from")
    if result.get("features"):
        named = {name: config[name] for name in FEATURES if config.get(name)}
        given = {name: as_code(source) for name, source in named.items()}
        lines += [f"    {name}={source}," for name, source in (given or UNNAMED).items()]
    for name, value in arguments.items():
        if value is False or value == {} or (value is None and name == "precision"):
            continue
        lines.append(f"    {name}={name.upper() if value is None else as_code(value)},")
    return "\n".join([*lines, ")"])


def as_code(value: Any) -> str:
    """Return a value as Python; a dict with one line per name."""
    if isinstance(value, dict):
        lines = [f"        {as_code(name)}: {as_code(one)}," for name, one in value.items()]
        return "\n".join(["{", *lines, "    }"])
    return f'"{value}"' if isinstance(value, str) and repr(value)[1:-1] == value else repr(value)


def fitted_rows(result: FitResult) -> list[list[int]] | None:
    """Return the fitted trials as ranges of rows; None if they are all rows, or not known."""
    if result.get("trials") is None or not result.get("data"):
        return None
    ranges = np.array([pair for of_fit in result["trials"] for pair in of_fit]).reshape(-1, 2)
    merged: list[list[int]] = []
    for first, last in ranges[np.argsort(ranges[:, 0])].tolist():
        if merged and merged[-1][1] == first:
            merged[-1][1] = last
        else:
            merged.append([first, last])
    return None if merged == [[0, result["data"]["n_trials"]]] else merged


def versions(result: FitResult) -> dict[str, str]:
    """Return versions, fingerprints, platform and date, as far as the result holds them."""
    run = result.get("run") or {}
    recorded = {"jaxcmr": result.get("version"), **run.get("versions", {})}
    found = {f"{name} (of the fit)": each for name, each in recorded.items() if each is not None}
    found["jaxcmr (of this report)"] = __version__
    found.update({name: str(value) for name, value in run.get("platform", {}).items()})
    if run.get("finished"):
        found["fit finished"] = run["finished"]
    if result.get("data"):
        found["fingerprint of the data"] = result["data"]["fingerprint"]
    if result.get("features"):
        found["fingerprint of the features"] = str(result["features"])
    if result.get("fit_time"):
        found["seconds of the fit"] = f"{result['fit_time']:.1f}"
    return found


def version_of(result: FitResult) -> str | None:
    """Return the version of jaxcmr that made a result; None if it is not recorded."""
    run = result.get("run") or {}
    found = result.get("version") or run.get("versions", {}).get("jaxcmr")
    return None if found is None else str(found)


def settings_of(result: FitResult) -> Mapping[str, Any]:
    """Return the settings that the command line recorded; none for fits made in Python."""
    settings: Mapping[str, Any] = (result.get("run") or {}).get("config", {})
    return settings
