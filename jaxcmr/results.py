"""`FitResult`: what a fit found, with the evidence for it.

A result is a dict of lists, numbers and strings that survives JSON unchanged. Every list has one
entry per fit: per subject, or one entry for a pooled fit. Estimates and losses are in the user's
units throughout.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxcmr.files import read_text, write_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["POOLED", "SCHEMA", "FitInterrupted", "FitResult"]

SCHEMA = 2
"""Version of the keys of a result. Files without the key ``schema`` are of version 1."""

POOLED = -1
"""The subject id of a pooled fit."""

PER_FIT = ("fitness", "nit", "nfev", "converged", "trials", "n_trials", "n_events", "runs")
"""Keys that hold one entry per fit, beside the columns of ``fits``."""

SAME = ("model", "loss", "loss_options", "free", "fixed", "pooled", "precision")
"""Keys in which results must agree to be put together."""

AGREE_WITHIN = 0.05  # nats; of results that do not say


class FitResult(dict[str, Any]):
    """A fit's estimates and losses, as a dict with methods.

    - ``fitness``: loss at the estimate, e.g. the negative log-likelihood in nats.
    - ``fits``: value of every parameter, fixed ones included, and ``"subject"`` (-1 if pooled).
    - ``free``, ``fixed``: bounds of the free parameters; values of the others.
    - ``nit``: generations of the best run. ``nfev``: loss evaluations of all runs together, polish
      included. ``converged``: the best run ended by its tolerance or came to rest on the slope.
    - ``runs``: for each fit a list of its runs; see `runs_table`.
    - ``trials``: for each fit the rows of the data set, as ranges ``[first, behind the last]``;
      ``n_trials``, ``n_events``: how many, and how many scored recalls and stops they hold.
    - ``model``, ``loss``, ``loss_options``, ``features``, ``data``, ``precision``, ``pooled``: what
      was fitted, by name or fingerprint. None stands for an object without a name.
    - ``hyperparameters``: complete, defaults filled in. ``fit_time``: seconds, compilation
      included. ``interrupted``: True if subjects are missing because the fit was stopped.
    - ``loss_label``, ``agree_within``: short name of the loss ("NLL"), and how close the losses of
      two runs must be to count as the same.
    - ``schema``: version of these keys.

    >>> result = FitResult(
    ...     fitness=[7.0], fits={"learning_rate": [0.4], "subject": [3]}, free={}, fixed={}
    ... )
    >>> result.table()[["subject", "loss", "learning_rate"]].values.tolist()
    [[3.0, 7.0, 0.4]]
    """

    def table(self, agree_within: float | None = None) -> pd.DataFrame:
        """Return one row per fit.

        Columns: ``subject``; ``loss``; ``n_trials`` and ``n_events``; an estimate per parameter;
        ``agree``, the number of runs that ended within `agree_within` of the best, the best
        included, out of ``n_runs``; ``at_bound``, the estimates that lie on a bound, such as
        "primacy_scale (upper)"; and ``converged``.

        Args:
            agree_within: in units of the loss. By default what the loss declares: 0.05 nats for
                likelihoods, less for mean squared errors.
        """
        import pandas as pd

        fits = self["fits"]
        n = len(self["fitness"])
        within = self.get("agree_within", AGREE_WITHIN) if agree_within is None else agree_within
        runs = self.get("runs") or [[] for _ in range(n)]
        columns = {
            "subject": fits["subject"],
            "loss": self["fitness"],
            "n_trials": self.get("n_trials", [None] * n),
            "n_events": self.get("n_events", [None] * n),
            **{name: values for name, values in fits.items() if name != "subject"},
            "agree": [
                sum(run["loss"] <= best + within for run in of_fit) if of_fit else None
                for best, of_fit in zip(self["fitness"], runs, strict=True)
            ],
            "n_runs": [len(of_fit) or None for of_fit in runs],
            "at_bound": [
                ", ".join(f"{name} ({end})" for name, end in bounds.items())
                for bounds in self.at_bound()
            ],
            "converged": self.get("converged", [None] * n),
        }
        return pd.DataFrame(columns)

    def runs_table(self) -> pd.DataFrame:
        """Return one row per run of every fit, in the order in which the runs are numbered.

        Columns: ``subject``; ``run``; ``origin`` ("random", or the earlier fit it started from);
        ``scale`` of the search; ``loss_before_polish`` and ``loss``; ``generations``;
        ``evaluations``; ``stopped``, why the search ended; ``polish``, how the polish went, and
        ``at_rest``, whether it came to rest on the slope; ``steepest``, the largest slope at the
        end among parameters off their bounds, per unit of the search space; ``at_bound``;
        ``seconds``; and an estimate per free parameter.
        """
        import pandas as pd

        rows = []
        for subject, of_fit in zip(self["fits"]["subject"], self.get("runs") or [], strict=False):
            for run in of_fit:
                slopes = run["gradient"] or {}
                inside = [abs(v) for k, v in slopes.items() if k not in run["at_bound"] and v == v]
                scales = sorted(set(run["scale"].values()) - {"linear"}) or ["linear"]
                rows.append(
                    {
                        "subject": subject,
                        **{k: run[k] for k in ("run", "origin")},
                        "scale": "/".join(scales),
                        **{k: run[k] for k in RUN_COLUMNS},
                        "steepest": max(inside, default=None),
                        "at_bound": ", ".join(f"{k} ({v})" for k, v in run["at_bound"].items()),
                        "seconds": run["seconds"],
                        **run["estimates"],
                    }
                )
        return pd.DataFrame(rows)

    def best_runs(self) -> list[dict[str, Any]]:
        """Return the run of each fit that won; an empty list for results without runs."""
        return [min(of_fit, key=lambda run: run["loss"]) for of_fit in self.get("runs") or []]

    def at_bound(self) -> list[dict[str, str]]:
        """Return for each fit the parameters on a bound, {name: "lower" or "upper"}."""
        best = self.best_runs()
        return [run["at_bound"] for run in best] if best else [{} for _ in self["fitness"]]

    def select(self, subjects: int | Iterable[int]) -> FitResult:
        """Return the fits of some subjects, in the order given.

        Raises:
            ValueError: the result has no fit of a subject.
        """
        wanted = [subjects] if isinstance(subjects, int) else [int(each) for each in subjects]
        rows = {subject: row for row, subject in enumerate(self["fits"]["subject"])}
        missing = [subject for subject in wanted if subject not in rows]
        if missing:
            raise ValueError(
                f"There is no fit of subject(s) {missing[:5]}; there are {list(rows)}."
            )
        chosen = [rows[subject] for subject in wanted]
        per_fit = {key: [self[key][row] for row in chosen] for key in PER_FIT if self.get(key)}
        fits = {name: [values[row] for row in chosen] for name, values in self["fits"].items()}
        return FitResult({**self, **per_fit, "fits": fits})

    @classmethod
    def concat(cls, results: Sequence[FitResult]) -> FitResult:
        """Return one result with the fits of all `results`, e.g. of parts of the subjects.

        The settings of the first are kept, the seconds added up. If the results are of different
        data sets, ``data`` and ``trials`` are None, because rows then mean different things.

        Raises:
            ValueError: there are none, they differ in model, loss or parameters, or two hold a fit
                of the same subject.
        """
        results = [cls(result) for result in results]
        if not results:
            raise ValueError("There are no results to put together.")
        first = results[0]
        for other in results[1:]:
            for key in SAME:
                if other.get(key) != first.get(key):
                    raise ValueError(
                        f"Results that differ in {key!r} cannot be put together: "
                        f"{first.get(key)!r} and {other.get(key)!r}."
                    )
        subjects = [subject for result in results for subject in result["fits"]["subject"]]
        twice = [subject for subject, count in Counter(subjects).items() if count > 1]
        if twice:
            raise ValueError(f"More than one result holds a fit of subject(s) {twice[:5]}.")
        shared = [key for key in PER_FIT if all(result.get(key) is not None for result in results)]
        whole = {key: [entry for result in results for entry in result[key]] for key in shared}
        fits = {
            name: [value for result in results for value in result["fits"][name]]
            for name in first["fits"]
        }
        joined = cls({**{k: v for k, v in first.items() if k not in PER_FIT}, **whole})
        joined.update(
            fits=fits,
            fit_time=sum(result.get("fit_time", 0.0) for result in results),
            interrupted=any(result.get("interrupted", False) for result in results),
        )
        if any(result.get("data") != first.get("data") for result in results):
            joined.update(data=None, trials=None)
        return joined

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the result to a JSON file, which appears whole or not at all.

        Args:
            path: the file.
            overwrite: also replace a result that holds subjects that this one lacks.

        Raises:
            ValueError: the file holds a result with subjects that this one lacks.
        """
        target = Path(path)
        if target.exists() and not overwrite:
            lost = set(subjects_in(target)) - set(self["fits"]["subject"])
            if lost:
                raise ValueError(
                    f"{target} holds the fits of {len(lost)} subject(s) that this result lacks: "
                    "save under another name, or with overwrite=True."
                )
        write_text(target, to_json(self))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FitResult:
        """Read a result that `save` or ``jaxcmr fit`` wrote, also one of earlier versions.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is not a result.
        """
        try:
            result = json.loads(read_text(Path(path)))
        except json.JSONDecodeError as error:
            raise ValueError(f"{path} is not the result of a fit: not JSON ({error}).") from error
        if not isinstance(result, dict) or "fits" not in result:
            raise ValueError(f"{path} is not the result of a fit: it has no 'fits'.")
        if result.get("schema", 1) > SCHEMA:
            raise ValueError(
                f"{path} was written by a later version of jaxcmr (schema {result['schema']}; this "
                f"version reads up to {SCHEMA})."
            )
        return cls(result)

    def title(self) -> str:
        """Return a line that says what was fitted to how much."""
        n, n_trials = len(self["fitness"]), sum(self.get("n_trials") or [])
        what = f"{self.get('model') or 'a model'} by {self.get('loss') or 'a loss'}"
        whose = "pooled" if self.get("pooled") else counted(n, "subject")
        lists = f", {counted(n_trials, 'list')}" if n_trials else ""
        cut = " (interrupted)" if self.get("interrupted") else ""
        return f"{what}: {whose}{lists}{cut}"

    def verdict(self) -> str:
        """Return plain words on how far the fits can be trusted: whether runs agree, and which
        parameters sit on bounds, for how many subjects."""
        if not self.get("runs"):
            return "The runs of these fits were not kept." if self["fitness"] else "No fits."
        return " ".join([self._agreement(), *self._bounds_in_words(), *self._unconverged()])

    def _agreement(self) -> str:
        table, within = self.table(), self.get("agree_within", AGREE_WITHIN)
        most = int(table["n_runs"].max())
        if most == 1:
            return "Each fit is a single run: whether another would end elsewhere is not known."
        n_agreeing = int((table["agree"] > 1).sum())
        unit = " nats" if self.get("loss_label") == "NLL" else ""
        alone = table["subject"][table["agree"] < 2].tolist()
        return (
            f"Runs agree for {n_agreeing} of {self._whose(len(table))}: 2 or more of {most} ended "
            f"within {within:g}{unit} of the best"
            + (f" (not for {listed(alone)})." if alone else ".")
        )

    def _bounds_in_words(self) -> Iterator[str]:
        counts: dict[str, Counter[str]] = {}
        for bounds in self.at_bound():
            for name, end in bounds.items():
                counts.setdefault(name, Counter())[end] += 1
        if not counts:
            yield "No estimate is on a bound."
            return
        told = [
            f"{name} for {ends.total()} ({' and '.join(f'{n} {end}' for end, n in ends.items())})"
            if len(ends) > 1
            else f"{name} for {ends.total()} ({next(iter(ends))})"
            for name, ends in sorted(counts.items(), key=lambda item: -item[1].total())
        ]
        yield f"Estimates on a bound: {', '.join(told)}."

    def _unconverged(self) -> Iterator[str]:
        if not all(self["converged"]):
            fits = zip(self["fits"]["subject"], self["converged"], strict=True)
            yield f"Not converged: {listed([subject for subject, ended in fits if not ended])}."

    def _whose(self, n: int) -> str:
        return "1 pooled fit" if self.get("pooled") else counted(n, "subject")

    def to_text(self, width: int | None = None) -> str:
        """Return the table as text, a row per fit; an estimate on its upper bound is marked ``^``,
        on its lower ``_``.

        Columns that do not fit into `width` characters (the terminal's, by default) go into
        further blocks of rows below, each beginning with the subject.
        """
        subject, *others = [right_aligned(*column) for column in self._cells().items()]
        width = width or shutil.get_terminal_size((100, 24)).columns
        blocks = [[subject]]
        for column in others:
            if sum(len(c[0]) + 2 for c in blocks[-1]) + len(column[0]) > width:
                blocks.append([subject])
            blocks[-1].append(column)
        return "\n\n".join(
            "\n".join("  ".join(row) for row in zip(*block, strict=True)) for block in blocks
        )

    def _cells(self) -> dict[str, list[str]]:
        """The table in words and rounded numbers, by column."""
        marks = {"upper": "^", "lower": "_", None: ""}
        fits, at_bound = self["fits"], self.at_bound()
        table = self.table()
        cells = {
            "subject": [str(subject) for subject in fits["subject"]],
            self.get("loss_label", "loss"): [significant(value) for value in self["fitness"]],
        }
        for name, values in fits.items():
            if name != "subject":
                pairs = zip(values, at_bound, strict=True)
                cells[name] = [f"{value:.4g}{marks[ends.get(name)]}" for value, ends in pairs]
        if self.get("runs"):
            pairs = zip(table["agree"], table["n_runs"], strict=True)
            cells["agree"] = [f"{agree}/{n_runs}" for agree, n_runs in pairs]
        cells["converged"] = ["yes" if ended else "no" for ended in self.get("converged", [])]
        return cells if self.get("converged") else {k: v for k, v in cells.items() if v}

    def __repr__(self) -> str:
        return f"{self.title()}\n\n{self.to_text()}\n\n{self.verdict()}"

    def _repr_html_(self) -> str:
        cells = self._cells()
        head = "".join(f"<th>{escape(name)}</th>" for name in cells)
        rows = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
            for row in zip(*cells.values(), strict=True)
        )
        return (
            f"<p><b>{escape(self.title())}</b></p><table><thead><tr>{head}</tr></thead>"
            f"<tbody>{rows}</tbody></table><p>{escape(self.verdict())}</p>"
        )


RUN_COLUMNS = (
    "loss_before_polish",
    "loss",
    "generations",
    "evaluations",
    "stopped",
    "polish",
    "at_rest",
)


class FitInterrupted(KeyboardInterrupt):
    """Ctrl-C during a fit. `result` holds the fits of the subjects that were done."""

    def __init__(self, result: FitResult, n_subjects: int) -> None:
        done = len(result["fitness"])
        super().__init__(
            f"The fit was interrupted with {done} of {n_subjects} subjects done; their fits are in "
            "this exception's `result` (in a notebook: import sys; sys.last_value.result)."
        )
        self.result, self.n_subjects = result, n_subjects

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.result, self.n_subjects)


def subjects_in(path: Path) -> list[int]:
    """Return the subjects of the result in a file; none if it is not a result."""
    try:
        return list(FitResult.load(path)["fits"].get("subject", []))
    except ValueError:
        return []


def to_json(result: Mapping[str, Any]) -> str:
    """Return a result as JSON text: a line per key, per parameter and per run."""
    entries = []
    for key, value in result.items():
        if key in ("fits", "runs") and value:
            is_dict = isinstance(value, Mapping)
            items = value.items() if is_dict else ((None, run) for fit in value for run in fit)
            lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in items] if is_dict else []
            text = "{\n  " + ",\n  ".join(lines) + "\n }" if is_dict else runs_to_json(value)
        else:
            text = json.dumps(value)
        entries.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(entries) + "\n}\n"


def runs_to_json(runs: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    """Return the runs of all fits as JSON text, a line per run."""
    of_fits = ["[\n   " + ",\n   ".join(json.dumps(run) for run in fit) + "]" for fit in runs]
    return "[\n  " + ",\n  ".join(of_fits) + "]"


def right_aligned(name: str, cells: Sequence[str]) -> list[str]:
    """Return a column of equal width, its name first."""
    width = max(map(len, [name, *cells]))
    return [cell.rjust(width) for cell in [name, *cells]]


def significant(value: float) -> str:
    """Return a loss with two decimals, or four significant digits where it is small."""
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.4g}"


def counted(n: int, noun: str) -> str:
    """Return a number with its noun: "1 subject", "2 subjects"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def listed(subjects: Sequence[int], most: int = 5) -> str:
    """Return subjects in words, the first few by id."""
    named = ", ".join(str(subject) for subject in subjects[:most])
    more = f" and {len(subjects) - most} more" if len(subjects) > most else ""
    return f"subject{'s' if len(subjects) > 1 else ''} {named}{more}"
