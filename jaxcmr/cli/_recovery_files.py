"""The files of a recovery beside a result: written by ``jaxcmr recover``, read for the report."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from jaxcmr.cli._json import to_json, to_rows
from jaxcmr.cli._problem import beside
from jaxcmr.files import read_text, write_text
from jaxcmr.plots import confusion_table
from jaxcmr.recovery import ModelRecovery, PowerCurve, Recovery
from jaxcmr.results import FitResult

__all__ = ["NAMES", "Found", "check_replaceable", "read_recoveries", "write_recovery"]

Found: TypeAlias = Recovery | PowerCurve | ModelRecovery

NAMES = {"parameters": "recovery", "models": "recovery-models"}
"""What the files of each kind of recovery are called, up to the suffix."""

OF_FITS = ("model", "loss", "loss_options", "free", "fixed", "fits", "trials", "data")
"""Entries of a result in its fingerprint: a recovery holds for these fits alone."""

TEXTS = (
    "subject",
    "parameter",
    "at_bound",
    "lower_status",
    "upper_status",
    "simulated",
    "fitted",
)
WHOLE = ("copy", "n_lists")
LOSSES = ("loss_at_truth", "loss_at_estimate", "missed")
"""Columns of `Recovery.losses`, which the file has in each row of a simulated subject."""


def write_recovery(
    file: Path, results: Mapping[str, FitResult], found: Found, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Write tables and numbers of a recovery beside a result, and return the numbers.

    Args:
        file: of the result.
        results: that were recovered, by name.
        found: the recovery.
        settings: options that decide what is found; see `check_replaceable`.
    """
    name = NAMES["models" if isinstance(found, ModelRecovery) else "parameters"]
    table = to_table(found).to_csv(index=False, lineterminator="\n")
    record = {
        "result": str(file),
        "verdict": found.verdict(),
        "settings": dict(settings),
        **numbers_of(found),
        "fingerprints": {key: fingerprint_of(each) for key, each in results.items()},
        "table": digest_of(table),
    }
    write_text(beside(file, f"{name}.csv"), table)
    write_text(beside(file, f"{name}.json"), to_json(record) + "\n")
    return record


def check_replaceable(path: Path, settings: Mapping[str, Any]) -> None:
    """Check that the recovery in a file, if there is one, was made with the same settings.

    Raises:
        ValueError: it was made with others, and would be lost.
    """
    if not path.exists():
        return
    try:
        kept = json.loads(read_text(path))["settings"]
        kept = {name: kept[name] for name in settings}
    except (ValueError, KeyError, TypeError):
        differs = "with settings that it does not tell"
    else:
        changed = [name for name in settings if kept[name] != settings[name]]
        if not changed:
            return
        differs = "with " + ", ".join(
            f"{name} {to_words(kept[name])} (now: {to_words(settings[name])})" for name in changed
        )
    raise ValueError(
        f"{path} is of a recovery {differs}. Give --force to replace it and the files that belong "
        "to it, or move them to another folder to keep both."
    )


def to_words(value: Any) -> str:
    """Return a setting in words."""
    if value is None or value is False:
        return "not given"
    many = list(value.values()) if isinstance(value, dict) else value
    return ",".join(map(str, many)) if isinstance(many, list) else str(value)


def to_table(found: Found) -> pd.DataFrame:
    """Return truths, estimates and losses, of all numbers of lists; or the criteria of models."""
    if isinstance(found, ModelRecovery):
        return found.criteria
    if isinstance(found, PowerCurve):
        tables = [to_table(each).assign(n_lists=n) for n, each in found.recoveries.items()]
        return pd.concat(tables)
    return found.table.merge(found.losses, on=["subject", "copy"], validate="many_to_one")


def numbers_of(found: Found) -> dict[str, Any]:
    """Return the numbers of a recovery as JSON holds them."""
    if isinstance(found, ModelRecovery):
        return {
            "criterion": found.criterion,
            "seed": found.seed,
            "pairs": to_rows(confusion_table(found)),
            "best_by_the_sum": found.group_winners().to_dict(),
        }
    each = [found] if isinstance(found, Recovery) else list(found.recoveries.values())
    return {
        "parameters": each[0].parameters,
        "lists": [one.n_lists for one in each],
        "seed": each[0].seed,
        "missed": [one.n_missed for one in each],
        "fitted_lists": found.n_fitted if isinstance(found, PowerCurve) else None,
        "summary": to_rows(found.summary() if isinstance(found, Recovery) else found.table),
    }


def fingerprint_of(result: FitResult) -> str:
    """Return a digest of a result's fits and of what was fitted."""
    return digest_of(json.dumps({name: result.get(name) for name in OF_FITS}, sort_keys=True))


def digest_of(text: str) -> str:
    """Return the SHA-256 of a text."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def read_recoveries(file: Path, name: str, results: Mapping[str, FitResult]) -> list[Found]:
    """Return the recoveries beside a result; with a warning, not those of other fits.

    Args:
        file: of the result.
        name: of the result.
        results: all results of the report, by name.
    """
    found: list[Found] = []
    for kind, stem in NAMES.items():
        path = beside(file, f"{stem}.json")
        if not path.exists():
            continue
        try:
            found.append(read_recovery(path, kind, name, results))
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            reason = str(error) if type(error) is ValueError else "it cannot be read"
            warnings.warn(
                f"{path} is left out of the report: {reason}. Run 'jaxcmr recover' again.",
                stacklevel=2,
            )
    return found


def read_recovery(path: Path, kind: str, name: str, results: Mapping[str, FitResult]) -> Found:
    """Return a recovery from its files; arguments are those of `read_recoveries`.

    Raises:
        ValueError: it is of other fits than the results, or its files do not belong together.
        KeyError: the file lacks an entry.
    """
    record, result = json.loads(read_text(path)), results[name]
    prints = record["fingerprints"]
    if fingerprint_of(result) not in prints.values():
        raise ValueError("it is of other fits than the result beside it")
    for other in prints.keys() & results.keys():
        if kind == "models" and fingerprint_of(results[other]) != prints[other]:
            raise ValueError(f"it is of another fit of {other!r} than the one reported")
    text = read_text(path.with_suffix(".csv"))
    if digest_of(text) != record["table"]:
        raise ValueError(f"{path.with_suffix('.csv').name} is of another recovery")
    table = read_table(text, result)
    if kind == "models":
        pairs = pd.DataFrame(record["pairs"])
        order = list(dict.fromkeys(pairs["simulated"]))
        counts = pairs.pivot(index="simulated", columns="fitted", values="count")
        counts = counts.loc[order, order].rename_axis(index=None, columns=None)
        return ModelRecovery(counts, table, record["criterion"], record["seed"])
    if "n_lists" not in table:
        return recovery_of(table, record["lists"][0], record)
    recoveries = {}
    for n, n_lists in zip(table["n_lists"].unique().tolist(), record["lists"], strict=True):
        rows = table[table["n_lists"] == n].drop(columns="n_lists")
        recoveries[n] = recovery_of(rows, n_lists, record)
    return PowerCurve(recoveries, record.get("fitted_lists"))


def read_table(text: str, result: FitResult) -> pd.DataFrame:
    """Return the table of a file, with every bit of its numbers and the subjects of the result."""
    table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    subjects = {str(subject): subject for subject in result["fits"]["subject"]}
    table["subject"] = pd.Series([subjects[each] for each in table["subject"]], dtype=object)
    for name in table.columns.drop([each for each in TEXTS if each in table]):
        if name == "missed":
            table[name] = table[name] == "True"
        else:
            values = table[name].map(lambda each: float(each or "nan"))
            table[name] = values.astype(int) if name in WHOLE else values
    return table


def recovery_of(table: pd.DataFrame, n_lists: int, record: Mapping[str, Any]) -> Recovery:
    """Return a recovery of parameters from the rows of its file."""
    losses = table.drop_duplicates(["subject", "copy"])[["subject", "copy", *LOSSES]]
    return Recovery(
        table.drop(columns=list(LOSSES)).reset_index(drop=True),
        losses.reset_index(drop=True),
        n_lists,
        record["parameters"],
        record["seed"],
    )
